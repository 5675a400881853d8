package main

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// kill ends the program with SIGKILL at chosen points of an attempt, again and
// again on the same store. The gateway decides the moment, since it sees how far
// the attempt is (trap.go). What it saw over all these lives must be what was
// promised: so many requests per message, the interval between them, numbers that
// rise.
type kill struct {
	rounds   int
	messages int
	interval time.Duration
}

func (s *kill) flags(f *pflag.FlagSet) {
	f.IntVar(&s.rounds, "rounds", 10, "kills at each point, for each way in which the gateway treats connections")
	f.IntVar(&s.messages, "messages", 4, "messages handed in before each kill")
	f.DurationVar(&s.interval, "interval", time.Second, "least time between two attempts")
}

const (
	killAttempts = 3
	// A large message is repeated in the request until that is longer than what the
	// system takes from a program before anybody reads it, which is 4 MiB.
	largeText    = 200_000
	largeRepeats = 36
)

func (s *kill) run(ctx context.Context, l *lab) error {
	for _, ends := range closings() {
		if err := s.lives(ctx, l, ends); err != nil {
			return fmt.Errorf("connections %v: %w", ends, err)
		}
	}
	return nil
}

// lives kills one program after the other, on one store, and lets the last one
// finish.
func (s *kill) lives(ctx context.Context, l *lab, ends closing) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	trap := &trap{ends: ends, sprung: make(chan struct{}, 1)}
	program, err := s.program(ctx, l, trap)
	if err != nil {
		return err
	}
	kills := 0
	for range s.rounds {
		for _, at := range points() {
			if err := s.life(ctx, program, trap, at); err != nil {
				return fmt.Errorf("kill at %v: %w", at, err)
			}
			kills++
		}
	}
	c, err := program.Start(ctx, rig.Patience)
	if err != nil {
		return err
	}
	defer c.Kill()
	if err := trap.check(ctx, c); err != nil {
		return err
	}
	all, err := s.finish(ctx, c)
	if err != nil {
		return err
	}
	if err := c.Stop(); err != nil {
		return err
	}
	saw := trap.all()
	found := append(violations(saw, limits{attempts: killAttempts, interval: s.interval}), records(all, saw)...)
	l.say("connections %v: %d kills, %d requests, messages %v", ends, kills, len(saw), states(all))
	l.broken(fmt.Sprintf("kill, connections %v, broken promises in %s requests for %s messages over %d kills", ends, rig.Count(len(saw)), rig.Count(len(all)), kills), found)
	return nil
}

// life is one start and its end.
func (s *kill) life(ctx context.Context, program *rig.Program, trap *trap, at point) error {
	c, err := program.Start(ctx, rig.Patience)
	if err != nil {
		return err
	}
	defer c.Kill()
	if err := trap.check(ctx, c); err != nil {
		return err
	}
	trap.arm(ctx, at, c)
	// The trap may be quicker than the answer to a message.
	sent := s.send(ctx, c, at)
	select {
	case <-trap.sprung:
		return errors.Join(trap.err(), trap.desert(ctx))
	case <-time.After(rig.Patience):
		return errors.Join(fmt.Errorf("not within %v; the program said\n%s", rig.Patience, c.Said()), sent)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *kill) send(ctx context.Context, c *rig.Child, at point) error {
	if at == halfSent {
		if _, err := c.Send(ctx, "large", strings.Repeat("x", largeText)); err != nil {
			return err
		}
	}
	for i := range s.messages {
		if _, err := c.Send(ctx, "small", text(i)); err != nil {
			return err
		}
	}
	return nil
}

// finish waits until no message has an attempt to come, and an interval more.
func (s *kill) finish(ctx context.Context, c *rig.Child) (all []rig.Message, err error) {
	err = rig.Until(ctx, "all messages have ended", 2*rig.Patience+killAttempts*s.interval, 20*time.Millisecond, func() (bool, error) {
		open, err := c.Open(ctx)
		return open == 0, err
	})
	if err != nil {
		return nil, err
	}
	if err := rig.Wait(ctx, s.interval); err != nil {
		return nil, err
	}
	return c.Messages(ctx)
}

// records lists where what the program says in the end does not fit what the
// gateway saw.
func records(all []rig.Message, saw []seen) (found []string) {
	requests := map[string]int{}
	for _, r := range saw {
		requests[r.message]++
	}
	for _, m := range all {
		if !m.Ended() || len(m.Attempts) > killAttempts || requests[m.ID] > len(m.Attempts) {
			found = append(found, fmt.Sprintf("message %s is %s after %d attempts and %d requests", m.ID, m.State, len(m.Attempts), requests[m.ID]))
		}
		delete(requests, m.ID)
	}
	for id := range requests {
		found = append(found, fmt.Sprintf("message %s came and is not stored", id))
	}
	return found
}

func states(all []rig.Message) map[string]int {
	n := map[string]int{}
	for _, m := range all {
		n[m.State]++
	}
	return n
}

// program declares the gateways: over TLS, so that a connection can be there
// without a byte of the request.
func (s *kill) program(ctx context.Context, l *lab, trap *trap) (*rig.Program, error) {
	certificate, err := rig.Certify()
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	url, err := trap.serve(ctx, certificate)
	if err != nil {
		return nil, err
	}
	large := rig.Section{"body": rig.Section{"text": strings.Repeat("{{message}}", largeRepeats)}}
	program, err := l.program("kill-"+strings.ReplaceAll(trap.ends.String(), " ", "-"), rig.Section{
		"delivery": rig.Section{
			"interval": s.interval.String(), "allow_short_interval": true, "max_attempts": killAttempts, "timeout": rig.Patience.String(),
		},
		"gateways": rig.Section{"small": at(url+"/small", keyed()), "large": at(url+"/large", keyed(), large)},
	})
	if err != nil {
		return nil, err
	}
	trusted := filepath.Join(program.Dir, "gateways.pem")
	program.Environ = []string{"SSL_CERT_FILE=" + trusted}
	pemBytes := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
	return program, os.WriteFile(trusted, pemBytes, 0o600)
}

var errAim = errors.New("the kill did not hit the point that it was aimed at")

// check asks a program that was started after a kill whether that hit the point:
// what was cut off is unknown, what was settled is not, and what was begun and
// not sent is an attempt that the gateway never saw.
func (t *trap) check(ctx context.Context, c *rig.Child) error {
	t.resume(c.Started)
	hit := t.take()
	if hit == nil {
		return nil
	}
	all, err := c.Messages(ctx)
	if err != nil {
		return err
	}
	if hit.at == begun {
		saw := t.all()
		for _, m := range all {
			for _, a := range m.Attempts {
				known := slices.ContainsFunc(saw, func(s seen) bool { return s.message == m.ID && s.number == a.Number })
				if a.Outcome == "unknown" && !known {
					return nil
				}
			}
		}
		return fmt.Errorf("%w: %v", errAim, hit.at)
	}
	for _, m := range all {
		if m.ID == hit.message && len(m.Attempts) >= hit.number {
			if unknown := m.Attempts[hit.number-1].Outcome == "unknown"; unknown == (hit.at != settled) {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: %v, attempt %d of message %s", errAim, hit.at, hit.number, hit.message)
}
