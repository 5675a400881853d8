package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/spf13/cobra"

	"github.com/postrider/postrider/actors"
	"github.com/postrider/postrider/actors/gateway"
	"github.com/postrider/postrider/cmd/internal/rig"
	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/data/badger"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/egress"
)

// manyTree is the command that runs the tree for the scenario.
const manyTree = "many-tree"

// manyInFlight is delivery.max_in_flight as it is by default.
const manyInFlight = 4096

// manyWarm is how many messages one gateway gets first, at most: enough for the
// store to have taken the memory that it works in.
const manyWarm = 50_000

// phase is where the tree is, and what the process has then, after a collection
// of garbage.
type phase struct {
	Name      string
	Since     time.Duration // from the start of the process
	Heap      int64
	Anonymous int64
}

const (
	phaseOpened    = "store opened"
	phaseDeclared  = "gateways declared"
	phaseWarm      = "one gateway used, its lane stopped"
	phaseDelivered = "messages delivered"
	phaseStopped   = "lanes stopped"
	manyPhases     = 5
)

// tree is the product without its HTTP side: store, actors, client and dialects,
// joined as cmd/postrider joins them.
type tree struct {
	gateways int
	url      string
	linger   time.Duration
	quiet    time.Duration
	store    string
	out      io.Writer

	began     time.Time
	delivered atomic.Int64
	lanes     atomic.Int64 // that run
	failed    chan error
}

func manyTreeCommand() *cobra.Command {
	t := &tree{failed: make(chan error, 1)}
	c := &cobra.Command{Use: manyTree, Hidden: true, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		t.out, t.began = c.OutOrStdout(), time.Now()
		return t.run(c.Context())
	}}
	c.Flags().IntVar(&t.gateways, "gateways", 0, "how many")
	c.Flags().StringVar(&t.url, "url", "", "where they are, each at its number")
	c.Flags().DurationVar(&t.linger, "linger", 0, "how long an idle lane stays")
	c.Flags().DurationVar(&t.quiet, "rest", 0, "how long to be quiet before the memory is looked at")
	c.Flags().StringVar(&t.store, "store", "", "directory for the store")
	return c
}

func (t *tree) run(ctx context.Context) (err error) {
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := badger.Open(badger.Options{
		Path: filepath.Join(t.store, "store"), MinFree: 16 * badger.DefaultMemtable, Clock: badger.SystemClock(), Logger: log,
		Committed: func(int, int, time.Duration) {},
	})
	if err != nil {
		return err
	}
	t.say(phaseOpened)
	gateways, err := t.declare()
	if err != nil {
		return errors.Join(err, store.Close())
	}
	t.say(phaseDeclared)
	client := egress.New(egress.Options{Version: "scenario", MaxConns: manyInFlight})
	running := actors.Start(actors.Options{
		Store:       store,
		Define:      define(gateways, client),
		MaxInFlight: manyInFlight,
		Failed:      t.fail,
		Linger:      t.linger,
		Logger:      log,
		Attempted: func(_ string, _ data.Result, next data.State, _ time.Duration) {
			if next == data.Delivered {
				t.delivered.Add(1)
			}
		},
		Fault: t.observe,
	})
	// What store and tree take for as many messages, however few gateways they are
	// for, is not the gateways' cost.
	if err = t.deliver(ctx, running, slices.Repeat([]string{name(0)}, min(t.gateways, manyWarm)), ""); err == nil {
		t.rest(ctx)
		t.say(phaseWarm)
		if err = t.deliver(ctx, running, slices.Collect(maps.Keys(gateways)), phaseDelivered); err == nil {
			t.rest(ctx)
			t.say(phaseStopped)
		}
	}
	running.Drain(ctx)
	client.Close()
	if !running.Stop() {
		err = errors.Join(err, errors.New("some actors did not end"))
	}
	runtime.KeepAlive(gateways)
	return errors.Join(err, store.Close())
}

// declared is a gateway as cmd/postrider keeps it in its catalog.
type declared struct {
	shown   data.Gateway
	dialect *dialect.Dialect
}

func name(i int) string { return fmt.Sprintf("gateway-%d", i) }

func (t *tree) declare() (map[string]declared, error) {
	all := make(map[string]declared, t.gateways)
	for i := range t.gateways {
		d := dialect.Declaration{URL: fmt.Sprintf("%s/%d", t.url, i)}
		compiled, err := dialect.Compile(d)
		if err != nil {
			return nil, err
		}
		about := d.Describe()
		all[name(i)] = declared{
			shown: data.Gateway{
				Name: name(i), Policy: data.Policy{MaxAttempts: 3, Interval: time.Minute, MaxHint: time.Hour}, Timeout: 10 * time.Second, Concurrency: 16,
				Method: about.Method, URL: about.URL, Body: about.Body,
			},
			dialect: compiled,
		}
	}
	return all, nil
}

func define(gateways map[string]declared, client *egress.Client) func(string) (gateway.Definition, bool) {
	return func(name string) (gateway.Definition, bool) {
		g, ok := gateways[name]
		if !ok {
			return gateway.Definition{}, false
		}
		return gateway.Definition{
			Name: name, Policy: g.shown.Policy, Timeout: g.shown.Timeout, Concurrency: g.shown.Concurrency,
			Deliver: func(ctx context.Context, m data.Message, number int) data.Result {
				return client.Deliver(ctx, g.dialect, m, number, g.shown.Timeout)
			},
			Probe: func(ctx context.Context) data.Cause { return client.Probe(ctx, g.dialect, g.shown.Timeout) },
		}, true
	}
}

// deliver hands in a message for each gateway named and returns when all are
// delivered, which it may report as a phase, and all lanes have stopped.
func (t *tree) deliver(ctx context.Context, running *actors.Tree, names []string, then string) error {
	t.delivered.Store(0)
	for some := range slices.Chunk(names, perRequest) {
		save := &data.Save{}
		for i, name := range some {
			save.Messages = append(save.Messages, data.NewMessage{Gateway: name, Text: text(i)})
		}
		if err := running.Persister.Save(ctx, save); err != nil {
			return fmt.Errorf("save: %w", err)
		}
	}
	if err := t.await(ctx, func() bool { return t.delivered.Load() == int64(len(names)) }); err != nil {
		return fmt.Errorf("%d of %d messages are delivered: %w", t.delivered.Load(), len(names), err)
	}
	if then != "" {
		t.say(then)
	}
	if err := t.await(ctx, func() bool { return t.lanes.Load() == 0 }); err != nil {
		return fmt.Errorf("%d lanes still run: %w", t.lanes.Load(), err)
	}
	return nil
}

func (t *tree) await(ctx context.Context, done func() bool) error {
	for !done() {
		select {
		case err := <-t.failed:
			return err
		default:
		}
		if err := rig.Wait(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) fail(err error) {
	select {
	case t.failed <- err:
	default: // the first one counts
	}
}

// observe counts the lanes that run.
func (t *tree) observe(name string, message any) {
	if !strings.HasPrefix(name, "gateway-") {
		return
	}
	switch message.(type) {
	case *actor.Started:
		t.lanes.Add(1)
	case *actor.Stopped:
		t.lanes.Add(-1)
	}
}

func (t *tree) rest(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(t.quiet):
	}
}

// say reports a phase.
func (t *tree) say(name string) {
	p := phase{Name: name, Since: time.Since(t.began)}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	p.Heap = int64(m.HeapAlloc)
	if mem, err := rig.MemoryOf(os.Getpid()); err == nil {
		p.Anonymous = mem.Anonymous
	}
	_ = json.NewEncoder(t.out).Encode(p) // whoever reads misses it
}
