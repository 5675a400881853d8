package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/pflag"
)

// backlog is what millions of waiting messages cost: memory while they come and
// while few of them are delivered, and the time of a start after kill -9.
type backlog struct {
	sizes    []int
	gateways int
	seconds  int
}

func (s *backlog) flags(f *pflag.FlagSet) {
	f.IntSliceVar(&s.sizes, "messages", []int{1_000_000, 5_000_000}, "messages waiting: one size after the other")
	f.IntVar(&s.gateways, "gateways", 10, "gateways that they wait for")
	f.IntVar(&s.seconds, "seconds", 60, "how long to watch slow deliveries at each size")
}

const (
	backlogMemory = 300 * mebibyte
	backlogGrowth = 64 * mebibyte        // from the first size to the last
	backlogDelay  = 5 * time.Second      // of a gateway's answer, so that nearly all waits
	backlogFirst  = time.Second          // from ready to the first due message
	perMessage    = 1500                 // bytes of the disk that one may take for a while, event included
	startup       = 5 * time.Second      // that a start may take, and ...
	startupEach   = 1 * time.Microsecond // ... for each message waiting
)

func (s *backlog) run(ctx context.Context, l *lab) error {
	slices.Sort(s.sizes)
	if err := l.spaceFor(int64(s.sizes[len(s.sizes)-1]) * perMessage); err != nil {
		return err
	}
	answers := &counter{}
	url, err := serve(ctx, answers)
	if err != nil {
		return err
	}
	gateways, routes := fillGateways(s.gateways, at(url))
	program, err := l.program("backlog", section{"http": section{"body_limit": "1MiB"}, "gateways": gateways, "routes": routes})
	if err != nil {
		return err
	}
	c, err := program.start(ctx, patience)
	if err != nil {
		return err
	}
	var peaks []int64
	for _, waiting := range s.sizes {
		answers.delay.Store(int64(backlogDelay))
		peak, err := s.watch(ctx, l, c, waiting)
		c.kill()
		if err != nil {
			return err
		}
		peaks = append(peaks, peak)
		if c, err = s.restart(ctx, l, program, answers, waiting); err != nil {
			return err
		}
	}
	c.kill()
	if n := len(peaks); n > 1 {
		growth := peaks[n-1] - peaks[0]
		l.report.goal(fmt.Sprintf("backlog, peak anonymous RSS at %s above %s", count(s.sizes[n-1]), count(s.sizes[0])),
			"<= "+size(backlogGrowth), size(growth), growth <= backlogGrowth)
	}
	return nil
}

// watch fills up to a number of open messages and returns the peak of the
// anonymous memory then and during a time of slow deliveries.
func (s *backlog) watch(ctx context.Context, l *lab, c *child, waiting int) (int64, error) {
	open, err := c.open(ctx)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	missing := waiting - int(open)
	if err := c.fill(ctx, s.gateways, missing); err != nil {
		return 0, err
	}
	perSecond := int(float64(missing) / time.Since(began).Seconds())
	filling, _, err := c.peak()
	if err != nil {
		return 0, err
	}
	l.say("%s messages were taken, %s per second", count(missing), count(perSecond))
	if err := wait(ctx, time.Duration(s.seconds)*time.Second); err != nil {
		return 0, err
	}
	delivering, _, err := c.peak()
	if err != nil {
		return 0, err
	}
	mem, err := c.memory()
	if err != nil {
		return 0, err
	}
	if open, err = c.open(ctx); err != nil {
		return 0, err
	}
	at := "backlog, " + count(waiting) + " waiting, "
	l.report.note(at+"counted after slow deliveries", count(open))
	l.report.note(at+"taken per second while filling", count(perSecond))
	for _, m := range []struct {
		when string
		peak int64
	}{{"while filling", filling}, {"while delivering slowly", delivering}} {
		l.report.goal(at+"peak anonymous RSS "+m.when, "< "+size(backlogMemory), size(m.peak), m.peak < backlogMemory)
	}
	l.report.note(at+"peak RSS with mapped files", size(mem.peak))
	return max(filling, delivering), nil
}

// restart starts the program that was killed, with gateways that answer at once
// until the first message has come.
func (s *backlog) restart(ctx context.Context, l *lab, p *program, answers *counter, waiting int) (*child, error) {
	answers.delay.Store(0)
	answers.first.Store(0)
	goal := startup + time.Duration(waiting)*startupEach
	c, err := p.start(ctx, goal+10*patience)
	if err != nil {
		return nil, err
	}
	err = until(ctx, "a message arrives after the start", patience, time.Millisecond, func() (bool, error) {
		return answers.first.Load() != 0, nil
	})
	if err != nil {
		c.kill()
		return nil, err
	}
	answers.delay.Store(int64(backlogDelay))
	first := time.Unix(0, answers.first.Load()).Sub(c.started) - c.ready
	at := "restart after kill -9, " + count(waiting) + " waiting, "
	l.report.goal(at+"ready", "< "+span(goal), span(c.ready), c.ready < goal)
	l.report.goal(at+"first due message after ready", "< "+span(backlogFirst), span(max(0, first)), first < backlogFirst)
	return c, nil
}
