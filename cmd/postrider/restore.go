package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/data/badger"
)

func restoreCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a store of a backup, where there is none",
		Long: `Make a store of a backup, at storage.path, which must be missing or empty. No server
may run on it. All of the backup is checked, and nothing opens as a store before it is
complete. With - the backup is read from standard input.

The next start counts attempts that were under way as used, and nothing that was
waiting begins before a full interval after it. What the original did after the backup
was made is not known to it: messages that it had delivered since are sent again. So
stop the original before.`,
		Example: `  postrider restore --config postrider.yaml /backups/postrider-2026-11-28.backup
  age -d postrider.backup.zst.age | zstd -d | postrider restore --storage.path var/postrider -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usageError{errors.New("restore takes one file, or - for standard input")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(c, perhaps)
			switch {
			case errors.Is(err, errInterrupted):
				return nil
			case err != nil:
				return err
			}
			return restore(c, cfg, args[0], asJSON)
		},
	}
	configFlags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

func restore(c *cobra.Command, cfg *config.Config, path string, asJSON bool) error {
	syscall.Umask(0o077)
	in, total, err := openBackup(c.Context(), path, c.InOrStdin())
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	new(memoryLimit).follow(needs{memtable: int64(cfg.Storage.Memtable)})
	shown := newProgress(c.ErrOrStderr(), "restored")
	done, err := badger.Restore(c.Context(), badger.Options{
		Path:    cfg.Storage.Path,
		MinFree: int64(cfg.Storage.MinFree),
		Clock:   badger.SystemClock(),
		Logger:  newLogger(cfg.Log, c.ErrOrStderr()),
	}, in, func(b badger.Backup) { shown.show(b, total) })
	shown.end()
	switch {
	case errors.Is(err, data.ErrOccupied):
		return usageError{fmt.Errorf("%w; a restore replaces nothing: move what is there away, or set storage.path to another directory", err)}
	case err != nil:
		return err
	case asJSON:
		return printAsJSON(c.OutOrStdout(), newRestoredAnswer(cfg.Storage.Path, done))
	}
	_, err = fmt.Fprint(c.OutOrStdout(), restoredText(cfg.Storage.Path, done))
	return err
}

// openBackup opens a file or a stream. total is its length; 0 when that is not known.
func openBackup(ctx context.Context, path string, stream io.Reader) (in io.ReadCloser, total int64, err error) {
	if path == standardStream {
		// A pipe may say nothing for ever, and cannot be interrupted.
		r, w := io.Pipe()
		go func() {
			_, err := io.Copy(w, stream)
			_ = w.CloseWithError(err)
		}()
		context.AfterFunc(ctx, func() { _ = w.CloseWithError(context.Cause(ctx)) })
		return r, 0, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, usageError{fmt.Errorf("read the backup: %w", err)}
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	if info.IsDir() {
		return nil, 0, errors.Join(usageError{fmt.Errorf("read the backup: %s is a directory", path)}, f.Close())
	}
	return f, info.Size(), nil
}

// restoredAnswer is what there is after a restore, as --json shows it.
type restoredAnswer struct {
	Path   string            `json:"path"`
	AsOf   string            `json:"as_of"`
	Events uint64            `json:"events"`
	Counts map[string]uint64 `json:"counts"` // of messages, by state, all of them
}

func newRestoredAnswer(path string, r badger.Restored) restoredAnswer {
	a := restoredAnswer{Path: path, AsOf: stamped(r.At), Events: r.Events, Counts: make(map[string]uint64)}
	for _, state := range data.AllStates() {
		a.Counts[state.String()] = r.Messages[state]
	}
	return a
}

// restoredText tells a person what there is now.
func restoredText(path string, r badger.Restored) string {
	var total uint64
	var states []string
	for _, state := range data.AllStates() {
		if n := r.Messages[state]; n > 0 {
			total += n
			states = append(states, fmt.Sprintf("%s %s", count(n), state))
		}
	}
	text := fmt.Sprintf("restored into %s as of %s; events: %s, messages: %s", path, r.At.Format(time.RFC3339), count(r.Events), count(total))
	if len(states) > 0 {
		text += " (" + strings.Join(states, ", ") + ")"
	}
	text += "\n"
	if n := r.Messages[data.Sending]; n > 0 {
		text += "attempts under way at that time are counted as used by the next start, with an outcome that is unknown: " + count(n) + "\n"
	}
	return text
}
