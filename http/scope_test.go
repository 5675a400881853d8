package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

// What each route needs, written out once more: a route that is added or changed
// has to be added or changed here, too. "" is open, "key" is any key.
var wanted = map[string]string{
	"POST /event":                        "event:write",
	"POST /send_message":                 "message:write",
	"GET /api/v1/events":                 "read",
	"GET /api/v1/events/:id":             "read",
	"GET /api/v1/messages":               "read",
	"GET /api/v1/messages/:id":           "read",
	"POST /api/v1/messages/:id/cancel":   "operate",
	"POST /api/v1/messages/:id/resend":   "operate",
	"POST /api/v1/messages/resend":       "operate",
	"GET /api/v1/gateways":               "read",
	"GET /api/v1/gateways/:name":         "read",
	"POST /api/v1/gateways/:name/pause":  "operate",
	"POST /api/v1/gateways/:name/resume": "operate",
	"POST /api/v1/gateways/:name/render": "read",
	"POST /api/v1/gateways/:name/test":   "operate",
	"GET /api/v1/events/tail":            "read",
	"GET /api/v1/routes":                 "read",
	"GET /api/v1/summary":                "read",
	"GET /api/v1/config":                 "operate",
	"POST /api/v1/gateways":              "admin",
	"PUT /api/v1/gateways/:name":         "admin",
	"DELETE /api/v1/gateways/:name":      "admin",
	"POST /api/v1/reload":                "operate",
	"GET /api/v1/backup":                 "admin",
	"GET /openapi.yaml":                  "",
	"GET /api/v1/whoami":                 "key",
	"GET /metrics":                       "read",
	"GET /debug/pprof/":                  "admin",
	"GET /debug/pprof/:profile":          "admin",
	"GET /":                              "read",
	"GET /gateways":                      "read",
	"GET /gateways/:name":                "read",
	"POST /gateways/:name/pause":         "operate",
	"POST /gateways/:name/resume":        "operate",
	"POST /gateways/:name/render":        "read",
	"POST /gateways/:name/test":          "operate",
	"GET /messages":                      "read",
	"GET /messages/resend":               "operate",
	"POST /messages/resend":              "operate",
	"GET /messages/:id":                  "read",
	"POST /messages/:id/cancel":          "operate",
	"POST /messages/:id/resend":          "operate",
	"GET /events":                        "read",
	"GET /events/:id":                    "read",
	"GET /config":                        "read",
	"POST /config/reload":                "operate",
	"GET /assets/:asset":                 "",
	"GET /login":                         "",
	"POST /login":                        "",
	"POST /logout":                       "",
	"GET /healthz":                       "",
	"GET /readyz":                        "",
	"POST /gateway_1":                    "",
	"POST /gateway_2":                    "",
}

// Which scopes are good for what.
var goodFor = map[string][]string{
	"event:write":   {"event:write", "admin"},
	"message:write": {"message:write", "admin"},
	"read":          {"read", "read:content", "operate", "admin"},
	"read:content":  {"read:content", "admin"},
	"operate":       {"operate", "admin"},
	"admin":         {"admin"},
	"key":           {"event:write", "message:write", "read", "read:content", "operate", "admin"},
	"":              {"event:write", "message:write", "read", "read:content", "operate", "admin"},
}

// scoped is a server with a key for each scope alone, secret-<scope>-0123456789.
func scoped(t *testing.T, st *store) *Server {
	t.Helper()
	return newServer(t, st, func(o *Options) {
		for i, scope := range AllScopes() {
			o.Keys = append(o.Keys, Key{Name: fmt.Sprint("key-", i), Secret: secretOf(scope), Scopes: []Scope{scope}})
		}
		o.Demo, o.Metrics, o.Now = true, metrics("up 1\n"), forgetting()
		o.Config = func(io.Writer) error { return nil }
	})
}

func secretOf(s Scope) string { return "secret-" + string(s) + "-0123456789" }

func TestEveryRouteWithEveryScope(t *testing.T) {
	st := newStore()
	server := scoped(t, st)
	_, asset, _ := strings.Cut(do(t, server, "GET", "/login", "").body, `src="/assets/`)
	asset, _, _ = strings.Cut(asset, `"`)
	fill := strings.NewReplacer(":asset", asset, ":id", data.ID(7).String(), ":name", "gateway_1", ":profile", "goroutine")
	refused := func(method, path string, headers ...string) string {
		answer := from(t, server, "127.0.0.1:1", method, path, headers...)
		if answer.StatusCode() < 400 {
			return ""
		}
		for _, why := range []string{"unauthorized", "forbidden", "cross-origin", "wrong-host", "local-only", "no-such-path", "method-not-allowed"} {
			if strings.Contains(string(answer.Body()), "urn:postrider:problem:"+why+`"`) {
				return why
			}
		}
		if code := answer.StatusCode(); code == 401 && !strings.HasPrefix(path, "/login") || code == 403 {
			return fmt.Sprint(code)
		}
		return ""
	}
	seen := map[string]bool{}
	for _, r := range server.table() {
		name := r.method + " " + r.path
		need, known := wanted[name]
		if !known {
			t.Errorf("%s is not in the list of this test: say there what it needs", name)
			continue
		}
		seen[name] = true
		methods := []string{r.method}
		if r.method == "GET" {
			methods = append(methods, "HEAD")
		}
		for _, method := range methods {
			path := fill.Replace(r.path)
			if strings.HasSuffix(path, "/tail") {
				path += "?x=1" // is refused behind the scope; a tail has no end
			}
			before := st.saved() + len(st.resends) + len(st.lanes)
			nobody := map[bool]string{true: "", false: "unauthorized"}[need == ""]
			for _, headers := range [][]string{
				nil,
				{"Authorization: Bearer wrong-0123456789abcdef"},
				{"Authorization: Bearer "},
				{"Authorization: Bearer " + string(ScopeAdmin)},
				{"Cookie: postrider_session=" + secretOf(ScopeAdmin)},
				{"X-Api-Key: " + secretOf(ScopeAdmin)},
				{"Proxy-Authorization: Bearer " + secretOf(ScopeAdmin)},
			} {
				if got := refused(method, path, headers...); got != nobody {
					t.Errorf("%s %s with %q is refused as %q, want %q", method, path, headers, got, nobody)
				}
			}
			for _, query := range []string{"key", "api_key", "access_token", "token", "authorization", "Authorization"} {
				if got := refused(method, path+"?"+query+"="+secretOf(ScopeAdmin)); got != nobody {
					t.Errorf("%s %s with a key in ?%s is refused as %q, want %q", method, path, query, got, nobody)
				}
			}
			if st.saved()+len(st.resends)+len(st.lanes) != before && need != "" {
				t.Errorf("%s %s changed something for nobody", method, path)
			}
			for _, scope := range AllScopes() {
				want := ""
				if !slices.Contains(goodFor[need], string(scope)) {
					want = "forbidden"
				}
				if got := refused(method, path, "Authorization: Bearer "+secretOf(scope)); got != want {
					t.Errorf("%s %s with %s is refused as %q, want %q", method, path, scope, got, want)
				}
			}
		}
	}
	for name := range wanted {
		if !seen[name] {
			t.Errorf("%s is in the list of this test and not in the table", name)
		}
	}
}

// A path that is not written as the route is leads nowhere, whatever others make of
// it: what is open does not open what lies beside it.
func TestOddPaths(t *testing.T) {
	st := newStore()
	st.events = []data.Event{{ID: 1, Type: "canary"}}
	addr := listen(t, scoped(t, st))
	for _, path := range []string{
		"//api/v1/events", "/api//v1/events", "/api/v1//events", "/./api/v1/events", "/api/v1/./events", "/api/v1/../v1/events", "/api/../api/v1/events",
		"/api/v1/%2e%2e/v1/events", "/api/v1/%2e/events", "/%61pi/v1/events", "/api%2fv1%2fevents", "/api%2Fv1/events", "/api%5cv1%5cevents", `/api\v1\events`, `\api\v1\events`,
		"/api/v1/events/", "/api/v1/events//", "/API/v1/events", "/Api/V1/Events", "/api/v1/EVENTS", "/api/v1/events;", "/api/v1/events;x=1", "/api;/v1/events", "/api/v1/events%20", "/api/v1/events%00",
		"/api/v1/events%3f", "/api/v1/events.json", "/healthz/../api/v1/events", "/healthz/%2e%2e/api/v1/events", "/healthz;/../api/v1/events", "/healthz%2f..%2fapi/v1/events",
		"/readyz//api/v1/events", "/login/../api/v1/events", "/login/api/v1/events", "/gateway_1/../api/v1/events", "/healthz/api/v1/events", "/\u0061pi/v1/event\u017f",
		"/debug/pprof/../../api/v1/events", "/debug/pprof/heap/", "/Metrics", "/metrics/", "//metrics", "/%6detrics",
	} {
		for _, key := range []string{"", "Authorization: Bearer " + secretOf(ScopeEventWrite) + "\r\n"} {
			raw := "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nX-Original-Url: /api/v1/events\r\nX-Rewrite-Url: /api/v1/events\r\n" + key + "Connection: close\r\n\r\n"
			status, body := answerTo(t, addr, raw)
			want := []int{404, 400, 403}
			if key == "" {
				want = []int{401, 400}
			}
			if !slices.Contains(want, status) || strings.Contains(body, "canary") || strings.Contains(body, "up 1") {
				t.Errorf("GET %q with %q = %d %s, want one of %v", path, key, status, body, want)
			}
		}
	}
	for _, raw := range []string{
		"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Original-Url: /api/v1/events\r\nX-Rewrite-Url: /api/v1/events\r\nConnection: close\r\n\r\n",
		"GET /healthz?/../api/v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
		"GET /healthz#/../api/v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
	} {
		if status, body := answerTo(t, addr, raw); status != 200 && status != 400 && status != 401 || strings.Contains(body, "canary") {
			t.Errorf("%q = %d %s, want health and nothing else", raw, status, body)
		}
	}
	for _, override := range []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"} {
		raw := "GET /api/v1/messages/resend HTTP/1.1\r\nHost: localhost\r\n" + override + ": POST\r\nAuthorization: Bearer " + secretOf(ScopeAdmin) + "\r\nConnection: close\r\n\r\n"
		if status, _ := answerTo(t, addr, raw); status != 404 || len(st.resends) > 0 {
			t.Errorf("GET with %s = %d, %d resends; want it to stay a GET", override, status, len(st.resends))
		}
	}
}

func answerTo(t *testing.T, addr, raw string) (int, string) {
	t.Helper()
	conn := dial(t, addr)
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, bufio.NewReader(conn))
}

func TestBoundKeys(t *testing.T) {
	st := newStore()
	server := newServer(t, st, func(o *Options) {
		o.Keys = []Key{{Name: "shop", Secret: opsSecret, Scopes: []Scope{ScopeMessageWrite, ScopeRead}, Gateways: []string{"gateway_1", "later"}}}
	})
	key := "Authorization: Bearer " + opsSecret
	for gateway, want := range map[string]int{"gateway_1": 200, "gateway_99": 403, "broken": 403, "nobody": 403, "later": 422, "GATEWAY_1": 403} {
		before := st.saved()
		got := do(t, server, "POST", "/send_message", `{"message":"m","gateway":"`+gateway+`"}`, key)
		if got.status != want || (st.saved() > before) != (want == 200) {
			t.Errorf("a message for %s with a key for gateway_1 = %d, %d saves; want %d", gateway, got.status, st.saved()-before, want)
		}
	}
	// Whether there is a gateway of another name cannot be found out.
	for _, gateway := range []string{"gateway_99", "nobody"} {
		got := do(t, server, "POST", "/send_message", `{"message":5,"gateway":"`+gateway+`"}`, key)
		if got.status != 422 || strings.Contains(got.body, "unknown_gateway") {
			t.Errorf("a bad message for %s with a key for gateway_1 = %d %s, want nothing about the gateway", gateway, got.status, got.body)
		}
	}
	if got := do(t, server, "GET", "/api/v1/whoami", "", key).body; got != `{"name":"shop","scopes":["message:write","read"],"gateways":["gateway_1","later"],"version":""}` {
		t.Errorf("whoami = %s", got)
	}
}

// Neither a key nor a token of a session gets into a log, a metric or an answer.
func TestKeysAndTokensAreNeverShown(t *testing.T) {
	lines := &logLines{}
	var observed strings.Builder
	server, _, at := browser(t, func(o *Options) {
		o.Logger, o.AccessLog, o.Metrics = lines.logger(), true, metrics("up 1\n")
		o.Observe = func(route string, status int, _ time.Duration) { fmt.Fprintln(&observed, route, status) }
	})
	got, cookie := logIn(t, server, withKey(opsSecret))
	_, token, _ := strings.Cut(cookie, "=")
	got.header.Del("Set-Cookie")
	answers := []reply{got}
	for _, r := range server.table() {
		path := strings.NewReplacer(":id", "canary", ":name", "canary", ":profile", "canary").Replace(r.path)
		for _, headers := range [][]string{
			{"Authorization: Bearer " + opsSecret},
			{"Authorization: Bearer " + wrongSecret},
			{"Authorization: Basic " + wrongSecret},
			{"Cookie: " + cookie, "Origin: http://example.com"},
			{"Cookie: " + cookie, "Origin: http://evil.example"},
			{"Cookie: " + cookie, "Host: evil.example"},
		} {
			if r.path == "/logout" {
				continue
			}
			at.advance(time.Minute)
			got := do(t, server, r.method, path+"?key="+wrongSecret+"&token="+token, "key="+wrongSecret+"&next=/x", append(headers, formType)...)
			got.header.Del("Set-Cookie")
			answers = append(answers, got)
		}
	}
	for range 3 * maxFailures {
		got, _ := logIn(t, server, withKey(wrongSecret))
		answers = append(answers, got)
	}
	answers = append(answers, do(t, server, "POST", "/logout", "", "Cookie: "+cookie, "Origin: http://example.com"))
	for _, a := range answers {
		for _, text := range []string{a.body, fmt.Sprint(a.header)} {
			if strings.Contains(text, "canary") || strings.Contains(text, token) {
				t.Errorf("an answer shows a secret: %d %s", a.status, text)
			}
		}
	}
	for where, text := range map[string]string{"log": lines.String(), "metrics": observed.String()} {
		if strings.Contains(text, "canary") || strings.Contains(text, token) || text == "" {
			t.Errorf("a secret is in the %s, or nothing is:\n%s", where, text)
		}
	}
}
