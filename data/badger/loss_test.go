package badger

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// logOf returns the newest memtable log of a store, or the oldest.
func logOf(t *testing.T, dir string, newest bool) string {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "badger", "*.mem"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("there is no log, %v", err)
	}
	slices.Sort(logs)
	if newest {
		return logs[len(logs)-1]
	}
	return logs[0]
}

// cutLog takes away the last part of what a log holds.
func cutLog(t *testing.T, path string, keep float64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	used := len(b)
	for used > 0 && b[used-1] == 0 {
		used--
	}
	if err := os.Truncate(path, int64(float64(used)*keep)); err != nil {
		t.Fatal(err)
	}
}

func TestLossIsRefusedUntilItIsAccepted(t *testing.T) {
	losses := map[string]func(t *testing.T, dir string){
		"half of the log": func(t *testing.T, dir string) { cutLog(t, logOf(t, dir, true), 0.5) },
		"the last byte":   func(t *testing.T, dir string) { cutLog(t, logOf(t, dir, true), 0.9999) },
		"the whole log":   func(t *testing.T, dir string) { cutLog(t, logOf(t, dir, true), 0) },
		"all of it":       func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "badger")) },
		"the number":      func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "acknowledged")) },
		"the stamp":       func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "store.json")) },
		"all but a number": func(t *testing.T, dir string) {
			remove(t, filepath.Join(dir, "store.json"))
			remove(t, filepath.Join(dir, "badger"))
		},
	}
	for name, lose := range losses {
		for _, fill := range []func(k *kept){
			func(k *kept) { zoo(k) },
			func(k *kept) { // only events: no lane is there to be made anew
				for range 20 {
					k.record(data.NewEvent{Type: "a"})
				}
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				k := newKept(t)
				fill(k)
				greatest := k.newest.next - 1
				dir := copyStore(t, k.options.Path)
				lose(t, dir)
				acceptLoss(t, k, dir, greatest)
			})
		}
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// acceptLoss opens what is left of a store and checks that it is sound, that no
// id is given again, and that it opens without more ado from then on.
func acceptLoss(t *testing.T, whole *kept, dir string, greatest data.ID) {
	t.Helper()
	k := &kept{t: t, options: optionsIn(dir, whole.machine())}
	for range 2 {
		s, err := Open(k.options)
		wantErr(t, "Open", err, data.ErrDamaged)
		if err == nil {
			_ = s.Close()
			return
		}
	}
	k.options.AcceptLoss = true
	k.open()
	t.Cleanup(func() { k.close() })
	k.verify()
	for _, m := range k.every(data.MessageQuery{Limit: 1000}) {
		if want := whole.message(m.ID); m.Text != want.Text || m.Gateway != want.Gateway {
			t.Errorf("message %s is now %+v; it was %+v", m.ID, m, want)
		}
	}
	k.options.AcceptLoss = false
	k.reopen()
	k.verify()
	id := k.send("gateway_1", "new")
	if event := k.record(data.NewEvent{}); id <= greatest || event <= greatest || id.Epoch() == 0 {
		t.Errorf("new ids are %s and %s; want greater than %s", id, event, greatest)
	}
	k.reopen()
	k.state(id, data.Queued)
	for _, l := range []string{"gateway_1", "gateway_2"} {
		k.begin(l, k.ready(l, 0, 100)...)
		if left := k.ready(l, 0, 100); len(left) != 0 {
			t.Errorf("%d of %s cannot be taken", len(left), l)
		}
	}
	k.verify()
}

// TestEpochRisesAgain loses the very commits that told of the first loss.
func TestEpochRisesAgain(t *testing.T) {
	k := newKept(t)
	seen := map[data.ID]bool{k.record(data.NewEvent{}): true}
	for range 3 {
		k.close()
		remove(t, filepath.Join(k.options.Path, "badger"))
		k.options.AcceptLoss = true
		k.open()
		k.options.AcceptLoss = false
		for range 5 {
			if id := k.record(data.NewEvent{}); seen[id] {
				t.Fatalf("id %s was given twice", id)
			} else {
				seen[id] = true
			}
		}
	}
	k.verify()
}

// TestLossInTheMiddle takes away an older log, or its end, while later commits
// are there in a newer one.
func TestLossInTheMiddle(t *testing.T) {
	k := newKept(t)
	zoo(k)
	k.send("gateway_lost", "a lane of which nothing else tells")
	older := copyStore(t, k.options.Path)
	// Starting on a log turns it into a table and begins a newer log.
	k.close()
	k.options.Path = copyStore(t, older)
	k.open()
	k.send("gateway_later", "behind the gap")
	k.send("gateway_1", "behind the gap")
	newer := copyStore(t, k.options.Path)
	for _, name := range []string{"acknowledged", "badger/" + filepath.Base(logOf(t, newer, true))} {
		if err := copyFile(filepath.Join(newer, name), filepath.Join(older, name)); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := contentOf(k.Store)
	if got := found(copyStore(t, older)); got != whole || err != nil {
		t.Fatalf("a store with two logs: %s, %v; want %s", got, err, whole)
	}
	for name, lose := range map[string]func(path string){
		"deleted":   func(path string) { remove(t, path) },
		"truncated": func(path string) { cutLog(t, path, 0.7) },
		"emptied":   func(path string) { cutLog(t, path, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyStore(t, older)
			lose(logOf(t, dir, false))
			acceptLoss(t, k, dir, k.newest.next-1)
		})
	}
}

func TestFlightsOfLostMessagesAreForgotten(t *testing.T) {
	k := newKept(t)
	first := k.send("gateway_1", "a", "b")
	k.begin("gateway_1", k.ready("gateway_1", 0, 2)...)
	k.close()
	k.options.AcceptLoss = true
	k.open()
	for _, id := range []data.ID{first, first + 1} {
		m := k.message(id)
		if opened, doubt := k.Resumed(); m.State != data.Waiting || m.Due != opened.Add(time.Minute) || !doubt {
			t.Errorf("message %s is %+v; want it cut off", id, m)
		}
	}
	k.verify()
}

// TestManifestIsMissing must not be taken for a new store: Badger would delete
// what only the manifest can make sense of.
func TestManifestIsMissing(t *testing.T) {
	k := newKept(t)
	k.send("gateway_1", "hello")
	k.close()
	dir := filepath.Join(k.options.Path, "badger")
	manifest := filepath.Join(dir, "MANIFEST")
	if err := os.Rename(manifest, manifest+".away"); err != nil {
		t.Fatal(err)
	}
	before, _ := filepath.Glob(filepath.Join(dir, "*"))
	_, err := Open(k.options)
	wantErr(t, "Open", err, data.ErrDamaged)
	if after, _ := filepath.Glob(filepath.Join(dir, "*")); !slices.Equal(after, before) {
		t.Errorf("after the refusal the files are %v; want %v", after, before)
	}
	if err := os.Rename(manifest+".away", manifest); err != nil {
		t.Fatal(err)
	}
	k.open()
	k.verify()
}

// TestDoubtOutlivesALoss restarts soon after a loss was accepted: what was lost
// may be an attempt of a moment before it.
func TestDoubtOutlivesALoss(t *testing.T) {
	k := newKept(t)
	k.send("gateway_1", "hello")
	k.options.AcceptLoss = true
	k.close()
	remove(t, filepath.Join(k.options.Path, "acknowledged"))
	k.open()
	k.options.AcceptLoss = false
	k.reopen()
	if _, doubt := k.Resumed(); !doubt {
		t.Error("the start after the loss is not in doubt")
	}
}

// TestTextsThatAreLost takes away the texts of messages and leaves these: they are
// damage while nobody accepted it, and gone with them afterwards.
func TestTextsThatAreLost(t *testing.T) {
	k := newKept(t)
	long := strings.Repeat("x", inlineText+1)
	sent := k.send("gateway_1", long, "short", long, long)
	queued, short, kept := sent, sent+1, sent+2
	flying := k.send("gateway_2", long)
	k.begin("gateway_2", k.ready("gateway_2", 0, 1)...)
	err := k.change(func(txn *badger.Txn) error {
		return errors.Join(txn.Delete(textKey(queued)), txn.Delete(textKey(flying)))
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.Message(queued)
	wantErr(t, "Message", err, data.ErrDamaged)
	k.close()
	remove(t, filepath.Join(k.options.Path, "acknowledged"))
	k.options.AcceptLoss = true
	k.open()
	k.verify()
	for id, want := range map[data.ID]string{short: "short", kept: long} {
		if m := k.message(id); m.Text != want || m.State != data.Queued {
			t.Errorf("message %s is %v with %d bytes; want it queued with %d", id, m.State, len(m.Text), len(want))
		}
	}
	for _, id := range []data.ID{queued, flying} {
		if _, err := k.Message(id); !errors.Is(err, data.ErrNotFound) {
			t.Errorf("Message(%s) = %v; want %v", id, err, data.ErrNotFound)
		}
	}
	refs := k.ready("gateway_1", 0, 10)
	if len(refs) != 3 {
		t.Errorf("%d messages are ready; want 3", len(refs))
	}
	k.begin("gateway_1", refs...)
	k.verify()
}
