package httpapi

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

const trialBodyText = `{"message":"hello","to":"+1","title":"t","params":{"order":"7"}}`

func TestRenderAnswers(t *testing.T) {
	store := newStore()
	store.render = func(m data.NewMessage) ([]Rendered, []Fault, error) {
		return []Rendered{
			{"POST", "https://example.org/x?key=***", []HeaderField{{"Content-Type", "text/plain"}, {"X-A", "a\"b"}}, []byte("1 " + m.Text + "\n<&>")},
			{"GET", "https://example.org/y", nil, nil},
			{"POST", "https://example.org/z", []HeaderField{}, []byte("\xcf\xf0 x")},
		}, nil, nil
	}
	got := do(t, newServer(t, store), "POST", "/api/v1/gateways/gateway_1/render", trialBodyText)
	want := `{"requests":[` +
		`{"method":"POST","url":"https://example.org/x?key=***","headers":[{"name":"Content-Type","value":"text/plain"},{"name":"X-A","value":"a\"b"}],"body":"1 hello\n<&>"},` +
		`{"method":"GET","url":"https://example.org/y","headers":[],"body":""},` +
		`{"method":"POST","url":"https://example.org/z","headers":[],"body":"` + "\uFFFD x" + `","body_replaced":true}]}`
	if got.status != 200 || got.body != want {
		t.Errorf("render = %d %s, want %s", got.status, got.body, want)
	}
	m := store.trials[0]
	if m.Gateway != "gateway_1" || m.Text != "hello" || m.To != "+1" || m.Title != "t" || !maps.Equal(m.Params, map[string]string{"order": "7"}) {
		t.Errorf("rendered is %+v", m)
	}
	if store.saved() != 0 {
		t.Error("something was stored")
	}
}

func TestTestAnswers(t *testing.T) {
	store := newStore()
	store.test = func(context.Context, data.NewMessage) ([]Tried, int, []Fault, error) {
		return []Tried{
			{data.Result{Outcome: data.OutcomeDelivered, Status: 200, Answer: "ok \uFFFD"}, 12 * time.Millisecond},
			{data.Result{Outcome: data.OutcomeThrottled, Cause: data.CauseThrottled, Status: 429, Hint: time.Second}, 0},
		}, 5, nil, nil
	}
	// A paused gateway is tested too.
	store.lanes["gateway_1"] = data.Lane{Gateway: "gateway_1", Paused: true}
	got := do(t, newServer(t, store), "POST", "/api/v1/gateways/gateway_1/test", trialBodyText)
	want := `{"results":[{"outcome":"delivered","status":200,"took_ms":12,"answer":"ok ` + "\uFFFD" + `"},` +
		`{"outcome":"throttled","cause":"throttled","status":429,"hint_ms":1000,"took_ms":0}],"unsent":3}`
	if got.status != 200 || got.body != want {
		t.Errorf("test = %d %s, want %s", got.status, got.body, want)
	}
	if store.saved() != 0 || len(store.trials) != 1 || store.trials[0].Text != "hello" {
		t.Errorf("%d saves, trials %+v", store.saved(), store.trials)
	}
}

func TestTrialsAreStrict(t *testing.T) {
	for _, c := range []struct {
		gateway, body string
		status        int
		kind, at      string
		headers       []string
	}{
		{"nobody", trialBodyText, 404, "not-found", "", nil},
		{"nobody", `{`, 404, "not-found", "", nil},
		{"gateway_1", ``, 400, "malformed-json", "", nil},
		{"gateway_1", `{"message":"a","message":"b"}`, 400, "malformed-json", "", nil},
		{"gateway_1", `{}`, 422, "invalid-body", "/message", nil},
		{"gateway_1", `{"message":null}`, 422, "invalid-body", "/message", nil},
		{"gateway_1", `{"message":"a","to":1}`, 422, "invalid-body", "/to", nil},
		{"gateway_1", `{"message":"a","title":null}`, 422, "invalid-body", "/title", nil},
		{"gateway_1", `{"message":"a","params":{"canary":1}}`, 422, "invalid-body", "/params", nil},
		{"gateway_1", `{"message":"a","gateway":"gateway_1"}`, 422, "invalid-body", "", nil},
		{"gateway_1", `{"message":"a","expires_in":"1m"}`, 422, "invalid-body", "", nil},
		{"gateway_1", `[{"message":"a"}]`, 422, "invalid-body", "", nil},
		{"gateway_1", trialBodyText, 415, "compressed-body", "", []string{"Content-Encoding: gzip"}},
	} {
		for _, verb := range []string{"render", "test"} {
			store := newStore()
			got := do(t, newServer(t, store), "POST", "/api/v1/gateways/"+c.gateway+"/"+verb, c.body, c.headers...)
			a := parse(t, got.body)
			if got.status != c.status || !strings.HasSuffix(a.Type, ":"+c.kind) || c.status == 422 && (len(a.Errors) != 1 || a.Errors[0].Pointer != c.at) {
				t.Errorf("%s %s %.80s = %d %s; want %d %s at %q", verb, c.gateway, c.body, got.status, got.body, c.status, c.kind, c.at)
			}
			if len(store.trials) != 0 || strings.Contains(got.body, "canary") {
				t.Errorf("%s %.80s: %d trials, answer %s", verb, c.body, len(store.trials), got.body)
			}
		}
	}
}

func TestTrialsThatAreRefused(t *testing.T) {
	store := newStore()
	server := newServer(t, store)
	var faults []Fault
	var err error
	store.render = func(data.NewMessage) ([]Rendered, []Fault, error) { return nil, faults, err }
	store.test = func(context.Context, data.NewMessage) ([]Tried, int, []Fault, error) { return nil, 0, faults, err }
	for _, c := range []struct {
		faults []Fault
		err    error
		status int
		kind   string
	}{
		{[]Fault{{"/to", "required", "This gateway needs the field."}}, nil, 422, "unfit-message"},
		{nil, data.ErrNotFound, 404, "not-found"},
		{nil, data.ErrUnusable, 409, "unusable-gateway"},
		{nil, data.ErrStopping, 503, "stopping"},
		{nil, errors.New("preview: canary"), 500, "internal"},
	} {
		faults, err = c.faults, c.err
		for _, verb := range []string{"render", "test"} {
			got := do(t, server, "POST", "/api/v1/gateways/broken/"+verb, trialBodyText)
			a := parse(t, got.body)
			if got.status != c.status || !strings.HasSuffix(a.Type, ":"+c.kind) || strings.Contains(got.body, "canary") {
				t.Errorf("%s that ends with %v, %v = %d %s; want %d %s", verb, c.faults, c.err, got.status, got.body, c.status, c.kind)
			}
			if len(c.faults) > 0 && (len(a.Errors) != 1 || a.Errors[0].Pointer != "/to" || a.Errors[0].Code != "required") {
				t.Errorf("%s says %s", verb, got.body)
			}
		}
	}
}

// A test may take as long as its gateway likes to. Another one is refused meanwhile,
// and the end of the server ends it.
func TestOneTestAtATime(t *testing.T) {
	store := newStore()
	began := make(chan struct{})
	store.test = func(ctx context.Context, _ data.NewMessage) ([]Tried, int, []Fault, error) {
		close(began)
		<-ctx.Done()
		return []Tried{{data.Result{Outcome: data.OutcomeUnknown, Cause: data.CauseCutOff}, 0}}, 1, nil, nil
	}
	store.render = func(data.NewMessage) ([]Rendered, []Fault, error) { return nil, nil, nil }
	server := newServer(t, store)
	first := make(chan reply)
	go func() { first <- do(t, server, "POST", "/api/v1/gateways/gateway_1/test", trialBodyText) }()
	<-began
	got := do(t, server, "POST", "/api/v1/gateways/gateway_99/test", trialBodyText)
	if got.status != 429 || got.header.Get("Retry-After") != "5" || !strings.HasSuffix(parse(t, got.body).Type, ":test-under-way") {
		t.Errorf("a second test = %d %v %s, want 429 with Retry-After", got.status, got.header, got.body)
	}
	if got := do(t, server, "POST", "/api/v1/gateways/gateway_1/render", trialBodyText); got.status != 200 {
		t.Errorf("render meanwhile = %d, want 200", got.status)
	}
	server.end()
	if got := <-first; got.status != 200 || !strings.Contains(got.body, `"cause":"cut_off"`) {
		t.Errorf("the test that was cut off = %d %s", got.status, got.body)
	}
	store.test = func(context.Context, data.NewMessage) ([]Tried, int, []Fault, error) { return nil, 0, nil, nil }
	if got := do(t, server, "POST", "/api/v1/gateways/gateway_1/test", trialBodyText); got.status != 200 {
		t.Errorf("a test after that = %d %s, want 200", got.status, got.body)
	}
}
