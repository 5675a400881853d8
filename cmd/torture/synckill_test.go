package main

import (
	"testing"
	"time"
)

// tapping skips a test where flushes cannot be held.
func tapping(t *testing.T) {
	t.Helper()
	if err := canTap(); err != nil {
		t.Skip(err)
	}
}

// Killed at one flush after the other, the program loses nothing.
func TestSyncKill(t *testing.T) {
	t.Parallel()
	tapping(t)
	for name, args := range map[string][]string{
		"msync": {"sync-kill", "--rounds", "4", "--parallel", "4", "--last", "2"},
		"all":   {"sync-kill", "--rounds", "4", "--parallel", "4", "--all"}, // while the store is made
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := tortured(t, args...)
			if e.Rounds != 4 || len(e.Failures) != 0 || e.Errors != 0 {
				t.Errorf("the journal says %+v, want 4 clean rounds", e)
			}
			if e.Counts["kills"] < 4 || e.Counts["starts"] != e.Counts["kills"]+4 {
				t.Errorf("%d kills in %d starts, want one start more in each round", e.Counts["kills"], e.Counts["starts"])
			}
		})
	}
}

// The k-th flush of those that count is the last.
func TestKiller(t *testing.T) {
	t.Parallel()
	calls := []string{"fsync", "msync", "msync", "fdatasync", "msync"}
	for name, c := range map[string]struct {
		killer killer
		want   int // index of the call
		fate   fate
	}{
		"the first msync":  {killer{k: 1}, 1, isFatal},
		"the third msync":  {killer{k: 3}, 4, isFatal},
		"the first of all": {killer{k: 1, all: true}, 0, isFatal},
		"the fourth":       {killer{k: 4, all: true}, 3, isFatal},
		"after the second": {killer{k: 2, after: true, pause: time.Millisecond}, 2, wasLast},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := c.killer
			for i, call := range calls {
				want := passes
				if i == c.want {
					want = c.fate
				}
				got, pause := a.decide(flush{Call: call})
				if got != want || pause != 0 && (got != wasLast || pause != a.pause) {
					t.Errorf("decide(call %d, %s) = %v, %v; want %v", i, call, got, pause, want)
				}
			}
			if a.hit.Call != calls[c.want] {
				t.Errorf("hit %q, want %q", a.hit.Call, calls[c.want])
			}
		})
	}
}
