package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/data/badger"
)

// standardStream stands for standard output or input where a file is asked for.
const standardStream = "-"

func backupCommand() *cobra.Command {
	var server remote
	var force, asJSON bool
	c := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a backup of a running server's store",
		Long: `Write a backup of a running server's store: all that was acknowledged before the
command was started, as it was at one moment, while the server goes on. It takes a key
with the scope admin. The file is checked to its end before it gets its name; until
then it is FILE.partial. It holds what all messages and events say: keep it as safe as
the store. With - it goes to standard output, where only the exit code says whether it
is whole, and --json has no place.`,
		Example: `  postrider backup /backups/postrider-$(date +%F).backup
  postrider backup --key-file key.txt - | zstd | age -r age1… > postrider.backup.zst.age`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usageError{errors.New("backup takes one file, or - for standard output")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if asJSON && args[0] == standardStream {
				return usageError{errors.New("with - standard output is the backup, so --json needs a file to back up to")}
			}
			out, err := newBackupFile(args[0], force, c.OutOrStdout())
			if err != nil {
				return err
			}
			out.json = asJSON
			return backUp(c, &server, out)
		},
	}
	server.flags(c)
	c.Flags().BoolVar(&force, "force", false, "replace the file if it is there")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

// backUp fetches a backup, checks it, and keeps it only when it is whole.
func backUp(c *cobra.Command, server *remote, out *backupFile) (err error) {
	in, err := server.download(c.Context(), "/api/v1/backup")
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // what came is judged by what it says
	if err := out.begin(); err != nil {
		return err
	}
	shown := newProgress(c.ErrOrStderr(), "backed up")
	info, err := badger.CheckBackup(io.TeeReader(in, out), func(b badger.Backup) { shown.show(b, b.About) })
	shown.end()
	if err != nil {
		return errors.Join(out.explain(err), out.drop())
	}
	if err := out.keep(); err != nil {
		return errors.Join(err, out.drop())
	}
	if out.json {
		return printAsJSON(c.OutOrStdout(), backedUp{File: out.path, AsOf: stamped(info.At), Records: info.Entries, Bytes: info.Bytes})
	}
	return shown.say("backed up %s as of %s: %s records, %s\n", out, info.At.Format(time.RFC3339), count(info.Entries), size(info.Bytes))
}

// backedUp is what there is after a backup, as --json shows it.
type backedUp struct {
	File    string `json:"file"`
	AsOf    string `json:"as_of"`
	Records int64  `json:"records"`
	Bytes   int64  `json:"bytes"`
}

// stamped writes a time as the API does.
func stamped(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// backupFile is where a backup goes.
type backupFile struct {
	path  string // "-" for a stream
	force bool
	json  bool // is how the result is told
	to    io.Writer
	file  *os.File
	err   error // of the first write that failed
}

func newBackupFile(path string, force bool, stream io.Writer) (*backupFile, error) {
	f := &backupFile{path: path, force: force}
	if path == standardStream {
		if terminal(stream) {
			return nil, usageError{errors.New("a backup is nothing for a terminal; name a file, or direct the output into one")}
		}
		f.to = stream
		return f, nil
	}
	return f, f.checkAbsent()
}

// checkAbsent refuses to replace a file, unless that is asked for.
func (f *backupFile) checkAbsent() error {
	switch info, err := os.Lstat(f.path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return usageError{err}
	case !info.Mode().IsRegular():
		return usageError{fmt.Errorf("%s is there and is no file", f.path)}
	case !f.force:
		return usageError{fmt.Errorf("%s is there; choose another name, or replace it with --force", f.path)}
	}
	return nil
}

func (f *backupFile) String() string {
	if f.path == standardStream {
		return "to standard output"
	}
	return "to " + f.path
}

func (f *backupFile) partial() string { return f.path + ".partial" }

// begin makes the file. What an earlier run left of one is replaced.
func (f *backupFile) begin() (err error) {
	if f.to != nil {
		return nil
	}
	if f.file, err = os.OpenFile(f.partial(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600); err != nil {
		return usageError{err}
	}
	f.to = f.file
	return nil
}

func (f *backupFile) Write(b []byte) (int, error) {
	n, err := f.to.Write(b)
	if err != nil {
		f.err = err
	}
	return n, err
}

// keep gives a backup that is whole its name, durably.
func (f *backupFile) keep() error {
	if f.file == nil {
		return nil
	}
	if err := errors.Join(f.file.Sync(), f.file.Close()); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	if err := f.checkAbsent(); err != nil {
		return err
	}
	if err := os.Rename(f.partial(), f.path); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	dir, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// drop removes what is no backup.
func (f *backupFile) drop() error {
	if f.file == nil {
		return nil
	}
	_ = f.file.Close() // keep may have done so
	if err := os.Remove(f.partial()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// explain says why there is no backup. What is wrong with it is nothing that a store is
// damaged by, so it has no code of its own.
func (f *backupFile) explain(err error) error {
	switch {
	case f.err != nil:
		return fmt.Errorf("write the backup: %w", f.err)
	case errors.Is(err, data.ErrBadBackup):
		return fmt.Errorf("the server did not send a whole backup, nothing is kept; its log says why: %v", err) //nolint:errorlint // on purpose, see above
	case errors.Is(err, data.ErrNewerFormat), errors.Is(err, data.ErrOlderFormat):
		return fmt.Errorf("the backup cannot be checked, nothing is kept; use the version of the server: %v", err) //nolint:errorlint // the same
	}
	return fmt.Errorf("nothing is kept: %w", err)
}
