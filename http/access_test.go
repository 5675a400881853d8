package httpapi

import (
	"strings"
	"testing"

	"github.com/postrider/postrider/data"
)

func TestKeys(t *testing.T) {
	store := newStore()
	store.events = []data.Event{{ID: 1}}
	store.messages = []data.Message{{ID: 2, State: data.Queued}}
	server := newServer(t, store, func(o *Options) {
		o.Keys = []Key{{Name: "one", Secret: "first-secret", Scopes: []Scope{ScopeAdmin}}, {Name: "two", Secret: "second-secret", Scopes: []Scope{ScopeAdmin}}}
		o.Demo = true
		o.Metrics = metrics("up 1\n")
		o.Version = "1.2.3"
		o.Now = forgetting() // else a few wrong keys are too many
	})
	routes := []struct {
		method, path, body string
		open               bool
		good               int
	}{
		{method: "POST", path: "/event", body: `{"event_type":"a","event_payload":"b"}`, good: 201},
		{method: "POST", path: "/send_message", body: `{"message":"a","gateway":"gateway_1"}`, good: 200},
		{method: "GET", path: "/api/v1/events", good: 200},
		{method: "HEAD", path: "/api/v1/events", good: 200},
		{method: "GET", path: "/api/v1/events/" + data.ID(1).String(), good: 200},
		{method: "GET", path: "/api/v1/messages", good: 200},
		{method: "GET", path: "/api/v1/messages/" + data.ID(2).String(), good: 200},
		{method: "POST", path: "/api/v1/messages/x/cancel", good: 404},
		{method: "POST", path: "/api/v1/messages/x/resend", good: 404},
		{method: "POST", path: "/api/v1/messages/resend", body: `{}`, good: 200},
		{method: "POST", path: "/api/v1/gateways/nobody/pause", good: 404},
		{method: "POST", path: "/api/v1/gateways/gateway_1/resume", good: 200},
		{method: "GET", path: "/api/v1/gateways", good: 200},
		{method: "GET", path: "/api/v1/gateways/gateway_1", good: 200},
		{method: "GET", path: "/metrics", good: 200},
		{method: "GET", path: "/nothing", good: 404},
		{method: "GET", path: "/nothing-here", good: 404},
		{method: "GET", path: "/healthz/", good: 404},
		{method: "GET", path: "/Healthz", good: 404},
		{method: "GET", path: "/event", good: 405},
		{method: "OPTIONS", path: "/event", good: 405},
		{method: "BREW", path: "/event", good: 405},
		{method: "GET", path: "/healthz", open: true, good: 200},
		{method: "GET", path: "/readyz", open: true, good: 200},
		{method: "POST", path: "/gateway_1", body: `{}`, open: true, good: 200},
		{method: "POST", path: "/gateway_2", body: `{}`, open: true, good: 200},
		{method: "POST", path: "/gateway_3", body: `{}`, good: 404},
	}
	keys := []struct {
		name   string
		header []string
		good   bool
	}{
		{name: "no key"},
		{name: "first key", header: []string{"Authorization: Bearer first-secret"}, good: true},
		{name: "second key", header: []string{"Authorization: Bearer second-secret"}, good: true},
		{name: "scheme in another case", header: []string{"Authorization: bEARER second-secret"}, good: true},
		{name: "wrong key", header: []string{"Authorization: Bearer third-secret"}},
		{name: "key in another case", header: []string{"Authorization: Bearer FIRST-SECRET"}},
		{name: "part of a key", header: []string{"Authorization: Bearer first"}},
		{name: "empty key", header: []string{"Authorization: Bearer "}},
		{name: "name of a key", header: []string{"Authorization: Bearer one"}},
		{name: "other scheme", header: []string{"Authorization: Basic first-secret"}},
		{name: "no scheme", header: []string{"Authorization: first-secret"}},
		{name: "two headers", header: []string{"Authorization: Bearer first-secret", "Authorization: Bearer first-secret"}},
	}
	for _, r := range routes {
		for _, k := range keys {
			want := r.good
			if !k.good && !r.open {
				want = 401
			}
			before := store.saved() + len(store.resends) + len(store.lanes)
			got := do(t, server, r.method, r.path, r.body, k.header...)
			if got.status != want {
				t.Errorf("%s %s with %s = %d, want %d", r.method, r.path, k.name, got.status, want)
			}
			if want != 401 {
				continue
			}
			if store.saved()+len(store.resends)+len(store.lanes) != before {
				t.Errorf("%s %s with %s changed something", r.method, r.path, k.name)
			}
			if !strings.HasPrefix(got.header.Get("Www-Authenticate"), "Bearer ") {
				t.Errorf("%s %s with %s has WWW-Authenticate %q", r.method, r.path, k.name, got.header.Get("Www-Authenticate"))
			}
			if strings.Contains(got.body, "secret") {
				t.Errorf("%s %s with %s shows a secret: %s", r.method, r.path, k.name, got.body)
			}
		}
	}
	if got := do(t, server, "GET", "/healthz", "").body; strings.Contains(got, "1.2.3") {
		t.Errorf("without a key /healthz shows the version: %s", got)
	}
	if got := do(t, server, "GET", "/healthz", "", "Authorization: Bearer first-secret").body; !strings.Contains(got, "1.2.3") {
		t.Errorf("with a key /healthz hides the version: %s", got)
	}
}

func TestCrossOrigin(t *testing.T) {
	cases := []struct {
		host    string
		headers []string
		refused bool
	}{
		{host: "127.0.0.1:5000"},
		{host: "127.0.0.1:5000", headers: []string{"Origin: http://127.0.0.1:5000"}},
		{host: "127.0.0.1:5000", headers: []string{"Origin: http://127.0.0.1:5000", "Sec-Fetch-Site: same-origin"}},
		{host: "127.0.0.1:5000", headers: []string{"Sec-Fetch-Site: none"}},
		{host: "Post.example.com", headers: []string{"Origin: https://post.example.com"}},
		{host: "post.example.com:443", headers: []string{"Origin: https://post.example.com"}},
		{host: "post.example.com", headers: []string{"Origin: http://post.example.com:80"}},
		{host: "[::1]:5000", headers: []string{"Origin: http://[::1]:5000"}},
		{host: "127.0.0.1:5000", headers: []string{"Origin: http://127.0.0.1:5001"}, refused: true},
		{host: "127.0.0.1:5000", headers: []string{"Origin: http://127.0.0.1"}, refused: true},
		{host: "127.0.0.1:5000", headers: []string{"Origin: http://localhost:5000"}, refused: true},
		{host: "127.0.0.1:5000", headers: []string{"Origin: https://evil.example"}, refused: true},
		{host: "post.example.com", headers: []string{"Origin: https://post.example.com.evil.example"}, refused: true},
		{host: "post.example.com", headers: []string{"Origin: https://evilpost.example.com"}, refused: true},
		{host: "post.example.com", headers: []string{"Origin: https://post.example.com@evil.example"}, refused: true},
		{host: "127.0.0.1:5000", headers: []string{"Origin: null"}, refused: true},
		{host: "127.0.0.1:5000", headers: []string{"Origin: "}, refused: true},
		{host: "127.0.0.1:5000", headers: []string{"Origin: 127.0.0.1:5000"}, refused: true},
		{host: "127.0.0.1:5000", headers: []string{"Origin: file://127.0.0.1:5000"}, refused: true},
		{host: "127.0.0.1:5000", headers: []string{"Origin: http://127.0.0.1:5000", "Origin: http://evil.example"}, refused: true},
		{host: "127.0.0.1:5000", headers: []string{"Sec-Fetch-Site: cross-site"}, refused: true},
		{host: "127.0.0.1:5000", headers: []string{"Sec-Fetch-Site: same-site"}, refused: true},
		{host: "127.0.0.1:5000", headers: []string{"Sec-Fetch-Site: cross-site", "Origin: http://127.0.0.1:5000"}, refused: true},
	}
	requests := []struct {
		method, path, body string
		good               int
	}{
		{method: "POST", path: "/event", body: `{"event_type":"a","event_payload":"b"}`, good: 201},
		{method: "POST", path: "/send_message", body: `{"message":"a","gateway":"gateway_1"}`, good: 200},
		{method: "POST", path: "/gateway_1", body: `{}`, good: 200},
		{method: "POST", path: "/api/v1/messages/resend", body: `{}`, good: 200},
		{method: "POST", path: "/api/v1/messages/" + data.ID(2).String() + "/resend", good: 201},
		{method: "POST", path: "/api/v1/gateways/gateway_1/pause", good: 200},
		{method: "GET", path: "/api/v1/events", good: 200},
		{method: "GET", path: "/healthz", good: 200},
		{method: "OPTIONS", path: "/event", good: 405},
	}
	for _, c := range cases {
		for _, r := range requests {
			store := newStore()
			store.messages = []data.Message{{ID: 2, Gateway: "gateway_1", State: data.Failed}}
			server := newServer(t, store, func(o *Options) { o.Demo = true })
			want := r.good
			if c.refused {
				want = 403
			}
			got := do(t, server, r.method, r.path, r.body, append([]string{"Host: " + c.host}, c.headers...)...)
			if got.status != want {
				t.Errorf("%s %s to %s with %q = %d, want %d", r.method, r.path, c.host, c.headers, got.status, want)
			}
			if c.refused && store.saved()+len(store.resends)+len(store.lanes) > 0 {
				t.Errorf("%s %s to %s with %q changed something", r.method, r.path, c.host, c.headers)
			}
		}
	}
}
