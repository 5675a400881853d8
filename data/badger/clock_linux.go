package badger

import (
	"bytes"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// SystemClock is the machine's clock.
func SystemClock() Clock {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		id = nil
	}
	return bootClock{id: bytes.TrimSpace(id)}
}

type bootClock struct{ id []byte }

func (c bootClock) Boot() ([]byte, time.Duration) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(err) // it has existed since Linux 2.6.39 and takes no argument that could be wrong
	}
	if len(c.id) == 0 {
		return nil, time.Duration(t.Nano())
	}
	return c.id, time.Duration(t.Nano())
}

func (bootClock) Wall() time.Time { return time.Now() }
