package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// pulse asks for /healthz again and again, on a connection that it keeps and on a
// new one by turns.
type pulse struct {
	cancel context.CancelFunc
	done   chan *beats
}

// beats are the answers of a pulse.
type beats struct {
	took   []time.Duration
	lag    []time.Duration // how late we were ourselves each time, for want of the processor
	faults []string        // answers that are none, or not 200
}

const heartbeat = 10 * time.Millisecond

func newPulse(ctx context.Context, c *rig.Child) *pulse {
	ctx, cancel := context.WithCancel(ctx)
	p := &pulse{cancel: cancel, done: make(chan *beats, 1)}
	go func() { p.done <- watchHealth(ctx, c) }()
	return p
}

func (p *pulse) stop() *beats {
	p.cancel()
	return <-p.done
}

func watchHealth(ctx context.Context, c *rig.Child) *beats {
	b := &beats{}
	kept, err := dialWire(ctx, c)
	if err != nil {
		b.faults = append(b.faults, err.Error())
		return b
	}
	defer kept.drop()
	for i := 0; ; i++ {
		due := time.Now().Add(heartbeat)
		if rig.Wait(ctx, heartbeat) != nil {
			return b
		}
		b.lag = append(b.lag, time.Since(due))
		on := kept
		if i%2 == 0 {
			on = nil
		}
		// An answer that is under way when the attack ends is waited for.
		took, fault := beat(context.WithoutCancel(ctx), c, on)
		b.took = append(b.took, took)
		if fault != "" {
			b.faults = append(b.faults, fault)
			return b
		}
	}
}

// beat asks once, on a connection or a new one.
func beat(ctx context.Context, c *rig.Child, on *wire) (took time.Duration, fault string) {
	began := time.Now()
	if on == nil {
		var err error
		if on, err = dialWire(ctx, c); err != nil {
			return time.Since(began), err.Error()
		}
		defer on.drop()
	}
	if err := on.SetDeadline(began.Add(rig.Patience)); err != nil {
		return 0, err.Error()
	}
	_, err := on.Write(on.head("GET", "/healthz", -1))
	var a rig.Answer
	if err == nil {
		a, err = on.answer()
	}
	took = time.Since(began)
	switch {
	case err != nil:
		return took, fmt.Sprintf("no answer after %v: %v", took, err)
	case a.Status != 200:
		return took, fmt.Sprintf("%d %.100s", a.Status, a.Body)
	}
	return took, ""
}

// figures are how long 99 of 100 answers took at most, and the longest.
func (b *beats) figures() (typical, longest time.Duration) { return figures(b.took) }

// late is how late we were ourselves, in 99 of 100 cases at most.
func (b *beats) late() time.Duration {
	typical, _ := figures(b.lag)
	return typical
}

func figures(all []time.Duration) (typical, longest time.Duration) {
	if len(all) == 0 {
		return 0, 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[(len(sorted)-1)*99/100], sorted[len(sorted)-1]
}

func (b *beats) String() string {
	typical, longest := b.figures()
	return fmt.Sprintf("%d answers, 99 %% within %s, all within %s, ourselves late by %s", len(b.took), rig.Span(typical), rig.Span(longest), rig.Span(b.late()))
}
