// Package gateway is the lane actor: the run-time side of one gateway.
//
// It owns the window on the lane's queues, the requests under way, and one timer.
// It accepts [Wake] and [Drain], asks the manager to stop it with [Idle], and
// reaches the store and the outside only through its Options. Its decisions are
// made in schedule.go.
//
// A request leaves only after its attempt is on disk, and what it came to is on
// disk before the message can be tried again. The lane itself can be lost at any
// moment: the next incarnation reads the store, waits for the requests that the
// last one sent, and gives up on those that do not report within their time.
package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/postrider/postrider/data"
)

// Queue is the stored side of a lane, for reading.
type Queue interface {
	Lane(gateway string) (data.Lane, error)
	Ready(gateway string, after data.ID, limit int) (refs []data.Ref, more bool, err error)
	Waiting(gateway string, after data.Ref, limit int) (refs []data.Ref, more bool, err error)
}

// Definition is how one gateway is to be served.
type Definition struct {
	Name        string
	Policy      data.Policy
	Timeout     time.Duration // of one attempt
	Concurrency int           // requests under way at once
	// Deliver sends one message and says what came of it. It returns within
	// Timeout, and soon after ctx ends.
	Deliver func(ctx context.Context, m data.Message, number int) data.Result
}

// Options say what a lane works with. All fields are needed but Attempted.
type Options struct {
	Definition Definition
	Queue      Queue
	Now        func() data.StoreTime
	// NotBefore holds back what was waiting before the process started, when it
	// is not known for how long.
	NotBefore data.StoreTime
	// Record begins and settles attempts on disk and then calls done, once.
	Record func(begin *data.Begin, settles []*data.Settle, done func(error))
	// Attempts ends when requests that are still under way must be cut off.
	Attempts context.Context //nolint:containedctx // it bounds requests, not a call
	// Draining reports whether the process is to end: a lane that starts then, as
	// one that failed does, begins nothing.
	Draining func() bool
	Linger   time.Duration // how long an idle lane stays
	Logger   *slog.Logger
	// Attempted is told of each settled attempt. It must be quick.
	Attempted func(gateway string, r data.Result, next data.State, took time.Duration)
}

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
			options:  o,
			log:      o.Logger.With("gateway", o.Definition.Name),
			schedule: newSchedule(o.Definition.Concurrency, o.NotBefore),
			requests: make(map[data.ID]request),
			reread:   data.Never,
		}
		a.schedule.paused = o.Draining()
		return a
	})
}

// Actor is a lane.
type Actor struct {
	options  Options
	log      *slog.Logger
	schedule *schedule
	requests map[data.ID]request // begun and not settled
	ready    bool                // the store was read
	reread   data.StoreTime      // when to read it again after it could not be
	wakes    uint64
	timers   uint64
	timer    *time.Timer
	idleAt   time.Time // since when there is nothing to do; zero when there is
	drained  bool      // and said so
}

// request is an attempt that was begun. Its state is the store's and outlives
// the lane; here is what the lane does about it.
type request struct {
	number int
	began  data.StoreTime
	// lost is when the attempt is given up; set when another incarnation sent
	// it, or nobody did, and so it may never report.
	lost data.StoreTime
}

// Receive handles one message.
func (a *Actor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		a.onStarted(ctx)
	case *actor.Stopping, *actor.Restarting:
		a.stopTimer()
	case Wake:
		a.onWake(ctx, m)
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
	case wakeDue:
		a.onWakeDue(ctx, m)
	default:
		a.onUnknown(m)
	}
}

func (a *Actor) token() token { return token{incarnation: a, timer: a.timers} }

// current reports whether something belongs to this incarnation.
func (a *Actor) current(t token) bool { return t.incarnation == a }

func (a *Actor) onStarted(ctx actor.Context) {
	t := a.token()
	a.background(ctx, func() any {
		lane, err := a.options.Queue.Lane(a.options.Definition.Name)
		return resumed{token: t, lane: lane, err: err}
	}, func(cause any) any {
		return resumed{token: t, err: fmt.Errorf("panic: %v", cause)}
	})
}

// onResumed takes over the attempts that are under way in the store's eyes: an
// earlier incarnation began them.
func (a *Actor) onResumed(ctx actor.Context, m resumed) {
	if !a.current(m.token) || a.ready {
		return
	}
	if m.err != nil {
		a.log.Error("read the lane: will be tried again", "err", m.err)
		a.reread = a.options.Now().Add(readRetry)
		a.advance(ctx, nil)
		return
	}
	a.ready = true
	for _, f := range m.lane.InFlight {
		if _, known := a.requests[f.ID]; known {
			continue
		}
		a.schedule.began(f.ID, f.Number)
		a.requests[f.ID] = request{
			number: f.Number,
			began:  f.Began,
			lost:   a.lostAt(f.Began),
		}
	}
	a.advance(ctx, nil)
}

func (a *Actor) onWake(ctx actor.Context, m Wake) {
	a.wakes = max(a.wakes, m.Number)
	a.schedule.accepted()
	a.advance(ctx, nil)
}

func (a *Actor) onDrain(ctx actor.Context) {
	a.schedule.paused = true
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

// onRecorded sends what was granted and lets go of what was settled.
func (a *Actor) onRecorded(ctx actor.Context, m recorded) {
	if m.err != nil {
		return // the process is about to end
	}
	for _, o := range m.settles {
		a.onSettled(o)
	}
	if m.begin == nil {
		a.advance(ctx, nil)
		return
	}
	var late []*data.Settle
	for _, g := range m.begin.Granted {
		f := data.InFlight{ID: g.Message.ID, Number: g.Number}
		if now := a.options.Now(); m.incarnation != a && a.ready && a.lostAt(g.Began) <= now {
			late = append(late, f.CutOff(a.options.Definition.Name, now, data.CauseNoAnswerBy))
			continue
		}
		a.schedule.began(f.ID, f.Number)
		a.requests[f.ID] = request{number: f.Number, began: g.Began}
		a.send(ctx, g)
	}
	granted := m.begin.Granted // in the order of the claims
	for _, c := range m.begin.Claims {
		if len(granted) > 0 && granted[0].Message.ID == c.Ref.ID && granted[0].Number == c.Ref.Number {
			granted = granted[1:]
			continue
		}
		a.schedule.refused(c.Ref)
	}
	a.advance(ctx, late)
}

// onSettled lets go of an attempt that is on disk with its outcome.
func (a *Actor) onSettled(o *data.Settle) {
	r, known := a.requests[o.ID]
	if known && r.number == o.Number {
		delete(a.requests, o.ID)
		a.schedule.ended(o.ID, o.Number) // if an earlier incarnation sent it
	}
	if o.Err != nil {
		return // settled before
	}
	a.report(o, o.Ended.Sub(r.began))
	if o.Next.State == data.Waiting {
		a.schedule.returns(data.Ref{ID: o.ID, Number: o.Number + 1, Due: o.Next.Due})
	}
}

// onAttemptDone settles an attempt, also one that this incarnation has not heard
// of yet, or has given up.
func (a *Actor) onAttemptDone(ctx actor.Context, m attemptDone) {
	a.schedule.ended(m.id, m.number)
	if _, known := a.requests[m.id]; !known {
		a.requests[m.id] = request{number: m.number, began: m.began}
	}
	a.advance(ctx, []*data.Settle{{
		Gateway: a.options.Definition.Name,
		ID:      m.id,
		Number:  m.number,
		Ended:   m.ended,
		Result:  m.result,
	}})
}

func (a *Actor) onWakeDue(ctx actor.Context, m wakeDue) {
	if !a.current(m.token) || m.token.timer != a.timers {
		return
	}
	if a.reread <= a.options.Now() {
		a.reread = data.Never
		a.onStarted(ctx)
	}
	a.advance(ctx, nil)
}

// advance does whatever can be done now: settle, claim, load, sleep, or leave.
func (a *Actor) advance(ctx actor.Context, settles []*data.Settle) {
	now := a.options.Now()
	lost, wake := a.giveUp(now)
	wake = min(wake, a.reread)
	settles = append(settles, lost...)
	var begin *data.Begin
	if a.ready {
		claims, due := a.schedule.next(now)
		wake = min(wake, due)
		begin = a.begin(claims)
		if l, ok := a.schedule.wants(); ok {
			a.load(ctx, l)
		}
	}
	if begin != nil || len(settles) > 0 {
		a.record(ctx, begin, settles)
	}
	a.arm(ctx, min(wake, a.rest(ctx, now)))
}

// lostAt is when an attempt is given up whose sender may never report.
func (a *Actor) lostAt(began data.StoreTime) data.StoreTime {
	return began.Add(a.options.Definition.Timeout + grace)
}

// giveUp settles attempts that nobody will report. It returns when the next one
// is to be looked at.
func (a *Actor) giveUp(now data.StoreTime) (settles []*data.Settle, next data.StoreTime) {
	next = data.Never
	for id, r := range a.requests {
		switch {
		case r.lost == 0:
		case r.lost > now:
			next = min(next, r.lost)
		default:
			f := data.InFlight{ID: id, Number: r.number}
			settles = append(settles, f.CutOff(a.options.Definition.Name, now, data.CauseNoAnswerBy))
			a.schedule.ended(id, r.number)
			r.lost = 0
			a.requests[id] = r
		}
	}
	return settles, next
}

// rest says goodbye when there is nothing left to do: to the manager that drains
// the lanes at once, otherwise after a while. It returns when that is.
func (a *Actor) rest(ctx actor.Context, now data.StoreTime) data.StoreTime {
	if a.schedule.paused && !a.drained && a.ready && a.schedule.quiet() && len(a.requests) == 0 {
		ctx.Request(ctx.Parent(), Drained{Gateway: a.options.Definition.Name})
		a.drained = true
	}
	if !a.ready || !a.schedule.idle() || len(a.requests) > 0 {
		a.idleAt = time.Time{}
		return data.Never
	}
	if a.idleAt.IsZero() {
		a.idleAt = time.Now()
	}
	if left := a.options.Linger - time.Since(a.idleAt); left > 0 {
		return now.Add(left)
	}
	ctx.Request(ctx.Parent(), Idle{Gateway: a.options.Definition.Name, Wakes: a.wakes})
	return data.Never
}

// arm sets the one timer. An older one that still fires finds its token outdated.
func (a *Actor) arm(ctx actor.Context, at data.StoreTime) {
	a.stopTimer()
	if at == data.Never {
		return
	}
	a.timers++
	self, root, t := ctx.Self(), ctx.ActorSystem().Root, a.token()
	wait := min(max(at.Sub(a.options.Now()), 0), maxSleep)
	a.timer = time.AfterFunc(wait, func() { root.Send(self, wakeDue{token: t}) })
}

func (a *Actor) stopTimer() {
	if a.timer != nil {
		a.timer.Stop()
	}
}

func (a *Actor) onUnknown(m any) {
	switch m.(type) {
	case actor.AutoReceiveMessage, actor.SystemMessage:
	default:
		a.log.Error("message not understood", "type", fmt.Sprintf("%T", m))
	}
}
