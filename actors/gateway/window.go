package gateway

import (
	"cmp"
	"slices"
	"time"

	"github.com/postrider/postrider/data"
)

// How many references of each queue a lane holds. A lane begins with few, since
// most gateways get few messages and there may be many of them; one that empties
// its windows quickly gets larger ones, so that it reads the store less often.
const (
	leastWindow = 32
	mostWindow  = 512
)

// windows hold the beginnings of a lane's two queues. The queues themselves stay
// in the store, however long they are.
//
// Invariants:
//   - the ready window is the store's queue up to readyLast, without what was
//     claimed, and readyMore is true whenever the store may hold more behind it;
//   - every waiting message of the lane is in the waiting window or claimed, or
//     comes after waitingLast, and then waitingMore is true.
type windows struct {
	ready       []data.Ref // in the order of ids
	readyLast   data.ID    // the last one that was loaded
	readyMore   bool
	waiting     []data.Ref // in the order of due times
	waitingLast data.Ref   // how far the window goes, though it may be claimed empty
	waitingMore bool

	size        int            // of each window
	loadedAt    data.StoreTime // when the newest load was asked for
	loading     bool           // one load is under way
	loadWaiting bool           // the turn: whether the next load is of the waiting queue
	arrived     bool           // messages were accepted while loading
	outdated    bool           // what is being loaded was asked for before a reread
	returned    []data.Ref     // messages that went back to waiting while loading
	awaited     bool           // some message went back to waiting
}

// load is a wish for references: of the ready queue after an id, or of the
// waiting queue after a reference.
type load struct {
	waiting bool
	after   data.Ref
	limit   int
}

// wants says what to load, if anything. It must be answered with loaded. The
// queues take turns: with messages arriving all the time there is always a wish
// for the ready one.
func (w *windows) wants(now data.StoreTime) (load, bool) {
	if w.loading {
		return load{}, false
	}
	ready := w.readyMore && len(w.ready) < w.size/2
	waiting := w.waitingMore && len(w.waiting) < w.size/2
	if !ready && !waiting {
		return load{}, false
	}
	w.resize(now)
	w.loading = true
	if waiting && (w.loadWaiting || !ready) {
		w.loadWaiting = false
		return load{waiting: true, after: w.waitingLast, limit: w.size - len(w.waiting)}, true
	}
	w.loadWaiting, w.arrived = true, false
	return load{after: data.Ref{ID: w.readyLast}, limit: w.size - len(w.ready)}, true
}

// resize fits the windows to how fast they are emptied.
func (w *windows) resize(now data.StoreTime) {
	switch since := now.Sub(w.loadedAt); {
	case since < time.Second && w.loadedAt > 0:
		w.size = min(2*w.size, mostWindow)
	case since > 10*time.Second:
		w.size = max(w.size/2, leastWindow)
	}
	w.loadedAt = now
}

// loaded takes the answer to a wish; more says whether the queue goes on. What is
// known to be under way may still be in the answer, and is passed over.
func (w *windows) loaded(l load, refs []data.Ref, more bool, known func(data.Ref) bool) {
	w.loading = false
	if w.outdated {
		w.outdated, w.returned = false, w.returned[:0]
		return // the next loads have all of it
	}
	refs = slices.DeleteFunc(refs, func(r data.Ref) bool {
		if l.waiting {
			w.waitingLast = r
		} else {
			w.readyLast = max(w.readyLast, r.ID)
		}
		return known(r)
	})
	if l.waiting {
		w.waitingMore = more
		for _, r := range refs {
			w.insert(r)
		}
	} else {
		w.readyMore = more || w.arrived
		w.ready = append(w.ready, refs...)
	}
	// What came back to waiting since may have been too late for the answer.
	for _, r := range w.returned {
		w.await(r)
	}
	w.returned = w.returned[:0]
}

// accepted says that there are new messages in the store. Where those that are named
// follow what the window has they are put behind it, and need not be loaded.
func (w *windows) accepted(refs []data.Ref) {
	follows := len(refs) > 0 && refs[0].Prior == w.readyLast
	if w.loading || w.readyMore || !follows || len(w.ready)+len(refs) > w.size {
		w.readyMore, w.arrived = true, true
		return
	}
	w.ready = append(w.ready, refs...)
	w.readyLast = refs[len(refs)-1].ID
}

// returns says that a message waits again.
func (w *windows) returns(r data.Ref) {
	w.awaited = true
	if w.loading {
		w.returned = append(w.returned, r)
		return
	}
	w.await(r)
}

// await puts a reference into the waiting window, unless it is due behind the
// window and will be loaded when its time comes nearer.
func (w *windows) await(r data.Ref) {
	if w.waitingMore && compare(r, w.waitingLast) > 0 {
		return
	}
	w.insert(r)
	if len(w.waiting) > mostWindow {
		w.waiting = slices.Delete(w.waiting, mostWindow, len(w.waiting))
		w.waitingLast, w.waitingMore = w.waiting[mostWindow-1], true
	}
}

// reread has both queues read again from their beginnings: something may be there
// that nobody told.
func (w *windows) reread() {
	w.ready, w.readyLast, w.readyMore = nil, 0, true
	w.waiting, w.waitingLast, w.waitingMore = nil, data.Ref{}, true
	w.outdated = w.loading
}

func (w *windows) insert(r data.Ref) {
	if at, found := slices.BinarySearchFunc(w.waiting, r, compare); !found {
		w.waiting = slices.Insert(w.waiting, at, r)
	}
}

// restore puts back what was taken off the beginnings and was not begun. What
// comes behind what was loaded, since another incarnation took it, will be loaded.
func (w *windows) restore(refs []data.Ref) {
	for _, r := range slices.Backward(refs) {
		if r.Run == 0 {
			w.await(r)
			continue
		}
		if w.readyMore && r.ID > w.readyLast {
			continue
		}
		at, found := slices.BinarySearchFunc(w.ready, r.ID, func(r data.Ref, id data.ID) int { return cmp.Compare(r.ID, id) })
		if !found {
			w.ready = slices.Insert(w.ready, at, r)
		}
	}
}

// compare is the order of the waiting queue in the store.
func compare(a, b data.Ref) int {
	return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.ID, b.ID))
}
