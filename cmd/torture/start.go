package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// The cases of starting and ending.
const (
	caseRace   = "race"   // two programs for one directory
	caseTerm   = "term"   // asked to end, under load and while it starts
	caseSecond = "second" // asked to end twice
)

// start has the program start and end at the wrong moments. Rounds of its cases
// take turns.
type start struct {
	which choice
}

func (m *start) flags(f *pflag.FlagSet) {
	m.which.of = []string{caseRace, caseTerm, caseSecond}
	f.Var(&m.which, "case", "race, term or second; all of them take turns")
}

func (m *start) round(ctx context.Context, r *round) error {
	p := draw(r.rand)
	p.Pause /= 2 // a life is short
	// What hangs must not take longer than the end may.
	p.Attempts = min(p.Attempts, 3)
	drain := []time.Duration{0, 100 * time.Millisecond, 25 * time.Second}[r.rand.IntN(3)]
	which := m.which.forRound(r.number)
	if which == caseSecond {
		drain = 25 * time.Second // else the first signal might do
	}
	s, err := newSystem(ctx, r, p, func(c rig.Section) {
		h, _ := c["http"].(rig.Section)
		if h == nil {
			h = rig.Section{}
			c["http"] = h
		}
		h["drain"] = drain.String()
	})
	if err != nil {
		return err
	}
	e := &ending{system: s, drain: drain}
	r.say("%s, drain %v", which, drain)
	switch which {
	case caseRace:
		return e.race(ctx)
	case caseTerm:
		return e.term(ctx)
	}
	return e.second(ctx)
}

// Limits of what takes no time unless something is wrong, with room for a machine
// that has other things to do.
const (
	// unarmed is how much a process may have worked when a signal still ends it as
	// it ends any: the runtime has to start before the program can ask for signals.
	unarmed = 20 * time.Millisecond
	// closing is what the program takes at most to end after it has drained.
	closing = 5 * time.Second
	// atOnce is how soon it ends after a second signal.
	atOnce = 2 * time.Second
	// dispatch is how long ending may take beyond all that.
	dispatch = 3 * time.Second
)

// ending is a round of this mode.
type ending struct {
	*system
	drain time.Duration
}

// ended notes the end of a child, whose code the caller has judged.
func (e *ending) ended(c *rig.Child) {
	code := c.Code()
	e.exits = append(e.exits, exit{Code: code, Killed: code == -1, Want: code})
}

// await waits for a child to end and returns how long that took.
func (e *ending) await(ctx context.Context, c *rig.Child, limit time.Duration, what string) (time.Duration, error) {
	began := time.Now()
	select {
	case <-c.Ended():
		return time.Since(began), nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-time.After(limit):
	}
	c.Kill()
	e.round.violate("%s: the program has not ended after %v; it said\n%s", what, limit, c.Said())
	return 0, errBroken
}

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
