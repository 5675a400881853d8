package badger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Badger writes each memtable to a log too, a file that is all hole when it is made.
// A flush of what fills a hole is also one of where the file now has it: a commit of
// the file system's journal, which takes as long again, and longer while tables are
// written. So a new log is filled with its own zeros, page by page and ahead of the
// writer, and the file system has nothing to note any more when records take their place.

// fillStep is how many bytes are filled before they are flushed. A commit that comes
// between flushes them too.
const fillStep = 256 << 10

// logs knows which of Badger's logs is the newest. Their names are numbers that rise by
// one.
type logs struct {
	newest int         // the writer's
	fill   chan string // names of logs to be filled; has room for one
	merged atomic.Bool // a merge made logs that the writer has not seen
	// flushing is held while what a log is filled with is flushed, until it is known
	// whether that failed.
	flushing sync.Mutex
}

func logName(number int) string { return fmt.Sprintf("%05d.mem", number) }

// findLog finds the log that Badger has opened.
func (s *Store) findLog() error {
	names, err := s.memtableLogs()
	if err != nil || len(names) == 0 {
		return err
	}
	name := slices.Max(names)
	if _, err := fmt.Sscanf(filepath.Base(name), "%d.mem", &s.logs.newest); err != nil {
		return fmt.Errorf("read the number of log %s: %w", name, err)
	}
	select {
	case s.logs.fill <- name:
	default:
	}
	return nil
}

// lookForLog has a log filled that Badger made since, unless the one before it is
// being filled still: the writer is faster then, and being ahead of it is the point.
func (s *Store) lookForLog() {
	if s.logs.merged.Swap(false) {
		_ = s.findLog() // without it nothing is filled, which is only slower
		return
	}
	next := s.path(filepath.Join("badger", logName(s.logs.newest+1)))
	if unix.Access(next, unix.F_OK) != nil {
		return
	}
	s.logs.newest++
	select {
	case s.logs.fill <- next:
	default:
	}
}

// fillLogs fills logs until the store is closed. Where that is not possible commits
// are slower and nothing else is wrong.
func (s *Store) fillLogs() {
	for {
		select {
		case <-s.stop:
			return
		case <-s.failed:
			return
		case name := <-s.logs.fill:
			s.fillLog(name)
		}
	}
}

func (s *Store) fillLog(name string) {
	// What a log takes ahead of time must not be what keeps the store from accepting, or
	// from starting again.
	if left, err := free(s.options.Path); err != nil || left-s.stamp.Memtable < 2*s.options.MinFree {
		return
	}
	err := fillFile(name, s.stamp.Memtable, s.stop, func(pages []byte) error {
		s.logs.flushing.Lock()
		defer s.logs.flushing.Unlock()
		err := flushPages(pages)
		if err != nil {
			_ = s.fail(fmt.Errorf("flush log %s: %w", name, err)) // told through Failed: there may be records in it
		}
		return err
	})
	if err != nil {
		s.options.Logger.Debug("a log is not filled ahead", "err", err)
	}
}

func flushPages(pages []byte) error {
	return again(func() error { return unix.Msync(pages, unix.MS_SYNC) })
}

// fillingFlushed returns when no flush is under way that what a commit wrote may have
// gone with, or an error when one failed: the system may have dropped what it could not
// write, and then the commit's own flush, which came after it, proves nothing.
func (s *Store) fillingFlushed() error {
	s.logs.flushing.Lock()
	defer s.logs.flushing.Unlock()
	return s.Err()
}

// fillFile has the file system give the first bytes of a file their place. What
// somebody else writes there meanwhile stays as it is written.
func fillFile(name string, size int64, stop <-chan struct{}, flush func(pages []byte) error) (err error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil || info.Size() < size {
		return err // Badger has cut it: it is no log to write to
	}
	if err := reserve(f, size); err != nil {
		return fmt.Errorf("reserve space for %s: %w", name, err)
	}
	pages, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, unix.Munmap(pages)) }()
	for rest := pages; len(rest) > 0; {
		step := rest[:min(fillStep, len(rest))]
		rest = rest[len(step):]
		if cut, err := populate(step); cut || err != nil {
			return err
		}
		if err := flush(step); err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		default:
		}
	}
	return nil
}
