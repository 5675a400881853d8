package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// part is a mode in a pass, with options as they stand on a command line.
type part struct {
	mode     string
	rounds   int
	parallel int // rounds at once, on two cores
	options  string
}

// allPasses are which rounds are run together. The short one is for every change: it
// needs no root and takes less than four minutes on two cores. The long one is what
// docs/reliability.md publishes.
func allPasses() map[string][]part {
	return map[string][]part{
		"short": {
			{"kill", 12, 2, "--latest=1500ms"},
			{"sync-kill", 12, 2, ""},
			{"sync-error", 12, 2, ""},
			{"pause", 4, 4, "--longest=4s"},
			{"damage", 3, 2, ""},
			{"start", 6, 3, ""},
			{"restore", 3, 3, "--backups=1"},
			{"intake", 1, 1, "--connections=300 --slow=2s --bodies=5000 --health=1s"},
			{"gateway", 1, 1, "--messages=5"},
			{"soak", 1, 1, "--duration=35s --every=12s"},
		},
		"long": {
			{"kill", 500, 3, ""},
			{"sync-kill", 200, 3, ""},
			{"sync-error", 100, 3, ""},
			{"power", 200, 6, ""},
			{"full-disk", 40, 6, ""},
			{"damage", 50, 3, ""},
			{"start", 300, 3, ""},
			{"pause", 50, 10, ""},
			{"restore", 50, 3, ""},
			{"intake", 1, 1, ""},
			{"gateway", 1, 1, ""},
			{"soak", 1, 1, ""},
		},
	}
}

// withControls is the pass after which the controls are run.
const withControls = "long"

func passCommand(o *options) *cobra.Command {
	name := "short"
	c := &cobra.Command{Use: "all", Short: "Run a pass of modes, one after the other", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		parts, ok := allPasses()[name]
		if !ok || o.only >= 0 {
			return errors.New("--pass: expected short or long, without --round")
		}
		if c.Flags().Changed("parallel") {
			for i := range parts {
				parts[i].parallel = o.parallel
			}
		}
		err := runPass(c.Context(), name, parts, *o)
		if name == withControls && c.Context().Err() == nil {
			err = errors.Join(err, runControls(c.Context(), *o))
		}
		return err
	}}
	c.Flags().StringVar(&name, "pass", name, "short or long")
	return c
}

// runPass runs all parts whatever they come to, and prints one table.
func runPass(ctx context.Context, name string, parts []part, o options) error {
	began := time.Now()
	var lines []line
	var errs []error
	for _, p := range parts {
		if ctx.Err() != nil {
			break
		}
		l, err := p.run(ctx, o)
		lines = append(lines, l)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.mode, err))
		}
	}
	errs = append(errs, context.Cause(ctx), printLines(o.out, lines))
	_, err := fmt.Fprintf(o.out, "\nthe %s pass took %s\n", name, rig.Span(time.Since(began)))
	return errors.Join(append(errs, err)...)
}

func (p part) run(ctx context.Context, o options) (line, error) {
	all := modes() // new ones, whose options are at their defaults
	i := slices.IndexFunc(all, func(m named) bool { return m.name == p.mode })
	if i < 0 {
		return line{mode: p.mode}, errors.New("there is no such mode")
	}
	m := all[i]
	flags := pflag.NewFlagSet(p.mode, pflag.ContinueOnError)
	m.flags(flags)
	if err := flags.Parse(strings.Fields(p.options)); err != nil {
		return line{mode: p.mode}, err
	}
	m.rounds, o.parallel = p.rounds, p.parallel
	return conduct(ctx, m, o, flags)
}

// line is what a mode came to, in the table of a pass.
type line struct {
	mode    string
	options []string
	skipped error // why it was
	tally   tally
	red     string // of a control, the violation that it was made for
	took    time.Duration
}

func printLines(w io.Writer, lines []line) error {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintf(table, "\nmode\trounds\tbroken\tnot carried out\ttook\toptions\n") // Flush reports
	for _, l := range lines {
		if l.skipped != nil {
			_, _ = fmt.Fprintf(table, "%s\tSKIPPED: %v\n", l.mode, l.skipped)
			continue
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", l.mode, rig.Count(l.tally.carried), rig.Count(len(l.tally.failed)),
			rig.Count(l.tally.errors), rig.Span(l.took), strings.Join(l.options, " "))
	}
	return table.Flush()
}
