package badger

import (
	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// resend sends dead letters again, all in one transaction or none.
func (w *writer) resend(o *data.Resend) error {
	o.Resent, o.Err = nil, nil
	switch {
	case w.s.low.Load():
		o.Err = data.ErrNoSpace
		return nil
	case len(o.IDs) > data.MaxResend:
		o.Err = data.ErrTooLarge
		return nil
	}
	found, err := w.letters(o.IDs)
	if err != nil {
		return err
	}
	ok, err := w.room(func(t *transaction) (c cost) {
		for _, r := range found {
			if r.m != nil && r.m.State.Dead() {
				c = c.plus(resendPrice(r.size)).plus(t.lanePrice(r.lane.gateway))
			}
		}
		return c
	})
	if err != nil {
		return err
	}
	if !ok {
		o.Err = data.ErrTooLarge
		return nil
	}
	o.Resent = make([]data.Resent, len(o.IDs))
	for i, r := range found {
		o.Resent[i].Old = o.IDs[i]
		if err := w.t.resend(&o.Resent[i], r); err != nil {
			return err
		}
	}
	return nil
}

// letter is a message to send again; m is nil when there is none.
type letter struct {
	m    *message
	lane *lane
	size int // of its content and expiry
}

func (w *writer) letters(ids []data.ID) ([]letter, error) {
	found := make([]letter, len(ids))
	for i, id := range ids {
		m, err := w.t.load(id)
		if err != nil {
			return nil, err
		}
		if m == nil {
			continue
		}
		l, err := w.s.laneOfMessage(m)
		if err != nil {
			return nil, err
		}
		size, err := textSize(w.t.txn, m)
		if err != nil {
			return nil, err
		}
		if m.Expires != 0 {
			size += expiryBytes
		}
		found[i] = letter{m, l, size}
	}
	return found, nil
}

// textSize bounds the size of content without loading it: a thousand long ones
// would not fit into memory, nor into a transaction.
func textSize(txn *badger.Txn, m *message) (int, error) {
	if m.long == inline {
		return m.contentSize(), nil
	}
	item, err := textItem(txn, m.ID)
	if err != nil {
		return 0, err
	}
	return max(int(item.ValueSize()), inlineText+1), nil // contentSize, which said that it is long, is a bound
}

// resend queues a dead letter as a new message, unless that was done already: by
// the same Resend, it may be, when that names it twice. One that is still wanted for
// a time is wanted no longer as a new message; one that is not has been asked for
// again, and does not expire.
func (t *transaction) resend(r *data.Resent, old letter) error {
	if old.m == nil {
		r.Err = data.ErrNotFound
		return nil
	}
	r.Gateway = old.lane.gateway
	if err := readResent(t.txn, old.m); err != nil {
		return err
	}
	r.Err = old.m.Resend(t.marker.next)
	r.New = old.m.ResentAs
	if r.Err != nil {
		return nil
	}
	if err := readText(t.txn, old.m); err != nil {
		return err
	}
	k := resentKey(old.m.ID)
	if err := t.set(k, encodeResent(k, r.New)); err != nil {
		return err
	}
	m := old.m
	again := data.Message{Text: m.Text, To: m.To, Title: m.Title, Params: m.Params, Event: m.Event, ResendOf: m.ID}
	if left := t.left(m); m.Expires != 0 && left > 0 {
		t.expireIn(&again, left)
	}
	n, err := t.storeNew(old.lane, again)
	if err == nil {
		t.queue(old.lane, n)
	}
	return err
}
