package httpapi

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/postrider/postrider/data"
)

// graveyard returns a store with n dead letters, failed, unknown and expired in
// turn, for gateway_1 and for gone, which is not declared, in turn, and a
// message between each two that is none.
func graveyard(n int) *store {
	s := newStore()
	for i := range n {
		id := data.FirstID(1) + data.ID(2*i)
		cause := []data.Cause{data.CauseRefused, data.CauseStatus}[i%2]
		s.messages = append(
			s.messages,
			data.Message{
				ID: id, Gateway: []string{"gateway_1", "gone"}[i%2], Text: "text", AcceptedAt: noon, State: data.DeadStates()[i%3],
				Attempts: []data.Attempt{{Number: 1, BeganAt: noon, Result: data.Result{Outcome: data.OutcomeTemporary, Cause: cause}}},
			},
			data.Message{ID: id + 1, Gateway: "gateway_1", Text: "alive", AcceptedAt: noon, State: data.AllStates()[i%4]},
		)
	}
	return s
}

func TestResending(t *testing.T) {
	store := graveyard(12)
	tr := &transcript{tb: t, server: newServer(t, store)}
	first := data.FirstID(1)
	one := "/api/v1/messages/" + first.String() + "/resend"
	const many = "/api/v1/messages/resend"
	tr.do("one", "POST", one, "")
	tr.do("it again", "POST", one, "")
	tr.do("one that is alive", "POST", "/api/v1/messages/"+(first+1).String()+"/resend", "")
	tr.do("one of a gateway that is not declared", "POST", "/api/v1/messages/"+(first+2).String()+"/resend", "")
	store.messages[10].ResentAs = first
	tr.do("one that became another before its gateway went", "POST", "/api/v1/messages/"+(first+10).String()+"/resend", "")
	store.messages[10].ResentAs = 0
	store.messages[11].Gateway = "gone"
	tr.do("one that is alive, of a gateway that is not declared", "POST", "/api/v1/messages/"+(first+11).String()+"/resend", "")
	tr.do("no such message", "POST", "/api/v1/messages/"+data.FirstID(9).String()+"/resend", "")
	tr.do("not an id", "POST", "/api/v1/messages/x/resend", "")
	tr.do("count all that are left", "POST", many, `{"dry_run":true}`)
	tr.do("count some", "POST", many, `{"dry_run":true,"gateway":"gateway_1","state":"failed","cause":"refused"}`)
	tr.do("count the dead", "POST", many, `{"state":"dead","dry_run":true}`)
	tr.do("count none", "POST", many, `{"gateway":"nobody","dry_run":true}`)
	tr.do("a page", "POST", many, `{"limit":3}`)
	tr.do("the next page", "POST", many, `{"limit":3,"after":"m281474976710665"}`)
	tr.do("all that are left", "POST", many, `{}`)
	commits := len(store.resends)
	tr.do("only those nobody declares are left", "POST", many, ` {"dry_run":false} `)
	if len(store.resends) != commits {
		t.Error("a page with nothing to send again was committed")
	}
	tr.do("bad cursor", "POST", many, `{"after":"x"}`)
	tr.do("several mistakes", "POST", many, `{"gateway":"GW","limit":1001,"LIMIT":1}`)
	tr.do("wrong types", "POST", many, `{"after":1,"limit":"1","dry_run":"yes"}`)
	tr.do("null is not all", "POST", many, `{"gateway":null,"dry_run":null}`)
	tr.do("nor is null elsewhere", "POST", many, `{"state":null,"cause":null,"after":null,"limit":null}`)
	tr.do("nor is nothing", "POST", many, `{"gateway":"","state":"","limit":0}`)
	tr.do("a state that is not dead", "POST", many, `{"state":"queued"}`)
	tr.do("a cause that there is not", "POST", many, `{"cause":""}`)
	tr.do("numbers that are no limit", "POST", many, `{"limit":1e2}`)
	tr.do("no body", "POST", many, "")
	tr.do("an array", "POST", many, "[]")
	tr.do("malformed", "POST", many, `{"limit":1,"limit":2}`)
	tr.do("compressed", "POST", many, "{}", "Content-Encoding: gzip")
	tr.do("no such message, since it is no id", "GET", many, "")
	tr.do("wrong method", "PUT", many, "{}")
	tr.compare("resend")

	sent := map[data.ID]int{}
	for _, m := range store.messages {
		if m.ResendOf != 0 {
			sent[m.ResendOf]++
		}
	}
	for _, m := range store.messages {
		want := 0
		if m.State.Dead() && m.Gateway == "gateway_1" {
			want = 1
		}
		if sent[m.ID] != want {
			t.Errorf("%v, %v for %s, was sent again %d times; want %d", m.ID, m.State, m.Gateway, sent[m.ID], want)
		}
	}
}

// resent reads the answer to a request for many.
type resent struct {
	Matching *int    `json:"matching"`
	Resent   *int    `json:"resent"`
	Skipped  *int    `json:"skipped"`
	Next     *string `json:"next"`
}

func resendMany(t *testing.T, s *Server, body string) resent {
	t.Helper()
	got := do(t, s, "POST", "/api/v1/messages/resend", body)
	var a resent
	if err := json.Unmarshal([]byte(got.body), &a); err != nil || got.status != 200 {
		t.Fatalf("resend %s = %d %s", body, got.status, got.body)
	}
	return a
}

// The caller drives the pages. It gets them all, and each one commit.
func TestResendPages(t *testing.T) {
	store := graveyard(100)
	server := newServer(t, store)
	got, skipped := 0, 0
	body := `{"limit":7}`
	for range 100 {
		a := resendMany(t, server, body)
		got, skipped = got+*a.Resent, skipped+*a.Skipped
		if *a.Resent+*a.Skipped > 7 {
			t.Errorf("a page of %d and %d; want 7 at most", *a.Resent, *a.Skipped)
		}
		if a.Next == nil {
			break
		}
		body = fmt.Sprintf(`{"limit":7,"after":%q}`, *a.Next)
	}
	if got != 50 || skipped != 50 || len(store.resends) != 15 {
		t.Errorf("%d were sent again in %d commits, %d skipped; want 50 in 15, 50", got, len(store.resends), skipped)
	}
}

// A page that is too long for a commit is made shorter, and goes on where that
// ends.
func TestResendOfLongMessages(t *testing.T) {
	store := graveyard(0)
	for i := range data.ID(40) {
		store.messages = append(store.messages, data.Message{ID: data.FirstID(1) + i, Gateway: "gateway_1", Text: strings.Repeat("x", 100), State: data.Failed})
	}
	store.room = 1000
	server := newServer(t, store)
	got := 0
	for body := `{"limit":40}`; body != ""; {
		a := resendMany(t, server, body)
		got += *a.Resent
		if body = ""; a.Next != nil {
			body = fmt.Sprintf(`{"limit":40,"after":%q}`, *a.Next)
		}
	}
	if got != 40 {
		t.Errorf("%d were sent again; want 40", got)
	}
	store.room = 50
	store.messages = append(store.messages, data.Message{ID: data.FirstID(2), Gateway: "gateway_1", Text: strings.Repeat("x", 100), State: data.Failed})
	if got := do(t, server, "POST", "/api/v1/messages/resend", "{}"); got.status != 422 || !strings.Contains(got.body, "too-large") {
		t.Errorf("one that is too large alone = %d %s; want 422", got.status, got.body)
	}
}

// What somebody else sent again in the meantime counts as skipped.
func TestResendMeetsAnother(t *testing.T) {
	store := graveyard(4)
	server := newServer(t, store, func(o *Options) { o.Resender = hasty{store} })
	if a := resendMany(t, server, "{}"); *a.Resent != 1 || *a.Skipped != 3 {
		t.Errorf("%d were sent again, %d skipped; want 1, 3", *a.Resent, *a.Skipped)
	}
	first := data.FirstID(1) + 4
	store.messages[4].ResentAs = 0
	got := do(t, server, "POST", "/api/v1/messages/"+first.String()+"/resend", "")
	if became := store.messages[4].ResentAs.String(); got.status != 409 || !strings.Contains(got.body, `"resent_as":"`+became+`"`) {
		t.Errorf("resend of one that another was faster with = %d %s; want 409 with %s", got.status, got.body, became)
	}
}

// hasty lets another request come first for the first id that is named.
type hasty struct{ *store }

func (h hasty) Resend(ctx context.Context, ids []data.ID) ([]data.Resent, error) {
	if _, err := h.store.Resend(ctx, ids[:1]); err != nil {
		return nil, err
	}
	return h.store.Resend(ctx, ids)
}

// Counting goes through all pages in one request, but not for ever.
func TestCountingEnds(t *testing.T) {
	tests := []struct {
		name     string
		pages    int           // there are, of n messages each
		n        int           // the last has no next
		took     time.Duration // per page
		matching int
		read     int
	}{
		{"all", 30, 1000, 0, 30_000, 30},
		{"empty pages", 300, 0, 0, 0, 300},
		{"too many", 300, 1000, 0, 100_000, 100},
		{"too slow", 300, 10, 100 * time.Millisecond, 200, 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pages := &endless{store: newStore(), pages: tt.pages, n: tt.n, took: tt.took}
			server := newServer(t, pages.store, func(o *Options) { o.Reader, o.Now = pages, pages.now })
			a := resendMany(t, server, `{"dry_run":true,"limit":1}`)
			if *a.Matching != tt.matching || pages.read != tt.read || (a.Next == nil) != (tt.read == tt.pages) {
				t.Errorf("counted %d on %d pages, next %v; want %d on %d of %d", *a.Matching, pages.read, a.Next, tt.matching, tt.read, tt.pages)
			}
			for a.Next != nil {
				a = resendMany(t, server, fmt.Sprintf(`{"dry_run":true,"after":%q}`, *a.Next))
			}
			if pages.read != tt.pages {
				t.Errorf("read %d pages in all; want %d", pages.read, tt.pages)
			}
		})
	}
}

// endless is a Reader with many pages of dead letters, and the clock that they
// take their time by.
type endless struct {
	*store
	pages, n, read int
	took           time.Duration
	clock          time.Duration
}

func (e *endless) Messages(q data.MessageQuery) (data.MessagePage, error) {
	if want := fmt.Sprint(e.read); e.read > 0 && q.After != want || !q.Unsent || q.Limit != 1000 {
		return data.MessagePage{}, fmt.Errorf("asked for %+v; want after %s", q, want)
	}
	e.read++
	e.clock += e.took
	page := data.MessagePage{Messages: make([]data.Message, e.n)}
	if e.read < e.pages {
		page.Next = fmt.Sprint(e.read)
	}
	return page, nil
}

func (e *endless) now() time.Time { return noon.Add(e.clock) }

// Sending again takes room on the disk, counting does not.
func TestResendInTrouble(t *testing.T) {
	for _, refusal := range []error{data.ErrStopping, data.ErrNoSpace, data.ErrStorage, data.ErrOverloaded} {
		store := graveyard(3)
		full := newServer(t, store, func(o *Options) { o.Accepting = func() error { return refusal } })
		for _, path := range []string{"/api/v1/messages/resend", "/api/v1/messages/" + data.FirstID(1).String() + "/resend"} {
			got := do(t, full, "POST", path, "{}")
			if got.status != 503 || got.header.Get("Retry-After") == "" || len(store.resends) > 0 {
				t.Errorf("POST %s while %v = %d, %d commits; want 503, none", path, refusal, got.status, len(store.resends))
			}
		}
		if a := resendMany(t, full, `{"dry_run":true}`); *a.Matching != 3 {
			t.Errorf("counted %d while %v; want 3", *a.Matching, refusal)
		}
		store.err = refusal
		server := newServer(t, store)
		for _, path := range []string{"/api/v1/messages/resend", "/api/v1/messages/" + data.FirstID(1).String() + "/resend"} {
			got := do(t, server, "POST", path, "{}")
			if got.status != 503 || strings.Contains(got.body, "secret") {
				t.Errorf("POST %s to a store that says %v = %d %s; want 503", path, refusal, got.status, got.body)
			}
		}
	}
}
