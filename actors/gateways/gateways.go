// Package gateways is the manager of the lanes, with nothing else in it. It
// starts the lane of a gateway when there is work for it, stops it when it has
// been idle, and starts it again when work came in between.
//
// It owns the table of running lanes and the slots that they share. It accepts
// [Accepted], [Paused], [Redefine] and [Drain], and from its lanes gateway.Idle
// and gateway.Drained. It starts from nothing: after a restart it asks the store
// which gateways have messages left.
package gateways

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/postrider/postrider/actors/gateway"
	"github.com/postrider/postrider/data"
)

// Options say what the manager works with. All fields are needed.
type Options struct {
	// Define returns how a gateway is to be served, false when none of that name
	// is declared or its declaration cannot be used: its messages are parked.
	Define func(name string) (gateway.Definition, bool)
	// Lanes returns every lane that was ever used.
	Lanes func() ([]data.Lane, error)
	// Lane makes the options of a lane, without what the manager knows itself:
	// how to get its newest definition, the slots, and whether to ramp up.
	Lane func(gateway.Definition) gateway.Options
	// MaxInFlight is how many attempts may be under way over all lanes.
	MaxInFlight int
	// Strategy restarts lanes that fail. It never gives up on one.
	Strategy actor.SupervisorStrategy
	// Draining reports whether the process is to end: a manager that starts then,
	// as one that failed does, starts only lanes with attempts under way.
	Draining func() bool
	// Drained is told when all lanes are drained: once by each incarnation.
	Drained func()
	// Guard is put around every lane.
	Guard  actor.PropsOption
	Logger *slog.Logger
}

// readRetry is how long the manager waits after the store could not be read.
const readRetry = time.Second

// prefix is what the names of lanes begin with.
const prefix = "gateway-"

// Props describes the manager.
func Props(o Options) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor {
		return &Actor{
			options: o,
			lanes:   lanes{running: make(map[string]*lane), draining: o.Draining()},
			slots:   gateway.NewSlots(o.MaxInFlight),
			parked:  make(map[string]bool),
		}
	}, actor.WithSupervisor(o.Strategy))
}

// Actor is the manager.
type Actor struct {
	options Options
	lanes   lanes
	slots   *gateway.Slots
	parked  map[string]bool // gateways whose messages are parked, as logged
	ready   bool            // the store was read
	drained bool            // and said so
	ending  bool            // stops, or makes room for the next incarnation
}

// Receive handles one message.
func (a *Actor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		a.onStarted(ctx)
	case *actor.Stopping, *actor.Restarting:
		a.ending = true
	case *actor.Terminated:
		a.onTerminated(ctx, m)
	case Accepted:
		a.onAccepted(ctx, m)
	case Paused:
		a.onPaused(ctx, m)
	case Redefine:
		a.onRedefine(ctx, m)
	case Drain:
		a.onDrain(ctx)
	case gateway.Idle:
		a.onIdle(ctx, m)
	case gateway.Drained:
		a.onDrained(ctx, m)
	case resumed:
		a.onResumed(ctx, m)
	case resumeDue:
		if m.incarnation == a {
			a.onStarted(ctx)
		}
	default:
		a.onUnknown(m)
	}
}

// onStarted asks the store for the gateways with work. It is asked aside, since
// a read takes its time.
func (a *Actor) onStarted(ctx actor.Context) {
	self, root, read := ctx.Self(), ctx.ActorSystem().Root, a.options.Lanes
	go func() {
		m := resumed{incarnation: a}
		defer func() {
			if cause := recover(); cause != nil {
				m.err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
			}
			root.Send(self, m)
		}()
		var stored []data.Lane
		stored, m.err = read()
		for _, l := range stored {
			switch {
			case l.Open() > 0 && !l.Paused || len(l.InFlight) > 0:
				m.waiting = append(m.waiting, l.Gateway)
			case l.Open() > 0:
				m.paused++
			}
			if len(l.InFlight) > 0 {
				m.sending = append(m.sending, l.Gateway)
			}
		}
	}()
}

func (a *Actor) onResumed(ctx actor.Context, m resumed) {
	if m.incarnation != a {
		return
	}
	if m.err != nil {
		a.options.Logger.Error("read the lanes: will be tried again", "err", m.err)
		self, root := ctx.Self(), ctx.ActorSystem().Root
		time.AfterFunc(readRetry, func() { root.Send(self, resumeDue{incarnation: a}) })
		return
	}
	a.ready = true
	if a.lanes.draining {
		for _, name := range m.sending {
			a.do(ctx, name, a.lanes.unsettled(name), true)
		}
		a.finish()
		return
	}
	if len(m.waiting) > 0 {
		a.options.Logger.Info("messages left to send", "gateways", len(m.waiting))
	}
	if m.paused > 0 {
		a.options.Logger.Warn("messages left to send are held back: their gateways are paused", "gateways", m.paused)
	}
	var parked []string
	for _, name := range m.waiting {
		if _, ok := a.options.Define(name); !ok {
			parked = append(parked, name)
			continue
		}
		a.do(ctx, name, a.lanes.accepted(name), true)
	}
	a.park(parked...)
}

func (a *Actor) onAccepted(ctx actor.Context, m Accepted) {
	for _, arrival := range m.Arrived {
		if what := a.lanes.accepted(arrival.Gateway); what == tell {
			a.wake(ctx, arrival.Gateway, arrival.Refs)
		} else {
			a.do(ctx, arrival.Gateway, what, false)
		}
	}
}

// onPaused tells a lane that runs, and starts one that is to go on.
func (a *Actor) onPaused(ctx actor.Context, m Paused) {
	if m.Paused {
		a.options.Logger.Info("gateway is paused: no attempts begin", "gateway", m.Gateway)
	} else {
		a.options.Logger.Info("gateway is not paused any more", "gateway", m.Gateway)
	}
	if r := a.lanes.running[m.Gateway]; r != nil {
		ctx.Send(r.pid, gateway.Pause{Paused: m.Paused})
	}
	if !m.Paused {
		a.do(ctx, m.Gateway, a.lanes.accepted(m.Gateway), false)
	}
}

// onRedefine has the lanes that run get their definitions anew, and takes up what
// was parked where there is a definition now.
func (a *Actor) onRedefine(ctx actor.Context, m Redefine) {
	if m.Gateway != "" {
		if a.redefine(ctx, m.Gateway) {
			a.park(m.Gateway)
		}
		a.unpark(ctx, m.Gateway)
		return
	}
	var parked []string
	for name := range a.lanes.running {
		if a.redefine(ctx, name) {
			parked = append(parked, name)
		}
	}
	a.park(parked...)
	for name := range a.parked {
		a.unpark(ctx, name)
	}
}

// redefine has a lane get its definition anew, if it runs, and reports whether there
// is none.
func (a *Actor) redefine(ctx actor.Context, name string) (gone bool) {
	r := a.lanes.running[name]
	if r == nil {
		return false
	}
	ctx.Send(r.pid, gateway.Redefine{})
	_, ok := a.options.Define(name)
	return !ok
}

// unpark takes up what is parked if there is a definition for it.
func (a *Actor) unpark(ctx actor.Context, name string) {
	if _, ok := a.options.Define(name); ok && a.parked[name] {
		delete(a.parked, name)
		a.do(ctx, name, a.lanes.accepted(name), true)
	}
}

func (a *Actor) onIdle(ctx actor.Context, m gateway.Idle) {
	if a.current(ctx, m.Gateway) {
		a.do(ctx, m.Gateway, a.lanes.idle(m.Gateway, m.Wakes), false)
	}
}

// do does something about a lane. One that is started because the process was
// gets to its limit step by step: ramp.
func (a *Actor) do(ctx actor.Context, name string, what action, ramp bool) {
	switch what {
	case nothing:
	case start:
		a.start(ctx, name, ramp)
	case tell:
		a.wake(ctx, name, nil)
	case stop:
		ctx.Poison(a.lanes.running[name].pid)
	}
}

// wake tells a lane that there are messages for it; refs are those of them that came
// last, as far as that is known.
func (a *Actor) wake(ctx actor.Context, name string, refs []data.Ref) {
	r := a.lanes.running[name]
	ctx.Send(r.pid, gateway.Wake{Number: r.wakes, Refs: refs})
}

// start spawns a lane. It finds its messages in the store by itself. A manager
// that is ending starts none: it would wait for that one's end for ever.
func (a *Actor) start(ctx actor.Context, name string, ramp bool) {
	if a.ending {
		return
	}
	definition, ok := a.options.Define(name)
	if !ok {
		a.park(name)
		return
	}
	o := a.options.Lane(definition)
	o.Define = func() (gateway.Definition, bool) { return a.options.Define(name) }
	o.Slots, o.Ramp = a.slots, ramp
	pid, err := ctx.SpawnNamed(gateway.Props(o).Configure(a.options.Guard), prefix+name)
	if err != nil {
		panic(fmt.Sprintf("spawn lane %s: %v", name, err)) // names are given once: a bug
	}
	a.lanes.running[name] = &lane{pid: pid}
}

// park remembers, and says once, that nothing is sent to gateways.
func (a *Actor) park(names ...string) {
	names = slices.DeleteFunc(names, func(name string) bool { return a.parked[name] })
	for _, name := range names {
		a.parked[name] = true
	}
	if len(names) > 0 {
		slices.Sort(names)
		a.options.Logger.Warn("whatever is left to send to these gateways is parked: they are not declared, or their declarations cannot be used",
			"count", len(names), "gateways", names[:min(len(names), mostNamed)])
	}
}

// mostNamed bounds how many gateways one line of the log names.
const mostNamed = 20

// onTerminated hears of a lane's end. A parent is told without watching.
func (a *Actor) onTerminated(ctx actor.Context, m *actor.Terminated) {
	_, name, ok := strings.Cut(m.Who.Id, prefix)
	if !ok {
		return
	}
	a.do(ctx, name, a.lanes.gone(name), false)
	a.finish()
}

func (a *Actor) onDrain(ctx actor.Context) {
	a.lanes.draining = true
	for _, r := range a.lanes.running {
		ctx.Send(r.pid, gateway.Drain{})
	}
	a.finish()
}

func (a *Actor) onDrained(ctx actor.Context, m gateway.Drained) {
	if !a.current(ctx, m.Gateway) {
		return
	}
	a.lanes.running[m.Gateway].drained = true
	a.finish()
}

// current reports whether a word came from the lane that runs now. One of the
// same name may have said it before: equal PIDs are not enough, it must be the
// very one.
func (a *Actor) current(ctx actor.Context, name string) bool {
	r := a.lanes.running[name]
	return r != nil && r.pid == ctx.Sender()
}

// finish reports, once, that the lanes are drained. An incarnation that is ending
// does not know: its lanes did not finish.
func (a *Actor) finish() {
	if a.ready && !a.ending && !a.drained && a.lanes.drained() {
		a.drained = true
		a.options.Drained()
	}
}

func (a *Actor) onUnknown(m any) {
	switch m.(type) {
	case actor.AutoReceiveMessage, actor.SystemMessage:
	default:
		a.options.Logger.Error("message not understood", "actor", "gateways", "type", fmt.Sprintf("%T", m))
	}
}
