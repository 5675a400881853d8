package badger

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/y"

	"github.com/postrider/postrider/data"
)

// Open compares every checksum of the tables, but a disk can lose a block later.
// Badger compares that of each block it reads, and then swallows the error: to an
// iterator a block that is wrong is the end of the table. A record in it would not
// be there, or would be an older version of itself, found in a table below; and a
// merge would write the tables anew without it.
//
// What Badger leaves us is the moment at which it words the error: a mismatch that
// it was given is asked for its text, in the goroutine that reads the block.

// mismatches counts the blocks with a wrong checksum that this process has met,
// in whatever store.
var mismatches atomic.Uint64

// mismatch takes the place of Badger's error.
type mismatch struct{}

// Error is called when a block has a wrong checksum, and not otherwise. A merge
// does not come back from it: the store fails within a second, and its tables stay
// as they are.
func (mismatch) Error() string {
	mismatches.Add(1)
	if merging() {
		select {}
	}
	return "checksum mismatch"
}

// watchMismatches has Badger's mismatches counted. It is called before the first
// store is opened, since Badger reads what it changes.
var watchMismatches = sync.OnceFunc(func() { y.ErrChecksumMismatch = mismatch{} })

// merging reports whether the caller's goroutine writes new tables from old ones.
func merging() bool { return calledBy(".(*levelsController).subcompact") }

// calledBy reports whether a function whose name holds this is under way in the
// caller's goroutine.
func calledBy(name string) bool {
	var callers [64]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers[:])])
	for {
		frame, more := frames.Next()
		if strings.Contains(frame.Function, name) {
			return true
		}
		if !more {
			return false
		}
	}
}

// read runs a func on the store as it is at one moment. What it read counts only
// if every block was whole; else the store fails.
func (s *Store) read(run func(*badger.Txn) error) error {
	return s.relied(func() error { return s.snapshot(run) })
}

// readAt is read on a version that somebody keeps.
func (s *Store) readAt(version uint64, run func(*badger.Txn) error) error {
	return s.relied(func() error { return s.at(version, run) })
}

// relied runs a func that reads, and may write what follows from that. Whatever it found or missed counts only if every
// block was whole.
func (s *Store) relied(read func() error) (err error) {
	before := mismatches.Load()
	defer func() {
		if r := recover(); r != nil {
			if !calledBy("badger/v4/table.") { // which takes a block apart before it looks at the checksum
				panic(r)
			}
			err = s.rotten()
		}
	}()
	err = read()
	if rotten := s.sound(before); rotten != nil {
		return rotten
	}
	return err
}

// sound fails the store if a block was wrong since there were so many before.
func (s *Store) sound(before uint64) error {
	if mismatches.Load() == before {
		return nil
	}
	return s.rotten()
}

func (s *Store) rotten() error {
	return s.fail(fmt.Errorf("a block of a table in %s has changed since the store was opened: %w", s.path("badger"), data.ErrDamaged))
}
