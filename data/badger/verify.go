package badger

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// Verify reads the whole store and reports whatever does not fit together: a
// message without a placement or with two, counts that are off, heads behind
// something that waits, records with a wrong checksum. It holds eight bytes and
// a little more per message in memory and takes as long as reading everything.
func (s *Store) Verify() error {
	v := &verifier{found: make(map[data.ID]placed), flying: make(map[data.ID]*lane)}
	err := s.snapshot(func(txn *badger.Txn) error {
		return errors.Join(v.markers(txn), v.lanes(txn), v.placements(txn), v.messages(txn), v.events(txn), v.others(txn))
	})
	return errors.Join(err, v.totals(), s.verifyTables())
}

// verifyTables has Badger compare the checksums of its tables. It panics where
// one is wrong.
func (s *Store) verifyTables() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("verify tables: %s: %w", gaveUp(r), data.ErrDamaged)
		}
	}()
	return s.db.VerifyChecksum()
}

type placed struct {
	lane  uint32
	state data.State // Queued stands for every run, also of messages taken since
	due   data.StoreTime
}

type verifier struct {
	byNumber map[uint32]*lane
	counts   map[uint32]*[data.States]uint64
	found    map[data.ID]placed
	runs     map[data.ID]struct{}
	flying   map[data.ID]*lane
	last     data.ID // the greatest id of an event or message
	newest   marker
	problems []error
}

func (v *verifier) complain(format string, args ...any) {
	if len(v.problems) < 100 {
		v.problems = append(v.problems, fmt.Errorf(format+": %w", append(args, data.ErrDamaged)...))
	}
}

func (v *verifier) lanes(txn *badger.Txn) error {
	v.byNumber = make(map[uint32]*lane)
	v.counts = make(map[uint32]*[data.States]uint64)
	return scan(txn, []byte{prefixLane}, nil, func(k, value []byte) error {
		l, err := decodeLane(k, value)
		if err != nil {
			return err
		}
		v.byNumber[l.number] = l
		v.counts[l.number] = new([data.States]uint64)
		for _, f := range l.flying {
			if v.flying[f.ID] != nil {
				v.complain("message %s has two attempts under way", f.ID)
			}
			v.flying[f.ID] = l
		}
		return nil
	})
}

func (v *verifier) place(id data.ID, p placed) {
	if q, ok := v.found[id]; ok {
		v.complain("message %s has two placements, %s and %s", id, q.state, p.state)
	}
	v.found[id] = p
}

func (v *verifier) placements(txn *badger.Txn) error {
	v.runs = make(map[data.ID]struct{})
	runs := scan(txn, []byte{prefixRun}, nil, func(k, value []byte) error {
		number, _, ok := parseRunKey(k)
		ids, err := decodeIDs(k, value)
		if err != nil || !ok {
			return errors.Join(err, damaged(k, "is no run"))
		}
		l := v.byNumber[number]
		for _, id := range ids {
			if l != nil && id >= l.ready {
				v.runs[id] = struct{}{}
			}
		}
		return nil
	})
	waiting := scan(txn, []byte{prefixWaiting}, nil, func(k, _ []byte) error {
		number, p, ok := parseWaitingKey(k)
		if !ok {
			return damaged(k, "is no waiting message")
		}
		if l := v.byNumber[number]; l == nil || p.before(l.head) {
			v.complain("message %s waits before the head of its lane", p.id)
		}
		v.place(p.id, placed{lane: number, state: data.Waiting, due: p.due})
		return nil
	})
	done := scan(txn, []byte{prefixDone}, nil, func(k, value []byte) error {
		number, state, at, ok := parseDoneKey(k)
		ids, err := decodeIDs(k, value)
		if err != nil || !ok || !state.Final() || len(ids) == 0 {
			return errors.Join(err, damaged(k, "is no group of ended messages"))
		}
		if l := v.byNumber[number]; l == nil || at < l.oldest[state] {
			v.complain("messages %s at %d, before the first of their lane", state, at)
		}
		for _, id := range ids {
			v.place(id, placed{lane: number, state: state})
		}
		return nil
	})
	return errors.Join(runs, waiting, done)
}

func (v *verifier) messages(txn *badger.Txn) error {
	return scan(txn, []byte{prefixMessage}, nil, func(k, value []byte) error {
		m, err := decodeMessage(k, value)
		if err != nil {
			return err
		}
		if err := readText(txn, m); err != nil {
			return err
		}
		v.message(m)
		return nil
	})
}

func (v *verifier) message(m *message) {
	v.last = max(v.last, m.ID)
	counts := v.counts[m.lane]
	if counts == nil {
		v.complain("message %s names lane %d, which is not there", m.ID, m.lane)
		return
	}
	p, at := v.found[m.ID]
	delete(v.found, m.ID)
	_, queued := v.runs[m.ID]
	delete(v.runs, m.ID)
	if l := v.flying[m.ID]; l != nil {
		delete(v.flying, m.ID)
		if at || l.number != m.lane || m.State != data.Queued && m.State != data.Waiting {
			v.complain("message %s has an attempt under way and another place", m.ID)
		}
		counts[data.Sending]++
		return
	}
	counts[m.State]++
	switch {
	case m.State == data.Queued && (!queued || at):
		v.complain("message %s is queued and in no queue", m.ID)
	case m.State != data.Queued && (!at || p.state != m.State || p.lane != m.lane || p.due != m.Due):
		v.complain("message %s is %s and not placed so", m.ID, m.State)
	}
}

func (v *verifier) events(txn *badger.Txn) error {
	var last data.ID
	var at data.StoreTime
	return scan(txn, []byte{prefixEvents}, nil, func(k, value []byte) error {
		g, err := decodeEvents(k, value)
		if err != nil {
			return err
		}
		if g.first <= last {
			v.complain("events from %s overlap those before", g.first)
		}
		if g.first < v.newest.events || g.time < at {
			v.complain("events from %s are older than what is before them", g.first)
		}
		at = g.time
		seen := 0
		err = g.each(0, func(id data.ID, _, _ []byte) bool {
			seen, last = seen+1, id
			return true
		})
		v.last = max(v.last, last)
		if seen != g.count {
			v.complain("events from %s are %d and not %d", g.first, seen, g.count)
		}
		return err
	})
}

func (v *verifier) markers(txn *badger.Txn) error {
	return scan(txn, []byte{prefixMarker}, nil, func(k, value []byte) error {
		m, err := decodeMarker(k, value)
		if m.commit > v.newest.commit {
			v.newest = m
			v.newest.boot = nil // only valid within the scan
		}
		return err
	})
}

// others reads what stands for itself: idempotency keys and declarations, and what
// must have a message, texts and what dead letters were sent again as.
func (v *verifier) others(txn *badger.Txn) error {
	var last data.ID
	keys := scan(txn, []byte{prefixKey}, nil, func(k, value []byte) error {
		a, err := decodeAnswered(k, value)
		last = max(last, a.first)
		return err
	})
	texts := scan(txn, []byte{prefixText}, nil, func(k, value []byte) error {
		id, ok := parseIDKey(k)
		if !ok {
			return damaged(k, "is no text")
		}
		if m, err := readMessage(txn, id); err != nil || m == nil || m.long == inline {
			v.complain("text of message %s, which is not there or has its own", id)
		}
		_, err := unseal(k, value)
		return err
	})
	resent := scan(txn, []byte{prefixResent}, nil, func(k, value []byte) error {
		id, ok := parseIDKey(k)
		as, err := decodeResent(k, value)
		if err != nil || !ok {
			return errors.Join(err, damaged(k, "is not about a message"))
		}
		last = max(last, as)
		if m, err := readMessage(txn, id); err != nil || m == nil || !m.State.Dead() {
			v.complain("message %s was sent again, which is not there or no dead letter", id)
		}
		return nil
	})
	declared := scan(txn, []byte{prefixDeclare}, nil, func(k, value []byte) error {
		_, err := decodeDeclared(k, value)
		return err
	})
	last = max(last, v.last)
	if next := v.newest.next; last >= next && last > 0 {
		v.complain("id %s was given and %s is next", last, next)
	}
	return errors.Join(keys, texts, resent, declared)
}

func (v *verifier) totals() error {
	for id, p := range v.found {
		v.complain("lane %d places message %s, which is not there, as %s", p.lane, id, p.state)
	}
	for id := range v.runs {
		v.complain("a queue names message %s, which is not there", id)
	}
	for id := range v.flying {
		v.complain("an attempt is under way of message %s, which is not there", id)
	}
	for _, number := range slices.Sorted(maps.Keys(v.byNumber)) {
		if got, want := v.byNumber[number].counts, *v.counts[number]; got != want {
			v.complain("lane %d counts %v, there are %v", number, got, want)
		}
	}
	return errors.Join(v.problems...)
}
