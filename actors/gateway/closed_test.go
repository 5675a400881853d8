package gateway

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postrider/postrider/data"
)

// What keeps a lane from beginning attempts: a hold, a pause, an outage, a rate, a
// gateway that is not declared any more, and too few slots.

func throttling(hint time.Duration) func(context.Context, data.Message, int) data.Result {
	return func(context.Context, data.Message, int) data.Result {
		return data.Result{Outcome: data.OutcomeThrottled, Cause: data.CauseThrottled, Status: 429, Hint: hint}
	}
}

// wantRequests checks how many requests the gateway saw in all.
func (b *bench) wantRequests(want int) {
	b.t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if got := len(b.requests); got != want {
		b.t.Errorf("after %v: %d requests; want %d", time.Since(b.start), got, want)
	}
}

func (b *bench) setAnswer(answer func(context.Context, data.Message, int) data.Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = answer
}

func (b *bench) setProbe(probe func() data.Cause) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probe = probe
}

func TestHoldHoldsTheWholeLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Definition.Concurrency = 1
		b.answer = throttling(90 * time.Second)
		b.store.accept(1000)
		b.run()
		defer b.stop()
		b.wantRequests(1)
		time.Sleep(90*time.Second - 1)
		b.wantRequests(1)
		b.setAnswer(taking(time.Second, delivering))
		time.Sleep(time.Nanosecond)
		b.wantRequests(2)
		time.Sleep(time.Second)
		b.wantRequests(3)
	})
}

// An attempt that was claimed before the hold and granted within it is withdrawn:
// its request does not leave, and its number is used later.
func TestHoldWithdrawsWhatHasNotLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Definition.Concurrency = 2
		b.options.Definition.Policy.MaxAttempts = 1
		b.commitTime = func() time.Duration { return 10 * time.Millisecond }
		b.answer = func(_ context.Context, m data.Message, n int) data.Result {
			if m.ID == 1 {
				time.Sleep(15 * time.Millisecond) // while message 4 is being begun
				return throttling(time.Minute)(t.Context(), m, n)
			}
			return data.Result{Outcome: data.OutcomeDelivered, Status: 200}
		}
		b.store.accept(4)
		b.run()
		defer b.stop()
		time.Sleep(time.Second)
		synctest.Wait()
		if b.store.withdrawn != 1 {
			t.Fatalf("%d attempts were withdrawn; want that of message 4", b.store.withdrawn)
		}
		b.wantSeen(4)
		b.wantState(4, data.Waiting)
		time.Sleep(2 * time.Minute)
		if starts := b.seen(4); len(starts) != 1 || starts[0] < time.Minute {
			t.Errorf("message 4 left at %v; want once, after the hold", starts)
		}
		b.wantState(3, data.Delivered)
		b.wantState(4, data.Delivered)
		if n := b.options.Slots.inUse(); n != 0 {
			t.Errorf("%d slots are taken by nobody", n)
		}
	})
}

// The store may know of a hold or a pause before the lane does. What it then
// claims stays where it was.
func TestClaimsOfAClosedLaneStand(t *testing.T) {
	for name, pause := range map[string]bool{"held": false, "paused": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.answer = delivering
				b.run()
				defer b.stop()
				synctest.Wait()
				b.store.mu.Lock()
				b.store.lane.Paused = pause
				if !pause {
					b.store.lane.Held = data.StoreTime(time.Minute)
				}
				b.store.mu.Unlock()
				b.accept(3, 1)
				time.Sleep(time.Minute - 1)
				b.wantRequests(0)
				if b.store.closed == 0 || b.store.closed > 4 {
					t.Errorf("%d claims came to the closed lane; want a few", b.store.closed)
				}
				time.Sleep(time.Nanosecond)
				if pause {
					b.wantRequests(0)
					b.store.mu.Lock()
					b.store.lane.Paused = false
					b.store.mu.Unlock()
					b.tell(Pause{})
				}
				b.wantRequests(3)
				if n := b.options.Slots.inUse(); n != 0 {
					t.Errorf("%d slots are taken by nobody", n)
				}
			})
		})
	}
}

func TestPauseAndGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Definition.Concurrency = 1
		b.answer = taking(time.Second, delivering)
		b.store.accept(3)
		b.run()
		defer b.stop()
		synctest.Wait()
		b.tell(Pause{Paused: true})
		time.Sleep(time.Second)
		b.wantState(1, data.Delivered) // what was under way
		time.Sleep(time.Minute)
		b.wantRequests(1)
		if got := b.heard(); len(got) == 0 {
			t.Error("a paused lane stays; want it to be idle")
		}
		b.tell(Pause{})
		time.Sleep(10 * time.Second)
		b.wantRequests(3)
	})
}

// stale is a queue that answers with what the lane was a while ago.
type stale struct {
	*memory
	lane data.Lane
}

func (s stale) Lane(name string) (data.Lane, error) {
	l, err := s.memory.Lane(name)
	l.Paused = s.lane.Paused
	time.Sleep(time.Second)
	return l, err
}

// What the store knew is older than what a person has said since.
func TestPauseBeforeTheStoreIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.answer = delivering
		b.options.Queue = stale{b.store, data.Lane{Paused: true}}
		b.store.accept(1)
		b.run()
		defer b.stop()
		b.tell(Pause{Paused: false})
		time.Sleep(time.Second)
		b.wantRequests(1)
	})
}

func TestOutageSpendsNoAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Definition.Concurrency = 1
		b.options.Definition.HoldAfter = 3
		probes := 0
		b.probe = func() data.Cause { probes++; return data.CauseRefused }
		b.store.accept(100)
		b.run()
		defer b.stop()
		time.Sleep(10 * time.Minute)
		b.wantRequests(3)
		if probes < 10 || probes > 20 {
			t.Errorf("%d probes in ten minutes; want one a minute and a few at first", probes)
		}
		b.setAnswer(delivering)
		b.setProbe(func() data.Cause { return data.CauseNone })
		time.Sleep(time.Minute)
		synctest.Wait()
		if left := b.store.unfinished(); len(left) > 0 {
			t.Errorf("%d messages are left after a connection could be made", len(left))
		}
	})
}

// A probe that panics is one that reached nobody.
func TestOutageProbePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Definition.HoldAfter = 1
		b.options.Definition.Concurrency = 1
		b.probe = func() data.Cause { panic("provoked") }
		b.store.accept(2)
		b.run()
		defer b.stop()
		time.Sleep(10 * time.Second)
		b.wantRequests(1)
		b.setAnswer(delivering)
		b.setProbe(func() data.Cause { return data.CauseNone })
		time.Sleep(2 * time.Minute)
		b.wantState(1, data.Delivered)
		b.wantState(2, data.Delivered)
		if n := b.options.Slots.inUse(); n != 0 {
			t.Errorf("%d slots are taken by nobody", n)
		}
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Definition.Rate = 2
		b.options.Definition.Concurrency = 100
		b.answer = delivering
		b.store.accept(100)
		b.run()
		defer b.stop()
		for i := range 20 {
			time.Sleep(500 * time.Millisecond)
			b.wantRequests(1 + i)
		}
	})
}

func TestRedefine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Definition.Concurrency = 1
		b.answer = taking(10*time.Second, failing)
		b.store.accept(3)
		b.run()
		defer b.stop()
		synctest.Wait()
		// The attempt under way ends under the old definition and its policy.
		b.redefine(func(d *Definition) {
			d.Deliver = func(context.Context, data.Message, int) data.Result {
				return data.Result{Outcome: data.OutcomeDelivered, Status: 299}
			}
			d.Policy.MaxAttempts = 9
		})
		time.Sleep(10 * time.Second)
		b.wantState(1, data.Waiting)
		b.wantState(2, data.Delivered)
		b.wantState(3, data.Delivered)
		if got := b.store.message(2).Attempts[0].Status; got != 299 {
			t.Errorf("message 2 was answered with %d; want the new definition's 299", got)
		}
		time.Sleep(interval)
		b.wantState(1, data.Delivered)
	})
}

func TestRedefineLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Definition.Concurrency = 1
		b.answer = taking(time.Minute, delivering)
		b.store.accept(10)
		b.run()
		defer b.stop()
		b.wantRequests(1)
		b.redefine(func(d *Definition) { d.Concurrency = 4 })
		b.wantRequests(4)
		b.redefine(func(d *Definition) { d.Concurrency = 2 })
		time.Sleep(time.Minute)
		b.wantRequests(6)
	})
}

// A hold that an incarnation learnt of counts for what it had claimed, also when
// the next one hears of that before it has read the store.
func TestHoldOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Definition.Concurrency = 2
		b.commitTime = func() time.Duration { return 200 * time.Millisecond }
		b.answer = func(_ context.Context, m data.Message, n int) data.Result {
			if m.ID == 1 {
				time.Sleep(250 * time.Millisecond)
				return throttling(5*time.Minute)(t.Context(), m, n)
			}
			return data.Result{Outcome: data.OutcomeDelivered, Status: 200}
		}
		b.fault = once(is[Wake])
		b.store.accept(9)
		b.run()
		defer b.stop()
		time.Sleep(460 * time.Millisecond)
		b.mu.Lock()
		before := len(b.requests)
		b.mu.Unlock()
		b.store.mu.Lock()
		b.store.broken = 1 // the store is read late
		b.store.mu.Unlock()
		b.tell(Wake{Number: 1})
		time.Sleep(4 * time.Minute)
		b.wantRequests(before)
		b.setAnswer(delivering)
		time.Sleep(10 * time.Minute)
		if left := b.store.unfinished(); len(left) > 0 {
			t.Errorf("%d messages are left after the hold", len(left))
		}
	})
}

// Without a definition nothing begins, and what is under way ends.
func TestRedefineToNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Definition.Concurrency = 1
		b.answer = taking(time.Second, delivering)
		b.store.accept(2)
		b.run()
		defer b.stop()
		synctest.Wait()
		b.define(false)
		time.Sleep(time.Second)
		b.wantState(1, data.Delivered)
		time.Sleep(time.Minute)
		b.wantRequests(1)
		if got := b.heard(); len(got) == 0 {
			t.Error("a lane without a gateway stays; want it to be idle")
		}
		b.define(true)
		time.Sleep(time.Second)
		b.wantState(2, data.Delivered)
	})
}

// define changes whether the gateway is declared, and says so.
func (b *bench) define(declared bool) {
	b.mu.Lock()
	b.defined = declared
	b.mu.Unlock()
	b.tell(Redefine{})
}

// A lane that fails after its definition changed comes back with the new one.
func TestRestartAfterRedefine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.answer = delivering
		b.fault = once(is[Wake])
		b.run()
		defer b.stop()
		b.define(false)
		b.accept(1, 1)
		time.Sleep(time.Minute)
		b.wantRequests(0)
		b.define(true)
		b.wantRequests(1)
	})
}

func TestLaneWaitsForSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Slots = NewSlots(2)
		other := b.options.Slots.Join(func() {})
		other.Prompt(true)
		other.Take(2)
		b.answer = taking(time.Second, delivering)
		b.store.accept(3)
		b.run()
		defer b.stop()
		time.Sleep(time.Minute)
		b.wantRequests(0)
		other.Give(1)
		b.wantRequests(1)
		time.Sleep(time.Second)
		b.wantRequests(2)
		time.Sleep(time.Minute)
		b.wantRequests(3)
		if n := b.options.Slots.inUse(); n != 1 {
			t.Errorf("%d slots are taken; want the other lane's one", n)
		}
	})
}
