package actors

import (
	"sync"
	"time"

	"github.com/postrider/postrider/data"
)

// reads is the reading side of the store for lanes and their manager. They read
// beside their mailboxes, so a read can outlive its actor; but none may outlive
// the tree, since the store is closed then.
type reads struct {
	store  Store
	mu     sync.RWMutex // held for reading during each read
	closed bool
}

// close lets no more reads begin and waits for those under way. It is false when
// they took longer than limit.
func (r *reads) close(limit time.Duration) bool {
	done := make(chan struct{})
	go func() {
		r.mu.Lock()
		r.closed = true
		r.mu.Unlock()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-time.After(limit):
		return false
	}
}

// enter begins a read; leave ends it.
func (r *reads) enter() error {
	r.mu.RLock()
	if r.closed {
		r.mu.RUnlock()
		return data.ErrStopping
	}
	return nil
}

func (r *reads) leave() { r.mu.RUnlock() }

// Lanes returns every lane that was ever used.
func (r *reads) Lanes() ([]data.Lane, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	return r.store.Lanes()
}

// Lane returns one lane.
func (r *reads) Lane(gateway string) (data.Lane, error) {
	if err := r.enter(); err != nil {
		return data.Lane{}, err
	}
	defer r.leave()
	return r.store.Lane(gateway)
}

// Ready returns references to queued messages.
func (r *reads) Ready(gateway string, after data.ID, limit int) ([]data.Ref, bool, error) {
	if err := r.enter(); err != nil {
		return nil, false, err
	}
	defer r.leave()
	return r.store.Ready(gateway, after, limit)
}

// Waiting returns references to waiting messages.
func (r *reads) Waiting(gateway string, after data.Ref, limit int) ([]data.Ref, bool, error) {
	if err := r.enter(); err != nil {
		return nil, false, err
	}
	defer r.leave()
	return r.store.Waiting(gateway, after, limit)
}
