package gateway

import (
	"time"

	"github.com/postrider/postrider/data"
)

// Wake says that messages for this gateway were accepted. The manager sends it.
// Number counts the wakes of this lane, for Idle. Begun are the attempts that one commit
// began for it, and Refs what it put at the end of its queue; without any of these,
// something may have come that nobody names.
type Wake struct {
	Number uint64
	Begun  []data.Begun
	Refs   []data.Ref
}

// Pause keeps the lane from beginning attempts, or ends that, after the store has
// it. The manager sends it.
type Pause struct{ Paused bool }

// Redefine asks the lane to get its definition anew. The manager sends it when
// definitions have changed. Requests under way end under the old one; without one
// the lane begins nothing more, until it has one again or is stopped.
type Redefine struct{}

// Drain asks the lane to begin no more attempts and to answer Drained when the
// ones under way are settled. The manager sends it when the process is to end.
type Drain struct{}

// Drained tells the manager, once in an incarnation of the lane, that it begins
// nothing and has nothing under way. The lane is its sender.
type Drained struct{ Gateway string }

// Idle tells the manager that the lane has nothing to do. Wakes is the number of
// the last Wake it knew then: with a newer one on its way the lane must not be
// stopped. The lane is its sender.
type Idle struct {
	Gateway string
	Wakes   uint64
}

// resumed is sent to self with what the store knows of the lane.
type resumed struct {
	token token
	lane  data.Lane
	err   error
}

// loaded is sent to self with the answer to a load.
type loaded struct {
	token token
	load  load
	refs  []data.Ref
	more  bool
	err   error
}

// recorded is sent to self when attempts were begun and settled on disk. It is
// never dropped: what was granted must be sent, or withdrawn by whoever is there
// then instead of the incarnation that asked.
type recorded struct {
	incarnation *Actor // that asked
	begin       *data.Begin
	settles     []*data.Settle
	err         error
}

// attemptDone is sent to self when a request has ended. It carries no token:
// also the outcome of a request that an earlier incarnation sent is settled.
type attemptDone struct {
	id     data.ID
	number int
	ended  data.StoreTime
	took   time.Duration // from when its request left
	result data.Result
}

// settleDue is sent to self with the first attempt to settle of some: what has ended
// before it arrives is recorded together.
type settleDue struct{ incarnation *Actor }

// probed is sent to self when a probe of the gateway has ended.
type probed struct {
	token token
	cause data.Cause // CauseNone when there was a connection
}

// slotFree is sent to self when the lane may take a slot that it waited for.
type slotFree struct{}

// wakeDue is sent to self by the timer.
type wakeDue struct{ token token }

// token marks what belongs to one incarnation of the lane, and within it to the
// newest timer: the PID survives a restart, so late ones reach the next.
type token struct {
	incarnation *Actor
	timer       uint64
}

// IgnoreDeadLetterLogging keeps message texts out of the log.
func (Wake) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps message texts out of the log.
func (recorded) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps references out of the log.
func (loaded) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps what gateways answered out of the log.
func (attemptDone) IgnoreDeadLetterLogging() {}
