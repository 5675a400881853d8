package httpapi

import (
	"bufio"
	"context"
	"errors"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/postrider/postrider/data"
)

const (
	asBrowser = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
	pageKey   = "Authorization: Bearer page-secret-page-secret"
)

// pages are the pages with the scope that each needs.
var pages = map[string]Scope{
	"GET /": ScopeRead, "GET /gateways": ScopeRead, "GET /gateways/gateway_1": ScopeRead, "GET /messages": ScopeRead,
	"GET /messages/" + deadPage: ScopeRead, "GET /events": ScopeRead, "GET /events/" + firstPage: ScopeRead, "GET /config": ScopeRead,
	"GET /messages/resend": ScopeOperate, "POST /messages/resend": ScopeOperate,
	"POST /gateways/gateway_1/pause": ScopeOperate, "POST /gateways/gateway_1/resume": ScopeOperate,
	"POST /gateways/gateway_1/render": ScopeRead, "POST /gateways/gateway_1/test": ScopeOperate,
	"POST /messages/" + deadPage + "/resend": ScopeOperate, "POST /messages/" + deadPage + "/cancel": ScopeOperate,
	"POST /config/reload": ScopeOperate,
}

var (
	firstPage = data.FirstID(1).String()
	deadPage  = (data.FirstID(1) + 1).String()
)

const written = "what-somebody-wrote"

// pageStore has an event, and a dead letter that a route made of it.
func pageStore() *store {
	st := newStore()
	st.events = []data.Event{{ID: data.FirstID(1), Type: "user_joined", Payload: written, ReceivedAt: noon}}
	st.messages = []data.Message{{
		ID: data.FirstID(1) + 1, Gateway: "gateway_1", Text: written, To: written, State: data.Failed, AcceptedAt: noon, Event: data.FirstID(1),
		Attempts: []data.Attempt{{Number: 1, Began: 1, Ended: 2, BeganAt: noon, Result: data.Result{Outcome: data.OutcomePermanent, Cause: data.CauseStatus, Status: 400, Answer: written}}},
	}}
	st.lanes["gateway_1"] = data.Lane{Gateway: "gateway_1", Counts: [data.States]uint64{data.Failed: 1}, Last: st.messages[0].Attempts[0]}
	st.render = func(m data.NewMessage) ([]Rendered, []Fault, error) {
		return []Rendered{{Method: "POST", URL: "http://x/***", Body: []byte("rendered " + m.Text)}}, nil, nil
	}
	st.test = func(context.Context, data.NewMessage) ([]Tried, int, []Fault, error) {
		return []Tried{{Result: data.Result{Outcome: data.OutcomeDelivered, Status: 204}}}, 1, nil, nil
	}
	st.reload = func(context.Context) (Reloaded, []KeyFault, error) { return Reloaded{}, nil, nil }
	return st
}

func pageKeyFor(scopes ...Scope) func(*Options) {
	return func(o *Options) { o.Keys = []Key{{Name: "ops", Secret: "page-secret-page-secret", Scopes: scopes}} }
}

// sendForm sends a form as a browser does.
func sendForm(t *testing.T, s *Server, path string, fields url.Values, headers ...string) reply {
	t.Helper()
	return do(t, s, "POST", path, fields.Encode(), append([]string{formType, asBrowser}, headers...)...)
}

// Each page needs the scope of what it shows or does, and tells a person what to do
// who has not got it.
func TestPageScopes(t *testing.T) {
	for route, needs := range pages {
		method, path, _ := strings.Cut(route, " ")
		for _, scope := range AllScopes() {
			server := newServer(t, pageStore(), pageKeyFor(scope))
			got := do(t, server, method, path, "", pageKey, asBrowser, formType)
			may := (&caller{scopes: scope.includes()}).may(needs)
			if refused := got.status == http.StatusForbidden; refused == may {
				t.Errorf("%s with %s = %d", route, scope, got.status)
			}
			if !may && (!strings.Contains(got.body, "Log in with one that has it") || !strings.HasPrefix(got.header.Get("Content-Type"), "text/html")) {
				t.Errorf("%s with %s says %q", route, scope, got.body)
			}
		}
	}
}

// A browser without a session is led to the login and, after a question, back; a
// program is told that it has no key.
func TestPagesWithoutKey(t *testing.T) {
	st := pageStore()
	server := newServer(t, st, pageKeyFor(ScopeAdmin))
	for route := range pages {
		method, path, _ := strings.Cut(route, " ")
		path += "?x=1"
		want := "/login?next=%2F"
		if method == "GET" {
			want = "/login?next=" + url.QueryEscape(path)
		}
		if got := do(t, server, method, path, "", asBrowser); got.status != 303 || got.header.Get("Location") != want || got.body != "" {
			t.Errorf("%s = %d to %q, want 303 to %q", route, got.status, got.header.Get("Location"), want)
		}
		if got := do(t, server, method, path, "", "Accept: */*"); got.status != 401 || got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s without a browser = %d %s, want 401 and a problem", route, got.status, got.header.Get("Content-Type"))
		}
	}
	if got := do(t, server, "GET", "/api/v1/messages", "", asBrowser); got.status != 401 {
		t.Errorf("the API in a browser = %d, want 401", got.status)
	}
	if len(st.resends) > 0 || st.lanes["gateway_1"].Paused {
		t.Error("something was done for nobody")
	}
}

// What messages and events say is not in any page for those who may not see it.
func TestPagesHideContent(t *testing.T) {
	for route := range pages {
		path, isPage := strings.CutPrefix(route, "GET ")
		if !isPage {
			continue
		}
		for scope, want := range map[Scope]bool{ScopeOperate: false, ScopeAdmin: true} {
			got := do(t, newServer(t, pageStore(), pageKeyFor(scope)), "GET", path, "", pageKey, asBrowser)
			if got.status != 200 {
				t.Errorf("%s with %s = %d", route, scope, got.status)
			}
			if shows := strings.Contains(got.body, written); shows && !want {
				t.Errorf("%s shows content to %s", route, scope)
			} else if !shows && want && strings.Contains(path, firstPage[:8]) && strings.Contains(path, "/0") {
				t.Errorf("%s does not show content to %s", route, scope)
			}
		}
	}
}

// Every page forbids the browser all that it does not need.
func TestPageHeaders(t *testing.T) {
	server := newServer(t, pageStore())
	for _, path := range []string{"/", "/login?next=/", "/nothing-here"} {
		got := do(t, server, "GET", path, "", asBrowser)
		if got.status == 303 {
			continue // nobody has to log in
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
			"X-Content-Type-Options":  "nosniff", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
			"Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8",
		} {
			if got.header.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got.header.Get(name), want)
			}
		}
	}
	page := do(t, server, "GET", "/", "", asBrowser).body
	_, asset, _ := strings.Cut(page, `rel="stylesheet" href="`)
	asset, _, _ = strings.Cut(asset, `"`)
	if got := do(t, server, "GET", asset, ""); got.status != 200 || !strings.Contains(got.header.Get("Cache-Control"), "immutable") || got.header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("GET %s = %d, Cache-Control %q, %q", asset, got.status, got.header.Get("Cache-Control"), got.header.Get("Content-Type"))
	}
	if got := do(t, server, "GET", "/assets/nothing.css", ""); got.status != 404 {
		t.Errorf("an asset that is not there = %d, want 404", got.status)
	}
}

// Forms do what they say, and lead to a page.
func TestForms(t *testing.T) {
	st := pageStore()
	server := newServer(t, st)
	for _, f := range []struct {
		path   string
		fields url.Values
		to     string
		done   func() bool
	}{
		{"/gateways/gateway_1/pause", nil, "/gateways/gateway_1?said=paused", func() bool { return st.lanes["gateway_1"].Paused }},
		{"/gateways/gateway_1/resume", url.Values{"back": {"/"}}, "/?said=resumed", func() bool { return !st.lanes["gateway_1"].Paused }},
		{"/gateways/gateway_1/pause", url.Values{"back": {"https://evil.example/"}}, "/?said=paused", func() bool { return true }},
		{"/messages/" + deadPage + "/resend", nil, "/messages/" + (data.FirstID(1) + 2).String() + "?said=resent", func() bool { return st.messages[0].ResentAs != 0 }},
		{"/messages/" + (data.FirstID(1) + 2).String() + "/cancel", nil, "/messages/" + (data.FirstID(1) + 2).String() + "?said=cancelled", func() bool { return st.messages[1].State == data.Cancelled }},
		{"/config/reload", nil, "/config?said=reloaded", func() bool { return true }},
	} {
		got := sendForm(t, server, f.path, f.fields)
		if got.status != 303 || got.header.Get("Location") != f.to || !f.done() {
			t.Errorf("form %s = %d to %q, done %v; want 303 to %q", f.path, got.status, got.header.Get("Location"), f.done(), f.to)
		}
	}
	if got := do(t, server, "GET", "/gateways/gateway_1?said=paused", "", asBrowser); !strings.Contains(got.body, "Nothing is sent there until") {
		t.Error("the page does not say what was done")
	}
	if got := sendForm(t, server, "/messages/"+deadPage+"/resend", nil); got.status != 409 || !strings.Contains(got.body, "sent again before") {
		t.Errorf("a second resend = %d, want 409 and a page", got.status)
	}
	if got := sendForm(t, server, "/gateways/none/pause", nil); got.status != 404 {
		t.Errorf("pausing what is not there = %d, want 404", got.status)
	}
	if got := sendForm(t, server, "/gateways/gateway_1/pause", url.Values{"back": {strings.Repeat("x", maxForm)}}); got.status != 413 {
		t.Errorf("a form that is too long = %d, want 413", got.status)
	}
}

// A page of another site cannot press our buttons; a link there may lead here.
func TestPagesCrossOrigin(t *testing.T) {
	st := pageStore()
	server := newServer(t, st)
	for _, from := range [][]string{{"Sec-Fetch-Site: cross-site"}, {"Origin: https://evil.example"}, {"Origin: null"}} {
		for route := range pages {
			method, path, _ := strings.Cut(route, " ")
			if got := do(t, server, method, path, "", append(from, asBrowser, formType)...); got.status != 403 {
				t.Errorf("%s with %s = %d, want 403", route, from, got.status)
			}
		}
	}
	if len(st.resends) > 0 || len(st.trials) > 0 || st.lanes["gateway_1"].Paused {
		t.Error("something was done for another site")
	}
	link := []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", asBrowser}
	for path, want := range map[string]int{"/": 200, "/messages/" + deadPage: 200, "/api/v1/messages": 403, "/metrics": 403} {
		if got := do(t, server, "GET", path, "", link...); got.status != want {
			t.Errorf("a link from another site to %s = %d, want %d", path, got.status, want)
		}
	}
	if got := do(t, server, "POST", "/gateways/gateway_1/pause", "", link...); got.status != 403 {
		t.Errorf("a form of another site that leads here = %d, want 403", got.status)
	}
	frame := []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe", asBrowser}
	if got := do(t, server, "GET", "/", "", frame...); got.status != 403 {
		t.Errorf("a frame of another site = %d, want 403", got.status)
	}
}

// A gateway is tried from its page, with the same rules as over the API.
func TestTrialForms(t *testing.T) {
	st := pageStore()
	server := newServer(t, st)
	fields := url.Values{"message": {"one\r\ntwo"}, "to": {"+49"}, "params": {"a=b=c\r\n\r\nd=e"}}
	if got := sendForm(t, server, "/gateways/gateway_1/render", fields); got.status != 200 || !strings.Contains(got.body, "rendered one") {
		t.Errorf("render = %d, want 200 and the request", got.status)
	}
	if m := st.trials[0]; m.Text != "one\ntwo" || m.To != "+49" || m.Params["a"] != "b=c" || m.Params["d"] != "e" || len(m.Params) != 2 {
		t.Errorf("the message is %+v", m)
	}
	if got := sendForm(t, server, "/gateways/gateway_1/test", fields); got.status != 200 || !strings.Contains(got.body, "status 204") {
		t.Errorf("test = %d, want 200 and the outcome", got.status)
	}
	fields["params"] = []string{strings.Repeat("n", data.MaxParamName+1) + "=x"}
	if got := sendForm(t, server, "/gateways/gateway_1/test", fields); got.status != 200 || !strings.Contains(got.body, "Each name must have") || len(st.trials) != 2 {
		t.Errorf("test with a bad name = %d after %d trials, want the mistake and none", got.status, len(st.trials))
	}
	st.test = func(context.Context, data.NewMessage) ([]Tried, int, []Fault, error) {
		return nil, 0, []Fault{{Pointer: "/to", Code: "required", Detail: "The field is missing."}}, nil
	}
	if got := sendForm(t, server, "/gateways/gateway_1/test", url.Values{"message": {"x"}}); !strings.Contains(got.body, "to: The field is missing.") {
		t.Error("the page does not say what the gateway lacks")
	}
	if got := sendForm(t, server, "/gateways/none/render", fields); got.status != 404 {
		t.Errorf("render for what is not there = %d, want 404", got.status)
	}
}

// All dead letters that match are counted, sent page by page, and counted as sent.
func TestResendForms(t *testing.T) {
	st := pageStore()
	for i := range 2500 {
		st.messages = append(st.messages, data.Message{ID: data.FirstID(1) + data.ID(2+i), Gateway: "gateway_1", State: data.Failed})
	}
	server := newServer(t, st)
	if got := do(t, server, "GET", "/messages/resend?gateway=gateway_1&state=dead", "", asBrowser); !strings.Contains(got.body, "<b>2,501</b>") {
		t.Fatalf("the page does not ask about 2,501: %s", got.body)
	}
	if len(st.resends) > 0 {
		t.Fatal("asking sends")
	}
	fields, steps := url.Values{"gateway": {"gateway_1"}, "state": {"dead"}, "matching": {"2501"}}, 0
	for ; steps < 5; steps++ {
		got := sendForm(t, server, "/messages/resend", fields)
		to, err := url.Parse(got.header.Get("Location"))
		if got.status != 303 || err != nil {
			t.Fatalf("step %d = %d to %v", steps, got.status, to)
		}
		page := do(t, server, "GET", to.String(), "", asBrowser)
		fields = to.Query()
		if fields.Get("finished") != "" {
			if !strings.Contains(page.body, "<b>2501</b>") && !strings.Contains(page.body, "<b>2,501</b>") {
				t.Errorf("the end says %s", page.body)
			}
			break
		}
		if !strings.Contains(page.body, "data-loop") || !strings.Contains(page.body, `max="2501"`) {
			t.Errorf("step %d does not lead on: %s", steps, page.body)
		}
	}
	if steps != 2 || len(st.resends) != 3 {
		t.Errorf("it took %d steps and %d commits, want 3", steps+1, len(st.resends))
	}
	for _, query := range []string{"?state=queued", "?gateway=%00", "?cause=none"} {
		if got := do(t, server, "GET", "/messages/resend"+query, "", asBrowser); got.status != 400 {
			t.Errorf("GET /messages/resend%s = %d, want 400", query, got.status)
		}
	}
}

// The newest come first, page by page, none twice and none left out, also those of
// before a restore, whose ids are far below.
func TestNewestFirst(t *testing.T) {
	st := newStore()
	for i := range 130 {
		id := data.FirstID(1) + data.ID(i)
		if i >= 100 {
			id = data.RestoredID(2, noon) + data.ID(i)
		}
		if i%2 == 0 {
			st.events = append(st.events, data.Event{ID: id, Type: "t", ReceivedAt: noon})
		} else {
			st.messages = append(st.messages, data.Message{ID: id, Gateway: "gateway_1", State: data.Delivered, AcceptedAt: noon})
		}
	}
	server := newServer(t, st)
	for _, path := range []string{"/messages", "/events"} {
		var seen []string
		for next, pages := path, 0; next != "" && pages < 20; pages++ {
			got := do(t, server, "GET", next, "", asBrowser)
			if leads := strings.Contains(got.body, ">First page<"); leads != (pages > 0) {
				t.Errorf("page %d of %s leads to the first one: %v", pages, path, leads)
			}
			for _, part := range strings.Split(got.body, `<th scope="row"><a class="id" href="`+path+"/")[1:] {
				seen = append(seen, part[:13])
			}
			_, next, _ = strings.Cut(got.body, `rel="next" href="`)
			next, _, _ = strings.Cut(next, `"`)
		}
		if len(seen) != 65 {
			t.Errorf("%s shows %d, want 65", path, len(seen))
		}
		for i := 1; i < len(seen); i++ {
			if seen[i] >= seen[i-1] {
				t.Errorf("%s shows %s behind %s", path, seen[i], seen[i-1])
			}
		}
	}
}

// The page of an event shows what routes made of it, and says when that is not all.
func TestMadeOfAnEvent(t *testing.T) {
	st := newStore()
	event := data.FirstID(1)
	st.events = []data.Event{{ID: event, Type: "t", ReceivedAt: noon}, {ID: event + 1, Type: "t", ReceivedAt: noon}}
	server := newServer(t, st)
	const more = "There may be more than these."
	for made, want := range map[int]int{0: 0, maxMade: maxMade, maxMade + 1: maxMade} {
		st.messages = nil
		for i := range 2 * made {
			m := data.Message{ID: event + 500 + data.ID(i), Gateway: "gateway_1", State: data.Delivered, AcceptedAt: noon, Event: event + data.ID(i%2)}
			st.messages = append(st.messages, m)
		}
		for _, id := range []data.ID{event, event + 1} {
			got := do(t, server, "GET", "/events/"+id.String(), "", asBrowser)
			shown := strings.Count(got.body, `href="/messages/`)
			if got.status != 200 || shown != want || strings.Contains(got.body, more) != (made > maxMade) || strings.Contains(got.body, "No route made any") != (made == 0) {
				t.Errorf("the page of an event of which %d were made shows %d, want %d: %d %s", made, shown, want, got.status, got.body)
			}
		}
	}
}

// A reading that is refused is shown with its mistakes.
func TestReloadPage(t *testing.T) {
	st := pageStore()
	server := newServer(t, st)
	st.reload = func(context.Context) (Reloaded, []KeyFault, error) {
		return Reloaded{}, []KeyFault{{Key: "gateways.x.url", Detail: "is no URL"}}, nil
	}
	if got := sendForm(t, server, "/config/reload", nil); got.status != 200 || !strings.Contains(got.body, "gateways.x.url") || !strings.Contains(got.body, "is no URL") {
		t.Errorf("a reading with mistakes = %d %s", got.status, got.body)
	}
	st.reload = func(context.Context) (Reloaded, []KeyFault, error) {
		return Reloaded{}, nil, errors.New("disk on fire at /secret")
	}
	if got := sendForm(t, server, "/config/reload", nil); got.status != 500 || strings.Contains(got.body, "secret") {
		t.Errorf("a reading that fails = %d %s", got.status, got.body)
	}
}

// A filter that cannot be is said on the page, beside the form that has it.
func TestBadFilter(t *testing.T) {
	server := newServer(t, pageStore())
	got := do(t, server, "GET", "/messages?since=yesterday&state=gone", "", asBrowser)
	if got.status != 200 || !strings.Contains(got.body, "since: The value must be a time") || !strings.Contains(got.body, "state: The value must be") {
		t.Errorf("a bad filter = %d %s", got.status, got.body)
	}
	if got := do(t, server, "GET", "/messages?state=dead&gateway=gateway_1", "", asBrowser); !strings.Contains(got.body, deadPage) || !strings.Contains(got.body, "Send all matching again") {
		t.Errorf("dead letters = %d %s", got.status, got.body)
	}
}

// What no form of ours sends is refused with a page that says so, and does nothing: it
// is not taken for a form without fields.
func TestNotAForm(t *testing.T) {
	st := pageStore()
	server := newServer(t, st, pageKeyFor(ScopeAdmin))
	multipart := "--x\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\nm\r\n--x--\r\n"
	const page = "<!doctype html>"
	for _, c := range []struct {
		name, kind, body string
		status           int
		says             string
	}{
		{"multipart", "multipart/form-data; boundary=x", multipart, 415, "load the page anew"},
		{"JSON", "application/json", `{"message":"m"}`, 415, "load the page anew"},
		{"text", "text/plain", "message=m", 415, "load the page anew"},
		{"no type", "", "message=m", 415, "load the page anew"},
		{"another one that begins alike", contentForm + "x", "message=m", 415, "load the page anew"},
		{"broken escape", contentForm, "message=%zz", 400, "load the page anew"},
		{"half an escape", contentForm, "message=m&to=%4", 400, "load the page anew"},
		{"broken name", contentForm, "message=m&%g0=1", 400, "load the page anew"},
		{"too large", contentForm, "message=" + strings.Repeat("m", maxForm), 413, "send less"},
	} {
		for _, path := range []string{"/gateways/gateway_1/test", "/gateways/gateway_1/render", "/gateways/gateway_1/pause", "/messages/resend", "/login"} {
			var kind []string
			if c.kind != "" {
				kind = []string{"Content-Type: " + c.kind}
			}
			got := do(t, server, "POST", path, c.body, append(kind, pageKey, asBrowser)...)
			if got.status != c.status || !strings.HasPrefix(got.body, page) || !strings.Contains(got.body, c.says) {
				t.Errorf("%s to %s = %d %.200s, want %d and a page", c.name, path, got.status, got.body, c.status)
			}
			if got := do(t, server, "POST", path, c.body, append(kind, pageKey)...); got.status != c.status || got.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s to %s by a program = %d %s, want %d and a problem", c.name, path, got.status, got.header.Get("Content-Type"), c.status)
			}
		}
	}
	if got := sendForm(t, server, "/gateways/gateway_1/test", nil, pageKey); !strings.Contains(got.body, "message: The field is missing.") {
		t.Errorf("a form without a message = %d %s", got.status, got.body)
	}
	got := do(t, server, "POST", "/gateways/gateway_1/test", "message=a%C3%A4+b", pageKey, asBrowser, "Content-Type: Application/X-WWW-Form-Urlencoded ; charset=utf-8")
	if got.status != 200 || len(st.trials) != 1 || st.trials[0].Text != "aä b" {
		t.Errorf("a form in another case = %d, tried %+v", got.status, st.trials)
	}
	if len(st.trials) != 1 || len(st.resends) > 0 || st.lanes["gateway_1"].Paused {
		t.Error("something was done for what is no form")
	}
}

// A form that is larger than any body, which no route sees, gets its page as well: one
// that leads on for who is let in, and tells a page of somebody else nothing.
func TestFormLargerThanAnyBody(t *testing.T) {
	addr := listen(t, newServer(t, pageStore(), pageKeyFor(ScopeAdmin), func(o *Options) { o.BodyLimit, o.Version = 1000, "v9.9.9" }))
	const test = "/gateways/gateway_1/test"
	for _, c := range []struct {
		path    string
		headers []string
		page    bool
		knows   bool
	}{
		{test, []string{"Host: h", asBrowser, pageKey}, true, true},
		{test, []string{"Host: h", asBrowser}, true, false},
		{test, []string{"Host: h", asBrowser, pageKey, "Origin: https://evil.example"}, true, false},
		{test, []string{"Host: rebound.example", asBrowser, pageKey}, true, false},
		{test, []string{"Host: h", pageKey}, false, false},
		{"/api/v1/messages/resend", []string{"Host: h", asBrowser, pageKey}, false, false},
	} {
		conn := dial(t, addr)
		head := "POST " + c.path + " HTTP/1.1\r\n" + strings.Join(c.headers, "\r\n") + "\r\n" + formType + "\r\nContent-Length: 1001\r\n\r\n"
		if _, err := io.WriteString(conn, head+"message="+strings.Repeat("m", 1001-len("message="))); err != nil {
			t.Fatal(err)
		}
		status, body := readAnswer(t, bufio.NewReader(conn))
		_ = conn.Close()
		isPage, knows := strings.HasPrefix(body, "<!doctype html>"), strings.Contains(body, "v9.9.9")
		if status != 413 || isPage != c.page || knows != c.knows || knows != strings.Contains(body, ">Overview</a>") {
			t.Errorf("a large body to %s with %q = %d, a page %v, that knows the caller %v; want 413, %v, %v", c.path, c.headers, status, isPage, knows, c.page, c.knows)
		}
	}
}

// A filter is shown with marks for what cannot be seen, and still filters.
func TestFilterIsLegible(t *testing.T) {
	st := pageStore()
	const kind = "a\u202eb\U000E0061\u0000"
	st.events = append(st.events, data.Event{ID: data.FirstID(1) + 5, Type: kind, Payload: "found", ReceivedAt: noon})
	server := newServer(t, st)
	got := do(t, server, "GET", "/events?"+url.Values{"event_type": {kind}}.Encode(), "", asBrowser)
	got.body = html.UnescapeString(got.body)
	if !strings.Contains(got.body, `value="aU+202EbU+E0061U+0000"`) || !strings.Contains(got.body, "found") || strings.ContainsAny(got.body, "\u202e\U000E0061\u0000") {
		t.Errorf("a filter of events = %d %s", got.status, got.body)
	}
	if !strings.Contains(got.body, `data-tail="/api/v1/events/tail?event_type=a%E2%80%AEb%F3%A0%81%A1%00"`) {
		t.Errorf("the tail of a filter is none: %s", got.body)
	}
	got = do(t, server, "GET", "/messages?gateway="+url.QueryEscape(kind)+"&since="+url.QueryEscape(kind), "", asBrowser)
	got.body = html.UnescapeString(got.body)
	if strings.Count(got.body, `value="aU+202EbU+E0061U+0000"`) != 2 || strings.ContainsAny(got.body, "\u202e\U000E0061\u0000") {
		t.Errorf("a filter of messages = %d %s", got.status, got.body)
	}
}
