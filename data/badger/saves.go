package badger

import (
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// save looks up the idempotency key and takes the save into the transaction.
// Ids are given when the transaction is complete: first to all events, so that
// these can be packed, then to the messages.
func (t *transaction) save(o *data.Save) error {
	if o.Key == nil {
		t.accept(o)
		return nil
	}
	if first := t.keys[o.Key.Key]; first != nil {
		if first.Key.Request != o.Key.Request {
			o.Err = data.ErrKeyReused
			return nil
		}
		t.again = append(t.again, o)
		return nil
	}
	known, found, err := readAnswered(t.txn, o.Key.Key)
	switch {
	case err != nil:
		return err
	case found && known.request != o.Key.Request:
		o.Err = data.ErrKeyReused
		return nil
	case found:
		o.First, o.Count, o.Repeated = known.first, known.messages(), true
		return nil
	}
	t.accept(o)
	return nil
}

// accept takes a save that is no repeat, unless a lane has no room for it. What is
// refused does not occupy its key.
func (t *transaction) accept(o *data.Save) {
	if !t.enqueue(o) {
		o.Err = data.ErrBacklog
		return
	}
	if o.Key != nil {
		t.keys[o.Key.Key] = o
	}
	t.saves = append(t.saves, o)
}

// enqueue counts the messages of a save, which are stored when the transaction is
// complete, against what their lanes may have. It is false, and counts nothing,
// when one of them is too many.
func (t *transaction) enqueue(o *data.Save) bool {
	for i, n := range o.Messages {
		t.accepted[n.Gateway]++
		if n.MaxQueue == 0 || t.open(n.Gateway) <= uint64(n.MaxQueue) {
			continue
		}
		for _, n := range o.Messages[:i+1] {
			t.accepted[n.Gateway]--
		}
		return false
	}
	return true
}

// open is how many messages of a gateway have an attempt to come or under way.
func (t *transaction) open(gateway string) uint64 {
	n := t.accepted[gateway]
	if l := t.s.lane(gateway); l != nil {
		n += l.open()
	}
	return n
}

func readAnswered(txn *badger.Txn, key [32]byte) (a answered, found bool, err error) {
	k := idempotencyKey(key)
	item, err := txn.Get(k)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return a, false, nil
	}
	if err != nil {
		return a, false, fmt.Errorf("read idempotency key: %w", err)
	}
	err = item.Value(func(v []byte) error {
		a, err = decodeAnswered(k, v)
		return err
	})
	return a, err == nil, err
}

// storeSaves writes the saves of the transaction.
func (t *transaction) storeSaves() error {
	first := t.marker.next
	for _, o := range t.saves {
		if len(o.Events) > 0 {
			o.First = t.marker.next
			t.marker.next += data.ID(len(o.Events))
		}
	}
	if err := t.storeEvents(first); err != nil {
		return err
	}
	for _, o := range t.saves {
		if err := t.storeMessages(o); err != nil {
			return err
		}
		if o.Key == nil {
			continue
		}
		k := idempotencyKey(o.Key.Key)
		e := badger.NewEntry(k, answered{first: o.First, count: o.Count, request: o.Key.Request}.encode(k))
		if err := t.write(e.WithTTL(data.KeyLife)); err != nil {
			return err
		}
	}
	return nil
}

// storeEvents packs the events of all saves, which have ids in a row from first on.
func (t *transaction) storeEvents(first data.ID) error {
	g := eventGroup{time: t.marker.time, received: t.marker.wall}
	last := first - 1
	events, size := t.s.events[:0], 0
	flush := func() error {
		if len(events) == 0 {
			return nil
		}
		k := eventsKey(last)
		err := t.set(k, g.encodeEvents(k, events, size))
		clear(events)
		events, size = events[:0], 0
		return err
	}
	for _, o := range t.saves {
		for _, e := range o.Events {
			if len(events) > 0 && size+len(e.Type)+len(e.Payload) > maxEventsValue {
				if err := flush(); err != nil {
					return err
				}
			}
			events = append(events, e)
			size += packedSize(e)
			last++
		}
	}
	err := flush()
	t.s.events = events
	return err
}

func (t *transaction) storeMessages(o *data.Save) error {
	if len(o.Events) == 0 && len(o.Messages) > 0 {
		o.First, o.Count = t.marker.next, len(o.Messages)
	}
	for i := range o.Messages {
		n := &o.Messages[i]
		m := data.Message{Text: n.Text, To: n.To, Title: n.Title, Params: n.Params}
		if n.Event > 0 {
			m.Event = o.First + data.ID(n.Event-1)
		}
		if n.ExpiresIn > 0 {
			t.expireIn(&m, n.ExpiresIn)
		}
		if err := t.queue(t.s.laneOf(n.Gateway), m); err != nil {
			return err
		}
	}
	return nil
}

// expireIn says how long a new message is wanted.
func (t *transaction) expireIn(m *data.Message, left time.Duration) {
	m.Expires = t.marker.time.Add(left)
	m.ExpiresAt = t.marker.wall.Add(left).Truncate(time.Millisecond) // as it is stored
}

// queue stores a new message at the end of a lane's queue.
func (t *transaction) queue(l *lane, n data.Message) error {
	m := &message{Message: n, lane: l.number}
	size := m.contentSize()
	m.long = m.where(size)
	m.ID, m.AcceptedAt, m.State = t.marker.next, t.marker.wall, data.Queued
	t.marker.next++
	if m.long != inline {
		k := textKey(m.ID)
		if err := t.set(k, m.encodeContent(k, size)); err != nil {
			return err
		}
	}
	c := t.touch(l)
	c.run = append(c.run, m.ID)
	l.counts[data.Queued]++
	t.s.fresh.put(m)
	return t.storeMessage(m)
}
