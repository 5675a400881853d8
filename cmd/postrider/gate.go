package main

import (
	"context"
	"sync"
)

// gate lets any number through side by side, or one alone: a lock for readers and a
// writer whose waiting a context ends. While the one waits for those inside, others
// wait for it, so it has its turn however many come. Its zero value is open.
type gate struct {
	mu     sync.Mutex
	inside int
	opens  chan struct{} // closed when the gate opens again; nil while it is open
	empty  chan struct{} // closed when nobody is inside; nil while nobody waits for that
}

// enter returns when the gate is open, and keeps it from being shut until leave. The
// error is the cause of ctx.
func (g *gate) enter(ctx context.Context) error {
	for {
		g.mu.Lock()
		opens := g.opens
		if opens == nil {
			g.inside++
			g.mu.Unlock()
			return nil
		}
		g.mu.Unlock()
		select {
		case <-opens:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.inside == 0 && g.empty != nil {
		close(g.empty)
		g.empty = nil
	}
}

// shut lets nobody in any more and returns when nobody is inside, until open. The error
// is the cause of ctx, and the gate is open then. One caller at a time may shut it.
func (g *gate) shut(ctx context.Context) error {
	g.mu.Lock()
	g.opens = make(chan struct{})
	if g.inside == 0 {
		g.mu.Unlock()
		return nil
	}
	empty := make(chan struct{})
	g.empty = empty
	g.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		g.open()
		return context.Cause(ctx)
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.opens)
	g.opens, g.empty = nil, nil
}
