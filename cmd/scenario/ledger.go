package main

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// limits are what a gateway was promised.
type limits struct {
	attempts    int
	interval    time.Duration
	concurrency int     // 0: not looked at
	rate        float64 // per second; 0: not looked at
}

// seen is one request as the gateway saw it.
type seen struct {
	message string
	number  int
	key     string // of the header Idempotency-Key
	from    string // address of the connection
	at      time.Time
	// end is just before the gateway answered or closed the connection, or when the
	// program was started again after it was killed; zero when none of it was seen.
	end    time.Time
	status int  // of the answer; 0 when it gave none
	cut    bool // the program was killed and has not started again
}

// ledger is what a gateway saw of all messages.
type ledger struct {
	mu     sync.Mutex
	seen   []*seen
	closed map[string]time.Time // connections that the gateway closed, by address
}

// enter notes a request whose head has come.
func (l *ledger) enter(r *http.Request) *seen {
	s := &seen{message: r.Header.Get("Postrider-Message-Id"), key: r.Header.Get("Idempotency-Key"), from: r.RemoteAddr, at: time.Now()}
	s.number, _ = strconv.Atoi(r.Header.Get("Postrider-Attempt")) // 0 is a violation
	l.mu.Lock()
	defer l.mu.Unlock()
	s.end = l.closed[s.from] // it was read before, and only now it is handled
	l.seen = append(l.seen, s)
	return s
}

// leave notes that one will be answered now, with 0 for a connection that is
// broken.
func (l *ledger) leave(s *seen, status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.end.IsZero() {
		s.end, s.status = time.Now(), status
	}
}

// cut notes that the program will be killed now.
func (l *ledger) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(func(s *seen) bool {
		s.cut = true
		return true
	})
}

// resume notes that the program was started again: what was cut off ends now in
// its eyes, and the interval begins.
func (l *ledger) resume(started time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.seen {
		if s.cut {
			s.end, s.cut = started, false
		}
	}
}

// hangUp notes that the gateway will close a connection now.
func (l *ledger) hangUp(from string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(func(s *seen) bool { return s.from == from })
	if l.closed == nil {
		l.closed = map[string]time.Time{}
	}
	l.closed[from] = time.Now()
}

// pickUp notes that there is a connection from an address.
func (l *ledger) pickUp(from string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.closed, from)
}

// end notes that some of those that are under way end now.
func (l *ledger) end(some func(*seen) bool) {
	for _, s := range l.seen {
		if s.end.IsZero() && some(s) {
			s.end = time.Now()
		}
	}
}

// all returns copies, in the order in which they came.
func (l *ledger) all() []seen {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]seen, len(l.seen))
	for i, s := range l.seen {
		all[i] = *s
	}
	return all
}

// violations lists every promise that a gateway saw broken.
func violations(all []seen, promised limits) (found []string) {
	complain := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	byMessage := map[string][]seen{}
	for _, s := range all {
		byMessage[s.message] = append(byMessage[s.message], s)
	}
	for id, requests := range byMessage {
		if len(requests) > promised.attempts {
			complain("message %s came %d times, at most %d are allowed", id, len(requests), promised.attempts)
		}
		for i, s := range requests {
			if s.number < 1 || s.number > promised.attempts {
				complain("message %s came as attempt %d of %d", id, s.number, promised.attempts)
			}
			if s.key != id {
				complain("message %s came with the key %q", id, s.key)
			}
			if i == 0 {
				continue
			}
			before := requests[i-1]
			if s.number <= before.number {
				complain("message %s came as attempt %d after %d", id, s.number, before.number)
			}
			// Where the end of an attempt was not seen, it ended after its arrival.
			end := before.end
			if end.IsZero() {
				end = before.at
			}
			if pause := s.at.Sub(end); pause < promised.interval {
				complain("message %s: attempt %d came %v after the end of attempt %d, which took %v and was answered with %d; %v is the interval",
					id, s.number, pause, before.number, end.Sub(before.at), before.status, promised.interval)
			}
		}
	}
	slices.Sort(found)
	return append(found, crowds(all, promised)...)
}

// crowds lists where more came at once, or within a time, than the limits allow.
func crowds(all []seen, promised limits) []string {
	visits := make([]rig.Visit, len(all))
	for i, s := range all {
		visits[i] = rig.Visit{At: s.at, End: s.end}
	}
	return rig.Crowds(visits, promised.concurrency, promised.rate)
}
