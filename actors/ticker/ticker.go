// Package ticker is the propagator as an actor: every interval it draws one
// event at random and posts it.
//
// It owns its timer and whether a post is under way. It accepts nothing from
// outside and emits one log line for each outcome. It re-arms itself with a
// one-shot timer.
package ticker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Answer is what the endpoint said.
type Answer struct {
	Status int
	Text   string // for people: the id that was given, or why it was refused
}

// Options say what the ticker sends, where and how often. All fields are needed.
type Options struct {
	Interval time.Duration // from one event to the next
	Timeout  time.Duration // of one post
	Events   []json.RawMessage
	// Draw returns a number in [0, n).
	Draw func(n int) int
	// Post sends one event. Its error says why there was no answer.
	Post   func(ctx context.Context, event json.RawMessage) (Answer, error)
	Logger *slog.Logger
	// Sent is told of each outcome; status 0 means that there was no answer.
	Sent func(status int)
}

// Props describes the ticker.
func Props(o Options) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor {
		return &Actor{options: o, pace: pace{interval: o.Interval}}
	})
}

// Actor is the ticker.
type Actor struct {
	options Options
	pace    pace
	timer   *time.Timer
	cancel  context.CancelFunc // of the post under way
}

// Receive handles one message.
func (a *Actor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		a.onTickDue(ctx, tickDue{incarnation: a})
	case *actor.Stopping, *actor.Restarting:
		a.onStopping()
	case tickDue:
		a.onTickDue(ctx, m)
	case posted:
		a.onPosted(m)
	default:
		a.onUnknown(m)
	}
}

func (a *Actor) onStopping() {
	if a.timer != nil {
		a.timer.Stop()
	}
	if a.cancel != nil {
		a.cancel()
	}
}

func (a *Actor) onTickDue(ctx actor.Context, m tickDue) {
	if m.incarnation != a {
		return
	}
	send, wait := a.pace.tick()
	self, root := ctx.Self(), ctx.ActorSystem().Root
	a.timer = time.AfterFunc(wait, func() { root.Send(self, tickDue{incarnation: a}) })
	if send {
		a.post(ctx, a.options.Events[a.options.Draw(len(a.options.Events))])
	}
}

// post sends beside the actor. A panic there would end the process, so it is
// reported like a post without an answer.
func (a *Actor) post(ctx actor.Context, event json.RawMessage) {
	self, root, do := ctx.Self(), ctx.ActorSystem().Root, a.options.Post
	bounded, cancel := context.WithTimeout(context.Background(), a.options.Timeout)
	a.cancel = cancel
	go func() {
		defer cancel()
		done := posted{incarnation: a}
		defer func() {
			if cause := recover(); cause != nil {
				done.err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
			}
			root.Send(self, done)
		}()
		done.answer, done.err = do(bounded, event)
	}()
}

func (a *Actor) onPosted(m posted) {
	if m.incarnation != a {
		return
	}
	missed := a.pace.done()
	log := a.options.Logger
	if missed > 0 {
		log = log.With("missed", missed)
	}
	a.options.Sent(m.answer.Status)
	switch {
	case errors.Is(m.err, context.DeadlineExceeded):
		log.Warn("event not sent: no answer in time", "timeout", a.options.Timeout)
	case m.err != nil:
		log.Warn("event not sent", "err", m.err)
	case m.answer.Status/100 == 2:
		log.Info("event accepted", "status", m.answer.Status, "answer", m.answer.Text)
	default:
		log.Warn("event refused", "status", m.answer.Status, "answer", m.answer.Text)
	}
}

func (a *Actor) onUnknown(m any) {
	switch m.(type) {
	case actor.AutoReceiveMessage, actor.SystemMessage:
	default:
		a.options.Logger.Error("message not understood", "actor", "ticker", "type", fmt.Sprintf("%T", m))
	}
}
