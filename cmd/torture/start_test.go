package main

import "testing"

// Whoever starts and ends the program at the wrong moment loses nothing, and gets
// the answer that is documented.
func TestStart(t *testing.T) {
	t.Parallel()
	e := tortured(t, "start", "--rounds", "6", "--parallel", "3")
	if e.Mode != "start" || e.Rounds != 6 || len(e.Failures) != 0 || e.Errors != 0 {
		t.Errorf("the journal says %+v, want 6 clean rounds", e)
	}
	for _, what := range []string{"races lost", "ends during start", "ends by a second signal", "requests under way at the end that were answered", "requests acknowledged"} {
		if e.Counts[what] == 0 {
			t.Errorf("%s: none, so nothing was tried", what)
		}
	}
}

func TestChoice(t *testing.T) {
	t.Parallel()
	c := choice{of: []string{"a", "b"}}
	if !c.includes("a") || !c.includes("b") || c.forRound(0) != "a" || c.forRound(3) != "b" || c.String() != everything {
		t.Errorf("%+v does not take all in turns", c)
	}
	if err := c.Set("c"); err == nil {
		t.Error(`Set("c") = nil, want an error`)
	}
	if err := c.Set("b"); err != nil || c.includes("a") || c.forRound(0) != "b" {
		t.Errorf(`after Set("b") = %v: %+v, want b alone`, err, c)
	}
}
