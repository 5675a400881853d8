package gateway

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postrider/postrider/data"
)

// What the store begins by itself, with the commits that accept messages.

// commit is how long one takes here.
const commit = 10 * time.Millisecond

// runPrompt starts a lane whose gateway answered one message, at most a second ago: from
// then on attempts begin with their saves.
func (b *bench) runPrompt() {
	b.t.Helper()
	b.takes.Store(int64(commit))
	b.commitTime = func() time.Duration { return time.Duration(b.takes.Load()) }
	answer := b.answer
	b.answer = delivering
	b.run()
	b.save(1, 1)
	time.Sleep(time.Second)
	synctest.Wait()
	b.wantState(1, data.Delivered)
	if b.store.begins != 1 || b.store.atOnce != 0 {
		b.t.Fatalf("%d records began attempts, and %d saves; want the first to be begun by the lane", b.store.begins, b.store.atOnce)
	}
	b.setAnswer(answer)
}

// allows reports whether an attempt may begin with its save. It takes none.
func (b *bench) allows() bool {
	synctest.Wait()
	all := b.options.Allowances
	a := all.Take("gateway_1")
	if a == nil {
		return false
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	of := all.lanes["gateway_1"]
	of.left++
	of.away--
	of.share.Give(1)
	return true
}

func (b *bench) wantAllowed(what string, want bool) {
	b.t.Helper()
	if got := b.allows(); got != want {
		b.t.Errorf("after %v, %s: allowed is %v; want %v", time.Since(b.start), what, got, want)
	}
}

// wantNoSlots checks that no slot was forgotten.
func (b *bench) wantNoSlots() {
	b.t.Helper()
	synctest.Wait()
	if n := b.options.Slots.inUse(); n != 0 {
		b.t.Errorf("%d slots are taken by nobody", n)
	}
}

// A message leaves with the commit that accepted it.
func TestSendsWhatBeganAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.answer = delivering
		b.runPrompt()
		defer b.stop()
		reads := b.store.reads
		b.save(1, 2)
		b.wantSeen(2)
		time.Sleep(commit)
		b.wantSeen(2, time.Second+commit)
		time.Sleep(commit)
		b.wantState(2, data.Delivered)
		if b.store.begins != 1 || b.store.atOnce != 1 {
			t.Errorf("%d records began attempts, and %d saves; want one each", b.store.begins, b.store.atOnce)
		}
		if b.store.reads > reads {
			t.Error("the lane read its queue for it")
		}
		b.wantNoSlots()
	})
}

// No more are under way than may be, and what is left is begun by the lane, in order.
func TestConcurrencyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.answer = taking(time.Second, delivering)
		b.runPrompt()
		defer b.stop()
		b.save(3, 2)
		time.Sleep(time.Millisecond)
		b.save(3, 3) // one may begin: three are on their way to the lane
		time.Sleep(time.Minute)
		synctest.Wait()
		if b.store.atOnce != 4 {
			t.Errorf("%d attempts began with their saves; want 4", b.store.atOnce)
		}
		if got := atATime(b.requests); got != 4 {
			t.Errorf("%d requests were under way at a time; want 4", got)
		}
		for id := data.ID(2); id <= 7; id++ {
			b.wantState(id, data.Delivered)
		}
		b.wantNoSlots()
	})
}

// What began at once is under way for a lane that has not heard of it yet.
func TestRetryBesideWhatBeganAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Definition.Concurrency = 1
		b.answer = func(context.Context, data.Message, int) data.Result {
			return data.Result{Outcome: data.OutcomeTemporary, Status: 500}
		}
		b.runPrompt()
		defer b.stop()
		b.save(1, 2)
		time.Sleep(commit)
		synctest.Wait()
		b.setAnswer(taking(900*time.Millisecond, delivering))
		time.Sleep(interval - commit/2)
		b.save(1, 3)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := atATime(b.requests); got != 1 || b.store.atOnce != 2 {
			t.Errorf("%d requests were under way at a time, %d began with their saves; want 1 and 2", got, b.store.atOnce)
		}
		b.wantState(2, data.Delivered)
		b.wantState(3, data.Delivered)
	})
}

// A retry that is due does not wait for what may begin at once.
func TestRetryBeforeWhatMayBeginAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Definition.Concurrency = 1
		b.answer = func(ctx context.Context, m data.Message, number int) data.Result {
			if m.ID == 2 && number == 1 {
				return data.Result{Outcome: data.OutcomeTemporary, Status: 500}
			}
			return taking(900*time.Millisecond, delivering)(ctx, m, number)
		}
		b.runPrompt()
		defer b.stop()
		b.save(1, 2)
		for wake := range uint64(1000) {
			time.Sleep(100 * time.Millisecond)
			b.save(1, 3+wake)
		}
		b.wantState(2, data.Delivered)
		if starts := b.seen(2); len(starts) != 2 || starts[1] > starts[0]+interval+2*time.Second {
			t.Errorf("attempts at message 2 began at %v; want the second as soon as it is due", starts)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if got := atATime(b.requests); got != 1 {
			t.Errorf("%d requests were under way at a time; want 1", got)
		}
	})
}

// What began with its save is withdrawn when it may not leave any more.
func TestWithdrawsWhatBeganAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		close func(b *bench)
		open  func(b *bench) // nil when it is never open again
	}{
		"paused":   {func(b *bench) { b.tell(Pause{Paused: true}) }, func(b *bench) { b.tell(Pause{}) }},
		"parked":   {func(b *bench) { b.define(false) }, func(b *bench) { b.define(true) }},
		"draining": {func(b *bench) { b.tell(Drain{}) }, nil},
		"held": {
			func(b *bench) {
				b.tell(attemptDone{id: 1, number: 1, result: throttling(time.Minute)(b.t.Context(), data.Message{}, 1)})
			},
			func(*bench) { time.Sleep(time.Minute) },
		},
		"restarted": {func(b *bench) { b.tell(Redefine{}) }, func(*bench) { time.Sleep(time.Minute) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.options.Definition.Policy.MaxAttempts = 1
				b.answer = delivering
				if name == "restarted" {
					b.fault = once(is[Redefine])
				}
				b.runPrompt()
				defer b.stop()
				b.takes.Store(int64(time.Second))
				b.save(1, 2)
				time.Sleep(time.Millisecond)
				c.close(b)
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if b.store.withdrawn != 1 {
					t.Errorf("%d attempts were withdrawn; want 1", b.store.withdrawn)
				}
				b.wantNoSlots()
				if name != "restarted" {
					b.wantState(2, data.Waiting)
					b.wantSeen(2)
				}
				if c.open == nil {
					if got := b.heard(); len(got) != 1 || got[0] != (Drained{Gateway: "gateway_1"}) {
						t.Errorf("the lane said %v; want Drained", got)
					}
					return
				}
				c.open(b)
				time.Sleep(10 * time.Second)
				b.wantState(2, data.Delivered)
				if n := len(b.seen(2)); n != 1 {
					t.Errorf("%d requests left; want 1", n)
				}
				b.wantNoSlots()
			})
		})
	}
}

// A lane that waits for word of an attempt is neither drained nor idle.
func TestWaitsForWhatBeganAtOnce(t *testing.T) {
	for name, wait := range map[string]func(b *bench){
		"idle":    func(*bench) { time.Sleep(linger) },
		"drained": func(b *bench) { b.tell(Drain{}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.answer = delivering
				b.runPrompt()
				defer b.stop()
				time.Sleep(linger/2 - time.Since(b.start))
				b.takes.Store(int64(linger))
				b.save(1, 2)
				time.Sleep(time.Millisecond)
				wait(b)
				time.Sleep(time.Second)
				synctest.Wait()
				if got := b.heard(); b.store.atOnce != 1 || len(got) > 0 {
					t.Errorf("the lane said %v with %d attempts on their way to it", got, b.store.atOnce)
				}
				time.Sleep(10 * linger)
				synctest.Wait()
				if got := b.heard(); len(got) == 0 {
					t.Error("the lane said nothing when it had nothing left to do")
				}
			})
		})
	}
}

// A lane that said that it is idle may be stopped at any moment.
func TestIdleAllowsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.answer = delivering
		b.runPrompt()
		defer b.stop()
		b.wantAllowed("at work", true)
		time.Sleep(linger)
		b.wantAllowed("idle", false)
		b.tell(slotFree{})
		b.wantAllowed("idle, and told nothing new", false)
		b.tell(Wake{Number: 2})
		b.wantAllowed("woken", true)
		if err := b.system.Root.PoisonFuture(b.lane).Wait(); err != nil {
			t.Fatal(err)
		}
		b.wantAllowed("stopped", false)
		if n := len(b.options.Allowances.lanes); n != 0 {
			t.Errorf("%d lanes are remembered; want none", n)
		}
	})
}

// What a lane would not begin itself, the store may not begin either.
func TestAllowsNothingWhileClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Definition.HoldAfter = 2
		b.answer = taking(time.Second, delivering)
		b.runPrompt()
		defer b.stop()
		b.wantAllowed("at first", true)
		b.tell(Pause{Paused: true})
		b.wantAllowed("paused", false)
		b.tell(Pause{})
		b.wantAllowed("not paused any more", true)
		b.define(false)
		b.wantAllowed("parked", false)
		b.define(true)
		b.wantAllowed("declared again", true)
		b.redefine(func(d *Definition) { d.Rate = 1000 })
		b.wantAllowed("with a rate", false)
		b.redefine(func(d *Definition) { d.Rate = 0 })
		b.wantAllowed("without a rate", true)
		b.save(4, 2)
		time.Sleep(2 * commit)
		b.wantAllowed("full", false)
		time.Sleep(time.Second)
		b.wantAllowed("not full any more", true)
		b.setAnswer(failing) // without a connection
		b.save(2, 3)
		time.Sleep(time.Second)
		b.wantAllowed("in an outage", false)
		b.setProbe(func() data.Cause { return data.CauseNone })
		b.setAnswer(delivering)
		b.save(1, 4)
		time.Sleep(5 * time.Second)
		b.wantAllowed("after the outage", true)
		b.setAnswer(taking(2*promptness, delivering))
		b.save(1, 5)
		time.Sleep(3 * promptness)
		b.wantAllowed("after an answer that was not prompt", false)
		b.setAnswer(throttling(time.Minute))
		b.save(1, 6)
		time.Sleep(time.Second)
		b.wantAllowed("held", false)
		b.wantNoSlots()
	})
}

// Attempts begin under what the definition says when their messages are accepted.
func TestAllowsUnderTheNewestDefinition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.answer = taking(time.Second, delivering)
		b.runPrompt()
		defer b.stop()
		b.save(1, 2)
		time.Sleep(2 * commit)
		b.redefine(func(d *Definition) { d.Policy.MaxAttempts, d.Timeout = 7, 3*time.Second })
		synctest.Wait()
		b.save(1, 3)
		time.Sleep(2 * commit)
		b.redefine(func(d *Definition) { d.Timeout = 4 * time.Second })
		synctest.Wait()
		b.save(1, 4)
		time.Sleep(2 * commit)
		b.store.mu.Lock()
		defer b.store.mu.Unlock()
		old, now := b.store.flying[2], b.store.flying[3]
		if b.store.flying[4].Timeout != 4*time.Second {
			t.Errorf("an attempt began under %+v", b.store.flying[4])
		}
		if old.Policy.MaxAttempts != 3 || old.Timeout != timeout || now.Policy.MaxAttempts != 7 || now.Timeout != 3*time.Second || b.store.atOnce != 3 {
			t.Errorf("attempts began under %+v and %+v", old, now)
		}
	})
}

// A lane that has failed allows nothing until it is back, and what it never heard of is
// given up like what it claimed.
func TestLostWhatBeganAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.answer = delivering
		lose := false
		b.fault = func(m any) {
			if w, ok := m.(Wake); ok && lose && len(w.Begun) > 0 {
				lose = false
				panic("provoked")
			}
		}
		b.runPrompt()
		defer b.stop()
		lose = true
		b.save(1, 2)
		time.Sleep(commit + timeout + grace)
		b.wantState(2, data.Waiting)
		if a := b.store.message(2).Attempts; len(a) != 1 || a[0].Cause != data.CauseNoAnswerBy {
			t.Errorf("its attempts came to %+v; want one that was given up", a)
		}
		b.wantNoSlots()
		time.Sleep(interval + 3*commit)
		b.wantState(2, data.Delivered)
	})
}

func TestFailedLaneAllowsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.answer = delivering
		broken := false
		define := b.options.Define
		b.options.Define = func() (Definition, bool) {
			if broken {
				broken = false
				panic("provoked")
			}
			return define()
		}
		b.runPrompt()
		defer b.stop()
		b.wantAllowed("at work", true)
		broken = true
		b.tell(Redefine{})
		time.Sleep(backoff - 1)
		b.wantAllowed("failed", false)
		b.save(1, 2)
		time.Sleep(time.Second)
		b.wantAllowed("back", true)
	})
}

// The end of one incarnation does not end what the next allows.
func TestAllowanceOfTheNextIncarnation(t *testing.T) {
	all, s := NewAllowances(), NewSlots(4)
	old, next := all.join("a", &Actor{}, join(s, true).share), all.join("a", &Actor{}, join(s, true).share)
	old.set(1, data.Policy{}, 0)
	if all.Take("a") != nil {
		t.Error("an attempt began under the allowance of an earlier incarnation")
	}
	next.set(1, data.Policy{}, 0)
	old.leave()
	if a := all.Take("a"); a == nil || a.By != next.terms.By {
		t.Errorf("Take() = %+v; want that of the next incarnation", a)
	}
	if all.Take("a") != nil || all.Take("b") != nil {
		t.Error("took what nobody allows")
	}
	if away := next.set(3, data.Policy{}, 0); away != 1 || next.left != 2 {
		t.Errorf("%d are away and %d left; want 1 and 2", away, next.left)
	}
	if away := next.came(); away != 0 {
		t.Errorf("%d are away; want none", away)
	}
}
