package httpapi

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

// slowLists is a store whose list of events takes as long as a test likes.
type slowLists struct {
	*store
	entered chan struct{}
	open    chan struct{}
}

func (s *slowLists) Events(q data.EventQuery) (data.EventPage, error) {
	s.entered <- struct{}{}
	<-s.open
	return s.store.Events(q)
}

// However many lists are asked for at once, only so many are made at a time, and
// what is quick does not wait behind them.
func TestListsTakeTurns(t *testing.T) {
	t.Parallel()
	turns := runtime.GOMAXPROCS(0)
	all := 2*turns + 3
	lists := &slowLists{store: newStore(), entered: make(chan struct{}, all), open: make(chan struct{})}
	server := newServer(t, lists.store, func(o *Options) { o.Reader, o.SaveTimeout = lists, time.Minute })
	answers := make(chan reply, all)
	for range all {
		go func() { answers <- do(t, server, "GET", "/api/v1/events", "") }()
	}
	for range turns {
		<-lists.entered
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if got := do(t, server, "GET", path, ""); got.status != http.StatusOK {
			t.Errorf("GET %s = %d while lists are made, want 200", path, got.status)
		}
	}
	if n := len(lists.entered); n > 0 {
		t.Errorf("%d lists are made at a time, want %d", turns+n, turns)
	}
	close(lists.open)
	for range all {
		if got := <-answers; got.status != http.StatusOK {
			t.Errorf("GET /api/v1/events = %d %s, want 200", got.status, got.body)
		}
	}
}

// Who waits too long for a turn is told to come back, and takes none.
func TestListsAreRefused(t *testing.T) {
	t.Parallel()
	turns := runtime.GOMAXPROCS(0)
	lists := &slowLists{store: newStore(), entered: make(chan struct{}, turns+1), open: make(chan struct{})}
	server := newServer(t, lists.store, func(o *Options) { o.Reader, o.SaveTimeout = lists, 10*time.Millisecond })
	answers := make(chan reply, turns)
	for range turns {
		go func() { answers <- do(t, server, "GET", "/api/v1/events", "") }()
	}
	for range turns {
		<-lists.entered
	}
	for _, path := range []string{"/api/v1/events", "/api/v1/messages", "/api/v1/gateways"} {
		got := do(t, server, "GET", path, "")
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "too-many-readers") {
			t.Errorf("GET %s = %d %s, want 503 with Retry-After", path, got.status, got.body)
		}
	}
	close(lists.open)
	for range turns {
		<-answers
	}
	if got := do(t, server, "GET", "/api/v1/messages", ""); got.status != http.StatusOK {
		t.Errorf("GET /api/v1/messages = %d afterwards, want 200", got.status)
	}
}

// However many requests come to save something, only so many wait for the disk at
// a time. Reading and health do not wait behind them, and who waits for too long
// is told to come back, with nothing stored.
func TestSavesTakeTurns(t *testing.T) {
	t.Parallel()
	st := newStore()
	entered, open := make(chan struct{}, maxSaving+1), make(chan struct{})
	st.onSave = func(context.Context) error {
		entered <- struct{}{}
		<-open
		return nil
	}
	server := newServer(t, st, func(o *Options) { o.SaveTimeout = 100 * time.Millisecond })
	answers := make(chan reply, maxSaving)
	for range maxSaving {
		go func() { answers <- do(t, server, "POST", "/event", `{"event_type":"a","event_payload":""}`) }()
	}
	for range maxSaving {
		<-entered
	}
	for path, body := range map[string]string{
		"/event":        `{"event_type":"a","event_payload":""}`,
		"/send_message": `{"message":"a","gateway":"gateway_1"}`,
	} {
		got := do(t, server, "POST", path, body)
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "overloaded") {
			t.Errorf("POST %s = %d %s, want 503 with Retry-After", path, got.status, got.body)
		}
	}
	for _, path := range []string{"/healthz", "/api/v1/events"} {
		if got := do(t, server, "GET", path, ""); got.status != http.StatusOK {
			t.Errorf("GET %s = %d while all save, want 200", path, got.status)
		}
	}
	close(open)
	for range maxSaving {
		if got := <-answers; got.status != http.StatusCreated {
			t.Fatalf("POST /event = %d %s, want 201", got.status, got.body)
		}
	}
	if n := st.saved(); n != maxSaving {
		t.Errorf("%d were saved, want %d", n, maxSaving)
	}
	if got := do(t, server, "POST", "/event", `{"event_type":"a","event_payload":""}`); got.status != http.StatusCreated {
		t.Errorf("POST /event = %d afterwards, want 201", got.status)
	}
}
