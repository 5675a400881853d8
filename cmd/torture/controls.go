package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// culprit is a program that does not keep one promise: the one we ship without
// the line that keeps it. A mode that finds nothing wrong with it is worthless.
type culprit struct {
	name    string
	without string   // what the program does not do
	modes   []string // that must find it out, in a few rounds each
	// shows are texts of which a violation must have one: a program that breaks in
	// another way than it was made to says nothing about the check.
	shows   []string
	changes []change
}

// change replaces a text of one of the program's files, which has it once.
type change struct{ file, was, is string }

func controls() []culprit {
	return []culprit{
		{
			name: "no-sync", without: "flush what it writes", modes: []string{"power"},
			shows:   []string{"was acknowledged", "exit code 4"},
			changes: []change{{"data/badger/store.go", "WithSyncWrites(true)", "WithSyncWrites(false)"}},
		},
		{
			name: "hasty", without: "wait for the commit with its answer", modes: []string{"kill"},
			shows: []string{"was acknowledged"},
			changes: []change{
				{"data/batch.go", "// Empty reports whether", "// Hasty answers.\nvar Hasty = func() {}\n\n// Empty reports whether"},
				{"actors/persister/persister.go", "err := a.apply()", "data.Hasty = func() { a.group.answer(nil) }\n\terr := a.apply()"},
				{"actors/persister/persister.go", "\ta.group.answer(err)\n\ta.failed = err\n", "\ta.failed = err\n"},
				// The pause makes a few rounds enough.
				{"data/badger/transaction.go", "start := time.Now()", "start := time.Now()\n\tdata.Hasty()\n\tdata.Hasty = func() {}\n\ttime.Sleep(10 * time.Millisecond)"},
			},
		},
		{
			name: "uncounted", without: "count an attempt that a crash cut off", modes: []string{"kill"},
			shows: []string{" arrived as attempt "},
			changes: []change{{
				"data/badger/recovery.go", "f.CutOff(l.gateway, s.opened, data.CauseCutOff)",
				"&data.Settle{Gateway: l.gateway, ID: f.ID, Number: f.Number, Ended: s.opened, Result: data.Result{Outcome: data.OutcomeWithdrawn}}",
			}},
		},
		{
			name: "early", without: "wait between two attempts", modes: []string{"kill"},
			shows:   []string{"after the end of"},
			changes: []change{{"data/attempt.go", "Next{State: Waiting, Due: a.Ended.Add(p.pause(a))}", "Next{State: Waiting, Due: a.Ended}"}},
		},
		{
			name: "repeated", without: "look up an idempotency key", modes: []string{"kill"},
			shows: []string{"are the same record", "repeated with its key"},
			changes: []change{{
				"data/badger/saves.go", "known, found, err := readAnswered(t.txn, o.Key.Key)",
				"known, found, err := readAnswered(t.txn, o.Key.Key)\n\tfound = false",
			}},
		},
		{
			name: "uncompared", without: "compare what is stored with the number of the last commit", modes: []string{"damage"},
			shows:   []string{"was acknowledged"},
			changes: []change{{"data/badger/recovery.go", "if loss != nil && !s.options.AcceptLoss {", "if loss != nil && s.options.Path == \"\" {"}},
		},
		{
			name: "unchecked", without: "compare checksums", modes: []string{"damage"},
			shows: []string{"was acknowledged", "which nobody sent", "panicked"},
			changes: []change{
				{"data/badger/record.go", "binary.BigEndian.Uint32(value[1:]) != checksum(key, value)", "len(key) == 0"},
				{"data/badger/tables.go", "if !ok || crc32.Checksum(block, castagnoli) != sum {", "if _ = sum; !ok || len(block) == 0 {"},
				{"data/badger/store.go", "options.OnBlockRead", "options.NoVerification"},
			},
		},
		{
			name: "unheard", without: "hear of a block that changes while the store is open", modes: []string{"damage"},
			shows:   []string{"was acknowledged", "is stored with"},
			changes: []change{{"data/badger/rot.go", "mismatches.Add(1)", "mismatches.Add(0)"}},
		},
	}
}

func controlOf(name string) (culprit, error) {
	all := controls()
	i := slices.IndexFunc(all, func(c culprit) bool { return c.name == name })
	if i < 0 {
		names := make([]string, len(all))
		for i, c := range all {
			names[i] = c.name
		}
		return culprit{}, fmt.Errorf("--control: there is no %q, there are: %s", name, strings.Join(names, ", "))
	}
	return all[i], nil
}

// build makes the program in a directory, from the source of the one we ship.
func (c culprit) build(ctx context.Context, source, dir string) (binary string, err error) {
	files, err := c.alter(source, dir)
	if err != nil {
		return "", fmt.Errorf("build control %s: %w", c.name, err)
	}
	b, err := json.Marshal(map[string]any{"Replace": files})
	if err != nil {
		return "", err
	}
	overlay, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "postrider")
	if err := os.WriteFile(overlay, b, 0o600); err != nil {
		return "", err
	}
	build := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-ldflags", "-X main.version=control-"+c.name, "-o", binary, "./cmd/postrider")
	build.Dir = source
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build control %s: %w\n%s", c.name, err, out)
	}
	return binary, nil
}

// alter writes the files that differ into a directory and returns which they
// stand for.
func (c culprit) alter(source, dir string) (files map[string]string, err error) {
	if source, err = filepath.Abs(source); err != nil {
		return nil, err
	}
	files = map[string]string{}
	for i, change := range c.changes {
		path := filepath.Join(source, change.file)
		from := path
		if files[path] != "" {
			from = files[path]
		}
		b, err := os.ReadFile(from)
		if err != nil {
			return nil, fmt.Errorf("%w; --source is where the program's source is", err)
		}
		if n := strings.Count(string(b), change.was); n != 1 {
			return nil, fmt.Errorf("%s has %q %d times, want once: controls follow the program", change.file, change.was, n)
		}
		files[path] = filepath.Join(dir, fmt.Sprintf("%d-%s", i, filepath.Base(path)))
		if err := os.WriteFile(files[path], []byte(strings.Replace(string(b), change.was, change.is, 1)), 0o600); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// red returns the first violation that is what the control was made to show, or "".
func (c culprit) red(found []string) string {
	for _, v := range found {
		if slices.ContainsFunc(c.shows, func(text string) bool { return strings.Contains(v, text) }) {
			return v
		}
	}
	return ""
}

// controlsCommand runs every control in each mode that must find it out.
func controlsCommand(o *options) *cobra.Command {
	rounds := 20
	c := &cobra.Command{
		Use:   "controls",
		Short: "Run programs that break a promise each, which the modes must find out",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return runControls(c.Context(), *o, rounds) },
	}
	c.Flags().IntVar(&rounds, "rounds", rounds, "rounds at most until a control must be red")
	return c
}

// runControls prints what the controls came to. One that stays green, or cannot
// be run for another reason than the machine, is an error.
func runControls(ctx context.Context, o options, rounds int) error {
	table := tabwriter.NewWriter(o.out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(table, "control\tdoes not\tmode\trounds\tverdict\t") // Flush reports
	out := o.out
	o.out = io.Discard // the tables of the modes
	var errs []error
	for _, c := range controls() {
		for _, name := range c.modes {
			o.control = c.name
			l, err := part{mode: name, rounds: rounds, parallel: o.parallel}.run(ctx, o)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			verdict := "red: " + first(l.red)
			switch {
			case l.skipped != nil:
				verdict = "SKIPPED: " + l.skipped.Error()
			case err != nil:
				verdict = "NOT RED"
				errs = append(errs, fmt.Errorf("control %s, mode %s: %w", c.name, name, err))
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t\n", c.name, c.without, name, rig.Count(l.tally.carried), verdict)
		}
	}
	_, _ = fmt.Fprintln(out)
	return errors.Join(table.Flush(), errors.Join(errs...))
}

// first is the beginning of a violation.
func first(text string) string {
	const most = 120
	text, _, _ = strings.Cut(text, "\n")
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
