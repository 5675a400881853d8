package main

import (
	"bufio"
	"context"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/postrider/postrider/config"
)

// nightingale stands in everything that messages and events say; the secrets have
// "canary".
const nightingale = "nightingale"

// Keys of one who may see what there is, but not what it says, of one who may also act
// on it, of one who may see all that, and of one who may do everything.
const (
	readerKey   = "canary-read-0123456789"
	operatorKey = "canary-operate-0123456789"
	insiderKey  = "canary-content-0123456789"
	everyKey    = "canary-admin-0123456789"
)

func bearing(key string) []string { return []string{"Authorization", "Bearer " + key} }

// secretive is a process with a secret wherever one may stand, with mistakes in what its
// next reload reads.
func secretive(t *testing.T, address, failing string) *instance {
	t.Helper()
	gateways := secretAuths(address)
	gateways["fails"] = map[string]any{"url": map[string]any{"file": writeFile(t, "url", failing+"/fails/canary-path?k=canary")}, "headers": map[string]any{"X-Secret": "canary-header"}}
	gateways["set"] = map[string]any{
		"url": address + "/set/{{settings.token}}", "settings": map[string]any{"token": map[string]any{"file": writeFile(t, "token", "canary-token")}},
	}
	gateways["nobody"] = map[string]any{"url": map[string]any{"file": writeFile(t, "url", "http://127.0.0.1:"+freePort(t)+"/canary?k=canary")}}
	for _, g := range gateways {
		g.(map[string]any)["keep_answer"] = true
		g.(map[string]any)["max_attempts"] = 2
		if g.(map[string]any)["preset"] == nil {
			g.(map[string]any)["body"] = map[string]any{"json": map[string]any{"a": "{{message}}", "b": "{{?to}}", "c": "{{?title}}", "d": "{{?params.x}}"}}
		}
	}
	key := func(name, secret string, scopes ...string) map[string]any {
		return map[string]any{"name": name, "file": writeFile(t, name, secret), "scopes": scopes}
	}
	text, err := yaml.Marshal(map[string]any{
		"log": map[string]any{"level": "debug", "access": true},
		"http": map[string]any{"keys": []any{
			key("reader", readerKey, "read"), key("operator", operatorKey, "operate"), key("insider", insiderKey, "read:content", "operate"), key("admin", everyKey, "admin"),
		}},
		"delivery": map[string]any{"interval": "50ms", "allow_short_interval": true, "timeout": "5s"},
		"gateways": gateways,
		"routes":   []any{map[string]any{"match": map[string]any{"event_type": "*"}, "gateway": "named", "message": "{{event_payload}}"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := read(t, string(text))
	if err != nil {
		t.Fatal(err)
	}
	tempered := settings(t)
	cfg.HTTP.Port, cfg.HTTP.Drain, cfg.Storage = tempered.HTTP.Port, tempered.HTTP.Drain, tempered.Storage
	loopbackToo(cfg)
	return startWith(t, cfg, runOptions{load: func() (*config.Config, error) {
		next := with(cfg, maps.Clone(cfg.Gateways))
		next.Gateways["wrong"] = at("http://canary:canary@127.0.0.1/{{canary}}")
		return next, nil
	}})
}

// operations lists what the document of the API has, as method and path.
func operations(t *testing.T) (all [][2]string) {
	t.Helper()
	var doc struct{ Paths map[string]map[string]any }
	if err := yaml.Unmarshal([]byte(deployed(t, "http", "openapi.yaml")), &doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method := range methods {
			all = append(all, [2]string{strings.ToUpper(method), path})
		}
	}
	slices.SortFunc(all, func(a, b [2]string) int { return strings.Compare(a[1]+a[0], b[1]+b[0]) })
	if len(all) < 30 {
		t.Fatalf("the document has only %d operations", len(all))
	}
	return all
}

// glance reads an answer, of one without an end what comes until it has told something.
func glance(t *testing.T, url string, headers ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	got, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	defer func() { _ = got.Body.Close() }()
	if !strings.HasPrefix(got.Header.Get("Content-Type"), "text/event-stream") {
		b, err := io.ReadAll(got.Body)
		if err != nil {
			t.Fatalf("GET %s: %v", url, err)
		}
		return answer{got.StatusCode, got.Header, string(b)}
	}
	var said strings.Builder
	for lines := bufio.NewScanner(got.Body); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "data:") {
			break
		}
	}
	return answer{got.StatusCode, got.Header, said.String()}
}

// filled are the addresses of a path of the document.
func filled(path string, gateways, events, messages []string) []string {
	ids := messages
	if strings.Contains(path, "/events/") {
		ids = events
	}
	for name, values := range map[string][]string{"{name}": gateways, "{id}": ids, "{profile}": {"cmdline", "goroutine?debug=2", "heap?debug=1"}} {
		if !strings.Contains(path, name) {
			continue
		}
		var all []string
		for _, v := range values {
			all = append(all, strings.Replace(path, name, v, 1))
		}
		return all
	}
	return []string{path}
}

// links of a page lead to others of ours.
var links = regexp.MustCompile(`(?:href|action)="(/[^"]*)"`)

// crawl looks at each page that those before lead to.
func crawl(t *testing.T, url, key string, from ...string) map[string]string {
	t.Helper()
	cookie := logIn(t, url, key)
	pages, waiting := map[string]string{}, append([]string{"/"}, from...)
	for len(waiting) > 0 && len(pages) < 300 {
		path := waiting[0]
		waiting = waiting[1:]
		if _, seen := pages[path]; seen || strings.HasPrefix(path, "/logout") || strings.HasPrefix(path, "/assets/") {
			continue
		}
		pages[path] = glance(t, url+path, "Cookie", cookie).body
		for _, link := range links.FindAllStringSubmatch(pages[path], -1) {
			waiting = append(waiting, html.UnescapeString(link[1]))
		}
	}
	return pages
}

// wantNone fails for a text that has what it must not.
func wantNone(t *testing.T, where, text string, not ...string) {
	t.Helper()
	for _, canary := range not {
		if at := strings.Index(text, canary); at >= 0 {
			t.Errorf("%s shows %s: …%s…", where, canary, text[max(0, at-200):min(at+100, len(text))])
		}
	}
}

// What messages and events say is shown to nobody without read:content, and secrets to
// nobody at all, wherever one looks and whatever goes wrong. New operations and pages
// are looked at without anybody's doing.
func TestCanaries(t *testing.T) {
	t.Parallel()
	g, failing := newEcho(t), newTalkative(t)
	p := secretive(t, g.url, failing.url)
	secrets := canaries()
	both := append([]string{nightingale}, secrets...)

	over := `{"url": "` + g.url + `/over-api/canary-over", "keep_answer": true, "auth": {"bearer": "canary-over"}, "body": {"json": {"a": "{{message}}"}}}`
	wantNone(t, "PUT of a gateway", ask(t, http.MethodPut, p.url+"/api/v1/gateways/made", over, bearing(everyKey)...).body, both...)

	// Accept, deliver, fail, try again.
	body := func(gateway string) string {
		return quoted(map[string]any{"gateway": gateway, "message": nightingale + " fail", "to": nightingale, "title": nightingale, "params": map[string]string{"x": nightingale}})
	}
	var events, messages []string
	for range 2 {
		events = append(events, post(t, p.url+"/event", quoted(map[string]string{"event_type": "song", "event_payload": nightingale}), bearing(everyKey)...))
	}
	gateways := []string{"made", "fails", "nobody", "set", "over"}
	for name := range secretAuths(g.url) {
		gateways = append(gateways, name)
	}
	slices.Sort(gateways)
	gateways = slices.Compact(gateways)
	var dead string
	for _, name := range gateways {
		a := ask(t, http.MethodPost, p.url+"/send_message", body(name), bearing(everyKey)...)
		wantNone(t, "POST /send_message for "+name, a.body, both...)
		var given struct{ ID string }
		a.decode(t, &given)
		messages = append(messages, given.ID)
		if name == "fails" {
			dead = given.ID
		}
	}
	for _, id := range messages {
		eventually(t, "message "+id+" has ended", func() bool {
			var m message
			ask(t, http.MethodGet, p.url+"/api/v1/messages/"+id, "", bearing(everyKey)...).decode(t, &m)
			return m.State == "delivered" || m.State == "failed"
		})
	}
	// Render, test: these show the caller what he said himself.
	for _, name := range gateways {
		for _, what := range []string{"render", "test"} {
			wantNone(t, what+" of "+name, ask(t, http.MethodPost, p.url+"/api/v1/gateways/"+name+"/"+what, `{"message": "`+nightingale+`"}`, bearing(operatorKey)...).body, secrets...)
		}
	}
	// What acts on what there is.
	for _, do := range [][2]string{
		{"/api/v1/reload", ""},
		{"/api/v1/messages/resend", `{"gateway": "fails", "dry_run": true}`},
		{"/api/v1/messages/" + dead + "/resend", ""},
		{"/api/v1/messages/" + dead + "/cancel", ""},
		{"/api/v1/gateways/fails/pause", ""},
		{"/api/v1/gateways/fails/resume", ""},
	} {
		wantNone(t, "POST "+do[0], ask(t, http.MethodPost, p.url+do[0], do[1], bearing(operatorKey)...).body, both...)
	}

	// Every GET operation.
	shows := map[string]bool{}
	for _, o := range operations(t) {
		if o[0] != http.MethodGet || o[1] == "/api/v1/backup" {
			continue
		}
		for _, path := range filled(o[1], gateways, events, messages) {
			for _, key := range []string{readerKey, operatorKey, insiderKey, everyKey} {
				a := glance(t, p.url+path, append(bearing(key), "Last-Event-ID", events[0])...)
				where := fmt.Sprintf("GET %s with %s", path, key[len("canary-"):])
				wantNone(t, where, strings.ReplaceAll(a.body+fmt.Sprint(a.header), "canary_test", ""), secrets...)
				switch {
				case key == readerKey || key == operatorKey:
					wantNone(t, where, a.body, nightingale)
				case key == insiderKey && strings.Contains(a.body, nightingale):
					shows[o[1]] = true
				}
			}
		}
	}
	for _, path := range []string{"/api/v1/events", "/api/v1/events/tail", "/api/v1/events/{id}", "/api/v1/messages", "/api/v1/messages/{id}"} {
		if !shows[path] {
			t.Errorf("GET %s does not show what events and messages say to one with read:content", path)
		}
	}

	// Every page.
	from := []string{"/messages/" + dead, "/events/" + events[0], "/gateways/made", "/messages?state=dead", "/config", "/events"}
	for _, key := range []string{readerKey, operatorKey} {
		pages := crawl(t, p.url, key, from...)
		for path, text := range pages {
			wantNone(t, "page "+path, text, both...)
		}
		if len(pages) < 15 {
			t.Errorf("there are only %d pages", len(pages))
		}
	}
	told := 0
	for path, text := range crawl(t, p.url, insiderKey, from...) {
		wantNone(t, "page "+path, text, secrets...)
		if strings.Contains(text, nightingale) {
			told++
		}
	}
	if told < 3 {
		t.Errorf("%d pages show what messages say to one with read:content", told)
	}

	// Every operation, asked for nonsense.
	for _, o := range operations(t) {
		for _, nonsense := range []string{
			`{"` + nightingale + `": "canary"}`, `["canary"`, `"` + nightingale + `"`, `{"message": {"canary": 1}, "gateway": "` + nightingale + `"}`,
			`{"event_type": 1, "event_payload": ["` + nightingale + `"], "canary": {}}`,
		} {
			path := regexp.MustCompile(`{[a-z]+}`).ReplaceAllString(o[1], nightingale) + "?canary=canary&limit=canary&after=" + nightingale
			headers := append(bearing(everyKey), "Idempotency-Key", "canary "+nightingale, "X-Request-Id", "canary "+nightingale)
			if o[0] == http.MethodGet {
				nonsense = ""
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			a, err := request(ctx, o[0], p.url+path, nonsense, headers...)
			cancel()
			if err != nil {
				t.Fatalf("%v %s: %v", o, nonsense, err)
			}
			if a.status >= 400 {
				wantNone(t, fmt.Sprintf("%v %s = %d", o, nonsense, a.status), a.body+fmt.Sprint(a.header), both...)
			}
		}
	}

	// A backup has what they say, and the secrets of gateways over the API, but no others.
	backup := glance(t, p.url+"/api/v1/backup", bearing(everyKey)...).body
	if !strings.Contains(backup, nightingale) || !strings.Contains(backup, "canary-over") {
		t.Error("the backup lacks what messages say, or a gateway over the API")
	}
	wantNone(t, "the backup", strings.ReplaceAll(backup, "canary-over", ""), secrets...)

	if err := p.stop(t); err != nil {
		t.Fatal(err)
	}
	log := p.log.String()
	if !strings.Contains(log, `"level":"DEBUG"`) || !strings.Contains(log, "attempt failed") {
		t.Error("the log has too little in it")
	}
	wantNone(t, "the log", log, both...)
	if heard := g.heard("over-api"); !strings.Contains(heard, "canary-over") || !strings.Contains(heard, nightingale) {
		t.Errorf("the gateway over the API got %s", heard)
	}
}
