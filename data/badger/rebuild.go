package badger

import (
	"errors"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// rebuildStep is how many records one commit of rebuild covers.
const rebuildStep = 2000

// rebuild makes lanes and placements anew from the messages. It is used only
// when commits were lost, so that these may contradict each other.
func (s *Store) rebuild() error {
	for _, prefix := range []byte{prefixMarker, prefixRun, prefixWaiting, prefixDone} {
		if err := s.deleteAll(prefix); err != nil {
			return err
		}
	}
	flying := make(map[data.ID]bool)
	for _, l := range s.gateways() {
		for _, f := range l.flying {
			flying[f.ID] = true
		}
		clear(l.counts[:])
		clear(l.oldest[:])
		l.ready, l.head = 0, place{}
	}
	s.delivered, s.dead = nil, nil
	s.newest.events = 0
	found := make(map[data.ID]bool)
	var after data.ID
	for {
		page, err := s.messagesAfter(after)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		after = page[len(page)-1].ID
		if err := s.placeAgain(page, flying, found); err != nil {
			return err
		}
	}
	if err := s.forgetFlights(found); err != nil {
		return err
	}
	if err := s.forgetResent(); err != nil {
		return err
	}
	// The marker of a last commit, which there is also when nothing was changed.
	t := s.begin()
	t.forced = true
	return t.commit()
}

func (s *Store) deleteAll(prefix byte) error {
	for {
		t := s.begin()
		err := scan(t.txn, []byte{prefix}, nil, func(k, _ []byte) error {
			if t.entries == rebuildStep {
				return errEnough
			}
			return t.delete(slices.Clone(k))
		})
		if err != nil {
			return err
		}
		done := t.entries < rebuildStep
		if err := t.commit(); err != nil {
			return err
		}
		if done {
			return nil
		}
	}
}

func (s *Store) messagesAfter(after data.ID) (page []*message, err error) {
	err = s.scan([]byte{prefixMessage}, messageKey(behind(after)), func(k, v []byte) error {
		if len(page) == rebuildStep {
			return errEnough
		}
		m, err := decodeMessage(k, v)
		page = append(page, m)
		return err
	})
	return page, err
}

// hasText reports whether the text of a message is there. It may be among what was
// lost; without it there is nothing to send and nothing to show.
func hasText(txn *badger.Txn, m *message) (bool, error) {
	if m.long == inline {
		return true, nil
	}
	_, err := textItem(txn, m.ID)
	if errors.Is(err, errNoText) {
		return false, nil
	}
	return err == nil, err
}

// placeAgain counts and places messages in the order of their ids, and drops those
// whose text was lost. Those with an attempt under way are noted in found.
func (s *Store) placeAgain(page []*message, flying, found map[data.ID]bool) error {
	t := s.begin()
	for _, m := range page {
		l, err := s.laneOfMessage(m)
		if err != nil {
			return err
		}
		c := t.touch(l)
		kept, err := hasText(t.txn, m)
		if err != nil {
			return err
		}
		switch {
		case !kept:
			if err := t.delete(messageKey(m.ID)); err != nil {
				return err
			}
		case flying[m.ID] && !m.State.Final():
			found[m.ID] = true
			l.move(0, data.Sending)
		case m.State == data.Queued:
			if l.counts[data.Queued] == 0 {
				l.ready = m.ID
			}
			l.move(0, data.Queued)
			c.run = append(c.run, m.ID)
		case m.State == data.Waiting:
			l.await(place{m.Due, m.ID})
			l.move(0, data.Waiting)
			k := waitingKey(l.number, place{m.Due, m.ID})
			if err := t.set(k, encodeNumber(k, m.NextNumber())); err != nil {
				return err
			}
		default:
			l.move(0, m.State)
			t.end(l, m.State, m.ID)
		}
	}
	return t.commit()
}

// forgetFlights drops attempts of messages that are not there any more, and
// writes every lane as it is now.
func (s *Store) forgetFlights(found map[data.ID]bool) error {
	for chunk := range slices.Chunk(s.gateways(), rebuildStep) {
		t := s.begin()
		for _, l := range chunk {
			t.touch(l)
			l.flying = slices.DeleteFunc(l.flying, func(f data.InFlight) bool { return !found[f.ID] })
		}
		if err := t.commit(); err != nil {
			return fmt.Errorf("write lanes: %w", err)
		}
	}
	return nil
}

// forgetResent drops what tells of messages that are no dead letters, or lost.
func (s *Store) forgetResent() error {
	var from []byte
	for {
		t := s.begin()
		looked := 0
		err := scan(t.txn, []byte{prefixResent}, from, func(k, _ []byte) error {
			from = slices.Clone(k)
			if looked++; looked > rebuildStep {
				return errEnough
			}
			id, ok := parseIDKey(k)
			if !ok {
				return t.delete(from)
			}
			m, err := readMessage(t.txn, id)
			if err == nil && (m == nil || !m.State.Dead()) {
				err = t.delete(from)
			}
			return err
		})
		if err != nil {
			return err
		}
		if err := t.commit(); err != nil {
			return err
		}
		if looked <= rebuildStep {
			return nil
		}
	}
}
