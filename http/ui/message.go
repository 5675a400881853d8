package ui

import (
	"time"

	"github.com/postrider/postrider/data"
)

// Filter is what a list of messages was asked for, as it was written.
type Filter struct {
	Gateway, State, Cause string
	Since, Until          string // as the fields of the form have them
}

// Any reports whether the list is one of some messages only.
func (f Filter) Any() bool { return f != Filter{} }

// Messages is a page of the list of messages.
type Messages struct {
	Frame
	Filter   Filter
	Newest   bool // whether the newest come first
	List     []data.Message
	Next     string // the address of the following page; "" at the end
	First    string // that of the first page; "" when this is it
	Resend   string // where all dead letters that match can be sent again; "" when there is no such
	Problems []string
}

// MessagePage shows one message with every attempt.
type MessagePage struct {
	Frame
	Message data.Message
}

// step is something that happened to a message.
type step struct {
	At      time.Time
	Tone    Tone
	Title   string
	Attempt *data.Attempt // nil for what is no attempt
	Pause   time.Duration // since the step before
}

// steps is the time line of a message: its acceptance, each attempt, and what is to come.
func (v MessagePage) steps() []step {
	m := v.Message
	all := []step{{At: m.AcceptedAt, Tone: Calm, Title: "accepted"}}
	ended := m.AcceptedAt
	for i := range m.Attempts {
		a := &m.Attempts[i]
		all = append(all, step{
			At: a.BeganAt, Tone: outcomeTone(a.Outcome), Title: outcomeWords(a.Outcome),
			Attempt: a, Pause: max(0, a.BeganAt.Sub(ended)),
		})
		ended = a.BeganAt
		if a.Outcome != 0 {
			ended = a.BeganAt.Add(a.Duration())
		}
	}
	if m.State == data.Waiting && !m.DueAt.IsZero() {
		all = append(all, step{At: m.DueAt, Tone: Calm, Title: "next attempt, not before"})
	}
	if m.State == data.Sending && (len(m.Attempts) == 0 || m.Attempts[len(m.Attempts)-1].Outcome != 0) {
		all = append(all, step{At: v.Now, Tone: Wait, Title: "an attempt is under way"})
	}
	return all
}

// Resend asks whether dead letters are to be sent again, and shows how far that got.
type Resend struct {
	Frame
	Filter   Filter
	Matching uint64 // when it was counted
	More     bool   // whether there are more than were counted
	Running  bool   // whether some were sent already, and more are to be
	Finished bool
	After    string // where to go on
	Sent     int
	Skipped  int
	Back     string // the address of the list that it began at
}

// Done is how many have been looked at.
func (r Resend) Done() int { return r.Sent + r.Skipped }
