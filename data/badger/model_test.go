package badger

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

func ignoreNotFound(err error) error {
	if errors.Is(err, data.ErrNotFound) {
		return nil
	}
	return err
}

// model is what the store ought to be: the records in plain memory, moved by the
// rules of package data.
type model struct {
	*kept
	random   *rand.Rand
	events   []data.Event
	accepted []data.StoreTime // when each of the events was
	messages map[data.ID]*data.Message
	ended    map[data.ID]data.StoreTime // when a message may have ended at the latest
	flying   map[data.ID]data.Granted
	keys     map[[32]byte]*data.Save
	declared map[string]string
	lanes    map[string]*data.Lane // Last, Began, Held, Paused, Unreached
	keep     data.Retention
	gateways []string
	heads    map[string]data.ID       // of the queued messages, before the batch in hand
	doubtful map[data.ID]bool         // what was there at a start in doubt
	begun    map[data.ID]data.Granted // by the batch in hand with their saves
	atOnce   int                      // how many in all
}

// TestStoreAgreesWithItsModel applies random batches, restarts, kills and clock
// jumps, and compares every record after each restart. In the end it lets every
// message end: nothing may be lost from sight.
func TestStoreAgreesWithItsModel(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			m := &model{
				kept:     newKept(t),
				random:   rand.New(rand.NewPCG(seed, 7)),
				messages: make(map[data.ID]*data.Message),
				ended:    make(map[data.ID]data.StoreTime),
				flying:   make(map[data.ID]data.Granted),
				keys:     make(map[[32]byte]*data.Save),
				lanes:    make(map[string]*data.Lane),
				declared: make(map[string]string),
				keep:     data.Retention{Events: 20 * time.Minute, Delivered: 10 * time.Minute, Dead: 30 * time.Minute},
				heads:    make(map[string]data.ID),
				doubtful: make(map[data.ID]bool),
				gateways: []string{"gateway_1", "gateway_10", "g", "gateway_2"},
			}
			for _, g := range m.gateways {
				m.lanes[g] = &data.Lane{Gateway: g}
			}
			for range 80 {
				m.step()
			}
			m.compare()
			m.finish()
			m.restart()
			m.empty()
			if m.atOnce < 10 {
				t.Errorf("%d attempts began with their saves: too few to say anything", m.atOnce)
			}
		})
	}
}

func (m *model) chance(percent int) bool { return m.random.IntN(100) < percent }

func (m *model) step() {
	switch {
	case m.chance(8):
		m.restart()
	case m.chance(5):
		m.move()
	case m.chance(30):
		m.machine().pass(time.Duration(m.random.Int64N(int64(2 * time.Minute))))
	case m.chance(10):
		m.machine().wall = m.machine().wall.AddDate(m.random.IntN(21)-10, 0, 0)
	}
	b := &data.Batch{}
	m.addSettles(b)
	m.addPauses(b)
	m.addDeclares(b)
	m.addBegins(b)
	m.addCancels(b)
	m.addResends(b)
	if m.chance(60) {
		b.Prune = &data.Prune{Keep: m.keep, Limit: 1 + m.random.IntN(20)}
	}
	for range m.random.IntN(4) {
		b.Saves = append(b.Saves, m.newSave())
	}
	m.submit(b)
	if m.chance(20) {
		m.catchUp()
	}
}

// catchUp begins all that is queued, so that what is saved beside that may begin at
// once: no lane is held or paused then.
func (m *model) catchUp() {
	m.t.Helper()
	m.machine().pass(8 * time.Minute)
	for range 4 {
		b := &data.Batch{Saves: []*data.Save{m.newSave()}}
		for _, g := range m.gateways {
			b.Pauses = append(b.Pauses, &data.Pause{Gateway: g})
			o := &data.Begin{Gateway: g}
			for _, r := range m.ready(g, 0, 1000) {
				o.Claims = append(o.Claims, data.Claim{Ref: r, Policy: minute})
			}
			b.Begins = append(b.Begins, o)
		}
		m.submit(b)
	}
}

// submit applies a batch and judges its answers.
func (m *model) submit(b *data.Batch) {
	m.t.Helper()
	wall := m.machine().Wall().Truncate(time.Millisecond)
	for _, g := range m.gateways {
		m.heads[g] = 0
		if l := m.Store.lane(g); l != nil {
			m.heads[g] = l.ready
		}
	}
	left, taken := make(map[string]int), make(map[*data.Allowance]string)
	for _, g := range m.gateways {
		left[g] = m.random.IntN(5) - 1
	}
	b.Allow = func(gateway string) *data.Allowance {
		if left[gateway] <= 0 {
			return nil
		}
		left[gateway]--
		a := &data.Allowance{Policy: minute}
		taken[a] = gateway
		return a
	}
	m.apply(b)
	m.takeBegun(b, taken)
	m.judge(b, wall)
	for id := range m.begun {
		m.t.Errorf("message %s began and was not saved", id)
	}
}

// takeBegun notes what a batch began with its saves: one attempt for each allowance
// that was taken, in the order of acceptance.
func (m *model) takeBegun(b *data.Batch, taken map[*data.Allowance]string) {
	m.t.Helper()
	m.begun = make(map[data.ID]data.Granted)
	for _, a := range b.Arrived {
		for _, g := range a.Begun {
			if taken[g.Allowance] != a.Gateway || g.Message.Gateway != a.Gateway || g.Number != 1 {
				m.t.Errorf("%+v began in %s under an allowance of %q", g, a.Gateway, taken[g.Allowance])
			}
			delete(taken, g.Allowance)
			m.begun[g.Message.ID] = g.Granted
		}
	}
	if len(taken) > 0 {
		m.t.Errorf("%d allowances were taken and not used", len(taken))
	}
	m.atOnce += len(m.begun)
}

// beginAtOnce judges a message that was saved and begun.
func (m *model) beginAtOnce(w *data.Message, wall time.Time) {
	m.t.Helper()
	g, ok := m.begun[w.ID]
	if !ok {
		return
	}
	delete(m.begun, w.ID)
	for _, before := range m.messages {
		if before.Gateway == w.Gateway && before.State == data.Queued && before != w {
			m.t.Errorf("message %s began before %s, which is queued", w.ID, before.ID)
		}
	}
	same := g.Message.Text == w.Text && g.Message.To == w.To && g.Message.Title == w.Title && maps.Equal(g.Message.Params, w.Params)
	if err := w.Begin(1, g.Began); err != nil || !same || m.closed(w.Gateway) {
		m.t.Errorf("%+v began at once as %+v in a lane that is %+v: %v", w, g, m.lanes[w.Gateway], err)
	}
	m.lanes[w.Gateway].Began = g.Began
	g.Message.DueAt = wall
	m.flying[w.ID] = g
}

func (m *model) text() string {
	switch m.random.IntN(10) {
	case 0:
		return ""
	case 1:
		return strings.Repeat("long ", 200+m.random.IntN(1000))
	}
	return fmt.Sprintf("text %d é\x00", m.random.Uint32())
}

func (m *model) newSave() *data.Save {
	o := &data.Save{}
	for range m.random.IntN(4) {
		o.Events = append(o.Events, data.NewEvent{Type: fmt.Sprint("type_", m.random.IntN(3)), Payload: m.text()})
	}
	for range m.random.IntN(5) {
		n := data.NewMessage{Gateway: m.gateways[m.random.IntN(len(m.gateways))], Text: m.text()}
		if m.chance(30) {
			n.MaxQueue = 1 + m.random.IntN(20)
		}
		if m.chance(30) {
			n.To, n.Title = m.text(), m.text()
			n.Params = map[string]string{"b": m.text(), "a": "", "c": "x"}
		}
		if m.chance(30) {
			n.ExpiresIn = time.Duration(1+m.random.IntN(300_000)) * time.Millisecond
		}
		if len(o.Events) > 0 {
			n.Event = m.random.IntN(len(o.Events) + 1)
		}
		o.Messages = append(o.Messages, n)
	}
	if m.chance(40) {
		o.Key = &data.IdempotencyKey{Key: [32]byte{byte(m.random.IntN(20))}, Request: [32]byte{byte(m.random.IntN(2))}}
	}
	return o
}

func (m *model) addSettles(b *data.Batch) {
	for _, id := range m.sorted() {
		g, ok := m.flying[id]
		if !ok || m.chance(50) {
			continue
		}
		o := &data.Settle{Gateway: g.Message.Gateway, ID: id, Number: g.Number, Ended: m.Now()}
		o.Result = []data.Result{
			delivered, refused, permanent, refused, delivered, unreached,
			throttled(7 * time.Minute), withdrawn,
		}[m.random.IntN(8)]
		if m.chance(30) {
			o.Result.Answer = strings.Repeat("no ", 1+m.random.IntN(data.MaxAnswer/3))
		}
		b.Settles = append(b.Settles, o)
		if m.chance(10) { // a late one
			late := *o
			b.Settles = append(b.Settles, &late)
		}
	}
}

func (m *model) sorted() []data.ID {
	ids := make([]data.ID, 0, len(m.messages))
	for id := range m.messages {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (m *model) addBegins(b *data.Batch) {
	for _, g := range m.gateways {
		if m.chance(40) {
			continue
		}
		refs := append(m.ready(g, 0, m.random.IntN(5)+1), m.waiting(g, data.Ref{}, m.random.IntN(5)+1)...)
		if m.chance(20) {
			m.random.Shuffle(len(refs), func(i, j int) { refs[i], refs[j] = refs[j], refs[i] })
		}
		o := &data.Begin{Gateway: g}
		for _, r := range refs[:m.random.IntN(len(refs)+1)] {
			if m.chance(3) {
				r.Number += m.random.IntN(3) - 1
			}
			o.Claims = append(o.Claims, data.Claim{Ref: r, Policy: minute})
		}
		b.Begins = append(b.Begins, o)
	}
}

func (m *model) addCancels(b *data.Batch) {
	for _, id := range m.sorted() {
		if m.chance(3) {
			b.Cancels = append(b.Cancels, &data.Cancel{ID: id})
		}
	}
}

func (m *model) addPauses(b *data.Batch) {
	for _, g := range m.gateways {
		if m.chance(10) {
			b.Pauses = append(b.Pauses, &data.Pause{Gateway: g, Paused: m.chance(40)})
		}
	}
}

func (m *model) addDeclares(b *data.Batch) {
	for range m.random.IntN(3) {
		o := &data.Declare{Gateway: m.gateways[m.random.IntN(len(m.gateways))]}
		if m.chance(70) {
			o.Declaration = []byte(m.text())
		}
		b.Declares = append(b.Declares, o)
	}
}

func (m *model) addResends(b *data.Batch) {
	ids := m.sorted()
	if len(ids) == 0 || m.chance(50) {
		return
	}
	o := &data.Resend{}
	for range m.random.IntN(10) {
		o.IDs = append(o.IDs, ids[m.random.IntN(len(ids))]+data.ID(m.random.IntN(20)/19))
	}
	b.Resends = append(b.Resends, o)
}

// judge compares the answers with what the model says, in the order in which
// Apply promises to take them.
func (m *model) judge(b *data.Batch, wall time.Time) {
	m.t.Helper()
	for _, o := range b.Settles {
		m.judgeSettle(o)
	}
	for _, o := range b.Pauses {
		m.lanes[o.Gateway].Paused = o.Paused
	}
	for _, o := range b.Declares {
		if o.Err != nil {
			m.t.Errorf("declare %s = %v", o.Gateway, o.Err)
		}
		if o.Declaration == nil {
			delete(m.declared, o.Gateway)
		} else {
			m.declared[o.Gateway] = string(o.Declaration)
		}
	}
	for _, o := range b.Begins {
		m.judgeBegin(o, wall)
	}
	for _, o := range b.Cancels {
		if err := m.messages[o.ID].Cancel(); !errors.Is(o.Err, err) {
			m.t.Errorf("cancel of %s = %v; want %v", o.ID, o.Err, err)
		}
	}
	for _, o := range b.Resends {
		m.judgeResend(o, wall)
	}
	for _, o := range b.Saves {
		m.judgeSave(o, wall)
	}
	for id, w := range m.messages {
		if _, ok := m.ended[id]; !ok && w.State.Final() {
			m.ended[id] = m.Now()
		}
	}
	if b.Prune != nil {
		m.judgePrune(b.Prune)
	}
}

func (m *model) judgeResend(o *data.Resend, wall time.Time) {
	m.t.Helper()
	if o.Err != nil || len(o.Resent) != len(o.IDs) {
		m.t.Fatalf("resend of %v = %v, %v", o.IDs, o.Resent, o.Err)
	}
	known := maps.Clone(m.messages) // what it makes itself is not among that
	for i, r := range o.Resent {
		want := data.Resent{Old: o.IDs[i], Err: data.ErrNotFound}
		if old := known[r.Old]; old != nil {
			want = data.Resent{Old: r.Old, New: r.New, Gateway: old.Gateway, Err: old.Resend(r.New)}
			if want.Err != nil {
				want.New = old.ResentAs
			}
		}
		if r != want {
			m.t.Errorf("message %s is sent again as %+v; want %+v", r.Old, r, want)
		}
		if r.Err != nil {
			continue
		}
		if m.messages[r.New] != nil {
			m.t.Fatalf("id %s was given twice", r.New)
		}
		old := m.messages[r.Old]
		again := &data.Message{
			ID: r.New, Gateway: old.Gateway, Text: old.Text, To: old.To, Title: old.Title, Params: old.Params,
			Event: old.Event, ResendOf: r.Old, AcceptedAt: wall, State: data.Queued,
		}
		if left := m.left(old, wall); old.Expires != 0 && left > 0 {
			m.limit(again, left, wall)
		}
		m.messages[r.New] = again
	}
}

// left is how long a message that expires is wanted.
func (m *model) left(w *data.Message, wall time.Time) time.Duration {
	left := w.Expires.Sub(m.Now())
	if m.doubtful[w.ID] {
		left = min(left, w.ExpiresAt.Sub(wall))
	}
	return left
}

// overdue reports whether an attempt at a message is not wanted any more.
func (m *model) overdue(w *data.Message, wall time.Time) bool {
	return w.Expires != 0 && m.left(w, wall) <= 0
}

// limit has a new message expire when the store says, which is to be after a time,
// but for the few nanoseconds that commits take of store time.
func (m *model) limit(w *data.Message, after time.Duration, wall time.Time) {
	m.t.Helper()
	stored, err := m.Message(w.ID)
	if off := stored.Expires.Sub(m.Now().Add(after)); err != nil || off < -1000 || off > 1000 {
		m.t.Errorf("message %s expires %v off, %v", w.ID, off, err)
	}
	w.Expires, w.ExpiresAt = stored.Expires, wall.Add(after).Truncate(time.Millisecond)
	if off := stored.ExpiresAt.Sub(w.ExpiresAt); off < -2*time.Millisecond || off > 2*time.Millisecond {
		m.t.Errorf("message %s expires at %v; want %v", w.ID, stored.ExpiresAt, w.ExpiresAt)
	}
}

// judgePrune asks the store what is gone: it must be over its time. Whether all that
// is over goes in the end is for empty to say.
func (m *model) judgePrune(o *data.Prune) {
	m.t.Helper()
	gone := 0
	for id, w := range m.messages {
		if _, err := m.Message(id); err == nil {
			continue
		}
		if at, ok := m.ended[id]; !ok || m.Now().Sub(at) < m.keep.Of(w.State) {
			m.t.Fatalf("message %s is gone before its time: %+v", id, w)
		}
		delete(m.messages, id)
		gone++
	}
	for len(m.events) > 0 {
		if _, err := m.Event(m.events[0].ID); err == nil {
			break
		}
		if m.Now().Sub(m.accepted[0]) < m.keep.Events {
			m.t.Fatalf("event %s is gone before its time", m.events[0].ID)
		}
		m.events, m.accepted = m.events[1:], m.accepted[1:]
		gone++
	}
	if o.Deleted != gone {
		m.t.Errorf("%d records are gone; %d were deleted", gone, o.Deleted)
	}
}

func (m *model) judgeSettle(o *data.Settle) {
	m.t.Helper()
	g, ok := m.flying[o.ID]
	if !ok {
		wantErr(m.t, "a late settle", o.Err, data.ErrConflict)
		return
	}
	a := data.Attempt{Number: o.Number, Began: g.Began, Ended: o.Ended, BeganAt: g.Message.DueAt, Result: o.Result}
	next := m.messages[o.ID].After(minute, a)
	if err := m.messages[o.ID].Settle(a, next); err != nil || o.Err != nil || o.Next != next {
		m.t.Errorf("settle of %s = %v, %v; want %v, %v", o.ID, o.Next, o.Err, next, err)
	}
	delete(m.flying, o.ID)
	m.settled(o.Gateway, a)
}

// settled is what an attempt says about its lane.
func (m *model) settled(gateway string, a data.Attempt) {
	l := m.lanes[gateway]
	if a.Outcome == data.OutcomeWithdrawn {
		return
	}
	l.Last = a
	l.Last.Answer = ""
	until, _ := minute.Hold(a)
	l.Held = max(l.Held, until)
	l.Unreached = a.Unreached(l.Unreached)
}

func (m *model) judgeBegin(o *data.Begin, wall time.Time) {
	m.t.Helper()
	granted, standing, overdue := slices.Clone(o.Granted), slices.Clone(o.Standing), slices.Clone(o.Overdue)
	passed := make(map[data.ID]bool)
	for _, c := range o.Claims {
		want := m.messages[c.Ref.ID]
		outOfTurn := c.Ref.Run != 0 && c.Ref.Prior >= max(m.heads[o.Gateway], 1) && !passed[c.Ref.Prior]
		if len(standing) > 0 && standing[0] == c.Ref {
			standing = standing[1:]
			if m.closed(o.Gateway) {
				continue // whatever was claimed
			}
			opened, doubt := m.Doubted()
			held := doubt && want.State == data.Waiting && m.Now() < opened.Add(minute.Interval)
			if now := lasting(want); now.Begin(c.Ref.Number, data.Never) != nil {
				m.t.Errorf("claim %+v of %+v stands", c, want)
			}
			if now := lasting(want); !held && !outOfTurn && now.Begin(c.Ref.Number, m.Now()) == nil {
				m.t.Errorf("claim %+v of %+v is not granted", c, want)
			}
			continue
		}
		passed[c.Ref.ID] = !outOfTurn
		if len(overdue) > 0 && overdue[0].ID == c.Ref.ID && !want.State.Final() {
			isOver := m.overdue(want, wall) && c.Ref.Number == want.NextNumber()
			if err := want.Expire(); err != nil || !isOver || overdue[0].State != want.State {
				m.t.Errorf("claim %+v of %+v is overdue: %+v, %v", c, want, overdue[0], err)
			}
			overdue = overdue[1:]
			continue
		}
		if len(granted) == 0 || granted[0].Message.ID != c.Ref.ID || granted[0].Number != c.Ref.Number {
			passed[c.Ref.ID] = passed[c.Ref.ID] && want.State != data.Queued
			if now := lasting(want); now.Begin(c.Ref.Number, data.Never) == nil {
				m.t.Errorf("claim %+v of %+v is void", c, want)
			}
			continue
		}
		g := granted[0]
		granted = granted[1:]
		if m.doubtful[want.ID] && m.overdue(want, wall) {
			m.t.Errorf("claim %+v of %+v is granted after its end", c, want)
		}
		same := g.Message.Text == want.Text && g.Message.To == want.To && g.Message.Title == want.Title && maps.Equal(g.Message.Params, want.Params)
		if err := want.Begin(c.Ref.Number, g.Began); err != nil || !same || len(g.Message.Attempts) != len(want.Attempts) {
			m.t.Errorf("claim %+v of %+v is granted as %+v: %v", c, want, g, err)
		}
		if m.closed(o.Gateway) {
			m.t.Errorf("claim %+v is granted in a lane that is %+v", c, m.lanes[o.Gateway])
		}
		m.lanes[o.Gateway].Began = g.Began
		g.Message.DueAt = wall // the model keeps here when it began for people
		m.flying[c.Ref.ID] = g
	}
	if len(granted)+len(standing)+len(overdue) > 0 {
		m.t.Errorf("answered and not claimed: %+v, %+v, %+v", granted, standing, overdue)
	}
}

// lasting is a message as if it did not expire.
func lasting(w *data.Message) *data.Message {
	m := *w
	m.Expires = 0
	return &m
}

// closed reports whether a lane grants nothing.
func (m *model) closed(gateway string) bool {
	l := m.lanes[gateway]
	return l.Paused || m.Now() < l.Held
}

// backlog reports whether a save would make a lane longer than it may be.
func (m *model) backlog(o *data.Save) bool {
	open := make(map[string]int)
	for _, w := range m.messages {
		if !w.State.Final() {
			open[w.Gateway]++
		}
	}
	for _, n := range o.Messages {
		if open[n.Gateway]++; n.MaxQueue > 0 && open[n.Gateway] > n.MaxQueue {
			return true
		}
	}
	return false
}

func (m *model) judgeSave(o *data.Save, wall time.Time) {
	m.t.Helper()
	if o.Key != nil {
		known := m.keys[o.Key.Key]
		switch {
		case known != nil && known.Key.Request != o.Key.Request:
			wantErr(m.t, "a key used again", o.Err, data.ErrKeyReused)
			return
		case known != nil:
			// A count is said of what began with a message, and a real repeat has the
			// events of the first.
			counted := len(known.Events) == 0 && len(known.Messages) > 0
			if !o.Repeated || o.First != known.First || counted && o.Count != known.Count {
				m.t.Errorf("a repeat is answered %+v; want %d", o, known.First)
			}
			return
		}
	}
	if m.backlog(o) {
		wantErr(m.t, "a save for a full lane", o.Err, data.ErrBacklog)
		return
	}
	if o.Key != nil {
		m.keys[o.Key.Key] = o
	}
	if o.Err != nil || o.Repeated {
		m.t.Errorf("save %+v; want it stored", o)
	}
	for i, e := range o.Events {
		m.events = append(m.events, data.Event{ID: o.First + data.ID(i), Type: e.Type, Payload: e.Payload, ReceivedAt: wall})
		m.accepted = append(m.accepted, m.Now())
	}
	// Where the ids of the messages begin is answered only if there are no events.
	first := o.First
	if len(o.Events) > 0 && len(o.Messages) > 0 {
		first = m.firstMessageOf(o)
	}
	for i, n := range o.Messages {
		id := first + data.ID(i)
		if m.messages[id] != nil {
			m.t.Fatalf("id %s was given twice", id)
		}
		w := &data.Message{
			ID: id, Gateway: n.Gateway, Text: n.Text, To: n.To, Title: n.Title, Params: n.Params, AcceptedAt: wall, State: data.Queued,
		}
		if n.Event > 0 {
			w.Event = o.First + data.ID(n.Event-1)
		}
		if n.ExpiresIn > 0 {
			m.limit(w, n.ExpiresIn, wall)
		}
		m.messages[id] = w
		m.beginAtOnce(w, wall)
	}
}

// firstMessageOf asks the store: the least id of a message that the model does
// not know. Saves are judged in the order of their ids.
func (m *model) firstMessageOf(*data.Save) data.ID {
	for _, w := range m.every(data.MessageQuery{Limit: 1000}) {
		if m.messages[w.ID] == nil {
			return w.ID
		}
	}
	return 0
}

// restart closes the store, or kills it, and starts it on the same machine, after
// a reboot, or with a clock that is off.
func (m *model) restart() {
	m.t.Helper()
	killed := m.chance(50)
	dir := m.options.Path
	if killed {
		dir = copyStore(m.t, dir)
	}
	m.close()
	m.options.Path = dir
	m.machine().pass(time.Duration(m.random.Int64N(int64(time.Minute))))
	switch {
	case m.chance(20):
		m.machine().reboot(fmt.Sprint("boot-", m.random.Uint32()))
	case m.chance(10):
		m.machine().up -= time.Hour
	}
	m.open()
	m.resumed()
}

// move backs the store up, restores it elsewhere, and goes on with that.
func (m *model) move() {
	m.t.Helper()
	backup := m.backup()
	m.close()
	m.machine().pass(time.Duration(m.random.Int64N(int64(time.Minute))))
	if m.chance(50) {
		m.machine().reboot(fmt.Sprint("boot-", m.random.Uint32()))
	}
	m.options.Path = filepath.Join(m.t.TempDir(), "store")
	if _, err := Restore(m.t.Context(), m.options, bytes.NewReader(backup), nil); err != nil {
		m.t.Fatal(err)
	}
	m.open()
	m.resumed()
}

// resumed takes note of what a start does.
func (m *model) resumed() {
	m.t.Helper()
	opened, doubt := m.Resumed()
	for id := range m.messages {
		m.doubtful[id] = m.doubtful[id] || doubt
	}
	for id, g := range m.flying {
		a := data.Attempt{Number: g.Number, Began: g.Began, Ended: opened, BeganAt: g.Message.DueAt}
		a.Result = data.Result{Outcome: data.OutcomeUnknown, Cause: data.CauseCutOff}
		if err := m.messages[id].Settle(a, m.messages[id].After(minute, a)); err != nil {
			m.t.Fatal(err)
		}
		if m.messages[id].State.Final() {
			m.ended[id] = m.Now()
		}
		delete(m.flying, id)
		m.settled(g.Message.Gateway, a)
		m.lanes[g.Message.Gateway].Last = data.Attempt{} // which of them was the last one is not said
	}
	m.compare()
}

// compare checks every record and every count.
func (m *model) compare() {
	m.t.Helper()
	m.verify()
	got := m.everyEvent(data.EventQuery{Limit: 100})
	if !slices.Equal(got, m.events) {
		m.t.Errorf("%d events are stored, other than the %d accepted", len(got), len(m.events))
	}
	stored := m.every(data.MessageQuery{Limit: 100})
	if !slices.Equal(idsOf(stored, messageID), m.sorted()) {
		m.t.Errorf("%d messages are stored, other than the %d accepted", len(stored), len(m.messages))
	}
	m.compareBackwards(stored)
	m.compareMade()
	if declared := m.everyDeclared(); !maps.Equal(declared, m.declared) {
		m.t.Errorf("declared is %v; want %v", declared, m.declared)
	}
	counts := make(map[string]*[data.States]uint64)
	for _, g := range m.gateways {
		counts[g] = new([data.States]uint64)
	}
	for _, s := range stored {
		w := *m.messages[s.ID]
		counts[w.Gateway][w.State]++
		if g, ok := m.flying[s.ID]; ok {
			w.Attempts = append(slices.Clip(w.Attempts), data.Attempt{Number: g.Number, Began: g.Began, BeganAt: g.Message.DueAt})
		}
		s.DueAt = time.Time{}
		if !w.State.Final() {
			s.ExpiresAt = w.ExpiresAt // by another clock
		}
		if fmt.Sprintf("%+v", s) != fmt.Sprintf("%+v", w) {
			m.t.Fatalf("stored is\n%+v; want\n%+v", s, w)
		}
	}
	for g, want := range counts {
		l, err := m.Lane(g)
		if ignoreNotFound(err) != nil || l.Counts != *want {
			m.t.Errorf("%s counts %v, %v; want %v", g, l.Counts, err, *want)
		}
		w := m.lanes[g]
		same := l.Began == w.Began && l.Held == w.Held && l.Paused == w.Paused && l.Unreached == w.Unreached
		if !same || l.HeldAt.IsZero() == (m.Now() < l.Held) || w.Last.Number > 0 && l.Last.Number != w.Last.Number {
			m.t.Errorf("%s is %+v; want %+v", g, l, w)
		}
	}
}

// compareBackwards reads the newest first what was just read in order, from some id down
// and by pages of some size.
func (m *model) compareBackwards(stored []data.Message) {
	m.t.Helper()
	below := data.ID(0)
	if n := len(m.events); n > 0 && m.chance(70) {
		below = m.events[m.random.IntN(n)].ID
	}
	limit, most := 1+m.random.IntN(50), 1+m.random.IntN(100)
	kind := []string{"", "type_1"}[m.random.IntN(2)]
	events := slices.DeleteFunc(slices.Clone(m.events), func(e data.Event) bool {
		return below != 0 && e.ID >= below || kind != "" && e.Type != kind
	})
	slices.Reverse(events)
	if got, _ := down(m.t, m.eventsOf(kind, limit, most), eventID, below); !slices.Equal(got, events) {
		m.t.Errorf("below %d, by pages of %d and %d, events of type %q are %v; want %v", below, limit, most, kind, idsOf(got, eventID), idsOf(events, eventID))
	}
	messages := slices.DeleteFunc(slices.Clone(stored), func(w data.Message) bool { return below != 0 && w.ID >= below })
	slices.Reverse(messages)
	if got, _ := down(m.t, m.messagesOf(limit, most), messageID, below); fmt.Sprint(got) != fmt.Sprint(messages) {
		m.t.Errorf("below %d, by pages of %d and %d, messages are %v; want %v", below, limit, most, idsOf(got, messageID), idsOf(messages, messageID))
	}
}

// compareMade asks for the messages of each event.
func (m *model) compareMade() {
	m.t.Helper()
	made := make(map[data.ID][]data.ID)
	for _, id := range m.sorted() {
		if w := m.messages[id]; w.Event != 0 && w.ResendOf == 0 {
			made[w.Event] = append(made[w.Event], id)
		}
	}
	for _, e := range m.events {
		if got, more := m.made(e.ID, 1000, maxExamined); !slices.Equal(got, made[e.ID]) || more {
			m.t.Errorf("made of event %s are %v, more %v; want %v", e.ID, got, more, made[e.ID])
		}
	}
}

// finish delivers whatever the queues still lead to: then every message must
// have ended.
func (m *model) finish() {
	m.t.Helper()
	for range 200 {
		b := &data.Batch{}
		for _, g := range m.gateways {
			b.Pauses = append(b.Pauses, &data.Pause{Gateway: g})
		}
		for _, id := range m.sorted() {
			if g, ok := m.flying[id]; ok {
				b.Settles = append(b.Settles, &data.Settle{Gateway: g.Message.Gateway, ID: id, Number: g.Number, Ended: m.Now(), Result: delivered})
			}
		}
		for _, g := range m.gateways {
			o := &data.Begin{Gateway: g}
			for _, r := range append(m.ready(g, 0, 50), m.waiting(g, data.Ref{}, 50)...) {
				o.Claims = append(o.Claims, data.Claim{Ref: r, Policy: minute})
			}
			b.Begins = append(b.Begins, o)
		}
		m.submit(b)
		m.machine().pass(time.Hour)
	}
	for _, w := range m.messages {
		if !w.State.Final() {
			m.t.Errorf("message %s never ended: %+v", w.ID, w)
		}
	}
}

// empty lets the time of everything pass: then nothing may be left.
func (m *model) empty() {
	m.t.Helper()
	m.machine().pass(time.Hour)
	for range 10_000 {
		o := &data.Prune{Keep: m.keep, Limit: 7}
		m.apply(&data.Batch{Prune: o})
		m.verify()
		if o.Next > m.Now() {
			break
		}
	}
	m.messages, m.events = nil, nil
	m.compare()
}
