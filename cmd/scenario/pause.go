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

// pause is a program that stands still for a while, as on a machine that is
// suspended or starved, and goes on: attempts that became due meanwhile are late,
// none is early, and they do not come in a burst.
type pause struct {
	messages int
	seconds  int
	lead     time.Duration
	interval time.Duration
	rate     float64
}

func (s *pause) flags(f *pflag.FlagSet) {
	f.IntVar(&s.messages, "messages", 2000, "messages waiting for two gateways; a quarter of them need a second attempt")
	f.IntVar(&s.seconds, "seconds", 90, "how long the program stands still")
	f.DurationVar(&s.lead, "lead", 30*time.Second, "how long it runs before, and after")
	f.DurationVar(&s.interval, "interval", time.Minute, "least time between two attempts")
	f.Float64Var(&s.rate, "rate", 20, "rate of the gateway, per second")
}

// keyed has the message's id as the value of the header Idempotency-Key.
func keyed() rig.Section { return rig.Section{"headers": rig.Section{"Idempotency-Key": "{{id}}"}} }

func (s *pause) run(ctx context.Context, l *lab) error {
	promised := limits{attempts: 3, interval: s.interval, concurrency: 4, rate: s.rate}
	// The rate limits the first gateway, the concurrency the second.
	quick, slow := &halting{takes: 10 * time.Millisecond}, &halting{takes: 300 * time.Millisecond}
	mux := http.NewServeMux()
	mux.Handle("/fill-0", quick)
	mux.Handle("/fill-1", slow)
	url, err := rig.Serve(ctx, mux)
	if err != nil {
		return err
	}
	gateways, routes := fillGateways(2, at(url+"/{{gateway}}", keyed(), rig.Section{
		"rate": s.rate, "concurrency": promised.concurrency, "max_attempts": promised.attempts, "interval": s.interval.String(),
	}))
	program, err := l.program("pause", rig.Section{
		"http":     rig.Section{"body_limit": "1MiB"},
		"delivery": rig.Section{"allow_short_interval": true},
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
	if err := fill(ctx, c, 2, s.messages); err != nil {
		return err
	}
	if err := rig.Wait(ctx, s.lead); err != nil {
		return err
	}
	if err := c.Halt(ctx); err != nil {
		return err
	}
	l.say("stands still for %d s", s.seconds)
	if err := rig.Wait(ctx, time.Duration(s.seconds)*time.Second); err != nil {
		return err
	}
	proceeded := time.Now()
	if err := c.Proceed(); err != nil {
		return err
	}
	if err := rig.Wait(ctx, s.lead); err != nil {
		return err
	}
	return errors.Join(
		s.judge(l, "limited by its rate", quick.all(), promised, proceeded),
		s.judge(l, "limited by its concurrency", slow.all(), promised, proceeded),
	)
}

func (s *pause) judge(l *lab, gateway string, all []seen, promised limits, proceeded time.Time) error {
	after, retries := 0, 0
	for _, r := range all {
		if r.at.After(proceeded) {
			after++
			if r.number > 1 {
				retries++
			}
		}
	}
	if after == len(all) || retries == 0 {
		return fmt.Errorf("%w: %d requests came, %d of them after the pause, %d of these retries", errNothing, len(all), after, retries)
	}
	what := fmt.Sprintf("pause, SIGSTOP for %d s, gateway %s, ", s.seconds, gateway)
	l.report.note(what+"requests before and after", fmt.Sprintf("%s and %s, of these %s retries", rig.Count(len(all)-after), rig.Count(after), rig.Count(retries)))
	l.broken(what+"early or beyond concurrency and rate", violations(all, promised))
	return nil
}

// halting is a gateway that takes its time and refuses every fourth message once.
type halting struct {
	ledger

	takes time.Duration
}

func (g *halting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := g.enter(r)
	n, err := numberOf(r)
	_ = rig.Wait(r.Context(), g.takes)
	status := http.StatusOK
	if err != nil || n%4 == 0 && s.number == 1 {
		status = http.StatusServiceUnavailable
	}
	g.leave(s, status)
	w.WriteHeader(status)
}
