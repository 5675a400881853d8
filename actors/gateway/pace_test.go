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
	prompt bool            // whether it will be a prompt answer
	starts []time.Duration // since begin
}

// becomes changes what attempts come to that begin from now on.
func (c *crowd) becomes(takes time.Duration, prompt bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takes, c.prompt = takes, prompt
}

// send keeps one lane busy until the time is over.
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
		takes, prompt := c.takes, c.prompt
		c.starts = append(c.starts, time.Since(c.begin))
		c.mu.Unlock()
		share.Start()
		time.Sleep(takes)
		share.End(takes)
		share.Prompt(prompt)
		if prompt {
			return // it was all that it had
		}
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
			// A second's share of a turn, and half as much again: the surplus, while the
			// average is that of shorter attempts too, and what may be saved up.
			if n := c.between(from, from+time.Second); n > slots/10*3/2 {
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
		c.becomes(0, false)
		running.Wait()
		from := 3*timeout + learns
		if n, want := c.between(from, end), lanes*int((end-from)/settling); n < want*9/10 {
			t.Errorf("%d attempts began in %v, which began %v after lanes were refused at once that had to wait before; want nearly %d", n, end-from, learns, want)
		}
	})
}

// When all gateways come back at once, each gets an attempt soon after those that
// hang have ended, however long they had hung.
func TestPaceWhenAllComeBack(t *testing.T) {
	for _, timeout := range []time.Duration{10 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			const slots, lanes = 2048, 9999
			c := &crowd{slots: NewSlots(2 * slots), begin: time.Now(), takes: timeout}
			end := 6 * timeout
			var running sync.WaitGroup
			for range lanes {
				running.Go(func() { c.send(end) })
			}
			time.Sleep(5*timeout - time.Second)
			back := time.Since(c.begin)
			c.becomes(time.Millisecond, true)
			running.Wait()
			c.mu.Lock()
			defer c.mu.Unlock()
			n := 0
			for _, at := range c.starts {
				if at > back && at < back+timeout+10*time.Second {
					n++
				}
			}
			if n != lanes {
				t.Errorf("with timeouts of %v, %d attempts began of %d lanes that were well again, 10s after the last slow one", timeout, n, lanes)
			}
		})
	}
}

// What ends late since the process stood still does not set the pace.
func TestPaceAfterAStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots, timeout, end = 100, 10 * time.Second, 100 * time.Second
		c := &crowd{slots: NewSlots(2 * slots), begin: time.Now(), takes: timeout}
		for range slots {
			c.slots.pace.ended(time.Hour)
		}
		var running sync.WaitGroup
		for range 3 * slots {
			running.Go(func() { c.send(end) })
		}
		running.Wait()
		if n, want := c.between(0, end), slots*int(end/timeout); n < want*9/10 {
			t.Errorf("%d attempts began in %v after an hour that nothing happened in; %d are possible", n, end, want)
		}
	})
}

// crowded has every slot of the rest taken by lanes that hang, and one more of them
// waiting for its turn at a pace that is slow.
func crowded(t *testing.T, limit int) (s *Slots, hanging []*tenant) {
	t.Helper()
	s = NewSlots(limit)
	for range limit / 2 {
		s.pace.ended(time.Hour)
	}
	s.pace.take(1) // that none had to wait for
	for range limit/2 + 1 {
		l := join(s, false)
		hanging = append(hanging, l)
		l.take(1)
	}
	hanging[0].start()
	hanging[0].end()
	if hanging[limit/2].woken.Load() > 0 {
		t.Fatal("a lane that hangs got a slot out of time")
	}
	return s, hanging
}

// The pace is for lanes that missed again and again. One that missed once, as all do
// when the machine's own network was gone for a moment, need not wait for it.
func TestPaceIsNotForOneMiss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, hanging := crowded(t, 8)
		fresh := &tenant{}
		fresh.share = s.Join(func() { fresh.woken.Add(1) })
		if fresh.take(1) != 1 {
			t.Error("a new lane waits for the pace of those that hang")
		}
		if fresh.take(1) != 0 {
			t.Error("a lane got a second slot while others wait for their first")
		}
		again := join(s, false)
		if again.take(1) != 0 {
			t.Error("a lane that hangs got ahead of one that waits")
		}
		once, twin := join(s, true), join(s, true)
		once.share.Prompt(false)
		twin.share.Prompt(false)
		if once.take(1) != 0 {
			t.Fatal("got a slot of which there is none")
		}
		s.mu.Lock()
		s.limit += 2 // there is one, and somebody waits for it
		s.mu.Unlock()
		if twin.take(1) != 0 {
			t.Error("a lane that missed once got ahead of another one that waits")
		}
		s.mu.Lock()
		s.limit -= 2
		s.mu.Unlock()
		hanging[1].start()
		hanging[1].end()
		if once.woken.Load() != 1 {
			t.Error("a lane that missed once waits for the pace of those that hang")
		}
	})
}

// A further slot comes after the first ones of others, at the same pace.
func TestPaceIsForFurtherSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, hanging := crowded(t, 16)
		for _, l := range hanging[1:6] {
			l.start()
			l.end()
		}
		if hanging[6].take(1) != 0 {
			t.Error("a lane got a second slot while another one waits for its first")
		}
		hanging[6].start()
		hanging[8].share.Leave()
		if hanging[6].woken.Load() != 0 {
			t.Error("a lane got a further slot out of time")
		}
		time.Sleep(mostKept)
		synctest.Wait()
		if hanging[6].woken.Load() != 1 {
			t.Errorf("a lane that waited for a further slot was woken %d times", hanging[6].woken.Load())
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.rest != 3 {
			t.Errorf("lanes hold %d slots; want 3", s.rest)
		}
	})
}

// What first sets the pace has kept nobody waiting.
func TestPaceBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSlots(2)
		first, second := join(s, false), join(s, false)
		first.take(1)
		second.take(1)
		first.start()
		first.endAfter(mostKept)
		if second.woken.Load() != 1 {
			t.Error("the slot that came back first is not handed on")
		}
	})
}

// What goes out quickly goes out together.
func TestPaceHasPulses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots, lanes, timeout, end = 125, 400, 100 * time.Millisecond, 4 * time.Second
		c := &crowd{slots: NewSlots(2 * slots), begin: time.Now(), takes: timeout}
		pulses := 0
		alarm := c.slots.pace.alarm
		c.slots.pace.alarm = func(d time.Duration, f func()) {
			pulses++
			alarm(d, f)
		}
		var running sync.WaitGroup
		for range lanes {
			running.Go(func() { c.send(end) })
		}
		running.Wait()
		if most := int(end/leastPulse) + lanes; pulses > most {
			t.Errorf("%d pulses in %v; want at most %d", pulses, end, most)
		}
		if n, want := c.between(0, end), slots*int(end/timeout); n < want*8/10 {
			t.Errorf("%d attempts began in %v; %d are possible", n, end, want)
		}
	})
}

// Prompt lanes do not wait behind the pace of the others, also when it is the turn
// of those, nor do they overtake each other.
func TestPaceIsNotForPromptLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, hanging := crowded(t, 8)
		busy := join(s, true)
		if got := busy.take(9); got != 5 {
			t.Fatalf("a prompt lane got %d of the free slots; want 5", got)
		}
		s.others = true
		busy.start()
		busy.end()
		if busy.woken.Load() != 1 {
			t.Error("a prompt lane waits behind the pace of the others")
		}
		busy.take(1)
		next, late := join(s, true), join(s, true)
		next.take(1)
		busy.take(0)
		hanging[1].start()
		hanging[1].end()
		if next.woken.Load() != 1 {
			t.Error("a prompt lane waits behind the pace of the others")
		}
		waits := join(s, true)
		waits.take(1)
		s.mu.Lock()
		s.limit++ // there is one, and somebody waits for it
		s.mu.Unlock()
		if late.take(1) != 0 {
			t.Error("a prompt lane got ahead of one that waits")
		}
	})
}

// Only lanes that are not prompt say how long slots are kept.
func TestPaceIgnoresPromptLanes(t *testing.T) {
	s, _ := crowded(t, 8)
	kept := s.pace.kept
	busy := join(s, true)
	for range 100 {
		busy.take(1)
		busy.start()
		busy.end()
	}
	if s.pace.kept != kept {
		t.Errorf("slots are kept for %v after prompt answers; want %v as before", s.pace.kept, kept)
	}
}

// When slots come back sooner than was thought, nobody waits for as long as was
// thought.
func TestPaceBecomesFaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, hanging := crowded(t, 4) // two slots, kept for 3.75 s: the next one in 1.5 s
		time.Sleep(time.Second)
		hanging[1].start()
		hanging[1].end() // now half of that: in a quarter of a second
		time.Sleep(300 * time.Millisecond)
		synctest.Wait()
		if hanging[2].woken.Load() != 1 {
			t.Error("a lane waits for a time that was set when slots were kept for longer")
		}
	})
}

// A lane says how long its requests and its probes kept a slot.
func TestLaneTellsThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.answer = taking(4*time.Second, failing)
		b.options.Definition.HoldAfter = 1
		b.options.Slots = NewSlots(2)
		b.store.accept(1)
		b.run()
		defer b.stop()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		s := b.options.Slots
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.pace.kept != 4*time.Second {
			t.Errorf("slots are kept for %v after a request of 4 s", s.pace.kept)
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
		if prompt.woken.Load() != 1 {
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
		{slots: 2, kept: []time.Duration{time.Hour, 0, 0, 0}, least: 3.99, most: 4.01},
		{slots: 10, kept: slices.Repeat([]time.Duration{time.Hour}, 100), least: 1.25, most: 1.2501},
	} {
		p := newPace(c.slots)
		var now data.StoreTime
		p.now = func() data.StoreTime { return now }
		for _, kept := range c.kept {
			p.ended(kept)
			now = now.Add(time.Second)
		}
		if p.rate < c.least || p.rate > c.most {
			t.Errorf("newPace(%d) after %d of %v: rate is %v; want %v to %v", c.slots, len(c.kept), c.kept[:min(len(c.kept), 4)], p.rate, c.least, c.most)
		}
	}
}
