package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// slow is what a gateway that answers slowly, with many messages waiting, takes
// from a healthy one. Two programs run, with and without the slow gateway, and
// get the healthy one's messages in turn.
type slow struct {
	messages int
	rate     int
	seconds  int
	rounds   int
	delay    time.Duration
}

func (s *slow) flags(f *pflag.FlagSet) {
	f.IntVar(&s.messages, "messages", 100_000, "messages waiting for the slow gateway")
	f.IntVar(&s.rate, "rate", 1000, "messages per second to the healthy gateway")
	f.IntVar(&s.seconds, "seconds", 20, "how long to send in each round, to each program")
	f.IntVar(&s.rounds, "rounds", 5, "how often to take turns")
	f.DurationVar(&s.delay, "delay", 10*time.Second, "how long the slow gateway takes to answer")
}

// slowSide is one of the two programs, and what was measured of it.
type slowSide struct {
	*rig.Child
	name       string
	healthy    *desk
	throughput []float64 // messages that started per second, by round
	p99        []float64 // from due to start, by round
}

func (s *slow) run(ctx context.Context, l *lab) error {
	alone, err := s.start(ctx, l, "alone")
	if err != nil {
		return err
	}
	defer alone.Kill()
	beside, err := s.start(ctx, l, "beside the slow one")
	if err != nil {
		return err
	}
	defer beside.Kill()
	l.say("%s messages for the slow gateway", rig.Count(s.messages))
	if err := fill(ctx, beside.Child, 1, s.messages); err != nil {
		return err
	}
	for round := range s.rounds {
		for _, side := range []*slowSide{alone, beside} {
			if err := s.measure(ctx, side); err != nil {
				return fmt.Errorf("%s: %w", side.name, err)
			}
			l.say("round %d of %d, healthy gateway %s: %s", round+1, s.rounds, side.name, side.shown(round))
		}
	}
	waiting, err := beside.Open(ctx)
	if err != nil {
		return err
	}
	l.report.note(fmt.Sprintf("slow, messages still waiting for the gateway that answers after %v", s.delay), rig.Count(waiting))
	for _, side := range []*slowSide{alone, beside} {
		l.report.note(fmt.Sprintf("slow, healthy gateway %s, medians of %d rounds", side.name, s.rounds), side.shown())
	}
	share := median(beside.throughput) / median(alone.throughput)
	l.report.goal("slow, throughput of the healthy gateway, beside to alone", ">= 95 %", fmt.Sprintf("%.1f %%", 100*share), share >= 0.95)
	return nil
}

func (s *slow) start(ctx context.Context, l *lab, name string) (*slowSide, error) {
	side := &slowSide{name: name, healthy: &desk{}}
	answers := &counter{}
	answers.delay.Store(int64(s.delay))
	mux := http.NewServeMux()
	mux.Handle("/slow", answers)
	mux.Handle("/healthy", side.healthy)
	url, err := rig.Serve(ctx, mux)
	if err != nil {
		return nil, err
	}
	gateways, routes := fillGateways(1, at(url+"/slow", rig.Section{"timeout": (s.delay + rig.Patience).String()}))
	gateways["healthy"] = at(url + "/healthy")
	program, err := l.program(name, rig.Section{"http": rig.Section{"body_limit": "1MiB"}, "gateways": gateways, "routes": routes})
	if err != nil {
		return nil, err
	}
	side.Child, err = program.Start(ctx, rig.Patience)
	return side, err
}

// measure sends one round to one side. What starts in the first second, while
// connections are made, does not count.
func (s *slow) measure(ctx context.Context, side *slowSide) error {
	j := side.healthy.open(s.rate * s.seconds)
	from := j.begin.Add(min(time.Second, time.Duration(s.seconds)*time.Second/2))
	if err := j.stream(ctx, side.Child, "healthy", s.rate); err != nil {
		return err
	}
	to := j.begin.Add(time.Duration(s.seconds) * time.Second)
	if err := j.refusal(); err != nil {
		return err
	}
	if err := j.arrive(ctx, rig.Patience); err != nil {
		return err
	}
	side.throughput = append(side.throughput, j.throughput(from, to))
	side.p99 = append(side.p99, float64(max(0, percentile(j.lateness(), 0.99))))
	return nil
}

// shown writes the figures of one round, or the medians of all.
func (side *slowSide) shown(round ...int) string {
	throughput, p99 := median(side.throughput), median(side.p99)
	if len(round) > 0 {
		throughput, p99 = side.throughput[round[0]], side.p99[round[0]]
	}
	return fmt.Sprintf("%.1f/s, p99 from due to start %s", throughput, rig.Span(time.Duration(p99)))
}
