package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// On a disk that is full the program refuses, and when it is not any more it goes on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	needVolumes(t)
	e := tortured(t, "full-disk", "--rounds", "2", "--parallel", "2")
	if e.Rounds != 2 || len(e.Failures) != 0 || e.Errors != 0 {
		t.Errorf("the journal says %+v, want 2 clean rounds", e)
	}
	for _, what := range []string{"requests refused for now", "arrivals from the reserve", "deliveries while intake was refused", "requests acknowledged after it", "starts refused"} {
		if e.Counts[what] == 0 {
			t.Errorf("%s: none, so nothing was tried", what)
		}
	}
}

func TestTooLow(t *testing.T) {
	t.Parallel()
	const reserve = 100
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	// levels are those of every 5 ms from 0 on; stretches of so many at each level.
	levels := func(stretches ...[2]int64) (all []level) {
		for _, s := range stretches {
			for range s[0] {
				all = append(all, level{ms(5 * len(all)), s[1]})
			}
		}
		return all
	}
	low := levels([2]int64{100, 150}, [2]int64{100, 99}) // from 500 to 995 ms
	for name, c := range map[string]struct {
		seen        []level
		sent, ended time.Duration
		want        bool
	}{
		"before":             {low, ms(100), ms(120), false},
		"over the moment":    {low, ms(490), ms(510), false},
		"soon after":         {low, ms(590), ms(610), false},
		"long after":         {low, ms(610), ms(630), true},
		"till nobody looked": {low, ms(980), ms(1100), false},
		"after all":          {low, ms(2000), ms(2001), false},
		"up for a moment":    {levels([2]int64{200, 99}, [2]int64{1, 100}, [2]int64{100, 99}), ms(1050), ms(1060), false},
		"before anybody":     {low[100:], ms(550), ms(600), false},
		"nobody looks":       {slices.Delete(slices.Clone(low), 118, 140), ms(610), ms(720), false},
		"nothing seen":       {nil, ms(1), ms(2), false},
	} {
		if got := tooLow(c.seen, reserve, reply{Sent: c.sent, Ended: c.ended}); got != c.want {
			t.Errorf("%s: tooLow(%v to %v) = %v, want %v", name, c.sent, c.ended, got, c.want)
		}
	}
}

// A delivery from the reserve is one between the first refusal and the space.
func TestReserveDeliveries(t *testing.T) {
	t.Parallel()
	if at, ok := firstRefusal([][]*request{{{Replies: []reply{{Problem: "urn:postrider:problem:overloaded", Ended: 1}, {IDs: []string{"1"}, Ended: 2}}}}}); ok {
		t.Errorf("firstRefusal() = %v, of requests of which none was refused for want of space", at)
	}
	const noSpace = "urn:postrider:problem:no-space"
	from, ok := firstRefusal([][]*request{{{Replies: []reply{{Problem: noSpace, Ended: 9}}}}, {{Replies: []reply{{Ended: 1}, {Problem: noSpace, Ended: 5}}}}})
	if !ok || from != 5 {
		t.Errorf("firstRefusal() = %v, %v; want 5", from, ok)
	}
	for name, c := range map[string]struct {
		one  arrival
		open int64
		n    int64
		says string // "" for nothing broken
		err  bool
	}{
		"delivered":    {arrival{At: 6, End: 7, Status: 200}, 1, 1, "", false},
		"began before": {arrival{At: 5, End: 7, Status: 200}, 1, 0, "of 1 messages that were open", false},
		"ended after":  {arrival{At: 6, End: 10, Status: 200}, 1, 0, "of 1 messages that were open", false},
		"failed":       {arrival{At: 6, End: 7, Status: 500}, 1, 0, "of 1 messages that were open", false},
		"nothing open": {arrival{At: 1, End: 2, Status: 200}, 0, 0, "", true},
	} {
		r := &round{counts: map[string]int64{}}
		d := &disk{round: r, system: &system{gateways: &gateways{arrivals: []*arrival{&c.one}}}}
		err := d.delivered(from, 10, c.open)
		found := strings.Join(r.found(), "; ")
		if (err != nil) != c.err || r.counted("deliveries while intake was refused") != c.n || (found == "") != (c.says == "") || !strings.Contains(found, c.says) {
			t.Errorf("%s: delivered() = %v and found %q", name, err, found)
		}
	}
}

// Free space that cannot be read is no space that was free.
func TestWatchFails(t *testing.T) {
	t.Parallel()
	d := &disk{volume: &volume{dir: filepath.Join(t.TempDir(), "gone")}, system: &system{began: time.Now()}}
	if seen, err := d.watch(t.Context())(); err == nil || len(seen) > 0 {
		t.Errorf("watch() = %v, %v; want an error", seen, err)
	}
}

// What intake takes of the reserve before it is refused is held to more than what
// others take later.
func TestReserve(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for name, c := range map[string]struct {
		free [3]int64 // of 100 MiB, before the first refusal, at it, after it
		says bool
	}{
		"untouched":       {[3]int64{200 * mib, 100 * mib, 100 * mib}, false},
		"a little":        {[3]int64{100 * mib, 75 * mib, 50 * mib}, false},
		"much by intake":  {[3]int64{100 * mib, 74 * mib, 100 * mib}, true},
		"much by the end": {[3]int64{100 * mib, 100 * mib, 49 * mib}, true},
	} {
		r := &round{peaks: map[string]int64{}, log: func(string) {}}
		d := &disk{round: r, reserve: 100 * mib, system: &system{load: &load{}}}
		d.judge([]level{{1, c.free[0]}, {2, c.free[1]}, {3, c.free[2]}}, 2)
		if found := r.found(); (len(found) > 0) != c.says {
			t.Errorf("%s: judge() found %q", name, found)
		}
	}
}
