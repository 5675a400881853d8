package badger

import (
	"fmt"
	"math"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// maxPassed is how many messages that were taken back may stand before the first
// one of a queue that Oldest finds. They stay in it until the lane comes to them.
const maxPassed = 64

// first returns an id that no message of the lane has a smaller one than, of those
// with an attempt to come or under way; 0 when there are none. A message that waits
// counts by the place of the next one that is due.
func (l *lane) first() data.ID {
	id := data.ID(math.MaxUint64)
	if l.counts[data.Queued] > 0 {
		id = min(id, l.ready)
	}
	if l.counts[data.Waiting] > 0 {
		id = min(id, l.head.id)
	}
	for _, f := range l.flying {
		id = min(id, f.ID)
	}
	if l.open() == 0 {
		return 0
	}
	return id
}

// Oldest returns when the message was accepted that is first in line at a gateway:
// the oldest of the first one that is queued, the next one that is due and those
// under way. It is zero when there is none. It looks at a few records, however
// many messages there are.
func (s *Store) Oldest(gateway string) (at time.Time, err error) {
	err = s.queue(gateway, func(txn *badger.Txn, l *lane) error {
		first, err := firstInLine(txn, l)
		if err != nil || first == nil {
			return err
		}
		at = first.AcceptedAt
		return nil
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("find the oldest message: %w", err)
	}
	return at, nil
}

// firstInLine returns the message, nil when there is none.
func firstInLine(txn *badger.Txn, l *lane) (*message, error) {
	var oldest *message
	consider := func(id data.ID) (open bool, err error) {
		m, err := readMessage(txn, id)
		if err != nil {
			return false, err
		}
		if m == nil {
			return false, damaged(messageKey(id), "is missing, a queue names it")
		}
		if m.State.Final() {
			return false, nil
		}
		if oldest == nil || m.ID < oldest.ID {
			oldest = m
		}
		return true, nil
	}
	for i, f := range l.flying {
		if i == maxPassed {
			break
		}
		if _, err := consider(f.ID); err != nil {
			return nil, err
		}
	}
	if l.counts[data.Queued] > 0 {
		if err := firstQueued(txn, l, consider); err != nil {
			return nil, err
		}
	}
	if l.counts[data.Waiting] > 0 {
		if err := firstWaiting(txn, l, consider); err != nil {
			return nil, err
		}
	}
	return oldest, nil
}

// firstQueued considers the messages of a queue until one is open.
func firstQueued(txn *badger.Txn, l *lane, consider func(data.ID) (bool, error)) error {
	passed := 0
	return scan(txn, runPrefix(l.number), runKey(l.number, l.ready), func(k, v []byte) error {
		ids, err := decodeIDs(k, v)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if id < l.ready {
				continue
			}
			open, err := consider(id)
			if err != nil {
				return err
			}
			if passed++; open || passed == maxPassed {
				return errEnough
			}
		}
		return nil
	})
}

// firstWaiting considers the message that is due next.
func firstWaiting(txn *badger.Txn, l *lane, consider func(data.ID) (bool, error)) error {
	return scan(txn, waitingPrefix(l.number), waitingKey(l.number, l.head), func(k, _ []byte) error {
		_, p, ok := parseWaitingKey(k)
		if !ok {
			return damaged(k, "has a malformed key")
		}
		if _, err := consider(p.id); err != nil {
			return err
		}
		return errEnough
	})
}
