package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// needVolumes skips a test where no file system can be mounted.
func needVolumes(t *testing.T) {
	t.Helper()
	if err := tryVolumes(); err != nil {
		t.Skip(err)
	}
}

// A volume whose run was killed is unmounted and removed, one whose run goes on is
// not, and neither is the directory of a round that ended.
func TestSweep(t *testing.T) {
	t.Parallel()
	needVolumes(t)
	dir := t.TempDir()
	made := func(name string) (*round, *volume) {
		r := &round{dir: filepath.Join(dir, name)}
		if err := os.Mkdir(r.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		v, err := newVolume(t.Context(), r, 8<<20)
		if err != nil {
			t.Fatal(err)
		}
		return r, v
	}
	left, dead := made("postrider-power-0-a")
	running, alive := made("postrider-power-1-b")
	ended, _ := made("postrider-power-2-c")
	defer func() { _ = alive.close() }()
	if err := errors.Join(dead.owner.Close(), ended.undo[0]()); err != nil {
		t.Fatal(err)
	}
	if err := sweep(dir, "power"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(left.dir); !errors.Is(err, os.ErrNotExist) || !mounted(alive.dir) {
		t.Errorf("what was left is there: %v; what is in use is mounted: %v", err, mounted(alive.dir))
	}
	for _, r := range []*round{running, ended} {
		if _, err := os.Stat(r.dir); err != nil {
			t.Error(err)
		}
	}
}

// What was written and not flushed is gone with the power, what was flushed is not.
func TestVolumeForgets(t *testing.T) {
	t.Parallel()
	needVolumes(t)
	r := &round{dir: t.TempDir()}
	v, err := newVolume(t.Context(), r, 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.close() }()
	written := func(name string, flush bool) {
		f, err := os.Create(filepath.Join(v.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteString("here")
		if flush {
			err = errors.Join(err, f.Sync())
		}
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	written("flushed", true)
	written("not", false)
	if err := errors.Join(v.shutdown(), v.remount(context.Background())); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(v.dir, "flushed")); string(b) != "here" {
		t.Errorf("what was flushed is %q, %v", b, err)
	}
	if b, err := os.ReadFile(filepath.Join(v.dir, "not")); len(b) > 0 || err == nil {
		t.Errorf("what was not flushed is %q, %v", b, err)
	}
}

// A foreign file takes what it is told to, twice, and gives it back.
func TestVolumeFills(t *testing.T) {
	t.Parallel()
	needVolumes(t)
	r := &round{dir: t.TempDir()}
	v, err := newVolume(t.Context(), r, 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.close() }()
	empty, err := v.free()
	if err != nil {
		t.Fatal(err)
	}
	for _, leave := range []int64{20 << 20, 0} {
		if err := v.occupy(leave); err != nil {
			t.Fatal(err)
		}
		if free, err := v.free(); err != nil || free > leave+4096 || free < leave-1<<20 {
			t.Errorf("occupy(%d) leaves %d, %v", leave, free, err)
		}
	}
	if err := v.vacate(); err != nil {
		t.Fatal(err)
	}
	if free, err := v.free(); err != nil || free < empty-1<<20 {
		t.Errorf("%d are free in the end, %v; %d were", free, err, empty)
	}
}
