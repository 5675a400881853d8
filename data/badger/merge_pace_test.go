package badger

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postrider/postrider/data"
)

// paced returns a pace with so many tables in the topmost level.
func paced(topmost *atomic.Int64) *mergePace {
	return &mergePace{topmost: func() int { return int(topmost.Load()) }, failed: make(chan struct{}), over: make(chan struct{})}
}

// late is how much longer a rest may take than it should.
const late = lookAgain

func TestMergesRest(t *testing.T) {
	const work = 30 * time.Millisecond
	for _, c := range []struct {
		name         string
		merges       int
		change       func(p *mergePace, topmost *atomic.Int64) // half a second after the beginning
		atLeast, end time.Duration
	}{
		{"one", 1, nil, restPerWork * work, restPerWork*work + late},
		{"all together take the share of one", 5, nil, 5 * restPerWork * work, 5*restPerWork*work + late},
		{"tables gather", 5, func(_ *mergePace, n *atomic.Int64) { n.Store(pressing) }, 500 * time.Millisecond, 500*time.Millisecond + late},
		{"all is merged at once", 5, func(p *mergePace, _ *atomic.Int64) { p.hurry(true) }, 500 * time.Millisecond, 500*time.Millisecond + late},
		{"the store fails", 5, func(p *mergePace, _ *atomic.Int64) { close(p.failed) }, 500 * time.Millisecond, 500 * time.Millisecond},
		{"the store is closed", 5, func(p *mergePace, _ *atomic.Int64) { p.end() }, 500 * time.Millisecond, 500 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var topmost atomic.Int64
				topmost.Store(pressing - 1)
				p := paced(&topmost)
				began := time.Now()
				var merges sync.WaitGroup
				for range c.merges {
					merges.Go(func() {
						p.said("[%d] "+tableMade+" %d keys. Skipped %d keys. Iteration took: %v", 0, uint64(1), uint64(0), work)
					})
				}
				if c.change != nil {
					time.Sleep(500 * time.Millisecond)
					synctest.Wait()
					c.change(p, &topmost)
				}
				merges.Wait()
				if took := time.Since(began); took < c.atLeast || took > c.end {
					t.Errorf("%d merges rest for %v; want %v to %v", c.merges, took, c.atLeast, c.end)
				}
			})
		})
	}
}

func TestMergesDoNotRestUnderPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var topmost atomic.Int64
		topmost.Store(pressing)
		p := paced(&topmost)
		began := time.Now()
		p.rest(time.Second)
		topmost.Store(0)
		p.hurry(true)
		p.rest(time.Second)
		if took := time.Since(began); took > 0 {
			t.Errorf("they rest for %v", took)
		}
		p.hurry(false)
		if p.rest(time.Second); time.Since(began) < restPerWork*time.Second {
			t.Error("they do not rest when nothing waits for them any more")
		}
	})
}

// TestMergesOfAStoreRest has Badger merge by itself, and waits for a rest.
func TestMergesOfAStoreRest(t *testing.T) {
	k := newKept(t)
	pace := k.pace.Load()
	for deadline := time.Now().Add(time.Minute); ; {
		k.record(data.NewEvent{Payload: string(make([]byte, 64<<10))})
		pace.mu.Lock()
		until := pace.until
		pace.mu.Unlock()
		if !until.IsZero() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no merge has rested")
		}
	}
	began := time.Now()
	k.close()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it takes %v to close a store whose merge rests", took)
	}
	k.reopen()
	k.verify()
}
