package persister

import (
	"errors"
	"fmt"
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

var errStuck = errors.New("the disk did not finish a commit in a minute")

// Watch knows how long the running commit has taken. The persister cannot say so
// itself, since it waits for the commit. begin and end are the persister's;
// anybody may ask.
type Watch struct {
	began atomic.Pointer[time.Time] // nil when no commit is running
	quit  chan struct{}
}

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

// start looks at the commit each second and calls failed, once, when it is hopeless.
func (w *Watch) start(failed func(error)) {
	quit := make(chan struct{})
	w.quit = quit
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			if w.took() >= deadAfter {
				failed(fmt.Errorf("%w: %w", data.ErrStorage, errStuck))
				return
			}
		}
	}()
}

func (w *Watch) stop() { close(w.quit) }
