package main

import (
	"slices"
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
	for _, what := range []string{"requests refused for now", "arrivals from the reserve", "requests acknowledged after it", "starts refused"} {
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
