package persister

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postrider/postrider/data"
)

// How long a commit may take before callers are refused, and before the process
// gives up on it.
const (
	stalledAfter = 10 * time.Second
	deadAfter    = 60 * time.Second
)

// look is how often a commit is looked at.
const look = time.Second

var errStuck = errors.New("the disk did not finish a commit in a minute")

// Watch knows how long the running commit has taken, and whether the persister
// has ended. The persister cannot say so itself, since it waits for the commit.
// begin and end are the persister's; anybody may ask.
type Watch struct {
	began atomic.Pointer[time.Time] // nil when no commit is running
	once  sync.Once
	over  chan struct{} // closed when nobody is answered any more
	why   error         // written before over is closed
}

// NewWatch returns the watch of a persister to come.
func NewWatch() *Watch { return &Watch{over: make(chan struct{})} }

// Stalled reports whether a commit takes so long that nothing new should wait
// behind it.
func (w *Watch) Stalled() bool { return w.took() >= stalledAfter }

func (w *Watch) took() time.Duration {
	if began := w.began.Load(); began != nil {
		return time.Since(*began)
	}
	return 0
}

func (w *Watch) begin() {
	now := time.Now()
	w.began.Store(&now)
}

func (w *Watch) end() { w.began.Store(nil) }

// Over says, once, that the persister will answer nobody any more. The persister
// does so when it has stopped, and its supervisor when it has failed.
func (w *Watch) Over(why error) {
	w.once.Do(func() {
		w.why = why
		close(w.over)
	})
}

// ended returns why nobody is answered any more, or nil.
func (w *Watch) ended() error {
	select {
	case <-w.over:
		return w.why
	default:
		return nil
	}
}

// start looks at the commit each second and calls failed, once, when it is hopeless.
func (w *Watch) start(failed func(error)) {
	go func() {
		tick := time.NewTicker(look)
		defer tick.Stop()
		var p patience
		for {
			select {
			case <-w.over:
				return
			case <-tick.C:
			}
			if p.over(w.began.Load()) {
				failed(fmt.Errorf("%w: %w", data.ErrStorage, errStuck))
				return
			}
		}
	}()
}

// patience is how often one commit was looked at. Its age alone says nothing: a
// process that stood still for an hour comes back to a commit that is an hour old
// and had no time at all. Looks that were missed meanwhile are not made up for.
type patience struct {
	commit *time.Time // nil for none
	looks  int        // at it, after the first
}

// over looks at the running commit, or nil, and reports whether it is hopeless.
func (p *patience) over(running *time.Time) bool {
	if running == nil || running != p.commit {
		*p = patience{commit: running}
		return false
	}
	p.looks++
	return p.looks >= int(deadAfter/look)
}
