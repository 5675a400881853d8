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
	config  configState

	mu         sync.Mutex
	looked     time.Time // when the space was read; zero before
	left, used int64
}

// Summary implements part of httpapi.Overview.
func (o *overview) Summary() httpapi.Summary {
	s := httpapi.Summary{StartedAt: o.began, Store: httpapi.StoreSummary{Reasons: o.process.ready()}, Config: o.config.shown()}
	s.Rates, s.History = o.rates.overall(time.Since(o.began))
	s.Store.Free, s.Store.Size = o.space()
	return s
}

// History implements the rest of it.
func (o *overview) History(gateway string) (httpapi.History, bool) {
	return o.rates.of(gateway, time.Since(o.began))
}

// space returns what is free and what the store takes; when that cannot be read, what
// it was.
func (o *overview) space() (left, used int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.looked.IsZero() || time.Since(o.looked) >= spaceEvery {
		o.looked = time.Now()
		if left, used, err := o.process.store.Space(); err == nil {
			o.left, o.used = left, used
		}
	}
	return o.left, o.used
}

// configState is what became of the readings of the configuration.
type configState struct {
	mu    sync.Mutex
	state httpapi.ConfigSummary
}

// applied notes that one is in force, but for some keys.
func (c *configState) applied(at time.Time, needsRestart []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = httpapi.ConfigSummary{AppliedAt: at, NeedsRestart: needsRestart}
}

// refused notes that one was not taken, for so many mistakes; what is in force stays.
func (c *configState) refused(at time.Time, mistakes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.RefusedAt, c.state.Mistakes = at, mistakes
}

func (c *configState) shown() httpapi.ConfigSummary {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}
