//go:build !linux

package badger

import "time"

// SystemClock is the machine's clock. The boot is not known here, so after every
// start what was waiting waits one full interval more.
func SystemClock() Clock { return processClock{start: time.Now()} }

type processClock struct{ start time.Time }

func (c processClock) Boot() ([]byte, time.Duration) { return nil, time.Since(c.start) }

func (processClock) Wall() time.Time { return time.Now() }
