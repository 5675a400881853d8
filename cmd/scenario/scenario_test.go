package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
	"github.com/postrider/postrider/config"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == manyTree {
		main() // as a child of a test
		return
	}
	code := m.Run()
	if built.directory != "" {
		_ = os.RemoveAll(built.directory)
	}
	os.Exit(code)
}

// built is the program to measure, made by the first test that needs it.
var built struct {
	once      sync.Once
	directory string
	err       error
}

// newLab returns a lab for the program as it is now.
func newLab(t *testing.T) *lab {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("scenarios read /proc")
	}
	built.once.Do(func() {
		if built.directory, built.err = os.MkdirTemp("", "postrider-test-"); built.err != nil { //nolint:usetesting // it outlives the test that makes it
			return
		}
		if out, err := exec.Command("go", "build", "-o", built.directory, "../postrider").CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal("build the program:", built.err)
	}
	l := &lab{binary: filepath.Join(built.directory, "postrider"), parent: t.TempDir(), report: &report{}, log: t.Output()}
	if err := l.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// measured runs one scenario and returns its figures.
func measured(t *testing.T, s scenario) []figure {
	t.Helper()
	l := newLab(t)
	if err := l.measure(t.Context(), []named{{t.Name()[strings.LastIndexByte(t.Name(), '/')+1:], "as a test", s}}); err != nil {
		t.Fatal(err)
	}
	return l.report.figures
}

// met requires that goals that no machine is too slow for are met.
func met(t *testing.T, figures []figure, goals int) {
	t.Helper()
	n := 0
	for _, f := range figures {
		if f.goal == "" {
			continue
		}
		n++
		if !f.met {
			t.Errorf("%s: %s, want %s", f.what, f.measured, f.goal)
		}
	}
	if n != goals {
		t.Errorf("%d goals are measured, want %d: %v", n, goals, figures)
	}
}

// Killed at any point, the program keeps its promises to gateways.
func TestKill(t *testing.T) {
	t.Parallel()
	met(t, measured(t, &kill{rounds: 1, messages: 3, interval: 300 * time.Millisecond}), len(closings()))
}

// A program that stood still sends nothing early and nothing in a burst.
func TestPause(t *testing.T) {
	t.Parallel()
	met(t, measured(t, &pause{messages: 400, seconds: 2, lead: 1500 * time.Millisecond, interval: 500 * time.Millisecond, rate: 40}), 2)
}

// The other scenarios measure times and sizes, which say nothing in small; that
// they measure all of them is tested here.
func TestScenarios(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		scenario
		goals []string
	}{
		{"lateness", &lateness{rate: 20, seconds: 1, interval: 100 * time.Millisecond}, []string{"accepted to start, p99", "start of the retry, p99", "came early"}},
		{"slow", &slow{messages: 100, rate: 50, seconds: 1, rounds: 1, delay: time.Second}, []string{"beside to alone"}},
		{"dead", &dead{gateways: 10, messages: 2, deadRate: 10, rate: 20, seconds: 1, rounds: 2, inFlight: 16, settle: time.Second}, []string{"reached the healthy", "p99 among", "anonymous RSS", "descriptors"}},
		{"many", &many{gateways: 20, linger: 100 * time.Millisecond, limit: rig.Patience}, []string{"delivered", "declared", "once used"}},
		{"backlog", &backlog{sizes: []int{500, 2000}, gateways: 2, seconds: 1}, []string{"while filling", "while delivering", "ready", "first due", "while filling", "while delivering", "ready", "first due", "2,000 above 500"}},
		{"retention", &retention{messages: 500, gateways: 2, seconds: 1, keep: 500 * time.Millisecond}, []string{"of quiet"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range measured(t, c.scenario) {
				if f.goal != "" {
					got = append(got, f.what)
				}
			}
			if !slices.EqualFunc(got, c.goals, strings.Contains) {
				t.Errorf("goals measured are %q, want %q", got, c.goals)
			}
		})
	}
}

// A size that nothing can be measured with is a mistake that is named.
func TestSizes(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"lateness", "--rate", "0"},
		{"lateness", "--rate", "-1"},
		{"lateness", "--interval", "0s"},
		{"backlog", "--messages", "1000,0"},
		{"pause", "--rate", "0.0"},
		{"dead", "--gateways", "3"},
	} {
		err := execute(t.Context(), append(args, "--binary", "/bin/true", "--dir", t.TempDir()), t.Output(), t.Output())
		if want := args[1] + ": expected"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("scenario %v = %v, want an error with %q", args, err, want)
		}
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	r := &report{}
	r.goal("kept", "< 2", "1", true)
	r.goal("missed", "< 2", "3", false)
	r.note("seen", "4")
	var out bytes.Buffer
	if err := r.print(&out, "here and now"); err != nil {
		t.Fatal(err)
	}
	want := `here and now

what     goal   measured   
kept     < 2    1          met
missed   < 2    3          NOT MET
seen     -      4          
`
	if out.String() != want {
		t.Errorf("print() wrote\n%s, want\n%s", out.String(), want)
	}
	want = `here and now

| what | goal | measured | |
|---|---|---|---|
| kept | < 2 | 1 | met |
| missed | < 2 | 3 | NOT MET |
| seen |  | 4 |  |
`
	if got := r.markdown("here and now"); got != want {
		t.Errorf("markdown() =\n%s, want\n%s", got, want)
	}
	if r.missed() != 1 {
		t.Errorf("missed() = %d, want 1", r.missed())
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1))
	}
	for _, c := range []struct {
		sorted []time.Duration
		share  float64
		want   time.Duration
	}{
		{hundred, 0.50, 50},
		{hundred, 0.99, 99},
		{hundred, 0.991, 100},
		{hundred, 0, 1},
		{hundred, 1, 100},
		{hundred[:1], 0.99, 1},
		{hundred[:10], 0.99, 10},
	} {
		if got := percentile(c.sorted, c.share); got != c.want {
			t.Errorf("percentile(%d values, %v) = %d, want %d", len(c.sorted), c.share, got, c.want)
		}
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3}, {[]float64{3, 1}, 2}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := median(c.values); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.values, got, c.want)
		}
	}
}

// A journal counts what is late by what is due, and what never came as missing.
func TestJournal(t *testing.T) {
	t.Parallel()
	j := newJournal(4)
	at := func(ms int) time.Time { return j.begin.Add(time.Duration(ms) * time.Millisecond) }
	for i, times := range [][3]int{{10, 20, 25}, {30, 40, 38}, {50, 60, 0}, {70, 0, 0}} {
		for k, to := range []*atomic.Int64{&j.notes[i].sent, &j.notes[i].due, &j.notes[i].started} {
			if times[k] != 0 {
				j.mark(to, at(times[k]))
			}
		}
	}
	if got, want := j.lateness(), []time.Duration{-2 * time.Millisecond, 5 * time.Millisecond}; !slices.Equal(got, want) {
		t.Errorf("lateness() = %v, want %v", got, want)
	}
	if got, want := j.latency(), []time.Duration{8 * time.Millisecond, 15 * time.Millisecond}; !slices.Equal(got, want) {
		t.Errorf("latency() = %v, want %v", got, want)
	}
	if got := j.missing(); got != 1 {
		t.Errorf("missing() = %d, want 1", got)
	}
	if got := j.throughput(at(20), at(38)); got != 1/0.018 {
		t.Errorf("throughput() = %v, want the one of two that started before the end", got)
	}
}

// What the scenarios declare is a configuration that the program takes.
func TestConfiguration(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.dir = t.TempDir()
	gateways, routes := fillGateways(2, at("http://127.0.0.1:1", rig.Section{"concurrency": 3}, keyed()))
	p, err := l.program("some", rig.Section{"gateways": gateways, "routes": routes, "storage": rig.Section{"retention": rig.Section{"delivered": "1m"}}})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Options{File: p.File()})
	if err != nil {
		t.Fatal(err)
	}
	if g := cfg.Gateways["fill-1"]; cfg.Storage.Path != p.Store() || cfg.HTTP.Port != 0 || cfg.Storage.Retention.Delivered != time.Minute ||
		g.URL.Value() != "http://127.0.0.1:1" || *g.Concurrency != 3 || len(cfg.Routes) != 2 {
		t.Errorf("the configuration is %+v", cfg)
	}
}
