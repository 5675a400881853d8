package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
	"github.com/postrider/postrider/config"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == tapCommand {
		exitTapped()
	}
	code := m.Run()
	if built.directory != "" {
		_ = os.RemoveAll(built.directory)
	}
	os.Exit(code)
}

// built is the program to torture, made by the first test that needs it.
var built struct {
	once      sync.Once
	directory string
	err       error
}

// binary returns the path of the program as it is now.
func binary(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the harness reads /proc")
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
	return filepath.Join(built.directory, "postrider")
}

// tortured runs a mode through the command line and returns what the journal says.
func tortured(t *testing.T, args ...string) entry {
	t.Helper()
	journal := filepath.Join(t.TempDir(), "journal")
	args = append(args, "--binary", binary(t), "--dir", t.TempDir(), "--journal", journal)
	if err := execute(t.Context(), args, t.Output(), t.Output()); err != nil {
		t.Errorf("torture %v: %v", args, err)
	}
	b, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	var e entry
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// Killed under load and while it recovers, the program loses nothing.
func TestKill(t *testing.T) {
	t.Parallel()
	e := tortured(t, "kill", "--rounds", "3", "--parallel", "3", "--latest", "1500ms")
	if e.Mode != "kill" || e.Rounds != 3 || len(e.Failures) != 0 || e.Errors != 0 || e.Bound != 1 {
		t.Errorf("the journal says %+v, want 3 clean rounds", e)
	}
	for _, what := range []string{"requests acknowledged", "arrivals at gateways", "events stored", "messages stored", "records read by id"} {
		if e.Counts[what] == 0 {
			t.Errorf("%s: none, so nothing was tried", what)
		}
	}
	if e.Counts["kills"] < 3 || e.Counts["starts"] != e.Counts["kills"]+3 {
		t.Errorf("%d kills in %d starts, want one start more in each round", e.Counts["kills"], e.Counts["starts"])
	}
}

// rounds is a mode that is made of what its rounds come to, by number.
type rounds []func(r *round) error

func (rounds) flags(*pflag.FlagSet) {}

func (m rounds) round(_ context.Context, r *round) error { return m[r.number](r) }

// elsewhere is a mode that cannot run here.
type elsewhere struct{ rounds }

func (elsewhere) require() error { return errors.New("it needs the moon") }

// What a round comes to is counted, shown and kept; one that could not be carried
// out is neither clean nor broken.
func TestRounds(t *testing.T) {
	t.Parallel()
	clean := func(r *round) error {
		r.count(requestsAcknowledged, 1)
		r.count("kills", 2)
		r.peak("slowest, ms", int64(7+r.number))
		return nil
	}
	idle := func(*round) error { return nil }
	broken := func(r *round) error { r.violate("lost %d", r.number); return nil }
	ends := func(r *round) error { r.violate("does not start"); return errBroken }
	unready := func(*round) error { return errors.New("no space") }
	for name, c := range map[string]struct {
		mode     mode
		only     int
		kept     int // directories
		says     []string
		err      string // "" for none
		rounds   int
		failures []int
	}{
		"clean":       {rounds{clean, clean}, -1, 0, []string{"kills                          4", "slowest, ms                    8", "less often than 1 (95 %)"}, "", 2, nil},
		"broken":      {rounds{clean, broken, ends}, -1, 2, []string{"BROKEN: round 1: lost 1", "again: torture test --seed=5 --round=1"}, "broken in 2 of 3 rounds: [1 2]", 3, []int{1, 2}},
		"not carried": {rounds{clean, unready}, -1, 1, []string{"could not be carried out: no space"}, "1 rounds could not be carried out", 1, nil},
		"nothing":     {rounds{clean, idle}, -1, 1, []string{"could not be carried out: nothing was acknowledged"}, "1 rounds could not be carried out", 1, nil},
		"only one":    {rounds{broken, clean}, 1, 0, nil, "", 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var said bytes.Buffer
			dir := t.TempDir()
			journal := filepath.Join(t.TempDir(), "journal")
			m := named{name: "test", rounds: reflect.ValueOf(c.mode).Len(), limit: time.Minute, mode: c.mode}
			o := options{binary: binary(t), dir: dir, seed: 5, only: c.only, parallel: 1, journal: journal, out: &said, log: &said}
			err := run(t.Context(), m, o, pflag.NewFlagSet("", pflag.ContinueOnError))
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("run() = %v, want an error with %q", err, c.err)
			}
			for _, want := range c.says {
				if !strings.Contains(said.String(), want) {
					t.Errorf("it said\n%s\nwant %q", said.String(), want)
				}
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != c.kept {
				t.Errorf("%d directories are kept (%v), want %d", len(left), err, c.kept)
			}
			var e entry
			b, err := os.ReadFile(journal)
			if err := errors.Join(err, json.Unmarshal(b, &e)); err != nil {
				t.Fatal(err)
			}
			if e.Rounds != c.rounds || fmt.Sprint(e.Failures) != fmt.Sprint(c.failures) {
				t.Errorf("the journal says %+v, want %d rounds and %v broken", e, c.rounds, c.failures)
			}
		})
	}
}

// A mode that cannot run here is an error unless it may be skipped.
func TestSkipped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		allowed []string
		says    string // "" for no error
	}{
		{[]string{"other", "test"}, ""},
		{nil, "it was skipped: it needs the moon; --may-skip test allows that"},
		{[]string{"other"}, "it was skipped"},
	} {
		var out bytes.Buffer
		m := named{name: "test", rounds: 1, mode: elsewhere{}}
		o := options{binary: binary(t), parallel: 1, maySkip: c.allowed, out: &out, log: io.Discard}
		err := run(t.Context(), m, o, pflag.NewFlagSet("", pflag.ContinueOnError))
		if want := "test: SKIPPED: it needs the moon\n"; (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) || out.String() != want {
			t.Errorf("allowed to skip %q: run() = %v and said %q, want %q and %q", c.allowed, err, out.String(), c.says, want)
		}
	}
	err := execute(t.Context(), []string{"ledger", "--may-skip", "power,no-such-mode", "journal"}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), `no mode "no-such-mode"`) {
		t.Errorf("--may-skip no-such-mode: %v", err)
	}
}

// An interrupt ends a run, which says so.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	m := named{name: "test", rounds: 3, limit: time.Minute, mode: rounds{func(*round) error {
		cancel()
		return nil
	}, nil, nil}}
	err := run(ctx, m, options{binary: binary(t), dir: dir, only: -1, parallel: 1, out: io.Discard, log: io.Discard}, pflag.NewFlagSet("", pflag.ContinueOnError))
	if left, _ := os.ReadDir(dir); !errors.Is(err, context.Canceled) || len(left) != 0 {
		t.Errorf("run() = %v and left %d directories, want that it was cancelled and nothing", err, len(left))
	}
}

// A program that runs when its round should be over hangs, unless the machine gave
// nobody a turn; a round that waits for something else says nothing.
func TestHung(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mode mode
		says string // "" for nothing broken
	}{
		"program":   {programs(1), "the program hangs: its round has not ended within 1.5s"},
		"something": {programs(0), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := named{name: "test", rounds: 1, limit: 1500 * time.Millisecond, mode: c.mode}
			var out bytes.Buffer
			o := options{binary: binary(t), dir: t.TempDir(), only: -1, parallel: 1, out: &out, log: &out}
			l, err := conduct(t.Context(), m, o, pflag.NewFlagSet("", pflag.ContinueOnError))
			if err == nil || c.says == "" && l.tally.errors != 1 || c.says != "" && len(l.tally.failed) != 1 || !strings.Contains(out.String(), c.says) {
				t.Errorf("conduct() = %+v, %v; it said\n%s\nwant %q", l.tally, err, out.String(), c.says)
			}
		})
	}
	r := &round{log: func(string) {}}
	r.hung(time.Minute, time.Minute/5)
	if found := r.found(); len(found) > 0 {
		t.Errorf("on a machine that gave nobody a turn it found %q", found)
	}
}

// programs is a mode that starts some and waits for ever.
type programs int

func (programs) flags(*pflag.FlagSet) {}

func (n programs) round(ctx context.Context, r *round) error {
	s, err := newSystem(ctx, r, draw(r.rand))
	if err != nil {
		return err
	}
	for range n {
		if _, err := s.start(ctx); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// A round is its seed and its number, and nothing else.
func TestRoundRepeats(t *testing.T) {
	t.Parallel()
	drawn := func(seed uint64, number int) string {
		s := &session{options: options{seed: seed, dir: t.TempDir()}}
		r, err := s.round(number)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(draw(r.rand), r.source(3).Uint64())
	}
	first := drawn(1, 2)
	if again := drawn(1, 2); again != first {
		t.Errorf("round 2 of seed 1 is %s, and again %s", first, again)
	}
	if first == drawn(1, 3) || first == drawn(2, 2) {
		t.Errorf("two rounds are alike: %s", first)
	}
}

// What is drawn is a configuration that the program takes.
func TestPlans(t *testing.T) {
	t.Parallel()
	s := &session{options: options{dir: t.TempDir(), seed: 1}}
	for number := range 50 {
		r, err := s.round(number)
		if err != nil {
			t.Fatal(err)
		}
		hidden, err := newSecrets(r)
		if err != nil {
			t.Fatal(err)
		}
		p := draw(r.rand)
		program, err := rig.NewProgram("", r.dir, p.configuration("http://127.0.0.1:1", hidden))
		if err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(config.Options{File: program.File(), Environ: hidden.environ()})
		if err != nil {
			t.Fatalf("%v: %v", p, err)
		}
		if c.Delivery.Interval != p.Interval || c.Delivery.MaxAttempts != p.Attempts || len(c.Gateways) != len(kinds()) {
			t.Errorf("%v gives the configuration %+v", p, c)
		}
	}
}

// A secret is found wherever it is shown, and each place is named once.
func TestSecrets(t *testing.T) {
	t.Parallel()
	s, err := newSecrets(&round{dir: t.TempDir(), seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.heard("/api/v1/messages", rig.Answer{Body: []byte(s.text)}) // where it belongs
	for range 2 {
		s.logged([]byte("x " + s.header + " y " + s.text))
		s.heard("/metrics?a=b", rig.Answer{Header: map[string][]string{"X": {s.token}}, Body: []byte(s.url)})
	}
	want := []string{
		s.header + " is shown in the log", s.text + " is shown in the log",
		s.url + " is shown in the answer to /metrics", s.token + " is shown in the header X of /metrics",
	}
	if !reflect.DeepEqual(s.seen(), want) {
		t.Errorf("seen() = %q, want %q", s.seen(), want)
	}
}
