package gateway

import "github.com/postrider/postrider/data"

// gate decides how many attempts may begin, whatever waits: none while the lane
// is drained, parked, paused or held, then first one and soon as many as the
// gateway's limit, at its rate.
type gate struct {
	limit    int            // attempts under way at once
	allowed  int            // of these for now: rises to the limit
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
	return min(min(g.allowed, g.limit)-underWay, tokens), wake
}

// full reports whether as many attempts are under way as may be.
func (g *gate) full(underWay int) bool { return underWay >= min(g.allowed, g.limit) }

// began takes note of attempts that begin.
func (g *gate) began(n int) { g.bucket.take(n) }

// hold closes the gate until a time, and reports whether it was open.
func (g *gate) hold(now, until data.StoreTime) (closed bool) {
	closed = now >= g.held && now < until
	if until > g.held {
		g.held = until
		g.allowed = 1
	}
	return closed
}

// ended takes the result of an attempt, and reports whether it closed the gate
// because there was no connection. Once the gate is open again each attempt that
// ends lets one more be under way, so a gateway that comes back is not met by
// everything at once, and one that does not costs few attempts.
func (g *gate) ended(now data.StoreTime, r data.Result) (closed bool) {
	if now >= g.held && !g.outage.holds() {
		g.allowed = min(g.allowed+1, g.limit)
	}
	if g.outage.ended(now, r) {
		g.allowed = 1
		return true
	}
	return false
}

// define changes the limits to those of another definition.
func (g *gate) define(d Definition) {
	if g.allowed >= g.limit {
		g.allowed = d.Concurrency
	}
	g.limit = d.Concurrency
	g.outage.after = d.HoldAfter
	if g.bucket.rate != d.Rate {
		g.bucket = newBucket(d.Rate, g.bucket.at)
	}
}
