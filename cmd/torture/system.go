package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// system is the program with everything around it, for one round. A mode starts
// and breaks it as it likes and lets it finish.
type system struct {
	round    *round
	plan     plan
	program  *rig.Program
	gateways *gateways
	load     *load
	secrets  *secrets

	began  time.Time
	exits  []exit
	checks []check        // of promises that only this mode can break
	own    map[string]int // attempts of gateways that have a number of their own
}

// check looks for a promise that was not kept.
type check func(a *account, complain complainer)

// exit is how a child ended.
type exit struct {
	Code   int  // -1 when a signal ended it
	Killed bool // by us
	Want   int  // the code it must end with, if it was not killed
}

// errBroken ends a round that cannot go on because of what it has found.
var errBroken = errors.New("the round ends here")

// newSystem writes the configuration, which changes may alter before, and starts
// the gateways.
func newSystem(ctx context.Context, r *round, p plan, changes ...func(rig.Section)) (*system, error) {
	s := &system{round: r, plan: p, began: time.Now()}
	r.say("%v", p)
	var err error
	if s.secrets, err = newSecrets(r); err != nil {
		return nil, err
	}
	s.gateways, err = newGateways(ctx, &gateways{began: s.began, timeout: p.Timeout, secrets: s.secrets, luck: r.source(0)})
	if err != nil {
		return nil, err
	}
	configuration := p.configuration(s.gateways.url, s.secrets)
	for _, change := range changes {
		change(configuration)
	}
	if s.program, err = rig.NewProgram(r.binary, filepath.Join(r.dir, "program"), configuration); err != nil {
		return nil, err
	}
	s.program.Environ = s.secrets.environ()
	s.program.Log = s.logFile()
	s.program.Heard = s.secrets.heard
	if p.Keys {
		s.program.Key = s.secrets.key
	}
	s.load, err = newLoad(r, p, s.began)
	return s, err
}

func (s *system) logFile() string { return filepath.Join(s.round.dir, "log.jsonl") }

// launch starts the program and does not wait until it is ready.
func (s *system) launch(ctx context.Context) (*rig.Child, error) {
	c, err := s.program.Launch(ctx)
	if err == nil {
		s.round.own(c)
		s.round.count("starts", 1)
	}
	return c, err
}

// start starts the program, which must become ready.
func (s *system) start(ctx context.Context) (*rig.Child, error) {
	c, err := s.launch(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.AwaitReady(ctx, rig.Patience); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		if !c.Gone() {
			c.Kill()
		}
		s.round.violate("a start after %d others: %v (exit code %d); it said\n%s", len(s.exits), err, c.Code(), c.Said())
		return nil, errBroken
	}
	return c, nil
}

// kill ends the program as a crash does. It must not have ended before.
func (s *system) kill(c *rig.Child) {
	c.Kill()
	s.exits = append(s.exits, exit{Code: c.Code(), Killed: true})
	s.round.count("kills", 1)
}

// expect waits until the program ends by itself, which it must with a code.
func (s *system) expect(ctx context.Context, c *rig.Child, code int) error {
	ended, err := c.AwaitEnd(ctx, rig.StopsWithin)
	if err != nil {
		return err
	}
	if !ended {
		s.round.violate("the program runs on, want its end with %d; it said\n%s", code, c.Said())
		return errBroken
	}
	s.exits = append(s.exits, exit{Code: c.Code(), Want: code})
	return nil
}

// finish lets the program, which nobody breaks any more, carry out what it has
// taken, reads what is stored, stops it, and compares all that is known.
func (s *system) finish(ctx context.Context, c *rig.Child) error {
	if err := s.load.repeat(ctx, c); err != nil {
		return err
	}
	a := &account{began: s.began, promised: promises{attempts: s.plan.Attempts, own: s.own, interval: s.plan.Interval}}
	err := awaitEnds(ctx, c, s.plan)
	if err == nil {
		a.Events, a.Messages, err = readAll(ctx, c)
	}
	if err == nil {
		var n int
		n, err = readSome(ctx, c, acknowledgedRecords(s.load.requests()), s.round.source(4), s.round.violate)
		s.round.count("records read by id", n)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		s.round.violate("what is stored cannot be read: %v; the program said\n%s", err, c.Said())
		return errBroken
	}
	_ = c.Signal(syscall.SIGTERM) // it may have ended, and with which code is looked at
	if err := s.expect(ctx, c, 0); err != nil {
		return err
	}
	if a.Lives, err = readLives(s.program.Store()); err != nil {
		s.round.violate("the store was closed and cannot be opened: %v", err)
		return errBroken
	}
	return s.judge(a)
}

// judge adds what else is known to what is stored, and has the oracle compare it.
// What it finds is the round's.
func (s *system) judge(a *account) error {
	log, err := os.ReadFile(s.logFile())
	if err != nil {
		return err
	}
	s.secrets.logged(log)
	a.Requests, a.Arrivals, a.Exits, a.Shown = s.load.requests(), s.gateways.all(), s.exits, s.secrets.seen()
	found := a.violations(s.checks...)
	for _, v := range found {
		s.round.violate("%s", v)
	}
	a.tell(s.round)
	err = s.load.ledger.close()
	if len(found) == 0 {
		return err
	}
	b, marshalErr := json.Marshal(a)
	return errors.Join(err, marshalErr, os.WriteFile(filepath.Join(s.round.dir, "account.json"), b, 0o600))
}

// rest waits until a moment of chance.
func (s *system) rest(ctx context.Context, low, high time.Duration) error {
	return rig.Wait(ctx, low+time.Duration(s.round.rand.Int64N(int64(high-low)+1)))
}

// working has the clients send to a program in the background. The func that it
// returns waits until they have ended.
func (s *system) working(ctx context.Context, c *rig.Child) (wait func() error) {
	done := make(chan error, 1)
	go func() { done <- s.load.work(ctx, c) }()
	return func() error {
		if err := <-done; err != nil {
			return fmt.Errorf("clients: %w", err)
		}
		return nil
	}
}
