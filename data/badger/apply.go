package badger

import (
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// Upper bounds of what is written, to size a transaction before it is made: one
// never runs into Badger's own limit.
const (
	entryBytes     = 48  // an entry beyond its value: the key and what Badger adds
	messageBytes   = 64  // a message without text and attempts, and its id in a run
	attemptBytes   = 64  // an attempt that ended
	inFlightBytes  = 64  // an attempt under way
	laneBytes      = 272 // a lane without its name and attempts under way, and its run
	eventBytes     = 16  // an event without type and payload
	keyBytes       = 64  // an idempotency key
	markerBytes    = 160
	maxEventsValue = 256 << 10
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

// maxAttempts is how many attempts a message can have.
const maxAttempts = 100

// claimPrice covers an attempt that begins. Where the policy allows none, the
// message may be given up instead and is then written again.
func claimPrice(c data.Claim) cost {
	price := cost{entries: 1, bytes: entryBytes + inFlightBytes}
	if c.Ref.Number > c.Policy.MaxAttempts {
		price = price.plus(cost{entries: 1, bytes: entryBytes + messageBytes + inlineText + maxAttempts*attemptBytes})
	}
	return price
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

// cost bounds what operations add to a transaction.
type cost struct{ entries, bytes int }

func (c cost) plus(d cost) cost { return cost{c.entries + d.entries, c.bytes + d.bytes} }

func (c cost) within(limit cost) bool { return c.entries <= limit.entries && c.bytes <= limit.bytes }

// limit leaves a part of what Badger takes for what the bounds forget.
func (s *Store) limit() cost {
	count, size := int(s.db.MaxBatchCount()), int(s.db.MaxBatchSize())
	return cost{entries: count - count/32, bytes: size - size/32}
}

// take adds what an operation may write, if there is room for it.
func (t *transaction) take(c cost) bool {
	sum := t.cost.plus(c)
	if !sum.within(t.s.limit()) {
		return false
	}
	t.cost = sum
	return true
}

// lanePrice is what writing a lane costs, for its first operation.
func (t *transaction) lanePrice(gateway string) cost {
	if _, ok := t.priced[gateway]; ok {
		return cost{}
	}
	t.priced[gateway] = struct{}{}
	c := cost{entries: 2, bytes: 2*entryBytes + laneBytes + len(gateway)}
	if l := t.s.lane(gateway); l != nil {
		c.bytes += inFlightBytes * len(l.flying)
	}
	return c
}

func (t *transaction) savePrice(o *data.Save) cost {
	c := cost{entries: 1, bytes: entryBytes + keyBytes}
	for _, e := range o.Events {
		c.bytes += len(e.Type) + len(e.Payload) + eventBytes
	}
	values := 1 + 2*c.bytes/maxEventsValue
	c = c.plus(cost{entries: values, bytes: values * entryBytes})
	for _, m := range o.Messages {
		c = c.plus(t.lanePrice(m.Gateway)).plus(cost{entries: 1, bytes: entryBytes + messageBytes + len(m.Text)})
		if len(m.Text) > inlineText {
			c = c.plus(cost{entries: 1, bytes: entryBytes})
		}
	}
	return c
}

// transaction is one commit in the making. The writer's state in memory is
// changed along with it: if the commit fails, the store is not used any more.
type transaction struct {
	s       *Store
	txn     *badger.Txn
	cost    cost
	marker  marker
	priced  map[string]struct{} // the lanes whose price is in cost
	saves   []*data.Save
	keys    map[[32]byte]*data.Save // the saves of this transaction by idempotency key
	again   []*data.Save            // repeats of those
	changes []*change
	forced  bool // commits also without a change, for its marker
	entries int
	bytes   int
}

// change is what a transaction does to one lane.
type change struct {
	lane *lane
	run  []data.ID              // accepted
	done [data.States][]data.ID // ended, by state
	left place                  // the last place in the waiting queue that became free
}

func (s *Store) begin() *transaction {
	at := s.clock.tick()
	// Read after the tick: a store that resumes from this marker then counts a
	// little less than the time that passed, never more.
	boot, since := s.options.Clock.Boot()
	if s.lossy {
		boot = nil
	}
	return &transaction{
		s:      s,
		txn:    s.db.NewTransaction(true),
		cost:   cost{entries: 1, bytes: markerBytes},
		priced: make(map[string]struct{}),
		marker: marker{
			commit:   s.newest.commit + 1,
			time:     at,
			boot:     boot,
			bootTime: since,
			next:     s.newest.next,
			wall:     s.options.Clock.Wall().Truncate(time.Millisecond).UTC(), // as it is stored
		},
	}
}

func (t *transaction) set(key, value []byte) error {
	return t.write(badger.NewEntry(key, value))
}

func (t *transaction) write(e *badger.Entry) error {
	t.entries++
	t.bytes += len(e.Key) + len(e.Value)
	if err := t.txn.SetEntry(e); err != nil {
		return fmt.Errorf("write record %x: %w", e.Key, err)
	}
	return nil
}

func (t *transaction) delete(key []byte) error {
	t.entries++
	t.bytes += len(key)
	if err := t.txn.Delete(key); err != nil {
		return fmt.Errorf("delete record %x: %w", key, err)
	}
	return nil
}

// touch returns the change of a lane, whose record is then written at the end.
func (t *transaction) touch(l *lane) *change {
	if l.change == nil {
		l.change = &change{lane: l}
		t.changes = append(t.changes, l.change)
	}
	return l.change
}

// commit writes what the operations left for the end, commits, and waits for
// the disk. Only then are the saves answered.
func (t *transaction) commit() error {
	defer t.txn.Discard()
	if err := t.storeSaves(); err != nil {
		return err
	}
	if t.entries == 0 && len(t.changes) == 0 && !t.forced {
		return nil
	}
	t.moveHeads()
	for _, c := range t.changes {
		if err := t.storeChange(c); err != nil {
			return err
		}
	}
	m := t.marker
	k := markerKey(uint32(m.commit % uint64(t.s.stamp.Ring)))
	if err := t.set(k, m.encode(k)); err != nil {
		return err
	}
	start := time.Now()
	if err := t.txn.Commit(); err != nil {
		return fmt.Errorf("commit %d: %w", m.commit, err)
	}
	// Badger logs some failures instead of returning them.
	if err := t.s.Err(); err != nil {
		return err
	}
	if err := t.s.acked.write(m.commit); err != nil {
		return err
	}
	t.s.newest = m
	for _, o := range t.again {
		o.First, o.Repeated = t.keys[o.Key.Key].First, true
	}
	if t.s.options.Committed != nil {
		t.s.options.Committed(t.entries, t.bytes, time.Since(start))
	}
	return nil
}

// storeChange writes a lane with what was added to its queues.
func (t *transaction) storeChange(c *change) error {
	l := c.lane
	l.change = nil
	if len(c.run) > 0 {
		k := runKey(l.number, c.run[len(c.run)-1])
		if err := t.set(k, encodeIDs(k, c.run)); err != nil {
			return err
		}
	}
	for state, ids := range c.done {
		if len(ids) == 0 {
			continue
		}
		k := doneKey(l.number, data.State(state), t.marker.time)
		if err := t.set(k, encodeIDs(k, ids)); err != nil {
			return err
		}
	}
	k := laneKey(l.number)
	return t.set(k, l.encode(k))
}
