package httpapi

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRequestID(t *testing.T) {
	server := newServer(t, newStore())
	for _, id := range []string{"a", "trace-1.2_3", strings.Repeat("x", 64)} {
		if got := do(t, server, "GET", "/healthz", "", "X-Request-Id: "+id).header.Get(requestIDHeader); got != id {
			t.Errorf("request %q is answered as %q", id, got)
		}
	}
	seen := make(map[string]bool)
	for _, id := range []string{"", "", " ", "a b", "<script>", "ä", strings.Repeat("x", 65)} {
		got := do(t, server, "GET", "/nothing", "", "X-Request-Id: "+id).header.Get(requestIDHeader)
		if !validRequestID([]byte(got)) || len(got) > maxRequestName || seen[got] {
			t.Errorf("request %q is answered as %q, want a new name", id, got)
		}
		seen[got] = true
	}
}

func TestEveryAnswerCarriesTheSameHeaders(t *testing.T) {
	server := newServer(t, newStore(), func(o *Options) { o.Metrics = metrics("up 1\n") })
	for _, path := range []string{"/healthz", "/nothing", "/event", "/api/v1/events", "/api/v1/events?x=1", "/metrics"} {
		got := do(t, server, "GET", path, "")
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Server": ""} {
			if got.header.Get(name) != want {
				t.Errorf("GET %s has %s %q, want %q", path, name, got.header.Get(name), want)
			}
		}
	}
}

func TestAccessLog(t *testing.T) {
	lines := &logLines{}
	type seen struct {
		route  string
		status int
	}
	var observed []seen
	server := newServer(t, newStore(), func(o *Options) {
		o.AccessLog = true
		o.Logger = lines.logger()
		o.Keys = []Key{{Name: "k", Secret: "secret-key", Scopes: []Scope{ScopeAdmin}}}
		o.Observe = func(route string, status int, took time.Duration) {
			observed = append(observed, seen{route, status})
			if took != 0 {
				t.Errorf("%s took %v by a clock that stands still", route, took)
			}
		}
	})
	key := "Authorization: Bearer secret-key"
	do(t, server, "POST", "/event", `{"event_type":"secret-type","event_payload":"secret-payload"}`, key, "X-Request-Id: one")
	do(t, server, "GET", "/api/v1/events?event_type=secret-type", "", key, "X-Request-Id: two")
	do(t, server, "GET", "/api/v1/events/secret-id", "", key, "X-Request-Id: three")
	do(t, server, "GET", "/secret-path", "", key, "X-Request-Id: four")
	do(t, server, "SECRET-METHOD", "/event", "", key, "X-Request-Id: five")
	do(t, server, "GET", "/api/v1/messages", "", "X-Request-Id: six")
	want := []seen{{"/event", 201}, {"/api/v1/events", 200}, {"/api/v1/events/:id", 404}, {routeUnmatched, 404}, {routeUnmatched, 405}, {"/api/v1/messages", 401}}
	if len(observed) != len(want) {
		t.Fatalf("observed %v, want %v", observed, want)
	}
	for i := range want {
		if observed[i] != want[i] {
			t.Errorf("answer %d observed as %v, want %v", i, observed[i], want[i])
		}
	}
	log := lines.String()
	if strings.Contains(strings.ToLower(log), "secret") {
		t.Errorf("the log shows what it must not:\n%s", log)
	}
	first, _, _ := strings.Cut(log, "\n")
	if want := `level=INFO msg=request method=POST route=/event status=201 bytes=22 request=one remote=0.0.0.0`; first != want {
		t.Errorf("access log line\n%s, want\n%s", first, want)
	}
	if got := strings.Count(log, "msg=request "); got != 6 {
		t.Errorf("%d access log lines, want 6:\n%s", got, log)
	}
}

func TestPanicEndsTheRequestOnly(t *testing.T) {
	lines := &logLines{}
	store := newStore()
	store.onSave = func(context.Context) error { panic("secret of the process") }
	server := newServer(t, store, func(o *Options) {
		o.Logger = lines.logger()
		o.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("in the collector") })
	})
	for _, r := range []struct{ method, path, body string }{
		{"POST", "/event", `{"event_type":"a","event_payload":"b"}`},
		{"GET", "/metrics", ""},
	} {
		got := do(t, server, r.method, r.path, r.body)
		if got.status != 500 || strings.Contains(got.body, "secret") || got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s that panics = %d %s", r.method, r.path, got.status, got.body)
		}
	}
	if log := lines.String(); strings.Count(log, "level=ERROR") != 2 || !strings.Contains(log, "stack=") {
		t.Errorf("want one line with a stack for each panic:\n%s", log)
	}
}

func TestDemonstrationGateways(t *testing.T) {
	lines := &logLines{}
	server := newServer(t, newStore(), func(o *Options) { o.Demo, o.Logger = true, lines.logger() })
	cases := []struct{ body, want string }{
		{body: `{"message": "hello world"}`, want: `gateway=gateway_1 message="" body="{\"message\": \"hello world\"}"`},
		{body: "two\r\nlines\tand \x1b[31mcolour", want: `body="two  lines and  [31mcolour"`},
		{body: "\xff\xfe", want: "body=\"\uFFFD\"\n"},
		{body: strings.Repeat("ä", 600), want: "body=" + strings.Repeat("ä", 512) + "…\n"},
		{body: "x" + strings.Repeat("ä", 600), want: "body=x" + strings.Repeat("ä", 511) + "…\n"},
		{body: "", want: `body=""`},
	}
	for _, c := range cases {
		lines.b.Reset()
		got := do(t, server, "POST", "/gateway_1", c.body)
		if got.status != 200 || got.body != `{"status":"ok"}` {
			t.Errorf("POST /gateway_1 %q = %d %s", short(c.body), got.status, got.body)
		}
		if log := lines.String(); !strings.Contains(log, c.want) || strings.Count(log, "\n") != 1 {
			t.Errorf("POST /gateway_1 %q logs\n%s, want\n%s", short(c.body), log, c.want)
		}
	}
	lines.b.Reset()
	do(t, server, "POST", "/gateway_2", "x", "Postrider-Message-Id: 000g000000002")
	do(t, server, "POST", "/gateway_2", "x", "Postrider-Message-Id: <script>")
	if log := lines.String(); !strings.Contains(log, "gateway=gateway_2 message=000g000000002 ") || strings.Contains(log, "script") {
		t.Errorf("ids of messages in the log:\n%s", log)
	}
	if got := do(t, server, "GET", "/gateway_1", ""); got.status != 405 {
		t.Errorf("GET /gateway_1 = %d, want 405", got.status)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := New(Options{BodyLimit: -1, Keys: []Key{{Name: "a", Secret: "s", Scopes: []Scope{ScopeAdmin}}, {Name: "a"}}})
	if err == nil {
		t.Fatal("New of nothing = nil error")
	}
	for _, want := range []string{"no Saver", "no Canceller", "no Resender", "no Pauser", "no Reader", "no Gateways", "no Overview", "no Logger", "negative BodyLimit", "Keys[1] has no secret", "Keys[1] has the name"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want also %q", err, want)
		}
	}
}
