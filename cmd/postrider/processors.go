package main

import (
	"os"
	"runtime"
)

// spareProcessors is how many more goroutines may run at a time than there are
// processors. A flush, or the answer that wakes a client, keeps a goroutine in the
// kernel; without spare ones it waits, when it comes back, behind all that became
// runnable meanwhile. Measured on two processors; docs/performance.md has the figures.
const spareProcessors = 2

// addProcessors adds them, unless GOMAXPROCS says how many there are to be.
func addProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + spareProcessors)
	}
}
