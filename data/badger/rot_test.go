package badger

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4/fb"

	"github.com/postrider/postrider/data"
)

// rot changes a byte in every block of a store's tables, under Badger's feet.
func rot(t *testing.T, dir string) (tables map[string][]byte) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "badger", "*.sst"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no tables, %v", err)
	}
	tables = map[string][]byte{}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := 200; at < len(b)*3/4; at += 1000 {
			b[at] ^= 1
		}
		overwrite(t, path, 0, b)
		tables[path] = b
	}
	return tables
}

// TestBlocksThatRotWhileOpen reads what a disk has lost since Open compared the
// checksums: no reader takes it for a record that was never there.
func TestBlocksThatRotWhileOpen(t *testing.T) {
	for name, read := range map[string]func(s *Store, message, event data.ID) error{
		"message":  func(s *Store, id, _ data.ID) error { _, err := s.Message(id); return err },
		"event":    func(s *Store, _, id data.ID) error { _, err := s.Event(id); return err },
		"messages": func(s *Store, _, _ data.ID) error { _, err := s.Messages(data.MessageQuery{Limit: 100}); return err },
		"queue": func(s *Store, _, _ data.ID) error {
			_, err := s.Messages(data.MessageQuery{Gateway: "gateway_1", Limit: 100})
			return err
		},
		"events":         func(s *Store, _, _ data.ID) error { _, err := s.Events(data.EventQuery{Limit: 100}); return err },
		"messages below": func(s *Store, _, _ data.ID) error { _, _, err := s.MessagesBelow(0, 100); return err },
		"events below":   func(s *Store, _, id data.ID) error { _, _, err := s.EventsBelow(id, "", 100); return err },
		"made":           func(s *Store, _, id data.ID) error { _, _, err := s.Made(id, 100); return err },
		"ready":          func(s *Store, _, _ data.ID) error { _, _, err := s.Ready("gateway_1", 0, 10); return err },
		"lanes":          func(s *Store, _, _ data.ID) error { _, err := s.Lanes(); return err },
		"answer": func(s *Store, _, _ data.ID) error {
			_, _, _, err := s.Answered(data.IdempotencyKey{Key: [32]byte{1}})
			return err
		},
		"save with a key": func(s *Store, _, _ data.ID) error {
			key := &data.IdempotencyKey{Key: [32]byte{1}}
			return s.Apply(&data.Batch{Saves: []*data.Save{{Key: key, Events: []data.NewEvent{{Type: "again"}}}}})
		},
		"cancel": func(s *Store, id, _ data.ID) error {
			return s.Apply(&data.Batch{Cancels: []*data.Cancel{{ID: id}}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := &kept{t: t, options: optionsIn(t.TempDir(), newMachine())}
			k.open()
			key := &data.IdempotencyKey{Key: [32]byte{1}}
			k.apply(&data.Batch{Saves: []*data.Save{{Key: key, Events: []data.NewEvent{{Type: "first"}}}}})
			message := k.send("gateway_1", "a text", "another")
			event := k.record(data.NewEvent{Type: "type", Payload: "payload"})
			k.reopen() // which makes a table of it
			rot(t, k.options.Path)
			wantErr(t, name, read(k.Store, message, event), data.ErrDamaged)
			wantErr(t, "Err", k.Err(), data.ErrStorage)
			_ = k.Close() // it has failed
			_, err := Open(k.options)
			wantErr(t, "Open", err, data.ErrDamaged)
		})
	}
}

// TestBlocksThatCannotBeTakenApart has a number in a block that makes Badger panic
// before it looks at the checksum.
func TestBlocksThatCannotBeTakenApart(t *testing.T) {
	for name, read := range map[string]func(s *Store, id data.ID) error{
		"message": func(s *Store, id data.ID) error { _, err := s.Message(id); return err },
		"cancel": func(s *Store, id data.ID) error {
			return s.Apply(&data.Batch{Cancels: []*data.Cancel{{ID: id}}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := &kept{t: t, options: optionsIn(t.TempDir(), newMachine())}
			k.open()
			id := k.send("gateway_1", "a text")
			k.reopen() // which makes a table of it
			paths, err := filepath.Glob(filepath.Join(k.path("badger"), "*.sst"))
			if err != nil || len(paths) == 0 {
				t.Fatalf("there are no tables, %v", err)
			}
			for _, path := range paths {
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				end := firstBlockEnd(t, b)
				checksum := int(binary.BigEndian.Uint32(b[end-4:]))
				overwrite(t, path, end-4-checksum-4, []byte{0x0f, 0xff, 0xff, 0xff}) // how many entries there are
			}
			wantErr(t, name, read(k.Store, id), data.ErrDamaged)
			wantErr(t, "Err", k.Err(), data.ErrStorage)
			_ = k.Close()
		})
	}
}

// TestMergeOfBlocksThatRotted must not make tables anew without what it cannot
// read: the next start would find nothing wrong with them.
func TestMergeOfBlocksThatRotted(t *testing.T) {
	k, _, _ := layered(t) // of which Badger merges nothing by itself
	tables := rot(t, k.options.Path)
	go func() { _ = k.db.Flatten(1) }() // never ends
	select {
	case <-k.Failed():
	case <-time.After(10 * time.Second):
		t.Error("the store goes on after a merge of tables that rotted")
	}
	wantErr(t, "Err", k.Err(), data.ErrDamaged)
	began := time.Now()
	wantErr(t, "Close", k.Close(), data.ErrDamaged) // Badger waits for the merge
	if took := time.Since(began); took > closeLimit/2 {
		t.Errorf("Close() took %v", took)
	}
	k.Store = nil
	for path, was := range tables {
		if is, err := os.ReadFile(path); err != nil || !bytes.Equal(is, was) {
			t.Errorf("table %s was made anew (%v)", filepath.Base(path), err)
		}
	}
}

// TestMergeOfABlockWithoutAChecksum has a block that Badger takes for the end of its
// table without a word. What a merge made of it does not take the table's place.
func TestMergeOfABlockWithoutAChecksum(t *testing.T) {
	k, want, _ := layered(t)
	paths, err := filepath.Glob(filepath.Join(k.path("badger"), "*.sst"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no tables, %v", err)
	}
	whole := map[string][]byte{}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		whole[path] = bytes.Clone(b)
		overwrite(t, path, firstBlockEnd(t, b)-4, []byte{0xff, 0xff, 0xff, 0xff}) // how long its checksum is
	}
	if err := k.flatten(); err == nil {
		t.Fatal("flatten() = nil, of tables with a block that cannot be read")
	}
	wantErr(t, "Err", k.Err(), data.ErrStorage)
	_ = k.Close()
	_, err = Open(k.options)
	wantErr(t, "Open", err, data.ErrDamaged)
	for path, b := range whole {
		overwrite(t, path, 0, b)
	}
	k.open()
	if got := len(k.everyEvent(data.EventQuery{Limit: 1000})); got != want {
		t.Errorf("with the block as it was, %d events are left of %d", got, want)
	}
	k.close()
}

// firstBlockEnd is where the first block of a table ends.
func firstBlockEnd(t *testing.T, b []byte) int {
	t.Helper()
	rest, _, ok := cutChecksum(b)
	if !ok {
		t.Fatal("a table has no checksum")
	}
	rest, size := rest[:len(rest)-4], binary.BigEndian.Uint32(rest[len(rest)-4:])
	root := fb.GetRootAsTableIndex(rest[len(rest)-int(size):], 0)
	var first fb.BlockOffset
	if !root.Offsets(&first, 0) {
		t.Fatal("a table has no block")
	}
	return int(first.Offset()) + int(first.Len())
}

// overwrite writes into a file, not over it: it is mapped.
func overwrite(t *testing.T, path string, at int, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, int64(at)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
