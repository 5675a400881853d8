package data

import (
	"fmt"
	"slices"
	"time"
)

// State says where a message is in its life.
type State uint8

// The states. Queued is where every message starts; the last five are final.
const (
	// Queued is entered on acceptance and left when the first attempt begins.
	Queued State = iota + 1
	// Sending is entered when an attempt was recorded and left when its outcome is.
	Sending
	// Waiting is entered when an attempt failed and another one is allowed, or
	// was withdrawn. It is left when the next attempt begins, never before its
	// due time.
	Waiting
	// Delivered is final: the gateway said yes.
	Delivered
	// Failed is final: the attempts are used up, or an answer was permanent.
	Failed
	// Unknown is final: the last attempt was cut off, the gateway may have it.
	Unknown
	// Expired is final: the message was not wanted any more before it got through.
	Expired
	// Cancelled is final: a person took it back before an attempt was under way.
	Cancelled
)

// States is how many values a State has, for tables indexed by it.
const States = int(Cancelled) + 1

var stateNames = [States]string{"", "queued", "sending", "waiting", "delivered", "failed", "unknown", "expired", "cancelled"}

// AllStates lists the states in the order of a life.
func AllStates() []State {
	return []State{Queued, Sending, Waiting, Delivered, Failed, Unknown, Expired, Cancelled}
}

// String returns the name that the API uses.
func (s State) String() string {
	if int(s) < States {
		return stateNames[s]
	}
	return ""
}

// ParseState reads a name that the API uses.
func ParseState(name string) (State, bool) {
	for _, s := range AllStates() {
		if stateNames[s] == name {
			return s, true
		}
	}
	return 0, false
}

// Final reports whether a message in this state stays in it.
func (s State) Final() bool { return s >= Delivered && s <= Cancelled }

// Dead reports whether a message in this state is a dead letter, one that can
// be sent again as a new message.
func (s State) Dead() bool { return s == Failed || s == Unknown || s == Expired }

// Bounds of what a message may carry beside its text.
const (
	MaxParams    = 100
	MaxParamName = 64                  // bytes, at least one
	MaxExpiry    = 30 * 24 * time.Hour // the longest that a message can be wanted when it is to expire
)

// Message is one text for one gateway.
type Message struct {
	ID         ID
	Gateway    string
	Text       string
	To         string            // whom the gateway is to reach; "" when that was not said
	Title      string            // "" for none
	Params     map[string]string // for the gateway's dialect, not changed any more; nil for none
	Event      ID                // the event a route made it of; 0 when a client sent it
	ResendOf   ID                // the dead letter that was sent again as this; 0 when it is none
	ResentAs   ID                // the message that this dead letter became; 0 when it did not
	AcceptedAt time.Time         // wall clock, for people

	State     State
	Expires   StoreTime // no attempt from then on; 0 for a message that does not expire
	ExpiresAt time.Time // Expires on the wall clock, for people and for a start in doubt

	Due      StoreTime // no attempt before this; meaningful while Waiting
	DueAt    time.Time // Due on the wall clock, for people; zero unless Waiting
	Attempts []Attempt // in the order of their numbers
}

// NextNumber is the number of the attempt that would come next, from 1.
func (m *Message) NextNumber() int {
	if len(m.Attempts) == 0 {
		return 1
	}
	return m.Attempts[len(m.Attempts)-1].Number + 1
}

// Expired reports whether the message is not wanted any more at a time.
func (m *Message) Expired(at StoreTime) bool { return m.Expires != 0 && at >= m.Expires }

// Begin moves the message to Sending for attempt number at time now. It is
// refused with [ErrConflict] when the message is not ready for that attempt:
// ended, being sent, not due, not wanted any more, or at another number.
func (m *Message) Begin(number int, now StoreTime) error {
	switch {
	case m.State != Queued && m.State != Waiting:
		return fmt.Errorf("begin attempt %d of a message that is %s: %w", number, m.State, ErrConflict)
	case number != m.NextNumber():
		return fmt.Errorf("begin attempt %d where %d is next: %w", number, m.NextNumber(), ErrConflict)
	case m.State == Waiting && now < m.Due:
		return fmt.Errorf("begin attempt %d before it is due: %w", number, ErrConflict)
	case m.Expired(now):
		return fmt.Errorf("begin attempt %d of a message that has expired: %w", number, ErrConflict)
	}
	m.State = Sending
	return nil
}

// After is what becomes of the message after an attempt: what the policy says,
// unless the next attempt would begin when the message is not wanted any more.
// Then this one was the last, and when it was cut off the gateway may have the
// message.
func (m *Message) After(p Policy, a Attempt) Next {
	next := p.After(a)
	switch {
	case next.State != Waiting || !m.Expired(max(next.Due, a.Ended)):
		return next
	case a.Outcome == OutcomeWithdrawn:
		return Next{State: m.overdue()}
	case a.Outcome == OutcomeUnknown:
		return Next{State: Unknown}
	}
	return Next{State: Expired}
}

// overdue is how a message ends that is to have no further attempt.
func (m *Message) overdue() State {
	if n := len(m.Attempts); n > 0 && m.Attempts[n-1].Outcome == OutcomeUnknown {
		return Unknown
	}
	return Expired
}

// Settle ends the attempt under way with a and moves the message to next, which
// is what [Message.After] said. An attempt that was withdrawn leaves no trace, and
// of answers only the newest [MaxAnswers] stay. It is refused with [ErrConflict]
// when no attempt of that number is under way.
func (m *Message) Settle(a Attempt, next Next) error {
	switch {
	case m.State != Sending:
		return fmt.Errorf("settle attempt %d of a message that is %s: %w", a.Number, m.State, ErrConflict)
	case a.Number != m.NextNumber():
		return fmt.Errorf("settle attempt %d where %d is under way: %w", a.Number, m.NextNumber(), ErrConflict)
	case next.State != Waiting && !next.State.Final():
		return fmt.Errorf("settle attempt %d to %s: %w", a.Number, next.State, ErrConflict)
	}
	if a.Outcome != OutcomeWithdrawn {
		m.Attempts = append(m.Attempts, a)
		m.forget()
	}
	m.State, m.Due = next.State, next.Due
	return nil
}

// forget drops the answer that is one too many. Others may be reading the attempts
// that there were, so it is dropped from a copy.
func (m *Message) forget() {
	kept := 0
	for i, a := range slices.Backward(m.Attempts) {
		if a.Answer == "" {
			continue
		}
		if kept++; kept > MaxAnswers {
			m.Attempts = slices.Clone(m.Attempts)
			m.Attempts[i].Answer = ""
			return
		}
	}
}

// GiveUp ends a message that waits for an attempt it may not have any more, since
// its gateway now allows fewer. It is refused with [ErrConflict] in other states.
func (m *Message) GiveUp() error {
	if m.State != Waiting {
		return fmt.Errorf("give up a message that is %s: %w", m.State, ErrConflict)
	}
	m.State, m.Due = Failed, 0
	return nil
}

// Expire ends a message that has to go out no more, before its next attempt: as
// Expired, or as Unknown when its last attempt was cut off. It is refused with
// [ErrConflict] when none is to come or one is under way.
func (m *Message) Expire() error {
	if m.State != Queued && m.State != Waiting {
		return fmt.Errorf("expire a message that is %s: %w", m.State, ErrConflict)
	}
	m.State, m.Due = m.overdue(), 0
	return nil
}

// Cancel takes the message back. [ErrSending] when an attempt is under way,
// [ErrEnded] when it is too late.
func (m *Message) Cancel() error {
	switch {
	case m.State == Sending:
		return ErrSending
	case m.State.Final():
		return ErrEnded
	}
	m.State, m.Due = Cancelled, 0
	return nil
}

// Resend marks a dead letter with the message that it becomes. [ErrNotDead] when
// it is none, [ErrResent] when it became one already.
func (m *Message) Resend(as ID) error {
	switch {
	case !m.State.Dead():
		return ErrNotDead
	case m.ResentAs != 0:
		return ErrResent
	}
	m.ResentAs = as
	return nil
}

// Cause says why the newest attempt that ended did not deliver.
func (m *Message) Cause() Cause {
	for _, a := range slices.Backward(m.Attempts) {
		if a.Outcome != 0 {
			return a.Cause
		}
	}
	return CauseNone
}

// MessageQuery selects messages. Without Gateway and States they come in the
// order of acceptance, else state by state in the order of each state's queue.
type MessageQuery struct {
	Gateway string  // only messages for this gateway; "" means all
	States  []State // only messages in one of these states; none means all
	Cause   Cause   // only messages whose newest outcome has this cause; "" means all
	Unsent  bool    // only messages that were not sent again
	// Only messages that were accepted at Since or later, and before Until; zero for no
	// bound. The clock of their acceptance counts, which may have been set since.
	Since, Until time.Time
	After        string // the cursor of the page before; "" means from the start
	Limit        int    // at most this many
	// Enough is told each message of the page, in order; true ends the page behind
	// it. nil means that only the other bounds end one.
	Enough func(Message) bool
}

// DeadStates lists the states of dead letters.
func DeadStates() []State { return []State{Failed, Unknown, Expired} }

// Within reports whether a message was accepted in the time that the query asks for.
func (q *MessageQuery) Within(m *Message) bool {
	return !m.AcceptedAt.Before(q.Since) && (q.Until.IsZero() || m.AcceptedAt.Before(q.Until))
}

// MessagePage answers a [MessageQuery]. Next is the cursor of the following
// page, "" at the end; a page may be short, even empty, while there is a Next.
type MessagePage struct {
	Messages []Message
	Next     string
}
