package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// second asks twice.
func (e *ending) second(ctx context.Context) error {
	c, err := e.start(ctx)
	if err != nil {
		return err
	}
	wait := e.working(ctx, c)
	err = e.rest(ctx, 50*time.Millisecond, 800*time.Millisecond)
	if err == nil {
		err = e.twice(ctx, c)
	}
	if err := errors.Join(err, wait()); err != nil {
		return err
	}
	for range e.round.rand.IntN(3) {
		if err := e.twiceEarly(ctx); err != nil {
			return err
		}
	}
	if c, err = e.start(ctx); err != nil {
		return err
	}
	return e.lastly(ctx, c)
}

// stops counts how often a program has said that it stops. Clients that go on may have
// pushed that out of what is remembered of it, so its log is read.
func (e *ending) stops() (n int, err error) {
	b, err := os.ReadFile(e.logFile())
	return bytes.Count(b, []byte("stopping:")), err
}

// twice asks a program to end that cannot soon, since a request is half there, and
// asks again.
func (e *ending) twice(ctx context.Context, c *rig.Child) error {
	halves, err := e.halves(ctx, c, 1)
	if err != nil {
		return err
	}
	halves[0].request.Replies = []reply{{}} // and never more of it
	defer halves[0].drop()
	first, then := syscall.SIGTERM, syscall.SIGINT
	if e.round.rand.IntN(2) == 0 {
		first, then = then, first
	}
	before, err := e.stops()
	if err != nil {
		return err
	}
	_ = c.Signal(first)
	if e.round.rand.IntN(2) == 0 {
		// The same one again counts once if the first has not been taken yet.
		err := rig.Until(ctx, "the program says that it stops", rig.Patience, 10*time.Millisecond, func() (bool, error) {
			now, err := e.stops()
			return c.Gone() || now > before, err
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			e.round.violate("asked to end: %v; it said\n%s", err, c.Said())
			return errBroken
		}
		then = first
	}
	if err := e.rest(ctx, 0, 300*time.Millisecond); err != nil {
		return err
	}
	if c.Gone() {
		e.round.violate("asked to end once, the program did so with half a request under way, with %d; it said\n%s", c.Code(), c.Said())
		return errBroken
	}
	_ = c.Signal(then)
	took, err := e.await(ctx, c, e.drain+closing+dispatch, "asked to end twice")
	if err != nil {
		return err
	}
	e.round.peak("slowest end after a second signal, ms", took.Milliseconds())
	if c.Code() != 1 || took > atOnce || !strings.Contains(c.Said(), "second signal") {
		e.round.violate("asked to end twice, the program ended with %d after %v, want 1 at once and to be told; it said\n%s", c.Code(), took, c.Said())
	}
	e.round.count("ends by a second signal", 1)
	e.ended(c)
	return nil
}

// twiceEarly asks twice while the program starts. The second signal may come when
// it is ending, or has ended.
func (e *ending) twiceEarly(ctx context.Context) error {
	c, err := e.launchAndWait(ctx)
	if err != nil {
		return err
	}
	_ = c.Signal(syscall.SIGTERM)
	if err := rig.Wait(ctx, time.Duration(e.round.rand.Int64N(int64(10*time.Millisecond)))); err != nil {
		return err
	}
	_ = c.Signal(syscall.SIGINT)
	if _, err := e.await(ctx, c, closing+dispatch, "asked to end twice while it started"); err != nil {
		return err
	}
	e.checkEarly(c, "asked to end twice while it started", 0, 1)
	return nil
}
