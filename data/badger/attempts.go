package badger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// load reads a message within the transaction, or takes it from memory when an
// attempt is under way or it was just accepted. It returns nil when there is none of that id.
func (t *transaction) load(id data.ID) (*message, error) {
	if m := t.s.flights[id]; m != nil {
		return m, nil
	}
	if m := t.s.fresh.take(id); m != nil {
		return m, nil
	}
	return readMessage(t.txn, id)
}

func readMessage(txn *badger.Txn, id data.ID) (*message, error) {
	k := messageKey(id)
	item, err := txn.Get(k)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read message %s: %w", id, err)
	}
	var m *message
	err = item.Value(func(v []byte) error {
		m, err = decodeMessage(k, v)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read message %s: %w", id, err)
	}
	return m, nil
}

// readText loads the content of a message that has it in a record of its own.
func readText(txn *badger.Txn, m *message) error {
	if m.long == inline || m.contentSize() > 0 {
		return nil
	}
	item, err := textItem(txn, m.ID)
	if err != nil {
		return err
	}
	return item.Value(func(v []byte) error { return m.decodeContent(textKey(m.ID), v) })
}

// errNoText is a [data.ErrDamaged].
var errNoText = fmt.Errorf("a text is missing, its message is there: %w", data.ErrDamaged)

// textItem finds the text of a message that has it in a record of its own.
func textItem(txn *badger.Txn, id data.ID) (*badger.Item, error) {
	item, err := txn.Get(textKey(id))
	if errors.Is(err, badger.ErrKeyNotFound) {
		err = errNoText
	}
	if err != nil {
		return nil, fmt.Errorf("read text of message %s: %w", id, err)
	}
	return item, nil
}

// readResent finds out whether a dead letter was sent again.
func readResent(txn *badger.Txn, m *message) error {
	if !m.State.Dead() {
		return nil
	}
	k := resentKey(m.ID)
	item, err := txn.Get(k)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read what message %s was sent again as: %w", m.ID, err)
	}
	return item.Value(func(v []byte) error {
		m.ResentAs, err = decodeResent(k, v)
		return err
	})
}

func (t *transaction) storeMessage(m *message) error {
	k := messageKey(m.ID)
	return t.set(k, m.encode(k))
}

// claim grants one attempt if it may be sent. A message that is not wanted any
// more is returned instead, to be ended with expire.
func (t *transaction) claim(o *data.Begin, l *lane, c data.Claim) (overdue *message, err error) {
	m, err := t.load(c.Ref.ID)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, t.checkGone(l, c.Ref)
	}
	if m.lane != l.number {
		return nil, nil //nolint:nilnil // none is overdue
	}
	if m.State == data.Waiting && c.Ref.Number == m.NextNumber() && c.Ref.Number > c.Policy.MaxAttempts {
		o.GivenUp = append(o.GivenUp, m.ID)
		return nil, t.giveUp(l, m)
	}
	if t.stands(l, m, c) {
		o.Standing = append(o.Standing, c.Ref)
		return nil, nil //nolint:nilnil // the same
	}
	if m.Expires != 0 && c.Ref.Number == m.NextNumber() && (m.State == data.Queued || m.State == data.Waiting) && t.left(m) <= 0 {
		return m, nil
	}
	err = t.beginAttempt(l, m, c)
	if err != nil && !errors.Is(err, data.ErrConflict) {
		return nil, err
	}
	if err == nil {
		o.Granted = append(o.Granted, t.grant(l, m, c))
		m.unload() // not kept while the attempt is under way
	}
	if m.State == data.Queued {
		return nil, nil //nolint:nilnil // claimed with a number that it does not have
	}
	return nil, t.passReady(l, c.Ref)
}

// left is how long a message that expires is still wanted. Store time stood still
// when the store was opened in doubt: for what was accepted before, the wall clock
// counts as well, which went on.
func (t *transaction) left(m *message) time.Duration {
	left := m.Expires.Sub(t.marker.time)
	if m.ID < t.s.doubtful {
		left = min(left, m.ExpiresAt.Sub(t.marker.wall))
	}
	return left
}

// expire ends a message that claim found not to be wanted any more.
func (t *transaction) expire(o *data.Begin, l *lane, m *message, r data.Ref) error {
	from, due := m.State, m.Due
	if err := m.Expire(); err != nil {
		return err
	}
	o.Overdue = append(o.Overdue, data.Ended{ID: m.ID, State: m.State})
	l.move(from, m.State)
	t.end(l, m.State, m.ID)
	if err := t.storeMessage(m); err != nil {
		return err
	}
	if from == data.Waiting {
		return t.leave(l, place{due, m.ID})
	}
	return t.passReady(l, r)
}

// stands reports whether an attempt may begin, but not now: before its time, or
// out of turn. The queue is taken in order, or its head would stay behind.
func (t *transaction) stands(l *lane, m *message, c data.Claim) bool {
	switch {
	case m.State == data.Queued && c.Ref.Number == 1:
		return len(l.flying) >= maxFlying || c.Ref.Prior >= max(l.ready, 1)
	case m.State == data.Waiting && c.Ref.Number == m.NextNumber():
		return len(l.flying) >= maxFlying || t.marker.time < m.Due || t.tooEarly(c)
	}
	return false
}

// checkGone is called for a reference to a message that is not there. It ended, was
// kept for its time and deleted; a lane may hold a reference for longer. But what a
// queue still names must be there.
func (t *transaction) checkGone(l *lane, r data.Ref) error {
	named := r.ID >= l.ready
	if r.Run == 0 {
		_, err := t.txn.Get(waitingKey(l.number, place{r.Due, r.ID}))
		if err != nil && !errors.Is(err, badger.ErrKeyNotFound) {
			return fmt.Errorf("look for message %s in its queue: %w", r.ID, err)
		}
		named = err == nil
	}
	if named {
		return damaged(messageKey(r.ID), "is missing, a queue names it")
	}
	return nil
}

// grant is the answer to a claim. Whoever sends the message goes by its end, so that
// is the one which counts here.
func (t *transaction) grant(l *lane, m *message, c data.Claim) data.Granted {
	g := data.Granted{Message: m.Message, Number: c.Ref.Number, Began: t.marker.time}
	if m.Expires != 0 {
		g.Message.Expires = t.marker.time.Add(t.left(m))
	}
	g.Message.Gateway = l.gateway
	g.Message.Attempts = slices.Clip(m.Attempts) // settling appends to it
	return g
}

// giveUp ends a waiting message whose gateway was given a smaller number of
// attempts since.
func (t *transaction) giveUp(l *lane, m *message) error {
	from := place{m.Due, m.ID}
	if err := m.GiveUp(); err != nil {
		return err
	}
	if err := t.leave(l, from); err != nil {
		return err
	}
	l.move(data.Waiting, data.Failed)
	t.end(l, data.Failed, m.ID)
	return t.storeMessage(m)
}

// tooEarly holds back what was waiting when the store was last opened in doubt.
func (t *transaction) tooEarly(c data.Claim) bool {
	at, ever := t.s.Doubted()
	return ever && t.marker.time < at.Add(c.Policy.Interval)
}

func (t *transaction) beginAttempt(l *lane, m *message, c data.Claim) error {
	from, due := m.State, m.Due
	if err := m.Begin(c.Ref.Number, t.marker.time); err != nil {
		return err
	}
	if err := readText(t.txn, m); err != nil {
		return err
	}
	t.touch(l)
	l.move(from, data.Sending)
	l.began = t.marker.time
	l.flying = append(l.flying, data.InFlight{
		ID: m.ID, Number: c.Ref.Number, Began: t.marker.time, BeganAt: t.marker.wall, Policy: c.Policy, Timeout: c.Timeout,
	})
	t.s.flights[m.ID] = m
	if from == data.Queued {
		return nil
	}
	return t.leave(l, place{due, m.ID})
}

// leave takes a message out of the waiting queue.
func (t *transaction) leave(l *lane, p place) error {
	if c := t.touch(l); c.left.before(p) {
		c.left = p
	}
	return t.delete(waitingKey(l.number, p))
}

// passReady moves the head of the ready queue behind a reference to a message
// that is not queued any more: taken now or before, or cancelled. With its last
// reference a run is done. One that comes before its turn leaves the head where it
// is, or those before it would be lost from sight.
func (t *transaction) passReady(l *lane, r data.Ref) error {
	if r.Run == 0 || r.ID > r.Run || r.Prior >= max(l.ready, 1) {
		return nil
	}
	t.touch(l)
	l.ready = max(l.ready, r.ID+1)
	if r.ID != r.Run {
		return nil
	}
	return t.delete(runKey(l.number, r.Run))
}

// moveHeads moves the heads of the waiting queues that messages were taken from
// to what is first in them now.
func (t *transaction) moveHeads() {
	var it *badger.Iterator
	for _, c := range t.changes {
		l := c.lane
		switch {
		case c.left == place{}:
			continue
		case l.counts[data.Waiting] == 0:
			l.head = c.left
			continue
		case it == nil:
			o := badger.DefaultIteratorOptions
			o.Prefix = []byte{prefixWaiting}
			o.PrefetchValues = false
			it = t.txn.NewIterator(o)
			defer it.Close()
		}
		it.Seek(waitingKey(l.number, l.head))
		if !it.ValidForPrefix(waitingPrefix(l.number)) {
			continue
		}
		if _, p, ok := parseWaitingKey(it.Item().Key()); ok {
			l.head = p
		}
	}
}

// settle ends an attempt under way.
func (t *transaction) settle(o *data.Settle) error {
	o.Err = data.ErrConflict
	l, m := t.s.lane(o.Gateway), t.s.flights[o.ID]
	if l == nil || m == nil || m.lane != l.number {
		return nil
	}
	f, ok := l.flight(o.ID)
	if !ok || f.Number != o.Number {
		return nil
	}
	a := data.Attempt{Number: f.Number, Began: f.Began, BeganAt: f.BeganAt, Ended: max(o.Ended, f.Began), Result: o.Result}
	if len(a.Answer) > data.MaxAnswer {
		a.Answer = strings.ToValidUTF8(a.Answer[:data.MaxAnswer], "")
	}
	next := m.After(f.Policy, a)
	if o.Err = m.Settle(a, next); o.Err != nil {
		return nil
	}
	o.Began, o.Next = f.Began, next
	t.touch(l)
	l.land(o.ID)
	if a.Outcome != data.OutcomeWithdrawn {
		l.settled(a, f.Policy)
	}
	delete(t.s.flights, o.ID)
	if next.State == data.Waiting {
		l.await(place{next.Due, m.ID})
	}
	l.move(data.Sending, next.State)
	if err := t.storeMessage(m); err != nil {
		return err
	}
	if next.State == data.Waiting {
		k := waitingKey(l.number, place{m.Due, m.ID})
		return t.set(k, encodeNumber(k, m.NextNumber()))
	}
	t.end(l, next.State, m.ID)
	return nil
}

// cancel takes a message back that load returned.
func (t *transaction) cancel(o *data.Cancel, l *lane, m *message) error {
	from, due := m.State, m.Due
	if o.Err = m.Cancel(); o.Err != nil {
		return nil
	}
	if err := t.storeMessage(m); err != nil {
		return err
	}
	if from == data.Waiting {
		if err := t.leave(l, place{due, m.ID}); err != nil {
			return err
		}
	}
	l.move(from, data.Cancelled)
	t.end(l, data.Cancelled, m.ID)
	if err := readText(t.txn, m); err != nil {
		return err
	}
	o.Message = m.Message
	o.Message.Gateway = l.gateway
	return nil
}
