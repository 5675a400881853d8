package main

import (
	"cmp"
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
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// culprit is a program that does not keep one promise: the one we ship without
// the line that keeps it. A mode that finds nothing wrong with it is worthless.
// culprits.go has all of them.
type culprit struct {
	name    string
	without string // what the program does not do
	trials  []part // in which it must be found out; rounds are so many at most, and 0 is for mostRounds
	// shows are the checks that must each find it out, in whatever round: a program
	// that breaks in another way than it was made to says nothing about them.
	shows   []symptom
	changes []change

	seen map[int]string // the first violation of each symptom
}

// symptom is a check of a mode, as texts of which a violation that it finds has one.
type symptom []string

// of returns the part of a violation that shows the symptom, or "".
func (s symptom) of(violation string) string {
	const before, most = 80, 200
	for _, text := range s {
		at := strings.Index(violation, text)
		if at < 0 {
			continue
		}
		from := 1 + strings.LastIndexByte(violation[:at], '\n')
		line, _, _ := strings.Cut(violation[from:], "\n")
		runes := []rune(line)
		skip := max(0, utf8.RuneCountInString(line[:at-from])-before)
		shown := string(runes[skip:min(skip+most, len(runes))])
		if skip > 0 {
			shown = "…" + shown
		}
		if skip+most < len(runes) {
			shown += "…"
		}
		return shown
	}
	return ""
}

// mostRounds is how many rounds of a mode a control has to turn red.
const mostRounds = 20

// change replaces a text of one of the program's files, which has it once.
type change struct{ file, was, is string }

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

// red takes what a round has found. When all that the control was made to show has
// been seen, in this round or those before, it returns that, and "" until then.
func (c *culprit) red(found []string) string {
	if c.seen == nil {
		c.seen = map[int]string{}
	}
	all := make([]string, len(c.shows))
	for i, s := range c.shows {
		for _, violation := range found {
			if shown := s.of(violation); shown != "" && c.seen[i] == "" {
				c.seen[i] = shown
			}
		}
		all[i] = c.seen[i]
	}
	if len(c.seen) < len(c.shows) {
		return ""
	}
	return strings.Join(all, "; ")
}

// controlsCommand runs every control in each mode that must find it out.
func controlsCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "controls",
		Short: "Run programs that break a promise each, all or --control, which the modes must find out",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return runControls(c.Context(), *o) },
	}
}

// runControls prints what the controls came to. One that stays green, or was skipped
// without leave, is an error.
func runControls(ctx context.Context, o options) error {
	all := controls()
	if o.control != "" {
		c, err := controlOf(o.control)
		if err != nil {
			return err
		}
		all = []culprit{c}
	}
	table := tabwriter.NewWriter(o.out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(table, "\ncontrol\tdoes not\tmode\trounds\ttook\tverdict\t") // Flush reports
	o.out = io.Discard                                                               // the tables of the modes
	var errs []error
	for _, c := range all {
		for _, p := range c.trials {
			o.control = c.name
			p.rounds, p.parallel = cmp.Or(p.rounds, mostRounds), cmp.Or(p.parallel, o.parallel)
			l, err := p.run(ctx, o)
			if ctx.Err() != nil {
				return errors.Join(context.Cause(ctx), table.Flush())
			}
			verdict := "red: " + l.red
			switch {
			case l.skipped != nil:
				verdict = "SKIPPED: " + l.skipped.Error()
				if err != nil { // it may not be
					errs = append(errs, fmt.Errorf("control %s, mode %s: %w", c.name, p.mode, err))
				}
			case err != nil:
				verdict = "NOT RED"
				errs = append(errs, fmt.Errorf("control %s, mode %s: %w", c.name, p.mode, err))
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t\n", c.name, c.without, strings.TrimSpace(p.mode+" "+p.options), rig.Count(l.tally.carried), rig.Span(l.took), verdict)
		}
	}
	return errors.Join(table.Flush(), errors.Join(errs...))
}
