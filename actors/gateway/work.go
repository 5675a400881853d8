package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/postrider/postrider/data"
)

func (a *Actor) begin(claims []data.Ref) *data.Begin {
	if len(claims) == 0 {
		return nil
	}
	b := &data.Begin{Gateway: a.options.Definition.Name, Claims: make([]data.Claim, len(claims))}
	for i, r := range claims {
		b.Claims[i] = data.Claim{Ref: r, Policy: a.definition.Policy, Timeout: a.definition.Timeout}
	}
	return b
}

func (a *Actor) record(ctx actor.Context, begin *data.Begin, settles []*data.Settle) {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	a.options.Record(begin, settles, func(err error) {
		root.Send(self, recorded{incarnation: a, begin: begin, settles: settles, err: err})
	})
}

// send starts one request with a slot of the lane's share. Its goroutine gets
// copies and reports back.
func (a *Actor) send(ctx actor.Context, g data.Granted) {
	deliver, attempts, now, share := a.definition.Deliver, a.options.Attempts, a.options.Now, a.share
	done := attemptDone{id: g.Message.ID, number: g.Number}
	share.Start()
	a.background(ctx, func() any {
		left := time.Now()
		defer func() { share.End(time.Since(left)) }()
		done.result = deliver(attempts, g.Message, g.Number)
		done.ended, done.took = now(), time.Since(left)
		return done
	}, func(any) any {
		done.result = data.Result{Outcome: data.OutcomeUnknown, Cause: data.CauseNoAnswerBy}
		done.ended = now()
		return done
	})
}

// probe connects to the gateway, with a slot of the lane's share.
func (a *Actor) probe(ctx actor.Context) {
	probe, attempts, share, t := a.definition.Probe, a.options.Attempts, a.share, a.token()
	share.Start()
	a.background(ctx, func() any {
		left := time.Now()
		defer func() { share.End(time.Since(left)) }()
		return probed{token: t, cause: probe(attempts)}
	}, func(any) any {
		return probed{token: t, cause: data.CauseUnreached}
	})
}

func (a *Actor) load(ctx actor.Context, l load) {
	name, queue, t := a.options.Definition.Name, a.options.Queue, a.token()
	a.background(ctx, func() any {
		answer := loaded{token: t, load: l}
		if l.waiting {
			answer.refs, answer.more, answer.err = queue.Waiting(name, l.after, l.limit)
		} else {
			answer.refs, answer.more, answer.err = queue.Ready(name, l.after.ID, l.limit)
		}
		return answer
	}, func(cause any) any {
		return loaded{token: t, load: l, err: fmt.Errorf("panic: %v", cause)}
	})
}

// background runs work beside the actor and sends it what comes of it. A panic
// there would end the process, so it is turned into an answer too.
func (a *Actor) background(ctx actor.Context, work func() any, failed func(cause any) any) {
	self, root, log := ctx.Self(), ctx.ActorSystem().Root, a.log
	go func() {
		defer func() {
			if cause := recover(); cause != nil {
				log.Error("panic beside the lane", "panic", cause, "stack", string(debug.Stack()))
				root.Send(self, failed(cause))
			}
		}()
		root.Send(self, work())
	}()
}

// report writes the one line that an attempt gets, and counts it.
func (a *Actor) report(o *data.Settle, took time.Duration) {
	if a.options.Attempted != nil {
		a.options.Attempted(a.options.Definition.Name, o.Result, o.Next.State, took)
	}
	ctx, level := context.Background(), slog.LevelInfo
	if !a.options.Access {
		level = slog.LevelDebug
	}
	if o.Next.State == data.Delivered && !a.log.Enabled(ctx, level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 6),
		slog.String("message", o.ID.String()), slog.Int("attempt", o.Number), slog.Duration("took", took.Round(time.Microsecond)))
	if o.Result.Status != 0 {
		attrs = append(attrs, slog.Int("status", o.Result.Status))
	}
	if o.Result.Cause != data.CauseNone {
		attrs = append(attrs, slog.String("cause", string(o.Result.Cause)))
	}
	switch o.Next.State {
	case data.Delivered:
		a.log.LogAttrs(ctx, level, "delivered", attrs...)
	case data.Waiting:
		attrs = append(attrs, slog.Duration("in", o.Next.Due.Sub(a.options.Now()).Round(time.Millisecond)))
		a.log.LogAttrs(ctx, slog.LevelWarn, "attempt failed: will be tried again", attrs...)
	case data.Expired:
		a.log.LogAttrs(ctx, slog.LevelError, "message expired: its next attempt would come too late", attrs...)
	default:
		attrs = append(attrs, slog.String("state", o.Next.State.String()))
		a.log.LogAttrs(ctx, slog.LevelError, "message ended undelivered", attrs...)
	}
}

// reportExpired writes the one line of a message that ended without an attempt,
// and counts it.
func (a *Actor) reportExpired(id data.ID, state data.State) {
	a.log.LogAttrs(context.Background(), slog.LevelError, "message expired before its next attempt",
		slog.String("message", id.String()), slog.String("state", state.String()))
	a.countEnded(state)
}

func (a *Actor) countEnded(state data.State) {
	if a.options.Ended != nil {
		a.options.Ended(a.options.Definition.Name, state)
	}
}

// reportBegun says how late a request leaves. What waits has a due time; what was
// accepted has only that of the wall clock, which may have been set back.
func (a *Actor) reportBegun(m data.Message, now data.StoreTime, wall time.Time) {
	switch {
	case a.options.Began == nil:
	case m.Due != 0:
		a.options.Began(now.Sub(m.Due), true)
	default:
		a.options.Began(max(wall.Sub(m.AcceptedAt), 0), false)
	}
}
