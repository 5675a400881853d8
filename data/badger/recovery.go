package badger

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// recover checks that the store holds all it acknowledged, loads what the writer
// keeps in memory, and settles the attempts that were cut off.
func (s *Store) recover(acknowledged uint64) error {
	newest, gap, err := s.readMarkers()
	if err != nil {
		return err
	}
	var loss error
	switch {
	case newest.commit < acknowledged:
		loss = fmt.Errorf("commit %d was acknowledged, the newest that is there is %d: %w", acknowledged, newest.commit, data.ErrDamaged)
	case gap > 0:
		loss = fmt.Errorf("commit %d is missing, later ones are there: %w", gap, data.ErrDamaged)
	}
	if loss != nil && !s.options.AcceptLoss {
		return loss
	}
	s.newest = newest
	s.versions.resume(newest.commit)
	s.firstEvent.Store(uint64(newest.events))
	s.garbage.Store(newest.garbage)
	if newest.next == 0 {
		s.newest.next = data.FirstID(0)
	}
	s.clock, s.doubt = resume(s.options.Clock, newest)
	s.opened = s.clock.now()
	if s.doubtful, s.doubted = newest.doubtful, newest.doubted; s.doubt {
		s.doubtful, s.doubted = s.newest.next, s.opened
	}
	if err := s.readLanes(); err != nil {
		return err
	}
	if s.options.AcceptLoss {
		if loss != nil {
			s.options.Logger.Warn("loss accepted", "err", loss)
		}
		if err := s.acceptLoss(acknowledged); err != nil {
			return err
		}
	}
	return s.settleCutOff()
}

// readMarkers walks the ring of commit markers. It returns the newest one, and
// the number of a commit that must be there and is not, or 0.
func (s *Store) readMarkers() (newest marker, gap uint64, err error) {
	ring := uint64(s.stamp.Ring)
	commits := make([]uint64, ring)
	err = s.scan([]byte{prefixMarker}, nil, func(k, v []byte) error {
		slot, ok := parseMarkerKey(k)
		m, err := decodeMarker(k, v)
		if err != nil {
			return err
		}
		fits := ok && uint64(slot) < ring && m.commit%ring == uint64(slot)
		if !fits && !s.options.AcceptLoss {
			return damaged(k, "is a marker in the wrong place")
		}
		if fits {
			commits[slot] = m.commit
		}
		if m.commit > newest.commit {
			newest = m
			newest.boot = bytes.Clone(m.boot)
		}
		return nil
	})
	if err != nil || newest.commit == 0 {
		return newest, 0, err
	}
	oldest := max(s.stamp.Since, 1)
	if newest.commit >= ring {
		oldest = max(oldest, newest.commit-ring+1)
	}
	for n := oldest; n < newest.commit; n++ {
		if commits[n%ring] != n {
			return newest, n, nil
		}
	}
	return newest, 0, nil
}

func (s *Store) readLanes() error {
	return s.scan([]byte{prefixLane}, nil, func(k, v []byte) error {
		l, err := decodeLane(k, v)
		if err != nil {
			return err
		}
		for int(l.number) > len(s.byNumber)+1 && (s.stamp.Since > 1 || s.options.AcceptLoss) {
			s.byNumber = append(s.byNumber, nil) // lost, and the loss was accepted
		}
		if int(l.number) != len(s.byNumber)+1 {
			return damaged(k, "does not follow the lane before it")
		}
		s.byName[l.gateway] = l
		s.byNumber = append(s.byNumber, l)
		s.shelve(l)
		return nil
	})
}

// settleCutOff ends the attempts that were under way when the process ended.
// They count as used, and the next one is a full interval away from now.
func (s *Store) settleCutOff() error {
	var b data.Batch
	err := s.read(func(txn *badger.Txn) error {
		for _, l := range s.gateways() {
			for _, f := range l.flying {
				m, err := readMessage(txn, f.ID)
				if err != nil {
					return err
				}
				if m == nil {
					return damaged(messageKey(f.ID), "is missing, an attempt is under way")
				}
				m.State = data.Sending
				s.flights[f.ID] = m
				b.Settles = append(b.Settles, f.CutOff(l.gateway, s.opened, data.CauseCutOff))
			}
		}
		return nil
	})
	if err != nil || b.Empty() {
		return err
	}
	s.options.Logger.Warn("attempts were cut off when the process ended: they count as used, their outcome is unknown", "attempts", len(b.Settles))
	if err := s.Apply(&b); err != nil {
		return err
	}
	for _, o := range b.Settles {
		if o.Err != nil {
			return fmt.Errorf("settle the attempt cut off of message %s: %w: %w", o.ID, o.Err, data.ErrDamaged)
		}
	}
	return nil
}

// acceptLoss makes the store whole again with less than it acknowledged. The
// epoch rises, so that no id that a gateway may have seen is given again, and
// the queues are made anew from the messages that are left. The stamp remembers
// the epoch, since the commits that would tell it can be lost as well.
func (s *Store) acceptLoss(acknowledged uint64) error {
	epoch := max(s.newest.next.Epoch(), s.stamp.Epoch)
	if epoch == math.MaxUint16 {
		return fmt.Errorf("epoch %d is the last: %w", epoch, data.ErrDamaged)
	}
	s.stamp.Epoch = epoch + 1
	if err := s.stamp.write(s.path("store.json")); err != nil {
		return err
	}
	s.newest.commit = max(s.newest.commit, acknowledged)
	s.newest.next = data.FirstID(s.stamp.Epoch)
	s.doubt, s.lossy = true, true
	s.doubtful, s.doubted = s.newest.next, s.opened
	if err := s.rebuild(); err != nil {
		return fmt.Errorf("make the queues anew: %w", err)
	}
	s.stamp.Since = s.newest.commit
	return s.stamp.write(s.path("store.json"))
}

// scan visits the records under a prefix, from a key on if one is given. Key and
// value are only valid within visit. An error ends the scan; errEnough does so
// without being returned.
func (s *Store) scan(prefix, from []byte, visit func(key, value []byte) error) error {
	return s.read(func(txn *badger.Txn) error {
		return scan(txn, prefix, from, visit)
	})
}

var errEnough = errors.New("enough")

func scan(txn *badger.Txn, prefix, from []byte, visit func(key, value []byte) error) error {
	o := badger.DefaultIteratorOptions
	o.Prefix = prefix
	o.PrefetchValues = false
	it := txn.NewIterator(o)
	defer it.Close()
	if from == nil {
		from = prefix
	}
	for it.Seek(from); it.Valid(); it.Next() {
		item := it.Item()
		err := item.Value(func(v []byte) error { return visit(item.Key(), v) })
		if err != nil {
			return unlessEnough(err)
		}
	}
	return nil
}

// unlessEnough is the error that ended a scan, nil where it was whoever scans.
func unlessEnough(err error) error {
	if err == errEnough { //nolint:errorlint // it is never wrapped
		return nil
	}
	return err
}
