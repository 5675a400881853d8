package main

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/data/badger"
)

// loopbackToo lets gateways that are declared over the API be on this machine.
func loopbackToo(cfg *config.Config) *config.Config {
	cfg.Delivery.APINetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	return cfg
}

// declaredGateway is what the tests look at of a gateway.
type declaredGateway struct {
	Name, Origin, URL, Problem string
	Declared                   bool
	MaxAttempts                int `json:"max_attempts"`
	Counts                     map[string]int
}

// declares has a gateway declared by PUT.
func (p *instance) declares(t *testing.T, name, declaration string, status int) (g declaredGateway) {
	t.Helper()
	a := ask(t, http.MethodPut, p.url+"/api/v1/gateways/"+name, declaration)
	if a.status != status {
		t.Fatalf("PUT %s %s = %d %s, want %d", name, declaration, a.status, a.body, status)
	}
	a.decode(t, &g)
	return g
}

func (p *instance) undeclares(t *testing.T, name string, status int) answer {
	t.Helper()
	a := ask(t, http.MethodDelete, p.url+"/api/v1/gateways/"+name, "")
	if a.status != status {
		t.Fatalf("DELETE %s = %d %s, want %d", name, a.status, a.body, status)
	}
	return a
}

func quotedURL(url string) string { return quoted(map[string]string{"url": url}) }

func TestGatewaysOverTheAPI(t *testing.T) {
	t.Parallel()
	first, second := newGateway(t, saying(200)), newGateway(t, saying(200))
	cfg := loopbackToo(settings(t))
	cfg.Gateways = map[string]config.Gateway{"file": at(first.url)}
	p := start(t, cfg, nil)

	a := ask(t, http.MethodPost, p.url+"/api/v1/gateways", `{"name":"sms","url":"`+first.url+`/path-canary?key=canary","headers":{"X-Key":"canary-header"},
		"body":{"form":{"text":"{{message}}"}},"max_attempts":7}`)
	var g declaredGateway
	a.decode(t, &g)
	if a.status != http.StatusCreated || a.header.Get("Location") != "/api/v1/gateways/sms" || g.Origin != "api" || !g.Declared || g.MaxAttempts != 7 || g.URL != first.url+"/***" {
		t.Fatalf("POST = %d %s %+v", a.status, a.body, g)
	}
	p.await(t, post(t, p.url+"/send_message", messageFor("sms", "hello")), "delivered")
	if seen := first.seen(); len(seen) != 1 || seen[0].body != "text=hello" || seen[0].header.Get("X-Key") != "canary-header" {
		t.Errorf("the gateway got %+v", seen)
	}
	if a := ask(t, http.MethodPost, p.url+"/api/v1/gateways/sms/render", `{"message":"x"}`); a.status != 200 || strings.Contains(a.body, "canary") {
		t.Errorf("render = %d %s, want no secret", a.status, a.body)
	}
	if a := ask(t, http.MethodPost, p.url+"/api/v1/gateways/sms/test", `{"message":"x"}`); a.status != 200 || !strings.Contains(a.body, `"outcome":"delivered"`) {
		t.Errorf("test = %d %s", a.status, a.body)
	}
	if a := ask(t, http.MethodPost, p.url+"/api/v1/gateways", `{"name":"sms","url":"https://example.org/"}`); a.status != http.StatusConflict {
		t.Errorf("POST of one that exists = %d, want 409", a.status)
	}
	// What the configuration declares is not for the API.
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		if a := ask(t, method, p.url+"/api/v1/gateways/file", quotedURL(second.url)); a.status != http.StatusConflict || !strings.Contains(a.body, "declared-in-file") {
			t.Errorf("%s file = %d %s, want 409", method, a.status, a.body)
		}
	}
	if got := slices.Sorted(maps.Keys(p.shownGateways(t))); fmt.Sprint(got) != "[file sms]" {
		t.Errorf("the gateways are %v", got)
	}
	// The next message goes where it is declared now.
	p.declares(t, "sms", quotedURL(second.url), http.StatusOK)
	p.await(t, post(t, p.url+"/send_message", messageFor("sms", "moved")), "delivered")
	if seen := second.seen(); len(seen) != 1 || !sameJSON(seen[0].body, `{"message":"moved"}`) {
		t.Errorf("the gateway got %+v", seen)
	}
	// What waits when it is gone is parked, and goes on when it is back.
	p.pause(t, "sms", true)
	id := post(t, p.url+"/send_message", messageFor("sms", "parked"))
	if a := p.undeclares(t, "sms", http.StatusNoContent); a.body != "" {
		t.Errorf("DELETE answers %q", a.body)
	}
	p.pause(t, "sms", false)
	if a := ask(t, http.MethodPost, p.url+"/send_message", messageFor("sms", "x")); a.status != http.StatusUnprocessableEntity {
		t.Errorf("POST /send_message for one that is gone = %d, want 422", a.status)
	}
	var gone declaredGateway
	if get(t, p.url+"/api/v1/gateways/sms", &gone); gone.Declared || gone.Origin != "" || !strings.Contains(gone.Problem, "parked") {
		t.Errorf("it is shown as %+v", gone)
	}
	p.undeclares(t, "sms", http.StatusNotFound)
	p.declares(t, "sms", quotedURL(first.url), http.StatusCreated)
	p.await(t, id, "delivered")

	// All of it is there after a restart.
	if err := p.stop(t); err != nil {
		t.Fatal(err)
	}
	p = start(t, cfg, nil)
	before := len(first.seen())
	p.await(t, post(t, p.url+"/send_message", messageFor("sms", "again")), "delivered")
	if n := len(first.seen()); n != before+1 {
		t.Errorf("%d messages came to the gateway, want 1", n-before)
	}
	if text := p.log.String(); strings.Contains(text, "canary") {
		t.Errorf("a secret is in the log:\n%s", text)
	}
}

// Without a network of its own such a gateway leads to public addresses alone, by
// whatever name.
func TestGatewaysOverTheAPIAreGuarded(t *testing.T) {
	t.Parallel()
	inside := newGateway(t, saying(200))
	_, port, _ := strings.Cut(strings.TrimPrefix(inside.url, "http://"), ":")
	cfg := settings(t)
	cfg.Delivery.MaxAttempts = 1
	cfg.Gateways = map[string]config.Gateway{"file": at(inside.url)}
	p := start(t, cfg, nil)
	for _, host := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"} {
		if a := ask(t, http.MethodPut, p.url+"/api/v1/gateways/x", quotedURL("http://"+host+":"+port+"/")); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `"pointer":"/url"`) {
			t.Errorf("PUT of %s = %d %s, want 422", host, a.status, a.body)
		}
	}
	p.declares(t, "name", quotedURL("http://localhost:"+port+"/"), http.StatusCreated)
	m := p.await(t, post(t, p.url+"/send_message", messageFor("name", "x")), "failed")
	if len(m.Attempts) != 1 || m.Attempts[0].Cause != "forbidden" || m.Attempts[0].Outcome != "temporary" {
		t.Errorf("the message is %+v, want it forbidden", m)
	}
	if a := ask(t, http.MethodPost, p.url+"/api/v1/gateways/name/test", `{"message":"x"}`); !strings.Contains(a.body, `"cause":"forbidden"`) {
		t.Errorf("test = %d %s, want forbidden", a.status, a.body)
	}
	if n := len(inside.seen()); n != 0 {
		t.Errorf("%d requests came", n)
	}
	p.await(t, post(t, p.url+"/send_message", messageFor("file", "x")), "delivered")
	// A reload allows it, and takes it back.
	p.apply(t, loopbackToo(with(cfg, cfg.Gateways)))
	p.await(t, post(t, p.url+"/send_message", messageFor("name", "x")), "delivered")
	p.declares(t, "literal", quotedURL(inside.url), http.StatusCreated)
	cfg.Delivery.APINetworks = nil
	p.apply(t, cfg)
	p.await(t, post(t, p.url+"/send_message", messageFor("literal", "x")), "failed")
}

func TestBadDeclarationsOverTheAPI(t *testing.T) {
	t.Parallel()
	p := start(t, settings(t), nil)
	secret := writeFile(t, "secret", "canary")
	for _, c := range []struct {
		body   string
		status int
		says   string
	}{
		{`{"name":"x"}`, 422, `"pointer":"/url","code":"required"`},
		{`{"name":"x","url":"https://h/","canary":1}`, 422, `"pointer":"","code":"unknown_field"`},
		{`{"name":"x","url":{"file":"` + secret + `"}}`, 422, `"pointer":"/url"`},
		{`{"name":"x","url":"https://h/","headers":{"A":{"env":"HOME"}}}`, 422, `"pointer":"/headers/A"`},
		{`{"name":"x","url":"https://h/{{canary}}"}`, 422, `"pointer":"/url"`},
		{`{"name":"x","url":"https://h/","body":{"json":{"a":"{{"}}}`, 422, `"pointer":"/body/json/a"`},
		{`{"name":"x","url":"https://h/","auth":{"bearer":"a","basic":{"user":"canary","password":"canary"}}}`, 422, `"pointer":"/auth"`},
		{`{"name":"x","url":"https://h/","success":{"status":[404]}}`, 422, `"pointer":"/success/status`},
		{`{"name":"x","url":"https://h/","body":{"json":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}}`, 422, "nested"},
		{`{"name":"x","url":"https://h/","body":{"json":` + strings.Repeat("[", 20_000), 400, "malformed-json"},
		{`{"name":"x","url":"https://h/","body":{"text":"` + strings.Repeat("x", 300<<10) + `"}}`, 413, "body-too-large"},
		{`{"name":"x","url":"https://h/","body":{"text":"` + strings.Repeat("x", 200<<10) + `"}}`, 422, `"pointer":"/body/text"`},
		{`{"name":"X","url":"https://h/"}`, 422, `"pointer":"/name"`},
		{`[]`, 422, `"pointer":""`},
		{`canary`, 400, "malformed-json"},
	} {
		a := ask(t, http.MethodPost, p.url+"/api/v1/gateways", c.body)
		if a.status != c.status || !strings.Contains(a.body, c.says) || strings.Contains(a.body, "canary") {
			t.Errorf("POST %.80s = %d %s, want %d with %s", c.body, a.status, a.body, c.status, c.says)
		}
	}
	if got := p.shownGateways(t); len(got) != 0 {
		t.Errorf("the gateways are %v, want none", got)
	}
	if text := p.log.String(); strings.Contains(text, "canary") {
		t.Errorf("a value is in the log:\n%s", text)
	}
}

// What was acknowledged is there after kill -9, and its secrets are nowhere.
func TestGatewaysOverTheAPISurviveAKill(t *testing.T) {
	t.Parallel()
	chat, nobody := newGateway(t, saying(http.StatusUnauthorized)), "http://127.0.0.1:"+freePort(t)
	file := writeFile(t, "config.yaml", `
log: {level: debug, access: true}
delivery: {interval: 50ms, allow_short_interval: true, max_attempts: 2, timeout: 2s, api_networks: [127.0.0.0/8]}
routes: [{match: {event_type: "canary_*"}, gateway: chat, message: x}]
`)
	store := t.TempDir()
	// A route to what is declared nowhere is a mistake, once the store is asked.
	code, _, errs := runChild(t, append([]string{"serve"}, inStore(store, "--config", file)[1:]...))
	if code != exitUsage || !strings.Contains(errs, "routes[0].gateway: ") {
		t.Fatalf("serve = %d %s, want 2 and routes[0].gateway", code, errs)
	}
	bare := writeFile(t, "bare.yaml", strings.Split(string(must(os.ReadFile(file))), "routes:")[0])
	p := startChild(t, binary(t), inStore(store, "--config", bare))
	url := p.listening(t)
	var shown strings.Builder
	see := func(method, path, body string, status int) {
		t.Helper()
		a := ask(t, method, url+path, body)
		shown.WriteString(a.body)
		for name, values := range a.header {
			shown.WriteString(name + strings.Join(values, " "))
		}
		if a.status != status {
			t.Fatalf("%s %s = %d %s, want %d", method, path, a.status, a.body, status)
		}
	}
	declaration := `{"url":"` + chat.url + `/canary-path?canary=canary-query","headers":{"Authorization":"Bearer canary-token","X-Any":"canary-any"},"query":{"a":"canary-field"},
		"settings":{"text":"canary-setting"},"body":{"json":{"a":"{{settings.text}}"}},"keep_answer":true}`
	see("PUT", "/api/v1/gateways/chat", declaration, 201)
	see("POST", "/api/v1/gateways", `{"name":"nobody","url":"`+nobody+`/canary-path","auth":{"basic":{"user":"canary-user","password":"canary-password"}}}`, 201)
	see("PUT", "/api/v1/gateways/gone", quotedURL(nobody+"/canary"), 201)
	see("DELETE", "/api/v1/gateways/gone", "", 204)
	see("PUT", "/api/v1/gateways/bad", `{"url":"https://canary-user:canary-password@h/{{nothing}}","headers":{"X":"canary {{nothing}}"}}`, 422)
	p.kill(t)

	again := startChild(t, binary(t), inStore(store, "--config", file))
	url = again.listening(t)
	see("GET", "/api/v1/gateways/gone", "", 404)
	see("DELETE", "/api/v1/gateways/chat", "", 409)
	for _, gateway := range []string{"chat", "nobody"} {
		id := post(t, url+"/send_message", messageFor(gateway, "text"))
		eventually(t, "message "+id+" has failed", func() bool {
			return strings.Contains(ask(t, http.MethodGet, url+"/api/v1/messages/"+id, "").body, `"state":"failed"`)
		})
	}
	post(t, url+"/event", `{"event_type":"canary_x","event_payload":""}`)
	eventually(t, "the routed message came", func() bool { return len(chat.seen()) >= 3 })
	for _, path := range []string{"/api/v1/gateways", "/api/v1/gateways/chat", "/api/v1/gateways/nobody", "/api/v1/messages", "/metrics", "/readyz"} {
		see("GET", path, "", 200)
	}
	see("POST", "/api/v1/gateways/chat/render", `{"message":"x"}`, 200)
	see("POST", "/api/v1/gateways/chat/test", `{"message":"x"}`, 200)
	see("POST", "/api/v1/gateways/nobody/test", `{"message":"x"}`, 200)
	see("POST", "/api/v1/reload", "", 200)
	if code := again.end(t); code != exitClean {
		t.Errorf("exited with %d, want 0", code)
	}
	for where, text := range map[string]string{"answers": shown.String(), "log": p.log.String() + again.log.String(), "output": p.out.String() + again.out.String()} {
		if i := strings.Index(text, "canary"); i >= 0 {
			t.Errorf("a secret is shown in the %s: …%s…", where, text[max(0, i-300):min(i+100, len(text))])
		}
	}
	if seen := chat.seen(); seen[0].header.Get("Authorization") != "Bearer canary-token" || !sameJSON(seen[0].body, `{"a":"canary-setting"}`) {
		t.Errorf("the gateway got %+v, want it with its secrets", seen[0])
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// What an earlier version took and this one does not is parked, whatever it is.
func TestDeclarationsThatCannotBeUsedAnyMore(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, saying(200))
	cfg := loopbackToo(settings(t))
	store, err := badger.Open(badger.Options{
		Path: cfg.Storage.Path, MinFree: int64(cfg.Storage.MinFree), Memtable: int64(cfg.Storage.Memtable),
		Clock: badger.SystemClock(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	b := &data.Batch{Saves: []*data.Save{{Messages: []data.NewMessage{{Gateway: "later", Text: "x"}}}}}
	for name, declaration := range map[string]string{
		"good": quotedURL(gateway.url), "later": `{"url":"https://h/","invented":{"canary":1}}`, "template": `{"url":"https://h/{{canary}}"}`,
		"preset": `{"preset":"no-such"}`, "nonsense": "canary", "list": "[]", "nothing": "",
	} {
		b.Declares = append(b.Declares, &data.Declare{Gateway: name, Declaration: []byte(declaration)})
	}
	if err := store.Apply(b); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	p := start(t, cfg, nil)
	p.await(t, post(t, p.url+"/send_message", messageFor("good", "x")), "delivered")
	for _, name := range []string{"later", "template", "preset", "nonsense", "list", "nothing"} {
		var g declaredGateway
		if get(t, p.url+"/api/v1/gateways/"+name, &g); !g.Declared || g.Origin != "api" || g.Problem == "" || g.Problem[0] == ':' {
			t.Errorf("%s is shown as %+v, want a problem", name, g)
		}
		if a := ask(t, http.MethodPost, p.url+"/api/v1/gateways/"+name+"/test", `{"message":"x"}`); a.status != http.StatusConflict {
			t.Errorf("test of %s = %d, want 409", name, a.status)
		}
	}
	if n := len(p.log.lines("a gateway that was declared over the API cannot be used, its messages are parked")); n < 6 {
		t.Errorf("the log has %d of them, want each", n)
	}
	// Declared anew, it goes on.
	p.declares(t, "later", quotedURL(gateway.url), http.StatusOK)
	eventually(t, "the message that was parked is delivered", func() bool { return p.lane(t, "later").Counts["delivered"] == 1 })
	p.undeclares(t, "nonsense", http.StatusNoContent)
	if text := p.log.String(); strings.Contains(strings.ReplaceAll(text, "invented.canary", ""), "canary") {
		t.Errorf("a value is in the log:\n%s", text)
	}
}

// One more costs the same, however many there are.
func TestManyGatewaysOverTheAPI(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	p := start(t, settings(t), nil)
	const n, step = 5000, 1000
	var took []time.Duration
	for i := 0; i < n; i += step {
		began := time.Now()
		for j := range step {
			body := fmt.Sprintf(`{"name":"gateway_%d","preset":"telegram","settings":{"token":"12:%d","chat_id":"1"}}`, i+j, i+j)
			if a := ask(t, http.MethodPost, p.url+"/api/v1/gateways", body); a.status != http.StatusCreated {
				t.Fatalf("POST %s = %d %s", body, a.status, a.body)
			}
		}
		took = append(took, time.Since(began))
	}
	t.Logf("%d gateways, each %d in %v", n, step, took)
	if took[len(took)-1] > 4*took[0]+time.Second {
		t.Errorf("the last %d took %v, the first %v", step, took[len(took)-1], took[0])
	}
	if got := len(p.pages(t, "gateways")); got != n {
		t.Errorf("%d gateways are listed, want %d", got, n)
	}
	if err := p.stop(t); err != nil {
		t.Fatal(err)
	}
}

// pages returns the names on all pages of a list.
func (p *instance) pages(t *testing.T, list string) (names []string) {
	t.Helper()
	for after := ""; ; {
		var page struct {
			Gateways []struct{ Name string }
			Next     *string
		}
		get(t, p.url+"/api/v1/"+list+"?after="+after, &page)
		for _, g := range page.Gateways {
			names = append(names, g.Name)
		}
		if page.Next == nil {
			return names
		}
		after = *page.Next
	}
}
