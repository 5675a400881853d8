// Command postrider takes events and messages over HTTP, has them on disk before
// it answers, and carries each message to its gateway.
//
// This file turns arguments and signals into one call and an error into an exit
// code; run.go is where the parts are joined.
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

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
)

// The exit codes are a contract, see README.md.
const (
	exitClean   = 0
	exitFailure = 1
	exitUsage   = 2
	exitInUse   = 3
	exitDamaged = 4
	exitNoSpace = 5
)

func main() {
	addProcessors()
	ctx, stop := untilSignal()
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// untilSignal returns a context that the first signal to end cancels. The second
// one ends the process at once.
func untilSignal() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		cancel(errSignal)
		<-signals
		fmt.Fprintln(os.Stderr, "postrider: second signal, ending at once; the next start settles what was under way")
		os.Exit(exitFailure)
	}()
	return ctx, func() { cancel(nil) }
}

// errSignal is why everything ends after a signal, in words for whoever sent it.
var errSignal error = interrupted{}

type interrupted struct{}

func (interrupted) Error() string { return "it was interrupted by a signal" }

func (interrupted) Unwrap() error { return context.Canceled }

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string, out, errs io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	strictDefaults(root)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitClean
	}
	code := exitCode(err)
	_, _ = fmt.Fprintf(errs, "postrider: %s\n", strings.TrimSpace(explain(err)))
	return code
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "postrider",
		Short:         "Durable events and messages, carried to any HTTP gateway",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		Version:       version,
	}
	root.SetVersionTemplate(build().text())
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		if wrong, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
			err = fmt.Errorf("--%s: %s", wrong.GetFlag().Name, valueOf(wrong.GetFlag()))
		}
		return usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(serveCommand(), propagateCommand(), configCommand(), keyCommand(),
		sendCommand(), statusCommand(), eventsCommand(), messagesCommand(), gatewaysCommand(), presetsCommand(),
		reloadCommand(), whoamiCommand(), healthCommand(), backupCommand(), restoreCommand(), versionCommand())
	return root
}

// strictDefaults has the commands that cobra adds refuse what they do not know, which
// they would answer with a help text and exit code 0. It makes them, so it comes when
// all else is set.
func strictDefaults(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = helpTopic
		case "completion":
			c.Args = func(_ *cobra.Command, args []string) error {
				if len(args) > 0 {
					return usageError{fmt.Errorf("there is no completion for %q; postrider completion --help lists the shells", args[0])}
				}
				return nil
			}
			c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		}
	}
}

// helpTopic takes the path of a command.
func helpTopic(c *cobra.Command, args []string) error {
	if _, left, err := c.Root().Find(args); err != nil || len(left) > 0 {
		return usageError{fmt.Errorf("there is no command %q; postrider --help lists them", strings.Join(args, " "))}
	}
	return nil
}

// valueOf says what a flag of ours takes, where the parser has words of its own only.
func valueOf(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "int":
		return "expected a whole number"
	case "bool":
		return "expected true or false"
	}
	return "expected another value"
}

// usageError is a mistake on the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitCode is the one place where an error becomes an exit code.
func exitCode(err error) int {
	_, mistakes := errors.AsType[config.Mistakes](err)
	_, usage := errors.AsType[usageError](err)
	switch {
	case mistakes, usage, errors.Is(err, data.ErrNoDirectory), strings.HasPrefix(err.Error(), "unknown command"):
		return exitUsage
	case errors.Is(err, data.ErrInUse):
		return exitInUse
	case errors.Is(err, data.ErrDamaged), errors.Is(err, data.ErrNewerFormat), errors.Is(err, data.ErrOlderFormat),
		errors.Is(err, data.ErrUnrestored), errors.Is(err, data.ErrBadBackup):
		return exitDamaged
	case errors.Is(err, data.ErrNoSpace):
		return exitNoSpace
	}
	return exitFailure
}

// explain adds to an error what can be done about it.
func explain(err error) string {
	switch exitCode(err) {
	case exitUsage:
		if mistakes, ok := errors.AsType[config.Mistakes](err); ok {
			return "the configuration has mistakes:\n" + indent(mistakes.Error())
		}
		if errors.Is(err, data.ErrNoDirectory) {
			return err.Error() + "; set storage.path to a directory, or to a place where there is nothing yet"
		}
	case exitInUse:
		return err.Error() + "; stop that process, or set storage.path to another directory"
	case exitDamaged:
		switch {
		case errors.Is(err, data.ErrBadBackup):
			return err.Error() + "; nothing was restored, only another backup helps"
		case errors.Is(err, data.ErrUnrestored):
			return err.Error() + "; run postrider restore again, or remove the directory to begin without it"
		case errors.Is(err, data.ErrNewerFormat):
			return err.Error() + "; start the version that wrote it, or a later one"
		case errors.Is(err, data.ErrOlderFormat):
			return err.Error() + "; let the version that wrote it carry what waits, then begin with another directory"
		}
		return err.Error() + "; restore a backup, or start once with --accept-data-loss to go on with what is left; if that is refused too, only a backup helps"
	case exitNoSpace:
		return err.Error() + "; free some space, or lower storage.min_free"
	}
	return err.Error()
}

func indent(s string) string { return "  " + strings.ReplaceAll(s, "\n", "\n  ") }

func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no arguments; see %s --help", c.CommandPath(), c.CommandPath())}
	}
	return nil
}
