package badger

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// unflushed returns what a store looks like whose last change of the manifest
// could not be flushed: the change is there, its tables are gone, and all is there
// that they were made of. before is a copy from before the change, after one from
// after it.
func unflushed(t *testing.T, before, after string) string {
	t.Helper()
	dir := copyStore(t, before)
	manifest := filepath.Join("badger", badger.ManifestFilename)
	if err := copyFile(filepath.Join(after, manifest), filepath.Join(dir, manifest)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A memtable becomes a table, and the manifest cannot be flushed.
func TestUnflushedTable(t *testing.T) {
	k := filled(t)
	before := copyStore(t, k.options.Path)
	k.close()
	dir := unflushed(t, before, k.options.Path)
	if got, want := openElsewhere(t, dir), openElsewhere(t, copyStore(t, k.options.Path)); got != want {
		t.Errorf("after the failure it is %s; want %s", got, want)
	}
	k.open() // for the end of the test
}

// Tables are merged, and the manifest cannot be flushed.
func TestUnflushedMerge(t *testing.T) {
	k := filled(t)
	flatten := func() {
		if err := k.flatten(); err != nil {
			t.Fatal(err)
		}
	}
	for range 6 { // a few tables, which are merged
		k.record(data.NewEvent{Type: "a"})
		k.reopen()
	}
	flatten()
	k.record(data.NewEvent{Type: "b"})
	k.reopen() // one more
	before := copyStore(t, k.options.Path)
	flatten()
	after := copyStore(t, k.options.Path)
	if n := len(lostTables(t, before, after)); n < 2 {
		t.Fatalf("%d tables were merged; want 2 at least", n)
	}
	dir := unflushed(t, before, after)
	if got, want := openElsewhere(t, dir), openElsewhere(t, copyStore(t, before)); got != want {
		t.Errorf("after the failure it is %s; want %s", got, want)
	}
}

// lostTables lists the tables that are in one copy and not in another.
func lostTables(t *testing.T, before, after string) (lost []string) {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(before, "badger", "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range tables {
		if there, err := exists(filepath.Join(after, strings.TrimPrefix(path, before))); err != nil {
			t.Fatal(err)
		} else if !there {
			lost = append(lost, path)
		}
	}
	return lost
}

// A table that is missing for another reason is damage, each of them.
func TestMissingTable(t *testing.T) {
	k := filled(t)
	k.close()
	source := copyStore(t, k.options.Path)
	k.open()
	tables, err := filepath.Glob(filepath.Join(source, "badger", "*.sst"))
	if err != nil || len(tables) < 2 {
		t.Fatalf("there are %d tables (%v); want 2 at least", len(tables), err)
	}
	for _, path := range tables {
		dir := copyStore(t, source)
		if err := os.Remove(filepath.Join(dir, strings.TrimPrefix(path, source))); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := openElsewhere(t, dir); got != data.ErrDamaged.Error() {
				t.Errorf("without %s it is %s; want %v", filepath.Base(path), got, data.ErrDamaged)
			}
		}
	}
}

func TestLastChange(t *testing.T) {
	head := "Bdgr\x00\x01\x00\x08"
	change := func(size byte) string {
		return "\x00\x00\x00" + string([]byte{size}) + "\x01\x02\x03\x04" + strings.Repeat("x", int(size))
	}
	for name, c := range map[string]struct {
		content string
		want    int
	}{
		"empty":     {"", 0},
		"none":      {head, 0},
		"one":       {head + change(3), 8},
		"two":       {head + change(3) + change(0), 19},
		"torn":      {head + change(3) + change(5)[:9], 8},
		"too short": {head + change(3) + "\x00\x00", 8},
	} {
		if got := lastChange([]byte(c.content)); got != c.want {
			t.Errorf("%s: lastChange(%q) = %d; want %d", name, c.content, got, c.want)
		}
	}
}

// A manifest that was written anew is one change. When a table of it is missing, the
// others stay where they are: somebody may have the one.
func TestMissingTableOfARewrittenManifest(t *testing.T) {
	k, want, _ := layered(t)
	k.close()
	path := filepath.Join(k.options.Path, "badger", badger.ManifestFilename)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := readTables(path)
	if err != nil || len(m.Tables) < 2 {
		t.Fatalf("the manifest has %d tables, %v; want some", len(m.Tables), err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(b[:manifestHead]); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(appendChange(f, opposite(m.Tables, nil)), f.Close()); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	away := tables[0] + ".away"
	if err := os.Rename(tables[0], away); err != nil {
		t.Fatal(err)
	}
	_, err = Open(k.options)
	wantErr(t, "Open", err, data.ErrDamaged)
	if err := os.Rename(away, tables[0]); err != nil {
		t.Fatal(err)
	}
	k.open()
	if got := len(k.everyEvent(data.EventQuery{Limit: 1000})); got != want {
		t.Errorf("with the table back, %d events are left of %d", got, want)
	}
}
