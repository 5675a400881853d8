package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// follow sweeps until ctx ends. current is the program, or nil while it is down.
func (f *follower) follow(ctx context.Context, current func() *rig.Child) {
	for rig.Wait(ctx, sweepPace) == nil {
		if c := current(); c != nil {
			_ = f.sweep(ctx, c) // one that breaks off proves nothing, and another one follows
		}
	}
}

// lister is a program that is asked for its lists.
type lister interface {
	Page(ctx context.Context, list, after string) (rig.Page, error)
}

// sweep reads both lists once. Only one that was completed says what is missing.
func (f *follower) sweep(ctx context.Context, c lister) error {
	began := time.Now()
	f.sweeps++
	f.arrived(f.gateways.take())
	for {
		p, err := c.Page(ctx, rig.EventList, f.event)
		if err != nil {
			return err
		}
		f.listEvents(p.Events)
		if p.Next == nil {
			break
		}
	}
	from := f.places[0]
	at := from
	for {
		p, err := c.Page(ctx, rig.MessageList, at.cursor)
		if err != nil {
			return err
		}
		for _, m := range p.Messages {
			if m.ID <= at.id {
				f.complain("message %s is listed after %s", m.ID, at.id)
			}
			at.id = m.ID
			f.list(m)
		}
		if p.Next == nil {
			break
		}
		at.cursor = *p.Next
		if at.id > f.places[len(f.places)-1].id {
			f.places = append(f.places, at)
		}
	}
	f.swept = max(f.swept, at.id)
	f.missing(from, began)
	f.forget()
	f.round.count("sweeps", 1)
	requests, messages := f.open()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.progress = fmt.Sprintf("%s requests and %s messages open, a sweep takes %s", rig.Count(requests), rig.Count(messages), rig.Span(time.Since(began)))
	return nil
}

// arrived enters what gateways saw.
func (f *follower) arrived(all []arrival) {
	for _, one := range all {
		if !one.Known {
			f.complain("message %s came to %s without its secrets", one.Message, one.Gateway)
		}
		l := f.lives[one.Message]
		switch {
		case l == nil && one.Message <= f.swept:
			f.complain("message %s arrived at %s as attempt %d, and is not stored or ended long before", one.Message, one.Gateway, one.Number)
		case l == nil:
			f.strays[one.Message] = append(f.strays[one.Message], one)
		case l.judged:
			f.complain("message %s arrived at %s as attempt %d after its end", one.Message, one.Gateway, one.Number)
		default:
			l.seen = append(l.seen, one)
		}
	}
	f.round.count("arrivals at gateways", len(all))
}

// stored enters a record that is listed for the first time.
func (f *follower) stored(id string, s sentRecord, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, ok := f.sent[s]
	if !ok {
		f.complain("%s holds %.60q of %s, which nobody sent to %s, or which is stored twice", id, text, s.kind, s.path)
		return
	}
	delete(f.sent, s)
	p.of.listed[p.i] = id
}

func (f *follower) listEvents(events []rig.Event) {
	for _, e := range events {
		if e.ID <= f.event {
			f.complain("event %s is listed after %s", e.ID, f.event)
		}
		f.event = e.ID
		text := digestOf(e.Payload)
		f.stored(e.ID, sentRecord{eventPath, e.Type, text}, e.Payload)
		if e.Type == routedType {
			f.route(e.ID, text, true)
		}
	}
	f.round.count("events stored", len(events))
}

// route enters a routed event, or the message that was made of it.
func (f *follower) route(event string, text digest, isEvent bool) {
	r := f.routings[event]
	if r == nil {
		r = &routing{text: text, sweep: f.sweeps}
		f.routings[event] = r
	}
	if isEvent && r.event || !isEvent && r.message || r.text != text {
		f.complain("event %s has not one message, with its payload, as routed", event)
	}
	r.event, r.message = r.event || isEvent, r.message || !isEvent
	if r.event && r.message {
		delete(f.routings, event)
	}
}

// list enters a message as it is listed.
func (f *follower) list(m rig.Message) {
	l := f.lives[m.ID]
	if l == nil {
		l = f.born(m)
	}
	l.sweep = f.sweeps
	if l.judged && m.State != l.state {
		f.complain("message %s was %s in the end, and is %s", m.ID, l.state, m.State)
	}
	l.state = m.State
	now := time.Now()
	switch {
	case l.judged:
	case !m.Ended():
		if !l.ended.IsZero() {
			f.complain("message %s had ended, and is %s", m.ID, m.State)
		}
		if now.Sub(l.from) > longestLife && !l.late {
			l.late = true
			f.complain("message %s for %s is %s after %v, with %d attempts", m.ID, m.Gateway, m.State, longestLife, len(m.Attempts))
		}
	case l.ended.IsZero():
		l.ended = now
	case now.Sub(l.ended) >= settling:
		f.judge(m, l)
	}
}

// born enters a message that was not listed before.
func (f *follower) born(m rig.Message) *life {
	if m.ID <= f.swept {
		f.complain("message %s appears after %s was listed", m.ID, f.swept)
	}
	l := &life{gateway: m.Gateway, text: digestOf(m.Text), from: time.Now(), seen: f.strays[m.ID]}
	f.lives[m.ID] = l
	delete(f.strays, m.ID)
	f.round.count("messages stored", 1)
	switch {
	case m.ResendOf != "":
		f.resent(m, l)
	case m.Event != "":
		f.route(m.Event, l.text, false)
		if m.Gateway != well {
			f.complain("message %s of event %s is for %s, want %s as routed", m.ID, m.Event, m.Gateway, well)
		}
	default:
		f.stored(m.ID, sentRecord{messagePath, m.Gateway, l.text}, m.Text)
	}
	return l
}

// resent compares a message with the dead letter that it was.
func (f *follower) resent(m rig.Message, l *life) {
	old := f.dead[m.ResendOf]
	if old == nil {
		old = f.lives[m.ResendOf]
	}
	switch {
	case old == nil || old.state == "delivered":
		f.complain("message %s is %s again, which was no dead letter", m.ID, m.ResendOf)
	case old.resent != "":
		f.complain("message %s was sent again as %s and as %s", m.ResendOf, old.resent, m.ID)
	case old.gateway != l.gateway || old.text != l.text:
		f.complain("message %s was sent again as %s, which is another one", m.ResendOf, m.ID)
	}
	if old != nil {
		old.resent = m.ID
	}
	f.round.count("dead letters sent again", 1)
}

// judge compares the life of a message that has ended with what its gateway saw.
func (f *follower) judge(m rig.Message, l *life) {
	slices.SortStableFunc(l.seen, func(x, y arrival) int { return int(x.At - y.At) })
	f.promised.checkRecord(f.complain, m)
	f.promised.checkSeen(f.complain, m, l.seen)
	f.promised.checkEnd(f.complain, m, l.seen)
	if l.resent != "" && m.State == "delivered" {
		f.complain("message %s is delivered, and was sent again as %s", m.ID, l.resent)
	}
	l.judged, l.seen = true, nil
	if m.State != "delivered" {
		f.dead[m.ID] = l
	}
	f.round.count("messages "+m.State, 1)
}

// missing finds out after a complete sweep what should have been in it.
func (f *follower) missing(from place, began time.Time) {
	for id, l := range f.lives {
		if id > from.id && l.sweep != f.sweeps {
			// What ended long ago is over its time. That it had ended was seen later.
			if l.ended.IsZero() || time.Since(l.ended) < f.keep-lateness {
				f.complain("message %s for %s is not there any more, it was %s", id, l.gateway, l.state)
			}
			delete(f.lives, id)
		}
	}
	for id, seen := range f.strays {
		f.complain("message %s arrived %d times and is not stored", id, len(seen))
		delete(f.strays, id)
	}
	for event, r := range f.routings {
		if r.sweep < f.sweeps-1 {
			f.complain("event %s is stored: %v, and a message of it: %v", event, r.event, r.message)
			delete(f.routings, event)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for r, t := range f.requests {
		f.settle(r, t, began)
	}
}

// forget begins the next sweep behind all that is clear, and lets go of what nobody
// will ask for.
func (f *follower) forget() {
	oldest := ""
	for id, l := range f.lives {
		if !l.judged && (oldest == "" || id < oldest) {
			oldest = id
		}
	}
	n := 0
	for n+1 < len(f.places) && (oldest == "" || f.places[n+1].id < oldest) {
		n++
	}
	f.places = slices.Delete(f.places, 0, n)
	for id := range f.lives {
		if id <= f.places[0].id {
			delete(f.lives, id)
		}
	}
	for id, l := range f.dead {
		if time.Since(l.ended) > f.keep+unsureKeyed {
			delete(f.dead, id)
		}
	}
}

// end sweeps until all is clear, and complains of what does not get there.
func (f *follower) end(ctx context.Context, c *rig.Child) error {
	var requests, messages int
	err := rig.Until(ctx, "all is clear", longestLife+settling, 500*time.Millisecond, func() (bool, error) {
		if err := f.sweep(ctx, c); err != nil {
			return false, err
		}
		requests, messages = f.open()
		return requests == 0 && messages == 0 && len(f.routings) == 0, nil
	})
	if err != nil && ctx.Err() == nil {
		f.complain("%v: %d requests and %d messages are left", err, requests, messages)
		return nil
	}
	return err
}

// open is how much is not clear. Requests without an answer and a key, of which
// nothing is stored, are not counted: what does not come does not get clear.
func (f *follower) open() (requests, messages int) {
	for _, l := range f.lives {
		if !l.judged {
			messages++
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.requests {
		if t.acked != nil || t.keyed && !t.refused {
			requests++
		}
	}
	return requests, messages
}

func (f *follower) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.progress
}
