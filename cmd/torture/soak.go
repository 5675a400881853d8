package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// soak runs for long, under a load that the program can carry, with everything
// going wrong that goes wrong in a long time, and a kill now and then. Nothing may be
// lost, and nothing may grow.
type soak struct {
	duration time.Duration
	every    time.Duration
	rate     float64
	keep     time.Duration
}

func (m *soak) flags(f *pflag.FlagSet) {
	f.DurationVar(&m.duration, "duration", time.Hour, "how long")
	f.DurationVar(&m.every, "every", 2*time.Minute, "time from a start to its kill, drawn from a quarter less to a quarter more")
	f.Float64Var(&m.rate, "rate", 300, "messages per second")
	f.DurationVar(&m.keep, "retention", 2*time.Minute, "how long events and messages that have ended are kept, over a minute")
}

const (
	// mostLedger and what the program logs in a life is all that the directory grows to,
	// beside the store.
	mostLedger = 64 << 20
	soakSpace  = 2 << 30
	// restarts are killed before they are ready, at most so many in a row.
	soakRecoveries = 2
)

func (m *soak) round(ctx context.Context, r *round) error {
	if m.keep < 2*lateness || m.rate <= 0 || m.duration <= 0 || m.every <= 0 {
		return errors.New("--retention: expected a minute at least; --rate, --duration, --every: expected more than 0")
	}
	if err := rig.SpaceFor(r.dir, soakSpace); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t, err := newSoaking(ctx, r, m)
	if err != nil {
		return err
	}
	return t.run(ctx)
}

// plan is what is not drawn: a soak is compared with others.
func (m *soak) plan() plan {
	return plan{
		Memtable: 16, Interval: time.Second, Attempts: 3, Timeout: 500 * time.Millisecond, Concurrency: 32, HoldAfter: 0, Keys: true,
		// A request makes about one message: seven in ten do, three are two events each,
		// of which half have a route. Keys are kept for a day, so with many of them the
		// disk would grow as it must.
		Clients: 64, PerSecond: m.rate, Requests: 1 << 40, Keyed: 0.05, Events: 0.3, Arrays: 0.3, Routed: 0.5, Largest: 8000,
		Gateways: []string{
			well, well, well, well, well, well, slowly, slowly, slowly, failing, failing, breaking, breaking, away, away, hanging,
		},
	}
}

// away is a gateway whose connections are refused for a while, now and then.
const away = "away"

// soaking is a soak under way.
type soaking struct {
	*system

	mode          *soak
	configuration rig.Section
	follower      *follower
	gauge         *gauge
	door          *door
	ends          time.Time

	child atomic.Pointer[rig.Child] // nil while it is down
	life  atomic.Int64
}

func newSoaking(ctx context.Context, r *round, m *soak) (*soaking, error) {
	t := &soaking{mode: m}
	door, err := newDoor(ctx)
	if err != nil {
		return nil, err
	}
	t.system, err = newSystem(ctx, r, m.plan(), func(c rig.Section) {
		keep := m.keep.String()
		c["storage"].(rig.Section)["retention"] = rig.Section{"events": keep, "delivered": keep, "dead": keep}
		own := maps.Clone(c["gateways"].(rig.Section)[well].(rig.Section))
		_, query, _ := strings.Cut(own["url"].(string), "?")
		own["url"] = door.url + "/" + away + "?" + query
		c["gateways"].(rig.Section)[away] = own
		t.configuration = c
	})
	if err != nil {
		return nil, err
	}
	t.load.ledger.most = mostLedger
	t.follower = newFollower(t.system, m.keep)
	t.load.follower = t.follower
	t.door = door
	t.gauge, err = newGauge(t.system)
	return t, err
}

// run is the round: lives until the time is over, and one that ends well.
func (t *soaking) run(ctx context.Context) error {
	t.ends = time.Now().Add(t.mode.duration)
	beside, stop := context.WithCancel(ctx)
	defer stop()
	var aside sync.WaitGroup
	aside.Go(func() { t.report(beside) })
	aside.Go(func() { t.follower.follow(beside, t.child.Load) })
	// The gateway that comes and goes is there to the end.
	opened := make(chan error, 1)
	swinging, still := context.WithCancel(ctx)
	go func() { opened <- t.door.swing(swinging, t.gateways, t.round.source(1)) }()
	var measured error
	aside.Go(func() {
		measured = t.gauge.measure(beside, func() (*rig.Child, int) { return t.child.Load(), int(t.life.Load()) })
	})
	c, err := t.lives(ctx)
	stop()
	aside.Wait()
	if err == nil {
		err = t.finish(ctx, c)
	}
	still()
	return errors.Join(err, measured, <-opened)
}

// report says each minute how far it is.
func (t *soaking) report(ctx context.Context) {
	for rig.Wait(ctx, time.Minute) == nil {
		now := "the program is down"
		if c := t.child.Load(); c != nil {
			if s, err := t.gauge.look(ctx, c); err == nil {
				now = fmt.Sprintf("%s anonymous, %s heap, %d goroutines, %d descriptors, %s of the disk, %s waiting",
					rig.Size(s.all[anonymousMemory]), rig.Size(s.all[heapInUse]), s.all[goroutineCount], s.all[openDescriptors], rig.Size(s.all[diskTaken]), rig.Count(s.all[openMessages]))
			}
		}
		t.round.say("%s, life %d: %s messages stored, %s, %s, %d violations", time.Since(t.began).Round(time.Second), t.life.Load(),
			rig.Count(t.round.counted("messages stored")), t.follower, now, len(t.round.found()))
	}
}

// lives has one life after the other until the time is over, and returns the last
// one, which runs.
func (t *soaking) lives(ctx context.Context) (*rig.Child, error) {
	for {
		c, err := t.begin(ctx)
		if err != nil {
			return nil, err
		}
		low, high := t.mode.every*3/4, t.mode.every*5/4
		length := low + time.Duration(t.round.rand.Int64N(int64(high-low)+1))
		last := time.Now().Add(length).After(t.ends)
		if last {
			length = time.Until(t.ends)
		}
		if err := t.live(ctx, c, length, last); err != nil {
			return nil, err
		}
		if last {
			return c, nil
		}
		if err := t.recover(ctx); err != nil {
			return nil, err
		}
		t.life.Add(1)
	}
}

// begin starts the program, and the lanes that were paused when it was killed.
func (t *soaking) begin(ctx context.Context) (*rig.Child, error) {
	if err := t.turnLog(); err != nil {
		return nil, err
	}
	if err := t.program.Configure(t.configuration); err != nil {
		return nil, err
	}
	c, err := t.start(ctx)
	if err != nil {
		return nil, err
	}
	t.child.Store(c)
	return c, t.resumeAll(ctx, c)
}

// live is one life under load, with all that goes wrong in it, and its end by a kill
// unless it is the last one.
func (t *soaking) live(ctx context.Context, c *rig.Child, length time.Duration, last bool) error {
	beside, stop := context.WithCancel(ctx)
	defer stop()
	var aside sync.WaitGroup
	number := int(t.life.Load())
	errs := make([]error, 2)
	aside.Go(func() { errs[0] = t.operate(beside, c, t.round.source(10_000+number)) })
	aside.Go(func() { errs[1] = t.vex(beside, c, t.round.source(20_000_000+number)) })
	loading, unload := context.WithCancel(ctx)
	defer unload()
	wait := t.working(loading, c)
	over := time.Now().Add(length)
	waitErr := rig.Until(ctx, "the life is over", length+rig.Patience, 100*time.Millisecond, func() (bool, error) {
		return time.Now().After(over) || c.Gone() || len(t.round.found()) > mostBroken, nil
	})
	switch {
	case waitErr == nil && c.Gone():
		t.round.violate("the program ended by itself with %d; it said\n%s", c.Code(), c.Said())
		waitErr = errBroken
	case waitErr == nil && len(t.round.found()) > mostBroken:
		waitErr = errBroken
	}
	if !last || waitErr != nil {
		t.child.Store(nil)
		t.kill(c)
	}
	stop()
	aside.Wait()
	unload()
	return errors.Join(append(errs, waitErr, wait())...)
}

// recover kills the program some times before it is ready.
func (t *soaking) recover(ctx context.Context) error {
	for range t.round.rand.IntN(soakRecoveries + 1) {
		c, err := t.launch(ctx)
		if err != nil {
			return err
		}
		if err := rig.Wait(ctx, time.Duration(t.round.rand.Int64N(int64(2*recovery)))); err != nil {
			return err
		}
		t.kill(c)
	}
	return nil
}

// finish lets the last life end well, and looks at what is left.
func (t *soaking) finish(ctx context.Context, c *rig.Child) error {
	if err := t.resumeAll(ctx, c); err != nil {
		return err
	}
	if err := t.load.repeat(ctx, c); err != nil {
		return err
	}
	if err := t.follower.end(ctx, c); err != nil {
		return err
	}
	a := &account{promised: t.follower.promised.promised, Exits: nil}
	var err error
	if _, a.Messages, err = readAll(ctx, c); err != nil {
		if ctx.Err() == nil {
			t.round.violate("what is left cannot be read: %v; the program said\n%s", err, c.Said())
			return errBroken
		}
		return context.Cause(ctx)
	}
	_ = c.Signal(syscall.SIGTERM) // how it ends is looked at
	if err := t.expect(ctx, c, 0); err != nil {
		return err
	}
	t.child.Store(nil)
	if a.Lives, err = readLives(t.program.Store()); err != nil {
		t.round.violate("the store was closed and cannot be opened: %v", err)
		return errBroken
	}
	for _, m := range a.Messages {
		if a.Lives[m.ID] != nil { // else its time was over meanwhile
			a.checkGaps(t.round.violate, m)
		}
	}
	a.Exits = t.exits
	a.checkExits(t.round.violate)
	if err := t.turnLog(); err != nil {
		return err
	}
	for _, where := range t.secrets.seen() {
		t.round.violate("%s", where)
	}
	t.gauge.judge(t.round.violate, t.round.say)
	return t.load.ledger.close()
}

// turnLog looks through what the program logged in the life before, and begins
// another file. Of the old ones the newest is kept.
func (t *soaking) turnLog() error {
	f, err := os.Open(t.logFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	const step, overlap = 1 << 20, 256 // no secret is longer
	text := make([]byte, 0, step+overlap)
	for {
		n, err := io.ReadFull(f, text[len(text):step+overlap])
		text = text[:len(text)+n]
		t.secrets.logged(text)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return os.Rename(t.logFile(), t.logFile()+".old")
		}
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		text = append(text[:0], bytes.Clone(text[len(text)-overlap:])...)
	}
}
