package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lab is what a scenario works with.
type lab struct {
	binary  string // the program to measure
	parent  string // where directories are made
	dir     string // the scenario's own one
	version string
	report  *report
	log     io.Writer
}

// prepare checks that there is something to measure.
func (l *lab) prepare(ctx context.Context) error {
	path, err := filepath.Abs(l.binary)
	if err != nil {
		return fmt.Errorf("find the program: %w", err)
	}
	l.binary = path
	out, err := exec.CommandContext(ctx, l.binary, "version").Output()
	if err != nil {
		return fmt.Errorf("ask %s for its version: %w; build it with make build, or name another one with --binary", l.binary, err)
	}
	l.version = strings.TrimSpace(string(out))
	return nil
}

// measure runs scenarios one after another. One that cannot be measured does not
// keep the others from it.
func (l *lab) measure(ctx context.Context, all []named) error {
	var errs []error
	for _, s := range all {
		if err := l.one(ctx, s); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func (l *lab) one(ctx context.Context, s named) (err error) {
	l.dir, err = os.MkdirTemp(l.parent, "postrider-"+s.name+"-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(l.dir)) }()
	// What a scenario starts ends with it.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := time.Now()
	l.say("%s: %s", s.name, s.short)
	err = s.run(ctx, l)
	l.say("%s: ended after %s", s.name, span(time.Since(began)))
	return err
}

// finish prints the table, even if not all of it was measured.
func (l *lab) finish(out io.Writer, markdown string) error {
	if len(l.report.figures) == 0 {
		return nil
	}
	title := heading(l.version)
	err := l.report.print(out, title)
	if markdown != "" {
		err = errors.Join(err, os.WriteFile(markdown, []byte(l.report.markdown(title)), 0o644))
	}
	if n := l.report.missed(); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d of the goals are not met", n))
	}
	return err
}

// say tells people how far it is.
func (l *lab) say(format string, args ...any) {
	_, _ = fmt.Fprintf(l.log, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...)) // nobody else would hear of the error
}

// broken reports how many promises were seen broken, of which there is to be
// none, and says which.
func (l *lab) broken(what string, violations []string) {
	const most = 20
	for i, v := range violations {
		if i == most {
			l.say("and %d more", len(violations)-most)
			break
		}
		l.say("BROKEN: %s", v)
	}
	l.report.goal(what, "0", count(len(violations)), len(violations) == 0)
}

// spaceFor refuses to start what would fill the disk.
func (l *lab) spaceFor(bytes int64) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(l.dir, &s); err != nil {
		return fmt.Errorf("read the free space of %s: %w", l.dir, err)
	}
	free := int64(s.Bavail) * int64(s.Bsize) //nolint:unconvert // the types differ between systems
	if free < bytes {
		return fmt.Errorf("%s has %s free, this takes about %s; name another directory with --dir, or scale it down", l.dir, size(free), size(bytes))
	}
	return nil
}

// descriptors refuses to start what would run out of them.
func descriptors(need uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	// The runtime has raised the limit as far as it may go, and the program does so too.
	if limit.Cur < need {
		return fmt.Errorf("a process may have %d files open here, this takes %d; raise the limit (ulimit -Hn), or scale it down", limit.Cur, need)
	}
	return nil
}
