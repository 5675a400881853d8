package actors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"

	"github.com/postrider/postrider/actors/gateway"
	"github.com/postrider/postrider/actors/gateways"
	"github.com/postrider/postrider/actors/ticker"
	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/data/badger"
)

// bubbleClock is a store's clock that goes with the time of a synctest bubble.
type bubbleClock struct{ start time.Time }

func (c bubbleClock) Boot() ([]byte, time.Duration) { return []byte("boot"), time.Since(c.start) }
func (c bubbleClock) Wall() time.Time               { return time.Now() }

// faultyStore is the real store with a fault in front of it.
type faultyStore struct {
	*badger.Store
	fault func() error
}

func (s faultyStore) Apply(b *data.Batch) error {
	if err := s.fault(); err != nil {
		return err
	}
	return s.Store.Apply(b)
}

// bench is a whole tree on a real store, with gateways that are faked.
type bench struct {
	t       *testing.T
	store   *badger.Store
	options Options
	tree    *Tree
	start   time.Time

	mu       sync.Mutex
	deliver  func(ctx context.Context) data.Outcome
	requests []string // gateway, message, attempt
	restarts []string // actor, when
	failures []error
	posts    []time.Duration
}

func newBench(t *testing.T, clock badger.Clock) *bench {
	quiet := slog.New(slog.DiscardHandler)
	store, err := badger.Open(badger.Options{Path: t.TempDir(), Memtable: badger.MinMemtable, Clock: clock, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, store: store, start: time.Now(), deliver: func(context.Context) data.Outcome { return data.OutcomeDelivered }}
	b.options = Options{
		Store: store,
		Define: func(name string) (gateway.Definition, bool) {
			return gateway.Definition{
				Name:        name,
				Policy:      data.Policy{MaxAttempts: 3, Interval: time.Minute, MaxHint: time.Hour},
				Timeout:     10 * time.Second,
				Concurrency: 16,
				Deliver:     b.request,
			}, true
		},
		Failed: func(err error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.failures = append(b.failures, err)
		},
		Restarted: func(name string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.restarts = append(b.restarts, name)
		},
		Logger: quiet,
	}
	return b
}

func (b *bench) request(ctx context.Context, m data.Message, number int) data.Result {
	b.mu.Lock()
	b.requests = append(b.requests, fmt.Sprint(m.Gateway, " ", m.Text, " ", number))
	deliver := b.deliver
	b.mu.Unlock()
	return data.Result{Outcome: deliver(ctx)}
}

// hang is a gateway that never answers.
func hang(ctx context.Context) data.Outcome {
	<-ctx.Done()
	return data.OutcomeUnknown
}

func (b *bench) run() { b.tree = Start(b.options) }

// runInBubble runs it until it knows of what was left to send: nothing. A lane that has
// work by then ramps up.
func (b *bench) runInBubble() {
	b.run()
	synctest.Wait()
}

// stop ends the tree and the store and says whether the tree ended in order.
func (b *bench) stop() bool {
	clean := b.tree.Stop()
	if err := b.store.Close(); err != nil {
		b.t.Errorf("close the store: %v", err)
	}
	return clean
}

func (b *bench) stopInBubble() bool {
	defer time.Sleep(time.Minute) // the dead letters' throttle, and waits for a restart
	return b.stop()
}

func (b *bench) save(gateway string, texts ...string) data.ID {
	b.t.Helper()
	o := &data.Save{}
	for _, text := range texts {
		o.Messages = append(o.Messages, data.NewMessage{Gateway: gateway, Text: text})
	}
	if err := b.tree.Persister.Save(b.t.Context(), o); err != nil {
		b.t.Errorf("save: %v", err)
	}
	return o.First
}

func (b *bench) message(id data.ID) data.Message {
	b.t.Helper()
	m, err := b.store.Message(id)
	if err != nil {
		b.t.Errorf("message %s: %v", id, err)
	}
	return m
}

func (b *bench) wantDelivered(first data.ID, n int) {
	b.t.Helper()
	for id := first; id < first+data.ID(n); id++ {
		if m := b.message(id); m.State != data.Delivered || len(m.Attempts) != 1 {
			b.t.Errorf("message %s is %s after %d attempts; want delivered by the first", id, m.State, len(m.Attempts))
		}
	}
}

// provoked panics the first n times that an actor handles a message like that.
func provoked(n int, name string, match func(any) bool) func(string, any) {
	var mu sync.Mutex
	return func(actor string, m any) {
		mu.Lock()
		defer mu.Unlock()
		if n > 0 && actor == name && match(m) {
			n--
			panic("provoked")
		}
	}
}

func is[T any](m any) bool { _, ok := m.(T); return ok }

func TestTreeRecovers(t *testing.T) {
	for _, c := range []struct {
		actor string
		match func(any) bool
	}{
		{"gateway-a", is[gateway.Wake]},
		{"gateway-a", is[*actor.Started]},
		{"gateways", is[gateways.Accepted]},
		{"gateways", is[*actor.Started]},
	} {
		t.Run(fmt.Sprintf("%s at %s", c.actor, nameOfMatch(c.match)), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, bubbleClock{time.Now()})
				b.options.Fault = provoked(3, c.actor, c.match)
				b.run()
				first := b.save("a", "1", "2", "3")
				for range 3 {
					b.save("a", "more")
					b.save("b", "other")
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				b.wantDelivered(first, 9)
				if want := slices.Repeat([]string{c.actor}, 3); !slices.Equal(b.restarts, want) {
					t.Errorf("restarts = %v; want %v", b.restarts, want)
				}
				if !b.stopInBubble() || len(b.failures) > 0 {
					t.Errorf("not stopped in order; failures %v", b.failures)
				}
			})
		})
	}
}

func nameOfMatch(match func(any) bool) string {
	for _, m := range []any{gateway.Wake{}, gateways.Accepted{}, &actor.Started{}} {
		if match(m) {
			return fmt.Sprintf("%T", m)
		}
	}
	return ""
}

func TestTickerRecoversAndIsGivenUp(t *testing.T) {
	for _, c := range []struct {
		panics   int
		failures int
	}{{5, 0}, {1000, 1}} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, bubbleClock{time.Now()})
			panics := c.panics
			b.options.Ticker = &ticker.Options{
				Interval: time.Second,
				Timeout:  time.Second,
				Events:   []json.RawMessage{json.RawMessage("{}")},
				Draw: func(int) int {
					if panics > 0 {
						panics--
						panic("provoked")
					}
					return 0
				},
				Post: func(context.Context, json.RawMessage) (ticker.Answer, error) {
					b.mu.Lock()
					defer b.mu.Unlock()
					b.posts = append(b.posts, time.Since(b.start))
					return ticker.Answer{Status: 201}, nil
				},
				Logger: b.options.Logger,
				Sent:   func(int) {},
			}
			b.run()
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			if len(b.failures) != c.failures {
				t.Errorf("%d panics: failures = %v; want %d", c.panics, b.failures, c.failures)
			}
			// 100, 200, 400, 800 and 1600 ms, each less up to a quarter.
			if c.failures == 0 && (b.posts[0] < 2325*time.Millisecond || b.posts[0] > 3100*time.Millisecond) {
				t.Errorf("first post after %v; want 2.3 to 3.1 s", b.posts[0])
			}
			if clean := b.stopInBubble(); clean != (c.failures == 0) {
				t.Errorf("Stop() = %t with %d failures", clean, c.failures)
			}
		})
	}
}

// A ticker that waits to be restarted does not hold up the end.
func TestStopDuringBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, bubbleClock{time.Now()})
		b.options.Ticker = &ticker.Options{
			Interval: time.Second,
			Timeout:  time.Second,
			Events:   []json.RawMessage{json.RawMessage("{}")},
			Draw:     func(int) int { panic("provoked") },
			Logger:   b.options.Logger,
		}
		b.options.Fault = provoked(1000, "gateway-a", is[*actor.Started])
		b.run()
		b.save("a", "1")
		time.Sleep(5 * time.Second)
		began := time.Now()
		if !b.tree.Stop() {
			t.Error("Stop() = false; want an end in order")
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("Stop took %v", took)
		}
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
	})
}

func TestPersisterFails(t *testing.T) {
	for _, c := range []struct {
		about string
		fault func() error
		guard func(string, any)
	}{
		{"commit", func() error { return errors.New("no such luck") }, nil},
		{"panic in the commit", func() error { panic("provoked") }, nil},
		{"panic before", func() error { return nil }, provoked(1, "persister", func(m any) bool {
			return strings.HasSuffix(fmt.Sprintf("%T", m), ".save")
		})},
	} {
		t.Run(c.about, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, bubbleClock{time.Now()})
				b.options.Store = faultyStore{b.store, c.fault}
				b.options.Fault = c.guard
				b.run()
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				err := b.tree.Persister.Save(ctx, &data.Save{Events: []data.NewEvent{{Type: "x"}}})
				if !errors.Is(err, data.ErrStorage) {
					t.Errorf("Save = %v; want %v", err, data.ErrStorage)
				}
				synctest.Wait()
				if len(b.failures) != 1 || !errors.Is(b.failures[0], data.ErrStorage) {
					t.Errorf("failures = %v; want one, %v", b.failures, data.ErrStorage)
				}
				b.tree.Drain(t.Context()) // does not wait for what cannot be settled
				if b.stopInBubble() {
					t.Error("Stop() = true; want false after a failure")
				}
			})
		})
	}
}

// The store fails while the lanes drain: what is under way cannot be settled.
func TestDrainWithoutAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, bubbleClock{time.Now()})
		var broken atomic.Bool
		b.options.Store = faultyStore{b.store, func() error {
			if broken.Load() {
				return errors.New("no such luck")
			}
			return nil
		}}
		b.deliver = func(context.Context) data.Outcome {
			time.Sleep(3 * time.Second)
			return data.OutcomeDelivered
		}
		b.runInBubble()
		b.save("a", "1")
		time.Sleep(time.Second)
		broken.Store(true)
		began := time.Now()
		b.tree.Drain(t.Context())
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("Drain took %v; want 2s", took)
		}
		if b.stopInBubble() {
			t.Error("Stop() = true; want false after a failure")
		}
	})
}

func TestDrainWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, bubbleClock{time.Now()})
		b.deliver = func(context.Context) data.Outcome {
			time.Sleep(3 * time.Second)
			return data.OutcomeDelivered
		}
		b.runInBubble()
		first := b.save("a", "1", "2")
		synctest.Wait()
		began := time.Now()
		b.tree.Drain(t.Context())
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("Drain took %v; want 3s", took)
		}
		late := b.save("a", "late")
		time.Sleep(time.Minute)
		b.wantDelivered(first, 2)
		if m := b.message(late); m.State != data.Queued {
			t.Errorf("a message accepted after Drain is %s; want queued", m.State)
		}
		if !b.stopInBubble() {
			t.Error("Stop() = false; want an end in order")
		}
	})
}

func TestDrainCutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, bubbleClock{time.Now()})
		b.deliver = hang
		b.runInBubble()
		texts := slices.Repeat([]string{"x"}, 20) // more than may be sent at once
		first := b.save("a", texts...)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		began := time.Now()
		b.tree.Drain(ctx)
		if took := time.Since(began); took != 25*time.Second {
			t.Errorf("Drain took %v; want 25s", took)
		}
		var states [data.States]int
		for i := range data.ID(20) {
			m := b.message(first + i)
			states[m.State]++
			if m.State == data.Waiting && (len(m.Attempts) != 1 || m.Attempts[0].Outcome != data.OutcomeUnknown) {
				t.Errorf("attempts = %+v; want one, unknown", m.Attempts)
			}
		}
		if states[data.Waiting] != 16 || states[data.Queued] != 4 {
			t.Errorf("%d wait and %d are queued; want 16 and 4", states[data.Waiting], states[data.Queued])
		}
		if !b.stopInBubble() {
			t.Error("Stop() = false; want an end in order")
		}
	})
}

// What has not left when the drain ends is taken back, whatever attempt it is: it is no
// attempt, so the next start makes it.
func TestDrainTakesBackWhatHasNotLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, bubbleClock{time.Now()})
		define := b.options.Define
		b.options.Define = func(name string) (gateway.Definition, bool) {
			d, ok := define(name)
			d.Policy.MaxAttempts = 1
			return d, ok
		}
		b.deliver = func(ctx context.Context) data.Outcome {
			<-ctx.Done()
			return data.OutcomeWithdrawn
		}
		b.options.Attempted = func(string, data.Result, data.State, time.Duration) { t.Error("an attempt is counted") }
		b.runInBubble()
		id := b.save("a", "x")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		b.tree.Drain(ctx)
		if m := b.message(id); m.State != data.Waiting || len(m.Attempts) != 0 || m.Due > b.store.Now() {
			t.Errorf("it is %+v; want it waiting, due and without an attempt", m)
		}
		if l, err := b.store.Lane("a"); err != nil || len(l.InFlight) != 0 {
			t.Errorf("Lane() = %+v, %v; want nothing under way", l, err)
		}
		if !b.stopInBubble() {
			t.Error("Stop() = false; want an end in order")
		}
	})
}

// The manager fails in the middle of a drain: still nothing begins, and what was
// under way is settled.
func TestDrainWithPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, bubbleClock{time.Now()})
		b.deliver = hang
		b.options.Fault = provoked(1, "gateways", is[gateways.Drain])
		b.runInBubble()
		b.save("a", slices.Repeat([]string{"x"}, 20)...)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		b.tree.Drain(ctx)
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("Drain took %v; want 5s", took)
		}
		if got := len(b.requests); got != 16 {
			t.Errorf("%d requests left; want 16", got)
		}
		if !b.stopInBubble() {
			t.Error("Stop() = false; want an end in order")
		}
	})
}

// Three attempts against the real store, exactly an interval apart.
func TestThreeAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, bubbleClock{time.Now()})
		b.deliver = func(context.Context) data.Outcome {
			time.Sleep(2 * time.Second)
			return data.OutcomeTemporary
		}
		b.runInBubble()
		id := b.save("a", "x")
		time.Sleep(5 * time.Minute)
		m := b.message(id)
		if m.State != data.Failed || len(m.Attempts) != 3 {
			t.Fatalf("message is %s after %d attempts; want failed after 3", m.State, len(m.Attempts))
		}
		for i := 1; i < 3; i++ {
			if gap := m.Attempts[i].Began.Sub(m.Attempts[i-1].Ended); gap < time.Minute || gap > time.Minute+time.Microsecond {
				t.Errorf("attempt %d began %v after the one before", i+1, gap)
			}
		}
		if !b.stopInBubble() {
			t.Error("Stop() = false; want an end in order")
		}
	})
}

// A tree that stops in the middle of its work leaves nothing behind, and the
// store can be closed at once.
func TestStopLeavesNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	b := newBench(t, badger.SystemClock())
	b.deliver = hang
	b.options.Ticker = &ticker.Options{
		Interval: time.Millisecond,
		Timeout:  time.Minute,
		Events:   []json.RawMessage{json.RawMessage("{}")},
		Draw:     func(int) int { return 0 },
		Post: func(ctx context.Context, _ json.RawMessage) (ticker.Answer, error) {
			<-ctx.Done()
			return ticker.Answer{}, ctx.Err()
		},
		Logger: b.options.Logger,
		Sent:   func(int) {},
	}
	b.run()
	for i := range 50 {
		b.save(fmt.Sprint("gateway_", i), slices.Repeat([]string{"x"}, 20)...)
	}
	if !b.stop() {
		t.Error("Stop() = false; want an end in order")
	}
	// What throttles the log of dead letters ends by itself after a second.
	goleak.VerifyNone(t, before, goleak.IgnoreTopFunction("github.com/asynkron/protoactor-go/actor.NewDeadLetter.NewThrottle.func4.1"))
}

func TestReadsEndWithTheTree(t *testing.T) {
	reader := slowReader{began: make(chan struct{}), end: make(chan struct{})}
	r := &reads{store: reader}
	go func() { _, _ = r.Lanes() }()
	<-reader.began
	if r.close(0) {
		t.Error("close(0) = true with a read under way")
	}
	close(reader.end)
	if !r.close(time.Minute) {
		t.Error("close(1m) = false without a read")
	}
	if _, err := r.Lanes(); !errors.Is(err, data.ErrStopping) {
		t.Errorf("Lanes() = %v; want %v", err, data.ErrStopping)
	}
}

type slowReader struct {
	Store
	began, end chan struct{}
}

func (r slowReader) Lanes() ([]data.Lane, error) {
	close(r.began)
	<-r.end
	return nil, nil
}
