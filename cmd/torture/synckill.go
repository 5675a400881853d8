package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// syncKill ends the program with SIGKILL exactly at its k-th msync, a number that
// goes through all rounds: before the flush, or up to a moment after it.
//
// What the system has taken over outlives a killed process, flushed or not. So
// before the flush and directly after it are the same to the next start, and what
// differs is what the program did since: note the commit as acknowledged, answer.
// Whether a flush that was carried out is on the disk is for the mode that cuts
// the power.
type syncKill struct {
	last int
	all  bool
}

func (m *syncKill) flags(f *pflag.FlagSet) {
	f.IntVar(&m.last, "last", 200, "k begins again with 1 after this one: as many rounds are each k once")
	f.BoolVar(&m.all, "all", false, "count fsync and fdatasync too, with which a store is made and opened")
}

func (*syncKill) require() error { return canTap() }

// longestPause is between a flush and the kill that follows it, at most: several
// commits fit in.
const longestPause = 2 * time.Millisecond

func (m *syncKill) round(ctx context.Context, r *round) error {
	s, err := newSystem(ctx, r, short(draw(r.rand)))
	if err != nil {
		return err
	}
	if err := s.past(ctx); err != nil {
		return err
	}
	if err := m.life(ctx, s, r.number%m.last+1); err != nil {
		return err
	}
	// A start that is killed while it recovers, if it flushes as often.
	if r.rand.IntN(3) == 0 {
		if err := m.recovery(ctx, s, 1+r.rand.IntN(10)); err != nil {
			return err
		}
	}
	c, err := s.start(ctx)
	if err != nil {
		return err
	}
	return s.lastly(ctx, c)
}

// life is one that ends at the k-th flush, under load or before.
func (m *syncKill) life(ctx context.Context, s *system, k int) error {
	aim := m.aim(s.round.rand, k)
	c, t, err := s.tapped(ctx, aim.decide)
	if err != nil {
		return err
	}
	if err := s.under(ctx, c); err != nil {
		return err
	}
	_ = rig.Until(ctx, "the flush", time.Second, 5*time.Millisecond, func() (bool, error) { return c.Gone(), nil }) // lanes flush too
	s.kill(c)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case t.wait() != nil:
		return t.wait()
	case aim.seen < k:
		return fmt.Errorf("it flushed %d times, want %d", aim.seen, k)
	}
	s.round.count("killed at "+aim.hit.kind(), 1)
	return nil
}

// recovery is a start that is killed at the k-th flush, or when it is ready.
func (m *syncKill) recovery(ctx context.Context, s *system, k int) error {
	aim := &killer{k: k, all: true}
	c, t, err := s.tapped(ctx, aim.decide)
	if err != nil {
		return err
	}
	if err := s.awaitReadyOrEnd(ctx, c); err != nil {
		return err
	}
	s.kill(c)
	return t.wait()
}

func (m *syncKill) aim(luck *rand.Rand, k int) *killer {
	a := &killer{k: k, all: m.all, after: luck.IntN(2) == 0}
	if luck.IntN(4) > 0 {
		a.pause = time.Duration(luck.Int64N(int64(longestPause)))
	}
	return a
}

// killer kills at the k-th flush. The tap asks it; its fields are to be read when
// the tap is done.
type killer struct {
	k     int
	all   bool
	after bool
	pause time.Duration

	seen int
	hit  flush
}

func (a *killer) decide(f flush) (fate, time.Duration) {
	if !a.all && f.Call != "msync" {
		return passes, 0
	}
	a.seen++
	switch {
	case a.seen != a.k:
		return passes, 0
	case a.after:
		a.hit = f
		return wasLast, a.pause
	}
	a.hit = f
	return isFatal, 0
}

// short makes a plan whose messages end soon: what is of interest here is over
// with the first flushes.
func short(p plan) plan {
	p.Attempts = min(p.Attempts, 2)
	p.Interval = p.Interval/2 + 50*time.Millisecond
	p.Timeout /= 2
	p.Pause /= 4
	p.Budget[hanging] /= 2
	return p
}

// past gives the program a life under load before the one of interest, as a rule
// none.
func (s *system) past(ctx context.Context) error {
	if s.round.rand.IntN(3) > 0 {
		return nil
	}
	c, err := s.start(ctx)
	if err != nil {
		return err
	}
	wait := s.working(ctx, c)
	err = s.rest(ctx, 20*time.Millisecond, 300*time.Millisecond)
	s.kill(c)
	return errors.Join(err, wait())
}

// lastly finishes with the last program of a round. If none before could take
// anything, since it was broken before it was ready, clients send to this one: what
// is looked at then is what a store is good for whose making was cut short.
func (s *system) lastly(ctx context.Context, c *rig.Child) error {
	if !s.load.acknowledged() {
		if err := s.load.work(ctx, c); err != nil {
			return err
		}
	}
	return s.finish(ctx, c)
}

// under has clients send to a program until it ends, or they have sent all. It
// may end before it is ready.
func (s *system) under(ctx context.Context, c *rig.Child) error {
	if err := s.awaitReadyOrEnd(ctx, c); err != nil || c.Gone() {
		return err
	}
	return s.load.work(ctx, c)
}

// awaitReadyOrEnd waits until a program is ready, or has ended. One that does
// neither hangs.
func (s *system) awaitReadyOrEnd(ctx context.Context, c *rig.Child) error {
	err := c.AwaitReady(ctx, rig.Patience)
	switch {
	case err == nil, errors.Is(err, rig.ErrEnded):
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	c.Kill()
	s.round.violate("a start hangs: %v; it said\n%s", err, c.Said())
	return errBroken
}
