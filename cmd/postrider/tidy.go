package main

import (
	"context"
	"runtime/debug"
	gauges "runtime/metrics"
	"time"
)

const (
	// tidyEvery is how often somebody looks whether there is memory to give back.
	tidyEvery = 10 * time.Second
	// tidyFrom is how much it has to be: less would be needed again soon.
	tidyFrom = 32 << 20
)

// tidier gives memory back after a burst. The runtime does that too, but in the wake of
// collections, and a program that has little to do collects every other minute: what a
// flood took would stay for four.
type tidier struct {
	cycles uint64 // collections when it looked last
	kept   uint64 // what was left when it tidied up last
}

// due reports whether to tidy up: nothing was collected since the look before, so there
// is little to do, and there is more than what was left the last time.
func (t *tidier) due(cycles, held uint64) bool {
	calm := cycles == t.cycles
	t.cycles = cycles
	t.kept = min(t.kept, held)
	return calm && held >= t.kept+tidyFrom
}

// done notes what is left.
func (t *tidier) done(cycles, held uint64) { t.cycles, t.kept = cycles, held }

// tidy gives memory back whenever that is due, until ctx ends.
func tidy(ctx context.Context) {
	var t tidier
	look := time.NewTicker(tidyEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		if t.due(heap()) {
			debug.FreeOSMemory()
			t.done(heap())
		}
	}
}

// heap returns how many collections there were, and how many bytes the heap has of the
// system, in use or not.
func heap() (cycles, held uint64) {
	samples := []gauges.Sample{
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	gauges.Read(samples)
	for _, s := range samples[1:] {
		held += s.Value.Uint64()
	}
	return samples[0].Value.Uint64(), held
}
