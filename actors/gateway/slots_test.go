package gateway

import (
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/postrider/postrider/data"
)

// tenant is a lane as far as slots go.
type tenant struct {
	share   *Share
	woken   atomic.Int64
	taken   int // not started
	running int
}

func join(s *Slots, prompt bool) *tenant {
	l := &tenant{}
	l.share = s.Join(func() { l.woken.Add(1) })
	l.share.Prompt(prompt)
	return l
}

func (l *tenant) take(n int) int {
	got := l.share.Take(n)
	l.taken += got
	return got
}

func (l *tenant) start() {
	l.share.Start()
	l.taken--
	l.running++
}

func (l *tenant) end() { l.endAfter(0) }

func (l *tenant) endAfter(took time.Duration) {
	l.share.End(took)
	l.running--
}

// hand is a clock that goes on when it is told to, with the alarms set on it.
type hand struct {
	now    data.StoreTime
	alarms map[data.StoreTime]func()
}

// wind gives slots such a clock.
func wind(s *Slots) *hand {
	h := &hand{alarms: map[data.StoreTime]func(){}}
	s.pace.now = func() data.StoreTime { return h.now }
	s.pace.alarm = func(d time.Duration, f func()) { h.alarms[h.now.Add(d)] = f }
	return h
}

// pass lets time pass, alarm by alarm.
func (h *hand) pass(d time.Duration) {
	end := h.now.Add(d)
	for {
		next := data.Never
		for at := range h.alarms {
			next = min(next, at)
		}
		if next > end {
			h.now = end
			return
		}
		h.now = next
		alarm := h.alarms[next]
		delete(h.alarms, next)
		alarm()
	}
}

func (s *Slots) inUse() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

func TestSlotsAreKeptForPromptLanes(t *testing.T) {
	s := NewSlots(16)
	var others []*tenant
	for range 20 {
		l := join(s, false)
		others = append(others, l)
		if got, want := l.take(4), map[bool]int{true: 4, false: 1}[len(others) == 1]; len(others) <= 5 && got != want {
			t.Errorf("lane %d without a prompt answer got %d; want %d", len(others), got, want)
		}
	}
	held := 0
	for _, l := range others {
		held += l.taken
	}
	if held != 8 {
		t.Errorf("lanes without a prompt answer hold %d of 16 slots; want 8", held)
	}
	prompt := join(s, true)
	if got := prompt.take(100); got != 8 {
		t.Errorf("a prompt lane got %d; want the 8 that were kept", got)
	}
}

func TestSlotsGoInTurn(t *testing.T) {
	s := NewSlots(4)
	full := join(s, true)
	full.take(4)
	a, b, c := join(s, false), join(s, false), join(s, false)
	for _, l := range []*tenant{a, b, c, a} {
		if l.take(1) != 0 {
			t.Fatal("got a slot of which there is none")
		}
	}
	full.take(3) // wants more too
	want := []*tenant{full, a, full, b}
	for i, l := range want {
		before := l.woken.Load()
		full.start()
		full.end()
		if l.woken.Load() != before+1 {
			t.Fatalf("free slot %d went to another lane", i)
		}
		if l == full {
			if full.take(3) != 1 {
				t.Fatal("woken, and got nothing")
			}
		}
	}
	if c.woken.Load() > 0 {
		t.Error("a third lane without a prompt answer got a slot; half of four is two")
	}
	full.take(0)
	if a.take(0) != 0 || c.woken.Load() != 1 {
		t.Error("a slot that is not wanted any more does not go to the next")
	}
}

// Lanes that hang wait for each other; a new one does not wait for them all, nor
// does one that was prompt until now.
func TestSlotsOfANewLane(t *testing.T) {
	s := NewSlots(4)
	var hanging []*tenant
	for range 10 {
		l := join(s, false)
		hanging = append(hanging, l)
		l.take(1)
	}
	fresh := &tenant{}
	fresh.share = s.Join(func() { fresh.woken.Add(1) })
	if fresh.take(3) != 0 {
		t.Fatal("got a slot of which there is none")
	}
	hanging[0].start()
	hanging[0].end()
	if fresh.woken.Load() != 1 {
		t.Error("the first slot that became free did not go to the new lane")
	}
	if fresh.take(3) != 1 || fresh.share.queue != &s.more {
		t.Error("the new lane gets more than one before it is known")
	}
	hanging[1].start()
	hanging[1].end()
	if hanging[2].woken.Load() != 1 {
		t.Error("the second slot that became free did not go to the lane that waited longest")
	}
	slow := join(s, true)
	slow.share.Prompt(false)
	if slow.take(1) != 0 {
		t.Fatal("got a slot of which there is none")
	}
	slower := join(s, true)
	slower.share.Prompt(false)
	slower.take(1)
	for i, l := range []*tenant{slow, hanging[3], slower, hanging[4]} {
		holder := []*tenant{hanging[2], slow, hanging[3], slower}[i]
		holder.take(1)
		holder.start()
		before := l.woken.Load()
		holder.end()
		if l.woken.Load() != before+1 {
			t.Errorf("slot %d went to another lane: those with one miss and with more are in turn", i)
		}
	}
}

// A lane that waits for a further slot and loses its only one waits for its first.
func TestSlotsOfALaneThatEnds(t *testing.T) {
	s := NewSlots(8) // four are for these lanes, and two of them for those that have one
	a, b, c := join(s, false), join(s, false), join(s, false)
	a.take(1)
	b.take(2)
	c.take(2)
	a.take(1) // waits behind c for a further one
	join(s, false).take(1)
	if b.taken != 1 || c.taken != 1 || a.share.queue != &s.more {
		t.Fatalf("b has %d, c has %d; want each one and waiting for another", b.taken, c.taken)
	}
	a.start()
	a.end()
	if a.woken.Load() != 1 {
		t.Error("a lane without a slot still waits for a further one")
	}
}

func TestSlotsOfALaneThatIsLost(t *testing.T) {
	s := NewSlots(4)
	lost := join(s, true)
	lost.take(3)
	lost.start()
	lost.share.Leave()
	next := join(s, true)
	if got := next.take(4); got != 3 {
		t.Fatalf("got %d after a lane was lost with one request under way; want 3", got)
	}
	if next.take(1) != 0 {
		t.Error("got a fifth slot")
	}
	lost.share.Give(2) // what it had asked for comes back after all
	next.share.Leave()
	lost.end()
	if got := join(s, true).take(9); got != 4 {
		t.Errorf("%d slots are left when all was given back; want 4", got)
	}
}

// A slot that nobody waits for is for prompt lanes, while they are there.
func TestTakeIdle(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(s *Slots, l *tenant)
		want    bool
	}{
		"one is free":  {func(*Slots, *tenant) {}, true},
		"none is free": {func(s *Slots, _ *tenant) { join(s, true).take(4) }, false},
		"others wait for one": {func(s *Slots, _ *tenant) {
			s.limit = 0
			join(s, true).take(1)
			s.limit = 4
		}, false},
		"it is not prompt": {func(_ *Slots, l *tenant) { l.share.Prompt(false) }, false},
		"it has left":      {func(_ *Slots, l *tenant) { l.share.Leave() }, false},
	} {
		s := NewSlots(4)
		l := join(s, true)
		c.prepare(s, l)
		got := l.share.TakeIdle()
		if got != c.want || (l.share.held > 0) != c.want {
			t.Errorf("%s: TakeIdle() = %v; want %v", name, got, c.want)
		}
	}
}

// TestSlotsHistories lets lanes of all kinds take and give in any order and at any
// pace: never more than the limit, half kept for prompt lanes, and whoever waits
// gets one once there is one for it, or when an alarm comes that is set.
func TestSlotsHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(2, 12).Draw(t, "limit")
		s := NewSlots(limit)
		clock := wind(s)
		lanes := make([]*tenant, rapid.IntRange(1, 8).Draw(t, "lanes"))
		for i := range lanes {
			l := &tenant{}
			l.share = s.Join(func() { l.woken.Add(1) })
			lanes[i] = l
			if rapid.Bool().Draw(t, "known") {
				l.share.Prompt(rapid.Bool().Draw(t, "prompt"))
			}
		}
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			l := rapid.SampledFrom(lanes).Draw(t, "lane")
			others := s.rest
			switch rapid.IntRange(0, 7).Draw(t, "step") {
			case 0, 1:
				want := rapid.IntRange(0, limit+1).Draw(t, "want")
				if got := l.take(want); got > want {
					t.Fatalf("Take(%d) = %d", want, got)
				}
			case 2:
				if l.taken > 0 {
					l.start()
				}
			case 3:
				if l.running > 0 {
					l.endAfter(rapid.SampledFrom([]time.Duration{0, time.Second, time.Hour}).Draw(t, "took"))
				}
			case 4:
				if l.taken > 0 {
					l.taken--
					l.share.Give(1)
				}
			case 5:
				l.share.Prompt(rapid.Bool().Draw(t, "now prompt"))
				others = s.rest // a lane that turns bad keeps what it has
			case 6:
				if l.share.TakeIdle() {
					if l.taken++; !l.share.prompt() {
						t.Fatal("a lane that is not prompt got a slot without its turn")
					}
				}
			case 7:
				clock.pass(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second}).Draw(t, "passes"))
			}
			used, rest := 0, 0
			for _, l := range lanes {
				held := l.taken + l.running + l.share.granted
				if held != l.share.held {
					t.Fatalf("a lane holds %d; its share says %d", held, l.share.held)
				}
				used += held
				if !l.share.prompt() {
					rest += held
				}
			}
			if used != s.used || rest != s.rest || used > limit {
				t.Fatalf("%d of %d are used, %d by lanes that are not prompt; the slots say %d and %d", used, limit, rest, s.used, s.rest)
			}
			if rest > limit/2 && rest > others {
				t.Fatalf("lanes that are not prompt got %d of %d", rest, limit)
			}
			for _, l := range lanes {
				if s.waits(l.share) && (!s.isPaced(l.share.queue) || len(clock.alarms) == 0) {
					t.Fatal("a lane waits though there is a slot for it")
				}
			}
		}
		clock.pass(time.Duration(len(lanes)) * mostKept)
		for _, l := range lanes {
			if s.waits(l.share) {
				t.Fatal("a lane waits for ever though there is a slot for it")
			}
		}
	})
}

// waits reports whether a lane is the next of its queue, and there is a slot for it.
func (s *Slots) waits(h *Share) bool {
	return h.place != nil && s.allows(h) && h.queue.Front() == h.place
}

func TestIsPrompt(t *testing.T) {
	for _, c := range []struct {
		result data.Result
		took   time.Duration
		want   bool
	}{
		{data.Result{Status: 200}, time.Second, true},
		{data.Result{Status: 500}, time.Millisecond, true},
		{data.Result{Status: 200}, time.Second + 1, false},
		{data.Result{Cause: data.CauseRefused}, 0, false},
		{data.Result{}, 0, false},
	} {
		if got := isPrompt(c.result, c.took); got != c.want {
			t.Errorf("isPrompt(%+v, %v) = %v; want %v", c.result, c.took, got, c.want)
		}
	}
}

// BenchmarkSlots takes, uses and gives back a slot, with others that wait for one.
func BenchmarkSlots(b *testing.B) {
	s := NewSlots(64)
	waiting := join(s, false)
	waiting.take(100)
	l := join(s, true)
	b.ReportAllocs()
	for b.Loop() {
		if l.take(1) != 1 {
			b.Fatal("no slot for a prompt lane")
		}
		l.start()
		l.end()
	}
}
