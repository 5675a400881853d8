package badger

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// Badger merges as fast as it can, several tables at a time, and on a few cores every
// commit beside that is late. Seldom does anything wait for a merge. So merges rest
// after each table, all of them together: they take a share of one core, as long as
// they keep up.
const (
	// restPerWork is for how long merges rest, in the time that they worked.
	restPerWork = 10
	// pressing is from how many tables of the topmost level on merges go on without
	// rest. Badger merges them when there are five, and lets the writer wait for it
	// when there are fifteen.
	pressing = 8
	// lookAgain is how often a rest looks whether something waits for it.
	lookAgain = 20 * time.Millisecond
)

// mergePace has the merges of one store rest.
type mergePace struct {
	topmost func() int    // tables of the topmost level
	failed  chan struct{} // closed when the store has failed
	over    chan struct{}
	once    sync.Once

	hurried atomic.Bool
	mu      sync.Mutex
	until   time.Time // when those rests end that are under way
}

func newMergePace(db *badger.DB, failed chan struct{}) *mergePace {
	return &mergePace{
		topmost: func() int { return db.Levels()[0].NumTables },
		failed:  failed,
		over:    make(chan struct{}),
	}
}

// said takes what Badger says for debugging, in the goroutine that merges: before it
// makes a table, how long it took to gather what is in it.
func (p *mergePace) said(format string, args ...any) {
	if !strings.Contains(format, tableMade) || len(args) < 4 {
		return
	}
	if took, ok := args[3].(time.Duration); ok {
		p.rest(took)
	}
}

// rest returns when it is time to go on after so much work.
func (p *mergePace) rest(worked time.Duration) {
	if p.pressed() {
		return
	}
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for until := p.add(restPerWork * worked); time.Now().Before(until) && !p.pressed(); {
		select {
		case <-tick.C:
		case <-p.failed:
			return
		case <-p.over:
			return
		}
	}
}

// add puts a rest behind those that are under way, and returns when it ends.
func (p *mergePace) add(rest time.Duration) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.until.Before(now) {
		p.until = now
	}
	p.until = p.until.Add(rest)
	return p.until
}

// pressed reports whether something waits for a merge.
func (p *mergePace) pressed() bool { return p.hurried.Load() || p.topmost() >= pressing }

// hurry has merges go on without rest, or ends that.
func (p *mergePace) hurry(on bool) { p.hurried.Store(on) }

// end ends all rests.
func (p *mergePace) end() { p.once.Do(func() { close(p.over) }) }
