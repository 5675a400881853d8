package ticker

import "time"

// pace decides when the next event goes out: one every interval, the first at
// once, and never two at a time. A tick that finds the last event still under
// way is missed.
type pace struct {
	interval time.Duration
	posting  bool
	missed   int
}

// tick says whether to send now, and how long to wait for the next tick.
func (p *pace) tick() (send bool, wait time.Duration) {
	if p.posting {
		p.missed++
		return false, p.interval
	}
	p.posting = true
	return true, p.interval
}

// done ends the event under way and returns how many ticks were missed for it.
func (p *pace) done() (missed int) {
	missed, p.posting, p.missed = p.missed, false, 0
	return missed
}
