package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// power cuts the power of a store's file system under load, and again during
// recovery, and starts the program on what had been flushed.
//
// The file system is ext4 in a file. Its shutdown request drops what was not
// flushed, the journal's running transaction included: nothing of that is ever
// written to the file, and mounting again reads the file and replays the journal.
// Two things are not as with real power. What the kernel wrote back by itself,
// unasked, stays; a few seconds are too short for that. And the boot goes on, so
// the store may trust its clock.
//
// With real power the program dies in the same instant, so most are killed then.
// The others see a disk that answers EIO. They must end by themselves, without
// having acknowledged anything more: with 1, or by the kernel's SIGBUS for memory
// that a file is behind, on which the runtime of Go ends with 2. A start may take
// what it reads of such a disk for damage, and end with 4.
type power struct {
	earliest, latest time.Duration
	lives            int
	recoveries       int

	volumes volumes
}

func (m *power) flags(f *pflag.FlagSet) {
	f.DurationVar(&m.earliest, "earliest", 50*time.Millisecond, "earliest power cut under load, after the program is ready")
	f.DurationVar(&m.latest, "latest", 2*time.Second, "latest power cut under load")
	f.IntVar(&m.lives, "lives", 3, "lives of a store that end by a power cut, at most")
	f.IntVar(&m.recoveries, "recoveries", 2, "power cuts in a row during recovery, at most")
}

func (*power) require() error { return tryVolumes() }

func (m *power) round(ctx context.Context, r *round) error {
	v, err := m.volumes.next(ctx, r, "power")
	if err != nil {
		return err
	}
	p := draw(r.rand)
	p.Memtable = 8
	if r.rand.IntN(2) == 0 { // then memtables become tables, some times a second
		p.Long, p.Largest = 0.5, 10_000+r.rand.IntN(15_000)
	}
	s, err := newSystem(ctx, r, p, v.hold)
	if err != nil {
		return err
	}
	lives := 1 + r.rand.IntN(m.lives)
	for k := range lives + moreLives {
		if k >= lives && s.load.acknowledged() {
			break
		}
		if err := m.life(ctx, s, v); err != nil {
			return err
		}
	}
	c, err := s.start(ctx)
	if err != nil {
		return err
	}
	tables, err := filepath.Glob(filepath.Join(s.program.Store(), "badger", "*.sst"))
	if err != nil {
		return err
	}
	r.count("tables in the end", len(tables))
	return s.finish(ctx, c)
}

// hold has a configuration put the store on the volume.
func (v *volume) hold(configuration rig.Section) {
	configuration["storage"].(rig.Section)["path"] = filepath.Join(v.dir, "store")
}

// life is a start that ends with a power cut under load, and some that end with
// one before they are ready.
func (m *power) life(ctx context.Context, s *system, v *volume) error {
	c, err := s.start(ctx)
	if err != nil {
		return err
	}
	wait := s.working(ctx, c)
	err = errors.Join(s.rest(ctx, m.earliest, m.latest), s.cut(c, v))
	if s.round.rand.IntN(3) == 0 {
		err = errors.Join(err, s.outlive(ctx, c))
	}
	s.end(c)
	if err := errors.Join(err, wait(), v.remount(ctx)); err != nil {
		return err
	}
	for range s.round.rand.IntN(m.recoveries + 1) {
		c, err := s.launch(ctx)
		if err != nil {
			return err
		}
		err = errors.Join(s.rest(ctx, 0, recovery), s.cut(c, v))
		s.end(c)
		if err := errors.Join(err, v.remount(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// cut cuts the power of a program's disk. It must not have ended before.
func (s *system) cut(c *rig.Child, v *volume) error {
	if c.Gone() {
		s.round.violate("life %d ended by itself with %d while nothing was wrong; it said\n%s", len(s.exits), c.Code(), c.Said())
	}
	s.round.count("power cuts", 1)
	return v.shutdown()
}

// outlive waits until the program ends by itself for what happened to its disk.
func (s *system) outlive(ctx context.Context, c *rig.Child) error {
	select {
	case <-c.Ended():
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(rig.Patience):
		s.round.violate("the program runs on without its disk; it said\n%s", c.Said())
	}
	return nil
}

// end kills a program whose disk failed, if it has not ended for that by itself:
// with 1, by a fault, or before it was ready by finding the store damaged.
func (s *system) end(c *rig.Child) {
	c.Kill()
	e := exit{Code: c.Code(), Want: 1}
	switch {
	case e.Code < 0:
		e.Killed = true
		s.round.count("ends by a kill", 1)
	case s.faulted(c):
		e.Want = faultCode
		s.round.count("ends by SIGBUS", 1)
	case e.Code == damagedCode && c.Ready == 0:
		e.Want = damagedCode
		s.round.count("starts that took the end of their disk for damage", 1)
	default:
		s.round.count("ends by itself", 1)
	}
	s.exits = append(s.exits, e)
}

// faulted reports whether the program that ended last did so since the kernel could
// not bring in, or find room for, a page of a file that it had in memory.
func (s *system) faulted(c *rig.Child) bool {
	log, err := os.ReadFile(s.logFile())
	before := 0
	for _, e := range s.exits {
		if e.Want == faultCode {
			before++
		}
	}
	return err == nil && c.Code() == faultCode && bytes.Count(log, []byte("[signal SIGBUS: bus error")) > before
}

// damagedCode is what a start ends with that finds its store damaged. A disk that
// goes while it is read gives zeros, as it does where nothing was ever written; that
// nothing is lost is for the next start to show.
const damagedCode = 4

// faultCode is what the runtime of Go ends with after a fault.
const faultCode = 2
