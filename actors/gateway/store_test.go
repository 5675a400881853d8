package gateway

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

// errBroken is what reads of a memory store fail with.
var errBroken = errors.New("broken")

// memory is the store of one lane. It follows the rules of data.Message and
// data.Policy, and checks the promises on every attempt that it grants.
type memory struct {
	t testing.TB

	mu        sync.Mutex
	messages  map[data.ID]*data.Message
	flying    map[data.ID]data.InFlight
	lane      data.Lane // Held, Paused, Unreached and Began
	doubt     data.StoreTime
	newest    data.ID                         // the last that was queued
	expires   func(id data.ID) data.StoreTime // of what is accepted; nil for never
	expired   int                             // claims
	refused   int                             // claims
	closed    int                             // claims that came to a lane that was held or paused
	late      int                             // settles
	withdrawn int                             // attempts
	atOnce    int                             // attempts that began with their saves
	begins    int                             // records with claims
	broken    int                             // reads that will fail
	reads     int
}

func newMemory(t testing.TB) *memory {
	return &memory{t: t, messages: make(map[data.ID]*data.Message), flying: make(map[data.ID]data.InFlight)}
}

// accept stores n messages and returns the id of the first.
func (s *memory) accept(n int) data.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := data.ID(len(s.messages) + 1)
	for range n {
		s.newest = s.add()
	}
	return first
}

func (s *memory) add() data.ID {
	m := &data.Message{ID: data.ID(len(s.messages) + 1), State: data.Queued, AcceptedAt: time.Now()}
	if s.expires != nil {
		m.Expires = s.expires(m.ID)
	}
	s.messages[m.ID] = m
	return m.ID
}

// save stores n messages as the real store does: first attempts begin as they are
// allowed, and what is left is queued.
func (s *memory) save(n int, allow func() *data.Allowance, now data.StoreTime) (m data.Arrival) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		id := s.add()
		var a *data.Allowance
		if !s.lane.Paused && now >= s.lane.Held && !s.queued(id) {
			a = allow()
		}
		if a == nil {
			m.Refs = append(m.Refs, data.Ref{ID: id, Number: 1, Run: id, Prior: s.newest})
			s.newest = id
			continue
		}
		o := &data.Begin{}
		s.begin(o, data.Claim{Ref: data.Ref{ID: id, Number: 1}, Policy: a.Policy, Timeout: a.Timeout}, now)
		m.Begun = append(m.Begun, data.Begun{Granted: o.Granted[0], Allowance: a})
		s.atOnce++
	}
	return m
}

// queued reports whether a message before another is queued.
func (s *memory) queued(before data.ID) bool {
	for id := range before {
		if m := s.messages[id]; m != nil && m.State == data.Queued {
			return true
		}
	}
	return false
}

// cancel takes a message back if it can.
func (s *memory) cancel(id data.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.messages[id].Cancel()
}

// commit is what the persister and the store do with a record.
func (s *memory) commit(begin *data.Begin, settles []*data.Settle, now data.StoreTime) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range settles {
		s.settle(o)
	}
	if begin == nil {
		return
	}
	s.begins++
	if s.lane.Paused || now < s.lane.Held {
		begin.Closed = data.Closed{Paused: s.lane.Paused, Held: s.lane.Held}
		for _, c := range begin.Claims {
			begin.Standing = append(begin.Standing, c.Ref)
		}
		s.closed += len(begin.Claims)
		return
	}
	for _, c := range begin.Claims {
		s.begin(begin, c, now)
	}
}

func (s *memory) begin(begin *data.Begin, c data.Claim, now data.StoreTime) {
	m := s.messages[c.Ref.ID]
	if m.State == data.Waiting && c.Ref.Number == m.NextNumber() && c.Ref.Number > c.Policy.MaxAttempts && m.GiveUp() == nil {
		begin.GivenUp = append(begin.GivenUp, m.ID)
		return
	}
	if s.stands(m, c, now) {
		begin.Standing = append(begin.Standing, c.Ref)
		return
	}
	if m.Expired(now) && c.Ref.Number == m.NextNumber() && m.Expire() == nil {
		s.expired++
		begin.Overdue = append(begin.Overdue, data.Ended{ID: m.ID, State: m.State})
		return
	}
	if err := m.Begin(c.Ref.Number, now); err != nil {
		s.refused++
		return
	}
	s.check(m, c, now)
	s.lane.Began = now
	s.flying[m.ID] = data.InFlight{ID: m.ID, Number: c.Ref.Number, Began: now, Policy: c.Policy, Timeout: c.Timeout}
	begin.Granted = append(begin.Granted, data.Granted{Message: *m, Number: c.Ref.Number, Began: now})
}

// stands reports whether an attempt may begin later: it is not due, or comes before
// its turn.
func (s *memory) stands(m *data.Message, c data.Claim, now data.StoreTime) bool {
	if m.State == data.Waiting && c.Ref.Number == m.NextNumber() {
		return now < m.Due || s.doubt > 0 && now < s.doubt.Add(c.Policy.Interval)
	}
	if m.State != data.Queued || c.Ref.Number != 1 {
		return false
	}
	return s.queued(m.ID)
}

func (s *memory) settle(o *data.Settle) {
	f, ok := s.flying[o.ID]
	if !ok || f.Number != o.Number {
		s.late++
		o.Err = data.ErrConflict
		return
	}
	m := s.messages[o.ID]
	a := data.Attempt{Number: o.Number, Began: f.Began, Ended: max(o.Ended, f.Began), Result: o.Result}
	o.Next = m.After(f.Policy, a)
	if until, asked := f.Policy.Hold(a); asked {
		s.lane.Held = max(s.lane.Held, until)
	}
	if o.Result.Outcome == data.OutcomeWithdrawn {
		s.withdrawn++
	}
	s.lane.Unreached = o.Result.Unreached(s.lane.Unreached)
	o.Began = f.Began
	if o.Err = m.Settle(a, o.Next); o.Err == nil {
		delete(s.flying, o.ID)
	}
}

// check fails the test when an attempt breaks a promise.
func (s *memory) check(m *data.Message, c data.Claim, now data.StoreTime) {
	if c.Ref.Number > c.Policy.MaxAttempts {
		s.t.Errorf("message %d: attempt %d of %d began", m.ID, c.Ref.Number, c.Policy.MaxAttempts)
	}
	if m.Expired(now) {
		s.t.Errorf("message %d: attempt %d began %v after its end", m.ID, c.Ref.Number, now.Sub(m.Expires))
	}
	if n := len(m.Attempts); n > 0 {
		if gap := now.Sub(m.Attempts[n-1].Ended); gap < c.Policy.Interval {
			s.t.Errorf("message %d: attempt %d began %v after the end of the one before; want at least %v", m.ID, c.Ref.Number, gap, c.Policy.Interval)
		}
	}
}

func (s *memory) read() error {
	s.reads++
	if s.broken > 0 {
		s.broken--
		return errBroken
	}
	return nil
}

func (s *memory) Lane(string) (data.Lane, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lane
	l.InFlight = slices.Collect(maps.Values(s.flying))
	for _, m := range s.messages {
		l.Counts[m.State]++
	}
	return l, s.read()
}

// Ready names every message behind the first queued one, whatever became of it:
// so does the real store.
func (s *memory) Ready(_ string, after data.ID, limit int) (refs []data.Ref, more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.read(); err != nil {
		return nil, false, err
	}
	head := data.ID(1)
	for head <= data.ID(len(s.messages)) && s.messages[head].State != data.Queued {
		head++
	}
	for id := max(after+1, head); id <= data.ID(len(s.messages)); id++ {
		if len(refs) == limit {
			return refs, true, nil
		}
		refs = append(refs, data.Ref{ID: id, Number: 1, Run: data.ID(len(s.messages))})
	}
	return refs, false, nil
}

func (s *memory) Waiting(_ string, after data.Ref, limit int) (refs []data.Ref, more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.read(); err != nil {
		return nil, false, err
	}
	for _, m := range s.messages {
		r := data.Ref{ID: m.ID, Number: m.NextNumber(), Due: m.Due}
		if m.State == data.Waiting && (after.ID == 0 || compare(r, after) > 0) {
			refs = append(refs, r)
		}
	}
	slices.SortFunc(refs, compare)
	if len(refs) > limit {
		return refs[:limit], true, nil
	}
	return refs, false, nil
}

// unfinished lists the messages that have not ended.
func (s *memory) unfinished() (ids []data.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, m := range s.messages {
		if !m.State.Final() {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, cmp.Compare)
	return ids
}

// message returns a copy of a message.
func (s *memory) message(id data.ID) data.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := *s.messages[id]
	m.Attempts = slices.Clone(m.Attempts)
	return m
}
