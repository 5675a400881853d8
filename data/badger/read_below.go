package badger

import (
	"fmt"
	"math"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// MessagesBelow returns the messages below an id, the newest first, and below which id to
// go on; 0 when these were the last. Below 0 means from the newest on. There may be fewer
// than limit, even none, while there are more.
func (s *Store) MessagesBelow(id data.ID, limit int) (found []data.Message, next data.ID, err error) {
	return s.messagesBelow(id, limit, maxExamined)
}

// messagesBelow is MessagesBelow looking at no more than most records.
func (s *Store) messagesBelow(id data.ID, limit, most int) (found []data.Message, next data.ID, err error) {
	p := &pager{query: data.MessageQuery{Limit: limit}, most: most}
	low := orGreatest(id)
	err = s.read(func(txn *badger.Txn) error {
		p.reader = s.newReader(txn)
		return walkBack(txn, prefixMessage, low-1, func(at data.ID, item *badger.Item) error {
			if !p.next() {
				next = low
				return errEnough
			}
			low = at
			return p.addItem(item)
		})
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read messages: %w", err)
	}
	return p.page.Messages, next, nil
}

// orGreatest is an id to go below, the greatest for 0. No record has that one.
func orGreatest(id data.ID) data.ID {
	if id == 0 {
		return math.MaxUint64
	}
	return id
}

// EventsBelow returns the events of a type below an id, the newest first, and below which
// id to go on; 0 when these were the last. Below 0 means from the newest on, and the type
// "" all. There may be fewer than limit, even none, while there are more.
func (s *Store) EventsBelow(id data.ID, kind string, limit int) (found []data.Event, next data.ID, err error) {
	return s.eventsBelow(id, kind, limit, maxExamined)
}

// eventsBelow is EventsBelow looking at no more than most events.
func (s *Store) eventsBelow(id data.ID, kind string, limit, most int) (found []data.Event, next data.ID, err error) {
	d := &descent{kind: kind, limit: limit, most: most, low: orGreatest(id)}
	first := data.ID(s.firstEvent.Load())
	err = s.read(func(txn *badger.Txn) error {
		from := d.low - 1
		if err := d.middle(txn); err != nil || d.more {
			return err
		}
		return walkBack(txn, prefixEvents, from, func(last data.ID, item *badger.Item) error {
			if last < first { // from here down all are deleted
				return errEnough
			}
			return d.group(last, item)
		})
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read events: %w", err)
	}
	if d.more {
		next = d.low
	}
	return d.found, next, nil
}

// descent collects a page of events on the way down.
type descent struct {
	kind  string
	limit int
	most  int // how many may be examined

	found    []data.Event
	low      data.ID // what is to come is below
	examined int
	size     int  // of what was found
	read     int  // bytes
	more     bool // the page is full, and there may be something below low
}

// full stops before the next event.
func (d *descent) full() bool {
	d.more = len(d.found) >= d.limit || d.examined >= d.most || d.size >= maxPageBytes
	d.examined++
	return d.more
}

// middle takes from a group that the page begins in the middle of. A group is under its
// last id, so it is the first one from there on, whatever became of it, or none.
func (d *descent) middle(txn *badger.Txn) error {
	return walk(txn, prefixEvents, d.low, func(_ data.ID, item *badger.Item) error {
		if item != nil {
			if err := d.take(item); err != nil {
				return err
			}
		}
		return errEnough
	})
}

// group takes all of a group, nil for one that was deleted.
func (d *descent) group(last data.ID, item *badger.Item) error {
	if item == nil {
		if d.full() {
			return errEnough
		}
		d.low = last
		return nil
	}
	if d.more = d.read >= maxReadBytes; d.more {
		return errEnough
	}
	return d.take(item)
}

// take takes the events of a group that are below, from the last one down.
func (d *descent) take(item *badger.Item) error {
	return item.Value(func(v []byte) error {
		d.read += len(v)
		g, err := decodeEvents(item.Key(), v)
		if err != nil {
			return err
		}
		var kinds, payloads [][]byte // which are only found from the first one up
		err = g.each(g.first, func(id data.ID, kind, payload []byte) bool {
			if id >= d.low {
				return false
			}
			kinds, payloads = append(kinds, kind), append(payloads, payload)
			return true
		})
		if err != nil {
			return err
		}
		for i, kind := range slices.Backward(kinds) {
			if d.full() {
				return errEnough
			}
			d.low = g.first + data.ID(i)
			if d.kind == "" || d.kind == string(kind) {
				d.size += len(kind) + len(payloads[i])
				d.found = append(d.found, data.Event{ID: d.low, Type: string(kind), Payload: string(payloads[i]), ReceivedAt: g.received})
			}
		}
		return nil
	})
}
