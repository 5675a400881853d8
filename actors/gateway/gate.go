package gateway

import "github.com/postrider/postrider/data"

// gate decides how many attempts may begin, whatever waits: none while the lane
// is drained, parked, paused or held, then first one and soon as many as the
// gateway's limit, at its rate.
type gate struct {
	limit    int            // attempts under way at once
	ramp     int            // of these for now, rising to the limit; 0 when it is there
	draining bool           // the process is to end
	parked   bool           // the gateway is not declared any more
	paused   bool           // by a person
	held     data.StoreTime // the gateway asked for none before
	outage   outage
	bucket   bucket
}

// shut reports whether nothing may begin, however long one waits: only an event
// can change that.
func (g *gate) shut() bool { return g.draining || g.parked || g.paused }

// closed reports whether nothing may begin at time now.
func (g *gate) closed(now data.StoreTime) bool {
	return g.shut() || now < g.held || g.outage.holds()
}

// room returns how many attempts may begin beside those under way. When that is
// none for a reason that time ends, wake says when.
func (g *gate) room(now data.StoreTime, underWay int) (n int, wake data.StoreTime) {
	switch {
	case g.shut() || g.outage.holds():
		return 0, data.Never
	case now < g.held:
		return 0, g.held
	}
	if g.full(underWay) {
		return 0, data.Never
	}
	tokens, wake := g.bucket.has(now)
	return min(g.most()-underWay, tokens), wake
}

// full reports whether as many attempts are under way as may be.
func (g *gate) full(underWay int) bool { return underWay >= g.most() }

func (g *gate) most() int {
	if g.ramp > 0 {
		return min(g.ramp, g.limit)
	}
	return g.limit
}

// began takes note of attempts that begin.
func (g *gate) began(n int) { g.bucket.take(n) }

// hold closes the gate until a time, and reports whether it was open.
func (g *gate) hold(now, until data.StoreTime) (closed bool) {
	closed = now >= g.held && now < until
	if now < until {
		g.held = max(g.held, until)
		g.ramp = 1
	}
	return closed
}

// ended takes the result of an attempt, and reports whether it closed the gate
// because there was no connection. Once the gate is open again each attempt that
// ends lets one more be under way, so a gateway that comes back is not met by
// everything at once, and one that does not costs few attempts.
func (g *gate) ended(now data.StoreTime, r data.Result) (closed bool) {
	if g.ramp > 0 && now >= g.held && !g.outage.holds() {
		g.ramp++
	}
	if g.ramp >= g.limit {
		g.ramp = 0
	}
	closed = g.outage.ended(now, r)
	if g.outage.holds() || now < g.held {
		g.ramp = 1
	}
	return closed
}

// define changes the limits to those of another definition.
func (g *gate) define(d Definition) {
	g.limit = d.Concurrency
	g.outage.after = d.HoldAfter
	if g.outage.holds() {
		g.ramp = 1
	}
	if g.bucket.rate != d.Rate {
		g.bucket = newBucket(d.Rate, g.bucket.at)
	}
}
