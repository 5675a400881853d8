package httpapi

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

// canary is in all that is content.
const canary = "canary-5d1"

// withContent is a store with one message and one event that say something.
func withContent() *store {
	s := newStore()
	s.events = []data.Event{{ID: data.FirstID(1), Type: "a", Payload: canary, ReceivedAt: noon}}
	rejected := data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseRejected, Status: 200, Answer: canary}
	attempt := data.Attempt{Number: 1, Ended: data.StoreTime(time.Second), BeganAt: noon, Result: rejected}
	s.messages = []data.Message{{
		ID: data.FirstID(1) + 1, Gateway: "gateway_1", Text: canary, To: canary, Title: canary, Params: map[string]string{"a": canary},
		AcceptedAt: noon, State: data.Waiting, DueAt: noon, Attempts: []data.Attempt{attempt},
	}}
	s.lanes["gateway_1"] = data.Lane{Gateway: "gateway_1", Last: attempt}
	return s
}

// oneKeyEach is an option: one key for each scope, called like it.
func oneKeyEach(o *Options) {
	for _, scope := range AllScopes() {
		o.Keys = append(o.Keys, Key{Name: string(scope), Secret: string(scope), Scopes: []Scope{scope}})
	}
}

func TestContentIsOnlyForThoseWhoMaySeeIt(t *testing.T) {
	for _, scope := range []Scope{ScopeRead, ScopeOperate, ScopeReadContent, ScopeAdmin} {
		store := withContent()
		store.test = func(context.Context, data.NewMessage) ([]Tried, int, []Fault, error) {
			return []Tried{{Result: data.Result{Outcome: data.OutcomeDelivered, Answer: canary}}}, 1, nil, nil
		}
		server := newServer(t, store, oneKeyEach)
		sees := scope == ScopeReadContent || scope == ScopeAdmin
		event, message := "/api/v1/events/"+data.FirstID(1).String(), "/api/v1/messages/"+(data.FirstID(1)+1).String()
		requests := []struct {
			method, path string
			content      int
		}{
			{"GET", "/api/v1/events", 1},
			{"GET", event, 1},
			{"GET", "/api/v1/messages", 5},
			{"GET", message, 5},
			{"GET", "/api/v1/gateways", 0},
			{"GET", "/api/v1/gateways/gateway_1", 0},
			{"POST", message + "/cancel", 5},
			{"POST", "/api/v1/gateways/gateway_1/test", 1},
		}
		for _, r := range requests {
			body := ""
			if strings.HasSuffix(r.path, "/test") {
				body = `{"message":"x"}`
			}
			got := do(t, server, r.method, r.path, body, "Authorization: Bearer "+string(scope))
			if r.method == "POST" && scope != ScopeOperate && scope != ScopeAdmin {
				continue // it may not cancel
			}
			want := 0
			if sees {
				want = r.content
			}
			if n := strings.Count(got.body, canary); got.status != 200 || n != want {
				t.Errorf("%s %s with %s = %d with the content %d times, want 200 and %d times: %s", r.method, r.path, scope, got.status, n, want, got.body)
			}
			for _, field := range []string{"event_payload", "message", "to", "title", "params", "answer"} {
				if !sees && strings.Contains(got.body, `"`+field+`":`) {
					t.Errorf("%s %s with %s has the field %s: %s", r.method, r.path, scope, field, got.body)
				}
			}
		}
	}
}

func TestEmptyContentIsShown(t *testing.T) {
	store := newStore()
	store.events = []data.Event{{ID: data.FirstID(1)}}
	store.messages = []data.Message{{ID: data.FirstID(1) + 1}}
	server := newServer(t, store)
	for path, want := range map[string]string{
		"/api/v1/events":   `"event_payload":""`,
		"/api/v1/messages": `"message":""`,
	} {
		if got := do(t, server, "GET", path, ""); !strings.Contains(got.body, want) {
			t.Errorf("GET %s = %s, want it to hold %s", path, got.body, want)
		}
	}
}
