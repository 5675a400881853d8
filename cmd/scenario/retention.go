package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"
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
	retentionSlack = 128 * mebibyte
	// liveRecord is about what the record of a delivered message takes, its text
	// included, and half as much its event.
	liveRecord = textSize + 100
	// retentionRate is a rate of delivery so low that something is wrong below it.
	retentionRate = 200
)

func (s *retention) run(ctx context.Context, l *lab) error {
	if err := l.spaceFor(int64(s.messages) * perMessage); err != nil {
		return err
	}
	answers := &counter{}
	url, err := serve(ctx, answers)
	if err != nil {
		return err
	}
	gateways, routes := fillGateways(s.gateways, at(url, section{"concurrency": 64}))
	program, err := l.program("retention", section{
		"http":     section{"body_limit": "1MiB"},
		"storage":  section{"retention": section{"events": s.keep.String(), "delivered": s.keep.String()}},
		"gateways": gateways, "routes": routes,
	})
	if err != nil {
		return err
	}
	c, err := program.start(ctx, patience)
	if err != nil {
		return err
	}
	defer c.kill()
	before, err := usageOf(program.store())
	if err != nil {
		return err
	}
	began := time.Now()
	if err := c.fill(ctx, s.gateways, s.messages); err != nil {
		return err
	}
	l.say("%s messages were taken in %s", count(s.messages), span(time.Since(began)))
	limit := patience + time.Duration(s.messages/retentionRate)*time.Second
	if err := until(ctx, "all messages are delivered", limit, time.Second, func() (bool, error) {
		open, err := c.open(ctx)
		return open == 0, err
	}); err != nil {
		return err
	}
	l.say("%s requests arrived within %s", count(answers.requests.Load()), span(time.Since(began)))
	full, err := usageOf(program.store())
	if err != nil {
		return err
	}
	quiet, live, err := s.rest(ctx, l, c, program)
	if err != nil {
		return err
	}
	goal := 2*live*liveRecord + retentionSlack
	what := fmt.Sprintf("retention, %s messages delivered, ", count(s.messages))
	l.report.note(what+"disk of the empty store", size(before.allocated))
	l.report.note(what+"disk when the last was delivered", size(full.allocated))
	l.report.note(what+fmt.Sprintf("records left, of %d bytes about", liveRecord), count(live))
	l.report.note(what+fmt.Sprintf("lengths of the files after %v of quiet", time.Duration(s.seconds)*time.Second), size(quiet.apparent))
	l.report.goal(what+fmt.Sprintf("disk after %v of quiet", time.Duration(s.seconds)*time.Second), "< "+size(goal), size(quiet.allocated), quiet.allocated < goal)
	return nil
}

// rest waits until the retention has passed, and a quiet time more. It returns
// what the store takes then and how many messages it still counts.
func (s *retention) rest(ctx context.Context, l *lab, c *child, p *program) (u usage, live int64, err error) {
	const steps = 20
	if err := wait(ctx, s.keep); err != nil {
		return u, 0, err
	}
	for step := range steps {
		if err := wait(ctx, time.Duration(s.seconds)*time.Second/steps); err != nil {
			return u, 0, err
		}
		lanes, err := c.lanes(ctx)
		if err != nil {
			return u, 0, err
		}
		live = 0
		for _, l := range lanes {
			for _, n := range l.Counts {
				live += n
			}
		}
		if u, err = usageOf(p.store()); err != nil {
			return u, 0, err
		}
		l.say("quiet, %d of %d: %s messages left, %s of the disk, files of %s", step+1, steps, count(live), size(u.allocated), size(u.apparent))
	}
	return u, live, nil
}
