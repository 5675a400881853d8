// Command torture breaks the program, the disk below it and the gateways beyond
// it, and looks for an acknowledged record that is lost and for any other promise
// that is not kept.
//
// It drives the program as it is shipped, as a child process on loopback, and
// knows of it only what clients were told, what gateways saw and what the program
// itself says in the end. Every mode is a sub-command and runs rounds. All that
// chance decides in a round comes from the seed and the round's number, both of
// which are printed, so a round can be repeated.
//
//	rounds.go    runs rounds of a mode, and what a round has
//	tally.go     what they came to: a table, and a line of a journal
//	passes.go    which rounds of which modes belong together
//	publish.go   journals as a table for people
//	plan.go      what is drawn for a round: limits of the program, kinds of load
//	system.go    the program with its gateways and clients, from the first start to the verdict
//	load.go      clients that send, repeat, and note what they were told
//	ledger.go    their notes on disk, there before an acknowledgement counts
//	gateways.go  outside APIs that note what arrives
//	read.go      what is stored in the end
//	secrets.go   canaries in the configuration, and who looks for them
//	flushes.go   the program's flushes, each held until its fate is decided
//	volume.go    a file system of its own for a round
//	oracle.go    the promises, each as a check of what is known
//	wire.go      connections on which bytes are written as they are
//	pulse.go     how soon /healthz is answered, meanwhile
//	machine.go   how busy others keep the processors
//	forge.go     bad requests, each with the answer that it must get
//	choice.go    a flag that is one of some words
//	follow.go    the same promises for a round of hours, while it runs: what clients know
//	sweep.go     and what the lists and the gateways say
//	gauge.go     what the program takes over time
//	trouble.go   operators, bad clients, a gateway that comes and goes
//	spoil.go     what can happen to the files of a store
//	controls.go  programs that break a promise, which a mode must find out
//	culprits.go  what each of them breaks, and how that shows
//
//	hostile.go       a gateway on a socket that misbehaves
//	behaviours.go    all the ways in which it does, and what must come of each
//	certificates.go  those of secure gateways, good and bad
//
// Each mode is in the file of its name, the attacks of intake in files that begin
// with it.
package main

import (
	"context"
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
	if len(os.Args) > 1 && os.Args[1] == tapCommand {
		exitTapped()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(1)
	}
}

// mode is one way to break things. Its fields are its options, which flags
// declares; they do not change while rounds run, several of them at once.
type mode interface {
	flags(*pflag.FlagSet)
	// round runs one round. What it finds broken it tells the round; its error says
	// that the round could not be carried out, and nothing about the program. That a
	// program does not do in time what it must is broken, too.
	round(context.Context, *round) error
}

// requirer is a mode that cannot run everywhere.
type requirer interface {
	// require returns why it cannot run here, or nil.
	require() error
}

// named is a mode on the command line.
type named struct {
	name   string
	short  string
	rounds int           // unless the command line says otherwise
	limit  time.Duration // of one round, beyond which a program that still runs hangs
	mode
}

func modes() []named {
	return []named{
		{"kill", "SIGKILL under mixed load, and again while it recovers", 500, 3 * time.Minute, &kill{}},
		{"sync-kill", "SIGKILL at the k-th msync, k = 1 to 200", 200, 3 * time.Minute, &syncKill{}},
		{"sync-error", "EIO from the k-th flush of any part of the store", 100, 3 * time.Minute, &syncError{}},
		{"gateway", "gateways that misbehave in every way, for ever and at first", 1, 15 * time.Minute, &gateway{}},
		{"pause", "SIGSTOP at random phases, and SIGCONT", 50, 10 * time.Minute, &pause{}},
		{"start", "two programs for one directory; asked to end at any moment, and twice", 300, 3 * time.Minute, &start{}},
		{"restore", "backups under load, each restored elsewhere", 50, 3 * time.Minute, &restore{}},
		{"intake", "the hostile client: slow, too much, cut short, misread, malformed", 1, 15 * time.Minute, &intake{}},
		{"soak", "hours of load, faults and kills, in which nothing may be lost or grow", 1, 48 * time.Hour, &soak{}},
		{"power", "the power of the disk is cut under mixed load, and again during recovery", 200, 3 * time.Minute, &power{}},
		{"full-disk", "the disk is filled by load, and by a foreign file at once", 40, 8 * time.Minute, &fullDisk{}},
		{"damage", "files of the store truncated, changed, swapped, deleted, put back; 10 copies in each round", 50, 5 * time.Minute, &damage{}},
	}
}

// execute runs one command line.
func execute(ctx context.Context, args []string, out, errs io.Writer) error {
	root := &cobra.Command{
		Use:           "torture",
		Short:         "Look for a promise of Postrider that breaks",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	o := options{out: out, log: errs}
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return o.checkSkips() }
	root.PersistentFlags().StringVar(&o.binary, "binary", "bin/postrider", "program to torture")
	root.PersistentFlags().StringVar(&o.dir, "dir", os.TempDir(), "directory to make the rounds' directories in")
	root.PersistentFlags().Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "what chance is drawn from")
	root.PersistentFlags().IntVar(&o.only, "round", -1, "run the round of this number and no other")
	root.PersistentFlags().IntVar(&o.parallel, "parallel", 1, "rounds at once")
	root.PersistentFlags().BoolVar(&o.keep, "keep", false, "keep the directories of clean rounds too")
	root.PersistentFlags().StringVar(&o.journal, "journal", "", "file to append one line of JSON to when the run has ended")
	root.PersistentFlags().StringVar(&o.control, "control", "", "build and torture a program that breaks a promise, which must be found out")
	root.PersistentFlags().StringVar(&o.source, "source", ".", "directory of the program's source, for controls")
	root.PersistentFlags().StringSliceVar(&o.maySkip, "may-skip", nil, "modes that are no error when they cannot run here, such as power,full-disk")
	root.AddCommand(controlsCommand(&o))
	for _, m := range modes() {
		c := &cobra.Command{Use: m.name, Short: m.short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			return run(c.Context(), m, o, c.LocalNonPersistentFlags())
		}}
		c.Flags().IntVar(&m.rounds, "rounds", m.rounds, "how many rounds")
		m.flags(c.Flags())
		root.AddCommand(c)
	}
	root.AddCommand(passCommand(&o), ledgerCommand())
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	return root.ExecuteContext(ctx)
}
