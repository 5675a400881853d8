package main

import (
	"os"
	"runtime/debug"
)

// Around these sizes the garbage is collected more often than the runtime would by
// itself, which lets it grow to as much as what is in use. Under a heavy load most
// memory is buffers in which the store makes its tables: large, short-lived, and
// cheap to collect. The limit is soft: what is really needed is had.
const (
	memoryOfAll     = 160 << 20
	memtables       = 7       // that the store holds at a time, about, with what it adds to each
	memoryOfGateway = 8 << 10 // its definition, and its lane when it has work
)

// memoryStep is after how many more gateways the limit is set anew.
const memoryStep = 1024

// limitMemory sets the limit for a size of memtables and a number of gateways,
// unless GOMEMLIMIT does.
func limitMemory(memtable int64, gateways int) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryOfAll + memtables*memtable + memoryOfGateway*int64(gateways))
	}
}
