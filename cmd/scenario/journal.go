package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// journal notes of numbered messages when each was sent, when its attempt was
// due, and when it started. Any goroutine may write, each time once.
type journal struct {
	begin   time.Time
	notes   []note
	refused atomic.Int64 // messages that were not accepted
	why     atomic.Value // the newest error of those
}

// note is three times, as nanoseconds since the journal's begin; 0 is never.
type note struct{ sent, due, started atomic.Int64 }

func newJournal(messages int) *journal {
	return &journal{begin: time.Now(), notes: make([]note, messages)}
}

// mark writes a time unless there is one.
func (j *journal) mark(at *atomic.Int64, t time.Time) { at.CompareAndSwap(0, int64(t.Sub(j.begin))) }

// ServeHTTP is the gateway of the journal: a request that comes is one that
// started.
func (j *journal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	if n, err := numberOf(r); err == nil && n < len(j.notes) {
		j.mark(&j.notes[n].started, now)
	}
	w.WriteHeader(http.StatusOK)
}

// desk is the gateway of one journal after the other.
type desk struct{ atomic.Pointer[journal] }

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.Load().ServeHTTP(w, r) }

// open begins a new journal.
func (d *desk) open(messages int) *journal {
	j := newJournal(messages)
	d.Store(j)
	return j
}

// maxOpen bounds how many requests of a stream wait for their answers.
const maxOpen = 1024

// stream sends all messages of the journal to a gateway, so many per second: an
// open loop, in which no answer that takes long keeps the next one from being
// sent. A message is due when its acceptance is answered, and never if it is
// refused.
func (j *journal) stream(ctx context.Context, c *rig.Child, gateway string, perSecond int) error {
	var sending sync.WaitGroup
	var open atomic.Int64
	begin := time.Now()
	for i := range j.notes {
		if err := rig.Wait(ctx, time.Until(begin.Add(time.Duration(i)*time.Second/time.Duration(perSecond)))); err != nil {
			return err
		}
		if open.Load() >= maxOpen {
			return fmt.Errorf("%d requests have no answer: the program cannot take %d per second", maxOpen, perSecond)
		}
		open.Add(1)
		sending.Go(func() {
			defer open.Add(-1)
			j.mark(&j.notes[i].sent, time.Now())
			_, err := c.Send(ctx, gateway, text(i))
			if err != nil {
				j.refused.Add(1)
				j.why.Store(err.Error())
				return
			}
			j.mark(&j.notes[i].due, time.Now())
		})
	}
	sending.Wait()
	return nil
}

// refusal says that messages were not accepted, and nil when all were.
func (j *journal) refusal() error {
	if n := j.refused.Load(); n > 0 {
		return fmt.Errorf("%d of %d messages were not accepted, the last with: %v", n, len(j.notes), j.why.Load())
	}
	return nil
}

// arrive waits until all that was due has started, for limit at most.
func (j *journal) arrive(ctx context.Context, limit time.Duration) error {
	err := rig.Until(ctx, "all messages have arrived", limit, 10*time.Millisecond, func() (bool, error) {
		return j.missing() == 0, nil
	})
	if n := j.missing(); n > 0 && err != nil {
		return fmt.Errorf("%w: %d of %d are missing", err, n, len(j.notes))
	}
	return err
}

func (j *journal) missing() (n int) {
	for i := range j.notes {
		if j.notes[i].due.Load() != 0 && j.notes[i].started.Load() == 0 {
			n++
		}
	}
	return n
}

// lateness returns from due to start, sorted. A start before it was due is
// negative: an answer may be read after the message is gone.
func (j *journal) lateness() []time.Duration {
	return j.spans(func(n *note) int64 { return n.due.Load() })
}

// latency returns from sending to start, sorted.
func (j *journal) latency() []time.Duration {
	return j.spans(func(n *note) int64 { return n.sent.Load() })
}

func (j *journal) spans(from func(*note) int64) (all []time.Duration) {
	for i := range j.notes {
		n := &j.notes[i]
		if start := n.started.Load(); start != 0 && n.due.Load() != 0 {
			all = append(all, time.Duration(start-from(n)))
		}
	}
	slices.Sort(all)
	return all
}

// throughput is how many messages started per second between two moments.
func (j *journal) throughput(from, to time.Time) float64 {
	n := 0
	for i := range j.notes {
		start := j.notes[i].started.Load()
		if start != 0 && start >= int64(from.Sub(j.begin)) && start < int64(to.Sub(j.begin)) {
			n++
		}
	}
	return float64(n) / to.Sub(from).Seconds()
}

var errNothing = errors.New("nothing was measured")

// percentile returns the value that a share of sorted values does not exceed, by
// nearest rank.
func percentile(sorted []time.Duration, share float64) time.Duration {
	rank := int(math.Ceil(share * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}

// median returns the middle of the values.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
