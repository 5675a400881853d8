// Package persister is the actor that writes: the only one in the process. It
// gathers what many ask for and commits it as a group.
//
// The first operation of a group makes it send a flush to itself. By the time
// that arrives, everything that was in the mailbox has joined the group. While
// the disk is busy the mailbox gathers the next group, so a group is as large as
// the load makes it and nobody waits for a timer.
//
// It accepts save, cancel, pause, declare and resend, which [Client] sends, and [Record],
// and answers each when it is on disk. By itself it deletes what was kept for long
// enough, in small steps that share commits with what others ask for.
//
// It blocks on one thing, the commit; [Client.Accepting]
// tells when that takes too long. A commit that fails, or a panic, ends the
// process: what a half-done commit left behind is for recovery to say, and no
// batch is ever applied twice.
package persister

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/postrider/postrider/data"
)

// Store is what the persister writes to.
type Store interface {
	// Apply commits a batch; its error means that nobody knows what is stored.
	Apply(*data.Batch) error
	Now() data.StoreTime
}

// Options say what the persister works with. All fields are needed but Pruned.
type Options struct {
	Store Store
	// Retention says how long records are kept; zero keeps everything.
	Retention data.Retention
	// Accepted is told which messages gateways got, after they are on disk.
	Accepted func([]data.Arrival)
	// Paused is told that a lane was paused, or is not any more, after that is on disk.
	Paused func(gateway string, paused bool)
	// Pruned is told how many records were deleted; nil for nobody.
	Pruned func(records int)
	// Failed is told the error that makes it pointless to go on; it must end
	// the process.
	Failed func(error)
	// Watch is shared with the Client: it knows how long a commit has taken, and
	// whether there is still somebody to answer.
	Watch  *Watch
	Logger *slog.Logger
}

// Props describes the persister.
func Props(o Options) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor { return &Actor{options: o} })
}

// Actor is the persister.
type Actor struct {
	options Options
	group   group
	timer   *time.Timer // of the next step of pruning; nil when everything is kept
	failed  error       // nothing is applied any more
}

// Receive handles one message.
func (a *Actor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		a.onStarted(ctx)
	case *actor.Stopping:
		a.onStopping(ctx)
	case save:
		a.join(ctx, func() { a.group.addSave(m) })
	case cancel:
		a.join(ctx, func() { a.group.addCancel(m) })
	case pause:
		a.join(ctx, func() { a.group.addPause(m) })
	case declare:
		a.join(ctx, func() { a.group.addDeclare(m) })
	case resend:
		a.join(ctx, func() { a.group.addResend(m) })
	case Record:
		a.join(ctx, func() { a.group.addRecord(m) })
	case flushDue:
		a.onFlushDue(ctx, m)
	case pruneDue:
		a.onPruneDue(ctx, m)
	default:
		a.onUnknown(m)
	}
}

func (a *Actor) onStarted(ctx actor.Context) {
	a.options.Watch.start(a.options.Failed)
	if a.options.Retention != (data.Retention{}) {
		a.pruneIn(ctx, 0)
	}
}

// join takes an operation into the group and sees to it that the group is flushed.
func (a *Actor) join(ctx actor.Context, add func()) {
	first := a.group.empty()
	add()
	if first {
		ctx.Send(ctx.Self(), flushDue{})
	}
}

// onStopping commits what is still open: nobody is left without an answer.
func (a *Actor) onStopping(ctx actor.Context) {
	a.flush(ctx)
	if a.timer != nil {
		a.timer.Stop()
	}
	a.options.Watch.Over(data.ErrStopping)
}

// onFlushDue lets those run first who are about to ask: their requests are read, and
// only the processors are too busy to get them here. They make the group larger, and
// there is nobody to wait for when there is something to do for nobody else.
func (a *Actor) onFlushDue(ctx actor.Context, m flushDue) {
	if !m.late {
		runtime.Gosched()
		ctx.Send(ctx.Self(), flushDue{late: true})
		return
	}
	a.flush(ctx)
}

// errInterrupted is what a panic in the middle of a flush leaves behind.
var errInterrupted = fmt.Errorf("%w: a commit was interrupted", data.ErrStorage)

func (a *Actor) flush(ctx actor.Context) {
	if a.group.empty() {
		return
	}
	defer a.group.clear()
	if a.failed != nil {
		a.group.answer(a.failed)
		return
	}
	a.failed = errInterrupted // stays if the rest panics
	began := time.Now()
	err := a.apply()
	took := time.Since(began)
	a.group.answer(err)
	a.failed = err
	if err != nil {
		a.options.Logger.Error("storage failed: nothing more is acknowledged, the process ends", "err", err)
		a.options.Failed(err)
		return
	}
	if arrived := a.group.batch.Arrived; len(arrived) > 0 {
		a.options.Accepted(arrived)
	}
	for _, m := range a.group.pauses {
		a.options.Paused(m.Gateway, m.Paused)
	}
	if a.group.batch.Prune != nil {
		a.pruned(ctx, took)
	}
}

// apply commits the group. Whatever the error is, it is a [data.ErrStorage].
func (a *Actor) apply() error {
	a.options.Watch.begin()
	defer a.options.Watch.end()
	err := a.options.Store.Apply(&a.group.batch)
	if err != nil && !errors.Is(err, data.ErrStorage) {
		err = fmt.Errorf("%w: %w", data.ErrStorage, err)
	}
	return err
}

func (a *Actor) onUnknown(m any) {
	switch m.(type) {
	case actor.AutoReceiveMessage, actor.SystemMessage:
	default:
		a.options.Logger.Error("message not understood", "actor", "persister", "type", fmt.Sprintf("%T", m))
	}
}
