package badger

import (
	"fmt"
	"sync"
	"time"

	"github.com/postrider/postrider/data"
)

// backupShare is what must be free beside MinFree for a backup, one in so many bytes of
// that: with less none is made, and one under way is given up. So it is before everything
// new is refused for want of space.
const backupShare = 8

// pins are the backups under way, and what each keeps on the disk. They are let go of
// when space gets short: not their readers but the next merge needs to know of that.
type pins struct {
	mu    sync.Mutex
	all   map[*pin]struct{}
	tight bool // there is no space for any
	begun int  // how many there were in all
}

// pin is the moment that a backup shows. All fields but the first two are under the
// mutex of pins.
type pin struct {
	version, commit uint64
	began           time.Time
	bytes           int64 // written until now
	lost            bool  // what was deleted since may be gone
}

// errTight is why a backup is not made, or not to its end.
func (s *Store) errTight() error {
	return fmt.Errorf("%d MiB are free and %d MiB must be for a backup, which keeps what is deleted: %w",
		s.left.Load()>>20, s.backupNeeds()>>20, data.ErrNoSpace)
}

// backupNeeds is how many bytes must be free for a backup.
func (s *Store) backupNeeds() int64 { return s.options.MinFree + s.options.MinFree/backupShare }

// MayBackUp returns [data.ErrNoSpace] while there is too little space for a backup.
func (s *Store) MayBackUp() error {
	s.pins.mu.Lock()
	defer s.pins.mu.Unlock()
	if s.pins.tight {
		return s.errTight()
	}
	return nil
}

// BackingUp says since when the oldest backup under way is made, and how many bytes of
// it are written; false when there is none.
func (s *Store) BackingUp() (began time.Time, written int64, underWay bool) {
	s.pins.mu.Lock()
	defer s.pins.mu.Unlock()
	for p := range s.pins.all {
		if !underWay || p.began.Before(began) {
			began, written, underWay = p.began, p.bytes, true
		}
	}
	return began, written, underWay
}

// pin keeps the newest state until unpin.
func (s *Store) pin() (*pin, error) {
	s.pins.mu.Lock()
	defer s.pins.mu.Unlock()
	if s.pins.tight {
		return nil, s.errTight()
	}
	p := &pin{began: time.Now()}
	p.version, p.commit = s.versions.enter()
	if s.pins.all == nil {
		s.pins.all = make(map[*pin]struct{})
	}
	s.pins.all[p] = struct{}{}
	s.pins.begun++
	return p, nil
}

func (s *Store) unpin(p *pin) {
	s.pins.mu.Lock()
	defer s.pins.mu.Unlock()
	s.letGo(p)
}

func (s *Store) letGo(p *pin) {
	if _, kept := s.pins.all[p]; kept {
		delete(s.pins.all, p)
		s.versions.leave(p.version)
	}
}

// kept notes how much is written, and fails when the moment is not kept any more. What
// was read between two calls of it that do not fail is of that moment.
func (s *Store) kept(p *pin, written int64) error {
	s.pins.mu.Lock()
	defer s.pins.mu.Unlock()
	p.bytes = written
	if p.lost {
		return s.errTight()
	}
	return nil
}

// setTight says whether there is too little space for backups. Those under way keep
// nothing from then on, however long their readers take to hear of it.
func (s *Store) setTight(tight bool) {
	s.pins.mu.Lock()
	defer s.pins.mu.Unlock()
	s.pins.tight = tight
	if !tight || len(s.pins.all) == 0 {
		return
	}
	for p := range s.pins.all {
		p.lost = true
		s.letGo(p)
		s.options.Logger.Error("a backup is given up: the disk is nearly full, and it keeps what is deleted",
			"free_mib", s.left.Load()>>20, "min_free_mib", s.options.MinFree>>20, "bytes", p.bytes, "took", time.Since(p.began))
	}
	s.db.SetDiscardTs(s.versions.oldest())
}

// pinned says whether a backup is under way, and how many have begun.
func (s *Store) pinned() (underWay bool, begun int) {
	s.pins.mu.Lock()
	defer s.pins.mu.Unlock()
	return len(s.pins.all) > 0, s.pins.begun
}
