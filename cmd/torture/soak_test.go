package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// Some lives under everything that goes wrong: nothing is lost, and all of it was
// tried.
func TestSoak(t *testing.T) {
	t.Parallel()
	e := tortured(t, "soak", "--duration", "14s", "--every", "5s")
	if e.Rounds != 1 || len(e.Failures) != 0 || e.Errors != 0 {
		t.Errorf("the journal says %+v, want a clean round", e)
	}
	for _, what := range []string{
		"requests acknowledged", "arrivals at gateways", "events stored", "messages stored", "messages delivered", "messages failed",
		"bad requests", "slow clients", "sweeps",
	} {
		if e.Counts[what] == 0 {
			t.Errorf("%s: none, so nothing was tried", what)
		}
	}
	if e.Counts["kills"] < 2 || e.Counts["starts"] != e.Counts["kills"]+1 {
		t.Errorf("%d kills in %d starts, want two and one start more", e.Counts["kills"], e.Counts["starts"])
	}
}

// What grows is found, with a process or over all of them, and a burst is not taken
// for growth.
func TestGauge(t *testing.T) {
	t.Parallel()
	const seconds, life = 1200, 120
	for name, c := range map[string]struct {
		value func(second, age int) int64 // of descriptors
		want  string                      // "" for nothing
	}{
		"level":           {func(int, int) int64 { return 100 }, ""},
		"up and down":     {func(s, _ int) int64 { return 100 + int64(s%7)*20 }, ""},
		"a burst":         {func(s, _ int) int64 { return 100 + int64(s/1100)*int64(1200-s)*5 }, ""},
		"with a process":  {func(_, age int) int64 { return 100 + int64(age)*2 }, "of a life to its last one"},
		"over all":        {func(s, _ int) int64 { return 100 + int64(s)/6 }, "from the second quarter to the last one"},
		"too much once":   {func(s, _ int) int64 { return 100 + int64(s/1199)*2000 }, "descriptors was 2,100"},
		"less and less":   {func(s, age int) int64 { return 1500 - int64(s) - int64(age) }, ""},
		"at the start":    {func(_, age int) int64 { return 100 + max(0, 20-int64(age))*50 }, ""},
		"slowly, by life": {func(_, age int) int64 { return 100 + int64(age)/4 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &gauge{}
			for s := range seconds {
				one := sample{at: time.Duration(s) * time.Second, life: s / life, age: time.Duration(s%life) * time.Second}
				one.all[openDescriptors] = c.value(s, s%life)
				g.samples = append(g.samples, one)
			}
			var found []string
			g.judge(func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }, func(string, ...any) {})
			all := strings.Join(found, "\n")
			if c.want == "" && all != "" || !strings.Contains(all, c.want) {
				t.Errorf("it found %q, want %q", all, c.want)
			}
		})
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	got := metrics([]byte("# HELP a b\n# TYPE a gauge\na 1.2e+03\nb{state=\"x y\"} 7\nnone\n\n"))
	if len(got) != 2 || got["a"] != 1200 || got[`b{state="x y"}`] != 7 {
		t.Errorf("metrics() = %v", got)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	values := []int64{9, 1, 5, 3}
	if got := median(values); got != 5 || !slices.Equal(values, []int64{9, 1, 5, 3}) {
		t.Errorf("median() = %d and left %v, want 5 and what was there", got, values)
	}
	if got := median(nil); got != 0 {
		t.Errorf("median(nil) = %d", got)
	}
}
