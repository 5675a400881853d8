package gateway

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postrider/postrider/data"
)

// settling is how long it takes to record what an attempt came to.
const settling = 50 * time.Millisecond

// crowd is many lanes that always have something to send.
type crowd struct {
	slots  *Slots
	begin  time.Time
	mu     sync.Mutex
	takes  time.Duration   // an attempt that begins now
	starts []time.Duration // since begin
}

// send keeps one lane without a prompt answer busy until the time is over.
func (c *crowd) send(until time.Duration) {
	woken := make(chan struct{}, 1)
	share := c.slots.Join(func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	defer share.Leave()
	for time.Since(c.begin) < until {
		if share.Take(1) == 0 {
			select {
			case <-woken:
			case <-time.After(until):
			}
			continue
		}
		c.mu.Lock()
		takes := c.takes
		c.starts = append(c.starts, time.Since(c.begin))
		c.mu.Unlock()
		share.Start()
		time.Sleep(takes)
		share.End(takes)
		share.Prompt(false)
		time.Sleep(settling)
	}
}

// between counts the attempts that began in a stretch of time.
func (c *crowd) between(from, to time.Duration) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, at := range c.starts {
		if at >= from && at < to {
			n++
		}
	}
	return n
}

// Attempts at gateways that hang begin together at first. They do not for long,
// and not at the price of fewer attempts.
func TestSlotsAreHandedOutAtAPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots, lanes, timeout, end = 100, 300, 10 * time.Second, 200 * time.Second
		c := &crowd{slots: NewSlots(2 * slots), begin: time.Now(), takes: timeout}
		var running sync.WaitGroup
		for range lanes {
			running.Go(func() { c.send(end) })
		}
		running.Wait()
		if n := c.between(0, time.Second); n != slots {
			t.Fatalf("%d attempts began in the first second; want one for each of the %d slots", n, slots)
		}
		for from := 3 * timeout; from < end-time.Second; from += time.Second {
			// A second's share of a turn, the surplus, and what may be saved up.
			if n := c.between(from, from+time.Second); n > slots/10*5/4+2 {
				t.Errorf("%d attempts began within the second after %v; %d slots serve for %v each", n, from, slots, timeout)
			}
		}
		want := slots * int(end/timeout)
		if n := c.between(0, end); n < want*9/10 {
			t.Errorf("%d attempts began in %v; %d are possible", n, end, want)
		}
	})
}

// The pace is that of the attempts: where they do not take long any more, nobody
// waits for it for long.
func TestPaceFollowsTheAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots, lanes, timeout, learns, end = 20, 100, 10 * time.Second, 30 * time.Second, 70 * time.Second
		c := &crowd{slots: NewSlots(2 * slots), begin: time.Now(), takes: timeout}
		var running sync.WaitGroup
		for range lanes {
			running.Go(func() { c.send(end) })
		}
		time.Sleep(3 * timeout)
		c.mu.Lock()
		c.takes = 0
		c.mu.Unlock()
		running.Wait()
		from := 3*timeout + learns
		if n, want := c.between(from, end), lanes*int((end-from)/settling); n < want*9/10 {
			t.Errorf("%d attempts began in %v, which began %v after lanes were refused at once that had to wait before; want nearly %d", n, end-from, learns, want)
		}
	})
}

// Without anybody who waits there is no pace, nor for prompt lanes.
func TestPaceIsForThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSlots(16)
		slow := join(s, false)
		for range 8 {
			slow.take(1)
			slow.start()
			slow.share.End(time.Hour)
			slow.running--
		}
		if got := slow.take(4); got != 4 {
			t.Errorf("a lane got %d of the free slots while nobody waited; want 4", got)
		}
		prompt := join(s, true)
		if got := prompt.take(12); got != 12 {
			t.Errorf("a prompt lane got %d; want all 12 that are left", got)
		}
		prompt.take(1)
		prompt.start()
		prompt.end()
		if prompt.woken != 1 {
			t.Error("a prompt lane waits for the pace of the others")
		}
		prompt.share.Leave()
	})
}

func TestPace(t *testing.T) {
	for _, c := range []struct {
		slots int
		kept  []time.Duration
		least float64 // rates after the last one
		most  float64
	}{
		{slots: 10, kept: nil, least: 0, most: 0},
		{slots: 10, kept: []time.Duration{0, 0}, least: 0, most: 0},
		{slots: 1, kept: []time.Duration{10 * time.Second}, least: 0.125, most: 0.125},
		{slots: 10, kept: slices.Repeat([]time.Duration{10 * time.Second}, 100), least: 1.25, most: 1.2501},
		{slots: 10, kept: slices.Repeat([]time.Duration{0, 10 * time.Second}, 100), least: 2.3, most: 2.7},
		{slots: 2, kept: []time.Duration{time.Hour, 0, 0, 0}, least: 0.01, most: 0.02},
	} {
		p := newPace(c.slots)
		for i, kept := range c.kept {
			p.ended(data.StoreTime(i)*data.StoreTime(time.Second), kept)
		}
		if p.rate < c.least || p.rate > c.most {
			t.Errorf("newPace(%d) after %d of %v: rate is %v; want %v to %v", c.slots, len(c.kept), c.kept[:min(len(c.kept), 4)], p.rate, c.least, c.most)
		}
	}
}
