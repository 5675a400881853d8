package gateway

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/postrider/postrider/data"
)

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
