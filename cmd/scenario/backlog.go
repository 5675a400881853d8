package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
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
	backlogMemory = 300 * rig.Mebibyte
	backlogGrowth = 64 * rig.Mebibyte    // from the first size to the last
	backlogDelay  = 5 * time.Second      // of a gateway's answer, so that nearly all waits
	backlogFirst  = time.Second          // from ready to the first due message
	perMessage    = 1500                 // bytes of the disk that one may take for a while, event included
	startup       = 5 * time.Second      // that a start may take, and ...
	startupEach   = 1 * time.Microsecond // ... for each message waiting
)

func (s *backlog) run(ctx context.Context, l *lab) error {
	slices.Sort(s.sizes)
	if err := rig.SpaceFor(l.dir, int64(s.sizes[len(s.sizes)-1])*perMessage); err != nil {
		return err
	}
	answers := &counter{}
	url, err := rig.Serve(ctx, answers)
	if err != nil {
		return err
	}
	gateways, routes := fillGateways(s.gateways, at(url))
	program, err := l.program("backlog", rig.Section{"http": rig.Section{"body_limit": "1MiB"}, "gateways": gateways, "routes": routes})
	if err != nil {
		return err
	}
	c, err := program.Start(ctx, rig.Patience)
	if err != nil {
		return err
	}
	var peaks []int64
	for _, waiting := range s.sizes {
		answers.delay.Store(int64(backlogDelay))
		peak, err := s.watch(ctx, l, c, waiting)
		c.Kill()
		if err != nil {
			return err
		}
		peaks = append(peaks, peak)
		if c, err = s.restart(ctx, l, program, answers, waiting); err != nil {
			return err
		}
	}
	c.Kill()
	if n := len(peaks); n > 1 {
		growth := peaks[n-1] - peaks[0]
		l.report.goal(fmt.Sprintf("backlog, peak anonymous RSS at %s above %s", rig.Count(s.sizes[n-1]), rig.Count(s.sizes[0])),
			"<= "+rig.Size(backlogGrowth), rig.Size(growth), growth <= backlogGrowth)
	}
	return nil
}

// watch fills up to a number of open messages and returns the peak of the
// anonymous memory then and during a time of slow deliveries.
func (s *backlog) watch(ctx context.Context, l *lab, c *rig.Child, waiting int) (int64, error) {
	open, err := c.Open(ctx)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	missing := waiting - int(open)
	if err := fill(ctx, c, s.gateways, missing); err != nil {
		return 0, err
	}
	perSecond := int(float64(missing) / time.Since(began).Seconds())
	filling, _, err := c.Peak()
	if err != nil {
		return 0, err
	}
	l.say("%s messages were taken, %s per second", rig.Count(missing), rig.Count(perSecond))
	if err := rig.Wait(ctx, time.Duration(s.seconds)*time.Second); err != nil {
		return 0, err
	}
	delivering, _, err := c.Peak()
	if err != nil {
		return 0, err
	}
	mem, err := c.Memory()
	if err != nil {
		return 0, err
	}
	if open, err = c.Open(ctx); err != nil {
		return 0, err
	}
	at := "backlog, " + rig.Count(waiting) + " waiting, "
	l.report.note(at+"counted after slow deliveries", rig.Count(open))
	l.report.note(at+"taken per second while filling", rig.Count(perSecond))
	for _, m := range []struct {
		when string
		peak int64
	}{{"while filling", filling}, {"while delivering slowly", delivering}} {
		l.report.goal(at+"peak anonymous RSS "+m.when, "< "+rig.Size(backlogMemory), rig.Size(m.peak), m.peak < backlogMemory)
	}
	l.report.note(at+"peak RSS with mapped files", rig.Size(mem.Peak))
	return max(filling, delivering), nil
}

// restart starts the program that was killed, with gateways that answer at once
// until the first message has come.
func (s *backlog) restart(ctx context.Context, l *lab, p *rig.Program, answers *counter, waiting int) (*rig.Child, error) {
	answers.delay.Store(0)
	answers.first.Store(0)
	goal := startup + time.Duration(waiting)*startupEach
	c, err := p.Start(ctx, goal+10*rig.Patience)
	if err != nil {
		return nil, err
	}
	err = rig.Until(ctx, "a message arrives after the start", rig.Patience, time.Millisecond, func() (bool, error) {
		return answers.first.Load() != 0, nil
	})
	if err != nil {
		c.Kill()
		return nil, err
	}
	answers.delay.Store(int64(backlogDelay))
	first := time.Unix(0, answers.first.Load()).Sub(c.Started) - c.Ready
	at := "restart after kill -9, " + rig.Count(waiting) + " waiting, "
	l.report.goal(at+"ready", "< "+rig.Span(goal), rig.Span(c.Ready), c.Ready < goal)
	l.report.goal(at+"first due message after ready", "< "+rig.Span(backlogFirst), rig.Span(max(0, first)), first < backlogFirst)
	return c, nil
}
