package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

func TestRepeatGetsTheFirstAnswer(t *testing.T) {
	event := `{"event_type":"a","event_payload":"b"}`
	cases := []struct{ name, route, body string }{
		{name: "event", route: "/event", body: event},
		{name: "array", route: "/event", body: "[" + event + "," + event + "]"},
		{name: "array of one", route: "/event", body: "[" + event + "]"},
		{name: "message", route: "/send_message", body: `{"message":"a","gateway":"gateway_1"}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			store := newStore()
			server := newServer(t, store)
			const key = "Idempotency-Key: 5f0c!~"
			do(t, server, "POST", "/event", event)
			first := do(t, server, "POST", c.route, c.body, key)
			do(t, server, "POST", "/event", event, "Idempotency-Key: other")
			stored := len(store.events) + len(store.messages)
			second := do(t, server, "POST", c.route, c.body, key)
			if second.status != first.status || second.body != first.body || second.header.Get("Location") != first.header.Get("Location") {
				t.Errorf("repeat = %d %s, want %d %s", second.status, second.body, first.status, first.body)
			}
			if first.header.Get("Idempotent-Replayed") != "" || second.header.Get("Idempotent-Replayed") != "true" {
				t.Errorf("Idempotent-Replayed = %q, then %q; want none, then true", first.header.Get("Idempotent-Replayed"), second.header.Get("Idempotent-Replayed"))
			}
			if got := len(store.events) + len(store.messages); got != stored {
				t.Errorf("the repeat stored %d records", got-stored)
			}
			if other := do(t, server, "POST", c.route, c.body+" ", key); other.status != 422 || !strings.Contains(other.body, "idempotency-key-reused") {
				t.Errorf("same key, other bytes = %d %s, want 422", other.status, other.body)
			}
		})
	}
}

// A client that had no answer gets it also when the gateway was removed meanwhile.
func TestRepeatForARemovedGateway(t *testing.T) {
	store := newStore()
	server := newServer(t, store)
	const route, body, key = "/send_message", `{"message":"a","gateway":"gateway_1"}`, "Idempotency-Key: k"
	first := do(t, server, "POST", route, body, key)
	store.gateways = nil
	again := do(t, server, "POST", route, body, key)
	if again.status != first.status || again.body != first.body || again.header.Get("Location") != first.header.Get("Location") || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("repeat = %d %s %v, want %d %s, replayed", again.status, again.body, again.header, first.status, first.body)
	}
	if store.saved() != 1 {
		t.Errorf("Save was called %d times, want once", store.saved())
	}
	for name, c := range map[string]struct {
		body, key, want string
	}{
		"other bytes": {body + " ", key, "idempotency-key-reused"},
		"other key":   {body, "Idempotency-Key: l", "unknown-gateway"},
		"no key":      {body, "X-Other: k", "unknown-gateway"},
		"no text":     {`{"gateway":"gateway_1"}`, key, "invalid-body"},
	} {
		if got := do(t, server, "POST", route, c.body, c.key); got.status != 422 || !strings.Contains(got.body, c.want) {
			t.Errorf("%s = %d %s, want 422 %s", name, got.status, got.body, c.want)
		}
	}
}

func TestIdempotencyKeyCoversRouteAndBody(t *testing.T) {
	hashes := func(key, route, body string) data.IdempotencyKey {
		k, err := idempotencyKey([][]byte{[]byte(key)}, route, []byte(body))
		if err != nil {
			t.Fatalf("idempotencyKey(%q, %q, %q): %v", key, route, body, err)
		}
		return *k
	}
	first := hashes("k", "/event", "{}")
	if again := hashes("k", "/event", "{}"); again != first {
		t.Error("the same request has other hashes")
	}
	for _, other := range []data.IdempotencyKey{hashes("k", "/send_message", "{}"), hashes("k", "/event", "{} ")} {
		if other.Key != first.Key || other.Request == first.Request {
			t.Error("another request under the same key: want the same hash of the key and another one of the request")
		}
	}
	if other := hashes("l", "/event", "{}"); other.Key == first.Key || other.Request != first.Request {
		t.Error("the same request under another key: want another hash of the key and the same one of the request")
	}
}

func TestIntakeIsRefusedBeforeTheBodyIsLookedAt(t *testing.T) {
	for _, refusal := range []error{data.ErrStopping, data.ErrNoSpace, data.ErrStorage, data.ErrOverloaded} {
		store := newStore()
		store.messages = []data.Message{{ID: 2, State: data.Queued}}
		server := newServer(t, store, func(o *Options) { o.Accepting = func() error { return refusal } })
		for _, route := range []string{"/event", "/send_message"} {
			got := do(t, server, "POST", route, "not JSON at all")
			if got.status != 503 || got.header.Get("Retry-After") == "" {
				t.Errorf("POST %s while %v = %d, Retry-After %q; want 503 with one", route, refusal, got.status, got.header.Get("Retry-After"))
			}
		}
		if got := do(t, server, "POST", "/api/v1/messages/"+data.ID(2).String()+"/cancel", ""); got.status != 200 {
			t.Errorf("cancel while %v = %d, want 200", refusal, got.status)
		}
		if got := do(t, server, "GET", "/api/v1/messages", ""); got.status != 200 {
			t.Errorf("list while %v = %d, want 200", refusal, got.status)
		}
	}
}

// A gateway that has enough to do refuses a message, and the event whose route
// leads to it.
func TestBacklog(t *testing.T) {
	store := newStore()
	store.err = data.ErrBacklog
	server := newServer(t, store)
	for route, body := range map[string]string{
		"/event": `{"event_type":"a","event_payload":"b"}`, "/send_message": `{"message":"m","gateway":"gateway_99"}`,
	} {
		got := do(t, server, "POST", route, body)
		if got.status != 429 || got.header.Get("Retry-After") != "30" || !strings.Contains(got.body, "max_queue") {
			t.Errorf("POST %s = %d %s, Retry-After %q; want 429 that names the limit, and 30", route, got.status, got.body, got.header.Get("Retry-After"))
		}
	}
	for _, save := range store.saves {
		for _, m := range save.Messages {
			if m.MaxQueue != 5 {
				t.Errorf("the message may find %d others; want the gateway's 5", m.MaxQueue)
			}
		}
	}
}

func TestStoreThatDoesNotAnswer(t *testing.T) {
	store := newStore()
	store.onSave = func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); !ok {
			return errors.New("no deadline")
		}
		<-ctx.Done()
		return ctx.Err()
	}
	server := newServer(t, store, func(o *Options) { o.SaveTimeout = time.Millisecond })
	got := do(t, server, "POST", "/event", `{"event_type":"a","event_payload":"b"}`)
	if got.status != 503 || !strings.Contains(got.body, "result-unknown") || !strings.Contains(got.body, "same Idempotency-Key") {
		t.Errorf("answer %d %s, want 503 that says the result is unknown", got.status, got.body)
	}
}

// TestNothingAliasesTheConnection sends requests of the same length over one
// connection, so that each overwrites the buffers of the one before, and then
// looks at what the store was given first.
func TestNothingAliasesTheConnection(t *testing.T) {
	store := newStore()
	addr := listen(t, newServer(t, store, func(o *Options) {
		o.Routes = routing(func(e data.NewEvent) ([]data.NewMessage, error) {
			return []data.NewMessage{{Gateway: "gateway_1", Text: e.Payload}}, nil
		})
	}))
	conn := dial(t, addr)
	answers := bufio.NewReader(conn)
	for _, fill := range []string{"A", "B", "C"} {
		text := strings.Repeat(fill, 200)
		for _, request := range []struct{ route, body string }{
			{"/event", fmt.Sprintf(`{"event_type":%q,"event_payload":%q}`, text, text)},
			{"/event", fmt.Sprintf(`[{"event_type":%q,"event_payload":%q}]`, text, text)},
			{"/send_message", fmt.Sprintf(`{"message":%q,"gateway":"gateway_1"}`, text)},
		} {
			_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\nIdempotency-Key: %s\r\nContent-Length: %d\r\n\r\n%s", request.route, fill+request.route+request.body[:1], len(request.body), request.body)
			if err != nil {
				t.Fatal(err)
			}
			if status, _ := readAnswer(t, answers); status/100 != 2 {
				t.Fatalf("POST %s = %d", request.route, status)
			}
		}
	}
	for i, save := range store.saves {
		want := strings.Repeat(string(rune('A'+i/3)), 200)
		for _, e := range save.Events {
			if e.Type != want || e.Payload != want {
				t.Fatalf("save %d: event became %.3s, %.3s; want %.3s", i, e.Type, e.Payload, want)
			}
		}
		for _, m := range save.Messages {
			if m.Text != want || m.Gateway != "gateway_1" {
				t.Fatalf("save %d: message became %.3s for %s; want %.3s", i, m.Text, m.Gateway, want)
			}
		}
	}
}

// A reload between two events of one request must not split it.
func TestOneRequestMeetsOneSetOfRoutes(t *testing.T) {
	store, sets := newStore(), 0
	server := newServer(t, store, func(o *Options) {
		o.Routes = func() Router {
			sets++
			text := fmt.Sprint(sets)
			return router{route: func(data.NewEvent) ([]data.NewMessage, error) {
				return []data.NewMessage{{Gateway: "gateway_1", Text: text}}, nil
			}}
		}
	})
	event := `{"event_type":"a","event_payload":"b"}`
	for range 2 {
		if got := do(t, server, "POST", "/event", "["+event+","+event+","+event+"]"); got.status != 201 {
			t.Fatalf("answer %d %s, want 201", got.status, got.body)
		}
	}
	var texts []string
	for _, m := range store.messages {
		texts = append(texts, m.Text)
	}
	if got := strings.Join(texts, " "); got != "1 1 1 2 2 2" {
		t.Errorf("the routes that made the messages are %s, want 1 1 1 2 2 2", got)
	}
}

// The routes hear once that what they made is on disk, and not of what is not, or was
// before.
func TestRoutesHearWhatIsStored(t *testing.T) {
	store, stored := newStore(), 0
	server := newServer(t, store, func(o *Options) {
		o.Routes = func() Router {
			return router{
				route:  func(data.NewEvent) ([]data.NewMessage, error) { return nil, nil },
				stored: func() { stored++ },
			}
		}
	})
	event := `{"event_type":"a","event_payload":"b"}`
	for _, step := range []struct {
		body, key    string
		err          error
		status, want int
	}{
		{"[" + event + "," + event + "]", "", nil, 201, 1},
		{event, "k1", data.ErrStorage, 503, 1},
		{event, "k1", nil, 201, 2},
		{event, "k1", nil, 201, 2},
		{`{"event_type":1}`, "", nil, 422, 2},
	} {
		store.err = step.err
		var headers []string
		if step.key != "" {
			headers = []string{"Idempotency-Key: " + step.key}
		}
		if got := do(t, server, "POST", "/event", step.body, headers...); got.status != step.status || stored != step.want {
			t.Errorf("%+v: answer %d, heard %d times", step, got.status, stored)
		}
	}
}
