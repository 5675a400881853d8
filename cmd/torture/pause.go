package main

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// pause stops the program as it stands, as on a machine that is suspended or
// starved, and lets it go on, some times over: no attempt is early, none come in a
// burst, nothing is lost.
type pause struct {
	shortest, longest time.Duration
	halts             int
}

func (m *pause) flags(f *pflag.FlagSet) {
	f.DurationVar(&m.shortest, "shortest", time.Second, "shortest time that the program stands still; the logarithm is drawn")
	f.DurationVar(&m.longest, "longest", 90*time.Second, "longest")
	f.IntVar(&m.halts, "halts", 3, "how often in a round, at most")
}

func (m *pause) round(ctx context.Context, r *round) error {
	p := draw(r.rand)
	p.Clients, p.Requests = 16, 100
	p.Concurrency = []int{2, 4, 16}[r.rand.IntN(3)]
	p.Rate = float64(20 + r.rand.IntN(60))
	// What takes long at these rates, and what is due again, waits in every halt.
	p.Budget = map[string]int{slowly: 150, failing: 100, breaking: 100, hanging: 4 * p.Concurrency}
	s, err := newSystem(ctx, r, p, func(c rig.Section) {
		c["gateways"].(rig.Section)[failing].(rig.Section)["rate"] = p.Rate
	})
	if err != nil {
		return err
	}
	s.checks = append(s.checks, crowded(s))
	s.load.patient, s.load.patience = true, between(r.rand, time.Second/2, 10*time.Second)
	c, err := s.start(ctx)
	if err != nil {
		return err
	}
	for range 1 + r.rand.IntN(m.halts) {
		if err := m.halt(ctx, s, c); err != nil {
			return err
		}
	}
	return s.finish(ctx, c)
}

// halt stops the program once, under load, when clients have ended and retries are
// left, or in between.
func (m *pause) halt(ctx context.Context, s *system, c *rig.Child) error {
	wait := s.working(ctx, c)
	if err := s.rest(ctx, 50*time.Millisecond, 3*time.Second); err != nil {
		return err
	}
	if err := c.Halt(ctx); err != nil {
		return err
	}
	still := between(s.round.rand, m.shortest, m.longest)
	if err := rig.Wait(ctx, still); err != nil {
		return err
	}
	if err := c.Proceed(); err != nil {
		return err
	}
	s.round.count("halts", 1)
	s.round.count("seconds that the program stood still", int(still.Seconds()))
	if err := wait(); err != nil {
		return err
	}
	if err := c.AwaitReady(ctx, rig.Patience); err != nil && ctx.Err() == nil {
		s.round.violate("after a halt of %v: %v; the program said\n%s", still, err, c.Said())
		return errBroken
	}
	return context.Cause(ctx)
}

// between draws a duration whose logarithm is spread evenly.
func between(luck *rand.Rand, low, high time.Duration) time.Duration {
	return time.Duration(float64(low) * math.Pow(float64(high)/float64(low), luck.Float64()))
}

// crowded returns a check that the limits of each gateway were kept at all times.
func crowded(s *system) check {
	return func(a *account, complain complainer) {
		visits := map[string][]rig.Visit{}
		for _, one := range a.Arrivals {
			// When it came is known to some milliseconds, when its gateway turned to it exactly.
			// Where there was no answer the end is when the gateway broke the connection, or
			// the earliest at which the program may have given up.
			v := rig.Visit{At: s.began.Add(one.At + one.late), End: s.began.Add(one.End)}
			visits[one.Gateway] = append(visits[one.Gateway], v)
		}
		for kind, all := range visits {
			rate := 0.0
			if kind == slowly || kind == failing {
				rate = s.plan.Rate
			}
			for _, what := range rig.Crowds(all, s.plan.Concurrency, rate) {
				complain("gateway %s: %s", kind, what)
			}
		}
	}
}
