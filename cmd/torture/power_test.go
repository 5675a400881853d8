package main

import (
	"testing"
)

// Without power under load and while it recovers, the program loses nothing.
func TestPower(t *testing.T) {
	t.Parallel()
	needVolumes(t)
	e := tortured(t, "power", "--rounds", "3", "--parallel", "3", "--latest", "1s")
	if e.Rounds != 3 || len(e.Failures) != 0 || e.Errors != 0 {
		t.Errorf("the journal says %+v, want 3 clean rounds", e)
	}
	for _, what := range []string{"power cuts", "requests acknowledged", "arrivals at gateways", "events stored", "messages stored"} {
		if e.Counts[what] == 0 {
			t.Errorf("%s: none, so nothing was tried", what)
		}
	}
}
