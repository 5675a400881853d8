package main

import (
	"bufio"
	"context"
	"html"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

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

// cage is a process with a secret wherever one may stand, and what it was told.
type cage struct {
	*instance
	t    *testing.T
	echo *echo

	gateways         []string // names
	events, messages []string // ids
	dead             string   // the message that failed

	secrets []string
	both    []string // and what messages and events say
}

func newCage(t *testing.T) *cage {
	t.Helper()
	c := &cage{t: t, echo: newEcho(t), secrets: canaries()}
	c.both = append([]string{nightingale}, c.secrets...)
	c.gateways = slices.Collect(maps.Keys(secretAuths(c.echo.url)))
	c.gateways = append(c.gateways, "made", "fails", "nobody", "set")
	slices.Sort(c.gateways)
	c.instance = secretive(t, c.echo.url, newTalkative(t).url)
	return c
}

// secretive is a process with a secret wherever one may stand, with mistakes in what its
// next reload reads.
func secretive(t *testing.T, address, failing string) *instance {
	t.Helper()
	gateways := secretGateways(t, address, failing)
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

// secretGateways declares gateways with a secret wherever one may stand, whose answers are
// kept.
func secretGateways(t *testing.T, address, failing string) map[string]any {
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
	return gateways
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
	return answer{got.StatusCode, got.Header, firstTold(got.Body)}
}

// firstTold is what a tail says until it has told something.
func firstTold(tail io.Reader) string {
	var said strings.Builder
	for lines := bufio.NewScanner(tail); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "data:") {
			break
		}
	}
	return said.String()
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
