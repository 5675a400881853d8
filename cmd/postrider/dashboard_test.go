package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
)

const dashboardKey = "a-key-for-the-dashboard"

// dashboard is a process with a gateway for each way to be stuck.
func dashboard(t *testing.T) (p *instance, mend *atomic.Bool) {
	t.Helper()
	mend = new(atomic.Bool)
	failing := newGateway(t, func(*http.Request) int {
		if mend.Load() {
			return http.StatusOK
		}
		return http.StatusInternalServerError
	})
	slow := newGatewayWith(t, func(h http.Header, _ *http.Request) int {
		h.Set("Retry-After", "3000")
		return http.StatusTooManyRequests
	})
	cfg, err := read(t, fmt.Sprintf(`
http: {keys: [{name: ops, file: %[1]q}]}
demo: {gateways: true}
propagator: {enabled: true, interval: 100ms, key: {file: %[1]q}}
delivery: {interval: 300ms, allow_short_interval: true}
gateways:
  gateway_1: {}
  gateway_2: {}
  sms: {url: %[2]q, keep_answer: true}
  pager: {url: %[3]q, hold_after: 2}
  chat: {url: %[4]q}
  broken: {body: {text: "{{nothing_of_this_name}}"}}
routes:
  - {match: {event_type: "*"}, gateway: gateway_1, message: "{{event_payload}}"}
  - {match: {event_type: "user_*"}, gateway: gateway_2, message: "{{event_type}}: {{event_payload}}"}
`, writeFile(t, "key", dashboardKey), failing.url+"/sms", "http://127.0.0.1:"+freePort(t)+"/hook", slow.url+"/chat"))
	if err != nil {
		t.Fatal(err)
	}
	tempered := settings(t)
	cfg.HTTP.Port, cfg.HTTP.Drain, cfg.Storage = tempered.HTTP.Port, tempered.HTTP.Drain, tempered.Storage
	return start(t, cfg, nil), mend
}

// hostile is a text that a page has to show and must not obey.
const hostile = `<script>alert("pwned")</script><img src="https://evil.example/x" onerror="alert(1)"> ` + "\u202Egnp.exe\u0000 ende"

// Whoever looks at the dashboard sees what is stuck, and can do something about it.
func TestDashboard(t *testing.T) {
	p, mend := dashboard(t)
	b := newBrowser(t, p.url)
	send := func(gateway, text string) string {
		return post(t, p.url+"/send_message", messageFor(gateway, text), "Authorization", "Bearer "+dashboardKey)
	}
	dead := send("sms", hostile)
	for range 3 {
		send("sms", "Your code is 123456")
		send("pager", "disk full on db-1")
		send("chat", strings.Repeat("long text ", 300))
		send("broken", "never mind")
	}

	// Without a key there is the login, which leads on to where one wanted to go.
	b.open("/messages?state=dead")
	if got := b.at(); !strings.HasPrefix(got, "/login?next=") {
		t.Fatalf("without a key the browser is at %s, want the login", got)
	}
	b.look("login")
	b.expect(http.StatusUnauthorized)
	b.do(chromedp.SendKeys(chromedp.CSS("input[name=key]"), "a-wrong-key-of-someone"))
	b.press("button.main")
	b.eventually(".alarm", "not a key")
	b.do(chromedp.SendKeys(chromedp.CSS("input[name=key]"), dashboardKey))
	b.press("button.main")
	if got := b.at(); got != "/messages?state=dead" {
		t.Fatalf("after the login the browser is at %s, want where it wanted to go", got)
	}
	if got := b.text(".who"); !strings.Contains(got, "ops") {
		t.Errorf("the head says %q, want the name of the key", got)
	}

	// Numbers move without anybody's doing.
	b.open("/")
	before := b.text("[data-count=delivered]")
	const line = `document.querySelector("polyline.delivered").getAttribute("points")`
	chart := evaluate[string](b, line)
	moved := ""
	if !poll(patience, func() bool { moved = b.text("[data-count=delivered]"); return moved != before }) {
		t.Errorf("the number of delivered messages stays %s", before)
	}
	if evaluate[string](b, line) == chart {
		t.Errorf("the chart stays %s", chart)
	}

	// What is stuck is named, with why.
	for _, want := range []string{"asked to wait", "no connection", "parked", "dead letters"} {
		b.eventually("#attention", want)
	}
	b.look("overview")

	// A gateway is paused and resumed.
	b.open("/gateways/gateway_2")
	b.press("#pause-gateway_2")
	b.eventually(".said", "Paused")
	b.eventually("#now", "A person paused it")
	send("gateway_2", "waits")
	b.eventually("#now", "until somebody resumes it")
	b.open("/")
	b.eventually("#attention", "gateway_2")
	b.press("#act-gateway_2")
	b.eventually(".said", "Resumed")

	// A gateway is tried.
	b.open("/gateways/sms")
	b.do(chromedp.SendKeys(chromedp.CSS("textarea[name=message]"), "<b>hello</b>"))
	b.press("form.trial button:not(.main)")
	b.eventually(".request", "POST")
	b.eventually(".request", "<b>hello</b>")
	b.press("form.trial button.main")
	b.eventually(".result", "status 500")
	b.look("gateway")
	b.open("/gateways")
	b.eventually("main", "gateway_99"[:8])
	b.look("gateways")

	// What was written is shown, and does nothing.
	b.open("/messages/" + dead)
	b.eventually("h1 + .acts, .title .acts", "Send again")
	b.eventually("main", `<script>alert("pwned")</script>`)
	b.eventually("main", "U+202E")
	b.look("message")

	// A dead letter is sent again, and delivered.
	mend.Store(true)
	b.press("#resend")
	b.eventually(".said", "Sent again")
	b.eventually("#life", "delivered")
	b.look("message-delivered")

	// The page with how far that got sends nothing by itself: any page could lead there.
	b.open("/messages/resend?gateway=sms&state=dead&after=" + strings.Repeat("0", 26))
	b.eventually("main", "Go on")

	// And so are all others.
	b.open("/messages?gateway=sms&state=dead")
	b.look("messages")
	b.press(`a[href^="/messages/resend"]`)
	b.eventually("main", "3 dead letters match")
	b.look("resend")
	b.press("form button.main")
	b.eventually("main", "3 dead letters were sent again")
	b.open("/messages")
	b.eventually("main", "Newest first")

	// Events come as they happen.
	b.open("/events")
	b.eventually("main", "Newest first")
	b.look("events")
	b.do(chromedp.Click(chromedp.CSS("[data-tail-switch]")))
	b.eventually("[data-tail-state]", "Following")
	b.eventually(".tail tbody tr", "0000")
	post(t, p.url+"/event", `{"event_type":"odd\u2028\u202e\udb40\udc61","event_payload":""}`, "Authorization", "Bearer "+dashboardKey)
	b.eventually(".tail tbody", "oddU+2028U+202EU+E0061")
	b.do(chromedp.Click(chromedp.CSS("[data-tail-switch]")))
	b.eventually("[data-tail-state]", "Not following")
	b.open(evaluate[string](b, `document.querySelector("main > table.list th a").getAttribute("href")`))
	b.eventually("main", "Payload")
	b.look("event")

	b.open("/config")
	b.look("config")

	b.expect(http.StatusNotFound)
	b.open("/nothing-here")
	b.eventually("h1", "No such path")
	b.look("problem")

	// The way out.
	b.open("/")
	b.press(".who button")
	if got := b.at(); got != "/login" {
		t.Errorf("after the logout the browser is at %s, want the login", got)
	}
	b.open("/")
	if got := b.at(); !strings.HasPrefix(got, "/login") {
		t.Errorf("after the logout the browser gets to %s", got)
	}
	b.check()
}
