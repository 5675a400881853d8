package httpapi

import (
	"context"
	"sync"
	"time"
)

// patience is how long requests wait for the store. Those that begin at about the
// same time wait with one context: a timer for each, set and never needed, costs
// more than all else that a request does before it is stored.
type patience struct {
	limit time.Duration

	mu     sync.Mutex
	until  time.Time          // when no request joins any more
	ctx    context.Context    //nolint:containedctx // shared on purpose
	forget context.CancelFunc // of ctx; never called, since others may still wait with it
}

// shares is how many parts the limit is cut into: requests that begin within one of
// them wait together, the first for that much more than the limit.
const shares = 64

// context ends after the limit, or up to a part of it later.
func (p *patience) context() context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if !now.Before(p.until) {
		part := p.limit / shares
		p.until = now.Add(part)
		p.ctx, p.forget = context.WithDeadline(context.Background(), p.until.Add(p.limit))
	}
	return p.ctx
}
