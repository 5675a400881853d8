package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// dead is what a healthy gateway notices of thousands that are dead: a third
// refuse connections, a third accept them and are silent, a third answer after
// the attempt has timed out. Each round is a process of its own, measured first
// before the dead ones have messages, then with a steady load on all of them.
type dead struct {
	gateways int
	messages int
	deadRate int
	rate     int
	seconds  int
	rounds   int
	inFlight int
	settle   time.Duration
}

func (s *dead) flags(f *pflag.FlagSet) {
	f.IntVar(&s.gateways, "gateways", 10_000, "gateways, one of them healthy")
	f.IntVar(&s.messages, "messages", 2, "messages for each dead gateway at first")
	f.IntVar(&s.deadRate, "dead-rate", 250, "further messages per second, to the dead gateways in turn")
	f.IntVar(&s.rate, "rate", 50, "messages per second to the healthy gateway")
	f.IntVar(&s.seconds, "seconds", 40, "how long to send to the healthy gateway, alone and among the dead")
	f.IntVar(&s.rounds, "rounds", 5, "how often; the figures are medians")
	f.IntVar(&s.inFlight, "max-in-flight", 4096, "delivery.max_in_flight of the program")
	f.DurationVar(&s.settle, "settle", 40*time.Second, "how long after their first messages the load on the dead counts as steady: some timeouts, in which their attempts spread")
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
	all := deadFigures{busy: s.gateways}
	var err error
	for n := range s.rounds {
		l.say("round %d of %d: the healthy gateway alone for %d s, then among the dead", n+1, s.rounds, s.seconds)
		if err = s.round(ctx, l, fmt.Sprint("dead-", n), &all); err != nil {
			break
		}
		l.say("from due to start: p50 %s alone and %s among the dead, p99 %s and %s; in their first %v %s",
			all.alone.p50.last(), all.among.p50.last(), all.alone.p99.last(), all.among.p99.last(), s.settle, all.first.p99.last())
	}
	if len(all.among.p99) > 0 {
		s.report(l, &all)
	}
	return err
}

// round measures one process.
func (s *dead) round(ctx context.Context, l *lab, name string, all *deadFigures) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	healthy := &desk{}
	program, err := s.program(ctx, l, name, healthy)
	if err != nil {
		return err
	}
	c, err := program.Start(ctx, 2*rig.Patience)
	if err != nil {
		return err
	}
	defer c.Kill()
	seconds := time.Duration(s.seconds) * time.Second
	if err := s.measure(ctx, c, healthy, seconds, &all.alone); err != nil {
		return err
	}
	idle, own, err := c.Peak()
	if err != nil {
		return err
	}
	if err := s.burden(ctx, c); err != nil {
		return err
	}
	go func() { cancel(s.load(ctx, c)) }()
	if err := s.measure(ctx, c, healthy, s.settle, &all.first); err != nil {
		return err
	}
	if err := s.measure(ctx, c, healthy, seconds, &all.among); err != nil {
		return err
	}
	anonymous, descriptors, err := c.Peak()
	if err != nil {
		return err
	}
	all.idle, all.anonymous = max(all.idle, idle), max(all.anonymous, anonymous)
	if descriptors-own > all.descriptors-all.own {
		all.own, all.descriptors = own, descriptors
	}
	busy, err := s.busy(ctx, c)
	all.busy = min(all.busy, busy)
	return err
}

// deadFigures are what was measured, over all rounds.
type deadFigures struct {
	alone, among     healthyFigures
	first            healthyFigures // among the dead, until the load on them is steady
	idle, anonymous  int64          // bytes at most, before the dead have messages and with them
	own, descriptors int64          // the same of descriptors, of the round in which they grew most
	busy             int            // dead gateways with messages to send at the end, at least
}

// healthyFigures are those of the healthy gateway.
type healthyFigures struct {
	p50, p99, latency spans // by round; latency is p99 from sending to start
	sent, arrived     int
}

// spans are durations, one for each round.
type spans []time.Duration

func (s spans) last() string { return rig.Span(s[len(s)-1]) }

func (s spans) median() time.Duration {
	sorted := slices.Sorted(slices.Values(s))
	return percentile(sorted, 0.5)
}

func (s *dead) report(l *lab, all *deadFigures) {
	for _, m := range []struct {
		when string
		healthyFigures
	}{{"alone", all.alone}, {"among the dead", all.among}, {fmt.Sprintf("in the first %v among the dead", s.settle), all.first}} {
		l.report.note(fmt.Sprintf("dead, healthy gateway %s, from due to start, p50 and p99, medians of %d rounds", m.when, s.rounds),
			rig.Span(m.p50.median())+", "+rig.Span(m.p99.median()))
		l.report.note(fmt.Sprintf("dead, healthy gateway %s, from sending to start, p99", m.when), rig.Span(m.latency.median()))
	}
	ratios := make(spans, 0, len(all.among.p99))
	for i, p99 := range all.among.p99 {
		ratios = append(ratios, 1000*p99/max(all.alone.p99[i], 1))
	}
	l.report.note("dead, p99 among the dead to alone, by round: median and most",
		fmt.Sprintf("%.2f, %.2f", float64(ratios.median())/1000, float64(slices.Max(ratios))/1000))
	l.report.goal("dead, messages that reached the healthy gateway", rig.Count(all.among.sent), rig.Count(all.among.arrived), all.among.arrived == all.among.sent)
	p99, before := all.among.p99.median(), all.alone.p99.median()
	l.report.goal("dead, p99 among the dead", "<= twice alone, < "+rig.Span(deadLimit), rig.Span(p99), p99 <= 2*before && p99 < deadLimit)
	l.report.note("dead, gateways that have messages to send at the end", fmt.Sprintf("%s of %s", rig.Count(all.busy), rig.Count(s.gateways-1)))
	l.report.note("dead, peak anonymous RSS before the dead have messages", rig.Size(all.idle))
	l.report.goal("dead, peak anonymous RSS", "< "+rig.Size(deadMemory), rig.Size(all.anonymous), all.anonymous < deadMemory)
	l.report.note("dead, descriptors before the dead have messages", rig.Count(all.own))
	l.report.goal("dead, peak descriptors", fmt.Sprintf("<= %s + %s", rig.Count(s.inFlight), rig.Count(all.own)), rig.Count(all.descriptors), all.descriptors <= int64(s.inFlight)+all.own)
}

// program declares the gateways. The dead ones are many by their paths only.
func (s *dead) program(ctx context.Context, l *lab, name string, healthy *desk) (*rig.Program, error) {
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
	return l.program(name, rig.Section{"delivery": rig.Section{"max_in_flight": s.inFlight}, "gateways": gateways})
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
func (s *dead) measure(ctx context.Context, c *rig.Child, healthy *desk, during time.Duration, into *healthyFigures) error {
	j := healthy.open(int(float64(s.rate) * during.Seconds()))
	if err := j.stream(ctx, c, "healthy", s.rate); err != nil {
		return err
	}
	_ = j.arrive(ctx, rig.Patience) // how many are missing is a figure
	late := j.lateness()
	if len(late) == 0 {
		return errors.Join(errNothing, context.Cause(ctx))
	}
	into.p50 = append(into.p50, max(0, percentile(late, 0.50)))
	into.p99 = append(into.p99, max(0, percentile(late, 0.99)))
	into.latency = append(into.latency, percentile(j.latency(), 0.99))
	into.sent += len(j.notes)
	into.arrived += len(late)
	return context.Cause(ctx)
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
