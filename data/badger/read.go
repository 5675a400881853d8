package badger

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// What one page may look at and carry: a filter that matches little, or large
// records, give a short page and a cursor instead of a long wait.
const (
	maxExamined  = 20_000
	maxPageBytes = 4 << 20
	maxReadBytes = 32 << 20 // of events, which have to be read to be passed
)

// Event returns one event, or [data.ErrNotFound].
func (s *Store) Event(id data.ID) (data.Event, error) {
	if id < data.ID(s.firstEvent.Load()) { // a scan would pass all that was deleted
		return data.Event{}, fmt.Errorf("read event: %w", data.ErrNotFound)
	}
	var found data.Event
	err := s.scan([]byte{prefixEvents}, eventsKey(id), func(k, v []byte) error {
		g, err := decodeEvents(k, v)
		if err != nil {
			return err
		}
		err = g.each(id, func(at data.ID, kind, payload []byte) bool {
			if at == id {
				found = data.Event{ID: id, Type: string(kind), Payload: string(payload), ReceivedAt: g.received}
			}
			return false
		})
		if err != nil {
			return err
		}
		return errEnough
	})
	if err == nil && found.ID == 0 {
		err = data.ErrNotFound
	}
	if err != nil {
		return data.Event{}, fmt.Errorf("read event: %w", err)
	}
	return found, nil
}

// Newest returns the newest id that an event or a message has, of those that can be
// read; 0 before the first. It only looks at memory.
func (s *Store) Newest() data.ID { return data.ID(s.lastID.Load()) }

// Events returns a page of the log.
func (s *Store) Events(q data.EventQuery) (data.EventPage, error) {
	page := data.EventPage{Next: q.After}
	examined, size, read, enough := 0, 0, 0, false
	from := max(behind(q.After), data.ID(s.firstEvent.Load())) // not past all that was deleted
	err := s.scan([]byte{prefixEvents}, eventsKey(from), func(k, v []byte) error {
		if page.More = read >= maxReadBytes; page.More {
			return errEnough
		}
		read += len(v)
		g, err := decodeEvents(k, v)
		if err != nil {
			return err
		}
		err = g.each(behind(q.After), func(id data.ID, kind, payload []byte) bool {
			if len(page.Events) >= q.Limit || examined >= maxExamined || size >= maxPageBytes || enough {
				page.More = true
				return false
			}
			examined++
			page.Next = id
			if q.Type == "" || q.Type == string(kind) {
				size += len(kind) + len(payload)
				event := data.Event{ID: id, Type: string(kind), Payload: string(payload), ReceivedAt: g.received}
				page.Events = append(page.Events, event)
				enough = q.Enough != nil && q.Enough(event)
			}
			return true
		})
		if err == nil && page.More {
			return errEnough
		}
		return err
	})
	if err != nil {
		return data.EventPage{}, fmt.Errorf("read events: %w", err)
	}
	return page, nil
}

// Message returns one message with every attempt, or [data.ErrNotFound].
func (s *Store) Message(id data.ID) (data.Message, error) {
	var found data.Message
	err := s.read(func(txn *badger.Txn) error {
		m, err := readMessage(txn, id)
		if err != nil {
			return err
		}
		if m == nil {
			return data.ErrNotFound
		}
		if err := errors.Join(s.newReader(txn).complete(m), readText(txn, m)); err != nil {
			return err
		}
		found = m.Message
		return nil
	})
	if err != nil {
		return data.Message{}, fmt.Errorf("read message: %w", err)
	}
	return found, nil
}

// Answered returns the first id that was given for an idempotency key, with how
// many messages it began where there were no events. It is false when the key is not
// known, and the error [data.ErrKeyReused] when it was for another request.
func (s *Store) Answered(key data.IdempotencyKey) (first data.ID, count int, found bool, err error) {
	err = s.read(func(txn *badger.Txn) error {
		var known answered
		known, found, err = readAnswered(txn, key.Key)
		if err == nil && found && known.request != key.Request {
			err = data.ErrKeyReused
		}
		if found {
			first, count = known.first, known.messages()
		}
		return err
	})
	if err != nil {
		return 0, 0, false, fmt.Errorf("read answer: %w", err)
	}
	return first, count, found, nil
}

// Lane returns the lane of a gateway, or [data.ErrNotFound] when nothing was
// ever stored for it.
func (s *Store) Lane(gateway string) (data.Lane, error) {
	l := s.lane(gateway)
	if l == nil {
		return data.Lane{}, fmt.Errorf("read lane: %w", data.ErrNotFound)
	}
	var found data.Lane
	err := s.read(func(txn *badger.Txn) error {
		stored, err := s.newReader(txn).lane(l.number)
		if err == nil {
			found = s.view(stored)
		}
		return err
	})
	if err != nil {
		return data.Lane{}, fmt.Errorf("read lane: %w", err)
	}
	return found, nil
}

// Lanes returns every lane that was ever used.
func (s *Store) Lanes() ([]data.Lane, error) {
	s.lanesMu.RLock()
	found := make([]data.Lane, 0, len(s.byNumber))
	s.lanesMu.RUnlock()
	err := s.scan([]byte{prefixLane}, nil, func(k, v []byte) error {
		l, err := decodeLane(k, v)
		if err == nil {
			found = append(found, s.view(l))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read lanes: %w", err)
	}
	return found, nil
}

// Ready returns references to the queued messages of a gateway in the order of
// their ids, after the given one; with 0, from the first that was not taken.
// more is false when these were the last.
func (s *Store) Ready(gateway string, after data.ID, limit int) (refs []data.Ref, more bool, err error) {
	err = s.queue(gateway, func(txn *badger.Txn, l *lane) error {
		from := max(behind(after), l.ready)
		prior := from - 1
		return scan(txn, runPrefix(l.number), runKey(l.number, from), func(k, v []byte) error {
			_, last, ok := parseRunKey(k)
			ids, err := decodeIDs(k, v)
			if err != nil {
				return err
			}
			if !ok || len(ids) == 0 || ids[len(ids)-1] != last {
				return damaged(k, "does not fit its key")
			}
			for _, id := range ids {
				if id < from {
					continue
				}
				if len(refs) == limit {
					more = true
					return errEnough
				}
				refs = append(refs, data.Ref{ID: id, Number: 1, Run: last, Prior: prior})
				prior = id
			}
			return nil
		})
	})
	return refs, more, err
}

// Waiting returns references to the waiting messages of a gateway in the order
// of their due times, after the given one; with a zero Ref, from the first.
func (s *Store) Waiting(gateway string, after data.Ref, limit int) (refs []data.Ref, more bool, err error) {
	err = s.queue(gateway, func(txn *badger.Txn, l *lane) error {
		from := waitingKey(l.number, l.head)
		if after.ID != 0 {
			from = waitingKey(l.number, place{after.Due, behind(after.ID)})
		}
		return scan(txn, waitingPrefix(l.number), from, func(k, v []byte) error {
			if len(refs) == limit {
				more = true
				return errEnough
			}
			_, p, ok := parseWaitingKey(k)
			number, err := decodeNumber(k, v)
			if err != nil {
				return err
			}
			if !ok {
				return damaged(k, "has a malformed key")
			}
			refs = append(refs, data.Ref{ID: p.id, Number: number, Due: p.due})
			return nil
		})
	})
	return refs, more, err
}

// queue runs read on the lane of a gateway as it is stored at one moment.
func (s *Store) queue(gateway string, read func(*badger.Txn, *lane) error) error {
	l := s.lane(gateway)
	if l == nil {
		return nil
	}
	err := s.read(func(txn *badger.Txn) error {
		stored, err := s.newReader(txn).lane(l.number)
		if err != nil {
			return err
		}
		return read(txn, stored)
	})
	if err != nil {
		return fmt.Errorf("read queue of %s: %w", gateway, err)
	}
	return nil
}
