package egress

import "sync"

// recent is a map that keeps at most max values. What it drops is made anew when it
// is asked for again.
type recent[K comparable, V any] struct {
	max  int
	mu   sync.Mutex
	kept map[K]V
}

func newRecent[K comparable, V any](size int) *recent[K, V] {
	return &recent[K, V]{max: size, kept: map[K]V{}}
}

// get returns the value of a key, which is made when there is none.
func (r *recent[K, V]) get(key K, anew func() V) V {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v, ok := r.kept[key]; ok {
		return v
	}
	if len(r.kept) >= r.max {
		for any := range r.kept {
			delete(r.kept, any)
			break
		}
	}
	v := anew()
	r.kept[key] = v
	return v
}
