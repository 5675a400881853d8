package badger

import (
	"errors"
	"time"

	"github.com/postrider/postrider/data"
)

// maxFlying bounds a lane's record, which has to stay below valueThreshold. What
// is claimed beyond it is not granted.
const maxFlying = 8192

// Apply commits the batch and fills in its answers. The whole of it is on disk
// when Apply returns nil. A large batch takes several transactions, but a Save, a
// Resend, a Settle or a Cancel is never half done. After an error, a [data.ErrStorage],
// nobody knows which parts are stored and the store takes nothing more.
func (s *Store) Apply(b *data.Batch) error {
	if err := s.Err(); err != nil {
		return err
	}
	if len(b.Saves)+len(b.Resends)+len(b.Declares) > 0 {
		s.watchSpace()
	}
	began := time.Now()
	defer func() { s.busy.Add(int64(time.Since(began))) }()
	if err := s.relied(func() error { return s.newWriter().apply(b) }); err != nil {
		return s.fail(err)
	}
	return nil
}

// writer puts the operations of a batch into transactions: each into the one in
// the making if it has room, else into a new one.
type writer struct {
	s       *Store
	t       *transaction
	allow   func(gateway string) *data.Allowance
	arrived []data.Arrival
}

func (s *Store) newWriter() *writer { return &writer{s: s, t: s.begin()} }

func (w *writer) apply(b *data.Batch) error {
	w.allow, w.t.allow = b.Allow, b.Allow
	defer func() { w.t.txn.Discard() }()
	err := each(b.Settles, w.settle)
	if err == nil {
		err = each(b.Pauses, w.pause)
	}
	if err == nil {
		err = each(b.Declares, w.declare)
	}
	if err == nil {
		err = each(b.Begins, w.beginAttempts)
	}
	if err == nil {
		err = each(b.Cancels, w.cancel)
	}
	if err == nil {
		err = each(b.Resends, w.resend)
	}
	if err == nil {
		err = each(b.Saves, w.save)
	}
	if err == nil && b.Prune != nil {
		err = w.prune(b.Prune)
	}
	if err == nil {
		err = w.commit()
	}
	b.Arrived = w.arrived
	return err
}

func (w *writer) commit() error {
	err := w.t.commit()
	w.arrived = append(w.arrived, w.t.arrived...)
	return err
}

// each applies operations in their order until one fails.
func each[T any](operations []*T, apply func(*T) error) error {
	for _, o := range operations {
		if err := apply(o); err != nil {
			return err
		}
	}
	return nil
}

// room makes room for an operation of the price that a transaction asks for it.
// It is false when the operation is too large for any.
func (w *writer) room(price func(*transaction) cost) (bool, error) {
	if w.t.take(price(w.t)) {
		return true, nil
	}
	if err := w.commit(); err != nil {
		return false, err
	}
	w.t = w.s.begin()
	w.t.allow = w.allow
	if w.t.take(price(w.t)) {
		return true, nil
	}
	clear(w.t.priced) // by the price that was not taken
	return false, nil
}

// must is room for operations whose size is bounded.
func (w *writer) must(price func(*transaction) cost) error {
	ok, err := w.room(price)
	if err == nil && !ok {
		return errors.New("an operation does not fit into one transaction")
	}
	return err
}

func (w *writer) settle(o *data.Settle) error {
	err := w.must(func(t *transaction) cost {
		c := cost{entries: 2, bytes: 2*entryBytes + messageBytes + attemptBytes + answerPrice(o.Result.Answer)}
		if m := w.s.flights[o.ID]; m != nil {
			c.bytes += m.stateBytes()
		}
		return c.plus(t.lanePrice(o.Gateway))
	})
	if err != nil {
		return err
	}
	return w.t.settle(o)
}

// pause makes the lane when there is none: a gateway can be paused before it gets
// its first message.
func (w *writer) pause(o *data.Pause) error {
	if l := w.s.lane(o.Gateway); l == nil && !o.Paused || l != nil && l.paused == o.Paused {
		return nil
	}
	if err := w.must(func(t *transaction) cost { return t.lanePrice(o.Gateway) }); err != nil {
		return err
	}
	l := w.s.laneOf(o.Gateway)
	w.t.touch(l)
	l.paused = o.Paused
	return nil
}

// beginAttempts grants what may be sent of the claims.
func (w *writer) beginAttempts(o *data.Begin) error {
	o.Granted, o.Standing, o.GivenUp, o.Overdue, o.Closed = nil, nil, nil, nil, data.Closed{}
	l := w.s.lane(o.Gateway)
	if l == nil {
		return nil
	}
	if l.closed(w.t.marker.time) {
		o.Closed = data.Closed{Paused: l.paused, Held: l.held}
		for _, c := range o.Claims {
			o.Standing = append(o.Standing, c.Ref)
		}
		return nil
	}
	for _, c := range o.Claims {
		err := w.must(func(t *transaction) cost {
			return t.lanePrice(o.Gateway).plus(claimPrice(c))
		})
		if err != nil {
			return err
		}
		overdue, err := w.t.claim(o, l, c)
		if err == nil && overdue != nil {
			err = w.expire(o, l, overdue, c.Ref)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// expire makes room for a message that ends, which no price of a claim covers:
// claims are many and few of them find one.
func (w *writer) expire(o *data.Begin, l *lane, m *message, r data.Ref) error {
	err := w.must(func(t *transaction) cost {
		return t.lanePrice(l.gateway).plus(cost{entries: 3, bytes: 3*entryBytes + messageBytes + m.stateBytes()})
	})
	if err != nil {
		return err
	}
	return w.t.expire(o, l, m, r)
}

func (w *writer) cancel(o *data.Cancel) error {
	m, err := w.t.load(o.ID)
	if err != nil {
		return err
	}
	if m == nil {
		o.Err = data.ErrNotFound
		return nil
	}
	l, err := w.s.laneOfMessage(m)
	if err != nil {
		return err
	}
	err = w.must(func(t *transaction) cost {
		return t.lanePrice(l.gateway).plus(cost{entries: 3, bytes: 3*entryBytes + messageBytes + m.stateBytes()})
	})
	if err != nil {
		return err
	}
	return w.t.cancel(o, l, m)
}

func (w *writer) save(o *data.Save) error {
	if o.Err = w.s.refusal(o); o.Err != nil {
		return nil
	}
	ok, err := w.room(func(t *transaction) cost { return t.savePrice(o) })
	if err != nil {
		return err
	}
	if !ok {
		o.Err = data.ErrTooLarge
		return nil
	}
	return w.t.save(o)
}

// refusal says why a Save cannot be stored at all.
func (s *Store) refusal(o *data.Save) error {
	if s.low.Load() {
		return data.ErrNoSpace
	}
	for _, e := range o.Events {
		if len(e.Type)+len(e.Payload)+1024 > valueThreshold {
			return data.ErrTooLarge
		}
	}
	for i := range o.Messages {
		if newSize(&o.Messages[i])+1024 > valueThreshold {
			return data.ErrTooLarge
		}
	}
	return nil
}
