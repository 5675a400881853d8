package data

import (
	"slices"
	"time"
)

// Outcome is what an attempt came to.
type Outcome uint8

// The outcomes. How an answer is read is the dialect's business.
const (
	// OutcomeDelivered: the gateway took the message.
	OutcomeDelivered Outcome = iota + 1
	// OutcomeTemporary: no connection, no complete answer, or a refusal that may pass.
	OutcomeTemporary
	// OutcomeThrottled: refused, with a hint when to come back.
	OutcomeThrottled
	// OutcomePermanent: refused in a way that the dialect declares to be final.
	OutcomePermanent
	// OutcomeUnknown: cut off by a crash or by the end of the process, when its
	// request may have left.
	OutcomeUnknown
	// OutcomeWithdrawn: recorded, but nothing of its request ever left: its lane was
	// held in between, its message was not wanted any more, or the process ended. It
	// does not count, and its number is used again.
	OutcomeWithdrawn
)

var outcomeNames = [...]string{"", "delivered", "temporary", "throttled", "permanent", "unknown", "withdrawn"}

// String returns the name that the API and the logs use.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return ""
}

// Cause says in one fixed word why an attempt did not deliver.
type Cause string

// The causes. They are a closed list: metrics are labelled with them.
const (
	CauseNone       Cause = ""
	CauseStatus     Cause = "status"      // the answer's status was no success
	CauseThrottled  Cause = "throttled"   // the gateway asked us to wait
	CauseRefused    Cause = "refused"     // nobody listens there
	CauseUnreached  Cause = "unreachable" // no route, or the connection could not be made
	CauseDNS        Cause = "dns"         // the name has no address
	CauseTLS        Cause = "tls"         // the secure connection could not be made
	CauseTimeout    Cause = "timeout"     // no complete answer within the gateway's timeout
	CauseReset      Cause = "reset"       // the connection broke before the answer was complete
	CauseMalformed  Cause = "malformed"   // the answer is not HTTP, or too large
	CauseRejected   Cause = "rejected"    // the body of the answer says no
	CauseBody       Cause = "body"        // the body of the answer counts, and was cut or cannot be read
	CauseToken      Cause = "token"       // there is no access token to send with the request
	CauseForbidden  Cause = "forbidden"   // the address is not one we may talk to
	CauseRendering  Cause = "rendering"   // the message could not be put into the gateway's form
	CauseCutOff     Cause = "cut_off"     // the process ended while it was under way
	CauseNoAnswerBy Cause = "abandoned"   // its sender was lost while it was under way
)

var causes = []Cause{
	CauseStatus, CauseThrottled, CauseRefused, CauseUnreached, CauseDNS, CauseTLS, CauseTimeout,
	CauseReset, CauseMalformed, CauseRejected, CauseBody, CauseToken, CauseForbidden, CauseRendering, CauseCutOff, CauseNoAnswerBy,
}

// ParseCause reads a word that the API uses.
func ParseCause(word string) (Cause, bool) {
	return Cause(word), slices.Contains(causes, Cause(word))
}

// Causes lists all causes but [CauseNone].
func Causes() []Cause { return slices.Clone(causes) }

// Unreached reports whether there was not even a connection, or nothing to send
// on it.
func (c Cause) Unreached() bool {
	switch c {
	case CauseRefused, CauseUnreached, CauseDNS, CauseTLS, CauseToken:
		return true
	}
	return false
}

// Attempt is one try to hand a message to its gateway. It was recorded before
// its request left.
type Attempt struct {
	Number  int       // from 1, without gaps
	Began   StoreTime // when it was recorded
	Ended   StoreTime // when it came to its outcome
	BeganAt time.Time // Began on the wall clock, for people
	Result            // what it came to; zero while it is under way
}

// Result is what an attempt came to, as its dialect reads the answer.
type Result struct {
	Outcome Outcome
	Cause   Cause         // why it did not deliver
	Status  int           // the answer's HTTP status; 0 when there was no answer
	Hint    time.Duration // how long the gateway asked us to wait; 0 when it did not
	Answer  string        // the beginning of what the answer said, where that is kept; at most MaxAnswer bytes
}

// Bounds of what is kept of answers. The second one keeps a message small that is
// tried very often: each of its attempts writes it anew.
const (
	MaxAnswer  = 1 << 10 // bytes of one answer
	MaxAnswers = 10      // answers of one message, those of its newest attempts
)

// Unreached says how many attempts in a row have ended without a connection when
// one ends so, after so many before it. One that says nothing about the way to
// the gateway changes nothing.
func (r Result) Unreached(before int) int {
	switch {
	case r.Outcome == OutcomeUnknown, r.Outcome == OutcomeWithdrawn, r.Cause == CauseRendering, r.Cause == CauseForbidden:
		return before
	case r.Cause.Unreached():
		return before + 1
	}
	return 0
}

// Duration is how long the attempt took.
func (a Attempt) Duration() time.Duration { return a.Ended.Sub(a.Began) }

// Defaults and bounds of a [Policy], as DESIGN states them.
const (
	DefaultMaxAttempts = 3
	DefaultInterval    = time.Minute
	DefaultMaxHint     = time.Hour
	MaxAttemptsLimit   = 100
)

// Policy is how often and how soon a gateway's messages may be tried.
type Policy struct {
	MaxAttempts int           // attempts per message in all
	Interval    time.Duration // at least this from the end of one attempt to the start of the next
	MaxHint     time.Duration // a hint counts for no more than this
}

// Next is what becomes of a message after an attempt.
type Next struct {
	State State     // Waiting or a final state
	Due   StoreTime // when Waiting, the earliest start of the next attempt
}

// After is the retry rule: what becomes of a message whose attempt ended as a
// says, if it does not expire. A hint lengthens the interval and never shortens it.
func (p Policy) After(a Attempt) Next {
	switch {
	case a.Outcome == OutcomeDelivered:
		return Next{State: Delivered}
	case a.Outcome == OutcomePermanent:
		return Next{State: Failed}
	case a.Outcome == OutcomeWithdrawn:
		return Next{State: Waiting, Due: a.Began}
	case a.Number < p.MaxAttempts:
		return Next{State: Waiting, Due: a.Ended.Add(p.pause(a))}
	case a.Outcome == OutcomeUnknown:
		return Next{State: Unknown}
	}
	return Next{State: Failed}
}

// Hold says until when nothing is to be sent to a gateway that gave an attempt
// this answer, and whether it asked for that at all.
func (p Policy) Hold(a Attempt) (until StoreTime, asked bool) {
	if a.Outcome != OutcomeThrottled {
		return 0, false
	}
	return a.Ended.Add(p.pause(a)), true
}

// pause is the least time after an attempt.
func (p Policy) pause(a Attempt) time.Duration {
	return max(p.Interval, min(a.Hint, p.MaxHint))
}
