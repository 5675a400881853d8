package data

import "time"

// A Batch is what one commit changes. Its parts are independent of each other:
// each carries its own answer, and one that is refused does not touch the rest.
//
// They are applied in the order of the fields: what a settle says about its lane
// counts for the begins beside it.
type Batch struct {
	Settles  []*Settle
	Pauses   []*Pause
	Declares []*Declare
	Begins   []*Begin
	Cancels  []*Cancel
	Resends  []*Resend
	Saves    []*Save
	Prune    *Prune // nil for none

	// Arrived is the answer of all Saves and Resends: what came to the ends of the
	// queues of lanes, in its order. A lane may come twice.
	Arrived []Arrival
}

// Arrival is what came to the end of the queue of a lane.
type Arrival struct {
	Gateway string
	// Refs is all of it, in its order. The first one's Prior is 0 where the store does
	// not know what came before; then the queue has to be read.
	Refs []Ref
}

// Empty reports whether there is nothing to commit.
func (b *Batch) Empty() bool {
	return len(b.Settles)+len(b.Pauses)+len(b.Declares)+len(b.Begins)+len(b.Cancels)+len(b.Resends)+len(b.Saves) == 0 && b.Prune == nil
}

// NewEvent is an event to accept.
type NewEvent struct {
	Type    string
	Payload string
}

// NewMessage is a message to accept.
type NewMessage struct {
	Gateway string
	Text    string
	To      string
	Title   string
	Params  map[string]string // not changed any more; at most MaxParams, with names of 1 to MaxParamName bytes
	// ExpiresIn is how long the message is wanted, at most MaxExpiry; 0 means for ever.
	ExpiresIn time.Duration
	Event     int // made by a route of the Save's Events[Event-1]; 0 when a client sent it
	// MaxQueue is how many messages with an attempt to come the gateway may have,
	// this one included; 0 means no limit.
	MaxQueue int
}

// IdempotencyKey makes a Save repeatable: a second Save with the same Key and
// Request gets the first answer and stores nothing.
type IdempotencyKey struct {
	Key     [32]byte // hash of the key
	Request [32]byte // hash of all that the request asks for
}

// KeyLife is how long an idempotency key is remembered.
const KeyLife = 24 * time.Hour

// Save accepts events and messages, all or nothing. The ids of its events follow
// each other in the order given, and so do the ids of its messages.
type Save struct {
	Events   []NewEvent
	Messages []NewMessage
	Key      *IdempotencyKey // nil when the client gave none

	First    ID    // answer: the id of the first event, or without events of the first message
	Count    int   // answer: without events, how many messages First begins
	Repeated bool  // answer: the key was known, First and Count are the first answer's
	Err      error // answer: ErrKeyReused, ErrTooLarge, ErrBacklog, ErrNoSpace; nil when stored
}

// Ref points at a message that a lane may begin: what its window holds instead
// of the message.
type Ref struct {
	ID     ID
	Number int       // of the attempt to come
	Due    StoreTime // not before; 0 for a first attempt
	Run    ID        // where a queued message is stored; opaque to lanes, 0 for a waiting one
	Prior  ID        // what comes before it in the queue of queued messages
}

// Claim asks for one attempt. Policy is what the gateway allows at this moment;
// it decides what a crash makes of the attempt.
type Claim struct {
	Ref     Ref
	Policy  Policy
	Timeout time.Duration // of the attempt, for whoever has to give it up
}

// Begin records attempts before their requests leave. None is granted while the
// lane is held or paused.
type Begin struct {
	Gateway string
	Claims  []Claim

	Granted []Granted // answer: the claims that may be sent, in their order
	// Standing is the answer to claims of attempts that may begin later: their
	// references stay where they were. All other claims are void: their messages
	// have ended, or are elsewhere by now.
	Standing []Ref
	// GivenUp is the answer to claims of attempts that the policy does not allow
	// any more: their messages have failed.
	GivenUp []ID
	// Overdue is the answer to claims of messages that are not wanted any more: they
	// have ended.
	Overdue []Ended
	Closed  Closed // answer: why none may begin now
}

// Ended is a message that ended without a further attempt.
type Ended struct {
	ID    ID
	State State
}

// Closed says why a lane begins no attempts for now. Its zero value says that it
// does.
type Closed struct {
	Paused bool
	Held   StoreTime // until then, when it is in the future
}

// Granted is an attempt that was recorded and may be sent.
type Granted struct {
	Message Message
	Number  int
	Began   StoreTime
}

// Settle records what an attempt came to. The [Policy] it began under says what
// becomes of the message, unless that expires before, and whether its lane is held. A late one, for an
// attempt that was settled already, is refused with ErrConflict and changes
// nothing.
type Settle struct {
	Gateway string
	ID      ID
	Number  int
	Ended   StoreTime
	Result  Result

	Began StoreTime // answer: when the attempt had begun
	Next  Next      // answer
	Err   error     // answer: ErrConflict
}

// Cancel takes a message back.
type Cancel struct {
	ID ID

	Message Message // answer: the message as it is now
	Err     error   // answer: ErrNotFound, ErrSending, ErrEnded
}

// MaxResend is how many messages one [Resend] may name.
const MaxResend = 1000

// Resend sends dead letters again, each as a new message that names the old one.
// The old one keeps its state and says what it became. All of it is one commit:
// those that are refused do not touch the rest.
type Resend struct {
	IDs []ID // at most MaxResend

	Resent []Resent // answer, in the order of IDs
	Err    error    // answer: ErrTooLarge, ErrNoSpace; then nothing is sent again
}

// Resent is what became of one message of a [Resend].
type Resent struct {
	Old     ID
	New     ID     // the new message; with ErrResent, the one that there was already
	Gateway string // of both; "" when there is no Old
	Err     error  // ErrNotFound, ErrNotDead, ErrResent; nil when sent again
}

// Pause keeps a lane from beginning attempts, or ends that. It survives
// restarts and does not touch attempts under way.
type Pause struct {
	Gateway string
	Paused  bool
}

// Declare keeps how a gateway is declared, in place of what was kept before, or
// forgets it. What is kept means nothing to the store, and lanes do not depend on it.
type Declare struct {
	Gateway     string // 1 to MaxGatewayName bytes
	Declaration []byte // nil forgets

	Err error // answer: ErrTooLarge, ErrNoSpace; nil when it is done
}

// MaxGatewayName is how many bytes the name of a gateway may have.
const MaxGatewayName = 64

// Declared is a declaration that is kept.
type Declared struct {
	Gateway     string
	Declaration []byte
}

// Retention says how long records are kept after their end; 0 means for ever.
type Retention struct {
	Events    time.Duration // from their acceptance
	Delivered time.Duration // delivered and cancelled messages
	Dead      time.Duration // dead letters
}

// Of returns how long a message that ended in a state is kept.
func (r Retention) Of(s State) time.Duration {
	if s.Dead() {
		return r.Dead
	}
	return r.Delivered
}

// Prune deletes records whose time is over, the oldest of a queue first.
type Prune struct {
	Keep  Retention
	Limit int // how many records to delete at most, about

	Deleted int           // answer: how many were deleted
	Next    StoreTime     // answer: when there may be more to delete; Never when nothing ends
	Took    time.Duration // answer: what it took of the writer's time, beside the commit
}

// Lane is the stored side of a gateway: what waits, what is under way, and how
// many messages are in which state. The counts are exact at every moment.
type Lane struct {
	Gateway  string
	Counts   [States]uint64 // by State
	InFlight []InFlight     // in the order they began
	Last     Attempt        // the newest settled attempt; Number 0 when there is none
	Began    StoreTime      // when the newest attempt began; 0 when there was none
	Paused   bool           // a person keeps it from beginning attempts
	// Held is when its gateway may be sent to again, as the gateway asked;
	// in the past when it did not, or when that is over.
	Held   StoreTime
	HeldAt time.Time // Held on the wall clock, for people; zero when it is over
	// Unreached is how many attempts in a row ended without a connection.
	Unreached int
	// First is an id that no message of the lane is older than which has an attempt to
	// come or under way; 0 when there is none. Of those that wait only the next one that
	// is due counts.
	First ID
}

// Open is how many messages still have an attempt to come or under way.
func (l Lane) Open() uint64 { return l.Counts[Queued] + l.Counts[Sending] + l.Counts[Waiting] }

// InFlight is an attempt that was recorded and not settled.
type InFlight struct {
	ID      ID
	Number  int
	Began   StoreTime
	BeganAt time.Time
	Policy  Policy
	Timeout time.Duration
}

// CutOff settles an attempt that will never be settled by whoever sent it: it
// counts as used, and nobody knows what became of it.
func (f InFlight) CutOff(gateway string, at StoreTime, why Cause) *Settle {
	return &Settle{Gateway: gateway, ID: f.ID, Number: f.Number, Ended: at, Result: Result{Outcome: OutcomeUnknown, Cause: why}}
}
