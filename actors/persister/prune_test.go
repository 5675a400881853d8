package persister

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postrider/postrider/data"
)

var day = data.Retention{Delivered: 24 * time.Hour}

// full is a disk with so many records that are over their time; deleting takes it
// that long beside the commit.
func full(records int, step time.Duration) *disk {
	d := &disk{takes: 2 * time.Millisecond}
	d.answer = func(b *data.Batch) {
		if b.Prune == nil {
			return
		}
		time.Sleep(step)
		b.Prune.Took = step
		b.Prune.Deleted = min(records, b.Prune.Limit)
		records -= b.Prune.Deleted
		b.Prune.Next = d.Now()
		if records == 0 {
			b.Prune.Next = data.Never
		}
	}
	return d
}

func TestRest(t *testing.T) {
	const now = data.StoreTime(1000)
	for _, c := range []struct {
		about string
		prune data.Prune
		want  time.Duration
	}{
		{"more at once, quickly done", data.Prune{Next: now - 5}, leastRest},
		{"more at once, after work", data.Prune{Next: now, Took: 3 * time.Millisecond}, 12 * time.Millisecond},
		{"more soon", data.Prune{Next: now.Add(time.Second), Took: time.Millisecond}, time.Second},
		{"more soon, after much work", data.Prune{Next: now.Add(time.Second), Took: time.Second}, 4 * time.Second},
		{"more later", data.Prune{Next: now.Add(time.Hour)}, mostRest},
		{"no more", data.Prune{Next: data.Never}, mostRest},
	} {
		if got := rest(&c.prune, now); got != c.want {
			t.Errorf("%s: rest(%+v) = %v; want %v", c.about, c.prune, got, c.want)
		}
	}
}

// TestPruneAlone takes no more than a fifth of the writer's time, and then sleeps.
func TestPruneAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := full(10*pruneStep+1, 3*time.Millisecond)
		b := runWith(t, d, day)
		defer b.stop()
		time.Sleep(10*25*time.Millisecond + 5*time.Millisecond) // a step is 5 ms of 25
		synctest.Wait()
		if want := append(slices.Repeat([]int{pruneStep}, 10), 1); !slices.Equal(b.pruned, want) {
			t.Errorf("pruned = %v; want %v", b.pruned, want)
		}
		for _, g := range d.applied() {
			if g.Prune == nil || g.Prune.Keep != day || g.Prune.Limit != pruneStep {
				t.Errorf("the store was given %+v", g.Prune)
			}
		}
		n := len(d.applied())
		time.Sleep(mostRest - time.Millisecond)
		synctest.Wait()
		if got := len(d.applied()); got != n {
			t.Errorf("%d steps within a minute of nothing to do; want none", got-n)
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if got := len(d.applied()); got != n+1 {
			t.Errorf("%d steps after a minute; want 1", got-n)
		}
		if len(b.pruned) != 11 {
			t.Errorf("pruned = %v; want nothing of a step that deletes nothing", b.pruned)
		}
	})
}

// TestPruneSleepsUntilNext wakes when the first record is over its time.
func TestPruneSleepsUntilNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		d.answer = func(b *data.Batch) { b.Prune.Next = d.Now().Add(17 * time.Second) }
		b := runWith(t, d, day)
		defer b.stop()
		for n := 1; n < 4; n++ {
			synctest.Wait()
			if got := len(d.applied()); got != n {
				t.Fatalf("%d steps after %d times 17 seconds; want %d", got, n-1, n)
			}
			time.Sleep(17*time.Second - 1)
			synctest.Wait()
			if got := len(d.applied()); got != n {
				t.Fatalf("a step came early")
			}
			time.Sleep(time.Nanosecond)
		}
	})
}

// TestPruneSharesCommits joins the groups of those who save: it makes no commit of
// its own while there are any, and they wait for its work only.
func TestPruneSharesCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := full(1000*pruneStep, time.Millisecond)
		b := runWith(t, d, day)
		defer b.stop()
		stop := time.Now().Add(time.Second)
		for range 4 {
			go func() {
				for time.Now().Before(stop) {
					began := time.Now()
					err := b.client.Save(t.Context(), event("x"))
					if took := time.Since(began); err != nil || took > 2*3*time.Millisecond {
						t.Errorf("Save = %v after %v; want it within two commits", err, took)
					}
				}
			}()
		}
		time.Sleep(time.Second)
		alone, shared := 0, 0
		for _, g := range d.applied() {
			switch {
			case g.Prune == nil:
			case len(g.Saves) == 0:
				alone++
			default:
				shared++
			}
		}
		// A step of a millisecond rests for four and begins with the next group. Now
		// and then it comes just when all have their answers.
		if alone > shared/10 || shared < 100 || shared > 200 {
			t.Errorf("%d steps shared a commit and %d had their own; want 100 to 200, and hardly any", shared, alone)
		}
	})
}

func TestPruneEndsWithTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := full(1000*pruneStep, time.Millisecond)
		step, steps := d.answer, 0
		d.answer = func(b *data.Batch) {
			if step(b); steps == 10 {
				d.err = errors.New("no such luck")
			}
			steps++
		}
		b := runWith(t, d, day)
		time.Sleep(time.Hour)
		if got := len(d.applied()); got != 11 || len(b.failed()) != 1 {
			t.Errorf("%d steps where the eleventh fails, told %v", got, b.failed())
		}
		b.stop()
	})
}

// TestPruneStops ends with the persister: its timer finds nobody.
func TestPruneStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := full(1000*pruneStep, time.Millisecond)
		b := runWith(t, d, day)
		time.Sleep(100 * time.Millisecond)
		b.stop()
		n := len(d.applied())
		time.Sleep(time.Hour)
		if got := len(d.applied()); got != n {
			t.Errorf("%d steps after the end", got-n)
		}
	})
}

// TestKeepEverything starts no timer.
func TestKeepEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, &disk{})
		defer b.stop()
		time.Sleep(time.Hour)
		if got := b.disk.applied(); len(got) != 0 {
			t.Errorf("%d commits; want none", len(got))
		}
	})
}

// TestTimerOfAnotherIncarnation is one that a restarted persister did not set.
func TestTimerOfAnotherIncarnation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, &disk{})
		defer b.stop()
		b.system.Root.Send(b.pid, pruneDue{incarnation: &Actor{}})
		synctest.Wait()
		if got := b.disk.applied(); len(got) != 0 {
			t.Errorf("%d commits; want none", len(got))
		}
	})
}
