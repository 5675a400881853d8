package badger

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// rewritten makes a backup of another one, with a header and records that are changed and
// with everything else as it must be.
func rewritten(t testing.TB, backup []byte, change func(*header, []backedUp) []backedUp) []byte {
	t.Helper()
	r, err := newBackupReader(bytes.NewReader(backup))
	if err != nil {
		t.Fatal(err)
	}
	var all []backedUp
	for {
		content, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		if content == nil {
			break
		}
		if err := r.eachRecord(content, func(one backedUp) error { all = append(all, one); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	all = change(&r.header, all)
	slices.SortFunc(all, func(a, b backedUp) int { return bytes.Compare(a.key, b.key) })
	var b bytes.Buffer
	w, err := newBackupWriter(&b, r.header)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		w.entries++
		if err := w.frame(frameRecords, appendRecord(nil, one)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.end(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// refusesRestore wants a restore to be refused, with nothing left of it.
func refusesRestore(t *testing.T, what string, backup []byte, want ...error) {
	t.Helper()
	o := restoreOptions(t, newMachine())
	_, err := Restore(t.Context(), o, bytes.NewReader(backup), nil)
	for _, want := range want {
		wantErr(t, "restore "+what, err, want)
	}
	if _, err := os.Stat(o.Path); !os.IsNotExist(err) {
		files, _ := filepath.Glob(filepath.Join(o.Path, "*"))
		t.Errorf("restore %s left %v, %v", what, files, err)
	}
}

// A backup holds keys as they are, so it can be restored only by a program that has them in the same order.
func TestBackupOfAStoreOfAnotherFormat(t *testing.T) {
	r, err := newBackupReader(bytes.NewReader(sample(t).backup()))
	if err != nil {
		t.Fatal(err)
	}
	for format, want := range map[int]error{schema - 1: data.ErrOlderFormat, schema + 1: data.ErrNewerFormat, 0: data.ErrBadBackup} {
		var b bytes.Buffer
		h := r.header
		h.schema = format
		if _, err := newBackupWriter(&b, h); err != nil {
			t.Fatal(err)
		}
		restoresNot(t, fmt.Sprintf("a backup of a store of format %d", format), b.Bytes(), want)
	}
}

// What is whole as a file and does not fit together is refused all the same.
func TestBackupThatDoesNotFitTogether(t *testing.T) {
	k := sample(t)
	id := k.send("gateway_3", "a")
	whole := k.backup()
	for what, key := range map[string][]byte{
		"a message": messageKey(id),
		"a run":     runKey(k.Store.lane("gateway_3").number, id),
		"a lane":    laneKey(k.Store.lane("gateway_3").number),
	} {
		without := rewritten(t, whole, func(_ *header, all []backedUp) []backedUp {
			return slices.DeleteFunc(all, func(one backedUp) bool { return bytes.Equal(one.key, key) })
		})
		refusesRestore(t, "without "+what, without, data.ErrDamaged, data.ErrBadBackup)
	}
}

// Nothing comes into a store that no backup has, whoever wrote it.
func TestBackupWithWhatIsNoRecord(t *testing.T) {
	whole := sample(t).backup()
	with := func(what string, one backedUp) {
		t.Helper()
		changed := rewritten(t, whole, func(_ *header, all []backedUp) []backedUp { return append(all, one) })
		refusesRestore(t, "with "+what, changed, data.ErrBadBackup)
	}
	with("a kind that is not known", backedUp{key: []byte("~"), value: []byte("x")})
	with("a commit marker", backedUp{key: markerKey(1), value: []byte("x")})
	sealed := func(key []byte, size int) backedUp {
		return backedUp{key: key, value: seal(key, append([]byte{recordVersion}, make([]byte, size-1)...))}
	}
	with("a value that is too long", sealed(textKey(1), valueThreshold+1))
	with("a key that is too long", sealed(append([]byte{prefixText}, make([]byte, math.MaxUint8)...), sealSize))
	last := rewritten(t, whole, func(h *header, all []backedUp) []backedUp {
		h.epoch = math.MaxUint16
		return all
	})
	refusesRestore(t, "after which no ids are left", last, data.ErrBadBackup)
}

// What is more than one transaction takes is restored by several.
func TestRestoreOfManyTransactions(t *testing.T) {
	k := newKept(t)
	for range 5 {
		k.send("gateway_1", slices.Repeat([]string{strings.Repeat("x", 100<<10)}, 10)...)
	}
	r, done := k.restored(k.backup())
	r.verify()
	if done.Messages[data.Queued] != 50 {
		t.Errorf("restored is %+v; want 50 messages", done)
	}
}

// expires is when a record does so, as a Unix time.
func (k *kept) expires(key []byte) (at uint64) {
	k.t.Helper()
	err := k.snapshot(func(txn *badger.Txn) error {
		item, err := txn.Get(key)
		if err == nil {
			at = item.ExpiresAt()
		}
		return err
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return at
}

// An idempotency key is remembered as long as it would have been, and no backup makes that
// longer than any is.
func TestRestoredKeysExpire(t *testing.T) {
	k := sample(t)
	key := idempotencyKey([32]byte{1})
	backup := k.backup()
	began := time.Now()
	r, _ := k.restored(backup)
	took := uint64(time.Since(began)/time.Second) + 2
	if was, is := k.expires(key), r.expires(key); is+1 < was || is > was+took {
		t.Errorf("a key that expires at %d does so at %d when it is restored", was, is)
	}
	longer := rewritten(t, backup, func(_ *header, all []backedUp) []backedUp {
		for i := range all {
			if all[i].left > 0 {
				all[i].left = 1000 * all[i].left
			}
		}
		return all
	})
	r, _ = k.restored(longer)
	if most := uint64(time.Now().Add(data.KeyLife).Unix()) + 1; r.expires(key) > most {
		t.Errorf("a restored key expires at %d; want %d at most", r.expires(key), most)
	}
}

// Ids go on in a new epoch, whichever of the two places knows of the newest.
func TestRestoreGoesOnBehindTheNewestEpoch(t *testing.T) {
	k := sample(t)
	first, _ := k.restored(k.backup())
	first.send("gateway_1", "in epoch 1")
	first.stamp.Epoch = 0
	second, _ := first.restored(first.backup())
	if id := second.send("gateway_1", "a"); id.Epoch() != 2 {
		t.Errorf("a new id is of epoch %d; want 2", id.Epoch())
	}
}

// Badger only logs some failures, and what it could not write then is not restored.
func TestRestoreHearsOfFailures(t *testing.T) {
	k := newKept(t)
	f := &refill{o: k.options, s: k.Store}
	f.begin()
	_ = k.Store.fail(errors.New("input/output error"))
	wantErr(t, "commit", f.commit(), data.ErrStorage)
}

// Somebody may make a store while a restore looks whether there is one.
func TestOccupyFindsWhoWasFaster(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "store.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := occupy(dir)
	wantErr(t, "occupy", err, data.ErrOccupied)
	lockf, err := lock(dir)
	if err != nil {
		t.Fatalf("after that lock() = %v", err)
	}
	if err := lockf.Close(); err != nil {
		t.Error(err)
	}
}
