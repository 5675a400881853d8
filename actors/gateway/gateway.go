// Package gateway is the lane actor: the run-time side of one gateway.
//
// It owns the windows on the lane's queues, the requests under way, and one timer.
// It accepts [Wake], [Pause], [Redefine] and [Drain], asks the manager to stop it
// with [Idle], and reaches the store and the outside only through its Options.
//
// Its decisions are made in schedule.go: what is next in the queues (window.go)
// and how much may begin (gate.go, with outage.go and bucket.go). What all lanes
// share is in slots.go. What the store begins by itself, as far as the lane allows it, is in
// allowance.go. It acts on them in advance.go, and attempts.go is what becomes of
// those that began.
//
// A request leaves only after its attempt is on disk, and what it came to is on
// disk before the message can be tried again. The lane itself can be lost at any
// moment: the next incarnation reads the store, waits for the requests that the
// last one sent, and gives up on those that do not report within their time.
package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/postrider/postrider/data"
)

// grace is what a request may take beyond its timeout before the lane stops
// believing that it will report.
const grace = 5 * time.Second

// readRetry is how long a lane waits after the store could not be read.
const readRetry = time.Second

// maxSleep bounds the timer: store time goes on while the machine sleeps and the
// timer does not.
const maxSleep = time.Minute

// Props describes a lane.
func Props(o Options) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor {
		a := &Actor{
			options:    o,
			definition: o.Definition,
			log:        o.Logger.With("gateway", o.Definition.Name),
			requests:   make(map[data.ID]int),
			adrift:     make(map[data.ID]data.StoreTime),
			reread:     data.Never,
		}
		a.schedule = newSchedule(o.Definition, o.Doubt)
		a.schedule.draining = o.Draining()
		a.define()
		return a
	})
}

// Actor is a lane.
type Actor struct {
	options    Options
	definition Definition
	log        *slog.Logger
	schedule   *schedule
	share      *Share
	allowance  *allowance
	requests   map[data.ID]int // begun and not settled: the numbers of attempts
	// adrift says when those of them are given up that another incarnation sent, or
	// nobody did, and that may never report.
	adrift  map[data.ID]data.StoreTime
	settles []*data.Settle // to be recorded with whatever else has ended by then
	ready   bool           // the store was read
	told    bool           // whether the lane is paused: the store may have been read before
	reread  data.StoreTime // when to read it again after it could not be
	wakes   uint64
	timers  uint64
	timer   *time.Timer
	idleAt  time.Time // since when there is nothing to do; zero when there is
	leaving bool      // it said that it is idle, and was told nothing since
	drained bool      // and said so
}

// Receive handles one message.
func (a *Actor) Receive(ctx actor.Context) {
	failed := true
	defer func() { a.ended(failed) }()
	switch m := ctx.Message().(type) {
	case *actor.Started:
		a.onStarted(ctx)
	case *actor.Stopping, *actor.Restarting:
		a.onStopping(ctx)
	case Wake:
		a.onWake(ctx, m)
	case Pause:
		a.onPause(ctx, m)
	case Redefine:
		a.onRedefine(ctx)
	case Drain:
		a.onDrain(ctx)
	case resumed:
		a.onResumed(ctx, m)
	case loaded:
		a.onLoaded(ctx, m)
	case recorded:
		a.onRecorded(ctx, m)
	case attemptDone:
		a.onAttemptDone(ctx, m)
	case settleDue:
		if m.incarnation == a {
			a.advance(ctx, nil)
		}
	case probed:
		a.onProbed(ctx, m)
	case slotFree:
		a.advance(ctx, nil)
	case wakeDue:
		a.onWakeDue(ctx, m)
	default:
		a.onUnknown(m)
	}
	failed = false
}

func (a *Actor) token() token { return token{incarnation: a, timer: a.timers} }

// current reports whether something belongs to this incarnation.
func (a *Actor) current(t token) bool { return t.incarnation == a }

func (a *Actor) onStarted(ctx actor.Context) {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	a.share = a.options.Slots.Join(func() { root.Send(self, slotFree{}) })
	a.allowance = a.options.Allowances.join(a.options.Definition.Name, a, a.share)
	a.resume(ctx)
}

func (a *Actor) onStopping(ctx actor.Context) {
	if a.allowance != nil {
		a.allowance.leave()
	}
	a.stopTimer()
	if len(a.settles) > 0 {
		a.record(ctx, nil, a.settles)
	}
	if a.share != nil {
		a.share.Leave()
	}
}

// resume asks the store what it knows of the lane.
func (a *Actor) resume(ctx actor.Context) {
	t := a.token()
	a.background(ctx, func() any {
		lane, err := a.options.Queue.Lane(a.options.Definition.Name)
		if errors.Is(err, data.ErrNotFound) {
			err = nil // it never had a message, and is as good as any without one
		}
		return resumed{token: t, lane: lane, err: err}
	}, func(cause any) any {
		return resumed{token: t, err: fmt.Errorf("panic: %v", cause)}
	})
}

// onResumed takes over what the store knows, and the attempts that are under way
// in its eyes: an earlier incarnation began them.
func (a *Actor) onResumed(ctx actor.Context, m resumed) {
	if !a.current(m.token) || a.ready {
		return
	}
	now := a.options.Now()
	if m.err != nil {
		a.log.Error("read the lane: will be tried again", "err", m.err)
		a.reread = now.Add(readRetry)
		a.advance(ctx, nil)
		return
	}
	a.ready = true
	if !a.told {
		a.schedule.paused = m.lane.Paused
	}
	if m.lane.Last.Number > 0 {
		a.share.Prompt(isPrompt(m.lane.Last.Result, m.lane.Last.Duration()))
	}
	a.schedule.resume(now, m.lane, a.definition, a.options.Ramp)
	for _, f := range m.lane.InFlight {
		if _, known := a.requests[f.ID]; known {
			continue
		}
		a.schedule.began(f.ID, f.Number)
		a.requests[f.ID], a.adrift[f.ID] = f.Number, f.Began.Add(f.Timeout+grace)
	}
	a.advance(ctx, nil)
}

func (a *Actor) onWake(ctx actor.Context, m Wake) {
	a.wakes, a.leaving = max(a.wakes, m.Number), false
	settles := a.onBegunAtOnce(ctx, m.Begun)
	if len(m.Refs) > 0 || len(m.Begun) == 0 {
		a.schedule.accepted(m.Refs)
	}
	a.advance(ctx, settles)
}

func (a *Actor) onPause(ctx actor.Context, m Pause) {
	a.told, a.schedule.paused = true, m.Paused
	a.advance(ctx, nil)
}

func (a *Actor) onRedefine(ctx actor.Context) {
	a.define()
	a.advance(ctx, nil)
}

// define takes the newest definition. Without one the old one stays, for what is
// under way, and the lane is parked.
func (a *Actor) define() {
	d, ok := a.options.Define()
	a.schedule.parked = !ok
	if ok {
		a.definition = d
		a.schedule.define(d)
	}
}

func (a *Actor) onDrain(ctx actor.Context) {
	a.schedule.draining = true
	a.advance(ctx, nil)
}

func (a *Actor) onLoaded(ctx actor.Context, m loaded) {
	if !a.current(m.token) {
		return
	}
	if m.err != nil {
		a.log.Error("read the queue: will be tried again", "err", m.err)
		m.more = true
	}
	a.schedule.loaded(m.load, m.refs, m.more)
	if m.err != nil {
		a.arm(ctx, a.options.Now().Add(readRetry))
		return
	}
	a.advance(ctx, nil)
}

// onProbed takes the answer to a probe.
func (a *Actor) onProbed(ctx actor.Context, m probed) {
	if !a.current(m.token) {
		return
	}
	if a.schedule.outage.probed(a.options.Now(), m.cause == data.CauseNone) {
		a.log.Info("gateway can be reached again")
	}
	a.advance(ctx, nil)
}

func (a *Actor) onWakeDue(ctx actor.Context, m wakeDue) {
	if !a.current(m.token) || m.token.timer != a.timers {
		return
	}
	if a.reread <= a.options.Now() {
		a.reread = data.Never
		a.resume(ctx)
	}
	a.advance(ctx, nil)
}

func (a *Actor) onUnknown(m any) {
	switch m.(type) {
	case actor.AutoReceiveMessage, actor.SystemMessage:
	default:
		a.log.Error("message not understood", "type", fmt.Sprintf("%T", m))
	}
}
