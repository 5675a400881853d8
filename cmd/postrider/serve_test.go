package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/config"
)

const formType = "application/x-www-form-urlencoded"

// These two requests are what users of the message sender have in their scripts;
// curl says that their bodies are forms.
func TestScriptsOfUsersWorkAsTheyAre(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	cfg.Demo.Gateways = true
	cfg.Gateways = map[string]config.Gateway{"gateway_1": {}, "gateway_2": {}}
	p := start(t, cfg, nil)

	for _, gateway := range []string{"gateway_1", "gateway_2"} {
		a := ask(t, http.MethodPost, p.url+"/send_message", `{"message": "test", "gateway": "`+gateway+`"}`, "Content-Type", formType)
		var given struct{ ID, Gateway, State string }
		a.decode(t, &given)
		if a.status != http.StatusOK || given.ID == "" || given.Gateway != gateway || given.State != "queued" {
			t.Fatalf("POST /send_message for %s = %d %s, want 200 with an id, queued", gateway, a.status, a.body)
		}
		m := p.await(t, given.ID, "delivered")
		if len(m.Attempts) != 1 || m.Attempts[0].Outcome != "delivered" || m.Attempts[0].Status != http.StatusOK {
			t.Errorf("attempts of the message for %s = %+v, want one that was delivered with 200", gateway, m.Attempts)
		}
		var received []line
		for _, l := range p.log.lines("demonstration gateway received") {
			if l["gateway"] == gateway {
				received = append(received, l)
			}
		}
		if len(received) != 1 || !sameJSON(fmt.Sprint(received[0]["body"]), `{"message": "test"}`) || received[0]["message"] != given.ID {
			t.Errorf(`%s received %v, want {"message": "test"} once, as message %s`, gateway, received, given.ID)
		}
	}
}

// All attempts are used, never early, across a restart between two of them.
func TestGatewayThatIsNotThere(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, saying(http.StatusNotFound))
	cfg := settings(t)
	cfg.Delivery.Interval = 500 * time.Millisecond
	cfg.Gateways = map[string]config.Gateway{"gateway_99": at(gateway.url)}
	p := start(t, cfg, nil)
	began := time.Now()
	id := post(t, p.url+"/send_message", messageFor("gateway_99", "test"))
	if took := time.Since(began); took > cfg.Delivery.Interval {
		t.Errorf("POST /send_message answered after %v, want at once", took)
	}
	first := p.await(t, id, "waiting")
	if err := p.stop(t); err != nil {
		t.Fatalf("run() = %v, want nil", err)
	}

	p = start(t, cfg, nil)
	m := p.await(t, id, "failed")
	if len(m.Attempts) != 3 {
		t.Fatalf("attempts = %+v, want three", m.Attempts)
	}
	if m.Attempts[0] != first.Attempts[0] {
		t.Errorf("after the restart the first attempt is %+v, want %+v", m.Attempts[0], first.Attempts[0])
	}
	for i, a := range m.Attempts {
		if a.Number != i+1 || a.Outcome != "temporary" || a.Status != http.StatusNotFound || a.Cause != "status" || a.BeganAt.IsZero() {
			t.Errorf("attempt %d = %+v, want a temporary one with 404, cause status and a time", i+1, a)
		}
	}
	checkArrivals(t, gateway.seen(), cfg.Delivery.Interval, []string{"1", "2", "3"})
	if seen := gateway.seen(); seen[0].message != id || !sameJSON(seen[0].body, `{"message": "test"}`) {
		t.Errorf(`the gateway got %s of message %s, want {"message": "test"} of %s`, seen[0].body, seen[0].message, id)
	}
}

// checkArrivals checks the attempts of one message as its gateway saw them.
func checkArrivals(t *testing.T, seen []arrival, interval time.Duration, attempts []string) {
	t.Helper()
	var numbers []string
	for i, a := range seen {
		numbers = append(numbers, a.attempt)
		if i == 0 || seen[i-1].answered.IsZero() {
			continue
		}
		if pause := a.at.Sub(seen[i-1].answered); pause < interval {
			t.Errorf("attempt %s came %v after the end of the one before it, want at least %v", a.attempt, pause, interval)
		}
	}
	if !slices.Equal(numbers, attempts) {
		t.Errorf("the gateway saw attempts %v, want %v", numbers, attempts)
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	cfg.Delivery.MaxAttempts = 1
	cfg.Gateways = map[string]config.Gateway{"silent": at("http://127.0.0.1:" + freePort(t))}
	p := start(t, cfg, nil)
	m := p.await(t, post(t, p.url+"/send_message", messageFor("silent", "x")), "failed")
	if a := m.Attempts[0]; len(m.Attempts) != 1 || a.Cause != "refused" || a.Status != 0 {
		t.Errorf("attempts = %+v, want one that was refused", m.Attempts)
	}
}

func TestUndeclaredGatewayIsRefused(t *testing.T) {
	t.Parallel()
	p := start(t, settings(t), nil)
	a := ask(t, http.MethodPost, p.url+"/send_message", messageFor("gateway_1", "x"))
	var problem struct{ Type string }
	a.decode(t, &problem)
	if a.status != http.StatusUnprocessableEntity || problem.Type != "urn:postrider:problem:unknown-gateway" {
		t.Errorf("POST /send_message = %d %s, want 422 unknown-gateway", a.status, a.body)
	}
	if all := list(t, p.url+"/api/v1/messages"); len(all.Messages) != 0 {
		t.Errorf("stored %+v, want nothing", all.Messages)
	}
}

func TestEventsAreListedNewestLast(t *testing.T) {
	t.Parallel()
	p := start(t, settings(t), nil)
	var want []string
	for i := range 3 {
		want = append(want, post(t, p.url+"/event", fmt.Sprintf(`{"event_type": "a", "event_payload": "%d"}`, i)))
	}
	a := ask(t, http.MethodPost, p.url+"/event", `[{"event_type": "b", "event_payload": "3"}, {"event_type": "a", "event_payload": "4"}]`)
	var given struct{ IDs []string }
	a.decode(t, &given)
	want = append(want, given.IDs...)

	var got []string
	cursor, pages := "", 0
	for ; ; pages++ {
		var p1 page
		get(t, p.url+"/api/v1/events?limit=2&after="+cursor, &p1)
		for _, e := range p1.Events {
			if e.Payload != fmt.Sprint(len(got)) {
				t.Errorf("event %s at place %d has payload %q", e.ID, len(got), e.Payload)
			}
			got = append(got, e.ID)
		}
		if p1.Next == nil {
			break
		}
		cursor = *p1.Next
	}
	if !slices.Equal(got, want) || pages == 0 {
		t.Errorf("%d pages list %v, want several with %v", pages+1, got, want)
	}
	// The id of the last event is where to go on from when there is more.
	last := want[len(want)-1]
	newest := post(t, p.url+"/event", `{"event_type": "b", "event_payload": "5"}`)
	var later, typed page
	get(t, p.url+"/api/v1/events?after="+last, &later)
	if len(later.Events) != 1 || later.Events[0].ID != newest {
		t.Errorf("events after %s = %+v, want only %s", last, later.Events, newest)
	}
	get(t, p.url+"/api/v1/events?event_type=b", &typed)
	if len(typed.Events) != 2 || typed.Events[0].Payload != "3" || typed.Events[1].Payload != "5" {
		t.Errorf("events of type b = %+v, want 3 and 5", typed.Events)
	}
}

func TestRoutesMakeMessagesOfEvents(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, saying(http.StatusNoContent))
	cfg := settings(t)
	cfg.Gateways = map[string]config.Gateway{"chat": at(gateway.url), "pager": at(gateway.url)}
	cfg.Routes = []config.Route{
		{Match: config.Match{EventType: "user_*"}, Gateway: "chat", Message: "{{event_payload}} is here"},
		{Match: config.Match{EventType: "user_joined"}, Gateway: "pager", Message: "{{event_type}}"},
	}
	p := start(t, cfg, nil)
	a := ask(t, http.MethodPost, p.url+"/event", `[{"event_type": "user_joined", "event_payload": "Al \"the\" {{x}}"},
		{"event_type": "other", "event_payload": "none"}, {"event_type": "user_left", "event_payload": "Bo"}]`)
	var given struct{ IDs []string }
	a.decode(t, &given)
	if len(given.IDs) != 3 {
		t.Fatalf("POST /event = %d %s, want three ids", a.status, a.body)
	}
	// What the routes make is there as soon as the events are acknowledged.
	var got []string
	for _, m := range list(t, p.url+"/api/v1/messages").Messages {
		got = append(got, m.Event+" "+m.Gateway+" "+m.Text)
	}
	want := []string{
		given.IDs[0] + ` chat Al "the" {{x}} is here`,
		given.IDs[0] + " pager user_joined",
		given.IDs[2] + " chat Bo is here",
	}
	if !slices.Equal(got, want) {
		t.Errorf("messages = %q, want %q", got, want)
	}
	eventually(t, "all three are delivered", func() bool { return len(gateway.seen()) == 3 })
}

// A route that looks into the payload and fills every field, for several gateways.
func TestRouteOnPayload(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, saying(http.StatusNoContent))
	cfg := settings(t)
	cfg.Gateways = map[string]config.Gateway{"chat": at(gateway.url), "pager": at(gateway.url)}
	cfg.Routes = []config.Route{{
		Match:    config.Match{EventType: "order_*", Payload: map[string]any{"/customer/country": "D?"}},
		Gateways: []string{"chat", "pager"}, Message: "order {{payload.id}}", To: "{{payload.customer.phone}}",
		Title: "{{event_type}}", Params: map[string]string{"id": "{{payload.id}}"},
	}}
	p := start(t, cfg, nil)
	payload := func(country string) string {
		return quoted(`{"id": 12345678901234567890, "customer": {"country": "` + country + `", "phone": "+49"}}`)
	}
	ask(t, http.MethodPost, p.url+"/event", `{"event_type": "order_new", "event_payload": `+payload("FR")+`}`)
	id := post(t, p.url+"/event", `{"event_type": "order_new", "event_payload": `+payload("DE")+`}`)
	var all struct {
		Messages []struct {
			Event, Gateway, Message, To, Title string
			Params                             map[string]string
		}
	}
	get(t, p.url+"/api/v1/messages", &all)
	if len(all.Messages) != 2 {
		t.Fatalf("messages are %+v, want two", all.Messages)
	}
	for i, name := range []string{"chat", "pager"} {
		m := all.Messages[i]
		if m.Event != id || m.Gateway != name || m.Message != "order 12345678901234567890" || m.To != "+49" || m.Title != "order_new" ||
			m.Params["id"] != "12345678901234567890" {
			t.Errorf("message %d is %+v", i, m)
		}
	}
}

func TestMessagesExpire(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, saying(http.StatusOK))
	cfg := settings(t)
	cfg.Gateways = map[string]config.Gateway{"chat": at(gateway.url)}
	p := start(t, cfg, nil)
	p.pause(t, "chat", true)
	id := post(t, p.url+"/send_message", `{"message": "code 1", "gateway": "chat", "expires_in": "20ms"}`)
	kept := post(t, p.url+"/send_message", `{"message": "code 2", "gateway": "chat", "expires_in": "1h"}`)
	pause(t, 50*time.Millisecond)
	p.pause(t, "chat", false)
	p.await(t, id, "expired")
	p.await(t, kept, "delivered")
	if n := len(gateway.seen()); n != 1 {
		t.Errorf("the gateway saw %d requests, want one", n)
	}
	if shown := ask(t, http.MethodGet, p.url+"/metrics", "").body; !strings.Contains(shown, `postrider_dead_letters_total{gateway="chat",state="expired"} 1`) {
		t.Error("the metrics do not count what expired")
	}
}

// A message that a route cannot make is not left out in silence.
func TestRouteThatMakesTooMuch(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	cfg.HTTP.BodyLimit = config.MiB
	cfg.Gateways = map[string]config.Gateway{"chat": at("http://127.0.0.1:" + freePort(t))}
	cfg.Routes = []config.Route{{Match: config.Match{EventType: "*"}, Gateway: "chat", Message: strings.Repeat("{{event_payload}}", 20)}}
	p := start(t, cfg, nil)
	a := ask(t, http.MethodPost, p.url+"/event", `{"event_type": "long", "event_payload": "`+strings.Repeat("x", 900<<10)+`"}`)
	if a.status != http.StatusUnprocessableEntity {
		t.Errorf("POST /event = %d %s, want 422", a.status, a.body)
	}
	if all := list(t, p.url+"/api/v1/events"); len(all.Events) != 0 {
		t.Errorf("%d events are stored, want none", len(all.Events))
	}
}

func TestRepeatedRequestIsStoredOnce(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, saying(http.StatusOK))
	cfg := settings(t)
	cfg.Gateways = map[string]config.Gateway{"chat": at(gateway.url)}
	p := start(t, cfg, nil)
	body := messageFor("chat", "once")
	first := ask(t, http.MethodPost, p.url+"/send_message", body, "Idempotency-Key", "k-1")
	events := ask(t, http.MethodPost, p.url+"/event", `[{"event_type": "a", "event_payload": ""}]`, "Idempotency-Key", "k-2")
	if err := p.stop(t); err != nil {
		t.Fatalf("run() = %v, want nil", err)
	}

	p = start(t, cfg, nil)
	again := ask(t, http.MethodPost, p.url+"/send_message", body, "Idempotency-Key", "k-1")
	if again.status != first.status || again.body != first.body || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("repeated = %d %s (replayed %q), want %d %s", again.status, again.body, again.header.Get("Idempotent-Replayed"), first.status, first.body)
	}
	if again := ask(t, http.MethodPost, p.url+"/event", `[{"event_type": "a", "event_payload": ""}]`, "Idempotency-Key", "k-2"); again.body != events.body {
		t.Errorf("repeated = %d %s, want %d %s", again.status, again.body, events.status, events.body)
	}
	if other := ask(t, http.MethodPost, p.url+"/send_message", messageFor("chat", "other"), "Idempotency-Key", "k-1"); other.status != http.StatusUnprocessableEntity {
		t.Errorf("other body with the same key = %d %s, want 422", other.status, other.body)
	}
	if m := list(t, p.url+"/api/v1/messages").Messages; len(m) != 1 {
		t.Errorf("messages = %+v, want one", m)
	}
	if e := list(t, p.url+"/api/v1/events").Events; len(e) != 1 {
		t.Errorf("events = %+v, want one", e)
	}
}

func TestCancelledMessageIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, saying(http.StatusInternalServerError))
	cfg := settings(t)
	cfg.Gateways = map[string]config.Gateway{"chat": at(gateway.url)}
	p := start(t, cfg, nil)
	id := post(t, p.url+"/send_message", messageFor("chat", "x"))
	p.await(t, id, "waiting")
	if a := ask(t, http.MethodPost, p.url+"/api/v1/messages/"+id+"/cancel", ""); a.status != http.StatusOK {
		t.Fatalf("cancel = %d %s, want 200", a.status, a.body)
	}
	// A later message has its turn after the cancelled one would have had its.
	p.await(t, post(t, p.url+"/send_message", messageFor("chat", "y")), "failed")
	if m := p.message(t, id); m.State != "cancelled" || len(m.Attempts) != 1 {
		t.Errorf("message = %+v, want cancelled after one attempt", m)
	}
}

func TestKeysLetIn(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	secret := "a-key-of-the-tests-0123456789"
	file := writeFile(t, "config.yaml", `http: {keys: [{name: ops, file: "`+writeFile(t, "key", secret+"\n")+`"}]}`)
	loaded, err := config.Load(config.Options{File: file})
	if err != nil {
		t.Fatal(err)
	}
	cfg.HTTP.Keys = loaded.HTTP.Keys
	p := start(t, cfg, nil)
	for _, c := range []struct {
		path, authorization string
		want                int
	}{
		{"/api/v1/events", "", http.StatusUnauthorized},
		{"/api/v1/events", "Bearer " + secret + "x", http.StatusUnauthorized},
		{"/api/v1/events", "Basic " + secret, http.StatusUnauthorized},
		{"/api/v1/events", "Bearer " + secret, http.StatusOK},
		{"/metrics", "", http.StatusUnauthorized},
		{"/metrics", "Bearer " + secret, http.StatusOK},
		{"/healthz", "", http.StatusOK},
		{"/readyz", "", http.StatusOK},
	} {
		a := ask(t, http.MethodGet, p.url+c.path, "", "Authorization", c.authorization)
		if a.status != c.want {
			t.Errorf("GET %s with %q = %d, want %d", c.path, c.authorization, a.status, c.want)
		}
	}
	if a := ask(t, http.MethodPost, p.url+"/event", `{"event_type": "a", "event_payload": ""}`); a.status != http.StatusUnauthorized {
		t.Errorf("POST /event without a key = %d, want 401", a.status)
	}
}

func TestMetricsShowWhatHappened(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, saying(http.StatusOK))
	cfg := settings(t)
	cfg.Gateways = map[string]config.Gateway{"chat": at(gateway.url)}
	p := start(t, cfg, nil)
	p.await(t, post(t, p.url+"/send_message", messageFor("chat", "x")), "delivered")
	for _, want := range []string{
		`postrider_attempts_total{cause="",gateway="chat",outcome="delivered"} 1`,
		`postrider_messages{state="delivered"} 1`,
		`postrider_http_requests_total{route="/send_message",status="200"} 1`,
		"postrider_commit_duration_seconds_count",
	} {
		eventually(t, "/metrics shows "+want, func() bool { // the lane counts what the store has by then
			return strings.Contains(ask(t, http.MethodGet, p.url+"/metrics", "").body, want)
		})
	}
}

// A mistake that only running the parts can find is a mistake of the
// configuration all the same, and found before anything is touched.
func TestRunRefusesWhatItCannotUse(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	cfg.Gateways = map[string]config.Gateway{"chat": at("http://127.0.0.1:1")}
	cfg.Routes = []config.Route{{Match: config.Match{EventType: "*"}, Gateway: "chat", Message: "{{nothing}}"}}
	cfg.Propagator.Enabled = true
	cfg.Propagator.EventsFile = cfg.Storage.Path + "/none.json"
	err := run(t.Context(), cfg, runOptions{errs: new(logBuffer)})
	mistakes, _ := errors.AsType[config.Mistakes](err)
	if exitCode(err) != exitUsage || len(mistakes) != 2 {
		t.Errorf("run() = %v, want two mistakes", err)
	}
	if stored(cfg.Storage.Path) {
		t.Error("a store was made")
	}
}
