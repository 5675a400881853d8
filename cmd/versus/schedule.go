package main

import (
	"math"
	"time"
)

// schedule says when the requests of an open loop are due: evenly, at a rate,
// whatever becomes of the earlier ones. A request that cannot leave when it is
// due is late, and its time counts from when it was due.
type schedule struct {
	rate float64 // per second
	span time.Duration
}

// total is how many requests there are.
func (s schedule) total() int { return int(math.Ceil(s.rate * s.span.Seconds())) }

// due is when a request is due, after the start; the first is due at once.
func (s schedule) due(n int) time.Duration {
	return time.Duration(float64(n) / s.rate * float64(time.Second))
}

// next says, so long after the start and with so many sent, how many are due now,
// and how long to wait for the one after them. It is over when nothing is left.
func (s schedule) next(elapsed time.Duration, sent int) (now int, wait time.Duration, over bool) {
	total := s.total()
	if sent >= total {
		return 0, 0, true
	}
	through := min(total, int(elapsed.Seconds()*s.rate)+1)
	for through < total && s.due(through) <= elapsed {
		through++ // the product was rounded down
	}
	now = max(0, through-sent)
	if sent+now >= total {
		return now, 0, false
	}
	return now, max(0, s.due(sent+now)-elapsed), false
}
