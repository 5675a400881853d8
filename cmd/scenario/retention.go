package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// retention is what is left on the disk of messages that were delivered and
// whose time is over.
type retention struct {
	messages int
	gateways int
	seconds  int
	keep     time.Duration
}

func (s *retention) flags(f *pflag.FlagSet) {
	f.IntVar(&s.messages, "messages", 3_000_000, "messages to deliver")
	f.IntVar(&s.gateways, "gateways", 4, "gateways that take them")
	f.IntVar(&s.seconds, "seconds", 600, "quiet time after the retention has passed")
	f.DurationVar(&s.keep, "retention", time.Minute, "how long events and delivered messages are kept")
}

const (
	retentionSlack = 128 * rig.Mebibyte
	// liveRecord is about what the record of a delivered message takes, its text
	// included, and half as much its event.
	liveRecord = textSize + 100
	// retentionRate is a rate of delivery so low that something is wrong below it.
	retentionRate = 200
)

func (s *retention) run(ctx context.Context, l *lab) error {
	if err := rig.SpaceFor(l.dir, int64(s.messages)*perMessage); err != nil {
		return err
	}
	answers := &counter{}
	url, err := rig.Serve(ctx, answers)
	if err != nil {
		return err
	}
	gateways, routes := fillGateways(s.gateways, at(url, rig.Section{"concurrency": 64}))
	program, err := l.program("retention", rig.Section{
		"http":     rig.Section{"body_limit": "1MiB"},
		"storage":  rig.Section{"retention": rig.Section{"events": s.keep.String(), "delivered": s.keep.String()}},
		"gateways": gateways, "routes": routes,
	})
	if err != nil {
		return err
	}
	c, err := program.Start(ctx, rig.Patience)
	if err != nil {
		return err
	}
	defer c.Kill()
	before, err := rig.UsageOf(program.Store())
	if err != nil {
		return err
	}
	began := time.Now()
	if err := fill(ctx, c, s.gateways, s.messages); err != nil {
		return err
	}
	l.say("%s messages were taken in %s", rig.Count(s.messages), rig.Span(time.Since(began)))
	limit := rig.Patience + time.Duration(s.messages/retentionRate)*time.Second
	if err := rig.Until(ctx, "all messages are delivered", limit, time.Second, func() (bool, error) {
		open, err := c.Open(ctx)
		return open == 0, err
	}); err != nil {
		return err
	}
	l.say("%s requests arrived within %s", rig.Count(answers.requests.Load()), rig.Span(time.Since(began)))
	full, err := rig.UsageOf(program.Store())
	if err != nil {
		return err
	}
	quiet, live, err := s.rest(ctx, l, c, program)
	if err != nil {
		return err
	}
	goal := 2*live*liveRecord + retentionSlack
	what := fmt.Sprintf("retention, %s messages delivered, ", rig.Count(s.messages))
	l.report.note(what+"disk of the empty store", rig.Size(before.Allocated))
	l.report.note(what+"disk when the last was delivered", rig.Size(full.Allocated))
	l.report.note(what+fmt.Sprintf("records left, of %d bytes about", liveRecord), rig.Count(live))
	l.report.note(what+fmt.Sprintf("lengths of the files after %v of quiet", time.Duration(s.seconds)*time.Second), rig.Size(quiet.Apparent))
	l.report.goal(what+fmt.Sprintf("disk after %v of quiet", time.Duration(s.seconds)*time.Second), "< "+rig.Size(goal), rig.Size(quiet.Allocated), quiet.Allocated < goal)
	return nil
}

// rest waits until the retention has passed, and a quiet time more. It returns
// what the store takes then and how many messages it still counts.
func (s *retention) rest(ctx context.Context, l *lab, c *rig.Child, p *rig.Program) (u rig.Usage, live int64, err error) {
	const steps = 20
	if err := rig.Wait(ctx, s.keep); err != nil {
		return u, 0, err
	}
	for step := range steps {
		if err := rig.Wait(ctx, time.Duration(s.seconds)*time.Second/steps); err != nil {
			return u, 0, err
		}
		lanes, err := c.Lanes(ctx)
		if err != nil {
			return u, 0, err
		}
		live = 0
		for _, l := range lanes {
			for _, n := range l.Counts {
				live += n
			}
		}
		if u, err = rig.UsageOf(p.Store()); err != nil {
			return u, 0, err
		}
		l.say("quiet, %d of %d: %s messages left, %s of the disk, files of %s", step+1, steps, rig.Count(live), rig.Size(u.Allocated), rig.Size(u.Apparent))
	}
	return u, live, nil
}
