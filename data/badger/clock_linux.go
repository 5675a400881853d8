package badger

import (
	"bytes"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// SystemClock is the machine's clock.
func SystemClock() Clock {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		id = nil
	}
	if id = bytes.TrimSpace(id); len(id) == 0 {
		id = nil
	}
	return &bootClock{id: id}
}

// bootClock reads the clock of the boot, which costs a system call, seldom. Between,
// it goes by the monotonic clock, which costs none and differs by the time that the
// machine sleeps: after a sleep it can be behind for trustRead, and is never ahead.
type bootClock struct {
	id   []byte
	read atomic.Pointer[bootRead]
}

// bootRead is what the clock of the boot was read as.
type bootRead struct {
	at   time.Time // monotonic
	boot time.Duration
}

const trustRead = 5 * time.Millisecond

func (c *bootClock) Boot() ([]byte, time.Duration) {
	now := time.Now()
	if r := c.read.Load(); r != nil {
		if since := now.Sub(r.at); since >= 0 && since < trustRead {
			return c.id, r.boot + since
		}
	}
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(err) // it has existed since Linux 2.6.39 and takes no argument that could be wrong
	}
	// The monotonic clock is read after the other one: what is added to it is then too
	// little by the time between, never too much.
	r := &bootRead{at: time.Now(), boot: time.Duration(t.Nano())}
	c.read.Store(r)
	return c.id, r.boot
}

func (*bootClock) Wall() time.Time { return time.Now() }
