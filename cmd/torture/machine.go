package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// processors is what the machine's processors have done since it started.
type processors struct {
	all  time.Duration // that there was, over all of them
	idle time.Duration
	ours time.Duration // that we worked, and the program
}

// readProcessors reads it now, with the program as a process.
func readProcessors(pid int) (p processors, err error) {
	system, err := os.ReadFile("/proc/stat")
	if err != nil {
		return p, err
	}
	process, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, err
	}
	if p.all, p.idle, err = parseSystem(string(system)); err != nil {
		return p, err
	}
	if p.ours, err = parseProcess(string(process)); err != nil {
		return p, err
	}
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		return p, err
	}
	p.ours += time.Duration(self.Utime.Nano() + self.Stime.Nano())
	return p, nil
}

// clockTick is the unit of /proc, on every system that Go runs on.
const clockTick = 10 * time.Millisecond

// parseSystem reads the first line of /proc/stat: user, nice, system, idle, wait
// for disks, interrupts of two kinds, and what other machines took; what follows is
// counted among the first.
func parseSystem(text string) (all, idle time.Duration, err error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	const columns = 8
	if len(fields) < 1+columns || fields[0] != "cpu" {
		return 0, 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	for i, field := range fields[1 : 1+columns] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("/proc/stat: %w", err)
		}
		all += time.Duration(n) * clockTick
		if i == 3 || i == 4 {
			idle += time.Duration(n) * clockTick
		}
	}
	return all, idle, nil
}

// parseProcess reads how much a process has worked.
func parseProcess(text string) (time.Duration, error) {
	// The name may hold anything: "12 (a) b) T ...".
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	const user, kernel = 11, 12 // after the name
	if len(fields) <= kernel {
		return 0, errors.New("/proc has no times of the process")
	}
	u, err := strconv.ParseInt(fields[user], 10, 64)
	k, kernelErr := strconv.ParseInt(fields[kernel], 10, 64)
	return time.Duration(u+k) * clockTick, errors.Join(err, kernelErr)
}

// others is which part of the machine others had since an earlier time.
func (p processors) others(before processors) float64 {
	all := p.all - before.all
	if all <= 0 {
		return 0
	}
	busy := all - (p.idle - before.idle)
	return max(0, float64(busy-(p.ours-before.ours))/float64(all))
}
