package badger

import (
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// transaction is one commit in the making. The writer's state in memory is
// changed along with it: if the commit fails, the store is not used any more.
type transaction struct {
	s        *Store
	txn      *badger.Txn
	cost     cost
	marker   marker
	priced   map[string]struct{} // the lanes whose price is in cost
	saves    []*data.Save
	accepted map[string]uint64       // the messages of these saves by gateway
	keys     map[[32]byte]*data.Save // these saves by idempotency key
	again    []*data.Save            // repeats of those
	changes  []*change
	allow    func(gateway string) *data.Allowance // nil allows none
	arrived  []data.Arrival
	garbage  int64 // bytes deleted
	forced   bool  // commits also without a change, for its marker
	entries  int
	bytes    int
	wrong    uint64 // mismatches before it began
}

// change is what a transaction does to one lane.
type change struct {
	lane  *lane
	begun []data.Begun           // accepted and begun
	run   []data.ID              // accepted and queued
	done  [data.States][]data.ID // ended, by state
	left  place                  // the last place in the waiting queue that became free
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
		s:        s,
		wrong:    mismatches.Load(),
		txn:      s.db.NewTransactionAt(s.versions.current(), true),
		cost:     cost{entries: 1, bytes: markerBytes},
		priced:   make(map[string]struct{}),
		accepted: make(map[string]uint64),
		keys:     make(map[[32]byte]*data.Save),
		marker: marker{
			commit:   s.newest.commit + 1,
			time:     at,
			boot:     boot,
			bootTime: since,
			next:     s.newest.next,
			events:   s.newest.events,
			doubtful: s.doubtful,
			doubted:  s.doubted,
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
		return t.s.sound(t.wrong) // that there is nothing to write may be wrong
	}
	t.moveHeads()
	for _, c := range t.changes {
		if err := t.storeChange(c); err != nil {
			return err
		}
	}
	m := t.marker
	m.garbage = max(0, t.s.garbage.Load()+t.garbage)
	k := markerKey(uint32(m.commit % uint64(t.s.stamp.Ring)))
	if err := t.set(k, m.encode(k)); err != nil {
		return err
	}
	// What was read decided what is written.
	if err := t.s.sound(t.wrong); err != nil {
		return err
	}
	start := time.Now()
	if err := t.s.commitTxn(t.txn, m.commit); err != nil {
		return fmt.Errorf("commit %d: %w", m.commit, err)
	}
	// Badger logs some failures instead of returning them.
	if err := t.s.fillingFlushed(); err != nil {
		return err
	}
	if err := t.s.acked.write(m.commit); err != nil {
		return err
	}
	t.s.lookForLog()
	t.s.newest = m
	t.s.lastID.Store(uint64(m.next - 1))
	t.s.firstEvent.Store(uint64(m.events))
	t.s.garbage.Add(t.garbage)
	for _, o := range t.again {
		first := t.keys[o.Key.Key]
		o.First, o.Count, o.Repeated = first.First, first.Count, true
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
	if len(c.begun)+len(c.run) > 0 {
		t.arrived = append(t.arrived, l.arrival(c))
	}
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
