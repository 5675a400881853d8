package egress

import (
	"context"
	"errors"
	"sync"
	"time"
)

// pool keeps connections that wait for a next request: the youngest of an
// endpoint is used first, the oldest of all goes when there are too many or its
// time is over. An endpoint without a connection costs nothing. It also counts
// the connections that are open, in use or not.
type pool struct {
	max     int
	timeout time.Duration
	open    chan struct{} // has a value for each open connection; nil for no bound

	mu             sync.Mutex
	top            map[endpoint]*conn // the youngest of each endpoint
	oldest, newest *conn
	count          int
	reaper         *time.Timer // nil while nothing waits
	wanted         int         // how many wait until another connection is closed
	closed         bool
	distrusted     map[endpoint]time.Time // until when none of it is kept
}

// newPool returns a pool of at most maxIdle connections. It leaves room for
// maxOpen in all; 0 means any number.
func newPool(maxIdle, maxOpen int, timeout time.Duration) *pool {
	p := &pool{max: maxIdle, timeout: timeout, top: map[endpoint]*conn{}, distrusted: map[endpoint]time.Time{}}
	if maxOpen > 0 {
		p.open = make(chan struct{}, maxOpen)
	}
	return p
}

// errNoRoom says that all connections that may be open were in use for too long.
var errNoRoom = errors.New("no connection came free")

// reserve makes room for one more open connection: it closes one that is kept,
// or waits until one is closed.
func (p *pool) reserve(ctx context.Context) error {
	if p.open == nil {
		return nil
	}
	for kept := true; kept; {
		select {
		case p.open <- struct{}{}:
			return nil
		default:
			kept = p.evict()
		}
	}
	defer p.unwant()
	select {
	case p.open <- struct{}{}:
		return nil
	case <-ctx.Done():
		return errNoRoom
	}
}

// release gives back what was reserved.
func (p *pool) release() {
	if p.open != nil {
		<-p.open
	}
}

// evict drops the oldest connection. Where there is none, those that come back
// are not kept from now on, until unwant is called.
func (p *pool) evict() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.oldest == nil {
		p.wanted++
		return false
	}
	p.drop(p.oldest)
	return true
}

func (p *pool) unwant() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted--
}

// take returns a connection whose time is not over, or nil.
func (p *pool) take(to endpoint) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.top[to]
	// After a standstill of the process the reaper may be late.
	if c == nil || time.Since(c.since) >= p.timeout {
		return nil
	}
	p.remove(c)
	return c
}

func (p *pool) put(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.wanted > 0 || p.distrusts(c.to) {
		c.close()
		return
	}
	if p.count == p.max {
		p.drop(p.oldest)
	}
	c.since = time.Now()
	if c.below = p.top[c.to]; c.below != nil {
		c.below.above = c
	}
	p.top[c.to] = c
	if c.older = p.newest; c.older != nil {
		c.older.newer = c
	} else {
		p.oldest = c
	}
	p.newest = c
	p.count++
	if p.reaper == nil {
		p.reaper = time.AfterFunc(p.timeout, p.reap)
	}
}

// distrustFor is how long connections of an endpoint that spoke out of turn are not
// kept: long enough to make it rare, short enough to forgive.
const distrustFor = 10 * time.Minute

// distrust drops the connections of an endpoint, and keeps none of it for a while.
func (p *pool) distrust(to endpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.distrusted[to] = time.Now().Add(distrustFor)
	for c := p.top[to]; c != nil; c = p.top[to] {
		p.drop(c)
	}
}

func (p *pool) distrusts(to endpoint) bool {
	until, is := p.distrusted[to]
	if is && time.Now().After(until) {
		delete(p.distrusted, to)
		return false
	}
	return is
}

// reap drops the connections whose time is over and comes back for the next.
func (p *pool) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.oldest != nil {
		if rest := p.timeout - time.Since(p.oldest.since); rest > 0 {
			p.reaper.Reset(rest)
			return
		}
		p.drop(p.oldest)
	}
	p.reaper = nil
}

// close drops all connections, and from now on each that is put back.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for p.oldest != nil {
		p.drop(p.oldest)
	}
	if p.reaper != nil {
		p.reaper.Stop()
	}
}

func (p *pool) drop(c *conn) {
	p.remove(c)
	c.close()
}

func (p *pool) remove(c *conn) {
	switch {
	case c.above != nil:
		c.above.below = c.below
	case c.below != nil:
		p.top[c.to] = c.below
	default:
		delete(p.top, c.to)
	}
	if c.below != nil {
		c.below.above = c.above
	}
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		p.oldest = c.newer
	}
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		p.newest = c.older
	}
	c.older, c.newer, c.below, c.above = nil, nil, nil, nil
	p.count--
}
