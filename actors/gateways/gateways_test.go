package gateways

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/postrider/postrider/actors/gateway"
	"github.com/postrider/postrider/data"
)

const linger = 30 * time.Second

// shop is a store whose messages are delivered at their first attempt, so that a
// count for each gateway is all of it.
type shop struct {
	mu       sync.Mutex
	queued   map[string]int
	flying   map[string][]data.InFlight
	paused   map[string]bool
	last     data.ID
	broken   int // calls of Lanes that fail
	panicked bool
}

func (s *shop) accept(name string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queued[name] += n
}

func (s *shop) Lanes() (lanes []data.Lane, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.panicked {
		s.panicked = false
		panic("provoked")
	}
	if s.broken > 0 {
		s.broken--
		return nil, errors.New("broken")
	}
	for name := range s.queued {
		lanes = append(lanes, s.lane(name))
	}
	return lanes, nil
}

func (s *shop) lane(name string) data.Lane {
	l := data.Lane{Gateway: name, InFlight: append([]data.InFlight(nil), s.flying[name]...), Paused: s.paused[name]}
	l.Counts[data.Queued] = uint64(s.queued[name])
	l.Counts[data.Sending] = uint64(len(l.InFlight))
	return l
}

func (s *shop) pause(name string, paused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused[name] = paused
}

func (s *shop) Lane(name string) (data.Lane, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lane(name), nil
}

// Ready makes up ids: each message is asked for once.
func (s *shop) Ready(name string, _ data.ID, _ int) (refs []data.Ref, more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; s.queued[name] > 0; s.queued[name]-- {
		s.last++
		refs = append(refs, data.Ref{ID: s.last, Number: 1})
	}
	return refs, false, nil
}

func (s *shop) Waiting(string, data.Ref, int) ([]data.Ref, bool, error) { return nil, false, nil }

func (s *shop) record(begin *data.Begin, settles []*data.Settle, done func(error)) {
	s.mu.Lock()
	for _, o := range settles {
		o.Next = data.Next{State: data.Delivered}
		kept := s.flying[o.Gateway][:0]
		for _, f := range s.flying[o.Gateway] {
			if f.ID != o.ID {
				kept = append(kept, f)
			}
		}
		s.flying[o.Gateway] = kept
	}
	if begin != nil {
		for _, c := range begin.Claims {
			s.flying[begin.Gateway] = append(s.flying[begin.Gateway], data.InFlight{ID: c.Ref.ID, Number: 1})
			begin.Granted = append(begin.Granted, data.Granted{Message: data.Message{ID: c.Ref.ID, Gateway: begin.Gateway}, Number: 1})
		}
	}
	s.mu.Unlock()
	done(nil)
}

// bench is the manager with everything around it faked.
type bench struct {
	t       *testing.T
	shop    *shop
	options Options
	takes   time.Duration // for the gateways to answer
	fault   func(actor string, message any)
	system  *actor.ActorSystem
	top     *actor.PID
	manager *actor.PID
	log     bytes.Buffer

	mu         sync.Mutex
	oneByOne   bool // the manager is told which gateway changed
	undeclared map[string]bool
	delivered  map[string]int
	starts     map[string]int
	stops      map[string]int
	drained    int
}

func newBench(t *testing.T) *bench {
	b := &bench{
		t:          t,
		shop:       &shop{queued: make(map[string]int), flying: make(map[string][]data.InFlight), paused: make(map[string]bool)},
		fault:      func(string, any) {},
		undeclared: map[string]bool{"nobody": true},
		delivered:  make(map[string]int),
		starts:     make(map[string]int),
		stops:      make(map[string]int),
	}
	start := time.Now()
	b.options = Options{
		Define: func(name string) (gateway.Definition, bool) {
			b.mu.Lock()
			defer b.mu.Unlock()
			d := gateway.Definition{Name: name, Timeout: 10 * time.Second, Concurrency: 4, Deliver: b.deliver}
			return d, !b.undeclared[name]
		},
		MaxInFlight: 1000,
		Lanes:       b.shop.Lanes,
		Lane: func(d gateway.Definition) gateway.Options {
			return gateway.Options{
				Definition: d,
				Queue:      b.shop,
				Now:        func() data.StoreTime { return data.StoreTime(time.Since(start)) },
				Record:     b.shop.record,
				Attempts:   t.Context(),
				Draining:   b.options.Draining,
				Linger:     linger,
				Logger:     slog.New(slog.DiscardHandler),
			}
		},
		Strategy: actor.NewOneForOneStrategy(1000, time.Hour, actor.DefaultDecider),
		Draining: func() bool { return false },
		Drained: func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.drained++
		},
		Guard:  b.guard,
		Logger: slog.New(slog.NewTextHandler(&b.log, nil)),
	}
	return b
}

func (b *bench) deliver(ctx context.Context, m data.Message, _ int) data.Result {
	select {
	case <-time.After(b.takes):
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.delivered[m.Gateway]++
	return data.Result{Outcome: data.OutcomeDelivered}
}

func (b *bench) guard(props *actor.Props) {
	actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
		return func(ctx actor.ReceiverContext, envelope *actor.MessageEnvelope) {
			name := ctx.Self().Id[strings.LastIndexByte(ctx.Self().Id, '/')+1:]
			b.mu.Lock()
			switch envelope.Message.(type) {
			case *actor.Started:
				b.starts[name]++
			case *actor.Stopped:
				b.stops[name]++
			}
			b.mu.Unlock()
			b.fault(name, envelope.Message)
			next(ctx, envelope)
		}
	})(props)
}

func (b *bench) run() {
	b.system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}))
	b.top = b.system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		if _, ok := ctx.Message().(*actor.Started); ok {
			b.manager, _ = ctx.SpawnNamed(Props(b.options).Configure(b.guard), "manager")
		}
	}))
	synctest.Wait()
}

func (b *bench) stop() {
	time.Sleep(time.Minute)
	if err := b.system.Root.StopFuture(b.top).Wait(); err != nil {
		b.t.Errorf("stop the manager: %v", err)
	}
	b.system.Shutdown()
	time.Sleep(2 * time.Second) // the dead letters' throttle
}

func (b *bench) accept(name string, n int) {
	b.shop.accept(name, n)
	b.tell(Accepted{Arrived: []data.Arrival{{Gateway: name}}})
}

func (b *bench) tell(m any) { b.system.Root.Send(b.manager, m) }

func (b *bench) want(what string, counts map[string]int, name string, want int) {
	b.t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if got := counts[name]; got != want {
		b.t.Errorf("%s %s %d times; want %d", name, what, got, want)
	}
}

func (b *bench) wantDrained(want int) {
	b.t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drained != want {
		b.t.Errorf("drained was told %d times; want %d", b.drained, want)
	}
}

func TestLanesStartOnDemandAndStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.run()
		defer b.stop()
		b.want("started", b.starts, "gateway-a", 0)
		b.accept("a", 3)
		b.want("delivered", b.delivered, "a", 3)
		b.want("started", b.starts, "gateway-b", 0)
		time.Sleep(linger - 1)
		b.want("stopped", b.stops, "gateway-a", 0)
		time.Sleep(time.Nanosecond)
		b.want("stopped", b.stops, "gateway-a", 1)
		b.accept("a", 1)
		b.want("delivered", b.delivered, "a", 4)
		b.want("started", b.starts, "gateway-a", 2)
	})
}

// Messages that arrive while a lane is on its way out start it again.
func TestAcceptedWhileStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.fault = func(name string, m any) {
			if _, ok := m.(*actor.Stopping); ok && name == "gateway-a" && b.shop.last < 2 {
				b.accept("a", 1)
				time.Sleep(time.Second) // the manager hears of it first
			}
		}
		b.run()
		defer b.stop()
		b.accept("a", 1)
		time.Sleep(linger + time.Second)
		b.want("delivered", b.delivered, "a", 2)
		b.want("started", b.starts, "gateway-a", 2)
	})
}

// An Idle of an earlier lane of the same name must not stop its successor.
func TestStaleIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.takes = 3 * time.Second
		b.run()
		defer b.stop()
		b.accept("a", 1)
		synctest.Wait()
		b.system.Root.RequestWithCustomSender(b.manager, gateway.Idle{Gateway: "a"}, actor.NewPID("nonhost", b.manager.Id+"/gateway-a"))
		time.Sleep(3 * time.Second)
		b.want("stopped", b.stops, "gateway-a", 0)
	})
}

func TestParkedIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.shop.accept("nobody", 1)
		b.run()
		b.accept("nobody", 1)
		b.accept("nobody", 1)
		b.accept("a", 1)
		b.want("delivered", b.delivered, "a", 1)
		b.stop()
		if got := strings.Count(b.log.String(), "parked"); got != 1 {
			t.Errorf("parked is logged %d times; want once:\n%s", got, &b.log)
		}
	})
}

func TestManagerFindsWorkAtStart(t *testing.T) {
	for _, c := range []struct {
		about string
		set   func(*shop)
		after time.Duration
	}{
		{"at once", func(*shop) {}, 0},
		{"after reads that fail", func(s *shop) { s.broken = 2 }, 2 * readRetry},
		{"after a read that panics", func(s *shop) { s.panicked = true }, readRetry},
	} {
		t.Run(c.about, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				c.set(b.shop)
				b.shop.accept("a", 2)
				b.shop.accept("b", 1)
				b.run()
				defer b.stop()
				time.Sleep(c.after)
				b.want("delivered", b.delivered, "a", 2)
				b.want("delivered", b.delivered, "b", 1)
			})
		})
	}
}

// once panics at the first message that matches.
func once(match func(actor string, m any) bool) func(string, any) {
	var panicked sync.Once
	return func(name string, m any) {
		if match(name, m) {
			panicked.Do(func() { panic("provoked") })
		}
	}
}

// A manager that fails takes its lanes with it; the next one finds their work.
func TestManagerRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.takes = 2 * time.Second
		b.fault = once(func(name string, m any) bool {
			accepted, ok := m.(Accepted)
			return ok && name == "manager" && accepted.Arrived[0].Gateway == "c"
		})
		b.shop.accept("a", 8)
		b.run()
		defer b.stop()
		b.accept("b", 1)
		synctest.Wait()
		b.shop.queued["a"] = 7 // of its eight, one is under way: lanes ramp up at the start
		b.accept("c", 1)
		time.Sleep(10 * time.Second)
		b.want("delivered", b.delivered, "a", 8)
		b.want("delivered", b.delivered, "b", 1)
		b.want("delivered", b.delivered, "c", 1)
		b.want("stopped", b.stops, "gateway-a", 1)
		if n := len(b.shop.flying["a"]); n > 0 {
			t.Errorf("%d attempts of a are not settled", n)
		}
	})
}

// A manager that is restarted while a lane that has new messages is on its way
// out must not wait for a new lane's end.
func TestManagerRestartWithLaneStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		provoke := once(func(name string, m any) bool {
			accepted, ok := m.(Accepted)
			return ok && name == "manager" && accepted.Arrived[0].Gateway == "b"
		})
		b.fault = func(name string, m any) {
			if _, ok := m.(*actor.Stopping); ok && name == "gateway-a" && b.shop.last < 2 {
				b.accept("a", 1)
				b.accept("b", 1)
				time.Sleep(time.Second)
			}
			provoke(name, m)
		}
		b.run()
		defer b.stop()
		b.accept("a", 1)
		time.Sleep(linger + 2*time.Second)
		b.want("delivered", b.delivered, "a", 2)
		b.want("delivered", b.delivered, "b", 1)
	})
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.takes = 3 * time.Second
		b.run()
		defer b.stop()
		b.accept("a", 6)
		b.accept("b", 1)
		synctest.Wait()
		b.tell(Drain{})
		b.accept("c", 1)
		time.Sleep(3*time.Second - 1)
		b.wantDrained(0)
		time.Sleep(time.Nanosecond)
		b.wantDrained(1)
		time.Sleep(time.Minute)
		b.want("delivered", b.delivered, "a", 4) // what was under way
		b.want("started", b.starts, "gateway-c", 0)
		b.wantDrained(1)
	})
}

func TestDrainWithoutLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.run()
		defer b.stop()
		b.tell(Drain{})
		b.wantDrained(1)
	})
}

// A manager that fails while it drains goes on draining: it begins nothing, and
// is done when what was under way is settled.
func TestManagerRestartWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.takes = 3 * time.Second
		var draining sync.Map
		b.options.Draining = func() bool { _, ok := draining.Load(true); return ok }
		b.fault = once(func(name string, m any) bool { _, ok := m.(Drain); return ok && name == "manager" })
		b.run()
		defer b.stop()
		b.accept("a", 6)
		b.accept("idle", 0)
		synctest.Wait()
		draining.Store(true, true)
		b.tell(Drain{})
		time.Sleep(3*time.Second - 1)
		b.wantDrained(0)
		b.want("started", b.starts, "gateway-a", 2)
		b.want("started", b.starts, "gateway-idle", 1)
		time.Sleep(time.Nanosecond)
		b.wantDrained(1)
		b.want("delivered", b.delivered, "a", 4)
	})
}

// declare changes whether a gateway is declared, and says so.
func (b *bench) declare(name string, declared bool) {
	b.mu.Lock()
	b.undeclared[name] = !declared
	b.mu.Unlock()
	if b.oneByOne {
		b.tell(Redefine{Gateway: name})
		return
	}
	b.tell(Redefine{})
}

func TestRedefine(t *testing.T)    { testRedefine(t, false) }
func TestRedefineOne(t *testing.T) { testRedefine(t, true) }

func testRedefine(t *testing.T, oneByOne bool) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.oneByOne = oneByOne
		b.takes = time.Second
		b.run()
		defer b.stop()
		b.accept("a", 6)
		b.accept("nobody", 1)
		synctest.Wait()
		b.declare("a", false)
		time.Sleep(time.Second)
		b.want("delivered", b.delivered, "a", 4) // what was under way
		b.declare("a", true)
		b.declare("nobody", true)
		time.Sleep(time.Second)
		b.want("delivered", b.delivered, "a", 6)
		b.want("delivered", b.delivered, "nobody", 1)
		if n := strings.Count(b.log.String(), "is parked"); n != 2 {
			t.Errorf("parked was logged %d times; want once for each of two gateways: %s", n, b.log.String())
		}
	})
}

// A lane whose gateway is gone is stopped, and started when it is back.
func TestRedefineAfterALongTime(t *testing.T)    { testRedefineAfterALongTime(t, false) }
func TestRedefineOneAfterALongTime(t *testing.T) { testRedefineAfterALongTime(t, true) }

func testRedefineAfterALongTime(t *testing.T, oneByOne bool) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.oneByOne = oneByOne
		b.takes = time.Second
		b.run()
		defer b.stop()
		b.accept("a", 6)
		synctest.Wait()
		b.declare("a", false)
		time.Sleep(time.Second + linger)
		b.want("stopped", b.stops, "gateway-a", 1)
		// The fake store hands out each message once; these were read by that lane.
		b.shop.accept("a", 2)
		b.declare("a", true)
		time.Sleep(2 * time.Second)
		b.want("delivered", b.delivered, "a", 6)
	})
}

func TestPaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.shop.pause("a", true)
		b.shop.accept("a", 2)
		b.run()
		defer b.stop()
		b.want("started", b.starts, "gateway-a", 0)
		b.accept("a", 1) // finds out that it is paused, and leaves
		time.Sleep(linger)
		b.want("stopped", b.stops, "gateway-a", 1)
		b.want("delivered", b.delivered, "a", 0)
		b.shop.pause("a", false)
		b.tell(Paused{Gateway: "a"})
		time.Sleep(time.Second)
		b.want("delivered", b.delivered, "a", 3)
		b.shop.pause("a", true)
		b.tell(Paused{Gateway: "a", Paused: true})
		b.accept("a", 1)
		time.Sleep(time.Second)
		b.want("delivered", b.delivered, "a", 3)
		b.shop.pause("a", false)
		b.tell(Paused{Gateway: "a"})
		time.Sleep(time.Second)
		b.want("delivered", b.delivered, "a", 4)
	})
}

// All lanes share the slots.
func TestSlotsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.MaxInFlight = 2
		b.takes = time.Second
		b.run()
		defer b.stop()
		for _, name := range []string{"a", "b", "c"} {
			b.accept(name, 2)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		if n := b.delivered["a"] + b.delivered["b"] + b.delivered["c"]; n != 1 {
			t.Errorf("%d were delivered after a second; want 1: of two slots one is kept for prompt lanes", n)
		}
	})
}
