package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// volume is a file system of its own for one round: ext4 in a file.
type volume struct {
	dir   string // where it is mounted
	image string // the file
	owner *os.File
}

// The parts of a volume in the directory of its round.
const (
	imageName = "volume.ext4"
	mountName = "volume"
	ownerName = "volume.owner" // locked while its round runs
)

// volumeSize is that of a volume. The file has holes.
const volumeSize = 1 << 30

// volumes are those of a mode.
type volumes struct{ swept sync.Once }

// next makes one. Before the first it clears away what a run that was killed left.
func (s *volumes) next(ctx context.Context, r *round, mode string) (*volume, error) {
	var err error
	s.swept.Do(func() { err = sweep(filepath.Dir(r.dir), mode) })
	if err != nil {
		return nil, err
	}
	return newVolume(ctx, r, volumeSize)
}

// newVolume makes and mounts one. It is gone when the round ends, and the file
// stays for a round that fails.
func newVolume(ctx context.Context, r *round, size int64) (*volume, error) {
	v := &volume{dir: filepath.Join(r.dir, mountName), image: filepath.Join(r.dir, imageName)}
	if err := os.Mkdir(v.dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	if v.owner, err = own(filepath.Join(r.dir, ownerName)); err != nil {
		return nil, err
	}
	r.finally(v.close)
	if err := v.format(ctx, size); err != nil {
		return nil, err
	}
	return v, v.mount(ctx)
}

// format makes an empty file system of which everybody may have all blocks, with
// nothing left to be done in the background.
func (v *volume) format(ctx context.Context, size int64) error {
	f, err := os.Create(v.image)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return err
	}
	return command(ctx, "mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", v.image)
}

// mount mounts it, which replays its journal. The loop device goes with the mount.
func (v *volume) mount(ctx context.Context) error {
	return command(ctx, "mount", "-t", "ext4", "-o", "loop,noatime,noinit_itable", v.image, v.dir)
}

// remount mounts it again. What has not reached the file is gone.
func (v *volume) remount(ctx context.Context) error {
	if err := unmount(v.dir); err != nil {
		return err
	}
	return v.mount(ctx)
}

// close unmounts it and says that nobody owns it any more.
func (v *volume) close() error {
	return errors.Join(unmount(v.dir), os.Remove(v.owner.Name()), v.owner.Close())
}

// sweep removes the volumes, and all else, of rounds whose run was killed: those
// in a directory whose owner is none.
func sweep(dir, mode string) error {
	names, err := filepath.Glob(filepath.Join(dir, "postrider-"+mode+"-*", ownerName))
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		owner, err := own(name)
		if err != nil {
			continue // its round runs
		}
		errs = append(errs, discard(filepath.Dir(name)), owner.Close())
	}
	return errors.Join(errs...)
}

// discard unmounts the volume of a round that nobody runs and removes all of it. A
// program that still has the volume open ends when it finds it dead.
func discard(dir string) error {
	v := &volume{dir: filepath.Join(dir, mountName)}
	if mounted(v.dir) {
		if err := v.shutdown(); err != nil {
			return err
		}
	}
	if err := unmount(v.dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// command runs a command of the system.
func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// tryVolumes returns why no volume can be made here, or nil.
func tryVolumes() (err error) {
	if os.Geteuid() != 0 {
		return errors.New("it mounts file systems, which takes root")
	}
	for _, name := range []string{"mkfs.ext4", "mount"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("it mounts file systems: %w", err)
		}
	}
	dir, err := os.MkdirTemp("", "postrider-volume-")
	if err != nil {
		return err
	}
	r := &round{dir: dir}
	_, err = newVolume(context.Background(), r, 8<<20)
	for _, undo := range r.undo {
		_ = undo() // what matters is whether it could be mounted
	}
	_ = os.RemoveAll(dir) // it is small
	if err != nil {
		return fmt.Errorf("no loop device can be mounted: %w", err)
	}
	return nil
}
