package gateway

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/postrider/postrider/data"
)

func ref(id, number int, due data.StoreTime) data.Ref {
	return data.Ref{ID: data.ID(id), Number: number, Due: due}
}

func ids(refs []data.Ref) []data.ID {
	list := make([]data.ID, len(refs))
	for i, r := range refs {
		list[i] = r.ID
	}
	return list
}

// limited is a definition without an interval, so that what is in doubt is due when
// the process started.
func limited(concurrency int) Definition { return Definition{Concurrency: concurrency} }

// filled returns a schedule that has loaded these queues whole.
func filled(limit int, notBefore data.StoreTime, ready, waiting []data.Ref) *schedule {
	s := newSchedule(limited(limit), notBefore)
	for range 2 {
		l, _ := s.wants(0)
		if l.waiting {
			s.loaded(l, waiting, false)
		} else {
			s.loaded(l, ready, false)
		}
	}
	return s
}

// next claims all that may begin, as a lane does that gets every slot it wants.
func next(s *schedule, now data.StoreTime) (claims []data.Ref, wake data.StoreTime) {
	n, _ := s.open(now)
	return s.claim(now, n), s.wake(now)
}

func TestScheduleNext(t *testing.T) {
	first := []data.Ref{ref(1, 1, 0), ref(2, 1, 0), ref(3, 1, 0)}
	later := []data.Ref{ref(11, 2, 10), ref(12, 2, 20), ref(13, 3, 30)}
	for _, c := range []struct {
		name           string
		limit          int
		notBefore      data.StoreTime
		ready, waiting []data.Ref
		now            data.StoreTime
		claims         []data.ID
		wake           data.StoreTime
	}{
		{"nothing", 4, 0, nil, nil, 5, nil, data.Never},
		{"first attempts in order", 4, 0, first, nil, 5, []data.ID{1, 2, 3}, data.Never},
		{"as many as the limit", 2, 0, first, later, 5, []data.ID{1, 2}, data.Never},
		{"one before due", 4, 0, nil, later, 9, nil, 10},
		{"due", 4, 0, nil, later, 10, []data.ID{11}, 20},
		{"all due", 4, 0, nil, later, 30, []data.ID{11, 12, 13}, data.Never},
		{"turns", 6, 0, first, later, 30, []data.ID{1, 11, 2, 12, 3, 13}, data.Never},
		{"turns as far as they are due", 6, 0, first, later, 10, []data.ID{1, 11, 2, 3}, 20},
		{"held back after a restart", 6, 25, first, later, 24, []data.ID{1, 2, 3}, 25},
		{"held back no longer", 6, 25, nil, later, 25, []data.ID{11, 12}, 30},
	} {
		t.Run(c.name, func(t *testing.T) {
			claims, wake := next(filled(c.limit, c.notBefore, c.ready, c.waiting), c.now)
			if got := ids(claims); !slices.Equal(got, c.claims) || wake != c.wake {
				t.Errorf("next(%d) = %v, %d; want %v, %d", c.now, got, wake, c.claims, c.wake)
			}
		})
	}
}

// However few may be sent at once, neither queue keeps the other waiting.
func TestScheduleTurnsWithOneSlot(t *testing.T) {
	s := filled(1, 0, []data.Ref{ref(1, 1, 0), ref(2, 1, 0)}, []data.Ref{ref(11, 2, 1), ref(12, 2, 1)})
	var got []data.ID
	for range 4 {
		claims, _ := next(s, 5)
		if len(claims) != 1 {
			t.Fatalf("next(5) = %v; want one claim", claims)
		}
		got = append(got, claims[0].ID)
		s.began(claims[0].ID, claims[0].Number)
		s.landed(claims[0].ID, claims[0].Number)
	}
	if want := []data.ID{1, 11, 2, 12}; !slices.Equal(got, want) {
		t.Errorf("claims = %v; want %v", got, want)
	}
}

// Messages that arrive without a pause must not keep retries from being loaded.
func TestScheduleLoadsTakeTurns(t *testing.T) {
	s := newSchedule(limited(1), 0)
	waiting := 0
	for range 10 {
		l, ok := s.wants(0)
		if !ok {
			t.Fatal("wants() = nothing; want a load")
		}
		s.accepted(nil)
		if l.waiting {
			waiting++
		}
		s.loaded(l, nil, true)
	}
	if waiting != 5 {
		t.Errorf("%d of 10 loads were of the waiting queue; want 5", waiting)
	}
}

// An earlier incarnation's request may be thought under way when its message
// waits already: the next attempt is not to be forgotten for that.
func TestScheduleBelievesTheStore(t *testing.T) {
	s := newSchedule(limited(4), 0)
	s.began(1, 1)
	for range 2 {
		l, _ := s.wants(0)
		if l.waiting {
			s.loaded(l, []data.Ref{ref(1, 2, 10)}, false)
		} else {
			s.loaded(l, []data.Ref{ref(1, 1, 0)}, false)
		}
	}
	claims, wake := next(s, 9)
	if len(claims) > 0 || wake != 10 {
		t.Errorf("next(9) = %v, %d; want none, 10", claims, wake)
	}
	if claims, _ = next(s, 10); !slices.Equal(claims, []data.Ref{ref(1, 2, 10)}) {
		t.Errorf("next(10) = %v; want the second attempt", claims)
	}
}

// A result that comes late must not hide the attempt that is under way now.
func TestScheduleLateEnd(t *testing.T) {
	s := newSchedule(limited(1), 0)
	s.began(1, 2)
	s.landed(1, 1)
	if s.quiet() {
		t.Error("quiet after the end of an earlier attempt; want attempt 2 under way")
	}
	if s.landed(1, 2); !s.quiet() {
		t.Error("not quiet after the end of the attempt under way")
	}
}

func TestScheduleShut(t *testing.T) {
	for name, shut := range map[string]func(*schedule){
		"paused":   func(s *schedule) { s.paused = true },
		"parked":   func(s *schedule) { s.parked = true },
		"draining": func(s *schedule) { s.draining = true },
	} {
		t.Run(name, func(t *testing.T) {
			s := filled(4, 0, []data.Ref{ref(1, 1, 0)}, []data.Ref{ref(2, 2, 5)})
			shut(s)
			s.accepted(nil)
			if claims, wake := next(s, 10); len(claims) > 0 || wake != data.Never {
				t.Errorf("next(10) = %v, %d; want nothing", claims, wake)
			}
			if l, ok := s.wants(0); ok {
				t.Errorf("wants() = %+v; want nothing", l)
			}
			if !s.idle() {
				t.Error("not idle, though it may do nothing")
			}
		})
	}
}

// history drives a schedule against a store in an order that rapid chooses: what
// was asked is done later, and what was done is heard of later still.
type history struct {
	*rapid.T
	s       *schedule
	store   *memory
	now     data.StoreTime
	wake    data.StoreTime
	policy  data.Policy
	load    *loaded // asked, and once it has an answer, answered
	read    bool
	asked   []recorded   // in the persister's mailbox
	done    []recorded   // in the lane's
	wakes   [][]data.Ref // what was accepted and the lane has not heard of
	flights []data.Granted
	failing int // percent
	closed  int // percent of commits that find the lane closed
}

func (h *history) advance() {
	claims, wake := next(h.s, h.now)
	h.wake = wake
	if len(claims) > 0 {
		begin := &data.Begin{}
		for _, r := range claims {
			if h.s.dueAt(r) > h.now {
				h.Fatalf("next(%d) claims %+v before it is due", h.now, r)
			}
			if slices.ContainsFunc(h.flights, func(g data.Granted) bool { return g.Message.ID == r.ID && g.Number >= r.Number }) {
				h.Fatalf("next(%d) claims %+v, which is being sent", h.now, r)
			}
			begin.Claims = append(begin.Claims, data.Claim{Ref: r, Policy: h.policy})
		}
		h.asked = append(h.asked, recorded{begin: begin})
	}
	if n := len(h.s.claimed) + len(h.s.flying); n > h.s.limit {
		h.Fatalf("%d claimed and under way; want at most %d", n, h.s.limit)
	}
	if l, ok := h.s.wants(0); ok {
		if h.load != nil {
			h.Fatalf("wants() = %+v while a load is under way", l)
		}
		h.load, h.read = &loaded{load: l}, false
	}
}

// The steps return whether there was something to do.

func (h *history) readStep() bool {
	if h.load == nil || h.read {
		return false
	}
	h.read = true
	if l := h.load.load; l.waiting {
		h.load.refs, h.load.more, _ = h.store.Waiting("", l.after, l.limit)
	} else {
		h.load.refs, h.load.more, _ = h.store.Ready("", l.after.ID, l.limit)
	}
	return true
}

func (h *history) loadedStep() bool {
	if h.load == nil || !h.read {
		return false
	}
	m := h.load
	h.load = nil
	h.s.loaded(m.load, m.refs, m.more)
	h.advance()
	return true
}

func (h *history) commitStep() bool {
	if len(h.asked) == 0 {
		return false
	}
	m := h.asked[0]
	h.asked = h.asked[1:]
	if m.begin != nil && rapid.IntRange(0, 99).Draw(h.T, "closed") < h.closed {
		h.store.lane.Held = h.now + 10
	}
	h.store.commit(m.begin, m.settles, h.now)
	h.done = append(h.done, m)
	return true
}

func (h *history) recordedStep() bool {
	if len(h.done) == 0 {
		return false
	}
	m := h.done[0]
	h.done = h.done[1:]
	for _, o := range m.settles {
		if o.Err == nil && o.Next.State == data.Waiting {
			h.s.returns(data.Ref{ID: o.ID, Number: o.Number + 1, Due: o.Next.Due})
		}
	}
	if m.begin != nil {
		granted := m.begin.Granted
		for _, c := range m.begin.Claims {
			if len(granted) > 0 && granted[0].Message.ID == c.Ref.ID && granted[0].Number == c.Ref.Number {
				h.s.began(c.Ref.ID, c.Ref.Number)
				h.flights = append(h.flights, granted[0])
				granted = granted[1:]
				continue
			}
			h.s.refused(c.Ref)
		}
		if len(m.begin.Standing) > 0 {
			h.s.hold(h.now, m.begin.Closed.Held)
			h.s.standing(m.begin.Standing, m.begin.Closed != data.Closed{})
		}
	}
	h.advance()
	return true
}

func (h *history) endStep() bool {
	if len(h.flights) == 0 {
		return false
	}
	g := h.flights[0]
	h.flights = h.flights[1:]
	o := &data.Settle{ID: g.Message.ID, Number: g.Number, Ended: h.now, Result: data.Result{Outcome: data.OutcomeDelivered}}
	if int(g.Message.ID)*7%100 < h.failing {
		o.Result.Outcome = data.OutcomeTemporary
	}
	h.s.landed(o.ID, o.Number)
	h.asked = append(h.asked, recorded{settles: []*data.Settle{o}})
	h.advance()
	return true
}

func (h *history) wakeStep() bool {
	if len(h.wakes) == 0 {
		return false
	}
	refs := h.wakes[0]
	h.wakes = h.wakes[1:]
	if rapid.IntRange(0, 9).Draw(h.T, "unnamed") == 0 {
		refs = nil
	}
	h.s.accepted(refs)
	h.advance()
	return true
}

// finish lets everything happen that will, and time pass only when nothing does.
func (h *history) finish() {
	for range 1_000_000 {
		switch {
		case h.wakeStep(), h.readStep(), h.loadedStep(), h.commitStep(), h.recordedStep(), h.endStep():
		case h.wake != data.Never:
			h.now = max(h.now, h.wake)
			h.advance()
		default:
			return
		}
	}
	h.Fatal("it does not come to rest")
}

// arrived is how n messages that were accepted are named, the first of which has an id.
func arrived(first data.ID, n int) []data.Ref {
	refs := make([]data.Ref, n)
	for i := range refs {
		refs[i] = ref(int(first)+i, 1, 0)
		refs[i].Prior = refs[i].ID - 1
	}
	return refs
}

func TestScheduleStrandsNothing(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		h := &history{
			T:       r,
			s:       newSchedule(limited(rapid.SampledFrom([]int{1, 2, 16, 700}).Draw(r, "limit")), 0),
			store:   newMemory(t),
			wake:    data.Never,
			policy:  data.Policy{MaxAttempts: 3, Interval: 60},
			failing: rapid.SampledFrom([]int{0, 50, 100}).Draw(r, "failing"),
			closed:  rapid.SampledFrom([]int{0, 0, 20}).Draw(r, "closed"),
		}
		if life := rapid.SampledFrom([]data.StoreTime{0, 5, 70, 1000}).Draw(r, "expires in"); life > 0 {
			h.store.expires = func(id data.ID) data.StoreTime { return h.now + life*data.StoreTime(id%4) }
		}
		h.store.accept(rapid.SampledFrom([]int{0, 3, 2000}).Draw(r, "backlog"))
		h.advance()
		accepted := func() bool {
			n := rapid.SampledFrom([]int{1, 5, 300}).Draw(r, "messages")
			h.wakes = append(h.wakes, arrived(h.store.accept(n), n))
			return true
		}
		cancelled := func() bool {
			if n := len(h.store.messages); n > 0 {
				h.store.cancel(data.ID(rapid.IntRange(1, n).Draw(r, "cancel")))
			}
			return true
		}
		passed := func() bool {
			h.now += data.StoreTime(rapid.SampledFrom([]int{1, 30, 61}).Draw(r, "time"))
			h.advance()
			return true
		}
		// Some steps more often than others.
		steps := []func() bool{
			h.readStep, h.loadedStep, h.commitStep, h.commitStep, h.recordedStep, h.recordedStep,
			h.endStep, h.endStep, h.endStep, h.wakeStep, accepted, cancelled, passed,
		}
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(steps)-1), 0, 400).Draw(r, "steps") {
			steps[i]()
		}
		h.finish()
		if left := h.store.unfinished(); len(left) > 0 {
			m := h.store.message(left[0])
			r.Fatalf("%d messages are stranded, the first is %d: %s, attempt %d, due %d", len(left), m.ID, m.State, m.NextNumber(), m.Due)
		}
		if !h.s.idle() {
			r.Fatal("not idle though every message has ended")
		}
	})
}

// A lane that comes back reads what its last incarnation left in any state.
func TestScheduleAfterRestart(t *testing.T) {
	store := newMemory(t)
	store.accept(3)
	store.commit(&data.Begin{Claims: []data.Claim{
		{Ref: ref(1, 1, 0), Policy: data.Policy{MaxAttempts: 3}},
		{Ref: ref(2, 1, 0), Policy: data.Policy{MaxAttempts: 3, Interval: time.Minute}},
	}}, nil, 0)
	store.commit(nil, []*data.Settle{{ID: 2, Number: 1, Ended: 5, Result: data.Result{Outcome: data.OutcomeTemporary}}}, 5)
	s := newSchedule(limited(4), 0)
	s.began(1, 1)
	for range 2 {
		l, _ := s.wants(0)
		if l.waiting {
			refs, more, _ := store.Waiting("", l.after, l.limit)
			s.loaded(l, refs, more)
		} else {
			refs, more, _ := store.Ready("", l.after.ID, l.limit)
			s.loaded(l, refs, more)
		}
	}
	claims, wake := next(s, 10)
	if got := ids(claims); !slices.Equal(got, []data.ID{3}) || wake != 5+data.StoreTime(time.Minute) {
		t.Errorf("next(10) = %v, %d; want message 3, and to wake for message 2", got, wake)
	}
}

// What falls out of a full window is loaded again, however far the window went
// before.
func TestScheduleTrimmedWindow(t *testing.T) {
	s := filled(1, 0, nil, []data.Ref{ref(1, 2, 1_000_000)})
	for i := range mostWindow + 1 {
		s.returns(ref(10+i, 2, data.StoreTime(10+i)))
	}
	if n := len(s.waiting); n != mostWindow {
		t.Errorf("the window holds %d; want %d", n, mostWindow)
	}
	for range mostWindow {
		claims, _ := next(s, 5_000)
		s.began(claims[0].ID, 2)
		s.landed(claims[0].ID, 2)
	}
	l, ok := s.wants(0)
	if want := data.ID(9 + mostWindow); !ok || !l.waiting || l.after.ID != want {
		t.Errorf("wants() = %+v, %t; want what comes after message %d", l, ok, want)
	}
}

// A window of messages that were claimed and not begun yet is not read again and
// again meanwhile.
func TestScheduleClaimedWindow(t *testing.T) {
	backlog := make([]data.Ref, 2*mostWindow)
	for i := range backlog {
		backlog[i] = ref(1+i, 2, data.StoreTime(1+i))
	}
	s := newSchedule(limited(2*mostWindow), 0)
	for range 2 {
		l, _ := s.wants(0)
		if l.waiting {
			s.loaded(l, backlog[:mostWindow], true)
		} else {
			s.loaded(l, nil, false)
		}
	}
	if claims, _ := next(s, 10_000); len(claims) != mostWindow {
		t.Fatalf("next(10000) = %d claims; want %d", len(claims), mostWindow)
	}
	if l, ok := s.wants(0); !ok || l.after != backlog[mostWindow-1] {
		t.Errorf("wants() = %+v, %t; want what comes after the window", l, ok)
	}
}

// BenchmarkScheduleLife takes a message from the store's queue to its end.
func BenchmarkScheduleLife(b *testing.B) {
	s := newSchedule(limited(16), 0)
	s.waitingMore = false
	refs := make([]data.Ref, mostWindow)
	var id data.ID
	b.ReportAllocs()
	for b.Loop() {
		claims, _ := next(s, 1)
		for _, r := range claims {
			s.began(r.ID, r.Number)
			s.landed(r.ID, r.Number)
		}
		s.accepted(nil)
		if l, ok := s.wants(0); ok {
			for i := range l.limit {
				id++
				refs[i] = data.Ref{ID: id, Number: 1}
			}
			s.loaded(l, refs[:l.limit], false)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(id), "ns/message")
}

// BenchmarkScheduleReturns puts messages back into a full waiting window.
func BenchmarkScheduleReturns(b *testing.B) {
	s := filled(16, 0, nil, nil)
	for i := range mostWindow {
		s.returns(ref(1+i, 2, data.StoreTime(i)))
	}
	due := data.StoreTime(mostWindow)
	b.ReportAllocs()
	for b.Loop() {
		claims, _ := next(s, due)
		for _, r := range claims {
			s.began(r.ID, r.Number)
			s.landed(r.ID, r.Number)
		}
		for _, r := range claims {
			due++
			s.returns(data.Ref{ID: r.ID, Number: r.Number + 1, Due: due})
		}
	}
}

// After a reread the queues are loaded from their beginnings, and what was being
// loaded does not count.
func TestScheduleReread(t *testing.T) {
	far := data.StoreTime(time.Hour)
	var waiting []data.Ref
	for i := range 20 {
		waiting = append(waiting, ref(100+i, 2, far))
	}
	s := filled(4, 0, nil, waiting)
	s.accepted(nil)
	old, _ := s.wants(0)
	s.reread()
	s.returns(ref(7, 2, 60)) // its commit came before the reread
	s.loaded(old, []data.Ref{ref(8, 1, 0)}, false)
	for range 2 {
		l, ok := s.wants(0)
		if !ok || l.after != (data.Ref{}) {
			t.Fatalf("wants() = %+v, %t; want a load from the beginning", l, ok)
		}
		if l.waiting {
			s.loaded(l, append([]data.Ref{ref(7, 2, 60)}, waiting...), false)
		} else {
			s.loaded(l, []data.Ref{ref(8, 1, 0)}, false)
		}
	}
	claims, _ := next(s, 60)
	if got := ids(claims); !slices.Equal(got, []data.ID{8, 7}) {
		t.Errorf("next(60) = %v; want messages 8 and 7", got)
	}
}

// A lane that empties its windows quickly gets larger ones, and smaller ones again.
func TestScheduleWindowSizes(t *testing.T) {
	s := newSchedule(limited(1000), 0)
	s.waitingMore = false
	now, id := data.StoreTime(1), 0
	load := func(pause time.Duration) int {
		now = now.Add(pause)
		l, ok := s.wants(now)
		if !ok {
			t.Fatal("wants() = nothing; want a load")
		}
		refs := make([]data.Ref, l.limit)
		for i := range refs {
			id++
			refs[i] = ref(id, 1, 0)
		}
		s.loaded(l, refs, true)
		claims, _ := next(s, now)
		for _, r := range claims {
			s.began(r.ID, r.Number)
			s.landed(r.ID, r.Number)
		}
		return l.limit
	}
	for _, c := range []struct {
		pause time.Duration
		want  int
	}{
		{0, 32},
		{0, 64},
		{time.Second - 1, 128},
		{time.Second, 128},
		{0, 256},
		{0, 512},
		{0, 512},
		{10*time.Second + 1, 256},
		{time.Minute, 128},
		{time.Minute, 64},
		{time.Minute, 32},
		{time.Minute, 32},
	} {
		if got := load(c.pause); got != c.want {
			t.Errorf("after %v the window has %d; want %d", c.pause, got, c.want)
		}
	}
}

// What another incarnation took and got back is loaded, and not twice in the window.
func TestScheduleRestoresWhatItLoaded(t *testing.T) {
	refs := []data.Ref{{ID: 1, Number: 1, Run: 3}, {ID: 2, Number: 1, Run: 3}, {ID: 3, Number: 1, Run: 3}}
	s := newSchedule(limited(8), 0)
	s.standing(slices.Clone(refs[:2]), true)
	for range 2 {
		l, _ := s.wants(0)
		if l.waiting {
			s.loaded(l, nil, false)
		} else {
			s.loaded(l, slices.Clone(refs), false)
		}
	}
	if !slices.Equal(s.ready, refs) {
		t.Errorf("the window is %v; want %v", s.ready, refs)
	}
}

// A message that went back to waiting before the lane knew what the store knows is
// not forgotten when that is older.
func TestScheduleResumesWithAnOldView(t *testing.T) {
	s := newSchedule(limited(8), 0)
	s.returns(ref(1, 2, 60))
	s.resume(0, data.Lane{}, limited(8), false)
	if l, ok := s.wants(0); !ok || !l.waiting {
		t.Errorf("wants() = %+v, %t; want the waiting queue", l, ok)
	}
}

// Where the store says that an open lane's claims stand, the queues are not what
// the lane took them for.
func TestScheduleStandingOfAnOpenLane(t *testing.T) {
	s := filled(1, 0, []data.Ref{{ID: 5, Number: 1, Run: 9}, {ID: 9, Number: 1, Run: 9}}, nil)
	claims, _ := next(s, 0)
	for _, r := range claims {
		s.refused(r)
	}
	s.standing(claims, false)
	if l, ok := s.wants(0); !ok || l.after != (data.Ref{}) || len(s.ready) > 0 {
		t.Errorf("wants() = %+v, %t with %v in the window; want a load from the beginning", l, ok, s.ready)
	}
}
