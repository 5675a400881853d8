package persister

import "github.com/postrider/postrider/data"

// save asks for events and messages to be stored. Client sends it; it is answered
// when they are on disk or refused.
type save struct {
	*data.Save
	asker
}

// cancel asks for a message to be taken back. Client sends it; answered like save.
type cancel struct {
	*data.Cancel
	asker
}

// pause asks for a lane to be paused, or for the end of that. Client sends it;
// answered like save.
type pause struct {
	*data.Pause
	asker
}

// declare asks for a declaration to be kept or forgotten. Client sends it; answered
// like save.
type declare struct {
	*data.Declare
	asker
}

// resend asks for dead letters to be sent again. Client sends it; answered like
// save.
type resend struct {
	*data.Resend
	asker
}

// Record asks for attempts to be begun and settled. Lanes send it; when both are
// on disk, Done is called within the persister, so it must only pass on: with
// nil and the answers filled in, or with the error that ends the process.
type Record struct {
	Begin   *data.Begin // nil for none
	Settles []*data.Settle
	Done    func(error)
}

// IgnoreDeadLetterLogging keeps message texts out of the log.
func (save) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps declarations, which have secrets, out of the log.
func (declare) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps message texts out of the log.
func (Record) IgnoreDeadLetterLogging() {}

// pruneDue is the timer of pruning, of one incarnation.
type pruneDue struct{ incarnation *Actor }

// flushDue is sent to self with the first operation of a group: what arrived
// before it is committed together.
type flushDue struct{ late bool }
