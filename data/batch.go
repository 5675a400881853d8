package data

import "time"

// A Batch is what one commit changes. Its parts are independent of each other:
// each carries its own answer, and one that is refused does not touch the rest.
type Batch struct {
	Settles []*Settle
	Begins  []*Begin
	Cancels []*Cancel
	Saves   []*Save
}

// Empty reports whether there is nothing to commit.
func (b *Batch) Empty() bool {
	return len(b.Settles)+len(b.Begins)+len(b.Cancels)+len(b.Saves) == 0
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
	Event   int // made by a route of the Save's Events[Event-1]; 0 when a client sent it
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
	Repeated bool  // answer: the key was known, First is the first answer's
	Err      error // answer: ErrKeyReused, ErrTooLarge; nil when stored
}

// Ref points at a message that a lane may begin: what its window holds instead
// of the message.
type Ref struct {
	ID     ID
	Number int       // of the attempt to come
	Due    StoreTime // not before; 0 for a first attempt
	Run    ID        // where a queued message is stored; opaque to lanes, 0 for a waiting one
	Prior  ID        // what comes before it in the queue of queued messages; opaque to lanes
}

// Claim asks for one attempt. Policy is what the gateway allows at this moment;
// it decides what a crash makes of the attempt.
type Claim struct {
	Ref    Ref
	Policy Policy
}

// Begin records attempts before their requests leave.
type Begin struct {
	Gateway string
	Claims  []Claim

	Granted []Granted // answer: the claims that may be sent, in their order
}

// Granted is an attempt that was recorded and may be sent.
type Granted struct {
	Message Message
	Number  int
	Began   StoreTime
}

// Settle records what an attempt came to. The [Policy] it began under says what
// becomes of the message. A late one, for an attempt that was settled already,
// is refused with ErrConflict and changes nothing.
type Settle struct {
	Gateway string
	ID      ID
	Number  int
	Ended   StoreTime
	Result  Result

	Next Next  // answer
	Err  error // answer: ErrConflict
}

// Cancel takes a message back.
type Cancel struct {
	ID ID

	Message Message // answer: the message as it is now
	Err     error   // answer: ErrNotFound, ErrSending, ErrEnded
}

// Lane is the stored side of a gateway: what waits, what is under way, and how
// many messages are in which state. The counts are exact at every moment.
type Lane struct {
	Gateway  string
	Counts   [States]uint64 // by State
	InFlight []InFlight     // in the order they began
	Last     Attempt        // the newest settled attempt; Number 0 when there is none
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
}

// CutOff settles an attempt that will never be settled by whoever sent it: it
// counts as used, and nobody knows what became of it.
func (f InFlight) CutOff(gateway string, at StoreTime, why Cause) *Settle {
	return &Settle{Gateway: gateway, ID: f.ID, Number: f.Number, Ended: at, Result: Result{Outcome: OutcomeUnknown, Cause: why}}
}
