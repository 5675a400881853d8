package badger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// Backup writes the store as it is at one moment, while commits go on: all that was
// acknowledged before it was called is in it, and of what comes meanwhile nothing. What
// it still has to read is neither pruned nor merged away, unless the disk gets nearly
// full: then it is given up with [data.ErrNoSpace]. It fails with
// [data.ErrDamaged] when what is stored does not fit together. A backup holds all that
// messages and events say.
//
// progress, if there is one, is told how many records and bytes were written.
func (s *Store) Backup(ctx context.Context, out io.Writer, progress func(entries, bytes int64)) error {
	pin, err := s.pin()
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	defer s.unpin(pin)
	b := &backup{s: s, pin: pin, census: newCensus(), examined: maxExamined, pace: pace{s: s, at: time.Now(), busy: s.busy.Load()}}
	h, err := b.header(pin.commit)
	if err == nil {
		err = s.readAt(pin.version, func(txn *badger.Txn) error { return scan(txn, []byte{prefixLane}, nil, b.census.lane) })
	}
	if err == nil {
		b.out, err = newBackupWriter(out, h)
	}
	for _, prefix := range backedUpPrefixes() {
		if err == nil {
			err = b.copy(ctx, prefix, progress)
		}
	}
	if err == nil {
		err = b.census.check()
	}
	if err == nil {
		err = b.out.end()
	}
	if err == nil && progress != nil {
		progress(b.out.entries, b.out.bytes)
	}
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	return nil
}

// backedUpPrefixes are those of the records that a restored store needs, in the order of
// the keys: it begins with a commit marker of its own.
func backedUpPrefixes() []byte {
	all := []byte{
		prefixEvents, prefixMessage, prefixText, prefixResent, prefixLane, prefixRun, prefixWaiting, prefixDone, prefixKey,
		prefixDeclare,
	}
	slices.Sort(all)
	return all
}

// backup is one that is being made. It reads piece by piece, and keeps nothing open in
// between: neither the tables that merges replace, nor a place in memory for a reader who
// takes his time.
type backup struct {
	s        *Store
	pin      *pin
	out      *backupWriter
	census   *census
	examined int // records of a piece, at most; most may be deleted ones
	pace     pace
}

func (b *backup) header(commit uint64) (h header, err error) {
	s := b.s
	h = header{Backup: Backup{Commit: commit, At: s.options.Clock.Wall(), Memtable: s.stamp.Memtable}, schema: schema, ring: s.stamp.Ring, epoch: s.stamp.Epoch}
	for _, t := range s.db.Tables() {
		h.About += int64(t.OnDiskSize)
	}
	if commit == 0 {
		return h, nil // nothing was ever stored
	}
	err = s.readAt(b.pin.version, func(txn *badger.Txn) error {
		k := markerKey(uint32(commit % uint64(s.stamp.Ring)))
		item, err := txn.Get(k)
		if err != nil {
			return fmt.Errorf("read the marker of commit %d: %w", commit, err)
		}
		return item.Value(func(v []byte) error {
			m, err := decodeMarker(k, v)
			if err == nil && m.commit != commit {
				err = damaged(k, "is not the marker of the newest commit")
			}
			h.Time, h.events, h.doubtful = m.time, m.events, m.doubtful
			h.epoch = max(h.epoch, m.next.Epoch())
			return err
		})
	})
	return h, err
}

// copy writes all records under a prefix.
func (b *backup) copy(ctx context.Context, prefix byte, progress func(entries, bytes int64)) error {
	var last []byte
	for {
		if err := errors.Join(context.Cause(ctx), b.s.Err()); err != nil {
			return err
		}
		began := time.Now()
		records, n, at, err := b.piece(prefix, last)
		// What was read of a moment that is lost may not fit together.
		if lost := b.s.kept(b.pin, b.out.bytes); lost != nil {
			return lost
		}
		if err != nil {
			return err
		}
		b.pace.rest(ctx, time.Since(began))
		if n > 0 {
			b.out.entries += int64(n)
			if err := b.out.frame(frameRecords, records); err != nil {
				return err
			}
			if progress != nil {
				progress(b.out.entries, b.out.bytes)
			}
		}
		if at == nil {
			return nil
		}
		last = at
	}
}

// piece reads the records behind a key, and says how many there are and behind which key
// to go on: nil at the end. Deleted ones are examined like all others, see pager.all.
func (b *backup) piece(prefix byte, last []byte) (records []byte, n int, at []byte, err error) {
	err = b.s.readAt(b.pin.version, func(txn *badger.Txn) error {
		o := badger.DefaultIteratorOptions
		o.Prefix = []byte{prefix}
		o.PrefetchValues = false
		o.AllVersions = true
		it := txn.NewIterator(o)
		defer it.Close()
		from := last
		if from == nil {
			from = o.Prefix
		}
		examined := 0
		for it.Seek(from); it.Valid(); it.Next() {
			item := it.Item()
			if bytes.Equal(item.Key(), last) {
				continue // an older version
			}
			if len(records) >= chunkSize || examined >= b.examined {
				at = last
				return nil
			}
			examined++
			last = append(last[:0:0], item.Key()...)
			if item.IsDeletedOrExpired() {
				continue
			}
			r := backedUp{key: last, left: b.left(item.ExpiresAt())}
			err := item.Value(func(v []byte) error {
				r.value = v
				records = appendRecord(records, r)
				return b.census.add(last, v)
			})
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return records, n, at, err
}

// left is how many seconds a record has left that expires at a Unix time.
func (b *backup) left(expires uint64) uint64 {
	if expires == 0 {
		return 0
	}
	return max(1, expires-min(expires, uint64(b.pin.began.Unix())))
}

// pace keeps a backup from taking the processors and the disk from the writer.
type pace struct {
	s    *Store
	at   time.Time
	busy int64 // of the writer, until then
}

// busyShare is the part of the time, one in so much, from which on the writer is busy.
const busyShare = 8

// restShare is how many times as long as a piece took the next one waits then. Measured
// on two cores that intake, its clients and the one of the backup share: with 1, intake
// falls to 0.6, with 4 to 0.83.
const restShare = 4

// rest waits after a piece while the writer is busy.
func (p *pace) rest(ctx context.Context, worked time.Duration) {
	now, busy := time.Now(), p.s.busy.Load()
	pressed := time.Duration(busy-p.busy) > now.Sub(p.at)/busyShare
	p.at, p.busy = now, busy
	if !pressed {
		return
	}
	wait := time.NewTimer(restShare * worked)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
}
