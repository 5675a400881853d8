package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// kill ends the program with SIGKILL under load, then again while it recovers,
// some times over, and lets the last one finish.
type kill struct {
	earliest, latest time.Duration
	recoveries       int
}

func (m *kill) flags(f *pflag.FlagSet) {
	f.DurationVar(&m.earliest, "earliest", 50*time.Millisecond, "earliest kill under load, after the program is ready")
	f.DurationVar(&m.latest, "latest", 3*time.Second, "latest kill under load")
	f.IntVar(&m.recoveries, "recoveries", 5, "starts in a row that are killed, at most")
}

// recovery is how long after its start a program is killed at the latest, which
// takes about as long to be ready.
const recovery = 100 * time.Millisecond

// moreLives is how many more a round gets, at most, in all of which before nothing
// was acknowledged: on a busy machine they may be over too soon.
const moreLives = 5

func (m *kill) round(ctx context.Context, r *round) error {
	s, err := newSystem(ctx, r, draw(r.rand))
	if err != nil {
		return err
	}
	lives := 1 + r.rand.IntN(4)/3
	for k := range lives + moreLives {
		if k >= lives && s.load.acknowledged() {
			break
		}
		if err := m.life(ctx, s); err != nil {
			return err
		}
	}
	c, err := s.start(ctx)
	if err != nil {
		return err
	}
	return s.finish(ctx, c)
}

// life is a start that ends under load, and some that end before they are ready.
func (m *kill) life(ctx context.Context, s *system) error {
	c, err := s.start(ctx)
	if err != nil {
		return err
	}
	wait := s.working(ctx, c)
	err = s.rest(ctx, m.earliest, m.latest)
	s.kill(c)
	if err := errors.Join(err, wait()); err != nil {
		return err
	}
	for range s.round.rand.IntN(m.recoveries + 1) {
		c, err := s.launch(ctx)
		if err != nil {
			return err
		}
		if err := rig.Wait(ctx, time.Duration(s.round.rand.Int64N(int64(recovery)))); err != nil {
			return err
		}
		s.kill(c)
	}
	return nil
}
