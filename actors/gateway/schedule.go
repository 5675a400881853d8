package gateway

import (
	"cmp"
	"slices"

	"github.com/postrider/postrider/data"
)

// windowSize is how many references of each queue a lane holds. The queue itself
// stays in the store, however long it is.
const windowSize = 512

// schedule decides what a lane does next. It holds a window on each of the
// lane's two queues, ready and waiting, and knows what is under way. Time comes
// in, work comes out; it does none itself.
//
// Invariants:
//   - a reference is in at most one place: a window, claimed, or flying;
//   - the ready window is the store's queue from the last claimed reference on,
//     and readyMore is true whenever the store may hold more behind it;
//   - every waiting message of the lane is in the waiting window or claimed, or
//     comes after waitingLast, and then waitingMore is true;
//   - a waiting reference is claimed no sooner than it is due.
type schedule struct {
	limit     int            // requests under way at once
	notBefore data.StoreTime // nothing that waits is due before

	ready       []data.Ref // in the order of ids
	readyLast   data.ID    // the last one that was loaded
	readyMore   bool
	waiting     []data.Ref // in the order of due times
	waitingLast data.Ref   // how far the window goes, though it may be claimed empty
	waitingMore bool

	loading     bool       // one load is under way
	loadWaiting bool       // the turn: whether the next load is of the waiting queue
	arrived     bool       // messages were accepted while loading
	returned    []data.Ref // messages that went back to waiting while loading

	claimed map[data.ID]data.Ref // begun in the store's eyes soon
	flying  map[data.ID]int      // requests under way: attempt numbers
	retries bool                 // the turn: whether the next claim is a retry
	paused  bool                 // no new attempts
}

func newSchedule(limit int, notBefore data.StoreTime) *schedule {
	return &schedule{
		limit:       limit,
		notBefore:   notBefore,
		readyMore:   true,
		waitingMore: true,
		claimed:     make(map[data.ID]data.Ref),
		flying:      make(map[data.ID]int),
	}
}

// next claims what may begin at time now, and says when to ask again if nothing
// else happens; data.Never if only an event can bring work. Retries and first
// attempts take turns, so neither can keep the other waiting.
func (s *schedule) next(now data.StoreTime) (claims []data.Ref, wake data.StoreTime) {
	if s.paused {
		return nil, data.Never
	}
	for len(s.claimed)+len(s.flying) < s.limit {
		due := len(s.waiting) > 0 && s.dueAt(s.waiting[0]) <= now
		var r data.Ref
		switch {
		case due && (s.retries || len(s.ready) == 0):
			r, s.waiting = s.waiting[0], s.waiting[1:]
			s.retries = false
		case len(s.ready) > 0:
			r, s.ready = s.ready[0], s.ready[1:]
			s.retries = true
		default:
			if len(s.waiting) > 0 {
				return claims, s.dueAt(s.waiting[0])
			}
			return claims, data.Never
		}
		s.claimed[r.ID] = r
		claims = append(claims, r)
	}
	return claims, data.Never
}

func (s *schedule) dueAt(r data.Ref) data.StoreTime { return max(r.Due, s.notBefore) }

// load is a wish for references: of the ready queue after an id, or of the
// waiting queue after a reference.
type load struct {
	waiting bool
	after   data.Ref
	limit   int
}

// wants says what to load, if anything. It must be answered with loaded. The
// queues take turns: with messages arriving all the time there is always a wish
// for the ready one.
func (s *schedule) wants() (load, bool) {
	if s.loading || s.paused {
		return load{}, false
	}
	ready := s.readyMore && len(s.ready) < windowSize/2
	waiting := s.waitingMore && len(s.waiting) < windowSize/2
	switch {
	case waiting && (s.loadWaiting || !ready):
		s.loading, s.loadWaiting = true, false
		return load{waiting: true, after: s.waitingLast, limit: windowSize - len(s.waiting)}, true
	case ready:
		s.loading, s.loadWaiting, s.arrived = true, true, false
		return load{after: data.Ref{ID: s.readyLast}, limit: windowSize - len(s.ready)}, true
	}
	return load{}, false
}

// loaded takes the answer to a wish. more says whether the queue goes on.
func (s *schedule) loaded(l load, refs []data.Ref, more bool) {
	s.loading = false
	if !l.waiting {
		for _, r := range refs {
			s.readyLast = max(s.readyLast, r.ID)
			if !s.known(r) {
				s.ready = append(s.ready, r)
			}
		}
		s.readyMore = more || s.arrived
	} else {
		s.waitingMore = more
		for _, r := range refs {
			s.waitingLast = r
			s.insert(r)
		}
	}
	// What came back to waiting since may have been too late for the answer.
	for _, r := range s.returned {
		s.await(r)
	}
	s.returned = s.returned[:0]
}

// known reports whether an attempt, or a later one of the message, is claimed or
// flying. What is being loaded may still be in the store's queue when it is. An
// earlier one that is thought to be flying does not count: the store knows more.
func (s *schedule) known(r data.Ref) bool {
	c, claimed := s.claimed[r.ID]
	number, flying := s.flying[r.ID]
	return claimed && c.Number >= r.Number || flying && number >= r.Number
}

// accepted says that there are new messages in the store.
func (s *schedule) accepted() {
	s.readyMore, s.arrived = true, true
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

// ended says that a request is no longer under way. Its message is nowhere until
// its attempt is settled.
func (s *schedule) ended(id data.ID, number int) {
	if s.flying[id] == number {
		delete(s.flying, id)
	}
}

// returns says that a message waits again.
func (s *schedule) returns(r data.Ref) {
	if s.loading {
		s.returned = append(s.returned, r)
		return
	}
	s.await(r)
}

// await puts a reference into the waiting window, unless it is due behind the
// window and will be loaded when its time comes nearer.
func (s *schedule) await(r data.Ref) {
	if s.waitingMore && compare(r, s.waitingLast) > 0 {
		return
	}
	s.insert(r)
	if len(s.waiting) > windowSize {
		s.waiting = slices.Delete(s.waiting, windowSize, len(s.waiting))
		s.waitingLast, s.waitingMore = s.waiting[windowSize-1], true
	}
}

func (s *schedule) insert(r data.Ref) {
	at, found := slices.BinarySearchFunc(s.waiting, r, compare)
	if !found && !s.known(r) {
		s.waiting = slices.Insert(s.waiting, at, r)
	}
}

// compare is the order of the waiting queue in the store.
func compare(a, b data.Ref) int {
	return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.ID, b.ID))
}

// idle reports whether the lane has nothing to do and nothing to wait for.
func (s *schedule) idle() bool {
	return len(s.ready)+len(s.waiting)+len(s.claimed)+len(s.flying) == 0 &&
		!s.readyMore && !s.waitingMore && !s.loading
}

// quiet reports whether no request is under way or about to be.
func (s *schedule) quiet() bool { return len(s.claimed)+len(s.flying) == 0 }
