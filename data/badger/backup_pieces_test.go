package badger

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// A backup rests while the writer is busy, and for nobody who does not wait for it.
func TestPaceOfABackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Store{}
		p := pace{s: s, at: time.Now()}
		rests := func(ctx context.Context, worked time.Duration) time.Duration {
			began := time.Now()
			p.rest(ctx, worked)
			return time.Since(began)
		}
		for _, c := range []struct {
			about      string
			busy, want time.Duration
		}{
			{"idle", 0, 0},
			{"busy for its share", time.Second / busyShare, 0},
			{"busy for more", time.Second/busyShare + 1, restShare * time.Millisecond},
			{"idle again", 0, 0},
		} {
			time.Sleep(time.Second)
			s.busy.Add(int64(c.busy))
			if got := rests(t.Context(), time.Millisecond); got != c.want {
				t.Errorf("%s: it rests for %v; want %v", c.about, got, c.want)
			}
		}
		s.busy.Add(int64(time.Hour))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got := rests(ctx, time.Hour); got != 0 {
			t.Errorf("cancelled it rests for %v", got)
		}
	})
}

// A piece of a backup looks at so many records, deleted ones too, and behind each one the
// writer is asked for.
func TestPiecesOfABackup(t *testing.T) {
	k := newKept(t)
	const sent, most = 200, 10
	first, want := k.thin(sent)
	pin, err := k.pin()
	if err != nil {
		t.Fatal(err)
	}
	defer k.unpin(pin)
	b := &backup{s: k.Store, pin: pin, census: newCensus(), examined: most}
	found, empty := 0, 0
	for last, from := []byte(nil), first; ; {
		_, n, at, err := b.piece(prefixMessage, last)
		if err != nil {
			t.Fatal(err)
		}
		if found += n; n == 0 {
			empty++
		}
		if at == nil {
			break
		}
		id, ok := parseIDKey(at)
		if !ok || id >= from+most {
			t.Fatalf("a piece from %d on looks at what there is up to %d; want %d messages at most", from, id, most)
		}
		last, from = at, id+1
	}
	if found != len(want) || empty < sent/most/2 {
		t.Errorf("%d messages are found over %d empty pieces; want %d over those of deleted ones", found, empty, len(want))
	}
	b.census, b.pace = newCensus(), pace{s: k.Store, at: time.Now()}
	if b.out, err = newBackupWriter(io.Discard, header{}); err != nil {
		t.Fatal(err)
	}
	if err := b.copy(t.Context(), prefixMessage, nil); err != nil || b.out.entries != int64(len(want)) {
		t.Errorf("copy() = %v, of %d messages; want %d", err, b.out.entries, len(want))
	}
	if busy := k.busy.Load(); busy == 0 || b.pace.busy != busy {
		t.Errorf("the writer was busy for %d, and a backup knows of %d", busy, b.pace.busy)
	}
}

// A record never comes back for ever because it was over when it was backed up.
func TestLeftOfARecord(t *testing.T) {
	b := &backup{pin: &pin{began: time.Unix(1000, 0)}}
	for expires, want := range map[uint64]uint64{0: 0, 1: 1, 999: 1, 1000: 1, 1001: 1, 1002: 2, 87_400: 86_400} {
		if got := b.left(expires); got != want {
			t.Errorf("left(%d) = %d; want %d", expires, got, want)
		}
	}
}

// Who waits for a backup or a restore is told how far it is, to its end.
func TestProgress(t *testing.T) {
	k := sample(t)
	for range 40 {
		k.send("gateway_2", texts(500)...)
	}
	k.reopen() // makes a table, so there is something to guess by
	var b bytes.Buffer
	var told []Backup
	err := k.Backup(t.Context(), &b, func(entries, size int64) { told = append(told, Backup{Entries: entries, Bytes: size}) })
	if err != nil {
		t.Fatal(err)
	}
	info, err := CheckBackup(bytes.NewReader(b.Bytes()), nil)
	if err != nil || info.About == 0 {
		t.Fatalf("CheckBackup() = %+v, %v; want it to have said how much it was thought to become", info, err)
	}
	check := func(what string, told []Backup) {
		t.Helper()
		for i, now := range told[1:] {
			if now.Entries < told[i].Entries || now.Bytes <= told[i].Bytes {
				t.Errorf("%s: after %+v comes %+v", what, told[i], now)
			}
		}
		if len(told) < 3 || told[len(told)-1].Entries != info.Entries {
			t.Errorf("%s: it is told %d times, at last of %d records; want %d", what, len(told), told[len(told)-1].Entries, info.Entries)
		}
	}
	check("backup", told)
	if size := told[len(told)-1].Bytes; size != info.Bytes {
		t.Errorf("at last %d bytes are told; want %d", size, info.Bytes)
	}
	told = nil
	if _, err := Restore(t.Context(), restoreOptions(t, k.options.Clock), &b, func(now Backup) { told = append(told, now) }); err != nil {
		t.Fatal(err)
	}
	check("restore", told)
}

// What a store gives that fails meanwhile is no backup.
func TestBackupOfAStoreThatFails(t *testing.T) {
	k := sample(t)
	out := &gate{meanwhile: func() { _ = k.Store.fail(errors.New("input/output error")) }}
	wantErr(t, "backup", k.Backup(t.Context(), out, nil), data.ErrStorage)
	if out.meanwhile != nil {
		t.Error("nothing happened meanwhile")
	}
}

// A backup begins at the newest commit, whose marker says what a restored store needs.
func TestBackupWithoutItsMarker(t *testing.T) {
	k := sample(t)
	other := k.newest
	other.commit--
	slot := markerKey(uint32(k.newest.commit % uint64(k.stamp.Ring)))
	if err := k.change(func(txn *badger.Txn) error { return txn.Set(slot, other.encode(slot)) }); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "backup", k.Backup(t.Context(), io.Discard, nil), data.ErrDamaged)
}
