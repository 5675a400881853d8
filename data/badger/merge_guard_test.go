package badger

import (
	"os"
	"testing"

	"github.com/dgraph-io/badger/v4/table"
	"golang.org/x/sys/unix"

	"github.com/postrider/postrider/data"
)

// layered is a store with events in several tables that will be merged, and says
// which table is made next.
func layered(t *testing.T) (k *kept, events int, next uint64) {
	t.Helper()
	k = filled(t)
	for range 6 {
		k.record(data.NewEvent{Type: "a"})
		k.reopen()
	}
	if err := k.flatten(); err != nil {
		t.Fatal(err)
	}
	k.record(data.NewEvent{Type: "b"})
	k.reopen()
	for _, table := range k.db.Tables() {
		next = max(next, table.ID+1)
	}
	return k, len(k.everyEvent(data.EventQuery{Limit: 1000})), next
}

// TestMergeThatLosesATable has something in the way of tables that a merge makes:
// the merge fails the store, and the next start has all there was.
func TestMergeThatLosesATable(t *testing.T) {
	for _, c := range []struct {
		name string
		lost []uint64 // tables, from the next one
	}{
		{"one", []uint64{0}},
		{"all", []uint64{0, 1, 2, 3, 4, 5, 6, 7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, want, next := layered(t)
			var inTheWay []string
			for _, n := range c.lost {
				path := table.NewFilename(next+n, k.path("badger"))
				inTheWay = append(inTheWay, path)
				if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			wantErr(t, "flatten", k.flatten(), errTableLost)
			wantErr(t, "Err", k.Err(), data.ErrStorage)
			for _, path := range inTheWay {
				if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
			k.reopen()
			if got := len(k.everyEvent(data.EventQuery{Limit: 1000})); got != want {
				t.Errorf("%d events are left of %d", got, want)
			}
			k.verify()
			if err := k.flatten(); err != nil {
				t.Errorf("flatten() = %v, with nothing in the way", err)
			}
			k.reopen()
			if got := len(k.everyEvent(data.EventQuery{Limit: 1000})); got != want {
				t.Errorf("%d events are left of %d after the merge", got, want)
			}
		})
	}
}

// TestChangesAfterOneThatCouldNotBeFlushed has a merge fail at its manifest, and another
// one come after it: the next start has the tables from before.
func TestChangesAfterOneThatCouldNotBeFlushed(t *testing.T) {
	k, want, _ := layered(t)
	k.merges.mu.Lock()
	k.merges.flush = func(*os.File) error { return unix.EIO }
	k.merges.mu.Unlock()
	wantErr(t, "flatten", k.flatten(), unix.EIO)
	wantErr(t, "Err", k.Err(), data.ErrStorage)
	k.merges.mu.Lock()
	k.merges.flush = (*os.File).Sync
	k.merges.mu.Unlock()
	wantErr(t, "flatten", k.flatten(), unix.EIO)
	k.reopen()
	if got := len(k.everyEvent(data.EventQuery{Limit: 1000})); got != want {
		t.Errorf("%d events are left of %d", got, want)
	}
	k.verify()
}

func TestGoroutines(t *testing.T) {
	here, _ := goroutines()
	type pair struct{ now, before string }
	there := make(chan pair)
	go func() {
		now, before := goroutines()
		there <- pair{now, before}
	}()
	if got := <-there; here == "" || got.before != here || got.now == here || got.now == "" {
		t.Errorf("goroutines() = %+v in one that %q started", got, here)
	}
}
