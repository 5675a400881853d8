package main

import (
	"os"
	"runtime/debug"
	"sync"
)

// Around these sizes the garbage is collected more often than the runtime would by
// itself, which lets it grow to as much as what is in use. Under a heavy load most
// memory is buffers in which the store makes its tables: large, short-lived, and
// cheap to collect. The limit is soft: what is really needed is had.
const (
	memoryOfAll     = 160 << 20
	memtables       = 7       // that the store holds at a time, about, with what it adds to each
	memoryOfGateway = 8 << 10 // its definition, and its lane when it has work
	memoryOfByte    = 2       // that those over the API weigh: what is in use, and what grew before it was
)

// memoryStep is by how much the limit has to change to be set anew, which stops
// everything for a moment.
const memoryStep = 8 << 20

// needs are what the memory limit is made of.
type needs struct {
	memtable int64 // bytes
	gateways int
	weight   int // of those over the API, see made
}

func (n needs) limit() int64 {
	return memoryOfAll + memtables*n.memtable + memoryOfGateway*int64(n.gateways) + memoryOfByte*int64(n.weight)
}

// memoryLimit is the limit as it was set last. Any goroutine may have it follow.
type memoryLimit struct {
	mu  sync.Mutex
	set int64
}

// follow sets the limit if it is to be another one, unless GOMEMLIMIT does.
func (l *memoryLimit) follow(n needs) {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit := n.limit()
	if diff := limit - l.set; -memoryStep < diff && diff < memoryStep {
		return
	}
	l.set = limit
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	}
}
