// Package badger is the store of Postrider on Badger: the only writer of its
// files and the only place that knows a byte of their layout (keys.go and the
// record files). See [Store] for what may be called from where.
//
// What one life costs, in entries of the tree: an event is a share of one entry
// per commit. A message is one entry when it is accepted and one, the same key
// again, when it is settled; everything else about it (its place in the queue,
// the attempt under way, its place among the ended, the counts) is a share of
// one entry per lane and commit, of which a first attempt that begins in the commit
// that accepts its message needs one less. A message that waits for a retry adds one entry
// that is deleted when the next attempt begins. When its time is over, each message
// is deleted by one entry more, and the events of a commit by one for all.
package badger

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"golang.org/x/sys/unix"

	"github.com/postrider/postrider/data"
)

// Bounds of Options.Memtable.
const (
	DefaultMemtable = 16 << 20
	MinMemtable     = 8 << 20
	MaxMemtable     = 64 << 20
)

// valueThreshold keeps every value inside the tree: a failing flush of Badger's
// value log would only be logged.
const valueThreshold = 1 << 20

// tableSize is the size of all tables but those that memtables become. Badger builds
// up to a dozen at a time and keeps twice their size in memory for each: with its own
// choice, twice as large by level, that was half of all memory of a busy process.
const tableSize = 2 << 20

// Options say where and how a store is opened.
type Options struct {
	Path     string // directory of the store; made when missing
	MinFree  int64  // bytes of the disk to leave free; below it nothing new is accepted
	Memtable int64  // bytes, used when the store is created; 0 means DefaultMemtable
	// AcceptLoss opens a store that holds less than it acknowledged, or whose
	// queues do not fit its messages: the queues are made anew from what is there.
	AcceptLoss bool
	Clock      Clock
	Logger     *slog.Logger
	// Committed is told after each commit; it must be quick.
	Committed func(entries, bytes int, took time.Duration)
}

func (o Options) validate() error {
	var errs []error
	if o.Path == "" {
		errs = append(errs, errors.New("path is missing"))
	}
	if o.Memtable != 0 && (o.Memtable < MinMemtable || o.Memtable > MaxMemtable) {
		errs = append(errs, fmt.Errorf("memtable of %d bytes is not within %d and %d", o.Memtable, MinMemtable, MaxMemtable))
	}
	if o.Clock == nil || o.Logger == nil {
		errs = append(errs, errors.New("clock or logger is missing"))
	}
	return errors.Join(errs...)
}

// Store keeps events, messages and lanes. Apply is called by one goroutine at a
// time; all else may be called from any goroutine while the store is open.
type Store struct {
	options  Options
	stamp    stamp
	db       *badger.DB
	lockf    *os.File
	acked    *ackedFile
	versions versions
	pins     pins
	laying   *laying // nil until Badger is opened
	logs     logs    // newest is the writer's
	clock    *storeClock
	opened   data.StoreTime
	doubt    bool
	lossy    bool // a loss was accepted: the next start is in doubt too
	// doubtful is the id behind what was there when the store was last opened in doubt,
	// and doubted when that was, which may be some starts ago; 0 for never.
	doubtful data.ID
	doubted  data.StoreTime

	// The writer's state: what Apply needs of the store without reading it.
	newest  marker
	flights map[data.ID]*message // messages with an attempt under way
	fresh   fresh
	looked  time.Time       // when it last read the free space
	events  []data.NewEvent // empty; its memory is used for each group of events

	// What pruning begins with, also the writer's.
	delivered   shelves        // of delivered and cancelled messages
	dead        shelves        // of dead letters
	oldestEvent data.StoreTime // no event is older

	firstEvent atomic.Uint64 // id before which there is no event; for readers
	lastID     atomic.Uint64 // the newest id that was given; for readers

	merges *mergeGuard               // nil until Badger is opened
	pace   atomic.Pointer[mergePace] // nil until Badger is opened, which merges by then
	wrong  uint64                    // mismatches before that
	// What merging goes by.
	busy     atomic.Int64 // how long the writer was at work in all
	garbage  atomic.Int64 // bytes deleted since the last merge, about
	stepAt   time.Time    // when a step of a merge began, its goroutine's
	stepBusy int64        // busy at that time

	lanesMu  sync.RWMutex
	byName   map[string]*lane // fields other than number and gateway are the writer's
	byNumber []*lane          // lane n is at n-1

	low      atomic.Bool  // free space is below MinFree
	left     atomic.Int64 // free space when it was last read
	failure  atomic.Pointer[error]
	failed   chan struct{}
	stop     chan struct{}
	watching sync.WaitGroup
}

// Open opens the store, makes it if there is none, and brings it to a state as
// if the process had never ended: attempts that were under way are settled as
// unknown. The errors are [data.ErrInUse], [data.ErrDamaged],
// [data.ErrNewerFormat], [data.ErrOlderFormat], [data.ErrUnrestored],
// [data.ErrNoDirectory], [data.ErrNoSpace], or of the file system. After a
// [data.ErrStorage] the process must end: the store stays locked until then.
func Open(o Options) (*Store, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if o.Memtable == 0 {
		o.Memtable = DefaultMemtable
	}
	s := newStore(o)
	if err := s.open(); err != nil {
		// To close Badger is to flush again what could not be flushed. Only the end of
		// the process frees a store that has failed.
		if s.Err() == nil {
			err = errors.Join(err, s.release())
		}
		return nil, fmt.Errorf("open store in %s: %w", o.Path, err)
	}
	s.lastID.Store(uint64(s.newest.next - 1))
	s.checkSpace()
	s.watching.Go(s.watch)
	s.watching.Go(s.reclaim)
	s.watching.Go(s.fillLogs)
	return s, nil
}

func newStore(o Options) *Store {
	return &Store{
		options: o,
		flights: make(map[data.ID]*message),
		fresh:   newFresh(),
		byName:  make(map[string]*lane),
		failed:  make(chan struct{}),
		stop:    make(chan struct{}),
		logs:    logs{fill: make(chan string, 1)},
	}
}

// open does the work of Open; what it leaves behind when it fails is released.
func (s *Store) open() (err error) {
	o := s.options
	if err := checkDirectory(o.Path); err != nil {
		return err
	}
	if err := makeDir(o.Path); err != nil {
		return err
	}
	if s.lockf, err = lock(o.Path); err != nil {
		return err
	}
	if err := checkRestored(o.Path); err != nil {
		return err
	}
	left, err := free(o.Path)
	if err != nil {
		return err
	}
	if left < o.MinFree {
		return fmt.Errorf("%d MiB are free and %d MiB must be: %w", left>>20, o.MinFree>>20, data.ErrNoSpace)
	}
	acknowledged, err := s.prepare()
	if err != nil {
		return err
	}
	if err := s.openBadger(); err != nil {
		return err
	}
	if err := s.recover(acknowledged); err != nil {
		return classify(err)
	}
	return nil
}

func (s *Store) path(name string) string { return filepath.Join(s.options.Path, name) }

// prepare reads the files beside Badger's, or makes them for a new store, in an
// order that a crash at any point leaves a directory that can be made again.
func (s *Store) prepare() (acknowledged uint64, err error) {
	if s.stamp, err = s.prepareStamp(); err != nil {
		return 0, err
	}
	s.acked, acknowledged, err = openAcked(s.path("acknowledged"))
	if errors.Is(err, data.ErrDamaged) && s.options.AcceptLoss {
		if err := createAcked(s.path("acknowledged")); err != nil {
			return 0, err
		}
		s.acked, acknowledged, err = openAcked(s.path("acknowledged"))
	}
	return acknowledged, err
}

// prepareStamp reads the stamp, or makes it for a new store. Where a loss is
// accepted a stamp that is gone is made anew: a larger memtable is never wrong.
func (s *Store) prepareStamp() (stamp, error) {
	path := s.path("store.json")
	st, err := readStamp(path)
	made := newStamp(s.options.Memtable)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		used, err := exists(s.path("badger"))
		if err != nil {
			return st, err
		}
		if used && !s.options.AcceptLoss {
			return st, fmt.Errorf("%s is missing: %w", path, data.ErrDamaged)
		}
		if used {
			made = newStamp(MaxMemtable)
		} else if err := s.createAcked(); err != nil {
			return st, err
		}
	case errors.Is(err, data.ErrDamaged) && s.options.AcceptLoss:
		made = newStamp(MaxMemtable)
	default:
		return st, err
	}
	return made, made.write(path)
}

// createAcked makes the file of a new store. One that is there already is of a
// start that did not get far, or of a store of which nothing else is left.
func (s *Store) createAcked() error {
	path := s.path("acknowledged")
	if a, acknowledged, err := openAcked(path); err == nil {
		err := a.close()
		if acknowledged > 0 && !s.options.AcceptLoss {
			return errors.Join(err, fmt.Errorf("%s is there without a store: %w", path, data.ErrDamaged))
		}
	}
	return createAcked(path)
}

func (s *Store) openBadger() (err error) {
	dir := s.path("badger")
	o := badger.DefaultOptions(dir).
		WithSyncWrites(true).
		WithDetectConflicts(false).
		WithMemTableSize(s.stamp.Memtable).
		WithNumMemtables(numMemtables).
		WithNumCompactors(2).
		WithBaseTableSize(tableSize).
		WithValueThreshold(valueThreshold).
		WithValueLogFileSize(16 << 20).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(32 << 20).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithExternalMagic(schema).
		WithMetricsEnabled(false).
		WithLogger(badgerLog{s})
	o.TableSizeMultiplier = 1
	defer func() {
		// A store whose files were tampered with can make Badger panic.
		if r := recover(); r != nil {
			err = fmt.Errorf("badger: %s: %w", gaveUp(r), data.ErrDamaged)
		}
	}()
	manifest, err := checkFiles(dir, o)
	if err != nil {
		return classify(err)
	}
	s.wrong = mismatches.Load()
	s.merges = watchMerges(filepath.Join(dir, badger.ManifestFilename), manifest)
	watchMismatches()
	db, err := badger.OpenManaged(o)
	if err != nil {
		return classify(err) // what it returns then cannot be closed
	}
	s.pace.Store(newMergePace(db, s.failed))
	s.db, s.versions, s.laying = db, newVersions(db.MaxVersion()), lay(db)
	db.SetDiscardTs(s.versions.current()) // nobody reads an older state
	if err := errors.Join(s.findLog(), syncDir(s.options.Path)); err != nil {
		return err
	}
	// Badger goes on without a table that it cannot read, and only logs it.
	if err := s.Err(); err != nil && !ofMachine(err) {
		return fmt.Errorf("%w: %w", data.ErrDamaged, err)
	}
	return s.Err()
}

// Now is the store time.
func (s *Store) Now() data.StoreTime { return s.clock.now() }

// Memtable is the size in bytes of the store's write buffers, of which it has a few.
func (s *Store) Memtable() int64 { return s.stamp.Memtable }

// Tables is how many tables the store has; each takes a descriptor and a mapping.
func (s *Store) Tables() int { return len(s.db.Tables()) }

// Doubted says when the store was last opened in doubt, now or some starts ago: nothing
// that was waiting then may be tried before a full interval after that. It is false when
// it never was.
func (s *Store) Doubted() (at data.StoreTime, ever bool) { return s.doubted, s.doubted > 0 }

// Resumed says when the store was opened and whether the time that passed since
// it was closed is in doubt.
func (s *Store) Resumed() (at data.StoreTime, doubt bool) { return s.opened, s.doubt }

// Accepting returns why nothing new can be accepted now: [data.ErrNoSpace],
// [data.ErrStorage], or nil.
func (s *Store) Accepting() error {
	if err := s.Err(); err != nil {
		return err
	}
	if s.low.Load() {
		return data.ErrNoSpace
	}
	return nil
}

// Failed is closed when the store must not be used any more; Err says why.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Err returns the first failure of the store, a [data.ErrStorage], or nil.
func (s *Store) Err() error {
	if err := s.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// fail marks the store as failed. After a failed flush nobody knows what is on
// the disk, so nothing is written any more; the next start finds out.
func (s *Store) fail(err error) error {
	err = fmt.Errorf("%w: %w", data.ErrStorage, err)
	if s.failure.CompareAndSwap(nil, &err) {
		close(s.failed)
	}
	return err
}

// closeLimit bounds Close, since Badger hangs when it cannot write its tables.
const closeLimit = 20 * time.Second

// Close flushes and closes the store, once. No call may be under way.
func (s *Store) Close() error {
	close(s.stop)
	done := make(chan error, 1)
	go func() {
		s.watching.Wait()
		done <- s.release()
	}()
	late := time.After(closeLimit)
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err := <-done:
			if err := errors.Join(err, s.sound(s.wrong)); err != nil {
				return fmt.Errorf("close store: %w", err)
			}
			return nil
		case <-look.C:
			// Badger waits for a merge that has met a wrong block, and that does not end.
			if err := s.sound(s.wrong); err != nil {
				return fmt.Errorf("close store: %w", err)
			}
		case <-late:
			return fmt.Errorf("close store: not done after %v: %w", closeLimit, data.ErrStorage)
		}
	}
}

func (s *Store) closeBadger() error {
	s.laying.end()
	s.pace.Load().end()
	return s.db.Close()
}

func (s *Store) release() error {
	var errs []error
	if s.db != nil {
		errs = append(errs, s.closeBadger())
	}
	if s.merges != nil {
		s.merges.release()
	}
	if s.acked != nil {
		errs = append(errs, s.acked.close())
	}
	if s.lockf != nil {
		errs = append(errs, s.lockf.Close())
	}
	return errors.Join(errs...)
}

// machineErrors are what a healthy store can meet.
var machineErrors = []error{
	unix.EACCES, unix.EDQUOT, unix.EIO, unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOSPC, unix.EPERM, unix.EROFS,
}

// classify tells damage from errors of the machine. Badger puts only the text of
// an error into its own.
func classify(err error) error {
	for _, known := range []error{data.ErrDamaged, data.ErrNewerFormat, data.ErrOlderFormat, data.ErrStorage} {
		if errors.Is(err, known) {
			return err
		}
	}
	if ofMachine(err) {
		return err
	}
	return fmt.Errorf("%w: %w", data.ErrDamaged, err)
}

func ofMachine(err error) bool {
	return slices.ContainsFunc(machineErrors, func(known error) bool {
		return errors.Is(err, known) || strings.Contains(err.Error(), known.Error())
	})
}
