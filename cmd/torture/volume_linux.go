package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// own makes a file and locks it, which fails while another process has it locked.
func own(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

// mounted reports whether a directory is where another file system begins.
func mounted(dir string) bool {
	var inner, outer unix.Stat_t
	if unix.Stat(dir, &inner) != nil || unix.Stat(filepath.Dir(dir), &outer) != nil {
		return false
	}
	return inner.Dev != outer.Dev
}

// unmount ends a mount, if there is one. Who just ended may hold it a little.
func unmount(dir string) error {
	err := rig.Until(context.Background(), "unmount "+dir, rig.Patience, 20*time.Millisecond, func() (bool, error) {
		if err := unix.Unmount(dir, unix.UMOUNT_NOFOLLOW); !errors.Is(err, unix.EBUSY) {
			return true, err
		}
		return false, nil
	})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil // nothing is mounted there
	}
	if err != nil {
		_ = unix.Unmount(dir, unix.MNT_DETACH) // it ends with the last who has it
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return nil
}

// The request to shut down a file system without flushing its log
// (EXT4_IOC_SHUTDOWN), as a power failure does.
const (
	shutdownRequest = 0x8004587d
	withoutFlush    = 2
)

// shutdown ends the file system as a power failure does: what was not flushed is
// lost, and nobody can write any more.
func (v *volume) shutdown() error {
	f, err := os.Open(v.dir)
	if err != nil {
		return err
	}
	err = unix.IoctlSetPointerInt(int(f.Fd()), shutdownRequest, withoutFlush)
	if err != nil {
		err = fmt.Errorf("shut down %s: %w", v.dir, err)
	}
	return errors.Join(err, f.Close())
}

// free is how many bytes may still be written.
func (v *volume) free() (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(v.dir, &s); err != nil {
		return 0, fmt.Errorf("read the free space of %s: %w", v.dir, err)
	}
	return int64(s.Bavail) * s.Bsize, nil
}

// foreignName is a file that is not the program's.
const foreignName = "foreign"

// occupy has a foreign file take space at once, until no more than some bytes are
// left. The program may take of them meanwhile.
func (v *volume) occupy(leave int64) error {
	f, err := os.OpenFile(filepath.Join(v.dir, foreignName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	const block = 4096
	taken, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	for {
		free, err := v.free()
		if err != nil {
			return errors.Join(err, f.Close())
		}
		piece := free - leave
		for ; piece >= block; piece /= 2 {
			err = unix.Fallocate(int(f.Fd()), 0, taken, piece)
			if err == nil {
				taken += piece
				break
			}
			if !errors.Is(err, unix.ENOSPC) {
				return errors.Join(fmt.Errorf("take space: %w", err), f.Close())
			}
		}
		if piece < block {
			return f.Close()
		}
	}
}

// vacate gives it back.
func (v *volume) vacate() error { return os.Remove(filepath.Join(v.dir, foreignName)) }
