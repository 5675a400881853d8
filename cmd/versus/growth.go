package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// growth is what the program loses when its store fills: intake and delivery with
// many records in it, in alternation with an empty one.
type growth struct {
	records int
	rest    time.Duration
}

func (g *growth) declare(f *pflag.FlagSet) {
	f.IntVar(&g.records, "records", 5_000_000, "records in the store that is full, half of them events and half messages that wait")
	f.DurationVar(&g.rest, "rest", 20*time.Second, "how long the store has to itself once it is full")
}

// The two stores, as contestants in the table.
const (
	emptyName = "empty store"
	fullName  = "full store"
)

// backlogName is the gateway of the messages that wait, and the type of the events
// that a route makes them of.
const backlogName = "backlog"

// sectionsOf a program with a backlog.
func sectionsOf() rig.Section {
	return rig.Section{
		"gateways": rig.Section{backlogName: rig.Section{"url": nobody}},
		"routes":   []rig.Section{{"match": rig.Section{"event_type": backlogName}, "gateway": backlogName, "message": "{{event_payload}}"}},
	}
}

func (g *growth) run(ctx context.Context, l *lab) error {
	if g.records < 2 {
		return errors.New("--records: expected 2 or more")
	}
	if err := rig.SpaceFor(l.dir, int64(g.records)*1000+1<<30); err != nil {
		return err
	}
	full := onStore(fullName, fmt.Sprintf("our program with %s records, and what the rounds add", rig.Count(g.records)), filepath.Join(l.dir, "full"), sectionsOf())
	l.note("medians of %d rounds, %v for each measurement; single events by %s; %d attempts under way at a time", l.rounds, l.span, l.loader(), l.workers)
	l.say("filling a store with %s records", rig.Count(g.records))
	if err := l.take(ctx, full, 0, true, g.fill); err != nil {
		return fmt.Errorf("fill the store: %w", err)
	}
	for round := range l.rounds {
		empty := onStore(emptyName, "our program with a store that is new in each round", filepath.Join(l.dir, fmt.Sprint("empty-", round)), sectionsOf())
		both := []entry{empty, full}
		for i := range both {
			e := both[(i+round)%len(both)]
			l.say("round %d of %d: %s", round+1, l.rounds, e.name)
			if err := l.take(ctx, e, round, true, l.both); err != nil {
				return fmt.Errorf("%s, round %d: %w", e.name, round+1, err)
			}
		}
	}
	r := l.report
	for _, m := range []string{eventsAt(l.middle()), delivering} {
		r.expect(goal{what: m + ": full over empty", bound: 0.9, values: ratios(r.of(m, fullName).rates, r.of(m, emptyName).rates)})
	}
	return nil
}

// middle is how many connections the load has where there is one load only.
func (l *lab) middle() int { return l.conns[len(l.conns)/2] }

// both measures intake and delivery.
func (l *lab) both(ctx context.Context, t *turn) error {
	if err := t.eventsOver(ctx, l.middle()); err != nil {
		return err
	}
	rate, err := t.deliveries(ctx)
	if err == nil {
		t.add(delivering, value{rate: rate})
	}
	return err
}

// fillers and perRequest are how a store is filled: quickly, and far from what is
// refused.
const (
	fillers    = 8
	perRequest = 500
)

// fill makes the records: events, each with a message for a gateway that is paused.
func (g *growth) fill(ctx context.Context, t *turn) error {
	s, ok := t.contestant.(*stored)
	if !ok {
		return errors.New("not a store of ours")
	}
	if err := s.pause(ctx, backlogName); err != nil {
		return err
	}
	events := min(perRequest, g.records/2)
	one := fmt.Sprintf(`{"event_type":%q,"event_payload":"%s"}`, backlogName, text())
	load := ClosedLoad{
		Request:     numbered(t.url+"/event", "["+strings.Repeat(one+",", events-1)+one+"]"),
		Connections: fillers,
		For:         time.Duration(math.MaxInt64),
		Most:        int64(g.records / 2 / events),
	}
	var got ClosedResult
	if err := t.driver.call(ctx, "Closed", load, &got); err != nil {
		return err
	}
	return rig.Wait(ctx, g.rest)
}
