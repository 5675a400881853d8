// Package actors is the actor tree: who starts whom, how each comes back after a
// failure, how one reaches another, and in which order all of it stops.
//
//	supervisor
//	├── persister          fails: the process ends, recovery says what is stored
//	├── gateways           fails: restarted; all lanes stop and are found again
//	│   └── gateway-<name> fails: restarted for ever; reads its state from the store
//	└── ticker             fails: restarted; has no state
//
// No actor knows another. What one may ask of another is a func in its Options,
// and every such func is made in this file.
package actors

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/postrider/postrider/actors/gateway"
	"github.com/postrider/postrider/actors/gateways"
	"github.com/postrider/postrider/actors/persister"
	"github.com/postrider/postrider/actors/ticker"
	"github.com/postrider/postrider/data"
)

// Store is what the tree reads and writes.
type Store interface {
	persister.Store
	gateway.Queue
	Lanes() ([]data.Lane, error)
	Now() data.StoreTime
	Resumed() (at data.StoreTime, doubt bool)
}

// Options say what the tree works with.
type Options struct {
	// Store is nil when there is only a ticker.
	Store Store
	// Define returns how a gateway is to be served, or false to park its messages.
	// After its answers change, the tree is told with Redefine.
	Define func(name string) (gateway.Definition, bool)
	// MaxInFlight is how many attempts may be under way over all lanes; 0 means 4096.
	MaxInFlight int
	// Retention is how long what has ended is kept; zero means for ever.
	Retention data.Retention
	// Ticker is nil when nothing is propagated.
	Ticker *ticker.Options
	// Failed is told, once or more, that the process must end.
	Failed func(error)
	Linger time.Duration // how long an idle lane stays; 0 means 30 s
	Logger *slog.Logger
	// Access says that each delivery is one line of the log, also below debug.
	Access bool
	// Attempted, Expired, Pruned and Restarted are told of what happens; nil for nobody.
	Attempted func(gateway string, r data.Result, next data.State, took time.Duration)
	Expired   func(gateway string)
	Pruned    func(records int)
	Restarted func(actor string)
	// Fault is called before an actor handles a message. Tests panic in it, but
	// not at *actor.Stopping and *actor.Stopped, which the actor system does not
	// survive.
	Fault func(actor string, message any)
}

// Tree is the running tree.
type Tree struct {
	// Persister is how to store and cancel; nil without a Store.
	Persister *persister.Client

	options   Options
	system    *actor.ActorSystem
	reads     *reads
	watch     *persister.Watch
	top       *actor.PID
	persister *actor.PID
	lanes     *actor.PID
	ticker    *actor.PID
	attempts  context.Context //nolint:containedctx // it bounds requests, not a call
	cutOff    context.CancelFunc
	draining  atomic.Bool
	drained   chan struct{} // closed when no attempt is under way and none begins
	drainOnce sync.Once
	broken    chan struct{} // closed when the process must end
	breakOnce sync.Once
}

const (
	supervisorName = "supervisor"
	persisterName  = "persister"
	gatewaysName   = "gateways"
	tickerName     = "ticker"
)

// Start spawns the tree.
func Start(o Options) *Tree {
	if o.Linger == 0 {
		o.Linger = 30 * time.Second
	}
	if o.MaxInFlight == 0 {
		o.MaxInFlight = 4096
	}
	if o.Attempted == nil {
		o.Attempted = func(string, data.Result, data.State, time.Duration) {}
	}
	if o.Restarted == nil {
		o.Restarted = func(string) {}
	}
	t := &Tree{
		options: o,
		reads:   &reads{store: o.Store},
		watch:   persister.NewWatch(),
		drained: make(chan struct{}),
		broken:  make(chan struct{}),
	}
	t.attempts, t.cutOff = context.WithCancel(context.Background())
	// What the actor system itself says is of interest only when looking for a
	// fault; failures are reported by Restart.
	t.system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(quiet{o.Logger.Handler()})
	}))
	started := make(chan struct{})
	t.top = t.spawnTop(started)
	<-started
	return t
}

// spawnTop spawns the supervisor, which spawns its children when it has started.
func (t *Tree) spawnTop(started chan<- struct{}) *actor.PID {
	props := actor.PropsFromFunc(func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *actor.Started:
			t.spawnChildren(ctx)
			close(started)
		case *actor.Terminated:
			t.options.Logger.Debug("actor ended", "actor", nameOf(m.Who))
		}
	}, actor.WithSupervisor(&Restart{
		First:     100 * time.Millisecond,
		Most:      30 * time.Second,
		Calm:      10 * time.Minute,
		Limit:     12,
		Fatal:     map[string]bool{persisterName: true},
		GiveUp:    t.givenUp,
		Restarted: t.options.Restarted,
		Logger:    t.options.Logger,
	}))
	pid, err := t.system.Root.SpawnNamed(props, supervisorName)
	if err != nil {
		panic(err) // the first actor of a new system: its name is free
	}
	return pid
}

func (t *Tree) spawnChildren(ctx actor.Context) {
	spawn := func(props *actor.Props, name string) *actor.PID {
		pid, err := ctx.SpawnNamed(props.Configure(t.guard), name)
		if err != nil {
			panic(err) // the names are constants and given once
		}
		return pid
	}
	if t.options.Store != nil {
		t.persister = spawn(persister.Props(persister.Options{
			Store:     t.options.Store,
			Accepted:  t.accepted,
			Paused:    t.paused,
			Retention: t.options.Retention,
			Pruned:    t.options.Pruned,
			Failed:    t.failed,
			Watch:     t.watch,
			Logger:    t.options.Logger,
		}), persisterName)
		t.Persister = persister.NewClient(t.system.Root, t.persister, t.watch)
		t.lanes = spawn(gateways.Props(t.gateways()), gatewaysName)
	}
	if t.options.Ticker != nil {
		t.ticker = spawn(ticker.Props(*t.options.Ticker), tickerName)
	}
}

// failed passes on that the process must end. What waits for the store from now on
// waits in vain.
func (t *Tree) failed(err error) {
	t.breakOnce.Do(func() { close(t.broken) })
	t.options.Failed(err)
}

func (t *Tree) givenUp(child string, reason any) {
	err := fmt.Errorf("actor %s failed: %v", child, reason)
	if child == persisterName {
		err = fmt.Errorf("%w: %w", data.ErrStorage, err)
		t.watch.Over(err)
	}
	t.failed(err)
}

// accepted passes on, from the persister to the manager, which messages gateways
// got.
func (t *Tree) accepted(arrived []data.Arrival) { t.tellManager(gateways.Accepted{Arrived: arrived}) }

// paused passes on, from the persister to the manager, that a lane was paused or
// is so no longer.
func (t *Tree) paused(gateway string, paused bool) {
	t.tellManager(gateways.Paused{Gateway: gateway, Paused: paused})
}

// Redefine has the lanes ask anew how their gateways are to be served: requests
// under way end under the old definitions, later ones begin under the new.
func (t *Tree) Redefine() { t.tellManager(gateways.Redefine{}) }

// RedefineOne is Redefine for one gateway.
func (t *Tree) RedefineOne(gateway string) { t.tellManager(gateways.Redefine{Gateway: gateway}) }

// tellManager looks the manager up by name: it is spawned after the persister.
func (t *Tree) tellManager(m any) {
	t.system.Root.Send(t.system.NewLocalPID(supervisorName+"/"+gatewaysName), m)
}

func (t *Tree) gateways() gateways.Options {
	root := t.system.Root
	record := func(begin *data.Begin, settles []*data.Settle, done func(error)) {
		root.Send(t.persister, persister.Record{Begin: begin, Settles: settles, Done: done})
	}
	return gateways.Options{
		Define: t.options.Define,
		Lanes:  t.reads.Lanes,
		Lane: func(d gateway.Definition) gateway.Options {
			o := gateway.Options{
				Definition: d,
				Queue:      t.reads,
				Now:        t.options.Store.Now,
				Record:     record,
				Attempts:   t.attempts,
				Draining:   t.draining.Load,
				Linger:     t.options.Linger,
				Logger:     t.options.Logger,
				Access:     t.options.Access,
				Attempted:  t.options.Attempted,
				Expired:    t.options.Expired,
			}
			if at, doubt := t.options.Store.Resumed(); doubt {
				o.Doubt = at
			}
			return o
		},
		Strategy: &Restart{
			First:     100 * time.Millisecond,
			Most:      time.Minute,
			Calm:      10 * time.Minute,
			Restarted: t.options.Restarted,
			Logger:    t.options.Logger,
		},
		MaxInFlight: t.options.MaxInFlight,
		Draining:    t.draining.Load,
		Drained:     func() { t.drainOnce.Do(func() { close(t.drained) }) },
		Guard:       t.guard,
		Logger:      t.options.Logger,
	}
}

// guard logs the stack of a panic, which the actor system would swallow, and
// lets the panic go on to the supervisor.
func (t *Tree) guard(props *actor.Props) {
	actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
		return func(ctx actor.ReceiverContext, envelope *actor.MessageEnvelope) {
			defer func() {
				if cause := recover(); cause != nil {
					t.options.Logger.Error("panic in actor", "actor", nameOf(ctx.Self()), "panic", cause, "stack", string(debug.Stack()))
					panic(cause)
				}
			}()
			if t.options.Fault != nil {
				t.options.Fault(nameOf(ctx.Self()), envelope.Message)
			}
			next(ctx, envelope)
		}
	})(props)
}

// nameOf is the last part of a PID.
func nameOf(pid *actor.PID) string { return pid.Id[strings.LastIndexByte(pid.Id, '/')+1:] }

// quiet passes on only what the actor system says at warning level or above, and
// no message values, which may be texts.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}
