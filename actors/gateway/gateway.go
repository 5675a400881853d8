// Package gateway is the lane actor: the run-time side of one gateway.
//
// It owns the windows on the lane's queues, the requests under way, and one timer.
// It accepts [Wake], [Pause], [Redefine] and [Drain], asks the manager to stop it
// with [Idle], and reaches the store and the outside only through its Options.
//
// Its decisions are made in schedule.go: what is next in the queues (window.go)
// and how much may begin (gate.go, with outage.go and bucket.go). What all lanes
// share is in slots.go. What the store begins by itself, as far as the lane allows it, is in
// allowance.go.
//
// A request leaves only after its attempt is on disk, and what it came to is on
// disk before the message can be tried again. The lane itself can be lost at any
// moment: the next incarnation reads the store, waits for the requests that the
// last one sent, and gives up on those that do not report within their time.
package gateway

import (
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

// onRecorded sends what was granted and lets go of what was settled.
func (a *Actor) onRecorded(ctx actor.Context, m recorded) {
	if m.err != nil {
		return // the process is about to end
	}
	for _, o := range m.settles {
		a.onSettled(o)
	}
	if m.begin != nil {
		a.advance(ctx, a.onBegun(ctx, m))
		return
	}
	a.advance(ctx, nil)
}

// onBegun sends what was granted and returns how to settle what is not sent.
func (a *Actor) onBegun(ctx actor.Context, m recorded) (settles []*data.Settle) {
	now, wall, share := a.options.Now(), time.Now(), m.incarnation.share
	for _, g := range m.begin.Granted {
		if o := a.dispatch(ctx, now, wall, g, m.incarnation); o != nil {
			settles = append(settles, o)
		}
	}
	share.Give(len(m.begin.Claims) - len(m.begin.Granted))
	for _, c := range m.begin.Claims {
		a.schedule.refused(c.Ref) // those that were granted are flying
	}
	for _, id := range m.begin.GivenUp {
		a.log.Error("message ended undelivered: its gateway allows fewer attempts now", "message", id.String(), "state", data.Failed.String())
		a.countEnded(data.Failed)
	}
	for _, e := range m.begin.Overdue {
		a.reportExpired(e.ID, e.State)
	}
	if len(m.begin.Standing) > 0 {
		c := m.begin.Closed
		a.schedule.paused = a.schedule.paused || c.Paused
		a.schedule.hold(now, c.Held)
		a.schedule.standing(m.begin.Standing, c != data.Closed{})
	}
	return settles
}

// dispatch sends what was granted to an incarnation with a slot of its share, or
// returns how to settle it.
func (a *Actor) dispatch(ctx actor.Context, now data.StoreTime, wall time.Time, g data.Granted, incarnation *Actor) *data.Settle {
	if incarnation == a && !a.schedule.closed(now) && !g.Message.Expired(now) {
		a.schedule.began(g.Message.ID, g.Number)
		a.requests[g.Message.ID] = g.Number
		a.reportBegun(g.Message, now, wall)
		a.send(ctx, g)
		return nil
	}
	// Held, paused or expired since the attempt was claimed or allowed, or by an
	// incarnation that knew of a hold which this one may not have read yet: it has
	// not left.
	incarnation.share.Give(1)
	if _, known := a.requests[g.Message.ID]; !known {
		a.requests[g.Message.ID] = g.Number
	}
	return &data.Settle{
		Gateway: a.options.Definition.Name, ID: g.Message.ID, Number: g.Number, Ended: now,
		Result: data.Result{Outcome: data.OutcomeWithdrawn},
	}
}

// onSettled lets go of an attempt that is on disk with its outcome.
func (a *Actor) onSettled(o *data.Settle) {
	if number, known := a.requests[o.ID]; known && number == o.Number {
		delete(a.requests, o.ID)
		delete(a.adrift, o.ID)
		a.schedule.landed(o.ID, o.Number) // if an earlier incarnation sent it
	}
	if o.Err != nil {
		a.schedule.reread() // settled before: nobody may have said what came of it
		return
	}
	number := o.Number
	if o.Result.Outcome != data.OutcomeWithdrawn {
		a.report(o, o.Ended.Sub(o.Began))
		number++
	} else if o.Next.State.Final() {
		a.reportExpired(o.ID, o.Next.State)
	}
	if o.Next.State == data.Waiting {
		a.schedule.returns(data.Ref{ID: o.ID, Number: number, Due: o.Next.Due})
	}
}

// onAttemptDone settles an attempt, also one that this incarnation has not heard
// of yet, or has given up. What it says about the gateway counts at once.
func (a *Actor) onAttemptDone(ctx actor.Context, m attemptDone) {
	a.schedule.landed(m.id, m.number)
	if a.requests[m.id] == m.number {
		delete(a.adrift, m.id)
	}
	if _, known := a.requests[m.id]; !known {
		a.requests[m.id] = m.number
	}
	now := a.options.Now()
	a.share.Prompt(isPrompt(m.result, m.took))
	if a.schedule.ended(now, m.result) {
		a.log.Warn("gateway cannot be reached: no attempts until a connection can be made", "cause", string(m.result.Cause))
	}
	until, asked := a.definition.Policy.Hold(data.Attempt{Ended: m.ended, Result: m.result})
	if asked && a.schedule.hold(now, until) {
		a.log.Warn("gateway asks to wait: no attempts until then", "for", until.Sub(now).Round(time.Millisecond))
	}
	a.settle(ctx, &data.Settle{
		Gateway: a.options.Definition.Name,
		ID:      m.id,
		Number:  m.number,
		Ended:   m.ended,
		Result:  m.result,
	})
}

// settle has an attempt settled with all others that end before the mailbox comes to
// what it sends: they share a record, and the lane looks only once for what to do next.
func (a *Actor) settle(ctx actor.Context, o *data.Settle) {
	if len(a.settles) == 0 {
		ctx.Send(ctx.Self(), settleDue{incarnation: a})
	}
	a.settles = append(a.settles, o)
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

// advance does whatever can be done now: settle, claim, probe, load, sleep, or
// leave.
func (a *Actor) advance(ctx actor.Context, settles []*data.Settle) {
	now := a.options.Now()
	lost, wake := a.giveUp(now)
	wake = min(wake, a.reread)
	settles = append(append(settles, lost...), a.settles...)
	var begin *data.Begin
	if a.ready {
		begin = a.claim(ctx, now)
		wake = min(wake, a.schedule.wake(now))
		if l, ok := a.schedule.wants(now); ok {
			a.load(ctx, l)
		}
	}
	if begin != nil || len(settles) > 0 {
		a.record(ctx, begin, settles)
		a.settles = nil // not before: whatever fails till here, onStopping has them
	}
	wake = min(wake, a.rest(ctx, now))
	a.allow(now)
	a.arm(ctx, wake)
}

// claim takes slots and claims for them what may begin, or probes.
func (a *Actor) claim(ctx actor.Context, now data.StoreTime) *data.Begin {
	if a.schedule.waits(now) > 0 {
		a.disallow() // what waits comes first
	}
	attempts, probe := a.schedule.open(now)
	if probe {
		if a.share.Take(1) == 1 {
			a.schedule.outage.probing = true
			a.probe(ctx)
		}
		return nil
	}
	attempts = a.share.Take(attempts)
	return a.begin(a.schedule.claim(now, attempts))
}

// giveUp settles attempts that nobody will report. It returns when the next one
// is to be looked at.
func (a *Actor) giveUp(now data.StoreTime) (settles []*data.Settle, next data.StoreTime) {
	next = data.Never
	for id, lost := range a.adrift {
		if lost > now {
			next = min(next, lost)
			continue
		}
		f := data.InFlight{ID: id, Number: a.requests[id]}
		settles = append(settles, f.CutOff(a.options.Definition.Name, now, data.CauseNoAnswerBy))
		a.schedule.landed(id, f.Number)
		delete(a.adrift, id)
	}
	return settles, next
}

// rest says goodbye when there is nothing left to do: to the manager that drains
// the lanes at once, otherwise after a while. It returns when that is.
func (a *Actor) rest(ctx actor.Context, now data.StoreTime) data.StoreTime {
	if a.schedule.draining {
		a.disallow()
	}
	if a.schedule.draining && !a.drained && a.ready && a.schedule.quiet() && len(a.requests) == 0 {
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
	if a.disallow(); a.schedule.away > 0 {
		a.idleAt = time.Time{} // word of it is on its way
		return data.Never
	}
	a.leaving = true
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
