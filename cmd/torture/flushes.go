package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// A tap holds every system call by which the program flushes, in the thread that
// makes it, until somebody has said what becomes of it. They come one after the
// other in the order in which the threads made them, so the k-th is the k-th of
// the process. The fault injection of strace counts for each thread by itself, and
// Go moves the goroutine that commits from thread to thread.
//
// The calls are trapped by a filter that the child has before it becomes the
// program: the torture command runs itself with tapCommand, installs the filter,
// hands the descriptor that the calls are reported to over to the round, and
// executes the program. All else runs at full speed.

// tapCommand is the hidden sub-command that becomes the program.
const tapCommand = "run-tapped"

// flush is a call that is held.
type flush struct {
	Call string // msync, fsync or fdatasync
	File string // what is flushed; "" when that is unknown
	At   time.Duration
	pid  int // the thread
}

// kind says which part of the store a flush is of.
func (f flush) kind() string {
	name := filepath.Base(f.File)
	switch {
	case strings.HasSuffix(name, ".mem"):
		return memtables
	case strings.HasSuffix(name, ".vlog"):
		return valueLog
	case strings.HasSuffix(name, ".sst"):
		return tables
	case strings.HasPrefix(name, "MANIFEST"):
		return manifest
	case strings.HasPrefix(name, "acknowledged"):
		return acknowledged
	case strings.HasPrefix(name, "store.json"):
		return stamps
	case name == "DISCARD":
		return discards
	case f.Call == "fsync":
		return directories
	}
	return "anything else"
}

// The parts of the store.
const (
	memtables    = "a memtable"
	valueLog     = "the value log"
	tables       = "a table"
	manifest     = "the manifest"
	acknowledged = "the acknowledged number"
	stamps       = "the stamp"
	discards     = "the discard statistics"
	directories  = "a directory"
)

// fate is what becomes of a flush.
type fate int

const (
	passes  fate = iota // it is carried out
	fails               // it is not carried out, and returns EIO
	isFatal             // SIGKILL while it is held: it is not carried out
	wasLast             // it is carried out, and SIGKILL follows
)

// tap is one child whose flushes are held.
type tap struct {
	began time.Time // of the round
	// decide is asked about each flush, by one goroutine, and how long after a
	// flush that was the last the child dies.
	decide func(flush) (fate, time.Duration)

	done chan struct{}
	err  error // of the tap itself, once done is closed
}

// wait waits until the child has ended, and returns why the round says nothing,
// if the tap leaked.
func (t *tap) wait() error {
	<-t.done
	if t.err != nil {
		return fmt.Errorf("hold the program's flushes: %w", t.err)
	}
	return nil
}

// tapped launches the program with a tap.
func (s *system) tapped(ctx context.Context, decide func(flush) (fate, time.Duration)) (*rig.Child, *tap, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	handover, err := newHandover(s.round)
	if err != nil {
		return nil, nil, err
	}
	s.program.Prefix = []string{self, tapCommand, handover.name}
	defer func() { s.program.Prefix = nil }()
	c, err := s.launch(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("%w; %w", err, handover.close())
	}
	t := &tap{began: s.began, decide: decide, done: make(chan struct{})}
	if err := t.take(handover, c); err != nil {
		c.Kill()
		return nil, nil, fmt.Errorf("%w; it said\n%s", err, c.Said())
	}
	return c, t, nil
}

// exitTapped runs the hidden command, which returns only without a program.
func exitTapped() {
	if err := runTapped(os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// fileAt finds in the text of /proc/PID/maps which file is mapped at an address.
func fileAt(maps string, address uint64) string {
	for line := range strings.Lines(maps) {
		var low, high uint64
		if _, err := fmt.Sscanf(line, "%x-%x", &low, &high); err != nil || address < low || address >= high {
			continue
		}
		// The path is the sixth field and may hold blanks.
		if i := strings.IndexByte(line, '/'); i >= 0 {
			return strings.TrimSuffix(line[i:], "\n")
		}
		return ""
	}
	return ""
}
