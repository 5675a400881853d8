package main

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// What becomes of the program that had the directory before two others want it.
const (
	nobody  = iota // there is no store yet
	gone           // it was killed, its end was waited for
	dying          // it was killed that very moment
	leaving        // it was asked to end that very moment
	staying        // it runs on
	predecessors
)

// race starts two programs within milliseconds of each other. One gets the
// directory, the other one says so and ends with 3.
func (e *ending) race(ctx context.Context) error {
	before := e.round.rand.IntN(predecessors)
	port, err := e.port(ctx)
	if err != nil {
		return err
	}
	var old *rig.Child
	wait := func() error { return nil }
	if before != nobody {
		if old, err = e.start(ctx); err != nil {
			return err
		}
		wait = e.working(ctx, old)
		if err := e.rest(ctx, 50*time.Millisecond, 400*time.Millisecond); err != nil {
			return err
		}
		switch before {
		case gone:
			e.kill(old)
		case dying:
			_ = old.Signal(syscall.SIGKILL) // it cannot have ended, which is looked at
		case leaving:
			_ = old.Signal(syscall.SIGTERM)
		}
	}
	if port > 0 {
		e.program.Args = []string{"--port", strconv.Itoa(port)}
	}
	rivals, err := e.rivals(ctx)
	if err != nil {
		return err
	}
	if err := e.settlePredecessor(ctx, old, before); err != nil {
		return err
	}
	winner, err := e.decide(ctx, rivals, old, before, port > 0)
	if err := errors.Join(err, wait()); err != nil {
		return err
	}
	e.program.Args = nil
	if winner == nil { // the old one was not gone yet, and lost to nobody
		if winner, err = e.start(ctx); err != nil {
			return err
		}
	}
	if winner != old {
		wait = e.working(ctx, winner)
		err = e.rest(ctx, 50*time.Millisecond, 200*time.Millisecond)
		_ = winner.Signal(syscall.SIGTERM)
		_, awaitErr := e.await(ctx, winner, e.drain+closing+dispatch, "the winner, asked to end")
		if err := errors.Join(err, awaitErr, wait()); err != nil {
			return err
		}
		if winner.Code() != 0 {
			e.round.violate("the winner ended with %d when asked to; it said\n%s", winner.Code(), winner.Said())
		}
		e.ended(winner)
		if winner, err = e.start(ctx); err != nil {
			return err
		}
	}
	return e.lastly(ctx, winner)
}

// port returns one that is free now, or 0 for any, by chance.
func (e *ending) port(ctx context.Context) (int, error) {
	if e.round.rand.IntN(3) > 0 {
		return 0, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l, err := rig.Listen(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }() // the program has it next
	return l.Addr().(*net.TCPAddr).Port, nil
}

// rivals starts two programs, the second one up to some milliseconds later.
func (e *ending) rivals(ctx context.Context) ([]*rig.Child, error) {
	lag := time.Duration(e.round.rand.Int64N(int64(8 * time.Millisecond)))
	if e.round.rand.IntN(2) == 0 {
		lag = 0
	}
	both := make([]*rig.Child, 2)
	errs := make([]error, 2)
	var starting sync.WaitGroup
	for i := range both {
		starting.Go(func() {
			if i == 1 {
				_ = rig.Wait(ctx, lag)
			}
			both[i], errs[i] = e.launch(ctx)
		})
	}
	starting.Wait()
	return both, errors.Join(errs...)
}

// settlePredecessor waits for the end of the one before, if it is to end.
func (e *ending) settlePredecessor(ctx context.Context, old *rig.Child, before int) error {
	switch before {
	case dying:
		e.kill(old)
	case leaving:
		if _, err := e.await(ctx, old, e.drain+closing+dispatch, "the one before, asked to end"); err != nil {
			return err
		}
		if old.Code() != 0 {
			e.round.violate("the one before ended with %d when asked to; it said\n%s", old.Code(), old.Said())
		}
		e.ended(old)
	}
	return nil
}

// decide waits until it is clear who serves, which is nobody at most when the one
// before was still there, and looks at how the losers end.
func (e *ending) decide(ctx context.Context, rivals []*rig.Child, old *rig.Child, before int, port bool) (winner *rig.Child, err error) {
	if before == staying {
		winner = old
	}
	readies := make([]error, len(rivals))
	var waiting sync.WaitGroup
	for i, c := range rivals {
		waiting.Go(func() { readies[i] = c.AwaitReady(ctx, rig.Patience) })
	}
	waiting.Wait()
	for i, c := range rivals {
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case readies[i] == nil && winner != nil:
			e.round.violate("two programs serve from one directory")
			return nil, errBroken
		case readies[i] == nil:
			winner = c
		case !errors.Is(readies[i], rig.ErrEnded):
			e.round.violate("one of two programs neither serves nor ends: %v; it said\n%s", readies[i], c.Said())
			return nil, errBroken
		default:
			e.lost(c, port && (before == dying || before == leaving))
		}
	}
	absent := before == dying || before == leaving
	switch {
	case winner == nil && !absent:
		e.round.violate("of two programs none serves; one said\n%s", rivals[0].Said())
	case winner == nil:
		e.round.count("races that nobody won, the one before being there", 1)
	case winner != old:
		e.round.count("races won", 1)
	}
	return winner, nil
}

// lost looks at the end of one that did not get the directory. In the moment
// after another one's end its port may still be taken.
func (e *ending) lost(c *rig.Child, portTaken bool) {
	said := c.Said()
	inUse := c.Code() == 3 && strings.Contains(said, "in use by another process") && strings.Contains(said, "stop that process")
	taken := portTaken && c.Code() == 1 && strings.Contains(said, "address already in use")
	if !inUse && !taken {
		e.round.violate("who lost a race ended with %d, want 3 and what to do about it; it said\n%s", c.Code(), said)
	}
	if c.Listens() {
		e.round.violate("who lost a race listened; it said\n%s", said)
	}
	e.round.count("races lost", 1)
	e.ended(c)
}
