package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
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
	path, version, err := rig.Find(ctx, l.binary)
	if err != nil {
		return err
	}
	l.binary, l.version = path, version
	return nil
}

// program writes a configuration into a directory of that name.
func (l *lab) program(name string, configuration rig.Section) (*rig.Program, error) {
	return rig.NewProgram(l.binary, filepath.Join(l.dir, name), configuration)
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
	l.say("%s: ended after %s", s.name, rig.Span(time.Since(began)))
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
	l.report.goal(what, "0", rig.Count(len(violations)), len(violations) == 0)
}
