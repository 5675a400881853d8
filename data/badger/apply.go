package badger

import (
	"errors"

	"github.com/postrider/postrider/data"
)

// maxFlying bounds a lane's record, which has to stay below valueThreshold. What
// is claimed beyond it is not granted.
const maxFlying = 8192

// Apply commits the batch and fills in its answers. The whole of it is on disk
// when Apply returns nil. A large batch takes several transactions, but a Save, a
// Settle or a Cancel is never half done. After an error, a [data.ErrStorage],
// nobody knows which parts are stored and the store takes nothing more.
func (s *Store) Apply(b *data.Batch) error {
	if err := s.Err(); err != nil {
		return err
	}
	if len(b.Saves) > 0 {
		s.watchSpace()
	}
	if err := s.apply(b); err != nil {
		return s.fail(err)
	}
	return nil
}

func (s *Store) apply(b *data.Batch) error {
	w := &writer{s: s, t: s.begin()}
	defer func() { w.t.txn.Discard() }()
	for _, o := range b.Settles {
		if err := w.settle(o); err != nil {
			return err
		}
	}
	for _, o := range b.Begins {
		if err := w.beginAttempts(o); err != nil {
			return err
		}
	}
	for _, o := range b.Cancels {
		if err := w.cancel(o); err != nil {
			return err
		}
	}
	for _, o := range b.Saves {
		if err := w.save(o); err != nil {
			return err
		}
	}
	return w.t.commit()
}

// writer puts the operations of a batch into transactions: each into the one in
// the making if it has room, else into a new one.
type writer struct {
	s *Store
	t *transaction
}

// room makes room for an operation of the price that a transaction asks for it.
// It is false when the operation is too large for any.
func (w *writer) room(price func(*transaction) cost) (bool, error) {
	if w.t.take(price(w.t)) {
		return true, nil
	}
	if err := w.t.commit(); err != nil {
		return false, err
	}
	w.t = w.s.begin()
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
		c := cost{entries: 2, bytes: 2*entryBytes + messageBytes + attemptBytes}
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

// beginAttempts grants what may be sent of the claims.
func (w *writer) beginAttempts(o *data.Begin) error {
	o.Granted = nil
	l := w.s.lane(o.Gateway)
	if l == nil {
		return nil
	}
	for _, c := range o.Claims {
		err := w.must(func(t *transaction) cost {
			return t.lanePrice(o.Gateway).plus(claimPrice(c))
		})
		if err != nil {
			return err
		}
		if err := w.t.claim(o, l, c); err != nil {
			return err
		}
	}
	return nil
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
	l := w.s.laneNumbered(m.lane)
	if l == nil {
		return damaged(messageKey(o.ID), "names a lane that is not there")
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
	for _, m := range o.Messages {
		if len(m.Text)+1024 > valueThreshold {
			return data.ErrTooLarge
		}
	}
	return nil
}
