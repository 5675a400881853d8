package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// measures are what is measured in a turn, in order.
type measures = []func(*turn, context.Context) error

// comparison is what is compared with all peers.
func comparison() []session {
	return []session{
		{name: floorName, measures: measures{(*turn).events}},
		{name: logName, measures: measures{(*turn).events}},
		{name: logName, measures: measures{(*turn).arrays}},
		{name: ourName, measures: measures{(*turn).events}},
		{name: ourName, measures: measures{(*turn).arrays}},
		{name: ourName, measures: measures{(*turn).messages}},
		{name: postgresName, measures: measures{(*turn).events}},
		{name: jetstreamName, measures: measures{(*turn).messages}},
		{name: asynqName, measures: measures{(*turn).messages}},
		{name: rawOurName, delivers: true, measures: measures{(*turn).loop}},
		{name: rawFastName, delivers: true, measures: measures{(*turn).loop}},
		{name: rawNetName, delivers: true, measures: measures{(*turn).loop}},
		{name: ourName, delivers: true, measures: measures{(*turn).deliver}},
		{name: riverName, delivers: true, measures: measures{(*turn).deliver}},
		{name: asynqName, delivers: true, measures: measures{(*turn).deliver}},
		{name: jetstreamName, delivers: true, measures: measures{(*turn).deliver}},
	}
}

// alone is what needs no server, and is quick.
func alone() []session {
	return []session{
		{name: floorName, measures: measures{(*turn).events}},
		{name: logName, measures: measures{(*turn).arrays}},
		{name: ourName, measures: measures{(*turn).events}},
		{name: ourName, measures: measures{(*turn).arrays}},
		{name: ourName, measures: measures{(*turn).someMessages}},
		{name: rawOurName, delivers: true, measures: measures{(*turn).loop}},
		{name: rawFastName, delivers: true, measures: measures{(*turn).loop}},
		{name: rawNetName, delivers: true, measures: measures{(*turn).loop}},
		{name: ourName, delivers: true, measures: measures{(*turn).deliver}},
	}
}

// judge sets the figures to reach beside what was measured.
func (l *lab) judge() {
	r := l.report
	rate := func(what, measure, over string, least float64) {
		r.expect(goal{what: what, bound: least, values: ratios(r.of(measure, ourName).rates, r.of(measure, over).rates)})
	}
	each := func(what, measure func(int) string, over string, bounds ...float64) {
		for i, n := range []int{64, 256, 1024} {
			rate(what(n), measure(n), over, bounds[i])
		}
	}
	called := func(format string) func(int) string { return func(n int) string { return fmt.Sprintf(format, n) } }
	each(called("POST /event over the floor, %d connections"), eventsAt, floorName, 0.45, 0.65, 0.75)
	r.expect(goal{
		what: "its p99 over the floor's, 1024 connections", bound: 1.2, most: true,
		values: ratios(r.of(eventsAt(1024), ourName).p99s, r.of(eventsAt(1024), floorName).p99s),
	})
	each(called("POST /event over an INSERT, %d connections"), eventsAt, postgresName, 3, 6, 9)
	arrays := arraysAt(slices.Min(l.conns))
	rate("arrays of 100 over a growing log", arrays, logName, 0.70)
	each(called("POST /send_message over Asynq's enqueue, %d connections"), messagesAt, asynqName, 1.5, 1.5, 1.5)
	each(called("POST /send_message over JetStream's publish, %d connections"), messagesAt, jetstreamName, 5, 5, 5)
	rate("accept, POST, durably done, over River", delivering, riverName, 4)
	rate("... over Asynq", delivering, asynqName, 4)
	rate("... over JetStream", delivering, jetstreamName, 8)
	r.expect(goal{
		what: "... over the raw loop of the client we ship", bound: 0.60,
		values: ratios(r.of(delivering, ourName).rates, r.of(looping, rawOurName).rates),
	})
	late := r.of(arriving, ourName)
	r.expect(goal{what: "from the answer to the arrival at half of that rate, p50", bound: 2 * milliseconds(l.flush), most: true, unit: " ms", values: had(late.p50s)})
	r.expect(goal{what: "... p99", bound: milliseconds(10 * time.Millisecond), most: true, unit: " ms", values: had(late.p99s)})
}

// compare measures sessions and sets the goals beside.
func compare(sessions func() []session) func(context.Context, *lab) error {
	return func(ctx context.Context, l *lab) error {
		l.note("medians of %d rounds, %v for each measurement; single events by %s; %d attempts under way at a time", l.rounds, l.span, l.loader(), l.workers)
		err := l.run(ctx, sessions())
		l.judge()
		return err
	}
}
