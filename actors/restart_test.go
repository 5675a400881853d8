package actors

import (
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func TestRestartDelay(t *testing.T) {
	r := &Restart{First: 100 * time.Millisecond, Most: 30 * time.Second}
	for _, c := range []struct {
		failures int
		luck     float64
		want     time.Duration
	}{
		{1, 0, 100 * time.Millisecond},
		{2, 0, 200 * time.Millisecond},
		{3, 0, 400 * time.Millisecond},
		{3, 0.5, 350 * time.Millisecond},
		{9, 0, 25600 * time.Millisecond},
		{10, 0, 30 * time.Second},
		{30, 0, 30 * time.Second},
		{31, 0, 30 * time.Second},
		{1_000_000, 0, 30 * time.Second},
		{1_000_000, 1, 22500 * time.Millisecond},
	} {
		if got := r.delay(c.failures, c.luck); got != c.want {
			t.Errorf("delay(%d, %g) = %v; want %v", c.failures, c.luck, got, c.want)
		}
	}
}

// nanny is a supervisor that only counts.
type nanny struct {
	actor.Supervisor
	mu       sync.Mutex
	restarts []time.Time
}

func (n *nanny) RestartChildren(...*actor.PID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.restarts = append(n.restarts, time.Now())
}

// since returns how long after a moment children were restarted.
func (n *nanny) since(start time.Time) (after []time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, at := range n.restarts {
		if at.After(start) {
			after = append(after, at.Sub(start))
		}
	}
	return after
}

// ward is a child under supervision, in a synctest bubble.
type ward struct {
	system  *actor.ActorSystem
	nanny   *nanny
	start   time.Time
	restart *Restart
	child   *actor.PID
	stats   *actor.RestartStatistics
	givenUp []string
}

func newWard(t *testing.T) *ward {
	quiet := slog.New(slog.DiscardHandler)
	w := &ward{
		system: actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet })),
		nanny:  &nanny{},
		start:  time.Now(),
		stats:  actor.NewRestartStatistics(),
	}
	w.restart = &Restart{
		First:     100 * time.Millisecond,
		Most:      time.Second,
		Calm:      10 * time.Minute,
		GiveUp:    func(child string, _ any) { w.givenUp = append(w.givenUp, child) },
		Restarted: func(string) {},
		Logger:    quiet,
	}
	w.spawn(t)
	return w
}

func (w *ward) spawn(t *testing.T) {
	var err error
	if w.child, err = w.system.Root.SpawnNamed(actor.PropsFromFunc(func(actor.Context) {}), "child"); err != nil {
		t.Fatal(err)
	}
}

func (w *ward) fail() {
	w.restart.HandleFailure(w.system, w.nanny, w.child, w.stats, "provoked", nil)
}

func (w *ward) stop() {
	_ = w.system.Root.StopFuture(w.child).Wait()
	time.Sleep(2 * time.Second)
}

func TestRestartGrowsAndCalmsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		defer w.stop()
		check := func(low, high time.Duration) {
			t.Helper()
			start := time.Now()
			w.fail()
			time.Sleep(2 * time.Second)
			if got := w.nanny.since(start); len(got) != 1 || got[0] <= low || got[0] > high {
				t.Errorf("restarted after %v; want within %v and %v", got, low, high)
			}
		}
		for d := 100 * time.Millisecond; d < time.Second; d *= 2 {
			check(d*3/4, d)
		}
		check(750*time.Millisecond, time.Second)
		check(750*time.Millisecond, time.Second)
		time.Sleep(10 * time.Minute)
		check(75*time.Millisecond, 100*time.Millisecond)
	})
}

func TestRestartLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		defer w.stop()
		w.restart.Limit = 4
		for range 4 {
			w.fail()
			time.Sleep(2 * time.Second)
		}
		if got := len(w.nanny.since(w.start)); got != 3 {
			t.Errorf("restarted %d times; want 3", got)
		}
		if !slices.Equal(w.givenUp, []string{"child"}) {
			t.Errorf("given up: %v; want child, once", w.givenUp)
		}
	})
}

func TestRestartFatal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		defer w.stop()
		w.restart.Fatal = map[string]bool{"child": true}
		w.fail()
		time.Sleep(2 * time.Second)
		if got := w.nanny.since(w.start); len(got) > 0 || !slices.Equal(w.givenUp, []string{"child"}) {
			t.Errorf("restarts at %v, given up: %v; want no restart, given up", got, w.givenUp)
		}
	})
}

// The parent may be restarted while a child waits, and have spawned another one
// under the same name: that one has done nothing wrong.
func TestRestartSparesTheSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		defer w.stop()
		w.fail()
		_ = w.system.Root.StopFuture(w.child).Wait()
		w.spawn(t)
		time.Sleep(time.Minute)
		if got := w.nanny.since(w.start); len(got) > 0 {
			t.Errorf("the successor was restarted after %v", got)
		}
	})
}
