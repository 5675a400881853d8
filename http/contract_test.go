package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

func TestIntakeAnswers(t *testing.T) {
	store := newStore()
	tr := &transcript{tb: t, server: newServer(t, store, func(o *Options) {
		o.Routes = routing(func(e data.NewEvent) ([]data.NewMessage, error) {
			if !strings.HasPrefix(e.Type, "user_") {
				return nil, nil
			}
			return []data.NewMessage{{Gateway: "gateway_1", Text: e.Payload + " is here"}}, nil
		})
	})}
	tr.do("one event", "POST", "/event", `{"event_type":"message","event_payload":"hello"}`)
	tr.do("several events, one routed", "POST", "/event", `[{"event_type":"a","event_payload":""},{"event_payload":"alice","event_type":"user_joined"}]`)
	tr.do("an array of one", "POST", "/event", ` [ {"event_type":"a","event_payload":"b"} ] `)
	tr.do("one routed event", "POST", "/event", `{"event_type":"user_left","event_payload":"bob"}`)
	tr.do("empty strings are strings", "POST", "/event", `{"event_type":"","event_payload":""}`)
	tr.do("escaped names and NUL are legal JSON", "POST", "/event", `{"event\u005ftype":"\u0000","event_payload":"\ud83d\ude00"}`)
	tr.do("the content type does not count", "POST", "/event", `{"event_type":"a","event_payload":"b"}`, "Content-Type: application/x-www-form-urlencoded")
	tr.do("nor does multipart", "POST", "/event", `{"event_type":"a","event_payload":"b"}`, "Content-Type: multipart/form-data; boundary=x")
	tr.do("identity is no compression", "POST", "/event", `{"event_type":"a","event_payload":"b"}`, "Content-Encoding: identity")
	tr.do("a message", "POST", "/send_message", `{"message": "hello world", "gateway": "gateway_1"}`)
	tr.do("a message for a gateway whose declaration is broken waits", "POST", "/send_message", `{"message": "", "gateway": "broken"}`)
	tr.compare("intake")

	if got, want := store.messages[0].Event, data.FirstID(1)+2; got != want {
		t.Errorf("routed message of the second event of the array has event %v, want %v", got, want)
	}
	if got := store.events[6].Type; got != "\x00" {
		t.Errorf("escaped NUL was stored as %q", got)
	}
}

func TestRefusals(t *testing.T) {
	store := newStore()
	tr := &transcript{tb: t, server: newServer(t, store, func(o *Options) {
		o.Routes = routing(func(e data.NewEvent) ([]data.NewMessage, error) {
			if e.Type == "huge" {
				return nil, data.ErrTooLarge
			}
			return make([]data.NewMessage, len(e.Payload)), nil
		})
	})}
	event := `{"event_type":"a","event_payload":"b"}`
	tr.do("everything wrong at once", "POST", "/event", `[{"event_type":1,"EVENT_PAYLOAD":"x","<script>":{}},null,{"event_type":null,"event_payload":[]},7]`)
	tr.do("the refused one of the eleven", "POST", "/event", `{"event_type":123,"event_payload":{}}`)
	tr.do("empty array", "POST", "/event", `[]`)
	tr.do("1001 events", "POST", "/event", "["+strings.Repeat(event+",", data.MaxEvents)+event+"]")
	tr.do("more findings than are listed", "POST", "/event", "["+strings.Repeat(`0,`, 499)+`0]`)
	tr.do("too many routed messages", "POST", "/event", fmt.Sprintf(`{"event_type":"a","event_payload":%q}`, strings.Repeat("x", data.MaxRouted+1)))
	tr.do("a routed message that is too large", "POST", "/event", `{"event_type":"huge","event_payload":""}`)
	tr.do("unknown gateway", "POST", "/send_message", `{"message":"m","gateway":"nobody"}`)
	tr.do("unknown gateway and more", "POST", "/send_message", `{"gateway":"nobody"}`)
	tr.do("no array here", "POST", "/send_message", `[{"message":"m","gateway":"gateway_1"}]`)
	tr.do("empty body", "POST", "/event", "")
	tr.do("only space", "POST", "/send_message", " \n")
	tr.do("duplicate name", "POST", "/event", `{"event_type":"a","event_type":"a","event_payload":"b"}`)
	tr.do("duplicate name, escaped", "POST", "/event", `{"event_type":"a","event\u005ftype":"a","event_payload":"b"}`)
	tr.do("duplicate name deep inside", "POST", "/event", `{"event_type":{"a":1,"a":2},"event_payload":"b"}`)
	tr.do("trailing data", "POST", "/event", event+event)
	tr.do("not JSON", "POST", "/event", "event_type=a&event_payload=b")
	tr.do("cut off", "POST", "/event", `{"event_type":"a","event_pay`)
	tr.do("byte order mark", "POST", "/event", "\ufeff"+event)
	tr.do("100,000 deep", "POST", "/event", strings.Repeat("[", 100_000))
	tr.do("100,000 deep inside", "POST", "/event", `{"event_type":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+`,"event_payload":"b"}`)
	tr.do("compressed", "POST", "/event", "\x1f\x8b\x08\x00", "Content-Encoding: gzip")
	tr.do("compressed under two names", "POST", "/send_message", event, "Content-Encoding: identity", "Content-Encoding: br")
	tr.do("empty key", "POST", "/event", event, "Idempotency-Key: ")
	tr.do("two keys", "POST", "/event", event, "Idempotency-Key: a", "Idempotency-Key: a")
	tr.do("key with a space", "POST", "/event", event, "Idempotency-Key: a b")
	tr.do("key that is no ASCII", "POST", "/event", event, "Idempotency-Key: ä")
	tr.do("key too long", "POST", "/event", event, "Idempotency-Key: "+strings.Repeat("k", 256))
	tr.do("no such path", "POST", "/Event", event)
	tr.do("no such path, with a slash", "POST", "/event/", event)
	tr.do("no such path, two slashes", "POST", "//event", event)
	tr.do("no such demonstration gateway", "POST", "/gateway_1", event)
	tr.do("wrong method", "GET", "/event", "")
	tr.do("wrong method on a list", "DELETE", "/api/v1/events", "")
	tr.do("wrong method on one", "PUT", "/api/v1/messages/0000000000000", "")
	tr.do("unknown method", "BREW", "/send_message", "")
	tr.do("unknown method, no such path", "BREW", "/coffee", "")
	tr.do("preflight", "OPTIONS", "/event", "")
	tr.compare("refusals")

	if n := store.saved(); n != 0 {
		t.Errorf("%d saves of refused requests, want none", n)
	}
}

func TestErrorsOfTheStore(t *testing.T) {
	store := newStore()
	lines := &logLines{}
	tr := &transcript{tb: t, undocumented: true, server: newServer(t, store, func(o *Options) { o.Logger = lines.logger() })}
	for _, err := range []error{
		data.ErrNotFound, data.ErrUnknownGateway, data.ErrKeyReused, data.ErrTooLarge, data.ErrSending, data.ErrEnded,
		data.ErrNotDead, data.ErrResent, data.ErrConflict, data.ErrBadCursor, data.ErrNoSpace, data.ErrOverloaded, data.ErrBacklog, data.ErrStopping,
		data.ErrNoAnswer, data.ErrStorage, data.ErrDamaged,
	} {
		store.err = err
		got := tr.do(err.Error(), "POST", "/send_message", `{"message":"m","gateway":"gateway_1"}`)
		if wrong := openDocument(t).CheckResponse(fmt.Sprint("/components/responses/P", got.status), got.checked()); wrong != nil {
			t.Errorf("the answer to %v is not as documented: %v", err, wrong)
		}
		if strings.Contains(got.body, "secret") {
			t.Errorf("the answer to %v shows internal text: %s", err, got.body)
		}
	}
	tr.compare("errors")
	if got := strings.Count(lines.String(), "level=ERROR"); got != 1 {
		t.Errorf("%d errors were logged, want only the one that nobody expects:\n%s", got, lines)
	}
}

func TestQuestions(t *testing.T) {
	store := newStore()
	tr := &transcript{tb: t, server: newServer(t, store, func(o *Options) { o.Version = "1.2.3" })}
	first := data.FirstID(1)
	for i := range data.ID(12) {
		store.events = append(store.events, data.Event{ID: first + i, Type: []string{"even", "odd"}[i%2], Payload: fmt.Sprint(i), ReceivedAt: noon})
	}
	tried := func(n int, r data.Result) data.Attempt {
		began := data.StoreTime(n) * data.StoreTime(time.Minute)
		return data.Attempt{Number: n, Began: began, Ended: began.Add(1500 * time.Millisecond), BeganAt: noon.Add(time.Duration(n) * time.Minute), Result: r}
	}
	refused := data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseRefused}
	throttled := data.Result{Outcome: data.OutcomeThrottled, Cause: data.CauseThrottled, Status: 429, Hint: 90 * time.Second}
	store.messages = []data.Message{
		{ID: first + 20, Gateway: "gateway_1", Text: "queued", AcceptedAt: noon, State: data.Queued},
		{ID: first + 21, Gateway: "gateway_1", Text: "waiting", Event: first, AcceptedAt: noon, State: data.Waiting, DueAt: noon.Add(time.Minute), Attempts: []data.Attempt{tried(1, throttled)}},
		{ID: first + 22, Gateway: "gateway_99", Text: "sending", AcceptedAt: noon, State: data.Sending, Attempts: []data.Attempt{tried(1, refused), {Number: 2, BeganAt: noon}}},
		{ID: first + 23, Gateway: "gateway_99", Text: "\xff is not Unicode", AcceptedAt: noon, State: data.Delivered, Attempts: []data.Attempt{tried(1, data.Result{Outcome: data.OutcomeDelivered, Status: 204})}},
	}
	spoke := data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseRejected, Status: 200, Answer: "{\"error\":\"\x00\u202e\uFFFD<b>\"}"}
	store.messages[3].Attempts = []data.Attempt{tried(1, spoke), tried(2, data.Result{Outcome: data.OutcomeDelivered, Status: 204})}
	failed := data.Message{ID: first + 24, Gateway: "gateway_99", Text: "failed", AcceptedAt: noon, State: data.Failed, ResentAs: first + 25, Attempts: []data.Attempt{tried(1, throttled), tried(2, refused)}}
	again := data.Message{ID: first + 25, Gateway: "gateway_99", Text: "failed", AcceptedAt: noon, State: data.Queued, ResendOf: first + 24}
	store.messages = append(store.messages, failed, again)
	lane := data.Lane{Gateway: "gateway_99", Last: tried(3, refused), Unreached: 2}
	lane.Counts[data.Sending], lane.Counts[data.Delivered] = 1, 1
	store.lanes["gateway_99"] = lane

	tr.do("an event", "GET", "/api/v1/events/"+first.String(), "")
	tr.do("no such event", "GET", "/api/v1/events/"+(first+900).String(), "")
	tr.do("not an id", "GET", "/api/v1/events/%2e%2e", "")
	tr.do("head of an event", "HEAD", "/api/v1/events/"+first.String(), "")
	tr.do("first page of events", "GET", "/api/v1/events?limit=2", "")
	tr.do("page that ends at the end", "GET", "/api/v1/events?limit=2&after="+(first+9).String(), "")
	tr.do("after the end", "GET", "/api/v1/events?after="+(first+11).String(), "")
	tr.do("a type that is not there: short page, goes on", "GET", "/api/v1/events?event_type=none", "")
	tr.do("empty parameters are not given", "GET", "/api/v1/events?event_type=&limit=3&after=", "")
	tr.do("messages of a gateway", "GET", "/api/v1/messages?gateway=gateway_1", "")
	tr.do("messages in a state", "GET", "/api/v1/messages?state=sending", "")
	tr.do("dead letters", "GET", "/api/v1/messages?state=dead", "")
	tr.do("dead letters of a gateway and a cause", "GET", "/api/v1/messages?state=dead&gateway=gateway_99&cause=refused", "")
	tr.do("messages of a cause that none has", "GET", "/api/v1/messages?cause=dns", "")
	tr.do("a message that was sent again", "GET", "/api/v1/messages/"+failed.ID.String(), "")
	tr.do("the message that it became", "GET", "/api/v1/messages/"+again.ID.String(), "")
	tr.do("first page of messages", "GET", "/api/v1/messages?limit=1", "")
	tr.do("a message", "GET", "/api/v1/messages/"+(first+23).String(), "")
	tr.do("no such message", "GET", "/api/v1/messages/"+first.String(), "")
	tr.do("cancel a waiting message", "POST", "/api/v1/messages/"+(first+21).String()+"/cancel", "")
	tr.do("cancel it again", "POST", "/api/v1/messages/"+(first+21).String()+"/cancel", "")
	tr.do("cancel one that is being sent", "POST", "/api/v1/messages/"+(first+22).String()+"/cancel", "")
	tr.do("cancel no message", "POST", "/api/v1/messages/x/cancel", "")
	tr.do("gateways", "GET", "/api/v1/gateways", "")
	tr.do("some gateways", "GET", "/api/v1/gateways?limit=1&after=broken", "")
	tr.do("a gateway", "GET", "/api/v1/gateways/gateway_99", "")
	tr.do("a gateway that had no message", "GET", "/api/v1/gateways/broken", "")
	tr.do("no such gateway", "GET", "/api/v1/gateways/nobody", "")
	tr.do("bad parameters of events", "GET", "/api/v1/events?limit=0&after=x&event_type=%ff", "")
	tr.do("repeated parameter", "GET", "/api/v1/events?limit=1&limit=1&limit=1", "")
	tr.do("unknown parameters", "GET", "/api/v1/events?<script>=1&Limit=2", "")
	tr.do("bad parameters of messages", "GET", "/api/v1/messages?limit=1001&state=Queued&gateway=GW", "")
	tr.do("a cause that there is not", "GET", "/api/v1/messages?cause=Refused", "")
	tr.do("number too long", "GET", "/api/v1/messages?limit=99999999999999999999", "")
	tr.do("bad cursor", "GET", "/api/v1/messages?after=x", "")
	tr.do("health", "GET", "/healthz", "")
	tr.do("readiness", "GET", "/readyz", "")
	tr.compare("questions")
}

func TestPagesContinueExactly(t *testing.T) {
	store := newStore()
	server := newServer(t, store)
	const n = 57
	for i := range data.ID(n) {
		store.events = append(store.events, data.Event{ID: data.FirstID(1) + i, Type: "even", ReceivedAt: noon})
		store.messages = append(store.messages, data.Message{ID: data.FirstID(1) + i, Gateway: "gateway_1", State: data.Queued, AcceptedAt: noon})
	}
	for _, list := range []string{"/api/v1/events", "/api/v1/messages"} {
		var seen []string
		for after, pages := "", 0; pages < n; pages++ {
			got := do(t, server, "GET", list+"?limit=7&after="+after, "")
			ids, next := pageOf(t, got.body)
			seen = append(seen, ids...)
			if next == nil {
				break
			}
			after = *next
		}
		if len(seen) != n {
			t.Fatalf("%s gave %d entries over all pages, want %d", list, len(seen), n)
		}
		for i, id := range seen {
			if want := (data.FirstID(1) + data.ID(i)).String(); id != want {
				t.Fatalf("%s: entry %d is %s, want %s", list, i, id, want)
			}
		}
	}
}

func TestHeadWorksWhereGetDoes(t *testing.T) {
	store := newStore()
	store.events = []data.Event{{ID: 1}}
	store.messages = []data.Message{{ID: 2}}
	server := newServer(t, store, func(o *Options) { o.Metrics = metrics("up 1\n") })
	for _, path := range []string{
		"/api/v1/events", "/api/v1/events/" + data.ID(1).String(), "/api/v1/messages", "/api/v1/messages/" + data.ID(2).String(),
		"/api/v1/gateways", "/api/v1/gateways/gateway_1", "/healthz", "/readyz", "/metrics",
	} {
		get, head := do(t, server, "GET", path, ""), do(t, server, "HEAD", path, "")
		if get.status != 200 || head.status != 200 {
			t.Errorf("GET and HEAD %s = %d, %d; want 200", path, get.status, head.status)
		}
		if head.body != "" || head.header.Get("Content-Length") != get.header.Get("Content-Length") {
			t.Errorf("HEAD %s has body %q and length %s; want none and %s", path, head.body, head.header.Get("Content-Length"), get.header.Get("Content-Length"))
		}
	}
}

// metrics is what a collector would write.
type metrics string

func (m metrics) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	_, _ = w.Write([]byte(m))
}
