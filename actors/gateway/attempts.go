package gateway

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/postrider/postrider/data"
)

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
