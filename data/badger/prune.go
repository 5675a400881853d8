package badger

import (
	"bytes"
	"container/heap"
	"slices"
	"time"

	"github.com/postrider/postrider/data"
)

// Pruning never looks for what is over its time: it knows where the oldest of each
// kind is. Messages that ended lie in groups by lane, state and time; the lane's
// record says where the first group of a state may be, and a heap in memory, made
// of the lane records at open, says which lane's is the oldest. Events lie in one
// log, whose beginning is in every commit marker.

// shelf is the messages of a lane that ended in one state.
type shelf struct {
	lane  *lane
	state data.State
}

func (s shelf) oldest() data.StoreTime { return s.lane.oldest[s.state] }

// shelves is a heap with the oldest shelf first.
type shelves []shelf

func (h shelves) Len() int           { return len(h) }
func (h shelves) Less(i, j int) bool { return h[i].oldest() < h[j].oldest() }
func (h shelves) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *shelves) Push(x any)        { *h = append(*h, x.(shelf)) }

func (h *shelves) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}

// shelvesOf returns the heap that a state's shelves are in: those that are kept
// equally long are in the same one.
func (s *Store) shelvesOf(state data.State) *shelves {
	if state.Dead() {
		return &s.dead
	}
	return &s.delivered
}

// shelve enters what ended in a lane, as its record says.
func (s *Store) shelve(l *lane) {
	for _, state := range data.AllStates() {
		if state.Final() && l.counts[state] > 0 {
			l.oldest[state] = max(l.oldest[state], 1)
			heap.Push(s.shelvesOf(state), shelf{l, state})
		}
	}
}

// end places a message among those that ended.
func (t *transaction) end(l *lane, state data.State, id data.ID) {
	c := t.touch(l)
	c.done[state] = append(c.done[state], id)
	if l.oldest[state] == 0 {
		l.oldest[state] = t.marker.time
		heap.Push(t.s.shelvesOf(state), shelf{l, state})
	}
}

// firstOver returns what is over first and when: the oldest of a shelf, or of the
// events when the shelf has no lane. Both may be over a little later than said.
func (s *Store) firstOver(keep data.Retention) (first shelf, at data.StoreTime) {
	at = data.Never
	if keep.Events > 0 {
		at = s.oldestEvent.Add(keep.Events)
	}
	for _, h := range []shelves{s.delivered, s.dead} {
		if len(h) == 0 || keep.Of(h[0].state) == 0 {
			continue
		}
		if over := h[0].oldest().Add(keep.Of(h[0].state)); over < at {
			first, at = h[0], over
		}
	}
	return first, at
}

func (w *writer) prune(o *data.Prune) error {
	began := time.Now()
	o.Deleted = 0
	for looked := 0; looked < o.Limit; {
		first, over := w.s.firstOver(o.Keep)
		if over > w.t.marker.time {
			break
		}
		var n, deleted int
		var err error
		if first.lane == nil {
			deleted, err = w.pruneEvents(o.Keep.Events)
			n = deleted
		} else {
			n, deleted, err = w.pruneShelf(first, o.Keep.Of(first.state), o.Limit-looked)
		}
		if err != nil {
			return err
		}
		looked += max(n, 1)
		o.Deleted += deleted
	}
	_, o.Next = w.s.firstOver(o.Keep)
	o.Took = time.Since(began)
	return nil
}

// pruneEvents deletes the first group of events if it is over its time, and says
// how many there were in it.
func (w *writer) pruneEvents(keep time.Duration) (deleted int, err error) {
	if err := w.must(func(*transaction) cost { return cost{entries: 1, bytes: entryBytes} }); err != nil {
		return 0, err
	}
	t := w.t
	var key []byte
	var size int
	var g eventGroup
	err = scan(t.txn, []byte{prefixEvents}, eventsKey(t.marker.events), func(k, v []byte) error {
		key, size = bytes.Clone(k), len(v)
		g, err = decodeEvents(k, v)
		g.packed = nil
		if err == nil {
			err = errEnough
		}
		return err
	})
	switch {
	case err != nil:
		return 0, err
	case key == nil:
		w.s.oldestEvent = t.marker.time // of whatever comes
		return 0, nil
	case g.time.Add(keep) > t.marker.time:
		w.s.oldestEvent = g.time
		return 0, nil
	}
	t.marker.events = g.first + data.ID(g.count)
	t.garbage += int64(size)
	return g.count, t.delete(key)
}

// group is the messages of a lane that ended in one state in one commit.
type group struct {
	at   data.StoreTime
	ids  []data.ID
	size int // of its record
}

// firstGroup returns the oldest group of a shelf, one without ids if all of them
// are in the transaction in the making.
func (t *transaction) firstGroup(s shelf) (g group, err error) {
	from := doneKey(s.lane.number, s.state, s.oldest())
	err = scan(t.txn, donePrefix(s.lane.number, s.state), from, func(k, v []byte) error {
		var ok bool
		if _, _, g.at, ok = parseDoneKey(k); !ok {
			return damaged(k, "has a malformed key")
		}
		g.size = len(v)
		if g.ids, err = decodeIDs(k, v); err != nil {
			return err
		}
		return errEnough
	})
	if err != nil || len(g.ids) > 0 {
		return g, err
	}
	if c := s.lane.change; c == nil || len(c.done[s.state]) == 0 {
		return g, damaged(from, "is missing, a lane counts what is in it")
	}
	g.at = t.marker.time
	return g, nil
}

// pruneShelf deletes from the first group of the oldest shelf of its heap if it is
// over its time. It says how many messages it looked at and how many it deleted.
func (w *writer) pruneShelf(s shelf, keep time.Duration, limit int) (n, deleted int, err error) {
	l := s.lane
	g, err := w.t.firstGroup(s)
	if err != nil {
		return 0, 0, err
	}
	h := w.s.shelvesOf(s.state)
	l.oldest[s.state] = g.at
	heap.Fix(h, 0)
	if (*h)[0] != s || g.at.Add(keep) > w.t.marker.time {
		return 0, 0, nil
	}
	n = min(limit, len(g.ids))
	if n > 0 && l.counts[data.Queued] == 0 && slices.Max(g.ids[:n]) >= l.ready {
		n, err = w.passRuns(l, limit)
		return n, 0, err
	}
	err = w.must(func(t *transaction) cost { return t.lanePrice(l.gateway).plus(prunePrice(n, g.size)) })
	if err != nil {
		return 0, 0, err
	}
	w.t.touch(l)
	for _, id := range g.ids[:n] {
		gone, err := w.t.pruneMessage(s, id)
		if err != nil {
			return 0, 0, err
		}
		if gone {
			deleted++
		}
	}
	return n, deleted, w.t.shorten(s, g, n)
}

// pruneMessage deletes one message with all that belongs to it. One that the
// lane's queue still names stays: its time begins anew.
func (t *transaction) pruneMessage(s shelf, id data.ID) (deleted bool, err error) {
	l := s.lane
	if id >= l.ready {
		t.end(l, s.state, id)
		return false, nil
	}
	m, err := readMessage(t.txn, id)
	if err != nil {
		return false, err
	}
	if m == nil || m.State != s.state {
		return false, damaged(messageKey(id), "is missing or in another state, a group names it")
	}
	if err := readResent(t.txn, m); err != nil {
		return false, err
	}
	if m.ResentAs != 0 {
		if err := t.delete(resentKey(id)); err != nil {
			return false, err
		}
	}
	size, err := textSize(t.txn, m)
	if err != nil {
		return false, err
	}
	t.garbage += int64(messageBytes + m.stateBytes())
	if m.long != inline {
		t.garbage += int64(size)
		if err := t.delete(textKey(id)); err != nil {
			return false, err
		}
	}
	l.counts[s.state]--
	return true, t.delete(messageKey(id))
}

// passRuns passes the head of a lane's queue over runs of which nothing is queued
// any more, and says over how many. The lane does so itself when it comes to them;
// but it may never get another message.
func (w *writer) passRuns(l *lane, limit int) (n int, err error) {
	err = w.must(func(t *transaction) cost {
		return t.lanePrice(l.gateway).plus(cost{entries: limit, bytes: limit * entryBytes})
	})
	if err != nil {
		return 0, err
	}
	t := w.t
	t.touch(l)
	more := false
	err = scan(t.txn, runPrefix(l.number), runKey(l.number, l.ready), func(k, _ []byte) error {
		if more = n == limit; more {
			return errEnough
		}
		_, last, ok := parseRunKey(k)
		if !ok {
			return damaged(k, "is no run")
		}
		n++
		l.ready = last + 1
		return t.delete(slices.Clone(k))
	})
	if !more {
		l.ready = t.marker.next
	}
	return n, err
}

// shorten takes the first n messages out of the first group of a shelf.
func (t *transaction) shorten(s shelf, g group, n int) error {
	l, h := s.lane, t.s.shelvesOf(s.state)
	k := doneKey(l.number, s.state, g.at)
	if n < len(g.ids) {
		return t.set(k, encodeIDs(k, g.ids[n:]))
	}
	if l.counts[s.state] == 0 {
		l.oldest[s.state] = 0
		heap.Pop(h)
	} else {
		l.oldest[s.state] = g.at + 1
		heap.Fix(h, 0)
	}
	return t.delete(k)
}
