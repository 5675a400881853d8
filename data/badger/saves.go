package badger

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// save looks up the idempotency key and takes the save into the transaction.
// Ids are given when the transaction is complete: first to all events, so that
// these can be packed, then to the messages.
func (t *transaction) save(o *data.Save) error {
	if o.Key == nil {
		t.saves = append(t.saves, o)
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
	known, found, err := t.answered(o.Key.Key)
	switch {
	case err != nil:
		return err
	case found && known.request != o.Key.Request:
		o.Err = data.ErrKeyReused
		return nil
	case found:
		o.First, o.Repeated = known.first, true
		return nil
	}
	if t.keys == nil {
		t.keys = make(map[[32]byte]*data.Save)
	}
	t.keys[o.Key.Key] = o
	t.saves = append(t.saves, o)
	return nil
}

func (t *transaction) answered(key [32]byte) (a answered, found bool, err error) {
	k := idempotencyKey(key)
	item, err := t.txn.Get(k)
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
	for _, o := range t.saves {
		if len(o.Events) > 0 {
			o.First = t.marker.next
			t.marker.next += data.ID(len(o.Events))
		}
	}
	if err := t.storeEvents(); err != nil {
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
		e := badger.NewEntry(k, answered{first: o.First, request: o.Key.Request}.encode(k))
		if err := t.write(e.WithTTL(data.KeyLife)); err != nil {
			return err
		}
	}
	return nil
}

// storeEvents packs the events of all saves, which have ids in a row.
func (t *transaction) storeEvents() error {
	g := eventGroup{received: t.marker.wall}
	last := t.s.newest.next - 1
	flush := func() error {
		if g.count == 0 {
			return nil
		}
		k := eventsKey(last)
		err := t.set(k, g.encode(k))
		g.count, g.packed = 0, nil
		return err
	}
	for _, o := range t.saves {
		for _, e := range o.Events {
			if g.count > 0 && len(g.packed)+len(e.Type)+len(e.Payload) > maxEventsValue {
				if err := flush(); err != nil {
					return err
				}
			}
			g.packed = appendEvent(g.packed, e)
			g.count++
			last++
		}
	}
	return flush()
}

func (t *transaction) storeMessages(o *data.Save) error {
	for i, n := range o.Messages {
		l := t.s.laneOf(n.Gateway)
		m := &message{
			Message: data.Message{ID: t.marker.next, Text: n.Text, AcceptedAt: t.marker.wall, State: data.Queued},
			lane:    l.number,
			long:    len(n.Text) > inlineText,
		}
		t.marker.next++
		if i == 0 && len(o.Events) == 0 {
			o.First = m.ID
		}
		if n.Event > 0 {
			m.Event = o.First + data.ID(n.Event-1)
		}
		if m.long {
			k := textKey(m.ID)
			if err := t.set(k, seal(k, append(newRecord(len(n.Text)), n.Text...))); err != nil {
				return err
			}
		}
		if err := t.storeMessage(m); err != nil {
			return err
		}
		c := t.touch(l)
		c.run = append(c.run, m.ID)
		l.counts[data.Queued]++
	}
	return nil
}
