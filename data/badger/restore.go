package badger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"

	"github.com/postrider/postrider/data"
)

// restoring is the directory in which a restored store is made, inside the one it is
// for: that may be a mount, which nothing can be renamed to from beside it. As long as
// it is there no store is opened, so a restore that was cut off leaves none, whatever of
// it is in place; the next one begins anew.
const restoring = "restoring"

// Restored says what a restore made.
type Restored struct {
	Backup
	Events   uint64
	Messages [data.States]uint64 // those being sent are settled as cut off by the next start
}

// Restore makes a store of a backup, in a directory that is missing or empty; else it is
// a [data.ErrOccupied], a [data.ErrNoDirectory] or a [data.ErrInUse], and nothing is
// touched. Of the options only Memtable is not used: it is the backup's. What is cut off or
// changed is a [data.ErrBadBackup], and one of another version a [data.ErrNewerFormat] or [data.ErrOlderFormat];
// nothing is left of it then, nor after anything else that ends it early.
//
// The store is as it was, and what is different is what its first start sees to, as after
// a reboot: attempts under way are settled as cut off, and nothing that was waiting is due
// before a full interval after that. Ids go on in a new epoch.
//
// progress, if there is one, is told what was restored of the backup so far.
func Restore(ctx context.Context, o Options, in io.Reader, progress func(Backup)) (done Restored, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("restore into %s: %w", o.Path, err)
		}
	}()
	if err := o.validate(); err != nil {
		return done, err
	}
	if err := checkDirectory(o.Path); err != nil {
		return done, err
	}
	if err := checkUnlocked(o.Path); err != nil {
		return done, err
	}
	if err := checkVacant(o.Path); err != nil {
		return done, err
	}
	r, err := newBackupReader(in)
	if err != nil {
		return done, err
	}
	lockf, leave, err := occupy(o.Path)
	if err != nil {
		return done, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, leave())
		}
		err = errors.Join(err, lockf.Close())
	}()
	dir := filepath.Join(o.Path, restoring)
	defer func() {
		if err != nil {
			err = errors.Join(err, clearRestoring(o.Path))
		}
	}()
	if err := errors.Join(clearRestoring(o.Path), makeDir(dir)); err != nil {
		return done, err
	}
	f := &refill{o: o, in: r, progress: progress}
	if done, err = f.run(ctx, dir); err != nil {
		return done, err
	}
	return done, putInPlace(o.Path)
}

// occupy makes a directory for a store and takes it for this process. leave takes away
// what of it was not there before.
func occupy(path string) (lockf *os.File, leave func() error, err error) {
	made, err := missing(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			removeEmpty(made)
		}
	}()
	if err := makeDir(path); err != nil {
		return nil, nil, err
	}
	locked := filepath.Join(path, "lock")
	before, err := exists(locked)
	if err != nil {
		return nil, nil, err
	}
	if lockf, err = lock(path); err != nil {
		return nil, nil, err
	}
	leave = func() error {
		var err error
		if !before {
			err = os.Remove(locked) // those who wait for it find out, see lock
		}
		removeEmpty(made)
		return err
	}
	if err := checkVacant(path); err != nil { // somebody may have been faster
		return nil, nil, errors.Join(err, lockf.Close())
	}
	return lockf, leave, nil
}

// removeEmpty removes directories, as far as nothing is in them.
func removeEmpty(dirs []string) {
	for _, dir := range dirs {
		if os.Remove(dir) != nil {
			return // somebody else uses it now
		}
	}
}

// checkUnlocked reports whether somebody has a store open in a directory.
func checkUnlocked(path string) error {
	f, err := os.Open(filepath.Join(path, "lock"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = again(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = data.ErrInUse
	}
	return errors.Join(err, f.Close())
}

// checkDirectory refuses what cannot be a directory: it is something else, or lies below
// such a thing.
func checkDirectory(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("what is above it is %w", data.ErrNoDirectory)
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err == nil && !info.IsDir():
		return fmt.Errorf("it is there, and %w", data.ErrNoDirectory)
	}
	return err
}

// checkVacant reports why a store cannot be made in a directory.
func checkVacant(path string) error {
	files, err := os.ReadDir(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	begun, err := exists(filepath.Join(path, restoring))
	if err != nil {
		return err
	}
	for _, file := range files {
		name := file.Name()
		if name == "lock" || name == "lost+found" || begun && slices.Contains(append(storeFiles(), restoring), name) {
			continue
		}
		return fmt.Errorf("%s is there: %w", filepath.Join(path, name), data.ErrOccupied)
	}
	return nil
}

// storeFiles are what a restore puts in place. Without the last one nothing opens.
func storeFiles() []string { return []string{"badger", "acknowledged", "store.json"} }

// checkRestored refuses a directory into which a restore was cut off.
func checkRestored(path string) error {
	begun, err := exists(filepath.Join(path, restoring))
	if begun {
		err = fmt.Errorf("%s is there: %w", filepath.Join(path, restoring), data.ErrUnrestored)
	}
	return err
}

// clearRestoring removes what a restore made that did not get to its end, the mark of
// that last.
func clearRestoring(path string) error {
	begun, err := exists(filepath.Join(path, restoring))
	if err != nil || !begun {
		return err
	}
	for _, name := range append(storeFiles(), restoring) {
		if err := os.RemoveAll(filepath.Join(path, name)); err != nil {
			return err
		}
	}
	return syncDir(path)
}

// putInPlace takes a store from where it was made. It is one from the moment at which
// that directory is gone.
func putInPlace(path string) error {
	dir := filepath.Join(path, restoring)
	for _, name := range storeFiles() {
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(path, name)); err != nil {
			return err
		}
	}
	if err := syncDir(path); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return syncDir(path)
}

// refill fills a new store from a backup.
type refill struct {
	o        Options
	in       *backupReader
	progress func(Backup)

	s    *Store
	txn  *badger.Txn
	cost cost
}

// run makes the store in a directory, reads it again, and closes it.
func (f *refill) run(ctx context.Context, dir string) (done Restored, err error) {
	h := &f.in.header
	epoch := h.epoch + 1
	if h.epoch == math.MaxUint16 {
		return done, badBackup(fmt.Sprintf("epoch %d is the last", h.epoch))
	}
	o := f.o
	o.Path, o.Memtable = dir, h.Memtable
	f.s = newStore(o)
	f.s.stamp = stamp{Schema: schema, Memtable: h.Memtable, Ring: h.ring, Since: h.Commit + 1, Epoch: epoch}
	if err := f.s.openBadger(); err != nil {
		if f.s.Err() == nil {
			err = errors.Join(err, f.s.release())
		}
		return done, err
	}
	defer func() {
		if f.s.Err() == nil { // else nothing is flushed again
			err = errors.Join(err, f.s.Close())
		}
		if err == nil {
			err = f.finish(dir)
		}
	}()
	if err := f.records(ctx); err != nil {
		return done, err
	}
	if err := f.marker(epoch); err != nil {
		return done, err
	}
	done.Backup = h.Backup
	c, err := f.s.count(ctx)
	done.Events, done.Messages = c.events, c.messages
	if errors.Is(err, data.ErrDamaged) {
		err = fmt.Errorf("what is in it does not fit together: %w: %w", err, data.ErrBadBackup)
	}
	return done, err
}

// finish writes the files beside Badger's.
func (f *refill) finish(dir string) error {
	if err := writeDurably(filepath.Join(dir, "acknowledged"), encodeAcked(f.s.stamp.Since)); err != nil {
		return err
	}
	return f.s.stamp.write(filepath.Join(dir, "store.json"))
}

// records writes all of the backup's.
func (f *refill) records(ctx context.Context) error {
	f.begin()
	defer func() { f.txn.Discard() }()
	for {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		content, err := f.in.next()
		if err != nil {
			return err
		}
		if content == nil {
			return f.commit()
		}
		if err := f.in.eachRecord(content, f.record); err != nil {
			return err
		}
		if f.progress != nil {
			f.progress(f.in.header.Backup)
		}
	}
}

func (f *refill) begin() {
	f.txn = f.s.db.NewTransactionAt(f.s.versions.current(), true)
	f.cost = cost{}
}

func (f *refill) record(r backedUp) error {
	if len(r.value) > valueThreshold || len(r.key) > math.MaxUint8 || !slices.Contains(backedUpPrefixes(), r.key[0]) {
		return badBackup("a record in it is too long, or of no kind that is known")
	}
	price := cost{entries: 1, bytes: entryBytes + len(r.key) + len(r.value)}
	if sum := f.cost.plus(price); !sum.within(f.s.limit()) {
		if err := f.commit(); err != nil {
			return err
		}
		f.begin()
	}
	f.cost = f.cost.plus(price)
	e := badger.NewEntry(r.key, r.value)
	if r.left > 0 {
		e = e.WithTTL(time.Duration(min(r.left, uint64(data.KeyLife/time.Second))) * time.Second)
	}
	if err := f.txn.SetEntry(e); err != nil {
		return fmt.Errorf("write record %x: %w", r.key, err)
	}
	return nil
}

// commit writes what was collected, if there is room for it.
func (f *refill) commit() error {
	left, err := free(f.o.Path)
	if err != nil {
		return err
	}
	if left < f.o.MinFree {
		return fmt.Errorf("%d MiB are free and %d MiB must be: %w", left>>20, f.o.MinFree>>20, data.ErrNoSpace)
	}
	if err := f.s.commitTxn(f.txn, 0); err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	return f.s.Err() // Badger logs some failures instead of returning them
}

// marker writes the one commit marker that the store begins with. It is of no boot, so
// the first start is in doubt.
func (f *refill) marker(epoch uint16) error {
	h, now := f.in.header, f.o.Clock.Wall()
	next := data.RestoredID(epoch, now)
	m := marker{commit: f.s.stamp.Since, time: h.Time, next: next, wall: now.Truncate(time.Millisecond).UTC(), events: h.events, doubtful: next}
	k := markerKey(uint32(m.commit % uint64(h.ring)))
	f.begin()
	defer f.txn.Discard()
	if err := f.txn.Set(k, m.encode(k)); err != nil {
		return fmt.Errorf("write the marker: %w", err)
	}
	return f.commit()
}

// count reads the whole store, as it is now, and checks that it fits together.
func (s *Store) count(ctx context.Context) (*census, error) {
	c := newCensus()
	if err := s.scan([]byte{prefixLane}, nil, c.lane); err != nil {
		return c, err
	}
	for _, prefix := range backedUpPrefixes() {
		err := s.scan([]byte{prefix}, nil, func(k, v []byte) error {
			return errors.Join(context.Cause(ctx), c.add(k, v))
		})
		if err != nil {
			return c, err
		}
	}
	return c, c.check()
}
