package badger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/postrider/postrider/data"
)

// free returns the bytes that an ordinary user may still write to the file
// system of path.
func free(path string) (int64, error) {
	var s unix.Statfs_t
	err := again(func() error { return unix.Statfs(path, &s) })
	if err != nil {
		return 0, fmt.Errorf("read free space of %s: %w", path, err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil //nolint:unconvert // the types differ between systems
}

// Free is how many bytes of the disk were free when that was last looked at, within
// the last second.
func (s *Store) Free() int64 { return s.left.Load() }

// Used is how many bytes of the disk the store takes now. It looks at every file.
func (s *Store) Used() (int64, error) {
	var used int64
	err := filepath.WalkDir(s.options.Path, func(path string, _ fs.DirEntry, err error) error {
		var file unix.Stat_t
		if err == nil {
			err = again(func() error { return unix.Lstat(path, &file) })
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile
		}
		used += file.Blocks * 512
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("read the size of the store: %w", err)
	}
	return used, nil
}

// lock takes the store's directory for this process. The kernel lets go of it
// when the process ends, however it ends.
func lock(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", path, err)
		}
		err = again(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = data.ErrInUse
		}
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", dir, errors.Join(err, f.Close()))
		}
		there, err := itself(f, path)
		if there && err == nil {
			return f, nil
		}
		// A restore that made the file has removed it in between.
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("lock %s: %w", dir, err)
		}
	}
}

// itself reports whether a file that was opened is still the one of its path.
func itself(f *os.File, path string) (bool, error) {
	opened, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(opened, there), err
}

// again repeats a system call that a signal interrupted.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// spacePause is how often free space is read at most.
const spacePause = 50 * time.Millisecond

// watch looks at the free space and flushes the acknowledged number each second.
// It also fails the store when a merge has met a wrong block.
func (s *Store) watch() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		s.checkSpace()
		_ = s.sound(s.wrong) // told through Failed
		if err := s.acked.sync(); err != nil {
			_ = s.fail(err) // told through Failed
		}
	}
}

// watchSpace checks the space before a batch that accepts something: in the
// second until watch does, a fast client can write what is left.
func (s *Store) watchSpace() {
	if now := time.Now(); now.Sub(s.looked) >= spacePause {
		s.looked = now
		s.checkSpace()
	}
}

func (s *Store) checkSpace() {
	left, err := free(s.options.Path)
	if err != nil {
		_ = s.fail(err) // told through Failed
		return
	}
	s.noteSpace(left)
}

// resumeShare is what must be free beside MinFree, one in so many bytes of that, until
// what is new is accepted again: merging tables moves what is free to and fro.
const resumeShare = 8

// noteSpace acts on how much is free.
func (s *Store) noteSpace(left int64) {
	s.left.Store(left)
	need := s.options.MinFree
	if s.low.Load() {
		need += need / resumeShare
	}
	s.setTight(left < s.backupNeeds())
	low := left < need
	if s.low.Swap(low) == low {
		return
	}
	if low {
		s.options.Logger.Error("disk nearly full: accepting nothing new until space is freed", "free_mib", left>>20, "min_free_mib", s.options.MinFree>>20)
		return
	}
	s.options.Logger.Info("disk has space again: accepting", "free_mib", left>>20)
}
