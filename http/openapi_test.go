package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/openapi"
)

// theDocument is read once: every answer of the tests is held against it.
var theDocument = sync.OnceValues(func() (*openapi.Document, error) { return openapi.Read(contract) })

func openDocument(tb testing.TB) *openapi.Document {
	tb.Helper()
	d, err := theDocument()
	if err != nil {
		tb.Fatalf("read openapi.yaml: %v", err)
	}
	return d
}

// checked is a reply as the document is asked about it.
func (r reply) checked() openapi.Answer {
	return openapi.Answer{Status: r.status, Header: r.header, Body: r.body}
}

// wantDocumented fails the test for an answer that is not as documented.
func wantDocumented(tb testing.TB, method, target string, got reply) {
	tb.Helper()
	path, _, _ := strings.Cut(target, "?")
	if method == "HEAD" {
		got.body = ""
	}
	if err := openDocument(tb).Check(method, path, got.checked()); err != nil {
		tb.Errorf("%s %s = %d %s is not as documented: %v", method, target, got.status, short(got.body), err)
	}
}

// TestDocumentHasEveryRoute compares the document with the table of routes.
func TestDocumentHasEveryRoute(t *testing.T) {
	d := openDocument(t)
	served := make(map[openapi.Operation]Scope)
	server := newServer(t, newStore(), declared, func(o *Options) { o.Demo, o.Metrics = true, metrics("") })
	for _, r := range server.table() {
		if openapi.OfPages(r.path) {
			continue
		}
		path := strings.NewReplacer(":id", "{id}", ":name", "{name}", ":profile", "{profile}").Replace(r.path)
		served[openapi.Operation{Method: r.method, Path: path}] = r.needs
	}
	for _, o := range d.Operations() {
		needs, ok := served[o]
		if !ok {
			t.Errorf("%s %s is documented and not served", o.Method, o.Path)
		}
		if said := d.Description(o); needs != needsNothing && !strings.Contains(said, "Scope: `"+string(needs)+"`.") {
			t.Errorf("%s %s needs %s, the document says %q", o.Method, o.Path, needs, said)
		}
		delete(served, o)
	}
	for o := range served {
		t.Errorf("%s %s is served and not documented", o.Method, o.Path)
	}
	if got := do(t, server, "GET", "/openapi.yaml", ""); got.status != 200 || got.body != string(contract) {
		t.Errorf("GET /openapi.yaml = %d with %d bytes, want %d", got.status, len(got.body), len(contract))
	}
}

// TestDocumentHasEveryWord compares the closed lists.
func TestDocumentHasEveryWord(t *testing.T) {
	d := openDocument(t)
	list := func(pointer string) (words []string) {
		values, _ := d.At(pointer)
		for _, v := range values.([]any) {
			words = append(words, v.(string))
		}
		slices.Sort(words)
		return words
	}
	var states, causes []string
	for _, s := range data.AllStates() {
		states = append(states, s.String())
	}
	for _, c := range data.Causes() {
		causes = append(causes, string(c))
	}
	for pointer, want := range map[string][]string{"components/schemas/State/enum": states, "components/schemas/Cause/enum": causes} {
		slices.Sort(want)
		if got := list(pointer); !slices.Equal(got, want) {
			t.Errorf("%s is %q, want %q", pointer, got, want)
		}
	}
}

// TestCheckFindsWhatIsNotDocumented has answers that are wrong in one way each.
func TestCheckFindsWhatIsNotDocumented(t *testing.T) {
	d := openDocument(t)
	one := reply{201, http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"a"}}, `{"id":"000g000000002"}`}
	tail := reply{200, http.Header{"Content-Type": {"text/event-stream"}, "X-Request-Id": {"a"}}, ": from here on\nid: 000g000000001\n\n" +
		"id: 000g000000002\nevent: event\ndata: {\"id\":\"000g000000002\",\"event_type\":\"a\",\"received_at\":\"2026-03-04T12:00:00Z\"}\n\nid: 000g"}
	for _, c := range []struct {
		method, path string
		right        reply
		wrong        map[string]func(*reply)
	}{
		{"POST", "/event", one, map[string]func(*reply){
			"a field more":       func(r *reply) { r.body = `{"id":"000g000000002","x":1}` },
			"a field less":       func(r *reply) { r.body = `{}` },
			"a wrong type":       func(r *reply) { r.body = `{"id":1}` },
			"a wrong id":         func(r *reply) { r.body = `{"id":"x"}` },
			"another status":     func(r *reply) { r.status = 202 },
			"no such header":     func(r *reply) { r.header = http.Header{"Content-Type": {"application/json"}} },
			"another type":       func(r *reply) { r.header = http.Header{"Content-Type": {"text/html"}, "X-Request-Id": {"a"}} },
			"a malformed header": func(r *reply) { r.header = http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"a b"}} },
		}},
		{"GET", "/api/v1/events/tail", tail, map[string]func(*reply){
			"an event with a field more": func(r *reply) { r.body = strings.Replace(r.body, `{"id"`, `{"x":1,"id"`, 1) },
			"an event with a field less": func(r *reply) { r.body = strings.Replace(r.body, `"event_type":"a",`, "", 1) },
			"an event of another id":     func(r *reply) { r.body = strings.Replace(r.body, "id: 000g000000002", "id: 000g000000003", 1) },
			"no id":                      func(r *reply) { r.body = strings.Replace(r.body, "id: 000g000000001\n", "", 1) },
			"another event":              func(r *reply) { r.body = strings.Replace(r.body, "event: event", "event: x", 1) },
		}},
	} {
		if err := d.Check(c.method, c.path, c.right.checked()); err != nil {
			t.Fatalf("a right answer: %v", err)
		}
		for name, wrong := range c.wrong {
			r := c.right
			wrong(&r)
			if d.Check(c.method, c.path, r.checked()) == nil {
				t.Errorf("%s %s: %s is not found", c.method, c.path, name)
			}
		}
	}
}
