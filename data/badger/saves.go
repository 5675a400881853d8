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
		if err := t.enter(t.s.laneOf(n.Gateway), m); err != nil {
			return err
		}
	}
	return nil
}

// enter stores a new message and begins its first attempt if that is allowed, else
// queues it.
func (t *transaction) enter(l *lane, n data.Message) error {
	m, err := t.storeNew(l, n)
	if err != nil {
		return err
	}
	a := t.allowance(l)
	if a == nil {
		t.queue(l, m)
		return nil
	}
	c := data.Claim{Ref: data.Ref{ID: m.ID, Number: 1}, Policy: a.Policy, Timeout: a.Timeout}
	if err := t.beginAttempt(l, m, c); err != nil {
		return err
	}
	l.ready = m.ID + 1 // nothing is queued, and nobody looks for this one in the queue
	t.touch(l).begun = append(t.touch(l).begun, data.Begun{Granted: t.grant(l, m, c), Allowance: a})
	m.unload()
	return nil
}

// allowance is under what the first attempt of a new message of a lane begins; nil
// when it is to be queued, as it must be behind any other. What no price covered begins only
// while there is room for it.
func (t *transaction) allowance(l *lane) *data.Allowance {
	switch {
	case t.allow == nil, !l.passed(), len(t.touch(l).run) > 0, l.closed(t.marker.time), len(l.flying) >= maxFlying:
		return nil
	case !t.take(cost{bytes: inFlightBytes}):
		return nil
	}
	return t.allow(l.gateway)
}

// expireIn says how long a new message is wanted.
func (t *transaction) expireIn(m *data.Message, left time.Duration) {
	m.Expires = t.marker.time.Add(left)
	m.ExpiresAt = t.marker.wall.Add(left).Truncate(time.Millisecond) // as it is stored
}

// storeNew stores a new message, which has no place yet.
func (t *transaction) storeNew(l *lane, n data.Message) (*message, error) {
	m := &message{Message: n, lane: l.number}
	size := m.contentSize()
	m.long = m.where(size)
	m.ID, m.AcceptedAt, m.State = t.marker.next, t.marker.wall, data.Queued
	t.marker.next++
	if m.long != inline {
		k := textKey(m.ID)
		if err := t.set(k, m.encodeContent(k, size)); err != nil {
			return nil, err
		}
	}
	l.counts[data.Queued]++
	return m, t.storeMessage(m)
}

// queue puts a new message at the end of a lane's queue.
func (t *transaction) queue(l *lane, m *message) {
	c := t.touch(l)
	c.run = append(c.run, m.ID)
	t.s.fresh.put(m)
}
