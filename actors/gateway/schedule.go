package gateway

import (
	"slices"

	"github.com/postrider/postrider/data"
)

// schedule decides what a lane does next: it holds the beginnings of the lane's
// two queues, ready and waiting, knows what is under way, and has a gate that
// says how much may begin. Time comes in, work comes out; it does none itself.
//
// Invariants, beside those of [windows]:
//   - a reference is in at most one place: a window, claimed, or flying;
//   - a waiting reference is claimed no sooner than it is due;
//   - no more are claimed than the gate has room for.
type schedule struct {
	gate
	windows
	doubt     data.StoreTime // what waited then waits an interval from there; 0 for never
	notBefore data.StoreTime // for that, nothing that waits is due before

	claimed map[data.ID]data.Ref // begun in the store's eyes soon
	flying  map[data.ID]int      // requests under way: attempt numbers
	away    int                  // begun by the store, and not heard of yet
	retries bool                 // the turn: whether the next claim is a retry
}

func newSchedule(d Definition, doubt data.StoreTime) *schedule {
	s := &schedule{
		windows: windows{readyMore: true, waitingMore: true, size: leastWindow},
		doubt:   doubt,
		claimed: make(map[data.ID]data.Ref),
		flying:  make(map[data.ID]int),
	}
	s.define(d)
	return s
}

// define changes the limits to those of another definition.
func (s *schedule) define(d Definition) {
	s.gate.define(d)
	if s.doubt > 0 {
		s.notBefore = s.doubt.Add(d.Policy.Interval)
	}
}

// resume takes over what the store knows of the lane at time now. ramp says that
// the process has just started: the lane begins with one attempt at a time.
func (s *schedule) resume(now data.StoreTime, l data.Lane, d Definition, ramp bool) {
	s.readyMore = s.readyMore && (l.Counts[data.Queued] > 0 || s.arrived)
	s.waitingMore = s.waitingMore && (l.Counts[data.Waiting] > 0 || s.awaited)
	s.outage = outage{after: d.HoldAfter, unreached: l.Unreached}
	s.bucket = newBucket(d.Rate, l.Began)
	s.hold(now, l.Held)
	if ramp || s.outage.holds() {
		s.ramp = 1
	}
}

// open returns how many attempts may begin at time now, or whether the gateway
// is to be probed instead.
func (s *schedule) open(now data.StoreTime) (attempts int, probe bool) {
	waits := s.waits(now)
	if waits == 0 || s.shut() {
		return 0, false
	}
	if s.outage.holds() {
		probe, _ = s.outage.probe(now)
		return 0, probe
	}
	room, _ := s.room(now, s.underWay())
	return min(waits, room), false
}

// claim takes n references, no more than open said. Retries and first attempts
// take turns, so neither can keep the other waiting.
func (s *schedule) claim(now data.StoreTime, n int) (claims []data.Ref) {
	due := s.due(now)
	s.gate.began(n)
	for range n {
		var r data.Ref
		if due > 0 && (s.retries || len(s.ready) == 0) {
			r, s.waiting = s.waiting[0], s.waiting[1:]
			due--
			s.retries = false
		} else {
			r, s.ready = s.ready[0], s.ready[1:]
			s.retries = true
		}
		s.claimed[r.ID] = r
		claims = append(claims, r)
	}
	return claims
}

// wake says when to ask again if nothing else happens, [data.Never] if only an
// event can bring work.
func (s *schedule) wake(now data.StoreTime) data.StoreTime {
	switch {
	case s.shut() || s.full(s.underWay()):
		return data.Never
	case s.waits(now) > 0 && s.outage.holds():
		_, wake := s.outage.probe(now)
		return wake
	case s.waits(now) > 0:
		_, wake := s.room(now, s.underWay())
		return wake
	case len(s.waiting) > 0:
		return s.dueAt(s.waiting[0])
	}
	return data.Never
}

// due counts the references in the waiting window that are due.
func (s *schedule) due(now data.StoreTime) int {
	if now < s.notBefore {
		return 0
	}
	n, _ := slices.BinarySearchFunc(s.waiting, now, func(r data.Ref, now data.StoreTime) int {
		if r.Due <= now {
			return -1
		}
		return 1
	})
	return n
}

func (s *schedule) dueAt(r data.Ref) data.StoreTime { return max(r.Due, s.notBefore) }

func (s *schedule) underWay() int { return len(s.claimed) + len(s.flying) + s.away }

// spare returns how many attempts the store may have begun by itself that the lane has
// not heard of: as many as there is room for. It is none where there is a rate.
func (s *schedule) spare(now data.StoreTime) int {
	if s.bucket.rate > 0 {
		return 0
	}
	room, _ := s.room(now, s.underWay()-s.away)
	return room
}

// waits counts the references whose attempts could begin now, if the gate were open.
func (s *schedule) waits(now data.StoreTime) int { return len(s.ready) + s.due(now) }

// wants says what to load, if anything. It must be answered with loaded.
func (s *schedule) wants(now data.StoreTime) (load, bool) {
	if s.shut() {
		return load{}, false
	}
	return s.windows.wants(now)
}

// loaded takes the answer to a wish.
func (s *schedule) loaded(l load, refs []data.Ref, more bool) {
	s.windows.loaded(l, refs, more, s.known)
}

// known reports whether an attempt, or a later one of the message, is claimed or
// flying. What is being loaded may still be in the store's queue when it is. An
// earlier one that is thought to be flying does not count: the store knows more.
func (s *schedule) known(r data.Ref) bool {
	c, claimed := s.claimed[r.ID]
	number, flying := s.flying[r.ID]
	return claimed && c.Number >= r.Number || flying && number >= r.Number
}

// began says that a claim was granted: its request leaves now.
func (s *schedule) began(id data.ID, number int) {
	delete(s.claimed, id)
	s.flying[id] = number
}

// refused says that a claim will not be granted: the message was cancelled, or
// an earlier incarnation of the lane took it.
func (s *schedule) refused(r data.Ref) {
	if s.claimed[r.ID].Number == r.Number {
		delete(s.claimed, r.ID)
	}
}

// standing says that claims which were refused may be granted later. The lane turned out
// to be held or paused, and they stand where they stood; or else the queues are
// not what they were taken for, and are read again.
func (s *schedule) standing(refs []data.Ref, closed bool) {
	if closed {
		s.restore(slices.DeleteFunc(refs, s.known))
		return
	}
	s.reread()
}

// landed says that a request is no longer under way. Its message is nowhere until
// its attempt is settled.
func (s *schedule) landed(id data.ID, number int) {
	if s.flying[id] == number {
		delete(s.flying, id)
	}
}

// returns says that a message waits again.
func (s *schedule) returns(r data.Ref) {
	if !s.known(r) {
		s.windows.returns(r)
	}
}

// idle reports whether the lane has nothing to do and nothing to wait for, or may
// not do it until somebody says so.
func (s *schedule) idle() bool {
	empty := len(s.ready)+len(s.waiting) == 0 && !s.readyMore && !s.waitingMore
	return s.quiet() && !s.loading && (empty || s.shut())
}

// quiet reports whether no request is under way or about to be.
func (s *schedule) quiet() bool { return s.underWay() == 0 }
