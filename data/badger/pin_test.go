package badger

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

// A reader who takes nothing any more does not keep what is deleted from being freed when
// the disk gets nearly full: his backup is given up before anything new is refused, and at
// once, not when he takes something.
func TestBackupIsGivenUpForSpace(t *testing.T) {
	const least = 8 << 20
	o := optionsIn(t.TempDir(), newMachine())
	o.MinFree = least
	var log bytes.Buffer
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))
	k := newKeptWith(t, o)
	k.send("gateway_1", texts(3000)...)
	for range 30 {
		k.send("gateway_1", string(bytes.Repeat([]byte("long "), 2000)))
	}
	var moment uint64
	w := &gate{meanwhile: func() {
		k.send("gateway_2", "meanwhile")
		if moment = k.versions.oldest(); moment == k.versions.current() {
			t.Error("a backup under way keeps nothing")
		}
		if _, _, underWay := k.BackingUp(); !underWay {
			t.Error("BackingUp() knows of no backup")
		}
		k.noteSpace(least + least/backupShare)
		if err := k.MayBackUp(); err != nil {
			t.Errorf("with just enough space: MayBackUp() = %v", err)
		}
		k.noteSpace(least + least/backupShare - 1)
		if err := k.Accepting(); err != nil {
			t.Errorf("Accepting() = %v; want the backup to be given up before that", err)
		}
		if oldest := k.versions.oldest(); oldest != k.versions.current() {
			t.Errorf("version %d is kept for a backup that is given up; want %d", oldest, k.versions.current())
		}
	}}
	wantErr(t, "backup", k.Backup(t.Context(), w, nil), data.ErrNoSpace)
	if moment == 0 {
		t.Error("the backup wrote nothing")
	}
	k.noteSpace(least)
	wantErr(t, "MayBackUp", k.MayBackUp(), data.ErrNoSpace)
	wantErr(t, "a second backup", k.Backup(t.Context(), new(bytes.Buffer), nil), data.ErrNoSpace)
	k.checkSpace()
	if err := k.MayBackUp(); err != nil {
		t.Errorf("with space again: MayBackUp() = %v", err)
	}
	r, _ := k.restored(k.backup())
	r.verify()
	if oldest := k.versions.oldest(); oldest != k.versions.current() {
		t.Errorf("when all is over version %d is kept; want %d", oldest, k.versions.current())
	}
	if !strings.Contains(log.String(), "a backup is given up") {
		t.Errorf("the log says %s; want it to say what was given up", log.String())
	}
}

// What a backup kept that is given up goes with the next merge, though nothing was
// committed since.
func TestMergeAfterABackupIsGivenUp(t *testing.T) {
	k := newKept(t)
	k.forget()
	p, err := k.pin()
	if err != nil {
		t.Fatal(err)
	}
	k.fail("gateway_3", "a", "b")
	k.machine().pass(day.Dead + time.Second)
	k.pruneAll(day, 1000)
	k.setTight(true)
	wantErr(t, "kept", k.kept(p, 0), data.ErrNoSpace)
	if err := k.merge(); err != nil {
		t.Fatal(err)
	}
	if n := k.graves(); n > 0 {
		t.Errorf("%d deletions are left", n)
	}
	k.unpin(p)
}

func TestBackingUp(t *testing.T) {
	k := sample(t)
	var seen int64
	w := writerFunc(func(p []byte) (int, error) {
		if began, written, underWay := k.BackingUp(); underWay && !began.IsZero() {
			seen = max(seen, written)
		}
		return len(p), nil
	})
	if err := k.Backup(t.Context(), w, nil); err != nil {
		t.Fatal(err)
	}
	if seen == 0 {
		t.Error("BackingUp() tells nothing of a backup under way")
	}
	if _, _, underWay := k.BackingUp(); underWay {
		t.Error("BackingUp() tells of a backup that is over")
	}
}

// Of several backups it is the one that has kept what was deleted for longest.
func TestBackingUpForLongest(t *testing.T) {
	k := newKept(t)
	var pins []*pin
	for range 3 {
		p, err := k.pin()
		if err != nil {
			t.Fatal(err)
		}
		p.began = time.Unix(1000+int64(len(pins)), 0)
		pins = append(pins, p)
	}
	for i, p := range pins {
		wantErr(t, "kept", k.kept(p, int64(i+10)), nil)
	}
	for i, p := range pins {
		if began, written, underWay := k.BackingUp(); !began.Equal(p.began) || written != int64(i+10) || !underWay {
			t.Errorf("BackingUp() = %v, %d, %v; want %v, %d", began, written, underWay, p.began, i+10)
		}
		k.unpin(p)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// What a backup keeps is not taken for freed, whether the merge begins before it or after.
func TestMergeKnowsOfBackups(t *testing.T) {
	k := newKept(t)
	k.send("gateway_1", "a")
	k.garbage.Store(leastGarbage)
	if !k.mergeable() {
		t.Fatal("a merge is not worth it")
	}
	p, err := k.pin()
	if err != nil {
		t.Fatal(err)
	}
	if k.mergeable() {
		t.Error("a merge begins while a backup keeps what it would free")
	}
	k.unpin(p)
	if !k.mergeable() {
		t.Error("no merge begins after the backup")
	}
	if k.freed(leastGarbage, 0) || k.garbage.Load() != leastGarbage {
		t.Error("what a backup kept that began during a merge is taken for freed")
	}
	if !k.freed(leastGarbage, 1) || k.garbage.Load() != 0 {
		t.Error("what no backup kept is not taken for freed")
	}
}
