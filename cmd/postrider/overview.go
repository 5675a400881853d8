package main

import (
	"sync"
	"time"

	httpapi "github.com/postrider/postrider/http"
)

// spaceEvery is how often the files of the store are looked at, at most.
const spaceEvery = 10 * time.Second

// overview is what the process as a whole tells about itself.
type overview struct {
	process *process
	began   time.Time
	rates   *rates

	mu     sync.Mutex
	looked time.Time // when the files were added up; zero before
	used   int64
}

// Summary implements part of httpapi.Overview.
func (o *overview) Summary() httpapi.Summary {
	s := httpapi.Summary{StartedAt: o.began, Store: httpapi.StoreSummary{Reasons: o.process.ready()}, Config: o.process.reloads.current()}
	s.Rates, s.History = o.rates.overall(time.Since(o.began))
	s.Store.Free, s.Store.Size = o.space()
	return s
}

// History implements the rest of it.
func (o *overview) History(gateway string) (httpapi.History, bool) {
	return o.rates.of(gateway, time.Since(o.began))
}

// space returns what is free and what the store takes; when that cannot be added up,
// what it was.
func (o *overview) space() (left, used int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.looked.IsZero() || time.Since(o.looked) >= spaceEvery {
		o.looked = time.Now()
		if used, err := o.process.store.Used(); err == nil {
			o.used = used
		}
	}
	return o.process.store.Free(), o.used
}
