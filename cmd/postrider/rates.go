package main

import (
	"sync"
	"time"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/data/badger"
	httpapi "github.com/postrider/postrider/http"
)

const (
	rateStep  = 2 * time.Second // of all that happens, over five minutes
	rateSteps = 150
	rateOver  = 5 // steps that a rate is the mean of

	laneStep  = 10 * time.Second // of one gateway, over ten minutes
	laneSteps = 60
	// maxLaneRates is how many gateways are counted one by one.
	maxLaneRates = 1000
)

// ring counts per step of time. Its newest step is the one that time is in, and all
// before the oldest one are forgotten.
type ring struct {
	counts []uint32
	newest int64 // the number of the newest step
}

// add counts n in a step.
func (r *ring) add(step int64, n int) {
	r.turn(step)
	if step > r.newest-int64(len(r.counts)) {
		r.counts[step%int64(len(r.counts))] += uint32(n)
	}
}

// turn makes a step the newest one, if it is.
func (r *ring) turn(step int64) {
	size := int64(len(r.counts))
	for at := max(r.newest+1, step-size+1); at <= step; at++ {
		r.counts[at%size] = 0
	}
	r.newest = max(r.newest, step)
}

// past returns the steps that are over, the oldest first.
func (r *ring) past(step int64) []uint32 {
	r.turn(step)
	size := int64(len(r.counts))
	past := make([]uint32, 0, size-1)
	for at := r.newest - size + 1; at < r.newest; at++ {
		past = append(past, r.counts[(at+size)%size])
	}
	return past
}

// newRing has one step more than it tells, for the one that is not over.
func newRing(steps int) ring { return ring{counts: make([]uint32, steps+1)} }

// laneRate is what became of the messages of one gateway.
type laneRate struct{ delivered, failed ring }

// rates counts what was committed: how much was accepted, and how it ended. Time is
// that since it began, so that no clock step moves it. The one who commits counts,
// and requests ask.
type rates struct {
	mu                                  sync.Mutex
	events, messages, delivered, failed ring
	lanes                               map[string]*laneRate
	cleared                             int64 // the step in which lanes was last rid of those at rest
}

func newRates() *rates {
	return &rates{
		events: newRing(rateSteps), messages: newRing(rateSteps), delivered: newRing(rateSteps), failed: newRing(rateSteps),
		lanes: make(map[string]*laneRate),
	}
}

// count takes note of a batch that was committed. What was refused, or stored before,
// does not count.
func (r *rates) count(b *data.Batch, at time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	events, messages := 0, 0
	for _, s := range b.Saves {
		if s.Err == nil && !s.Repeated {
			events += len(s.Events)
			messages += len(s.Messages)
		}
	}
	for _, o := range b.Resends {
		for _, resent := range o.Resent {
			if o.Err == nil && resent.Err == nil {
				messages++
			}
		}
	}
	step := int64(at / rateStep)
	r.events.add(step, events)
	r.messages.add(step, messages)
	for _, s := range b.Settles {
		if s.Err == nil {
			r.ended(s.Gateway, s.Next.State, at)
		}
	}
	for _, o := range b.Begins {
		for range o.GivenUp {
			r.ended(o.Gateway, data.Failed, at)
		}
		for _, late := range o.Overdue {
			r.ended(o.Gateway, late.State, at)
		}
	}
}

// ended counts a message that came to a state, if that is an end.
func (r *rates) ended(gateway string, state data.State, at time.Duration) {
	delivered := state == data.Delivered
	if !delivered && !state.Dead() {
		return
	}
	step, lane := int64(at/laneStep), r.lane(gateway, at)
	if delivered {
		r.delivered.add(int64(at/rateStep), 1)
	} else {
		r.failed.add(int64(at/rateStep), 1)
	}
	switch {
	case lane == nil:
	case delivered:
		lane.delivered.add(step, 1)
	default:
		lane.failed.add(step, 1)
	}
}

// lane returns the rate of a gateway, nil when there are too many. Then those of which
// nothing is left to tell make room, once in each step.
func (r *rates) lane(gateway string, at time.Duration) *laneRate {
	if known := r.lanes[gateway]; known != nil {
		return known
	}
	step := int64(at / laneStep)
	if len(r.lanes) >= maxLaneRates && r.cleared < step {
		r.cleared = step
		for name, l := range r.lanes {
			if max(l.delivered.newest, l.failed.newest) < step-laneSteps {
				delete(r.lanes, name)
			}
		}
	}
	if len(r.lanes) >= maxLaneRates {
		return nil
	}
	made := &laneRate{delivered: newRing(laneSteps), failed: newRing(laneSteps)}
	r.lanes[gateway] = made
	return made
}

// overall returns what happened, for httpapi.Summary.
func (r *rates) overall(at time.Duration) (httpapi.Rates, httpapi.History) {
	r.mu.Lock()
	defer r.mu.Unlock()
	step := int64(at / rateStep)
	h := httpapi.History{
		Step: rateStep, Events: r.events.past(step), Messages: r.messages.past(step),
		Delivered: r.delivered.past(step), Failed: r.failed.past(step),
	}
	return httpapi.Rates{
		Events: mean(h.Events), Messages: mean(h.Messages), Delivered: mean(h.Delivered), Failed: mean(h.Failed),
	}, h
}

// mean is how many there were per second at the end of a history.
func mean(past []uint32) float64 {
	sum := uint64(0)
	for _, n := range past[len(past)-rateOver:] {
		sum += uint64(n)
	}
	return float64(sum) / (rateOver * rateStep).Seconds()
}

// of returns what became of the messages of one gateway; false when it is not counted.
func (r *rates) of(gateway string, at time.Duration) (httpapi.History, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	step, lane := int64(at/laneStep), r.lanes[gateway]
	switch {
	case lane != nil:
		return httpapi.History{Step: laneStep, Delivered: lane.delivered.past(step), Failed: lane.failed.past(step)}, true
	case len(r.lanes) >= maxLaneRates:
		return httpapi.History{}, false
	}
	none := make([]uint32, laneSteps)
	return httpapi.History{Step: laneStep, Delivered: none, Failed: none}, true
}

// countedStore counts what is committed.
type countedStore struct {
	*badger.Store
	rates *rates
	began time.Time // its monotonic part counts
}

// Apply commits a batch and counts it.
func (s countedStore) Apply(b *data.Batch) error {
	err := s.Store.Apply(b)
	if err == nil {
		s.rates.count(b, time.Since(s.began))
	}
	return err
}
