package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// dead is what a healthy gateway notices of thousands that are dead: a third
// refuse connections, a third accept them and are silent, a third answer after
// the attempt has timed out. It is measured in one process, first before the
// dead ones have messages, then with a steady load on all of them.
type dead struct {
	gateways int
	messages int
	deadRate int
	rate     int
	seconds  int
	inFlight int
	settle   time.Duration
}

func (s *dead) flags(f *pflag.FlagSet) {
	f.IntVar(&s.gateways, "gateways", 10_000, "gateways, one of them healthy")
	f.IntVar(&s.messages, "messages", 5, "messages for each dead gateway at first")
	f.IntVar(&s.deadRate, "dead-rate", 250, "further messages per second, to the dead gateways in turn")
	f.IntVar(&s.rate, "rate", 50, "messages per second to the healthy gateway")
	f.IntVar(&s.seconds, "seconds", 120, "how long to send to the healthy gateway, alone and among the dead")
	f.IntVar(&s.inFlight, "max-in-flight", 4096, "delivery.max_in_flight of the program")
	f.DurationVar(&s.settle, "settle", 15*time.Second, "how long after their first messages the load on the dead counts as steady; longer than a timeout")
}

const (
	deadLimit  = 500 * time.Millisecond // of p99 from due to start
	deadMemory = 300 * rig.Mebibyte
	deadDelay  = 30 * time.Second // of those that answer too late
)

func (s *dead) run(ctx context.Context, l *lab) error {
	if s.gateways < 4 {
		return errors.New("--gateways: expected 4 or more, one healthy and one dead in each way")
	}
	// Each silent connection is open at both ends.
	if err := rig.Descriptors(uint64(s.inFlight) + 2000); err != nil {
		return err
	}
	healthy := &desk{}
	program, err := s.program(ctx, l, healthy)
	if err != nil {
		return err
	}
	c, err := program.Start(ctx, 2*rig.Patience)
	if err != nil {
		return err
	}
	defer c.Kill()
	l.say("the healthy gateway alone, for %d s", s.seconds)
	alone, err := s.measure(ctx, c, healthy)
	if err != nil {
		return err
	}
	idle, own, err := c.Peak()
	if err != nil {
		return err
	}
	l.say("%s messages for %s dead gateways", rig.Count(s.messages*(s.gateways-1)), rig.Count(s.gateways-1))
	if err := s.burden(ctx, c); err != nil {
		return err
	}
	loading, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { cancel(s.load(loading, c)) }()
	if err := rig.Wait(loading, s.settle); err != nil {
		return err
	}
	l.say("the healthy gateway among the dead, for %d s", s.seconds)
	among, err := s.measure(loading, c, healthy)
	if err != nil {
		return err
	}
	anonymous, descriptors, err := c.Peak()
	if err != nil {
		return err
	}
	busy, err := s.busy(ctx, c)
	if err != nil {
		return err
	}
	cancel(nil)

	if err := s.compare(l, alone, among); err != nil {
		return err
	}
	l.report.note("dead, gateways that have messages to send at the end", fmt.Sprintf("%s of %s", rig.Count(busy), rig.Count(s.gateways-1)))
	l.report.note("dead, peak anonymous RSS before the dead have messages", rig.Size(idle))
	l.report.goal("dead, peak anonymous RSS", "< "+rig.Size(deadMemory), rig.Size(anonymous), anonymous < deadMemory)
	l.report.note("dead, descriptors before the dead have messages", rig.Count(own))
	l.report.goal("dead, peak descriptors", fmt.Sprintf("<= %s + %s", rig.Count(s.inFlight), rig.Count(own)), rig.Count(descriptors), descriptors <= int64(s.inFlight)+own)
	return nil
}

func (s *dead) compare(l *lab, alone, among *journal) error {
	if len(alone.lateness()) == 0 || len(among.lateness()) == 0 {
		return errNothing
	}
	part := func(j *journal, share float64) time.Duration { return max(0, percentile(j.lateness(), share)) }
	for _, m := range []struct {
		when string
		*journal
	}{{"alone", alone}, {"among the dead", among}} {
		l.report.note("dead, healthy gateway "+m.when+", from due to start, p50 and p99", rig.Span(part(m.journal, 0.50))+", "+rig.Span(part(m.journal, 0.99)))
		l.report.note("dead, healthy gateway "+m.when+", from sending to start, p50 and p99",
			rig.Span(percentile(m.latency(), 0.50))+", "+rig.Span(percentile(m.latency(), 0.99)))
	}
	arrived := len(among.lateness())
	l.report.goal("dead, messages that reached the healthy gateway", rig.Count(len(among.notes)), rig.Count(arrived), arrived == len(among.notes))
	p99, before := part(among, 0.99), part(alone, 0.99)
	l.report.goal("dead, p99 among the dead", "<= twice alone, < "+rig.Span(deadLimit), rig.Span(p99), p99 <= 2*before && p99 < deadLimit)
	return nil
}

// program declares the gateways. The dead ones are many by their paths only.
func (s *dead) program(ctx context.Context, l *lab, healthy *desk) (*rig.Program, error) {
	late := &counter{}
	late.delay.Store(int64(deadDelay))
	mux := http.NewServeMux()
	mux.Handle("/healthy", healthy)
	mux.Handle("/late/", late)
	answering, err := rig.Serve(ctx, mux)
	mute, muteErr := rig.Silent(ctx)
	closed, closedErr := rig.Refusing(ctx)
	if err := errors.Join(err, muteErr, closedErr); err != nil {
		return nil, err
	}
	gateways := rig.Section{"healthy": at(answering + "/healthy")}
	for i := range s.gateways - 1 {
		base := []string{closed, mute, answering + "/late"}[i%3]
		gateways[deadName(i)] = at(fmt.Sprintf("%s/%d", base, i))
	}
	return l.program("dead", rig.Section{"delivery": rig.Section{"max_in_flight": s.inFlight}, "gateways": gateways})
}

func deadName(i int) string { return fmt.Sprint("dead-", i) }

// burden gives each dead gateway its first messages.
func (s *dead) burden(ctx context.Context, c *rig.Child) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, 32)
	for worker := range cap(done) {
		go func() {
			for i := worker; i < s.messages*(s.gateways-1); i += cap(done) {
				if err := s.give(ctx, c, i); err != nil {
					cancel(err)
					break
				}
			}
			done <- context.Cause(ctx)
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			return err
		}
	}
	return nil
}

// load gives them more, until ctx ends.
func (s *dead) load(ctx context.Context, c *rig.Child) error {
	begin := time.Now()
	for i := 0; ; i++ {
		if err := rig.Wait(ctx, time.Until(begin.Add(time.Duration(i)*time.Second/time.Duration(s.deadRate)))); err != nil {
			return err
		}
		if err := s.give(ctx, c, i); err != nil {
			return fmt.Errorf("send to the dead gateways: %w", err)
		}
	}
}

func (s *dead) give(ctx context.Context, c *rig.Child, i int) error {
	return c.Insist(ctx, "/send_message", map[string]string{"gateway": deadName(i % (s.gateways - 1)), "message": text(i)})
}

// measure sends to the healthy gateway. What does not arrive soon after the end
// is missing in the figures.
func (s *dead) measure(ctx context.Context, c *rig.Child, healthy *desk) (*journal, error) {
	j := healthy.open(s.rate * s.seconds)
	if err := j.stream(ctx, c, "healthy", s.rate); err != nil {
		return nil, err
	}
	_ = j.arrive(ctx, rig.Patience) // how many are missing is a figure
	return j, ctx.Err()
}

// busy counts the dead gateways that have messages to send.
func (s *dead) busy(ctx context.Context, c *rig.Child) (n int, err error) {
	lanes, err := c.Lanes(ctx)
	for _, l := range lanes {
		if l.Name != "healthy" && l.Open() > 0 {
			n++
		}
	}
	return n, err
}
