package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/postrider/postrider/config"
)

// talkative is a gateway that repeats what it was sent, or has a fault.
type talkative struct {
	url string
	mu  sync.Mutex
	got []string // request lines, headers that count, and bodies
	ids []string
}

func newTalkative(t *testing.T) *talkative {
	t.Helper()
	g := &talkative{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		said := r.Method + " " + r.URL.String() + " " + r.Header.Get("Authorization") + " " + r.Header.Get("X-Secret") + " " + r.Header.Get("X-Signature") + " " + string(b)
		g.mu.Lock()
		g.got, g.ids = append(g.got, said), append(g.ids, r.Header.Get("Postrider-Message-Id"))
		g.mu.Unlock()
		if strings.Contains(string(b), "fail") {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, "had "+said+strings.Repeat(".", 2<<10))
	}))
	t.Cleanup(server.Close)
	g.url = server.URL
	return g
}

func (g *talkative) seen() (requests, ids []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.got...), append([]string(nil), g.ids...)
}

// tried has a canary in every place where a secret may stand.
func tried(t *testing.T, url string) *config.Config {
	t.Helper()
	declared, err := read(t, `
gateways:
  chat:
    url: "`+url+`/hook/{{settings.token}}?key=canary-in-url"
    settings: {token: {env: TOKEN}}
    query: {mark: {env: MARK}, api_key: {env: QUERY}}
    headers: {X-Secret: {env: HEADER}}
    auth: {bearer: {env: BEARER}}
    body: {json: {text: "{{message}}", to: "{{to}}", order: "{{params.order}}", key: "{{settings.token}}"}}
    needs: [to]
    length: {limit: 20, over: split}
  hidden: {url: {env: HIDDEN}, body: {text: "{{message}}", charset: windows-1251}}
  hmac: {url: "`+url+`", auth: {hmac: {secret: {env: TOKEN}, header: X-Signature}}}
  signed: {url: "`+url+`/{{signature}}", settings: {key: {env: TOKEN}}, auth: {signature: {key: "{{settings.key}}", text: "{{timestamp}} {{settings.key}}"}}}
  basic: {url: "`+url+`", auth: {basic: {user: canary-user, password: {env: TOKEN}}}}
  field: {url: "`+url+`", auth: {query: {name: k, value: {env: TOKEN}}}}
  named: {url: "`+url+`", auth: {header: {name: X-K, value: {env: TOKEN}}}}
  hooks: {preset: standard-webhooks, url: "`+url+`", settings: {secret: {env: WEBHOOK}}}
  granted: {url: "`+url+`", auth: {oauth2: {token_url: "`+url+`/token", client_id: canary-id, client_secret: {env: TOKEN}}}}
  closed: {url: "http://127.0.0.1:`+freePort(t)+`/"}
  broken: {url: "`+url+`/{{nothing}}"}
`, "TOKEN=canary-token", "QUERY=canary-query", "MARK=canary-mark", "HEADER=canary-header", "BEARER=canary-bearer",
		"HIDDEN="+url+"/canary-path?canary=canary", "WEBHOOK=whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5")
	if err != nil {
		t.Fatal(err)
	}
	cfg := settings(t)
	cfg.Gateways = declared.Gateways
	return cfg
}

func TestRenderShowsRequests(t *testing.T) {
	t.Parallel()
	gateway := newTalkative(t)
	p := start(t, tried(t, gateway.url), nil)
	for _, name := range []string{"chat", "hidden", "hmac", "signed", "basic", "field", "named", "hooks", "granted"} {
		a := ask(t, http.MethodPost, p.url+"/api/v1/gateways/"+name+"/render", `{"message": "x", "to": "+1"}`)
		if a.status != http.StatusOK || strings.Contains(a.body, "canary") || strings.Contains(a.body, "Y2FuYXJ5") || !strings.Contains(a.body, "***") {
			t.Errorf("render of %s = %d %s, want 200 and no secret", name, a.status, a.body)
		}
	}
	args := []string{"gateways", "render", "chat", "--server", p.url, "--message", "a \"b\"\x1b", "--to", "+1", "--param", "order=7"}
	code, out, errs := command(t, args...)
	for _, want := range []string{
		"POST " + gateway.url + "/hook/***?key=***&api_key=***&mark=*** HTTP/1.1\n", "X-Secret: ***\n", "Authorization: Bearer ***\n", "Postrider-Attempt: 1\n",
		"\n\n{", `"text": "a \"b\"\u001B"`, `"order": "7"`, `"key": "***"`,
	} {
		if code != exitClean || errs != "" || !strings.Contains(out, want) {
			t.Errorf("render = %d %s %s, want %q in it", code, out, errs, want)
		}
	}
	code, out, _ = command(t, append(args, "--json")...)
	if code != exitClean || !strings.HasPrefix(out, `{"requests":[{"method":"POST","url":"`) || strings.Count(out, "\n") != 1 {
		t.Errorf("render --json = %d %s", code, out)
	}
	code, out, _ = command(t, "gateways", "render", "chat", "--server", p.url, "--message", strings.Repeat("word ", 6), "--to", "+1")
	if code != exitClean || strings.Count(out, "HTTP/1.1\n") != 3 || !strings.Contains(out, "# request 3 of 3\n") || !strings.Contains(out, "(2/3) ") {
		t.Errorf("render in parts = %d %s, want three", code, out)
	}
	code, out, _ = command(t, "gateways", "render", "hidden", "--server", p.url, "--message", "\u041f x\x1b\u202e")
	if code != exitFailure {
		t.Errorf("what is not in the charset = %d %s, want 1", code, out)
	}
	code, out, _ = command(t, "gateways", "render", "hidden", "--server", p.url, "--message", "\u041f x\x1b")
	if code != exitClean || !strings.Contains(out, "\n\n\uFFFD x\\x1b\n# the body is not UTF-8") {
		t.Errorf("another charset = %d %q, want it made legible", code, out)
	}
	for name, c := range map[string]struct{ gateway, says string }{
		"lacks a field": {"chat", "422: Message does not fit its gateway; /to: "},
		"is broken":     {"broken", "409: Gateway cannot be used"},
		"is not there":  {"nobody", "there is no gateway nobody: "},
	} {
		for _, verb := range []string{"render", "test"} {
			code, out, errs := command(t, "gateways", verb, c.gateway, "--server", p.url, "--message", "x")
			if code != exitFailure || out != "" || !strings.Contains(errs, c.says) {
				t.Errorf("%s of what %s = %d %s %s, want 1 and %q", verb, name, code, out, errs, c.says)
			}
		}
	}
	if requests, _ := gateway.seen(); len(requests) > 0 {
		t.Errorf("the gateway got %q, want nothing", requests)
	}
}

func TestTestSendsOnce(t *testing.T) {
	t.Parallel()
	gateway := newTalkative(t)
	p := start(t, tried(t, gateway.url), nil)
	p.pause(t, "chat", true)
	test := func(name string, more ...string) (int, string, string) {
		return command(t, append([]string{"gateways", "test", name, "--server", p.url}, more...)...)
	}
	code, out, errs := test("chat", "--to", "+1", "--message", "hello")
	if code != exitClean || errs != "" || !strings.HasPrefix(out, "delivered, status 200, took ") || strings.Count(out, "\n") != 1 {
		t.Errorf("test = %d %s %s, want 0 and one line", code, out, errs)
	}
	requests, ids := gateway.seen()
	for _, want := range []string{"/hook/canary-token?key=canary-in-url&api_key=canary-query&mark=canary-mark ", " Bearer canary-bearer canary-header ", `"text": "hello"`} {
		if len(requests) != 1 || !strings.Contains(strings.Join(requests, "\n"), want) {
			t.Errorf("the gateway got %q, want %q in it", requests, want)
		}
	}
	// What it answered holds every secret.
	if !strings.Contains(out, "/hook/***?key=***") || strings.Contains(out, "canary") || len(out) > 2<<10 {
		t.Errorf("the answer is shown as %s, want it masked and short", out)
	}
	if a := ask(t, http.MethodGet, p.url+"/api/v1/messages/"+ids[0], ""); a.status != http.StatusNotFound {
		t.Errorf("message %s = %d, want 404", ids[0], a.status)
	}
	// In parts, each is sent as long as all goes well.
	code, out, _ = test("chat", "--to", "+1", "--message", strings.Repeat("word ", 6))
	requests, ids = gateway.seen()
	if code != exitClean || strings.Count(out, "delivered") != 3 || len(requests) != 4 || ids[1] == ids[2] || ids[0] == ids[1] {
		t.Errorf("test in parts = %d %s, requests of %q", code, out, ids)
	}
	code, out, errs = test("chat", "--to", "+1", "--message", "fail now and leave what is behind this")
	if code != exitFailure || !strings.Contains(out, "temporary, cause status, status 500, took ") || !strings.Contains(out, " more are not sent\n") || !strings.Contains(errs, "did not take") {
		t.Errorf("test that fails = %d %s %s, want 1", code, out, errs)
	}
	if again, _ := gateway.seen(); len(again) != len(requests)+1 {
		t.Errorf("%d requests, want one more than %d", len(again), len(requests))
	}
	code, out, _ = test("closed", "--message", "x", "--json")
	if code != exitFailure || !strings.HasPrefix(out, `{"results":[{"outcome":"temporary","cause":"refused","took_ms":`) {
		t.Errorf("test of a closed door = %d %s, want 1", code, out)
	}
	if stored := list(t, p.url+"/api/v1/messages"); len(stored.Messages) > 0 {
		t.Errorf("%+v is stored, want nothing", stored.Messages)
	}
	if l := p.lane(t, "chat"); !l.Paused {
		t.Error("the gateway is not paused any more")
	}
	if strings.Contains(p.log.String(), "canary") {
		t.Error("a secret is in the log")
	}
}

func TestAnswersToTrialsThatAreNotOurs(t *testing.T) {
	t.Parallel()
	for _, said := range []string{"<html>", "{}", `{"requests":[],"results":[]}`, `{"requests":1,"results":1}`} {
		for _, verb := range []string{"render", "test"} {
			url, _ := scripted(t, said)
			if code, out, errs := command(t, "gateways", verb, "chat", "--json", "--server", url, "--message", "x"); code != exitFailure || out != "" || !strings.Contains(errs, "not Postrider") {
				t.Errorf("%s that gets %s = %d %s %s", verb, said, code, out, errs)
			}
		}
	}
	url, _ := scripted(t, `{"requests":[{"body":"`+strings.Repeat("a", maxAnswer)+`"}]}`)
	if code, _, errs := command(t, "gateways", "render", "chat", "--server", url, "--message", "x"); code != exitFailure || !strings.Contains(errs, "too long") {
		t.Errorf("a long answer = %d %s", code, errs)
	}
}

// A reload changes what is shown, as it changes what is sent.
func TestRenderAfterReload(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	cfg.Gateways = map[string]config.Gateway{"chat": at("http://127.0.0.1:1/before")}
	p := start(t, cfg, nil)
	shown := func() string {
		return ask(t, http.MethodPost, p.url+"/api/v1/gateways/chat/render", `{"message": "x"}`).body
	}
	if !strings.Contains(shown(), "/before") {
		t.Errorf("shown is %s", shown())
	}
	p.apply(t, with(cfg, map[string]config.Gateway{"chat": at("http://127.0.0.1:1/after")}))
	if !strings.Contains(shown(), "/after") {
		t.Errorf("after a reload it is %s", shown())
	}
}

// Who stops the process does not wait for a gateway that is tested.
func TestStopCutsOffATest(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, hanging(t))
	cfg := settings(t)
	cfg.Delivery.Timeout = patience
	cfg.Gateways = map[string]config.Gateway{"chat": at(gateway.url)}
	p := start(t, cfg, nil)
	type result struct {
		answer
		err error
	}
	tested := make(chan result, 1)
	go func() {
		a, err := request(t.Context(), http.MethodPost, p.url+"/api/v1/gateways/chat/test", `{"message": "x"}`)
		tested <- result{a, err}
	}()
	eventually(t, "the test is under way", func() bool { return len(gateway.seen()) == 1 })
	if a := ask(t, http.MethodPost, p.url+"/api/v1/gateways/chat/test", `{"message": "x"}`); a.status != http.StatusTooManyRequests {
		t.Errorf("a second test = %d %s, want 429", a.status, a.body)
	}
	if err := p.stop(t); err != nil {
		t.Errorf("run() = %v, want nil", err)
	}
	if r := receive(t, "the answer", tested); r.err != nil || !strings.Contains(r.body, `"outcome":"unknown","cause":"cut_off"`) {
		t.Errorf("the test = %d %s, %v, want it cut off", r.status, r.body, r.err)
	}
}
