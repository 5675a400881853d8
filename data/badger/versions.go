package badger

import (
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// versions are what Badger tells states of the store apart by. The store gives them
// itself: each commit is one more than the newest, and whoever reads has the state
// of the newest commit that is done. Left to Badger, every reader would wait for the
// commit under way, and every commit for four goroutines that keep count.
type versions struct {
	mu     sync.Mutex
	newest uint64         // of the newest commit that is done
	commit uint64         // its number; 0 until the first
	read   map[uint64]int // how many readers have which version
}

func newVersions(newest uint64) versions {
	return versions{newest: newest, read: make(map[uint64]int)}
}

// enter returns the version to read, which is kept until leave, and the number of its
// commit.
func (v *versions) enter() (version, commit uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.read[v.newest]++
	return v.newest, v.commit
}

// resume notes which commit was the newest when the store was opened.
func (v *versions) resume(commit uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.commit = commit
}

func (v *versions) leave(version uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.read[version]--; v.read[version] == 0 {
		delete(v.read, version)
	}
}

// done says that a commit is on disk, and returns the version before which nobody
// reads any more.
func (v *versions) done(version, commit uint64) (oldest uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.newest, v.commit = version, commit
	return v.least()
}

// oldest is the version before which nobody reads any more.
func (v *versions) oldest() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.least()
}

func (v *versions) least() uint64 {
	oldest := v.newest
	for version := range v.read {
		oldest = min(oldest, version)
	}
	return oldest
}

// current is the version of the newest commit that is done.
func (v *versions) current() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.newest
}

// snapshot runs a func on the store as it is at one moment.
func (s *Store) snapshot(run func(*badger.Txn) error) error {
	version, _ := s.versions.enter()
	defer s.versions.leave(version)
	return s.at(version, run)
}

// at runs a func on a version that somebody keeps.
func (s *Store) at(version uint64, run func(*badger.Txn) error) error {
	txn := s.db.NewTransactionAt(version, false)
	defer txn.Discard()
	return run(txn)
}

// commitTxn makes a transaction, the commit of a number, the newest state once it is on
// disk. One goroutine at a time does so.
func (s *Store) commitTxn(txn *badger.Txn, commit uint64) error {
	version := s.versions.current() + 1
	if err := txn.CommitAt(version, nil); err != nil {
		return err
	}
	s.db.SetDiscardTs(s.versions.done(version, commit))
	return nil
}
