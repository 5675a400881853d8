package httpapi

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// clock is a time that tests move.
type clock struct{ at time.Time }

func (c *clock) now() time.Time          { return c.at }
func (c *clock) advance(d time.Duration) { c.at = c.at.Add(d) }

const (
	opsSecret   = "canary-ops-key-0123456789"
	watchSecret = "canary-watch-key-0123456789"
	wrongSecret = "canary-wrong-key-0123456789"
)

func twoKeys() []Key {
	return []Key{
		{Name: "ops", Secret: opsSecret, Scopes: []Scope{ScopeAdmin}},
		{Name: "watch", Hash: string(sumBytes(watchSecret)), Scopes: []Scope{ScopeRead}},
	}
}

func sumBytes(secret string) []byte {
	sum := sumOf([]byte(secret))
	return sum[:]
}

// browser makes a server with keys and a clock.
func browser(t *testing.T, change ...func(*Options)) (*Server, *store, *clock) {
	t.Helper()
	at := &clock{noon}
	st := newStore()
	change = append([]func(*Options){func(o *Options) { o.Keys, o.Now = twoKeys(), at.now }}, change...)
	return newServer(t, st, change...), st, at
}

const formType = "Content-Type: application/x-www-form-urlencoded"

// logIn sends the form and returns the answer with the cookie that it sets.
func logIn(t *testing.T, s *Server, form url.Values, headers ...string) (reply, string) {
	t.Helper()
	got := do(t, s, "POST", "/login", form.Encode(), append([]string{formType}, headers...)...)
	cookie, _, _ := strings.Cut(got.header.Get("Set-Cookie"), ";")
	return got, cookie
}

func withKey(key string) url.Values { return url.Values{"key": {key}} }

func statusWith(t *testing.T, s *Server, cookie string) int {
	t.Helper()
	return do(t, s, "GET", "/api/v1/events", "", "Cookie: "+cookie).status
}

func TestLogin(t *testing.T) {
	server, _, _ := browser(t)
	got, cookie := logIn(t, server, withKey(opsSecret))
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/" {
		t.Fatalf("login = %d to %q, want 303 to /", got.status, got.header.Get("Location"))
	}
	set := strings.ToLower(got.header.Get("Set-Cookie"))
	for _, want := range []string{"; httponly", "; samesite=strict", "; path=/", "; max-age=43200"} {
		if !strings.Contains(set+";", want+";") {
			t.Errorf("Set-Cookie is %q, want %q in it", set, want)
		}
	}
	if strings.Contains(set, "domain") || strings.Contains(set, "secure") || !strings.HasPrefix(cookie, "postrider_session=") {
		t.Errorf("Set-Cookie is %q, want no domain, not secure without TLS, postrider_session", set)
	}
	if _, token, _ := strings.Cut(cookie, "="); len(token) != 43 {
		t.Errorf("token %q, want 256 bits", token)
	}
	if _, other := logIn(t, server, withKey(opsSecret)); other == cookie {
		t.Error("two logins give the same token")
	}
	if got := do(t, server, "GET", "/api/v1/whoami", "", "Cookie: "+cookie); !strings.Contains(got.body, `"name":"ops"`) {
		t.Errorf("whoami with the cookie = %d %s, want ops", got.status, got.body)
	}
	// What the key may, the session may, and no more.
	_, watching := logIn(t, server, withKey(" "+watchSecret+"\r\n"))
	if got := statusWith(t, server, watching); got != 200 {
		t.Errorf("reading with a session of watch = %d, want 200", got)
	}
	post := []string{"Cookie: " + watching, "Origin: http://example.com"}
	if got := do(t, server, "POST", "/api/v1/messages/resend", `{}`, post...).status; got != 403 {
		t.Errorf("resending with a session of watch = %d, want 403", got)
	}
	// An Authorization header wins, also a wrong one.
	if got := do(t, server, "GET", "/api/v1/whoami", "", "Cookie: "+cookie, "Authorization: Bearer "+watchSecret); !strings.Contains(got.body, `"name":"watch"`) {
		t.Errorf("whoami with both = %d %s, want watch", got.status, got.body)
	}
	if got := do(t, server, "GET", "/api/v1/whoami", "", "Cookie: "+cookie, "Authorization: Bearer "+wrongSecret); got.status != 401 {
		t.Errorf("whoami with the cookie and a wrong key = %d, want 401", got.status)
	}
}

func TestRefusedLogins(t *testing.T) {
	server, _, at := browser(t)
	form := func(v url.Values) string { return v.Encode() }
	for _, c := range []struct {
		name, target, body string
		headers            []string
		want               int
	}{
		{name: "wrong key", body: form(withKey(wrongSecret)), want: 401},
		{name: "no key", body: "", want: 401},
		{name: "empty key", body: "key=", want: 401},
		{name: "two keys", body: form(url.Values{"key": {opsSecret, opsSecret}}), want: 401},
		{name: "key in the query", target: "?key=" + opsSecret, body: "", want: 401},
		{name: "key in JSON", body: `{"key":"` + opsSecret + `"}`, headers: []string{"Content-Type: application/json"}, want: 415},
		{name: "name of a key", body: form(withKey("ops")), want: 401},
		{name: "hash of a key", body: form(url.Values{"key": {string(sumBytes(watchSecret))}}), want: 401},
		{name: "large form", body: form(withKey(strings.Repeat("k", maxLogin))), want: 413},
		{name: "compressed form", body: form(withKey(opsSecret)), headers: []string{"Content-Encoding: gzip"}, want: 415},
		{name: "other origin", body: form(withKey(opsSecret)), headers: []string{"Origin: http://evil.example"}, want: 403},
		{name: "other site", body: form(withKey(opsSecret)), headers: []string{"Sec-Fetch-Site: cross-site"}, want: 403},
	} {
		at.advance(time.Hour)
		got := do(t, server, "POST", "/login"+c.target, c.body, append([]string{formType}, c.headers...)...)
		if c.headers != nil && strings.HasPrefix(c.headers[0], "Content-Type") {
			got = do(t, server, "POST", "/login"+c.target, c.body, c.headers...)
		}
		if got.status != c.want || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: login = %d, cookie %q; want %d and none", c.name, got.status, got.header.Get("Set-Cookie"), c.want)
		}
		if strings.Contains(got.body, "canary") {
			t.Errorf("%s: the answer repeats the key: %s", c.name, got.body)
		}
	}
	if got := do(t, server, "GET", "/api/v1/events?key="+opsSecret+"&access_token="+opsSecret, "").status; got != 401 {
		t.Errorf("a key in the query = %d, want 401", got)
	}
	for range maxFailures {
		_, _ = logIn(t, server, withKey(wrongSecret))
	}
	got, cookie := logIn(t, server, withKey(opsSecret))
	if got.status != 429 || got.header.Get("Retry-After") != "6" || cookie != "" {
		t.Errorf("login after %d wrong keys = %d, Retry-After %q; want 429 and 6", maxFailures, got.status, got.header.Get("Retry-After"))
	}
}

func TestWhereLoginLeads(t *testing.T) {
	server, _, _ := browser(t)
	for next, want := range map[string]string{
		"":                         "/",
		"/":                        "/",
		"/messages?state=dead&x=1": "/messages?state=dead&x=1",
		"/a#b":                     "/a#b",
		"/login":                   "/",
		"/login?next=/login":       "/",
		"/login#x?y":               "/",
		"/logout":                  "/",
		"/logout?x=1":              "/",
		"/logout/x":                "/logout/x",
		"messages":                 "/",
		"//evil.example":           "/",
		"///evil.example":          "/",
		"/a//b":                    "/",
		"/\\evil.example":          "/",
		"\\\\evil.example":         "/",
		"/\tevil.example":          "/",
		"/\r\nSet-Cookie: a=b":     "/",
		"/\x00":                    "/",
		"/ä":                       "/",
		" /a":                      "/",
		"https://evil.example/":    "/",
		"javascript:alert(1)":      "/",
	} {
		form := withKey(opsSecret)
		form.Set("next", next)
		got, _ := logIn(t, server, form)
		if got.header.Get("Location") != want || got.status != 303 {
			t.Errorf("login with next %q = %d to %q, want 303 to %q", next, got.status, got.header.Get("Location"), want)
		}
		page := do(t, server, "GET", "/login?next="+url.QueryEscape(next), "")
		if value := strings.ReplaceAll(want, "&", "&amp;"); page.status != 200 || !strings.Contains(page.body, `value="`+value+`"`) {
			t.Errorf("the page for next %q = %d %s, want %q in it", next, page.status, page.body, value)
		}
	}
	if csp := do(t, server, "GET", "/login", "").header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
		t.Errorf("the page has the policy %q", csp)
	}
}

// A token that the browser brings along, perhaps from somebody else, is never the
// one that it has after the login.
func TestSessionFixation(t *testing.T) {
	server, _, _ := browser(t)
	brought := "postrider_session=" + strings.Repeat("A", 43)
	got, cookie := logIn(t, server, withKey(opsSecret), "Cookie: "+brought)
	if got.status != 303 || cookie == brought {
		t.Fatalf("login with a token of its own = %d, cookie %q", got.status, cookie)
	}
	if got := statusWith(t, server, brought); got != 401 {
		t.Errorf("the token that was brought along = %d, want 401", got)
	}
	_, again := logIn(t, server, withKey(opsSecret), "Cookie: "+cookie)
	if got := statusWith(t, server, cookie); got != 401 {
		t.Errorf("the session before a second login = %d, want 401", got)
	}
	for _, two := range []string{again + "; " + brought, brought + "; " + again, again + "; " + again} {
		if got := statusWith(t, server, two); got != 401 {
			t.Errorf("two cookies of the name = %d, want 401", got)
		}
	}
	if got := statusWith(t, server, "other=1; "+again); got != 200 {
		t.Errorf("the cookie beside another one = %d, want 200", got)
	}
}

func TestEndOfSessions(t *testing.T) {
	server, st, at := browser(t)
	_, cookie := logIn(t, server, withKey(opsSecret))
	at.advance(sessionLife - 1)
	if got := statusWith(t, server, cookie); got != 200 {
		t.Errorf("1 ns before its end a session = %d, want 200", got)
	}
	at.advance(1)
	if got := statusWith(t, server, cookie); got != 401 {
		t.Errorf("at its end a session = %d, want 401", got)
	}
	if n := server.sessions.oldest.Len(); n != 0 {
		t.Errorf("%d sessions are kept after their end", n)
	}

	_, cookie = logIn(t, server, withKey(opsSecret))
	if got := do(t, server, "POST", "/logout", "", "Cookie: "+cookie); got.status != 303 || statusWith(t, server, cookie) != 200 {
		t.Errorf("logout without an origin = %d and ends the session", got.status)
	}
	got := do(t, server, "POST", "/logout", "", "Cookie: "+cookie, "Origin: http://example.com")
	if got.status != 303 || got.header.Get("Location") != "/login" || !strings.Contains(got.header.Get("Set-Cookie"), "expires=") {
		t.Errorf("logout = %d to %q, cookie %q", got.status, got.header.Get("Location"), got.header.Get("Set-Cookie"))
	}
	if got := statusWith(t, server, cookie); got != 401 {
		t.Errorf("after logout a session = %d, want 401", got)
	}

	// It ends with its key, for good, and may what the key may now.
	_, cookie = logIn(t, server, withKey(opsSecret))
	if err := server.Admit(twoKeys()[1:], []string{"example.com"}); err != nil {
		t.Fatal(err)
	}
	if got := statusWith(t, server, cookie); got != 401 {
		t.Errorf("a session whose key was taken away = %d, want 401", got)
	}
	admit := func(keys ...Key) {
		if err := server.Admit(keys, []string{"example.com"}); err != nil {
			t.Fatal(err)
		}
	}
	admit(twoKeys()...)
	if got := statusWith(t, server, cookie); got != 401 {
		t.Errorf("a session whose key was taken away and came back = %d, want 401", got)
	}
	_, cookie = logIn(t, server, withKey(opsSecret))
	admit(twoKeys()...)
	if got := statusWith(t, server, cookie); got != 200 {
		t.Errorf("a session whose key is still there = %d, want 200", got)
	}
	admit(Key{Name: "ops", Secret: opsSecret, Scopes: []Scope{ScopeEventWrite}})
	if got := statusWith(t, server, cookie); got != 403 {
		t.Errorf("a session whose key may no longer read = %d, want 403", got)
	}
	if st.saved() != 0 {
		t.Error("something was saved")
	}
}

func anyKey(keySum) bool { return true }

func TestSessionsAreBounded(t *testing.T) {
	s := newSessions()
	s.most = 3
	var tokens []string
	for i := range 5 {
		token, _ := s.begin(keySum{byte(i)}, noon.Add(time.Duration(i)*time.Second), anyKey)
		tokens = append(tokens, token)
	}
	for i, token := range tokens {
		if _, ok := s.key([]byte(token), noon); ok != (i >= 2) {
			t.Errorf("of 5 sessions where 3 fit, session %d is there: %v", i, ok)
		}
	}
	if len(s.byToken) != 3 || s.oldest.Len() != 3 {
		t.Errorf("%d and %d sessions are kept, want 3", len(s.byToken), s.oldest.Len())
	}
	s.begin(keySum{9}, noon.Add(sessionLife+time.Hour), anyKey)
	if len(s.byToken) != 1 || s.oldest.Len() != 1 {
		t.Errorf("%d and %d sessions are kept after the end of all but one", len(s.byToken), s.oldest.Len())
	}
}

// A cookie goes along by itself, so what changes something has to come from a page
// of ours and say so.
func TestCookieAndOrigin(t *testing.T) {
	server, st, _ := browser(t)
	_, cookie := logIn(t, server, withKey(opsSecret))
	event := `{"event_type":"a","event_payload":"b"}`
	for _, c := range []struct {
		headers []string
		want    int
	}{
		{nil, 401},
		{[]string{"Origin: http://example.com"}, 201},
		{[]string{"Sec-Fetch-Site: same-origin"}, 201},
		{[]string{"Sec-Fetch-Site: none"}, 401},
		{[]string{"Sec-Fetch-Site: same-site"}, 403},
		{[]string{"Sec-Fetch-Site: cross-site", "Origin: http://example.com"}, 403},
		{[]string{"Origin: null"}, 403},
		{[]string{"Origin: http://evil.example"}, 403},
		{[]string{"Origin: "}, 403},
		{[]string{"Referer: http://example.com/"}, 401},
	} {
		before := st.saved()
		got := do(t, server, "POST", "/event", event, append([]string{"Cookie: " + cookie}, c.headers...)...)
		if got.status != c.want {
			t.Errorf("POST /event with the cookie and %q = %d, want %d", c.headers, got.status, c.want)
		}
		if (st.saved() > before) != (c.want == 201) {
			t.Errorf("POST /event with the cookie and %q = %d, and saved %d", c.headers, got.status, st.saved()-before)
		}
	}
	if got := do(t, server, "GET", "/api/v1/events", "", "Cookie: "+cookie, "Sec-Fetch-Site: cross-site").status; got != 403 {
		t.Errorf("reading from another site with the cookie = %d, want 403", got)
	}
}

func TestLoginWithoutKeys(t *testing.T) {
	server := newServer(t, newStore())
	for _, got := range []reply{do(t, server, "GET", "/login?next=/x", ""), do(t, server, "POST", "/login", "next=/x", formType)} {
		if got.status != 303 || got.header.Get("Location") != "/x" || got.header.Get("Set-Cookie") != "" {
			t.Errorf("login where there are no keys = %d to %q, cookie %q; want 303 to /x", got.status, got.header.Get("Location"), got.header.Get("Set-Cookie"))
		}
	}
	if got := do(t, server, "GET", "/api/v1/whoami", "").body; got != `{"name":"","scopes":["event:write","message:write","read","read:content","operate","admin"],"gateways":null,"version":""}` {
		t.Errorf("whoami where there are no keys = %s", got)
	}
}

func TestSecureCookie(t *testing.T) {
	server, _, _ := browser(t, func(o *Options) { o.TLS = newTestTLS(t) })
	got, cookie := logIn(t, server, withKey(opsSecret))
	set := strings.ToLower(got.header.Get("Set-Cookie"))
	if !strings.HasPrefix(cookie, "__Host-postrider_session=") || !strings.Contains(set, "; secure") || !strings.Contains(set, "; path=/") {
		t.Errorf("with TLS Set-Cookie is %q, want __Host- and Secure", got.header.Get("Set-Cookie"))
	}
	if got := statusWith(t, server, cookie); got != 200 {
		t.Errorf("the secure cookie = %d, want 200", got)
	}
	if got := statusWith(t, server, strings.TrimPrefix(cookie, "__Host-")); got != 401 {
		t.Errorf("the cookie without its prefix = %d, want 401", got)
	}
}

// A key that is taken away while somebody logs in with it begins no session that would
// come to life when the key comes back.
func TestKeyIsTakenAwayDuringLogin(t *testing.T) {
	for look := range 4 {
		var server *Server
		looks := -1 // at the clock, each of which may be where the login stands
		server, _, _ = browser(t, func(o *Options) {
			o.Now = func() time.Time {
				if looks++; looks == look && server != nil {
					if err := server.Admit(twoKeys()[1:], nil); err != nil {
						t.Error(err)
					}
				}
				return noon
			}
		})
		looks = -1
		_, cookie := logIn(t, server, withKey(opsSecret), "Host: localhost")
		if looks < look {
			t.Fatalf("a login looks %d times at the clock, want more than %d", looks+1, look)
		}
		looks = 10
		if err := server.Admit(twoKeys(), nil); err != nil {
			t.Fatal(err)
		}
		if got := do(t, server, "GET", "/api/v1/events", "", "Host: localhost", "Cookie: "+cookie).status; got != 401 {
			t.Errorf("taken away at look %d: the session = %d when the key is back, want 401", look, got)
		}
	}
}
