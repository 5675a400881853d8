package rig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// sampling is how often a process is looked at.
const sampling = 100 * time.Millisecond

// Memory is what a process has in memory.
type Memory struct {
	Anonymous int64 // bytes that no file is behind: RssAnon
	Peak      int64 // bytes at most since the start, files included: VmHWM
}

// MemoryOf reads it of a process.
func MemoryOf(pid int) (Memory, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}, err
	}
	anonymous, err := Kilobytes(string(b), "RssAnon")
	peak, peakErr := Kilobytes(string(b), "VmHWM")
	return Memory{anonymous, peak}, errors.Join(err, peakErr)
}

// Kilobytes reads a line such as "RssAnon:  1234 kB" and returns bytes.
func Kilobytes(text, name string) (int64, error) {
	_, rest, found := strings.Cut(text, name+":")
	line, _, _ := strings.Cut(rest, "\n")
	number, unit, _ := strings.Cut(strings.TrimSpace(line), " ")
	n, err := strconv.ParseInt(number, 10, 64)
	if !found || err != nil || unit != "kB" {
		return 0, fmt.Errorf("no %s in kB", name)
	}
	return n << 10, nil
}

// DescriptorsOf counts the open files of a process.
func DescriptorsOf(pid int) (int64, error) {
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return int64(len(names)), err
}

// halted reports whether a process is stopped by a signal, with all its threads.
func halted(pid int) (bool, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) == 0 {
		return false, fmt.Errorf("process %d has no threads: %w", pid, err)
	}
	for _, path := range threads {
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a thread that has ended
		}
		if err != nil {
			return false, err
		}
		// The state follows the name, which may hold anything: "12 (a) b) T ...".
		_, state, _ := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
		if !strings.HasPrefix(state, "T") {
			return false, nil
		}
	}
	return true, nil
}

// Meter looks at a process now and then and keeps the most that it saw.
type Meter struct {
	anonymous   atomic.Int64
	descriptors atomic.Int64
}

// Watch looks until ctx or the process ends.
func (m *Meter) Watch(ctx context.Context, pid int) {
	for Wait(ctx, sampling) == nil && m.look(pid) == nil {
	}
}

func (m *Meter) look(pid int) error {
	mem, err := MemoryOf(pid)
	if err != nil {
		return err
	}
	open, err := DescriptorsOf(pid)
	if err != nil {
		return err
	}
	raise(&m.anonymous, mem.Anonymous)
	raise(&m.descriptors, open)
	return nil
}

func raise(most *atomic.Int64, n int64) {
	for {
		old := most.Load()
		if n <= old || most.CompareAndSwap(old, n) {
			return
		}
	}
}

// Peak looks once more, returns the most that was seen, and forgets it.
func (m *Meter) Peak(pid int) (anonymous, descriptors int64, err error) {
	err = m.look(pid)
	return m.anonymous.Swap(0), m.descriptors.Swap(0), err
}

// Usage is what a directory takes.
type Usage struct {
	Apparent  int64 // bytes as the files' lengths have it; some have holes
	Allocated int64 // bytes of the disk
}

// UsageOf adds up the files of a directory.
func UsageOf(directory string) (u Usage, err error) {
	err = filepath.WalkDir(directory, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return ifThere(err)
		}
		var s syscall.Stat_t
		if err := syscall.Lstat(path, &s); err != nil {
			return ifThere(err)
		}
		u.Apparent += s.Size
		u.Allocated += s.Blocks * 512
		return nil
	})
	return u, err
}

// ifThere is nil for a file that was removed meanwhile.
func ifThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Wait returns after d, or before it with the error of ctx.
func Wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Until asks each pace until the answer is yes, for limit at most.
func Until(ctx context.Context, what string, limit, pace time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within %v: %s", limit, what))
	defer cancel()
	for {
		if yes, err := done(); yes || err != nil {
			return err
		}
		if err := Wait(ctx, pace); err != nil {
			return err
		}
	}
}
