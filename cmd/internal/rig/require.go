package rig

import (
	"fmt"
	"syscall"
)

// SpaceFor refuses to start what would fill the disk of a directory.
func SpaceFor(directory string, bytes int64) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(directory, &s); err != nil {
		return fmt.Errorf("read the free space of %s: %w", directory, err)
	}
	free := int64(s.Bavail) * int64(s.Bsize) //nolint:unconvert // the types differ between systems
	if free < bytes {
		return fmt.Errorf("%s has %s free, this takes about %s; name another directory with --dir, or scale it down", directory, Size(free), Size(bytes))
	}
	return nil
}

// Descriptors refuses to start what would run out of them.
func Descriptors(need uint64) error {
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
