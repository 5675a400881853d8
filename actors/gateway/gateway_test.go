package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/postrider/postrider/data"
)

const (
	timeout  = 10 * time.Second
	interval = time.Minute
	linger   = 30 * time.Second
	backoff  = 100 * time.Millisecond
)

// sent is one request that a fake gateway saw.
type sent struct {
	id         data.ID
	number     int
	start, end time.Duration // since the bench was made
	withdrawn  bool          // it never left
}

// bench is a lane with everything around it faked: the manager, which only
// listens, the persister, which takes commitTime for each record, the store and
// the gateway. It lives in a synctest bubble.
type bench struct {
	t          *testing.T
	store      *memory
	start      time.Time
	options    Options
	commitTime func() time.Duration
	takes      atomic.Int64 // what a commit takes, where that changes
	// answer is how the gateway is; it may sleep.
	answer func(ctx context.Context, m data.Message, number int) data.Result
	// probe is what connecting to the gateway comes to.
	probe func() data.Cause
	// defined says whether the gateway is still declared.
	defined bool
	// fault panics before the lane handles a message.
	fault func(message any)

	system *actor.ActorSystem
	parent *actor.PID
	lane   *actor.PID
	asked  chan func()

	mu       sync.Mutex
	requests []sent
	said     []any
}

func failing(context.Context, data.Message, int) data.Result {
	return data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseRefused}
}

func delivering(context.Context, data.Message, int) data.Result {
	return data.Result{Outcome: data.OutcomeDelivered, Status: 200}
}

// taking lets the gateway take its time.
func taking(d time.Duration, then func(context.Context, data.Message, int) data.Result) func(context.Context, data.Message, int) data.Result {
	return func(ctx context.Context, m data.Message, number int) data.Result {
		select {
		case <-time.After(d):
			return then(ctx, m, number)
		case <-ctx.Done():
			return data.Result{Outcome: data.OutcomeUnknown, Cause: data.CauseCutOff}
		}
	}
}

func newBench(t *testing.T) *bench {
	b := &bench{
		t:          t,
		store:      newMemory(t),
		start:      time.Now(),
		commitTime: func() time.Duration { return 0 },
		answer:     failing,
		probe:      func() data.Cause { return data.CauseRefused },
		defined:    true,
		fault:      func(any) {},
		asked:      make(chan func(), 10_000),
	}
	b.options = Options{
		Definition: Definition{
			Name:        "gateway_1",
			Policy:      data.Policy{MaxAttempts: 3, Interval: interval, MaxHint: time.Hour},
			Timeout:     timeout,
			Concurrency: 4,
			Deliver:     b.deliver,
			Probe: func(context.Context) data.Cause {
				b.mu.Lock()
				probe := b.probe
				b.mu.Unlock()
				return probe()
			},
		},
		Slots:      NewSlots(10_000),
		Allowances: NewAllowances(),
		Queue:      b.store,
		Now:        b.now,
		Record:     b.record,
		Attempts:   t.Context(),
		Draining:   func() bool { return false },
		Linger:     linger,
		Logger:     slog.New(slog.DiscardHandler),
	}
	b.options.Define = func() (Definition, bool) {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.options.Definition, b.defined
	}
	return b
}

func (b *bench) now() data.StoreTime { return data.StoreTime(time.Since(b.start)) }

func (b *bench) record(begin *data.Begin, settles []*data.Settle, done func(error)) {
	b.asked <- func() {
		time.Sleep(b.commitTime())
		b.store.commit(begin, settles, b.now())
		done(nil)
	}
}

func (b *bench) deliver(ctx context.Context, m data.Message, number int) data.Result {
	r := sent{id: m.ID, number: number, start: time.Since(b.start), end: -1}
	b.mu.Lock()
	at := len(b.requests)
	b.requests = append(b.requests, r)
	answer := b.answer
	b.mu.Unlock()
	var result data.Result
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.requests[at].end = time.Since(b.start)
		b.requests[at].withdrawn = result.Outcome == data.OutcomeWithdrawn
	}()
	result = answer(ctx, m, number)
	return result
}

// run starts the lane. It is stopped, with all the rest, when the test ends.
func (b *bench) run() {
	go func() {
		for commit := range b.asked {
			commit()
		}
	}()
	b.system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}))
	guarded := actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
		return func(ctx actor.ReceiverContext, envelope *actor.MessageEnvelope) {
			b.fault(envelope.Message)
			next(ctx, envelope)
		}
	})
	manager := func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *actor.Started:
			b.lane, _ = ctx.SpawnNamed(Props(b.options).Configure(guarded), "gateway-gateway_1")
		case Idle, Drained:
			b.mu.Lock()
			b.said = append(b.said, m)
			b.mu.Unlock()
		}
	}
	b.parent = b.system.Root.Spawn(actor.PropsFromFunc(manager, actor.WithSupervisor(restartSoon{})))
	synctest.Wait()
}

// restartSoon restarts a lane after backoff.
type restartSoon struct{}

func (restartSoon) HandleFailure(_ *actor.ActorSystem, s actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, _, _ any) {
	time.AfterFunc(backoff, func() { s.RestartChildren(child) })
}

func (b *bench) stop() {
	time.Sleep(time.Hour) // whatever is under way
	_ = b.system.Root.StopFuture(b.parent).Wait()
	close(b.asked)
	b.system.Shutdown()
	time.Sleep(2 * time.Second) // the dead letters' throttle
}

func (b *bench) tell(m any) { b.system.Root.Send(b.lane, m) }

// accept stores messages and wakes the lane, as the manager would.
func (b *bench) accept(n int, wake uint64) {
	b.store.accept(n)
	b.tell(Wake{Number: wake})
}

// save stores messages as the persister does, which tells the lane when the commit is
// done.
func (b *bench) save(n int, wake uint64) {
	b.asked <- func() {
		m := b.store.save(n, func() *data.Allowance { return b.options.Allowances.Take("gateway_1") }, b.now())
		time.Sleep(b.commitTime())
		b.tell(Wake{Number: wake, Begun: m.Begun, Refs: m.Refs})
	}
}

// seen returns when requests for a message began.
func (b *bench) seen(id data.ID) (starts []time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.requests {
		if r.id == id {
			starts = append(starts, r.start)
		}
	}
	return starts
}

func (b *bench) heard() []any {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.said)
}

func (b *bench) wantSeen(id data.ID, want ...time.Duration) {
	b.t.Helper()
	synctest.Wait()
	if got := b.seen(id); !slices.Equal(got, want) {
		b.t.Errorf("after %v: requests for message %d at %v; want %v", time.Since(b.start), id, got, want)
	}
}

func (b *bench) wantState(id data.ID, want data.State) {
	b.t.Helper()
	synctest.Wait()
	if got := b.store.message(id).State; got != want {
		b.t.Errorf("after %v: message %d is %s; want %s", time.Since(b.start), id, got, want)
	}
}

func TestRetryTimes(t *testing.T) {
	for _, c := range []struct {
		name    string
		answer  func(context.Context, data.Message, int) data.Result
		commit  time.Duration
		want    []time.Duration
		becomes data.State
	}{
		{"refused at once", failing, 0, []time.Duration{0, interval, 2 * interval}, data.Failed},
		{
			"from the end of a slow attempt", taking(7*time.Second, failing), 0,
			[]time.Duration{0, 67 * time.Second, 134 * time.Second},
			data.Failed,
		},
		// An attempt waits for its record; the next is due an interval after its end.
		{"a slow disk", failing, time.Second, []time.Duration{time.Second, 62 * time.Second, 123 * time.Second}, data.Failed},
		{"delivered", delivering, 0, []time.Duration{0}, data.Delivered},
		{"hint", func(_ context.Context, _ data.Message, n int) data.Result {
			return data.Result{Outcome: data.OutcomeThrottled, Hint: time.Duration(n) * 45 * time.Second}
		}, 0, []time.Duration{0, 60 * time.Second, 150 * time.Second}, data.Failed},
		{"permanent", func(context.Context, data.Message, int) data.Result {
			return data.Result{Outcome: data.OutcomePermanent}
		}, 0, []time.Duration{0}, data.Failed},
		{"second time lucky", func(ctx context.Context, m data.Message, n int) data.Result {
			if n == 2 {
				return delivering(ctx, m, n)
			}
			return failing(ctx, m, n)
		}, 0, []time.Duration{0, interval}, data.Delivered},
		{
			"panic beside the lane", func(context.Context, data.Message, int) data.Result { panic("provoked") }, 0,
			[]time.Duration{0, interval, 2 * interval},
			data.Unknown,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.answer = c.answer
				b.commitTime = func() time.Duration { return c.commit }
				id := b.store.accept(1)
				b.run()
				defer b.stop()
				for i, due := range c.want {
					if due > 0 {
						time.Sleep(due - time.Nanosecond - time.Since(b.start))
						b.wantSeen(id, c.want[:i]...)
					}
					time.Sleep(due - time.Since(b.start))
					b.wantSeen(id, c.want[:i+1]...)
				}
				time.Sleep(time.Hour)
				b.wantSeen(id, c.want...)
				b.wantState(id, c.becomes)
			})
		})
	}
}

func TestNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Doubt = data.StoreTime(30 * time.Second)
		b.store.doubt = b.options.Doubt
		waited, fresh := b.store.accept(1), b.store.accept(1)
		b.store.commit(&data.Begin{Claims: []data.Claim{{Ref: ref(int(waited), 1, 0), Policy: b.options.Definition.Policy}}}, nil, 0)
		b.store.commit(nil, []*data.Settle{{ID: waited, Number: 1, Result: data.Result{Outcome: data.OutcomeTemporary}}}, 0)
		b.answer = delivering
		b.run()
		defer b.stop()
		b.wantSeen(fresh, 0)
		time.Sleep(90*time.Second - 1)
		b.wantSeen(waited)
		time.Sleep(time.Nanosecond)
		b.wantSeen(waited, 90*time.Second)
	})
}

// What is in doubt waits for the interval that is in force, not the one that was
// when the process started.
func TestDoubtWithALongerInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Doubt, b.store.doubt = 1, 1
		id := b.store.accept(1)
		b.store.commit(nil, nil, 0)
		b.store.messages[id].State, b.store.messages[id].Attempts = data.Waiting, []data.Attempt{{Number: 1}}
		b.answer = delivering
		b.run()
		defer b.stop()
		time.Sleep(10 * time.Second)
		b.redefine(func(d *Definition) { d.Policy.Interval = 5 * time.Minute })
		time.Sleep(5*time.Minute - time.Since(b.start))
		b.wantSeen(id)
		time.Sleep(time.Nanosecond)
		b.wantSeen(id, 5*time.Minute+1)
	})
}

// redefine changes the definition, and says so.
func (b *bench) redefine(change func(*Definition)) {
	b.mu.Lock()
	change(&b.options.Definition)
	b.mu.Unlock()
	b.tell(Redefine{})
}

// A request under way is believed for as long as it was allowed to take when it
// left, also by the next incarnation.
func TestRestartWithAShorterTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Definition.Timeout = 10 * time.Minute
		b.answer = taking(5*time.Minute, failing)
		b.fault = once(is[Wake])
		id := b.store.accept(1)
		b.run()
		defer b.stop()
		b.redefine(func(d *Definition) { d.Timeout = time.Second })
		b.tell(Wake{Number: 1})
		time.Sleep(5*time.Minute + interval - 1)
		b.wantSeen(id, 0)
		time.Sleep(time.Nanosecond)
		b.wantSeen(id, 0, 5*time.Minute+interval)
	})
}

func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.answer = taking(time.Second, delivering)
		b.store.accept(10)
		b.run()
		defer b.stop()
		for s, want := range []int{4, 8, 10} {
			synctest.Wait()
			b.mu.Lock()
			if got := len(b.requests); got != want {
				t.Errorf("after %d s: %d requests; want %d", s, got, want)
			}
			b.mu.Unlock()
			time.Sleep(time.Second)
		}
	})
}

// A backlog of more than the window, and then as many retries, goes through.
func TestMoreThanTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Definition.Concurrency = 100
		b.answer = taking(time.Second, failing)
		b.store.accept(3 * mostWindow)
		b.run()
		defer b.stop()
		time.Sleep(time.Hour)
		if left := b.store.unfinished(); len(left) > 0 {
			t.Errorf("%d messages have not ended after an hour", len(left))
		}
		if got, want := len(b.requests), 3*3*mostWindow; got != want {
			t.Errorf("%d requests; want %d", got, want)
		}
	})
}

func TestIdleAndWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.answer = delivering
		b.run()
		defer b.stop()
		time.Sleep(linger - 1)
		synctest.Wait()
		if got := b.heard(); len(got) > 0 {
			t.Errorf("the lane said %v before %v", got, linger)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := b.heard(); !slices.Equal(got, []any{Idle{Gateway: "gateway_1"}}) {
			t.Errorf("the lane said %v; want one Idle", got)
		}
		b.accept(1, 1)
		b.wantSeen(1, linger)
		time.Sleep(linger)
		synctest.Wait()
		if got := b.heard(); !slices.Equal(got[1:], []any{Idle{Gateway: "gateway_1", Wakes: 1}}) {
			t.Errorf("the lane said %v; want another Idle that knows of the wake", got)
		}
	})
}

// unheardOf is a queue that there is only once it had a message.
type unheardOf struct{ *memory }

func (u unheardOf) Lane(name string) (data.Lane, error) {
	l, err := u.memory.Lane(name)
	if l.Open() == 0 {
		return data.Lane{}, data.ErrNotFound
	}
	return l, err
}

// A gateway that never had a message is resumed: its lane has nothing to do, and ends.
func TestLaneOfAGatewayWithoutMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.answer = delivering
		b.options.Queue = unheardOf{b.store}
		b.run()
		defer b.stop()
		b.tell(Pause{Paused: false})
		time.Sleep(linger)
		synctest.Wait()
		if got := b.heard(); !slices.Equal(got, []any{Idle{Gateway: "gateway_1"}}) {
			t.Errorf("the lane said %v; want one Idle", got)
		}
		b.accept(1, 1)
		b.wantRequests(1)
	})
}

// once panics at the first message that matches.
func once(match func(any) bool) func(any) {
	panicked := false
	return func(m any) {
		if !panicked && match(m) {
			panicked = true
			panic("provoked")
		}
	}
}

func is[T any](m any) bool { _, ok := m.(T); return ok }

// A request that an earlier incarnation sent is settled when it reports.
func TestPanicWithRequestUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.answer = taking(3*time.Second, delivering)
		b.fault = once(is[Wake])
		id := b.store.accept(1)
		b.run()
		defer b.stop()
		b.tell(Wake{Number: 1})
		time.Sleep(3*time.Second - 1)
		b.wantState(id, data.Sending)
		time.Sleep(time.Nanosecond)
		b.wantState(id, data.Delivered)
		b.wantSeen(id, 0)
	})
}

// The report of a request may be there before the lane has read the store.
func TestReportBeforeTheStoreIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.answer = taking(3*time.Second, failing)
		b.fault = once(is[Wake])
		id := b.store.accept(1)
		b.run()
		defer b.stop()
		b.store.broken = 5
		b.tell(Wake{Number: 1})
		time.Sleep(3 * time.Second)
		b.wantState(id, data.Waiting)
		time.Sleep(interval)
		b.wantSeen(id, 0, 63*time.Second)
	})
}

// A report that is lost with the lane is given up at last.
func TestLostReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.answer = taking(3*time.Second, delivering)
		b.fault = once(is[attemptDone])
		id := b.store.accept(1)
		b.run()
		defer b.stop()
		time.Sleep(timeout + grace - 1)
		b.wantState(id, data.Sending)
		time.Sleep(time.Nanosecond)
		b.wantState(id, data.Waiting)
		if a := b.store.message(id).Attempts[0]; a.Outcome != data.OutcomeUnknown || a.Cause != data.CauseNoAnswerBy {
			t.Errorf("attempt came to %s, %s; want unknown, abandoned", a.Outcome, a.Cause)
		}
		time.Sleep(interval)
		b.wantSeen(id, 0, timeout+grace+interval)
	})
}

// Of an attempt that was given up word may come when a later one is under way: that one
// is still given up when its own time is over.
func TestLateWordOfAnEarlierAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		const second = timeout + grace + interval
		b.answer = func(ctx context.Context, m data.Message, number int) data.Result {
			switch number {
			case 1:
				time.Sleep(second + 5*time.Second)
			case 2:
				time.Sleep(30 * time.Minute)
			}
			return delivering(ctx, m, number)
		}
		b.fault = func(m any) {
			if is[Wake](m) {
				panic("provoked")
			}
		}
		id := b.store.accept(1)
		b.run()
		defer b.stop()
		b.tell(Wake{Number: 1}) // so the first is adrift
		time.Sleep(second)
		b.wantSeen(id, 0, second)
		b.tell(Wake{Number: 2}) // and the second
		time.Sleep(timeout + grace - 1)
		b.wantState(id, data.Sending)
		if b.store.late != 1 {
			t.Errorf("%d settles came too late; want that of the first attempt", b.store.late)
		}
		time.Sleep(time.Nanosecond)
		b.wantState(id, data.Waiting)
		for _, a := range b.store.message(id).Attempts {
			if a.Outcome != data.OutcomeUnknown || a.Cause != data.CauseNoAnswerBy {
				t.Errorf("attempt %d came to %s, %s; want unknown, abandoned", a.Number, a.Outcome, a.Cause)
			}
		}
	})
}

// What has ended is recorded all the same when the lane fails while it does that.
func TestSettlesOutliveAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.answer = taking(3*time.Second, delivering)
		failed := false
		b.options.Record = func(begin *data.Begin, settles []*data.Settle, done func(error)) {
			if len(settles) > 0 && !failed {
				failed = true
				panic("provoked")
			}
			b.record(begin, settles, done)
		}
		b.store.accept(3)
		b.run()
		defer b.stop()
		time.Sleep(3*time.Second + backoff) // the next incarnation is made then
		for id := data.ID(1); id <= 3; id++ {
			b.wantState(id, data.Delivered)
		}
		if !failed {
			t.Error("nothing has failed")
		}
		b.wantRequests(3)
	})
}

// An attempt may have been settled without this lane knowing: what came of it is
// in the store.
func TestSettledByOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		id := b.store.accept(1)
		b.store.commit(&data.Begin{Claims: []data.Claim{{Ref: ref(int(id), 1, 0), Policy: b.options.Definition.Policy, Timeout: timeout}}}, nil, 0)
		b.answer = delivering
		b.run()
		defer b.stop()
		b.store.commit(nil, []*data.Settle{{ID: id, Number: 1, Result: data.Result{Outcome: data.OutcomeTemporary}}}, 0)
		time.Sleep(interval + timeout + grace)
		b.wantState(id, data.Delivered)
	})
}

// What was granted but never sent, since the lane was lost in between, counts.
func TestLostGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.fault = once(is[recorded])
		id := b.store.accept(1)
		b.run()
		defer b.stop()
		time.Sleep(timeout + grace + interval)
		b.wantSeen(id, timeout+grace+interval)
		if got := b.store.message(id).Attempts[0].Cause; got != data.CauseNoAnswerBy {
			t.Errorf("first attempt's cause is %s; want abandoned", got)
		}
	})
}

// A lane may be restarted while what it asked for is in the persister's mailbox.
// The next incarnation may not know yet what the last one learnt: it withdraws.
func TestRestartWithBeginUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.answer = taking(time.Second, delivering)
		b.commitTime = func() time.Duration { return 2 * time.Second }
		b.fault = once(is[Wake])
		b.store.accept(3)
		b.run()
		defer b.stop()
		time.Sleep(time.Second)
		b.tell(Wake{Number: 1})
		time.Sleep(time.Minute)
		for id := data.ID(1); id <= 3; id++ {
			b.wantSeen(id, 8*time.Second) // granted at 2, withdrawn at 6
			b.wantState(id, data.Delivered)
		}
	})
}

// What was granted to an earlier incarnation is not sent once it was given up.
func TestGrantAfterGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.fault = once(is[Wake])
		first := true
		b.options.Record = func(begin *data.Begin, settles []*data.Settle, done func(error)) {
			b.store.commit(begin, settles, b.now())
			if first {
				first = false
				time.AfterFunc(timeout+grace+time.Second, func() { done(nil) })
				return
			}
			done(nil)
		}
		id := b.store.accept(1)
		b.run()
		defer b.stop()
		b.tell(Wake{Number: 1})
		time.Sleep(time.Hour)
		again := timeout + grace + interval
		b.wantSeen(id, again, again+interval)
		b.wantState(id, data.Failed)
	})
}

func TestReadsAreTriedAgain(t *testing.T) {
	for _, c := range []struct {
		broken int
		want   time.Duration
	}{{0, 0}, {1, 1 * time.Second}, {4, 4 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.store.broken = c.broken
			id := b.store.accept(1)
			b.run()
			defer b.stop()
			time.Sleep(10 * time.Second)
			b.wantSeen(id, c.want)
		})
	}
}

// Nothing that happens in between makes a lane forget to read the store again.
func TestWakeWhileUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.store.broken = 1
		b.run()
		defer b.stop()
		time.Sleep(readRetry / 2)
		b.accept(1, 1)
		time.Sleep(readRetry / 2)
		b.wantSeen(1, readRetry)
	})
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Definition.Concurrency = 1
		b.answer = taking(3*time.Second, failing)
		b.commitTime = func() time.Duration { return time.Millisecond }
		b.store.accept(2)
		b.run()
		defer b.stop()
		time.Sleep(time.Second)
		b.tell(Drain{})
		time.Sleep(2*time.Second + time.Millisecond)
		synctest.Wait()
		if got := b.heard(); len(got) > 0 {
			t.Errorf("the lane said %v before its last attempt was settled", got)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if got := b.heard(); !slices.Equal(got, []any{Drained{Gateway: "gateway_1"}}) {
			t.Errorf("the lane said %v; want Drained", got)
		}
		time.Sleep(time.Hour)
		b.wantSeen(1, time.Millisecond)
		b.wantSeen(2)
	})
}

// A lane that fails while the process ends begins nothing when it is back.
func TestRestartWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Definition.Concurrency = 1
		b.answer = taking(3*time.Second, delivering)
		b.fault = once(is[Drain])
		draining := false
		b.options.Draining = func() bool { return draining }
		b.store.accept(2)
		b.run()
		defer b.stop()
		draining = true
		b.tell(Drain{})
		time.Sleep(3*time.Second - 1)
		if got := b.heard(); len(got) > 0 {
			t.Errorf("the lane said %v with an attempt under way", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := b.heard(); !slices.Equal(got, []any{Drained{Gateway: "gateway_1"}}) {
			t.Errorf("the lane said %v; want Drained", got)
		}
		b.wantSeen(2)
	})
}

// TestHistories lets lanes live through anything that may happen to them, for
// hours, and holds them to the promises: at most so many attempts, never early,
// every message ends. The store checks the first two as well.
func TestHistories(t *testing.T) {
	atOnce := 0
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { atOnce += live(t, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
	if atOnce < 100 {
		t.Errorf("%d attempts began with their saves: too few to say anything", atOnce)
	}
}

// atATime is how many requests were under way at once.
func atATime(requests []sent) (most int) {
	for _, r := range requests {
		n := 0
		for _, other := range requests {
			if other.start <= r.start && r.start < other.end {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// live returns how many attempts began with their saves.
func live(t *testing.T, r *rand.Rand) (atOnce int) {
	var mu sync.Mutex
	below := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return r.IntN(n)
	}
	chance := func(percent int) bool { return below(100) < percent }
	within := func(d time.Duration) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(r.Int64N(int64(d) + 1))
	}
	b := newBench(t)
	// A short interval brings retries and reports of lost requests close together.
	b.options.Definition.Policy.Interval = []time.Duration{interval, time.Second}[r.IntN(2)]
	b.options.Definition.Policy.MaxAttempts = 1 + r.IntN(4)
	b.options.Definition.Concurrency = []int{1, 4, 600}[r.IntN(3)]
	b.options.Definition.HoldAfter = []int{0, 2}[r.IntN(2)]
	quick := chance(50) // the gateway, so that attempts begin with their saves
	if !quick {
		b.options.Definition.Rate = []float64{0, 10}[r.IntN(2)]
	}
	b.options.Ramp = chance(50)
	b.options.Slots = NewSlots([]int{2, 10_000}[r.IntN(2)])
	b.probe = func() data.Cause {
		if chance(5) {
			panic("provoked")
		}
		return []data.Cause{data.CauseNone, data.CauseRefused}[below(2)]
	}
	slow := chance(30)
	var wild atomic.Bool // lanes fail
	lost := chance(50)
	wild.Store(lost)
	b.commitTime = func() time.Duration {
		if slow && chance(20) {
			return within(2 * time.Second)
		}
		return within(5 * time.Millisecond)
	}
	b.answer = func(ctx context.Context, m data.Message, number int) data.Result {
		if chance(3) {
			panic("provoked")
		}
		if quick {
			time.Sleep(within(20 * time.Millisecond))
		} else {
			time.Sleep(within(timeout))
		}
		if chance(3) {
			return data.Result{Outcome: data.OutcomeWithdrawn}
		}
		if chance(40) || quick && chance(80) {
			return delivering(ctx, m, number)
		}
		if chance(3) {
			return throttling(within(time.Minute))(ctx, m, number)
		}
		return failing(ctx, m, number)
	}
	b.fault = func(m any) {
		switch m.(type) {
		case *actor.Stopping, *actor.Stopped, *actor.Restarting, *actor.Started:
			return
		}
		if wild.Load() && chance(2) {
			panic(errors.New("provoked"))
		}
	}
	if !quick {
		b.store.accept(below(700))
	}
	b.run()
	for wake := range uint64(30) {
		if !quick || chance(20) {
			b.accept(below(40), wake+1)
		}
		for range below(10) {
			b.save(1+below(3), wake+1)
			time.Sleep(within(time.Second))
		}
		if chance(20) {
			b.store.mu.Lock()
			b.store.broken = below(4)
			b.store.mu.Unlock()
		}
		if chance(20) {
			paused := chance(50) && (!quick || chance(30))
			b.store.mu.Lock()
			b.store.lane.Paused = paused
			b.store.mu.Unlock()
			b.tell(Pause{Paused: paused})
		}
		if chance(20) {
			b.define(chance(50) || quick && chance(70))
		}
		time.Sleep(within(20 * time.Second))
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	wild.Store(false)
	b.store.mu.Lock()
	b.store.lane.Paused = false
	b.store.mu.Unlock()
	b.tell(Pause{})
	b.define(true)
	time.Sleep(48 * time.Hour)
	defer b.stop()
	if left := b.store.unfinished(); len(left) > 0 {
		m := b.store.message(left[0])
		t.Errorf("%d messages have not ended, the first is %d: %s, attempt %d, due %v", len(left), m.ID, m.State, m.NextNumber(), time.Duration(m.Due))
	}
	if n := b.options.Slots.inUse(); n != 0 {
		t.Errorf("%d slots are taken by nobody", n)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if most := b.options.Definition.Concurrency; !lost && atATime(b.requests) > most {
		t.Errorf("%d requests were under way at a time; want at most %d", atATime(b.requests), most)
	}
	last := make(map[data.ID]sent)
	for _, s := range b.requests {
		if s.withdrawn {
			continue
		}
		if before, ok := last[s.id]; ok {
			if gap := s.start - before.end; before.end < 0 || gap < b.options.Definition.Policy.Interval {
				t.Errorf("message %d: attempt %d left %v after the end of attempt %d", s.id, s.number, gap, before.number)
			}
			if s.number <= before.number {
				t.Errorf("message %d: attempt %d left after attempt %d", s.id, s.number, before.number)
			}
		}
		last[s.id] = s
	}
	return b.store.atOnce
}
