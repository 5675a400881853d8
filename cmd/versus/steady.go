package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// steady is whether the program keeps its pace: a long intake without a rest, in
// which tables are merged and what is over its time is deleted.
type steady struct {
	duration time.Duration
	slices   int
}

func (s *steady) declare(f *pflag.FlagSet) {
	f.DurationVar(&s.duration, "duration", 10*time.Minute, "how long the intake takes")
	f.IntVar(&s.slices, "slices", 10, "parts of that time, of which the last is compared with the second")
}

func (s *steady) run(ctx context.Context, l *lab) error {
	if s.slices < 3 || s.duration < time.Duration(s.slices) {
		return errors.New("--duration, --slices: expected 3 slices or more")
	}
	each := s.duration / time.Duration(s.slices)
	keep := max(2*each, time.Second)
	about := fmt.Sprintf("our program, events kept for %v", keep)
	e := onStore(ourName, about, filepath.Join(l.dir, "steady"), rig.Section{
		"storage": rig.Section{"retention": rig.Section{"events": keep.String()}},
	})
	return l.take(ctx, e, 0, true, func(ctx context.Context, t *turn) error {
		n := l.middle()
		load := ClosedLoad{Request: postEvent(t.url), Connections: n, For: s.duration, Slice: each}
		var got ClosedResult
		if err := t.driver.call(ctx, "Closed", load, &got); err != nil {
			return err
		}
		for i, rate := range got.Slices {
			t.add(fmt.Sprintf("%s, part %d of %v", eventsAt(n), i+1, each), value{rate: rate})
		}
		t.add(eventsAt(n)+", all of it", value{got.Rate, got.Latency.quantile(0.5), got.Latency.quantile(0.99)})
		l.report.expect(goal{
			what: "the last part over the second", bound: 0.9,
			values: []float64{got.Slices[len(got.Slices)-1] / got.Slices[1]},
		})
		u, err := rig.UsageOf(filepath.Join(l.dir, "steady"))
		l.note("single events by %s; the store takes %s of the disk in the end", l.loader(), rig.Size(u.Allocated))
		return err
	})
}
