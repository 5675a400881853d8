package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// The names of what is measured.
func eventsAt(connections int) string {
	return fmt.Sprintf("POST /event, %d connections", connections)
}

func messagesAt(connections int) string {
	return fmt.Sprintf("POST /send_message, %d connections", connections)
}

func arraysAt(connections int) string {
	return fmt.Sprintf("events in arrays of %d, %d connections", arraySize, connections)
}

const (
	delivering = "accept, POST to the sink, durably done"
	looping    = "POST to the sink"
	arriving   = "open loop at half of that: from the answer to the arrival"
	answering  = "open loop at half of that: from when it is due to the answer"
	wholly     = "open loop at half of that: from when it is due to the arrival"
)

// warm is how long a load runs before it counts.
func (l *lab) warm() time.Duration { return min(l.span/4, time.Second) }

// limit bounds what is to come after a measurement.
func (l *lab) limit() time.Duration { return 20*l.span + patience }

// closed measures a closed loop; per is how many records a request has.
func (t *turn) closed(ctx context.Context, measure string, r request, connections, per int) error {
	var got ClosedResult
	load := ClosedLoad{Request: r, Connections: connections, Warm: t.warm(), For: t.span}
	err := t.profiled(ctx, measure, func() error { return t.driver.call(ctx, "Closed", load, &got) })
	if err != nil {
		return fmt.Errorf("%s: %w", measure, err)
	}
	t.add(measure, value{got.Rate * float64(per), got.Latency.quantile(0.5), got.Latency.quantile(0.99)})
	return nil
}

// add notes a value of this turn.
func (t *turn) add(measure string, v value) { t.report.add(t.round, measure, t.entry.name, v) }

// events measures the intake of single events.
func (t *turn) events(ctx context.Context) error {
	for _, n := range t.conns {
		if err := t.eventsOver(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (t *turn) eventsOver(ctx context.Context, connections int) error {
	r := postEvent(t.url)
	if t.wrk == nil {
		return t.closed(ctx, eventsAt(connections), r, connections, 1)
	}
	var got value
	err := t.profiled(ctx, eventsAt(connections), func() (err error) {
		got, err = t.wrk.run(ctx, r, connections, t.span)
		return err
	})
	if err != nil {
		return err
	}
	t.add(eventsAt(connections), got)
	return nil
}

// arrays measures the intake of arrays.
func (t *turn) arrays(ctx context.Context) error {
	n := slices.Min(t.conns)
	return t.closed(ctx, arraysAt(n), postEvents(t.url), n, arraySize)
}

// messages measures the intake of messages that nobody delivers.
func (t *turn) messages(ctx context.Context) error {
	for _, n := range t.conns {
		if err := t.messagesOver(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// someMessages measures the same over one number of connections.
func (t *turn) someMessages(ctx context.Context) error { return t.messagesOver(ctx, t.middle()) }

func (t *turn) messagesOver(ctx context.Context, connections int) error {
	return t.closed(ctx, messagesAt(connections), postMessage(t.url), connections, 1)
}

// deliver measures messages from their acceptance to where they are durably done,
// and then how long they are under way at half of that rate.
func (t *turn) deliver(ctx context.Context) error {
	rate, err := t.deliveries(ctx)
	if err != nil {
		return err
	}
	t.add(delivering, value{rate: rate})
	return t.latency(ctx, rate/2)
}

// senders is how many connections messages come over where they are delivered.
const senders = 256

// deliveries returns how many messages per second come to their end: all that were
// accepted in a time, over that time and what it took to carry the rest.
func (t *turn) deliveries(ctx context.Context) (rate float64, err error) {
	var got Delivered
	load := Delivery{Request: postMessage(t.url), Connections: senders, For: t.span, Limit: t.limit()}
	if err := t.profiled(ctx, delivering, func() error { return t.driver.call(ctx, "Deliver", load, &got) }); err != nil {
		return 0, err
	}
	arrived := time.Now()
	err = rig.Until(ctx, "all is durably done", t.limit(), 2*time.Millisecond, func() (bool, error) {
		n, err := t.open(ctx)
		return n == 0, err
	})
	if err != nil {
		return 0, err
	}
	if got.Again > 0 {
		t.note("%s delivered %d messages of %d more than once in round %d", t.entry.name, got.Again, got.Messages, t.round+1)
	}
	return float64(got.Messages) / (got.Elapsed + time.Since(arrived)).Seconds(), nil
}

// latency measures an open loop.
func (t *turn) latency(ctx context.Context, rate float64) error {
	var got OpenResult
	load := OpenLoad{Request: postMessage(t.url), Connections: senders, Rate: rate, For: t.span, Limit: t.limit()}
	if err := t.profiled(ctx, arriving, func() error { return t.driver.call(ctx, "Open", load, &got) }); err != nil {
		return err
	}
	for _, m := range []struct {
		name  string
		times histogram
	}{{arriving, got.Arrival}, {answering, got.Answer}, {wholly, got.Whole}} {
		t.add(m.name, value{rate, m.times.quantile(0.5), m.times.quantile(0.99)})
	}
	return nil
}

// loop measures what a client reaches that does nothing else.
func (t *turn) loop(ctx context.Context) error {
	var rate float64
	if err := t.driver.call(ctx, "Arrivals", Arrivals{Warm: t.warm(), For: t.span}, &rate); err != nil {
		return err
	}
	t.add(looping, value{rate: rate})
	return nil
}

// session is what is measured of a contestant in a turn.
type session struct {
	name     string // of the contestant
	delivers bool
	measures measures
}

// run gives each session its turn, round by round, each time in another order. One
// that fails has no further turn and does not keep the others from theirs.
func (l *lab) run(ctx context.Context, sessions []session) error {
	var errs []error
	sessions = slices.DeleteFunc(slices.Clone(sessions), func(s session) bool {
		e, err := find(s.name)
		if err != nil {
			errs = append(errs, err)
			return true
		}
		return !l.takesPart(e)
	})
	for round := range l.rounds {
		failed := make([]bool, len(sessions))
		for i := range sessions {
			i = (i + round) % len(sessions)
			s := sessions[i]
			l.say("round %d of %d: %s", round+1, l.rounds, s.name)
			if err := l.session(ctx, s, round); err != nil {
				if ctx.Err() != nil {
					return errors.Join(append(errs, context.Cause(ctx))...)
				}
				l.say("%s: %v", s.name, err)
				errs = append(errs, fmt.Errorf("%s, round %d: %w", s.name, round+1, err))
				failed[i] = true
			}
		}
		var left []session
		for i, s := range sessions {
			if !failed[i] {
				left = append(left, s)
			}
		}
		sessions = left
	}
	return errors.Join(errs...)
}

func (l *lab) session(ctx context.Context, s session, round int) error {
	e, err := find(s.name)
	if err != nil {
		return err
	}
	return l.take(ctx, e, round, s.delivers, func(ctx context.Context, t *turn) error {
		for _, measure := range s.measures {
			if err := measure(t, ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

// takesPart reports whether a contestant was asked for and can run, and names one
// that cannot.
func (l *lab) takesPart(e entry) bool {
	if len(l.only) > 0 && !slices.Contains(l.only, e.name) {
		return false
	}
	if e.missing == nil {
		return true
	}
	err := e.missing()
	if err == nil {
		return true
	}
	l.note("skipped: %s (%v)", e.name, err)
	return false
}
