package httpapi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

func TestGatewaysAreDeclared(t *testing.T) {
	store := newStore()
	tr := &transcript{tb: t, server: newServer(t, store)}
	tr.do("one is made", "POST", "/api/v1/gateways", ` { "url" : "https://example.org/\u00e9?key=canary" , "name" : "sms" , "rate" : 1.50 } `)
	if got := store.declared["sms"]; got != `{"url":"https://example.org/é?key=canary","rate":1.50}` && got != `{"url":"https://example.org/\u00e9?key=canary","rate":1.50}` {
		t.Errorf("declared is %s", got)
	}
	tr.do("there is one", "POST", "/api/v1/gateways", `{"name":"sms","url":"https://example.org/"}`)
	tr.do("it is replaced", "PUT", "/api/v1/gateways/sms", `{"url":"https://example.org/canary",  "headers":{"b":"1","a":"2"}}`)
	tr.do("one is made by name", "PUT", "/api/v1/gateways/chat", `{"preset":"telegram"}`)
	tr.do("it is shown", "GET", "/api/v1/gateways/chat", "")
	tr.do("it is deleted", "DELETE", "/api/v1/gateways/chat", "")
	tr.do("it is gone", "DELETE", "/api/v1/gateways/chat", "")
	tr.do("no name", "POST", "/api/v1/gateways", `{"url":"https://example.org/"}`)
	tr.do("nothing but a name", "POST", "/api/v1/gateways", `{"name":"bare"}`)
	tr.do("null for a name", "POST", "/api/v1/gateways", `{"name":null}`)
	tr.do("a number for a name", "POST", "/api/v1/gateways", `{"name":7}`)
	tr.do("a bad name", "POST", "/api/v1/gateways", `{"name":"Canary"}`)
	tr.do("a bad name in the path", "PUT", "/api/v1/gateways/Canary", `{}`)
	tr.do("a bad name to delete", "DELETE", "/api/v1/gateways/Canary", "")
	tr.do("of the configuration: make", "POST", "/api/v1/gateways", `{"name":"gateway_1"}`)
	tr.do("of the configuration: replace", "PUT", "/api/v1/gateways/gateway_1", `{}`)
	tr.do("of the configuration: delete", "DELETE", "/api/v1/gateways/gateway_1", "")
	tr.do("no JSON", "POST", "/api/v1/gateways", `{"name":`)
	tr.do("a name twice", "PUT", "/api/v1/gateways/x", `{"a":{"b":1,"b":2}}`)
	tr.do("two values", "PUT", "/api/v1/gateways/x", `{} {}`)
	tr.do("nothing", "PUT", "/api/v1/gateways/x", "")
	tr.do("no object", "PUT", "/api/v1/gateways/x", `["canary"]`)
	tr.do("compressed", "PUT", "/api/v1/gateways/x", `{}`, "Content-Encoding: gzip")
	store.faults = []Fault{{"/headers/X-A", CodeInvalid, "Expected text."}, {"", CodeUnknownField, "There is no such key."}}
	tr.do("mistakes", "POST", "/api/v1/gateways", `{"name":"x"}`)
	store.faults = nil
	for _, err := range []error{data.ErrRouted, data.ErrTooMany, data.ErrNoSpace, data.ErrTooLarge, data.ErrNoAnswer, data.ErrStorage, errors.New("a bug at /var/secret")} {
		store.refusal = err
		tr.do(strings.Split(err.Error(), " at ")[0], "PUT", "/api/v1/gateways/x", `{}`)
	}
	store.refusal = data.ErrRouted
	tr.do("deleting: a route names it", "DELETE", "/api/v1/gateways/sms", "")
	tr.compare("declare")
	if got := fmt.Sprint(store.declared); got != `map[bare:{} chat:{"preset":"telegram"} sms:{"url":"https://example.org/canary","headers":{"b":"1","a":"2"}}]` {
		t.Errorf("declared is %s", got)
	}
	if text := tr.text.String(); strings.Count(text, "canary") != 3 || strings.Contains(text, "/var/") {
		t.Errorf("an answer has a value in it, or something of ours:\n%s", text)
	}
}

func TestNothingIsDeclaredWhileNothingIsTaken(t *testing.T) {
	store := newStore()
	if created, _, err := store.Declare(deadlined(t), "sms", nil, true); !created || err != nil {
		t.Fatal(created, err)
	}
	server := newServer(t, store, func(o *Options) { o.Accepting = func() error { return data.ErrNoSpace } })
	for _, c := range []struct {
		method, path string
		want         int
	}{{"POST", "/api/v1/gateways", 503}, {"PUT", "/api/v1/gateways/x", 503}, {"DELETE", "/api/v1/gateways/sms", 204}} {
		if got := do(t, server, c.method, c.path, `{"name":"x"}`); got.status != c.want {
			t.Errorf("%s %s = %d %s; want %d", c.method, c.path, got.status, got.body, c.want)
		}
	}
}

func deadlined(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// Whatever is wrong with a large body, it is refused for that and soon.
func TestDeclarationsAreBounded(t *testing.T) {
	store := newStore()
	server := newServer(t, store)
	deep := strings.Repeat(`[`, 100_000) + strings.Repeat(`]`, 100_000)
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"deep": {`{"name":"x","body":` + deep + `}`, 400},
		"wide": {`{"name":"x","body":[` + strings.Repeat(`{},`, 60_000) + `{}]}`, 201},
	} {
		began := time.Now()
		got := do(t, server, "POST", "/api/v1/gateways", c.body)
		if took := time.Since(began); got.status != c.want || took > 5*time.Second {
			t.Errorf("%s: %d %s after %v; want %d", name, got.status, got.body, took, c.want)
		}
	}
	var faults []Fault
	for i := range 3 * maxFindings {
		faults = append(faults, Fault{fmt.Sprint("/headers/", i), CodeInvalid, "No."})
	}
	store.faults = faults
	if a := parse(t, do(t, server, "PUT", "/api/v1/gateways/y", `{}`).body); len(a.Errors) != maxFindings {
		t.Errorf("%d errors are listed; want %d", len(a.Errors), maxFindings)
	}
}

func TestReloadAnswers(t *testing.T) {
	store := newStore()
	applied, refused := noon, time.Time{}
	tr := &transcript{tb: t, server: newServer(t, store, func(o *Options) {
		o.ConfigState = func() ConfigSummary { return ConfigSummary{AppliedAt: applied, RefusedAt: refused} }
	})}
	answers := func(r Reloaded, faults []KeyFault, err error) {
		store.reload = func(ctx context.Context) (Reloaded, []KeyFault, error) {
			if _, ok := ctx.Deadline(); !ok {
				return r, nil, errors.New("no deadline")
			}
			return r, faults, err
		}
	}
	answers(Reloaded{Added: 1, Changed: 2, Removed: 3, Gateways: 4, Routes: 5, NeedsRestart: []string{"http.port"}}, nil, nil)
	tr.do("applied", "POST", "/api/v1/reload", "")
	answers(Reloaded{}, nil, nil)
	tr.do("nothing to do, and a body that nobody reads", "POST", "/api/v1/reload", `{"canary":1}`)
	tr.do("ready", "GET", "/readyz", "")
	refused = noon.Add(time.Minute)
	answers(Reloaded{}, []KeyFault{{"gateways.x.url", "Expected an absolute URL."}, {"http.port", "Is not a known key."}}, nil)
	tr.do("mistakes", "POST", "/api/v1/reload", "")
	tr.do("ready all the same", "GET", "/readyz", "")
	for _, err := range []error{ErrReloading, ErrUnreadable, data.ErrStopping} {
		answers(Reloaded{}, nil, fmt.Errorf("read /etc/secret: %w", err))
		tr.do(err.Error(), "POST", "/api/v1/reload", "")
	}
	many := make([]KeyFault, 3*maxFindings)
	answers(Reloaded{}, many, nil)
	if a := parse(t, do(t, tr.server, "POST", "/api/v1/reload", "").body); len(a.Errors) != maxFindings {
		t.Errorf("%d errors are listed; want %d", len(a.Errors), maxFindings)
	}
	tr.compare("reload")
	if strings.Contains(tr.text.String(), "secret") {
		t.Error("something of ours is in an answer")
	}
}

// The end of the server is the end of a reload that somebody waits for.
func TestReloadEndsWithTheServer(t *testing.T) {
	store := newStore()
	begun := make(chan struct{})
	store.reload = func(ctx context.Context) (Reloaded, []KeyFault, error) {
		close(begun)
		<-ctx.Done()
		return Reloaded{}, nil, data.ErrStopping
	}
	server := newServer(t, store)
	answered := make(chan reply, 1)
	go func() { answered <- do(t, server, "POST", "/api/v1/reload", "") }()
	<-begun
	if err := server.Shutdown(deadlined(t)); err != nil {
		t.Errorf("Shutdown() = %v", err)
	}
	select {
	case got := <-answered:
		if got.status != 503 {
			t.Errorf("reload = %d %s; want 503", got.status, got.body)
		}
	case <-deadlined(t).Done():
		t.Error("the reload goes on")
	}
}

func TestWhatIsNotThereIsNotServed(t *testing.T) {
	server := newServer(t, newStore(), func(o *Options) { o.Declarer, o.Reloader = nil, nil })
	for _, c := range []struct{ method, path string }{{"POST", "/api/v1/gateways"}, {"PUT", "/api/v1/gateways/x"}, {"DELETE", "/api/v1/gateways/x"}} {
		if got := do(t, server, c.method, c.path, "{}"); got.status != 405 {
			t.Errorf("%s %s = %d; want 405", c.method, c.path, got.status)
		}
	}
	if got := do(t, server, "POST", "/api/v1/reload", ""); got.status != 404 {
		t.Errorf("POST /api/v1/reload = %d; want 404", got.status)
	}
	if got := do(t, server, "GET", "/readyz", ""); got.body != `{"status":"ready"}` {
		t.Errorf("GET /readyz = %s", got.body)
	}
}
