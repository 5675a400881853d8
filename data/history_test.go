package data_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/postrider/postrider/data"
)

// TestEveryHistoryKeepsThePromises drives one message through random attempts,
// at random and often wrong times, until it ends: never more than N attempts,
// never one early, none when it is not wanted any more, numbers rising without
// gaps, and every message ends.
func TestEveryHistoryKeepsThePromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := data.Policy{
			MaxAttempts: rapid.IntRange(1, 8).Draw(t, "attempts"),
			Interval:    time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "interval")),
			MaxHint:     time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "max hint")),
		}
		m := data.Message{State: data.Queued}
		now := data.StoreTime(rapid.Int64Range(0, 1<<50).Draw(t, "start"))
		if rapid.Bool().Draw(t, "expires") {
			m.Expires = now.Add(time.Duration(rapid.Int64Range(1, int64(3*time.Hour)).Draw(t, "expires in")))
		}
		began, withdrawn := 0, 0 // a withdrawn attempt never left
		for step := 0; !m.State.Final(); step++ {
			if step > 4*p.MaxAttempts+4 {
				t.Fatalf("the message does not end: %+v", m)
			}
			early := data.StoreTime(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "early"))
			if m.State == data.Waiting && m.Begin(m.NextNumber(), m.Due-early) == nil {
				t.Fatalf("attempt %d began %d ns before it was due", m.NextNumber(), early)
			}
			wrong := rapid.IntRange(-1, 9).Draw(t, "number")
			if wrong != m.NextNumber() && m.Begin(wrong, data.Never) == nil {
				t.Fatalf("attempt %d began where %d is next", wrong, m.NextNumber())
			}
			if rapid.IntRange(0, 9).Draw(t, "cancel") == 0 && m.Cancel() == nil {
				break
			}
			now = max(now, m.Due).Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "late")))
			if m.Expired(now) {
				if m.Begin(m.NextNumber(), now) == nil {
					t.Fatalf("attempt %d began %v after the end", m.NextNumber(), now.Sub(m.Expires))
				}
				if err := m.Expire(); err != nil || !m.State.Dead() {
					t.Fatalf("Expire() = %v, then the message is %s", err, m.State)
				}
				break
			}
			a := data.Attempt{Number: m.NextNumber(), Began: now}
			if err := m.Begin(a.Number, now); err != nil {
				t.Fatalf("Begin(%d, %d) = %v when due", a.Number, now, err)
			}
			if n := len(m.Attempts); n > 0 && now < m.Attempts[n-1].Ended.Add(p.Interval) {
				t.Fatalf("attempt %d began %v after the end of the one before", a.Number, now.Sub(m.Attempts[n-1].Ended))
			}
			if m.Cancel() == nil || m.Begin(a.Number, now) == nil || m.Expire() == nil {
				t.Fatal("a message that is being sent was cancelled, expired, or began again")
			}
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "took")))
			a.Ended = now
			a.Outcome = data.Outcome(rapid.IntRange(1, 6).Draw(t, "outcome"))
			if a.Outcome != data.OutcomeWithdrawn {
				began++
			} else if withdrawn++; withdrawn > 2 {
				a.Outcome = data.OutcomeTemporary
				began++
			}
			a.Hint = time.Duration(rapid.Int64().Draw(t, "hint"))
			next, plain := m.After(p, a), p.After(a)
			if over := plain.State == data.Waiting && m.Expired(max(plain.Due, now)); over != (next != plain) || over && !next.State.Dead() {
				t.Fatalf("After(%+v) = %+v; without an end it were %+v", a, next, plain)
			}
			if err := m.Settle(a, next); err != nil {
				t.Fatalf("Settle(%d) = %v", a.Number, err)
			}
			if m.Settle(a, next) == nil {
				t.Fatal("an attempt was settled twice")
			}
		}
		if began > p.MaxAttempts {
			t.Fatalf("%d attempts began; want at most %d", began, p.MaxAttempts)
		}
		for i, a := range m.Attempts {
			if a.Number != i+1 {
				t.Fatalf("attempt %d has number %d", i+1, a.Number)
			}
		}
	})
}
