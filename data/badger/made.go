package badger

import (
	"fmt"
	"math"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// Made returns the messages that routes made of an event, in the order of their ids, and
// whether there may be more than those. They are found by their place: the commit that
// accepted the event gave ids to all its events first, and then to all its messages.
func (s *Store) Made(event data.ID, limit int) (found []data.Message, more bool, err error) {
	return s.made(event, limit, maxExamined)
}

// made is Made looking at no more than most messages.
func (s *Store) made(event data.ID, limit, most int) (found []data.Message, more bool, err error) {
	if event < data.ID(s.firstEvent.Load()) { // a scan would pass all that was deleted
		return nil, false, nil
	}
	p := &pager{query: data.MessageQuery{Limit: limit}, most: most}
	err = s.read(func(txn *badger.Txn) error {
		p.reader = s.newReader(txn)
		a, err := accompanied(txn, event)
		if err != nil {
			return err
		}
		return walk(txn, prefixMessage, a.from, func(id data.ID, item *badger.Item) error {
			if id >= a.before {
				return errEnough
			}
			if more = !p.next(); more {
				return errEnough
			}
			if item == nil {
				return nil
			}
			return item.Value(func(v []byte) error {
				m, err := decodeMessage(item.Key(), v)
				switch {
				case err != nil:
					return err
				case !m.AcceptedAt.Equal(a.at): // by a later commit
					return errEnough
				case m.Event != event || m.ResendOf != 0:
					return nil
				}
				return p.add(m, 0)
			})
		})
	})
	if err != nil {
		return nil, false, fmt.Errorf("read messages of an event: %w", err)
	}
	return p.page.Messages, more, nil
}

// company is where the messages are that one commit accepted with events.
type company struct {
	from, before data.ID
	at           time.Time // of their acceptance
}

// accompanied finds what was accepted with an event: behind the last group of its commit,
// and before the first of another. It is empty when there is no such event.
func accompanied(txn *badger.Txn, event data.ID) (a company, err error) {
	var commit data.StoreTime
	err = scan(txn, []byte{prefixEvents}, eventsKey(event), func(k, v []byte) error {
		g, err := decodeEvents(k, v)
		switch {
		case err != nil:
			return err
		case a.from == 0 && event < g.first:
			return errEnough
		case a.from == 0:
			commit, a.at, a.before = g.time, g.received, math.MaxUint64
		case g.time != commit:
			a.before = g.first
			return errEnough
		}
		a.from = g.first + data.ID(g.count)
		return nil
	})
	return a, err
}
