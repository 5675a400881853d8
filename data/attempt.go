package data

import "time"

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
	// OutcomeUnknown: cut off by a crash or by the end of the process.
	OutcomeUnknown
)

var outcomeNames = [...]string{"", "delivered", "temporary", "throttled", "permanent", "unknown"}

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
	CauseForbidden  Cause = "forbidden"   // the address is not one we may talk to
	CauseRendering  Cause = "rendering"   // the message could not be put into the gateway's form
	CauseCutOff     Cause = "cut_off"     // the process ended while it was under way
	CauseNoAnswerBy Cause = "abandoned"   // its sender was lost while it was under way
)

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
// says. A hint lengthens the interval and never shortens it.
func (p Policy) After(a Attempt) Next {
	switch {
	case a.Outcome == OutcomeDelivered:
		return Next{State: Delivered}
	case a.Outcome == OutcomePermanent:
		return Next{State: Failed}
	case a.Number < p.MaxAttempts:
		return Next{State: Waiting, Due: a.Ended.Add(max(p.Interval, min(a.Hint, p.MaxHint)))}
	case a.Outcome == OutcomeUnknown:
		return Next{State: Unknown}
	}
	return Next{State: Failed}
}
