package persister

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/postrider/postrider/data"
)

// disk is a store that takes its time and records what it was given.
type disk struct {
	takes  time.Duration
	err    error
	cause  any // to panic with
	answer func(*data.Batch)

	mu      sync.Mutex
	batches []data.Batch
}

func (d *disk) Apply(b *data.Batch) error {
	d.mu.Lock()
	d.batches = append(d.batches, data.Batch{
		Settles:  slices.Clone(b.Settles),
		Begins:   slices.Clone(b.Begins),
		Cancels:  slices.Clone(b.Cancels),
		Saves:    slices.Clone(b.Saves),
		Pauses:   slices.Clone(b.Pauses),
		Declares: slices.Clone(b.Declares),
		Resends:  slices.Clone(b.Resends),
		Prune:    b.Prune,
	})
	d.mu.Unlock()
	time.Sleep(d.takes)
	if d.cause != nil {
		panic(d.cause)
	}
	if d.answer != nil {
		d.answer(b)
	}
	return d.err
}

// Now is the time of the bubble.
func (*disk) Now() data.StoreTime { return data.StoreTime(time.Now().UnixNano()) }

func (d *disk) applied() []data.Batch {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.batches)
}

// bench is a persister with its client, in a synctest bubble.
type bench struct {
	t      *testing.T
	disk   *disk
	client *Client
	watch  *Watch
	system *actor.ActorSystem
	pid    *actor.PID

	mu       sync.Mutex
	accepted [][]data.Arrival
	paused   []string
	pruned   []int
	failures []error
}

// leave is a strategy that leaves a failed persister as it is.
type leave struct{ watch *Watch }

func (l leave) HandleFailure(*actor.ActorSystem, actor.Supervisor, *actor.PID, *actor.RestartStatistics, any, any) {
	l.watch.Over(data.ErrStorage)
}

func run(t *testing.T, d *disk) *bench { return runWith(t, d, data.Retention{}) }

func runWith(t *testing.T, d *disk, keep data.Retention) *bench {
	b := &bench{t: t, disk: d, watch: NewWatch()}
	quiet := slog.New(slog.DiscardHandler)
	b.system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))
	b.pid = b.system.Root.Spawn(Props(Options{
		Store:     d,
		Retention: keep,
		Paused: func(gateway string, paused bool) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.paused = append(b.paused, fmt.Sprint(gateway, " ", paused))
		},
		Pruned: func(records int) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.pruned = append(b.pruned, records)
		},
		Accepted: func(arrived []data.Arrival) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.accepted = append(b.accepted, arrived)
		},
		Failed: func(err error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.failures = append(b.failures, err)
		},
		Watch:  b.watch,
		Logger: quiet,
	}).Configure(actor.WithGuardian(leave{b.watch})))
	b.client = NewClient(b.system.Root, b.pid, b.watch)
	synctest.Wait()
	return b
}

func (b *bench) stop() {
	_ = b.system.Root.PoisonFuture(b.pid).Wait()
	b.watch.Over(nil)
	b.system.Shutdown()
	time.Sleep(2 * time.Second) // the dead letters' throttle
}

func (b *bench) failed() []error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.failures)
}

func event(kind string) *data.Save { return &data.Save{Events: []data.NewEvent{{Type: kind}}} }

func message(gateway string) *data.Save {
	return &data.Save{Messages: []data.NewMessage{{Gateway: gateway, Text: "hello"}}}
}

// saveAll saves from as many goroutines and returns the answers in their order.
func (b *bench) saveAll(ctx context.Context, saves ...*data.Save) []error {
	errs := make([]error, len(saves))
	var wait sync.WaitGroup
	for i, o := range saves {
		wait.Go(func() { errs[i] = b.client.Save(ctx, o) })
		synctest.Wait() // each waits for its answer: they were sent in this order
	}
	wait.Wait()
	return errs
}

func many(n int) (saves []*data.Save) {
	for i := range n {
		saves = append(saves, event(fmt.Sprint(i)))
	}
	return saves
}

func TestGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, &disk{takes: time.Second})
		defer b.stop()
		saves := many(100)
		for i, err := range b.saveAll(t.Context(), saves...) {
			if err != nil {
				t.Errorf("Save %d = %v; want nil", i, err)
			}
		}
		batches := b.disk.applied()
		if len(batches) != 2 || len(batches[0].Saves) != 1 {
			t.Fatalf("%d commits, the first of %d; want the first alone and the rest together", len(batches), len(batches[0].Saves))
		}
		if !slices.Equal(batches[1].Saves, saves[1:]) {
			t.Error("the order of the saves was not kept")
		}
	})
}

// Whatever arrives while the disk is busy shares one commit.
func TestGroupOfAllKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, &disk{takes: time.Second})
		defer b.stop()
		var done []string
		record := func(name string, begin *data.Begin, settles ...*data.Settle) {
			b.system.Root.Send(b.pid, Record{Begin: begin, Settles: settles, Done: func(err error) {
				done = append(done, fmt.Sprint(name, err))
			}})
		}
		go func() { _ = b.client.Save(t.Context(), event("first")) }()
		synctest.Wait()
		one, two, three := &data.Settle{ID: 1}, &data.Settle{ID: 2}, &data.Settle{ID: 3}
		begin := &data.Begin{Gateway: "a"}
		record("a", begin, one, two)
		record("b", nil, three)
		record("c", nil)
		go func() { _, _ = b.client.Cancel(t.Context(), 7) }()
		synctest.Wait()
		go func() { _ = b.client.Pause(t.Context(), "a", true) }()
		synctest.Wait()
		go func() { _, _ = b.client.Resend(t.Context(), []data.ID{8, 9}) }()
		synctest.Wait()
		go func() { _ = b.client.Save(t.Context(), event("second")) }()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		batches := b.disk.applied()
		if len(batches) != 2 {
			t.Fatalf("%d commits; want 2", len(batches))
		}
		g := batches[1]
		if !slices.Equal(g.Settles, []*data.Settle{one, two, three}) || !slices.Equal(g.Begins, []*data.Begin{begin}) || len(g.Cancels) != 1 || len(g.Saves) != 1 || len(g.Pauses) != 1 || len(g.Resends) != 1 {
			t.Errorf("second commit = %+v; want all that came during the first", g)
		}
		if want := []string{"a<nil>", "b<nil>", "c<nil>"}; !slices.Equal(done, want) {
			t.Errorf("done = %v; want %v", done, want)
		}
	})
}

func TestEachIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, &disk{takes: time.Second, answer: func(b *data.Batch) {
			for _, o := range b.Saves {
				switch {
				case len(o.Messages) == 0:
				case o.Messages[0].Gateway == "reused":
					o.Err = data.ErrKeyReused
				case o.Messages[0].Gateway == "repeated":
					o.Repeated = true
				default:
					b.Arrived = append(b.Arrived, arrival(o.Messages[0].Gateway))
				}
			}
			for _, o := range b.Cancels {
				o.Message.ID, o.Message.State = o.ID, data.Cancelled
				if o.ID == 9 {
					o.Err = data.ErrSending
				}
			}
		}})
		defer b.stop()
		got := b.saveAll(t.Context(), event("x"), message("a"), message("reused"), message("repeated"), message("b"), message("a"))
		for i, want := range []error{nil, nil, data.ErrKeyReused, nil, nil, nil} {
			if !errors.Is(got[i], want) {
				t.Errorf("Save %d = %v; want %v", i, got[i], want)
			}
		}
		synctest.Wait()
		if want := [][]data.Arrival{{arrival("a"), arrival("b"), arrival("a")}}; !reflect.DeepEqual(b.accepted, want) {
			t.Errorf("accepted = %v; want %v: what the store says", b.accepted, want)
		}
		if m, err := b.client.Cancel(t.Context(), 8); err != nil || m.State != data.Cancelled {
			t.Errorf("Cancel(8) = %+v, %v; want it cancelled", m, err)
		}
		if _, err := b.client.Cancel(t.Context(), 9); !errors.Is(err, data.ErrSending) {
			t.Errorf("Cancel(9) = %v; want %v", err, data.ErrSending)
		}
	})
}

func arrival(gateway string) data.Arrival {
	return data.Arrival{Gateway: gateway, Refs: []data.Ref{{ID: 1, Number: 1, Run: 1}}}
}

// TestResendIsAnswered tells the lanes of what was sent again, and nothing of what
// was not.
func TestResendIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resent := []data.Resent{{Old: 1, New: 9, Gateway: "a"}, {Old: 2, Gateway: "b", Err: data.ErrNotDead}, {Old: 3, New: 10, Gateway: "c"}}
		b := run(t, &disk{answer: func(b *data.Batch) {
			for _, o := range b.Resends {
				if o.IDs[0] == 7 {
					o.Err = data.ErrTooLarge
					continue
				}
				o.Resent = resent
				b.Arrived = append(b.Arrived, arrival("a"), arrival("c"))
			}
		}})
		defer b.stop()
		got, err := b.client.Resend(t.Context(), []data.ID{1, 2, 3})
		if err != nil || !slices.Equal(got, resent) {
			t.Errorf("Resend = %+v, %v; want %+v", got, err, resent)
		}
		if got, err := b.client.Resend(t.Context(), []data.ID{7}); got != nil || !errors.Is(err, data.ErrTooLarge) {
			t.Errorf("Resend = %+v, %v; want %v", got, err, data.ErrTooLarge)
		}
		synctest.Wait()
		if want := [][]data.Arrival{{arrival("a"), arrival("c")}}; !reflect.DeepEqual(b.accepted, want) {
			t.Errorf("accepted = %v; want %v", b.accepted, want)
		}
		if got := b.disk.applied()[0].Resends[0].IDs; !slices.Equal(got, []data.ID{1, 2, 3}) {
			t.Errorf("the store was given %v", got)
		}
	})
}

func TestDeclareIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, &disk{takes: time.Second, answer: func(b *data.Batch) {
			for _, o := range b.Declares {
				if o.Gateway == "large" {
					o.Err = data.ErrTooLarge
				}
			}
		}})
		defer b.stop()
		for _, c := range []struct {
			gateway, text string
			want          error
		}{{"a", "{}", nil}, {"large", "{}", data.ErrTooLarge}, {"a", "", nil}} {
			var declaration []byte
			if c.text != "" {
				declaration = []byte(c.text)
			}
			began := time.Now()
			if err := b.client.Declare(t.Context(), c.gateway, declaration); !errors.Is(err, c.want) || time.Since(began) != time.Second {
				t.Errorf("Declare(%s, %q) = %v after %v; want %v after 1s", c.gateway, c.text, err, time.Since(began), c.want)
			}
		}
		applied := b.disk.applied()
		if len(applied) != 3 || string(applied[0].Declares[0].Declaration) != "{}" || applied[2].Declares[0].Declaration != nil {
			t.Errorf("the store was given %+v", applied)
		}
		b.disk.err = errors.New("no such luck")
		if err := b.client.Declare(t.Context(), "a", nil); !errors.Is(err, data.ErrStorage) {
			t.Errorf("Declare = %v; want %v", err, data.ErrStorage)
		}
	})
}

func TestPauseIsPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, &disk{takes: time.Second})
		defer b.stop()
		for i, paused := range []bool{true, false} {
			began := time.Now()
			if err := b.client.Pause(t.Context(), "a", paused); err != nil || time.Since(began) != time.Second {
				t.Errorf("Pause(%v) = %v after %v; want nil after 1s", paused, err, time.Since(began))
			}
			synctest.Wait()
			if want := []string{"a true", "a false"}[:i+1]; !slices.Equal(b.paused, want) {
				t.Errorf("paused = %v; want %v", b.paused, want)
			}
		}
		b.disk.err = errors.New("no such luck")
		if err := b.client.Pause(t.Context(), "a", true); !errors.Is(err, data.ErrStorage) {
			t.Errorf("Pause = %v; want %v", err, data.ErrStorage)
		}
		synctest.Wait()
		if len(b.paused) != 2 {
			t.Errorf("paused = %v of what is not on disk", b.paused)
		}
	})
}

func TestStorageFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, &disk{takes: time.Second, err: errors.New("no such luck")})
		defer b.stop()
		var done []error
		b.system.Root.Send(b.pid, Record{Done: func(err error) { done = append(done, err) }})
		errs := b.saveAll(t.Context(), many(5)...)
		errs = append(errs, b.client.Save(t.Context(), event("later")))
		synctest.Wait()
		for i, err := range append(errs, done...) {
			if !errors.Is(err, data.ErrStorage) {
				t.Errorf("answer %d = %v; want %v", i, err, data.ErrStorage)
			}
		}
		if got := b.failed(); len(got) != 1 || !errors.Is(got[0], data.ErrStorage) {
			t.Errorf("Failed was told %v; want once, %v", got, data.ErrStorage)
		}
		if got := len(b.disk.applied()); got != 1 {
			t.Errorf("%d commits were tried; want 1", got)
		}
		if len(b.accepted) > 0 {
			t.Errorf("accepted = %v; want nothing", b.accepted)
		}
	})
}

// After a panic in the middle of a commit nothing is applied again, and nobody
// waits to the end of his patience.
func TestPanicInCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, &disk{takes: time.Second, cause: "provoked"})
		began := time.Now()
		for i, err := range b.saveAll(t.Context(), many(5)...) {
			if !errors.Is(err, data.ErrStorage) {
				t.Errorf("Save %d = %v; want %v", i, err, data.ErrStorage)
			}
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("answered after %v; want 1s", took)
		}
		if err := b.client.Accepting(); !errors.Is(err, data.ErrStorage) {
			t.Errorf("Accepting() = %v; want %v", err, data.ErrStorage)
		}
		_ = b.system.Root.StopFuture(b.pid).Wait()
		if got := len(b.disk.applied()); got != 1 {
			t.Errorf("%d commits were tried; want 1", got)
		}
		b.stop()
	})
}

func TestStopCommitsTheOpenGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, &disk{takes: time.Second})
		errs := make(chan error, 3)
		for range 3 {
			go func() { errs <- b.client.Save(t.Context(), event("x")) }()
			synctest.Wait()
		}
		b.system.Root.Poison(b.pid)
		time.Sleep(3 * time.Second)
		for range 3 {
			if err := <-errs; err != nil {
				t.Errorf("Save = %v; want nil", err)
			}
		}
		if got := len(b.disk.applied()); got != 2 {
			t.Errorf("%d commits; want 2", got)
		}
		b.stop()
	})
}

// What comes too late for a persister that stops is refused as soon as it has.
func TestSaveBehindTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, &disk{takes: time.Second})
		before, behind := make(chan error, 1), make(chan error, 1)
		go func() { before <- b.client.Save(t.Context(), event("before")) }()
		synctest.Wait()
		b.system.Root.Poison(b.pid)
		go func() { behind <- b.client.Save(t.Context(), event("behind")) }()
		began := time.Now()
		if first, second := <-before, <-behind; first != nil || !errors.Is(second, data.ErrStopping) {
			t.Errorf("Save = %v and %v; want nil and %v", first, second, data.ErrStopping)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("answered after %v; want 1s", took)
		}
		if err := b.client.Save(t.Context(), event("dead")); !errors.Is(err, data.ErrStopping) {
			t.Errorf("Save = %v; want %v", err, data.ErrStopping)
		}
		b.stop()
	})
}

func TestClientStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, &disk{})
		defer b.stop()
		b.client.Stop()
		if err := b.client.Save(t.Context(), event("x")); !errors.Is(err, data.ErrStopping) {
			t.Errorf("Save = %v; want %v", err, data.ErrStopping)
		}
		if _, err := b.client.Cancel(t.Context(), 1); !errors.Is(err, data.ErrStopping) {
			t.Errorf("Cancel = %v; want %v", err, data.ErrStopping)
		}
		if _, err := b.client.Resend(t.Context(), []data.ID{1}); !errors.Is(err, data.ErrStopping) {
			t.Errorf("Resend = %v; want %v", err, data.ErrStopping)
		}
		if err := b.client.Pause(t.Context(), "a", true); !errors.Is(err, data.ErrStopping) {
			t.Errorf("Pause = %v; want %v", err, data.ErrStopping)
		}
	})
}

// An answer that nobody waits for must not become another one's.
func TestNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, &disk{takes: 3 * time.Second, answer: func(b *data.Batch) {
			if b.Saves[0].Events[0].Type == "late" {
				b.Saves[0].Err = data.ErrKeyReused
			}
		}})
		defer b.stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.client.Save(ctx, event("late")); !errors.Is(err, data.ErrNoAnswer) {
			t.Errorf("Save = %v; want %v", err, data.ErrNoAnswer)
		}
		if got := b.client.pending.Load(); got != 1 {
			t.Errorf("%d are pending; want 1: it is in the mailbox still", got)
		}
		for range 5 {
			if err := b.client.Save(t.Context(), event("next")); err != nil {
				t.Errorf("Save = %v; want nil", err)
			}
		}
		if n, size := b.client.pending.Load(), b.client.bytes.Load(); n != 0 || size != 0 {
			t.Errorf("%d of %d bytes are pending; want none", n, size)
		}
	})
}

func TestOverload(t *testing.T) {
	for _, c := range []struct {
		about string
		save  *data.Save
		fits  int
	}{
		{"many", &data.Save{}, maxPending},
		{"large", &data.Save{Messages: []data.NewMessage{{Text: strings.Repeat("x", maxPendingBytes/8)}}}, 8},
	} {
		t.Run(c.about, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := run(t, &disk{takes: time.Second})
				defer b.stop()
				errs := make(chan error, c.fits)
				for range c.fits {
					go func() { errs <- b.client.Save(t.Context(), &data.Save{Messages: c.save.Messages}) }()
				}
				synctest.Wait()
				if err := b.client.Save(t.Context(), event("x")); !errors.Is(err, data.ErrOverloaded) {
					t.Errorf("Save = %v; want %v", err, data.ErrOverloaded)
				}
				for range c.fits {
					if err := <-errs; err != nil {
						t.Errorf("Save = %v; want nil", err)
					}
				}
				if err := b.client.Save(t.Context(), event("x")); err != nil {
					t.Errorf("Save = %v; want nil", err)
				}
			})
		})
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, &disk{takes: 100 * time.Second})
		defer b.stop()
		go func() { _ = b.client.Save(t.Context(), event("x")) }()
		for _, c := range []struct {
			at       time.Duration
			want     error
			failures int
		}{
			{stalledAfter - 1, nil, 0},
			{stalledAfter, data.ErrOverloaded, 0},
			{deadAfter - 1, data.ErrOverloaded, 0},
			{deadAfter + time.Second, data.ErrOverloaded, 1},
			{90 * time.Second, data.ErrOverloaded, 1},
			{100 * time.Second, nil, 1},
		} {
			time.Sleep(c.at - b.watch.took())
			synctest.Wait()
			if err := b.client.Accepting(); !errors.Is(err, c.want) {
				t.Errorf("Accepting() after %v = %v; want %v", c.at, err, c.want)
			}
			if got := b.failed(); len(got) != c.failures {
				t.Errorf("failures after %v = %v; want %d", c.at, got, c.failures)
			}
		}
	})
}

// A commit is hopeless when it was looked at for a minute. One that a standstill
// of the process made old has only begun.
func TestPatience(t *testing.T) {
	old, next := time.Now().Add(-time.Hour), time.Now()
	for _, c := range []struct {
		about string
		seen  []*time.Time // before
		look  *time.Time
		want  bool
	}{
		{"nothing runs", slices.Repeat([]*time.Time{nil}, 100), nil, false},
		{"old at first sight", nil, &old, false},
		{"old at second sight", []*time.Time{&old}, &old, false},
		{"not quite a minute", slices.Repeat([]*time.Time{&old}, 59), &old, false},
		{"a minute", slices.Repeat([]*time.Time{&old}, 60), &old, true},
		{"another one", slices.Repeat([]*time.Time{&old}, 60), &next, false},
		{"none in between", append(slices.Repeat([]*time.Time{&old}, 60), nil), &next, false},
	} {
		var p patience
		for _, one := range c.seen {
			p.over(one)
		}
		if got := p.over(c.look); got != c.want {
			t.Errorf("%s: over() = %v after %d looks; want %v", c.about, got, len(c.seen), c.want)
		}
	}
}

func TestWatchOverTwice(t *testing.T) {
	w := NewWatch()
	w.Over(data.ErrStorage)
	w.Over(data.ErrStopping)
	if got := w.ended(); !errors.Is(got, data.ErrStorage) {
		t.Errorf("ended() = %v; want the first reason", got)
	}
}

type nowhere struct{}

func (nowhere) Apply(*data.Batch) error { return nil }
func (nowhere) Now() data.StoreTime     { return 0 }

// BenchmarkSave is what a save costs beside the disk, with so many at a time.
func BenchmarkSave(b *testing.B) {
	for _, callers := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			quiet := slog.New(slog.DiscardHandler)
			system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))
			watch := NewWatch()
			pid := system.Root.Spawn(Props(Options{
				Store:    nowhere{},
				Accepted: func([]data.Arrival) {},
				Failed:   func(error) {},
				Watch:    watch,
				Logger:   quiet,
			}))
			client := NewClient(system.Root, pid, watch)
			b.ReportAllocs()
			b.SetParallelism(callers / 2)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := client.Save(context.Background(), &data.Save{Events: []data.NewEvent{{Type: "t", Payload: "p"}}}); err != nil {
						b.Error(err)
						return
					}
				}
			})
			_ = system.Root.PoisonFuture(pid).Wait()
		})
	}
}
