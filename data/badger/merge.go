package badger

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// What was deleted takes its place on the disk until Badger merges it with what
// deletes it. By itself it does so level by level, when a level has grown too
// large; a deletion is a tenth of a message or less, so deletions can lie in the
// upper levels for long, and most of the lowest one be dead. Where much was deleted
// and the writer has little to do, everything is therefore merged into the lowest
// level, step by step: a table with those of the level below that it overlaps. Badger
// leaves a store alone that never outgrew the few tables of its topmost level.

const (
	leastGarbage = 64 << 20 // bytes deleted, from which on merging is worth it
	// worthShare is the part of the store, one in so many bytes, from which on it is.
	worthShare = 4
	// calmFor is for how many seconds in a row the writer must have little to do:
	// calmShare of each at most, and no pruning that makes a merge soon worth more.
	calmFor   = 10
	calmShare = time.Second / 4
	calmGrows = 64 // one in so many bytes of what was deleted
)

// errStopped is what a merge ends with when it must not go on.
var errStopped = errors.New("stopped")

// reclaim merges where that is worth it and disturbs nobody.
func (s *Store) reclaim() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var c calm
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		if !c.lasts(s.busy.Load(), s.garbage.Load()) || !s.mergeable() {
			continue
		}
		err := s.merge()
		if err != nil && !errors.Is(err, errStopped) && s.Err() == nil {
			// Nothing is lost; Badger's own merging goes on, and this is tried again.
			s.options.Logger.Warn("deleted records are not off the disk yet", "err", err)
		}
	}
}

// calm counts the seconds in which the writer had little to do.
type calm struct {
	seconds       int
	busy, garbage int64 // of the store, when the last of them was over
}

// lasts takes a second, and reports whether there were enough of them. Then it begins to
// count anew.
func (c *calm) lasts(busy, garbage int64) bool {
	c.seconds++
	if time.Duration(busy-c.busy) > calmShare || garbage-c.garbage > garbage/calmGrows {
		c.seconds = 0
	}
	c.busy, c.garbage = busy, garbage
	if c.seconds < calmFor {
		return false
	}
	c.seconds = 0
	return true
}

// mergeable reports whether a merge is worth its work and may begin.
func (s *Store) mergeable() bool {
	if s.Err() != nil {
		return false
	}
	if underWay, _ := s.pinned(); underWay {
		return false // it would free nothing that the backup keeps, and take it for freed
	}
	tables := s.db.Tables()
	var size int64
	for _, t := range tables {
		size += int64(t.OnDiskSize)
	}
	return worthMerging(s.garbage.Load(), size) && s.hasRoom(tables)
}

// worthMerging reports whether so much of a store was deleted that a merge is worth it.
func worthMerging(garbage, size int64) bool {
	return garbage >= leastGarbage && garbage >= size/worthShare
}

// hasRoom reports whether a step of a merge leaves half of the reserve, at least. It
// may take the other half: where nothing new is accepted for want of space, merging is
// what ends that.
func (s *Store) hasRoom(tables []badger.TableInfo) bool {
	left, err := free(s.options.Path)
	return err == nil && left-s.options.MinFree/2 > s.stamp.Memtable+largestStep(tables)
}

// largestStep bounds what one step of a merge writes before it deletes anything.
func largestStep(tables []badger.TableInfo) (most int64) {
	lowest := 0
	for _, t := range tables {
		lowest = max(lowest, t.Level)
	}
	var topmost int64 // these may go in one step
	for _, t := range tables {
		if t.Level == lowest {
			continue
		}
		if t.Level == 0 {
			topmost += int64(t.OnDiskSize)
		}
		var below int64
		for _, u := range tables {
			if u.Level > t.Level && bytes.Compare(u.Left, t.Right) <= 0 && bytes.Compare(t.Left, u.Right) <= 0 {
				below += int64(u.OnDiskSize)
			}
		}
		most = max(most, int64(t.OnDiskSize)+below)
	}
	return most + topmost
}

// merge moves everything into the lowest level, where deletions end.
func (s *Store) merge() error {
	garbage := s.garbage.Load()
	_, backups := s.pinned()
	began := time.Now()
	if err := s.fillMemtable(); err != nil {
		return err
	}
	if err := s.flatten(); err != nil {
		return err
	}
	if !s.freed(garbage, backups) {
		return nil
	}
	s.options.Logger.Debug("deleted records are off the disk", "mib", garbage>>20, "took", time.Since(began))
	return nil
}

// freed notes that what was garbage is off the disk, when no backup has begun since there
// were so many: it may have kept some of it, so all of it counts as before.
func (s *Store) freed(garbage int64, backups int) bool {
	if _, now := s.pinned(); now != backups {
		return false
	}
	s.garbage.Add(-garbage)
	return true
}

// fillMemtable has Badger write its memtable out, which holds the newest deletions:
// it does so when the memtable is full, and in no other way while it is open.
func (s *Store) fillMemtable() error {
	const step = 256 << 10
	defer s.logs.merged.Store(true)
	logs, err := s.memtableLogs()
	if err != nil {
		return err
	}
	for written := int64(0); written <= s.stamp.Memtable; written += step {
		if s.stopped() {
			return errStopped
		}
		// It is no state of its own: it may have the version of the newest one, while the
		// next one is being made.
		version := max(s.versions.current(), 1) // 0 is none
		txn := s.db.NewTransactionAt(version, true)
		err := txn.Set([]byte{prefixPadding}, make([]byte, step))
		if err == nil {
			err = txn.CommitAt(version, nil)
		}
		if err != nil {
			return s.fail(fmt.Errorf("fill the memtable: %w", err))
		}
	}
	for {
		now, err := s.memtableLogs()
		if err != nil {
			return err
		}
		// The log of a memtable goes when its table is there.
		if !slices.ContainsFunc(now, func(log string) bool { return slices.Contains(logs, log) }) {
			return nil
		}
		select {
		case <-s.stop:
			return errStopped
		case <-s.failed:
			return s.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *Store) memtableLogs() ([]string, error) {
	logs, err := filepath.Glob(filepath.Join(s.path("badger"), "*.mem"))
	if err != nil {
		return nil, fmt.Errorf("list logs: %w", err)
	}
	return logs, nil
}

// flattenStep is what Badger says before each step of Flatten, in the goroutine that
// called it. Leaving it from there is the one way to end it early.
const flattenStep = "Attempting to compact"

func (s *Store) flatten() (err error) {
	defer func() {
		cause := recover()
		if cause == errStopped { //nolint:errorlint // it is the very value
			err = errStopped
		} else if cause != nil {
			panic(cause)
		}
	}()
	s.stepAt, s.stepBusy = time.Now(), s.busy.Load()
	pace := s.pace.Load()
	pace.hurry(true) // it is made when there is little else to do, and may be what ends a lack of space
	defer pace.hurry(false)
	if err := s.db.Flatten(1); err != nil {
		return fmt.Errorf("merge tables: %w", err)
	}
	return nil
}

// saidByFlatten stops a merge when the store is closed, when the space runs out, and
// when the writer has so much to do that Badger must use both its hands.
func (s *Store) saidByFlatten(format string) {
	if !strings.HasPrefix(format, flattenStep) {
		return
	}
	now, busy := time.Now(), s.busy.Load()
	pressed := time.Duration(busy-s.stepBusy) > now.Sub(s.stepAt)/2
	s.stepAt, s.stepBusy = now, busy
	if s.stopped() || pressed || !s.hasRoom(s.db.Tables()) {
		panic(errStopped)
	}
}

func (s *Store) stopped() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}
