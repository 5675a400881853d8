package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// rootOnly are the modes that need root, so that the short pass is without them.
var rootOnly = []string{"power", "full-disk"}

// No mode is left out of a pass, and the options that a pass gives are some.
func TestPasses(t *testing.T) {
	t.Parallel()
	for name, parts := range allPasses() {
		for _, m := range modes() {
			there := slices.ContainsFunc(parts, func(p part) bool { return p.mode == m.name })
			if want := name == "long" || !slices.Contains(rootOnly, m.name); there != want {
				t.Errorf("mode %s is in the %s pass: %v, want %v", m.name, name, there, want)
			}
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		over := errors.New("it began")
		cancel(over)
		for _, p := range parts {
			o := options{only: -1, out: io.Discard, log: io.Discard}
			if l, err := p.run(ctx, o); l.skipped == nil && !errors.Is(err, context.Canceled) && !errors.Is(err, over) {
				t.Errorf("%s pass, %s %s: %v", name, p.mode, p.options, err)
			}
		}
	}
}

// A pass runs all of its parts, whatever they come to, and says in one table which
// was skipped.
func TestPass(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	parts := []part{{"no-such-mode", 1, 1, ""}, {"kill", 1, 1, "--latest=300ms"}, {"kill", 1, 1, "--no-such-option"}}
	o := options{binary: binary(t), dir: t.TempDir(), only: -1, seed: 3, out: &out, log: io.Discard}
	err := runPass(t.Context(), "test", parts, o)
	if err == nil || !strings.Contains(err.Error(), "no-such-mode: there is no such mode") || !strings.Contains(err.Error(), "unknown flag: --no-such-option") {
		t.Errorf("runPass() = %v, want both mistakes", err)
	}
	if said := out.String(); !strings.Contains(said, "the test pass took") || !strings.Contains(said, "--latest=300ms\n") {
		t.Errorf("it printed\n%s\nwant a line for kill", said)
	}
	out.Reset()
	_ = printLines(&out, []line{{mode: "power", skipped: errors.New("it needs root")}}) // into memory
	if !strings.Contains(out.String(), "power   SKIPPED: it needs root") {
		t.Errorf("it printed\n%s", out.String())
	}
}

// A ledger is what journals say, by mode and date, and takes its place in the
// document.
func TestLedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	journal := filepath.Join(dir, "journal")
	day := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, e := range []entry{
		{Mode: "soak", Date: day, Version: "postrider v1", Seed: 5, Options: []string{"--duration=24h0m0s"}, Rounds: 1, Bound: 1, Seconds: 86400},
		{Mode: "kill", Date: day.AddDate(0, 0, 1), Version: "postrider v1", Seed: 7, Rounds: 2000, Failures: []int{3, 9}, Errors: 1, Bound: 1, Seconds: 61.7},
		{Mode: "kill", Control: "early", Shown: "it is | late", Date: day, Version: "postrider v1", Seed: 6, Rounds: 3, Failures: []int{1}, Seconds: 2},
		{Mode: "kill", Date: day, Version: "postrider v1", Seed: 6, Rounds: 500, Bound: 0.006, Counts: map[string]int64{"requests acknowledged": 12345}, Seconds: 61.7},
	} {
		if err := appendTo(journal, e); err != nil {
			t.Fatal(err)
		}
	}
	document := filepath.Join(dir, "page.md")
	if err := os.WriteFile(document, []byte("before\n"+ledgerBegins+"\nold\n"+ledgerEnds+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err := errors.Join(execute(t.Context(), []string{"ledger", journal}, &out, io.Discard), execute(t.Context(), []string{"ledger", "--into", document, journal}, io.Discard, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(out.String(), "--:|\n")
	rows, ofControls, _ := strings.Cut(rows, "\n\n")
	want := "| kill | 500 | 0 | 0.006 | 12,345 |  | 6 | 2026-01-02 | v1 | 1m2s |\n" +
		"| kill | 2,000 | 2 (and 1 not carried out) | – | 0 |  | 7 | 2026-01-03 | v1 | 1m2s |\n" +
		"| soak | 1 | 0 | 1 | 0 | `--duration=24h0m0s` | 5 | 2026-01-02 | v1 | 24h0m0s |"
	wantOfControls := "| `early` | kill | 3 | 1, as it must | it is \\| late | 6 | 2026-01-02 | 2s |\n"
	if rows != want || !strings.HasSuffix(ofControls, "--:|\n"+wantOfControls) {
		t.Errorf("ledger printed\n%s\n\n%s\nwant\n%s\n\n%s", rows, ofControls, want, wantOfControls)
	}
	b, err := os.ReadFile(document)
	if err != nil || string(b) != "before\n"+ledgerBegins+"\n"+out.String()+ledgerEnds+"\nafter\n" {
		t.Errorf("the document is (%v)\n%s", err, b)
	}
}

// The page has a place for the ledger, with the columns that it has.
func TestReliabilityPage(t *testing.T) {
	t.Parallel()
	const page = "../../docs/reliability.md"
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, begins := strings.Cut(string(b), ledgerBegins+"\n")
	ledger, _, ends := strings.Cut(rest, ledgerEnds)
	if !begins || !ends || !strings.HasPrefix(ledger, markdown(nil)) {
		t.Errorf("%s has the ledger\n%s\nwant it to begin with\n%s", page, ledger, markdown(nil))
	}
	for _, m := range modes() {
		if !strings.Contains(string(b), "| `"+m.name+"` |") {
			t.Errorf("%s does not say what %s is", page, m.name)
		}
	}
}
