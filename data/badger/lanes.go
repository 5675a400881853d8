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

// move counts a message from one state to another.
func (l *lane) move(from, to data.State) {
	if from != 0 {
		l.counts[from]--
	}
	l.counts[to]++
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

func (l *lane) view() data.Lane {
	return data.Lane{Gateway: l.gateway, Counts: l.counts, InFlight: slices.Clone(l.flying), Last: l.last}
}
