package badger

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// reader reads within one transaction and keeps the lanes it met.
type reader struct {
	s     *Store
	txn   *badger.Txn
	lanes map[uint32]*lane
}

func (s *Store) newReader(txn *badger.Txn) *reader {
	return &reader{s: s, txn: txn, lanes: make(map[uint32]*lane)}
}

// lane returns a lane as of this transaction; an empty one when it was made in
// memory and no commit has it yet.
func (r *reader) lane(number uint32) (*lane, error) {
	if l := r.lanes[number]; l != nil {
		return l, nil
	}
	k := laneKey(number)
	l := &lane{number: number}
	item, err := r.txn.Get(k)
	if err == nil {
		err = item.Value(func(v []byte) error {
			l, err = decodeLane(k, v)
			return err
		})
	}
	if err != nil && !errors.Is(err, badger.ErrKeyNotFound) {
		return nil, err
	}
	r.lanes[number] = l
	return l, nil
}

// complete turns a stored message into the whole of it, but for a long text: with
// its gateway, the attempt under way, and what it was sent again as.
func (r *reader) complete(m *message) error {
	l, err := r.lane(m.lane)
	if err != nil {
		return err
	}
	m.Gateway = l.gateway
	if f, ok := l.flight(m.ID); ok {
		m.State = data.Sending
		m.Attempts = append(m.Attempts, data.Attempt{Number: f.Number, Began: f.Began, BeganAt: f.BeganAt})
	}
	if m.State == data.Waiting {
		m.DueAt = r.s.clock.onWall(m.Due)
	}
	if m.Expires != 0 && !m.State.Final() {
		// By the clock that people read now, not the one of its acceptance.
		if at := r.s.clock.onWall(m.Expires); m.ID >= r.s.doubtful || at.Before(m.ExpiresAt) {
			m.ExpiresAt = at
		}
	}
	return readResent(r.txn, m)
}

// Messages returns a page of messages. It may be short, and even empty, while
// there is a next one.
func (s *Store) Messages(q data.MessageQuery) (data.MessagePage, error) {
	return s.messages(q, maxExamined)
}

// messages is Messages looking at no more than most records.
func (s *Store) messages(q data.MessageQuery, most int) (data.MessagePage, error) {
	at, err := parseCursor(q.After)
	if err != nil {
		return data.MessagePage{}, err
	}
	p := &pager{query: q, most: most}
	err = s.read(func(txn *badger.Txn) error {
		p.reader = s.newReader(txn)
		if q.Gateway == "" && len(q.States) == 0 {
			return p.all(at)
		}
		return p.queues(at)
	})
	if err != nil {
		return data.MessagePage{}, fmt.Errorf("read messages: %w", err)
	}
	return p.page, nil
}

// pager collects one page. It goes through sections, each a queue of one lane
// and one state, or all messages as one section with lane and state 0.
type pager struct {
	*reader
	query    data.MessageQuery
	page     data.MessagePage
	size     int
	examined int
	most     int // how many may be examined
	enough   bool
}

// cursor says behind what a page goes on: a place in a section.
type cursor struct {
	lane  uint32
	state data.State
	place []byte // nil means from the start of the section
}

func (c cursor) String() string {
	b := append(laneKey(c.lane)[1:], byte(c.state))
	return hex.EncodeToString(append(b, c.place...))
}

func parseCursor(text string) (cursor, error) {
	if text == "" {
		return cursor{}, nil
	}
	b, err := hex.DecodeString(text)
	if err != nil || len(b) < 5 || len(b) > 5+24 || int(b[4]) >= data.States {
		return cursor{}, data.ErrBadCursor
	}
	number, _ := parseLaneKey(append([]byte{prefixLane}, b[:4]...))
	return cursor{lane: number, state: data.State(b[4]), place: b[5:]}, nil
}

// full stops before the next record and leaves a cursor behind the last one.
func (p *pager) full(c cursor) bool {
	if p.next() {
		return false
	}
	p.page.Next = c.String()
	return true
}

// next reports whether the page takes a look at another record.
func (p *pager) next() bool {
	if len(p.page.Messages) >= p.query.Limit || p.examined >= p.most || p.size >= maxPageBytes || p.enough {
		return false
	}
	p.examined++
	return true
}

// add adds a message if it is what the query asks for. A state of 0 stands for all.
func (p *pager) add(m *message, state data.State) error {
	if err := p.complete(m); err != nil {
		return err
	}
	switch {
	case state != 0 && m.State != state:
	case !p.query.Within(&m.Message):
	case p.query.Cause != data.CauseNone && m.Cause() != p.query.Cause:
	case p.query.Unsent && m.ResentAs != 0:
	default:
		if err := readText(p.txn, m); err != nil {
			return err
		}
		p.size += m.contentSize()
		p.page.Messages = append(p.page.Messages, m.Message)
		p.enough = p.query.Enough != nil && p.query.Enough(m.Message)
	}
	return nil
}

// all goes through the messages in the order of their ids, deleted ones too, of which
// there may be millions in a row.
func (p *pager) all(at cursor) error {
	if at.lane != 0 || at.state != 0 || len(at.place) != 0 && len(at.place) != 8 {
		return data.ErrBadCursor
	}
	var from data.ID
	if after, ok := parseIDKey(append([]byte{prefixMessage}, at.place...)); ok {
		from = behind(after)
	}
	return walk(p.txn, prefixMessage, from, func(id data.ID, item *badger.Item) error {
		if p.full(at) {
			return errEnough
		}
		at.place = appendID(nil, id)
		return p.addItem(item)
	})
}

// addItem adds the message of a record if it is what the query asks for; nil is none.
func (p *pager) addItem(item *badger.Item) error {
	if item == nil {
		return nil
	}
	return item.Value(func(v []byte) error {
		m, err := decodeMessage(item.Key(), v)
		if err != nil {
			return err
		}
		return p.add(m, 0)
	})
}

// queues goes through the sections of the query from the cursor on.
func (p *pager) queues(at cursor) error {
	if p.query.After != "" && (at.lane == 0 || at.state == 0) {
		return data.ErrBadCursor // of a list of all
	}
	lanes := p.s.gateways()
	if p.query.Gateway != "" {
		l := p.s.lane(p.query.Gateway)
		if l == nil {
			return nil
		}
		lanes = []*lane{l}
	}
	states := data.AllStates()
	if len(p.query.States) > 0 {
		states = slices.DeleteFunc(states, func(s data.State) bool { return !slices.Contains(p.query.States, s) })
	}
	for _, known := range lanes {
		if known.number < at.lane {
			continue
		}
		l, err := p.lane(known.number)
		if err != nil {
			return err
		}
		for _, state := range states {
			here := cursor{lane: l.number, state: state}
			switch {
			case l.number == at.lane && state < at.state:
				continue
			case l.number == at.lane && state == at.state:
				here = at
			case l.counts[state] == 0:
				continue
			}
			if err := p.section(l, here); err != nil || p.page.Next != "" {
				return err
			}
		}
	}
	return nil
}

func (p *pager) section(l *lane, at cursor) error {
	switch at.state {
	case data.Queued:
		return p.queued(l, at)
	case data.Sending:
		return p.sending(l, at)
	case data.Waiting:
		return p.waiting(l, at)
	}
	return p.ended(l, at)
}

// take adds the message of an id if it is in the section's state: a run also
// names messages that were cancelled or taken since.
func (p *pager) take(id data.ID, state data.State) error {
	m, err := readMessage(p.txn, id)
	if err != nil {
		return err
	}
	if m == nil {
		return damaged(messageKey(id), "is missing, a queue names it")
	}
	return p.add(m, state)
}

func (p *pager) queued(l *lane, at cursor) error {
	from := l.ready
	if id, ok := parseIDKey(append([]byte{prefixRun}, at.place...)); ok {
		from = max(from, behind(id))
	}
	return scan(p.txn, runPrefix(l.number), runKey(l.number, from), func(k, v []byte) error {
		ids, err := decodeIDs(k, v)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if id < from {
				continue
			}
			if p.full(at) {
				return errEnough
			}
			if err := p.take(id, data.Queued); err != nil {
				return err
			}
			at.place = appendID(nil, id)
		}
		return nil
	})
}

func (p *pager) sending(l *lane, at cursor) error {
	after, _ := parseIDKey(append([]byte{prefixMessage}, at.place...))
	flying := slices.Clone(l.flying)
	slices.SortFunc(flying, func(a, b data.InFlight) int { return cmp.Compare(a.ID, b.ID) })
	for _, f := range flying {
		if f.ID <= after {
			continue
		}
		if p.full(at) {
			return nil
		}
		if err := p.take(f.ID, data.Sending); err != nil {
			return err
		}
		at.place = appendID(nil, f.ID)
	}
	return nil
}

func (p *pager) waiting(l *lane, at cursor) error {
	from := waitingKey(l.number, l.head)
	if len(at.place) == 16 {
		from = append(waitingPrefix(l.number), at.place...)
		from = append(from, 0) // behind it
	}
	return scan(p.txn, waitingPrefix(l.number), from, func(k, _ []byte) error {
		if p.full(at) {
			return errEnough
		}
		_, place, ok := parseWaitingKey(k)
		if !ok {
			return damaged(k, "has a malformed key")
		}
		at.place = slices.Clone(k[5:])
		return p.take(place.id, data.Waiting)
	})
}

// ended goes through the messages that ended in the section's state, in the
// order of their end. A place is the commit's time and the last id of it.
func (p *pager) ended(l *lane, at cursor) error {
	resumeAt := l.oldest[at.state]
	var after data.ID
	if len(at.place) == 16 {
		resumeAt = parseTime(at.place)
		after, _ = parseIDKey(append([]byte{prefixDone}, at.place[8:]...))
	}
	prefix := donePrefix(l.number, at.state)
	return scan(p.txn, prefix, doneKey(l.number, at.state, resumeAt), func(k, v []byte) error {
		_, _, time, ok := parseDoneKey(k)
		if !ok {
			return damaged(k, "has a malformed key")
		}
		ids, err := decodeIDs(k, v)
		if err != nil {
			return err
		}
		slices.Sort(ids)
		for _, id := range ids {
			if time == resumeAt && id <= after {
				continue
			}
			if p.full(at) {
				return errEnough
			}
			if err := p.take(id, at.state); err != nil {
				return err
			}
			at.place = appendID(appendTime(nil, time), id)
		}
		return nil
	})
}
