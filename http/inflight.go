package httpapi

import (
	"context"
	"sync"
)

// inFlight counts the requests being handled, and lets no more in once closed.
// A sync.WaitGroup does not do: requests come in while somebody waits.
type inFlight struct {
	mu     sync.Mutex
	n      int
	closed bool
	idle   chan struct{} // made by close when it has to wait, closed by the last to leave
}

// enter counts a request in, or refuses it.
func (f *inFlight) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.n++
	return true
}

func (f *inFlight) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n--
	if f.n == 0 && f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
}

// close lets no more requests in and waits for those inside, at most until ctx
// ends. It returns how many are still inside.
func (f *inFlight) close(ctx context.Context) int {
	f.mu.Lock()
	f.closed = true
	if f.n > 0 && f.idle == nil {
		f.idle = make(chan struct{})
	}
	idle, n := f.idle, f.n
	f.mu.Unlock()
	if n == 0 {
		return 0
	}
	select {
	case <-idle:
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}
