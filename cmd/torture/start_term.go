package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// term asks the program to end, under load and at any moment of its start.
func (e *ending) term(ctx context.Context) error {
	if e.round.rand.IntN(2) == 0 { // the store is made by a start that is cut short
		if err := e.early(ctx); err != nil {
			return err
		}
	}
	c, err := e.start(ctx)
	if err != nil {
		return err
	}
	if err := e.underLoad(ctx, c); err != nil {
		return err
	}
	for range 1 + e.round.rand.IntN(3) {
		if err := e.early(ctx); err != nil {
			return err
		}
	}
	if c, err = e.start(ctx); err != nil {
		return err
	}
	return e.lastly(ctx, c)
}

// underLoad asks a program to end that has enough to do.
func (e *ending) underLoad(ctx context.Context, c *rig.Child) error {
	wait := e.working(ctx, c)
	if err := e.rest(ctx, 50*time.Millisecond, time.Second); err != nil {
		return errors.Join(err, wait())
	}
	halves, err := e.halves(ctx, c, 4)
	if err != nil {
		return errors.Join(err, wait())
	}
	asked := time.Since(e.began)
	_ = c.Signal(syscall.SIGTERM) // that it has not ended by itself shows in its code
	completed := make(chan error, 1)
	go func() { completed <- e.complete(halves) }()
	took, err := e.await(ctx, c, e.drain+closing+dispatch, "asked to end under load")
	if err := errors.Join(err, <-completed, wait()); err != nil {
		return err
	}
	e.round.peak("slowest end under load, ms", took.Milliseconds())
	if limit := min(e.drain, e.plan.Timeout) + closing + dispatch; took > limit {
		e.round.violate("asked to end, the program took %v, want %v at most: an attempt takes %v, the drain is %v", took, limit, e.plan.Timeout, e.drain)
	}
	if c.Code() != 0 {
		e.round.violate("asked to end under load, the program ended with %d; it said\n%s", c.Code(), c.Said())
	}
	e.ended(c)
	e.checkAnswered(asked)
	return nil
}

// checkAnswered looks for requests that were under way long before the end was
// asked for and got no answer.
func (e *ending) checkAnswered(asked time.Duration) {
	for _, requests := range e.load.requests() {
		for _, r := range requests {
			for _, a := range r.Replies {
				if a.Status == 0 && a.Sent < asked-time.Second && a.Ended > asked {
					e.round.violate("a request of %v before the end was asked for got no answer", asked-a.Sent)
				}
			}
		}
	}
}

// half is a request of which the program has read the head, and said so.
type half struct {
	*wire
	request *request
}

// halves begins some requests. Each is known to be under way.
func (e *ending) halves(ctx context.Context, c *rig.Child, n int) (all []*half, err error) {
	sender := e.load.extra()
	for i := range n {
		w, err := dialWire(ctx, c)
		if err != nil {
			return nil, err
		}
		h := &half{wire: w, request: sender.event(fmt.Sprintf("half %d of %d", i, len(e.exits)))}
		all = append(all, h)
		head := w.head("POST", eventPath, len(h.request.body), "Expect: 100-continue")
		if _, err := w.Write(head); err != nil {
			return nil, err
		}
		if a, err := w.answer(); err != nil || a.Status != 100 {
			return nil, fmt.Errorf("a request that asks whether to go on: %d, %w", a.Status, err)
		}
	}
	return all, nil
}

// complete sends the rest of requests that were under way when the program was
// asked to end. Each must be answered: taken, or refused for now.
func (e *ending) complete(halves []*half) error {
	for _, h := range halves {
		h.request.Replies = []reply{{}}
		_, err := h.Write(h.request.body)
		var a rig.Answer
		if err == nil {
			a, err = h.answer()
		}
		h.drop()
		if err != nil {
			e.round.violate("a request was under way when the end was asked for and got no answer: %v", err)
			continue
		}
		h.request.Replies[0] = h.request.by.read(h.request, a)
		e.round.count("requests under way at the end that were answered", 1)
	}
	return nil
}

// early asks the program to end while it starts.
func (e *ending) early(ctx context.Context) error {
	c, err := e.launchAndWait(ctx)
	if err != nil {
		return err
	}
	_ = c.Signal(syscall.SIGTERM) // it may have failed to start, which its code says
	took, err := e.await(ctx, c, closing+dispatch, "asked to end while it started")
	if err != nil {
		return err
	}
	e.round.peak("slowest end during start, ms", took.Milliseconds())
	e.checkEarly(c, "asked to end while it started", 0)
	return nil
}

// launchAndWait starts the program and returns before it is ready, as a rule.
func (e *ending) launchAndWait(ctx context.Context) (*rig.Child, error) {
	c, err := e.launch(ctx)
	if err != nil {
		return nil, err
	}
	latest := 2 * recovery
	if e.round.rand.IntN(3) == 0 {
		latest = recovery / 5 // few get to the first moments otherwise
	}
	return c, rig.Wait(ctx, time.Duration(e.round.rand.Int64N(int64(latest))))
}

// checkEarly looks at the code that a start ended with. Before the program can ask
// for signals one ends it as it ends any process.
func (e *ending) checkEarly(c *rig.Child, what string, allowed ...int) {
	code := c.Code()
	defer e.ended(c)
	e.round.count("ends during start", 1)
	if slices.Contains(allowed, code) {
		return
	}
	signal := c.Signalled() // SIGTERM, or SIGINT as the second
	if code == -1 && (signal == syscall.SIGTERM || signal == syscall.SIGINT) && c.Said() == "" && c.CPU() <= unarmed {
		e.round.count("ends before the program asks for signals", 1)
		e.round.peak("work before the program asks for signals, ms", c.CPU().Milliseconds())
		return
	}
	e.round.violate("%s, the program ended with %d after %v of work, want %v; it said\n%s", what, code, c.CPU(), allowed, c.Said())
}
