package main

import (
	"strings"
	"testing"
	"time"
)

// Stopped as it stands and let go on, the program is neither early nor hasty.
func TestPause(t *testing.T) {
	t.Parallel()
	e := tortured(t, "pause", "--rounds", "3", "--parallel", "3", "--halts", "2", "--longest", "3s")
	if e.Rounds != 3 || len(e.Failures) != 0 || e.Errors != 0 {
		t.Errorf("the journal says %+v, want 3 clean rounds", e)
	}
	if e.Counts["halts"] < 3 || e.Counts["starts"] != 3 || e.Counts["arrivals at gateways"] == 0 {
		t.Errorf("the journal says %+v, want a halt and one start in each round", e)
	}
}

// Each gateway has its own limits, and what got no answer counts too.
func TestCrowded(t *testing.T) {
	t.Parallel()
	const n = 13 // in a second at a rate of ten with two at once; one more than allowed
	many := func(gateway string, status int, takes time.Duration) (all []arrival) {
		for i := range n + 1 {
			at := time.Duration(i) * 10 * time.Millisecond
			all = append(all, arrival{Gateway: gateway, At: at, End: at + takes, Status: status})
		}
		return all
	}
	for _, c := range []struct {
		what     string
		arrivals []arrival
		says     string
	}{
		{"no rate", many(well, 200, time.Millisecond), ""},
		{"rate", many(slowly, 200, time.Millisecond), "gateway slow: 14 requests came within 1s"},
		{"rate of retries", many(failing, 500, time.Millisecond), "gateway failing: 14 requests"},
		{"concurrency", many(well, 200, 25*time.Millisecond), "gateway well: 3 requests were under way"},
		{"given up", many(hanging, 0, 25*time.Millisecond), "gateway hanging: 3 requests were under way"},
		{"given up at once", many(hanging, 0, 0), ""},
		{"several gateways", append(many(well, 200, 15*time.Millisecond), many(breaking, 200, 15*time.Millisecond)...), ""},
	} {
		var r round
		crowded(&system{plan: plan{Concurrency: 2, Rate: 10}})(&account{Arrivals: c.arrivals}, r.violate)
		all := strings.Join(r.found(), "; ")
		if (all == "") != (c.says == "") || !strings.Contains(all, c.says) {
			t.Errorf("%s: crowded() found %q, want %q", c.what, all, c.says)
		}
	}
}
