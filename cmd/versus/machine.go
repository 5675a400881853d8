package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// machine says where it was measured, and when.
func machine(dir string, flush time.Duration) string {
	parts := []string{fmt.Sprintf("%s/%s", runtime.GOOS, runtime.GOARCH), fmt.Sprintf("%d cores", runtime.NumCPU())}
	if name := lineOf("/proc/cpuinfo", "model name"); name != "" {
		parts[1] += " (" + name + ")"
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		if n, err := rig.Kilobytes(string(b), "MemTotal"); err == nil {
			parts = append(parts, fmt.Sprintf("%d GiB of memory", (n+1<<29)>>30))
		}
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		parts = append(parts, "kernel "+strings.TrimSpace(string(b)))
	}
	if kind := filesystem(dir); kind != "" {
		parts = append(parts, kind)
	}
	parts = append(parts, fmt.Sprintf("a flush of 4 KiB takes %s ms", number(milliseconds(flush))), runtime.Version(), time.Now().UTC().Format(time.DateOnly))
	return strings.Join(parts, ", ")
}

// lineOf returns the value of the first line "name : value"; "" is none.
func lineOf(path, name string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(b) {
		if key, v, found := strings.Cut(string(line), ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// filesystem names the kind of the file system that a directory is on: that of the
// longest mount point above it.
func filesystem(dir string) (kind string) {
	b, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return ""
	}
	longest := ""
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) > 2 && len(f[1]) >= len(longest) && strings.HasPrefix(dir+"/", strings.TrimSuffix(f[1], "/")+"/") {
			longest, kind = f[1], f[2]
		}
	}
	return kind
}

// flushTime measures how long the disk takes for what is small: the median of
// many appends, each synced.
func flushTime(dir string) (time.Duration, error) {
	f, err := os.Create(filepath.Join(dir, "flush"))
	if err != nil {
		return 0, err
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}()
	var times []float64
	part := make([]byte, 4<<10)
	for range 200 {
		began := time.Now()
		if _, err := f.Write(part); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		times = append(times, float64(time.Since(began)))
	}
	return time.Duration(spreadOf(times).median), nil
}

// settle writes out what the last contestant left to be written, so that the next
// one does not pay for it.
func settle() { syscall.Sync() }

// moduleVersion is which version of a module this program has in it.
func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == path {
			return path[strings.LastIndexByte(strings.TrimSuffix(strings.TrimSuffix(path, "/v2"), "/v5"), '/')+1:] + " " + m.Version
		}
	}
	return ""
}

// moduleVersions names several.
func moduleVersions(paths ...string) func(context.Context) string {
	return func(context.Context) string {
		var all []string
		for _, p := range paths {
			all = append(all, moduleVersion(p))
		}
		return join(append(all, runtime.Version())...)
	}
}

func goVersion(context.Context) string { return runtime.Version() }

func fiberVersion(context.Context) string {
	return join(moduleVersion("github.com/gofiber/fiber/v2"), moduleVersion("github.com/valyala/fasthttp"), runtime.Version())
}

// firstLine is the first thing that a command prints; "" if it cannot be run.
func firstLine(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}

// join leaves out what is empty.
func join(parts ...string) string {
	var all []string
	for _, p := range parts {
		if p != "" {
			all = append(all, p)
		}
	}
	return strings.Join(all, ", ")
}
