package badger

import (
	"slices"

	"github.com/postrider/postrider/data"
)

// lane returns the lane of a gateway, nil when nothing was ever stored for it.
func (s *Store) lane(gateway string) *lane {
	s.lanesMu.RLock()
	defer s.lanesMu.RUnlock()
	return s.byName[gateway]
}

func (s *Store) laneNumbered(n uint32) *lane {
	s.lanesMu.RLock()
	defer s.lanesMu.RUnlock()
	if n == 0 || int(n) > len(s.byNumber) {
		return nil
	}
	return s.byNumber[n-1]
}

func (s *Store) laneOfMessage(m *message) (*lane, error) {
	if l := s.laneNumbered(m.lane); l != nil {
		return l, nil
	}
	return nil, damaged(messageKey(m.ID), "names a lane that is not there")
}

// laneOf returns the lane of a gateway and makes it if there is none. Numbers
// are given in order and never again.
func (s *Store) laneOf(gateway string) *lane {
	if l := s.lane(gateway); l != nil {
		return l
	}
	s.lanesMu.Lock()
	defer s.lanesMu.Unlock()
	l := &lane{number: uint32(len(s.byNumber) + 1), gateway: gateway}
	s.byName[gateway] = l
	s.byNumber = append(s.byNumber, l)
	return l
}

// gateways lists the gateways that have a lane, in the order of their numbers.
func (s *Store) gateways() []*lane {
	s.lanesMu.RLock()
	defer s.lanesMu.RUnlock()
	return slices.DeleteFunc(slices.Clone(s.byNumber), func(l *lane) bool { return l == nil })
}

// open is how many messages have an attempt to come or under way.
func (l *lane) open() uint64 {
	return l.counts[data.Queued] + l.counts[data.Sending] + l.counts[data.Waiting]
}

// move counts a message from one state to another.
func (l *lane) move(from, to data.State) {
	if from != 0 {
		l.counts[from]--
	}
	l.counts[to]++
}

// arrival is a run that is put at the end of the lane's queue.
func (l *lane) arrival(run []data.ID) data.Arrival {
	a := data.Arrival{Gateway: l.gateway, Refs: make([]data.Ref, len(run))}
	last := run[len(run)-1]
	for i, id := range run {
		a.Refs[i] = data.Ref{ID: id, Number: 1, Run: last, Prior: l.newest}
		l.newest = id
	}
	return a
}

// land removes an attempt under way.
func (l *lane) land(id data.ID) {
	l.flying = slices.DeleteFunc(l.flying, func(f data.InFlight) bool { return f.ID == id })
}

func (l *lane) flight(id data.ID) (data.InFlight, bool) {
	for _, f := range l.flying {
		if f.ID == id {
			return f, true
		}
	}
	return data.InFlight{}, false
}

// await lowers the head of the waiting queue to a message that was put there.
func (l *lane) await(p place) {
	if l.counts[data.Waiting] == 0 || p.before(l.head) {
		l.head = p
	}
}

// settled takes note of an attempt that ended under a policy. What was answered is
// the message's: the lane's record is written with every commit.
func (l *lane) settled(a data.Attempt, p data.Policy) {
	l.last = a
	l.last.Answer = ""
	if until, asked := p.Hold(a); asked {
		l.held = max(l.held, until)
	}
	l.unreached = a.Unreached(l.unreached)
}

// closed reports whether no attempt may begin at a time.
func (l *lane) closed(at data.StoreTime) bool { return l.paused || at < l.held }

// view is a lane as it may be shown.
func (s *Store) view(l *lane) data.Lane {
	v := data.Lane{
		Gateway: l.gateway, Counts: l.counts, InFlight: slices.Clone(l.flying), Last: l.last,
		Began: l.began, Paused: l.paused, Held: l.held, Unreached: l.unreached, First: l.first(),
	}
	if s.Now() < l.held {
		v.HeldAt = s.clock.onWall(l.held)
	}
	return v
}
