// Command versus measures the program side by side with others that do the same
// work with the same durability, and with what the machine allows.
//
// Machines are noisy, so figures of different runs say nothing about each other:
// what counts is ratios of one run. Contestants have their turns one after the
// other, each alone on the machine with the same client, in rounds; ratios are
// made round by round, and the table has their medians.
//
// Everything runs on loopback, in processes of its own and in a directory that is
// removed at the end. The program is the one that is shipped, driven over HTTP.
// Its peers stand behind one front (front.go), which reads requests as strictly
// and with the same libraries.
//
//	contestant.go  what a contestant is, and the list; each is in the file of its name
//	front.go       the HTTP side of peers
//	lab.go         a run; a turn of one contestant
//	measure.go     what is measured in a turn; rounds
//	compare.go     who is measured in what, and the figures to reach
//	growth.go      a full store and an empty one
//	steady.go      minute after minute
//	driver.go      the client: a process that makes load and has the sink
//	openloop.go    load at a rate
//	process.go     children that end with us
//	profile.go     profiles of the program while it is measured
//	report.go      the table
//
// It is a module of its own, so that no peer is a dependency of the program.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := execute(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "versus:", err)
		os.Exit(1)
	}
}

// execute runs one command line.
func execute(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) error {
	g, s := &growth{}, &steady{}
	root := measuring(out, errs, "versus", "Compare with all peers that are installed", compare(comparison), func(o *options, f *pflag.FlagSet) {
		o.declareRounds(f, 5, 4*time.Second)
		o.declarePeers(f)
	})
	root.AddCommand(
		measuring(out, errs, "bench", "Compare with what needs no server, in less than three minutes", compare(alone), func(o *options, f *pflag.FlagSet) {
			o.declareRounds(f, 7, time.Second)
			o.declarePeers(f)
		}),
		measuring(out, errs, "growth", "Measure with a full store and with an empty one", g.run, func(o *options, f *pflag.FlagSet) {
			o.declareRounds(f, 5, 4*time.Second)
			g.declare(f)
		}),
		measuring(out, errs, "steady", "Measure intake without a rest, part by part", s.run, func(_ *options, f *pflag.FlagSet) { s.declare(f) }),
	)
	root.AddCommand(children(in, out, errs)...)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	return root.ExecuteContext(ctx)
}

// measuring is a command that measures and prints a table, also of a run that came
// to grief in the middle.
func measuring(out, errs io.Writer, name, short string, run func(context.Context, *lab) error, more func(*options, *pflag.FlagSet)) *cobra.Command {
	var o options
	c := &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		l, err := o.open(c.Context(), errs)
		if err != nil {
			return err
		}
		began := time.Now()
		err = run(c.Context(), l)
		l.say("ended after %v", time.Since(began).Round(time.Second))
		return errors.Join(err, l.finish(out, name), l.close())
	}}
	o.declare(c.Flags())
	more(&o, c.Flags())
	return c
}

// children are the commands of the processes that a run consists of.
func children(in io.Reader, out, errs io.Writer) []*cobra.Command {
	var at site
	var server, as string
	child := func(use string, args cobra.PositionalArgs, run func(ctx context.Context, args []string) error) *cobra.Command {
		c := &cobra.Command{Use: use, Hidden: true, Args: args, RunE: func(c *cobra.Command, args []string) error { return run(c.Context(), args) }}
		c.Flags().StringVar(&at.dir, "dir", "", "")
		c.Flags().StringVar(&at.sink, "sink", "", "")
		c.Flags().IntVar(&at.workers, "workers", 1, "")
		c.Flags().IntVar(&at.pool, "pool", 1, "")
		c.Flags().StringVar(&server, "server", "", "")
		c.Flags().StringVar(&as, "user", "", "")
		return c
	}
	return []*cobra.Command{
		child("driver", cobra.NoArgs, func(ctx context.Context, _ []string) error { return drive(ctx, in, out) }),
		child("front NAME", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
			return serveFront(ctx, in, out, args[0], at, server)
		}),
		child("loop NAME", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
			return serveLoop(ctx, in, out, args[0], at)
		}),
		child("nats", cobra.NoArgs, func(ctx context.Context, _ []string) error { return serveNATS(ctx, in, out, at.dir) }),
		child("keep COMMAND", cobra.MinimumNArgs(1), func(ctx context.Context, args []string) error {
			return keep(ctx, in, out, errs, keepOptions{line: args, dir: at.dir, user: as})
		}),
	}
}
