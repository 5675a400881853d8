package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// sound is what a gateway may see: two messages, one of them three times.
func sound() ([]seen, limits) {
	begin := time.Now()
	at := func(s float64) time.Time { return begin.Add(time.Duration(s * float64(time.Second))) }
	return []seen{
		{message: "a", number: 1, key: "a", at: at(0), end: at(0.1), status: 500},
		{message: "b", number: 1, key: "b", at: at(0.05), end: at(0.15), status: 200},
		{message: "a", number: 2, key: "a", at: at(1.1)},
		{message: "a", number: 3, key: "a", at: at(2.1), end: at(2.2), status: 200},
	}, limits{attempts: 3, interval: time.Second, concurrency: 2, rate: 1}
}

func TestViolations(t *testing.T) {
	t.Parallel()
	if all, promised := sound(); len(violations(all, promised)) != 0 {
		t.Errorf("violations(sound) = %q, want none", violations(all, promised))
	}
	for name, c := range map[string]struct {
		spoil func(all []seen, promised *limits) []seen
		says  string
	}{
		"one attempt too many": {func(all []seen, p *limits) []seen { p.attempts = 2; return all }, "3 times, at most 2"},
		"number beyond":        {func(all []seen, _ *limits) []seen { all[1].number = 4; return all }, "attempt 4 of 3"},
		"no number":            {func(all []seen, _ *limits) []seen { all[1].number = 0; return all }, "attempt 0 of 3"},
		"number again":         {func(all []seen, _ *limits) []seen { all[2].number = 1; return all }, "attempt 1 after 1"},
		"number back":          {func(all []seen, _ *limits) []seen { all[3].number = 1; return all }, "attempt 1 after 2"},
		"early after an answer": {func(all []seen, _ *limits) []seen {
			all[2].at = all[0].end.Add(time.Second - 1)
			return all
		}, "attempt 2 came 999.999999ms"},
		"early after no answer": {func(all []seen, _ *limits) []seen {
			all[3].at = all[2].at.Add(time.Second - 1)
			return all
		}, "attempt 3 came 999.999999ms"},
		"other key":   {func(all []seen, _ *limits) []seen { all[0].key = "b"; return all }, `with the key "b"`},
		"no key":      {func(all []seen, _ *limits) []seen { all[0].key = ""; return all }, `with the key ""`},
		"concurrency": {func(all []seen, p *limits) []seen { p.concurrency = 1; return all }, "2 requests were under way at once"},
		"rate": {func(all []seen, _ *limits) []seen {
			for i := range 5 {
				at := all[3].at.Add(time.Duration(i) * 199 * time.Millisecond)
				all = append(all, seen{message: string(rune('c' + i)), number: 1, key: string(rune('c' + i)), at: at, end: at.Add(1)})
			}
			return all
		}, "5 requests came within 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, promised := sound()
			all = c.spoil(all, &promised)
			found := violations(all, promised)
			if !slices.ContainsFunc(found, func(v string) bool { return strings.Contains(v, c.says) }) {
				t.Errorf("violations() = %q, want one with %q", found, c.says)
			}
		})
	}
}

// What a gateway cannot know of the end of an attempt is taken at its latest: a
// program that was killed ends it when it starts again.
func TestLedgerEnds(t *testing.T) {
	t.Parallel()
	l := &ledger{}
	enter := func(from string) *seen {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.RemoteAddr = from
		return l.enter(r)
	}
	answered, cut, closed := enter("a"), enter("b"), enter("c")
	l.leave(answered, http.StatusOK)
	end := answered.end
	l.hangUp("c")
	late := enter("c")
	l.cut()
	l.leave(cut, http.StatusOK)
	restart := time.Now().Add(time.Second)
	l.resume(restart)
	l.pickUp("c")
	open := enter("c")

	if answered.end != end || answered.status != http.StatusOK {
		t.Errorf("answered = %+v, want its end at the answer", answered)
	}
	if cut.end != restart || cut.status != 0 {
		t.Errorf("cut off = %+v, want its end at the restart %v and no status", cut, restart)
	}
	if closed.end.IsZero() || !closed.end.Before(restart) || late.end.Before(closed.end) || !late.end.Before(restart) {
		t.Errorf("closed = %+v and read later %+v, want their ends at the closing", closed, late)
	}
	if !open.end.IsZero() {
		t.Errorf("on a new connection = %+v, want no end yet", open)
	}
}
