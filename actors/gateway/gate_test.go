package gateway

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/postrider/postrider/data"
)

// TestBucketKeepsTheRate asks in any rhythm, with standstills, and takes whatever
// there is: no stretch of time sees more than its length times the rate, and a
// little. And what is promised for a time is there then.
func TestBucketKeepsTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]float64{0.001, 0.3, 1, 7, 20, 1000, 100_000}).Draw(t, "rate")
		now := data.StoreTime(rapid.Int64Range(0, 1<<40).Draw(t, "start"))
		b := newBucket(rate, now)
		most := max(1, rate*slack)
		type taken struct {
			at data.StoreTime
			n  int
		}
		var all []taken
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			n, next := b.has(now)
			if n == 0 {
				if next <= now {
					t.Fatalf("has(%d) = 0, %d; want a later time", now, next)
				}
				if wait := next.Sub(now); wait < time.Hour {
					if n, _ := b.has(next); n == 0 {
						t.Fatalf("has(%d) = 0 after that time was given", next)
					}
					now = next
					continue
				}
			}
			if n = rapid.IntRange(0, max(n, 0)).Draw(t, "take"); n > 0 {
				b.take(n)
				all = append(all, taken{now, n})
			}
			now = now.Add(time.Duration(rapid.SampledFrom([]int64{0, 1, 1e6, 1e9, 90e9, 1e13}).Draw(t, "pause")))
		}
		for i := range all {
			sum := 0
			for _, o := range all[i:] {
				sum += o.n
				if limit := o.at.Sub(all[i].at).Seconds()*rate + most + 1e-3; float64(sum) > limit {
					t.Fatalf("%d within %v at a rate of %g; want at most %g", sum, o.at.Sub(all[i].at), rate, limit)
				}
			}
		}
	})
}

func TestBucketWithoutRate(t *testing.T) {
	b := newBucket(0, 0)
	b.take(1000)
	if n, next := b.has(5); n != math.MaxInt || next != data.Never {
		t.Errorf("has(5) = %d, %d; want no limit", n, next)
	}
}

func TestOutageProbes(t *testing.T) {
	refused := data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseRefused}
	o := outage{after: 2}
	if o.ended(0, refused) || !o.ended(0, refused) || o.ended(0, refused) {
		t.Fatal("closed at another attempt than the second")
	}
	now := data.StoreTime(0)
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		_, next := o.probe(now)
		if got := next.Sub(now); got != want*time.Second {
			t.Fatalf("next probe after %v; want %v", got, want*time.Second)
		}
		now = next
		if due, _ := o.probe(now); !due {
			t.Fatalf("probe(%d) is not due", now)
		}
		o.probing = true
		if due, wake := o.probe(now); due || wake != data.Never {
			t.Fatal("a second probe at the same time")
		}
		o.probed(now, false)
	}
	if !o.probed(now, true) || o.holds() {
		t.Error("closed after a connection was made")
	}
	if !o.ended(now, refused) {
		t.Error("open after an attempt without a connection right after the probe")
	}
	o.probed(now, true)
	o.ended(now, data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseStatus, Status: 500})
	if o.ended(now, refused) {
		t.Error("closed at the first failure after an answer")
	}
}

func TestOutageIsOffByDefault(t *testing.T) {
	var o outage
	for range 1000 {
		if o.ended(0, data.Result{Cause: data.CauseRefused}) || o.holds() {
			t.Fatal("closed, though that is not wanted")
		}
	}
}

func TestGateTakesAnotherDefinition(t *testing.T) {
	g := gate{limit: 4}
	g.define(Definition{Concurrency: 16})
	if n, _ := g.room(0, 3); n != 13 {
		t.Errorf("room(0, 3) = %d after the limit was raised to 16; want 13", n)
	}
	g.hold(0, 10)
	g.define(Definition{Concurrency: 8})
	if n, wake := g.room(9, 0); n != 0 || wake != 10 {
		t.Errorf("room(9, 0) = %d, %d while held; want none until 10", n, wake)
	}
	if n, _ := g.room(10, 0); n != 1 {
		t.Errorf("room(10, 0) = %d; want one attempt after a hold", n)
	}
	g.define(Definition{Concurrency: 8, Rate: 0.5})
	if n, _ := g.room(10, 0); n != 0 {
		t.Errorf("room(10, 0) = %d; want none before the rate allows it", n)
	}
	if n, _ := g.room(10+data.StoreTime(2*time.Second), 0); n != 1 {
		t.Errorf("room = %d two seconds later at 0.5 a second; want 1", n)
	}
	g = gate{limit: 4, outage: outage{unreached: 3}}
	g.define(Definition{Concurrency: 4, HoldAfter: 3})
	if !g.closed(0) {
		t.Error("open after as many attempts without a connection as are allowed now")
	}
	g.outage.probed(0, true)
	if n, _ := g.room(0, 0); n != 1 {
		t.Errorf("room(0, 0) = %d after such an outage; want 1", n)
	}
	g = gate{limit: 1}
	g.hold(0, 10)
	g.define(Definition{Concurrency: 16})
	if n, _ := g.room(10, 0); n != 1 {
		t.Errorf("room(10, 0) = %d after a hold, though the limit was raised in it; want 1", n)
	}
	if g = (gate{limit: 4}); g.hold(10, 5) {
		t.Error("hold(10, 5) closes a gate for a time that is over")
	}
	if n, _ := g.room(10, 0); n != 4 {
		t.Errorf("room(10, 0) = %d after a hold that was over; want 4", n)
	}
}
