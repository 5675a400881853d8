// Command scenario measures the figures that ARCHITECTURE.md states, and kills
// and stops the program at moments of its choice.
//
// It drives the program as it is shipped: a child process with a configuration
// of its own, in a directory of its own, on loopback. The gateways that the
// program sends to are here, and so is the client that sends to the program:
// the times of one message are all read from one clock. Every scenario has the
// figures' full size unless flags say less.
//
//	lab.go       what scenarios share: where, with which program, for which report
//	fill.go      messages by the million
//	gateways.go  outside APIs that count
//	journal.go   when messages were sent, due and started
//	ledger.go    what a gateway may see of a message, and what it saw
//
// Each scenario is in the file of its name. The program as a child process, and
// ports to talk to it, are package rig's.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "scenario:", err)
		os.Exit(1)
	}
}

// scenario is one measurement. Its fields are its size: flags declares them, with
// the full size as the default, and run measures.
type scenario interface {
	flags(*pflag.FlagSet)
	run(context.Context, *lab) error
}

// named is a scenario on the command line.
type named struct {
	name  string
	short string
	scenario
}

// scenarios lists them in the order of `scenario all`, the quick ones first.
func scenarios() []named {
	return []named{
		{"lateness", "A healthy gateway without a backlog: from due to start", &lateness{}},
		{"kill", "SIGKILL at each point of an attempt: what a gateway sees", &kill{}},
		{"pause", "SIGSTOP and SIGCONT: nothing early, no burst", &pause{}},
		{"slow", "A healthy gateway beside one that answers slowly", &slow{}},
		{"dead", "A healthy gateway among thousands of dead ones", &dead{}},
		{"many", "Very many gateways with one message each", &many{}},
		{"backlog", "Millions of messages waiting: memory, and a start after kill -9", &backlog{}},
		{"retention", "Millions of messages delivered and out of date: disk space", &retention{}},
	}
}

// execute runs one command line.
func execute(ctx context.Context, args []string, out, errs io.Writer) error {
	l := &lab{report: &report{}, log: errs}
	var markdown string
	root := &cobra.Command{
		Use:           "scenario",
		Short:         "Measure the figures that Postrider promises",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().StringVar(&l.binary, "binary", "bin/postrider", "program to measure")
	root.PersistentFlags().StringVar(&l.parent, "dir", os.TempDir(), "directory to make stores in; they are removed at the end")
	root.PersistentFlags().StringVar(&markdown, "markdown", "", "file to write the table to as Markdown")
	measure := func(ctx context.Context, all ...named) error {
		if err := l.prepare(ctx); err != nil {
			return err
		}
		return errors.Join(l.measure(ctx, all), l.finish(out, markdown))
	}
	for _, s := range scenarios() {
		c := &cobra.Command{Use: s.name, Short: s.short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			if err := checkSizes(c.LocalNonPersistentFlags()); err != nil {
				return err
			}
			return measure(c.Context(), s)
		}}
		s.flags(c.Flags())
		root.AddCommand(c)
	}
	root.AddCommand(&cobra.Command{Use: "all", Short: "All of them at full size, one after another", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		all := scenarios()
		for _, s := range all {
			s.flags(pflag.NewFlagSet(s.name, pflag.ContinueOnError)) // sets the defaults
		}
		return measure(c.Context(), all...)
	}}, manyTreeCommand())
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	return root.ExecuteContext(ctx)
}

// checkSizes refuses what nothing can be measured with. What flags say of a size
// is a number, a list of numbers or a time.
func checkSizes(flags *pflag.FlagSet) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		for part := range strings.SplitSeq(strings.Trim(f.Value.String(), "[]"), ",") {
			if strings.HasPrefix(part, "-") || strings.Trim(part, "0.smh") == "" {
				errs = append(errs, fmt.Errorf("--%s: expected more than 0", f.Name))
				return
			}
		}
	})
	return errors.Join(errs...)
}
