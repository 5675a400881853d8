package badger

import (
	"bytes"
	"sync/atomic"
	"time"

	"github.com/postrider/postrider/data"
)

// A Clock gives the store the two times that the machine has.
type Clock interface {
	// Boot returns which boot of which machine this is, nil if that is not
	// known, and the time since, including the time the machine slept.
	Boot() (id []byte, since time.Duration)
	// Wall returns the time that people read.
	Wall() time.Time
}

// storeClock makes store time of a Clock: where the store left off, plus what
// the boot clock went on since.
type storeClock struct {
	clock  Clock
	base   data.StoreTime // store time when ...
	origin time.Duration  // ... the boot clock showed this
	newest atomic.Int64   // the newest time that was given
}

// resume sets the clock going after the newest marker. In the same boot the
// time while the store was closed counts; otherwise nobody knows how long that
// was, so it counts as nothing and doubt is true: whatever was waiting must wait
// a full interval more.
func resume(c Clock, m marker) (s *storeClock, doubt bool) {
	boot, since := c.Boot()
	s = &storeClock{clock: c, base: m.time, origin: since}
	s.newest.Store(int64(m.time))
	if m.commit == 0 {
		return s, false
	}
	if boot == nil || !bytes.Equal(boot, m.boot) || since < m.bootTime {
		return s, true
	}
	s.origin = m.bootTime
	return s, false
}

// now returns the store time. It never goes back, also if the boot clock does.
func (s *storeClock) now() data.StoreTime {
	_, since := s.clock.Boot()
	t := int64(s.base.Add(since - s.origin))
	for {
		newest := s.newest.Load()
		if t <= newest {
			return data.StoreTime(newest)
		}
		if s.newest.CompareAndSwap(newest, t) {
			return data.StoreTime(t)
		}
	}
}

// tick returns a time later than all that were given before, for a commit.
func (s *storeClock) tick() data.StoreTime {
	t := int64(s.now())
	for {
		newest := s.newest.Load()
		t = max(t, newest+1)
		if s.newest.CompareAndSwap(newest, t) {
			return data.StoreTime(t)
		}
	}
}

// onWall says when a store time is on the wall clock, for people.
func (s *storeClock) onWall(t data.StoreTime) time.Time {
	return s.clock.Wall().Add(t.Sub(s.now())).UTC()
}
