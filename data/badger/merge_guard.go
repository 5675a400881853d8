package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	_ "unsafe" // go:linkname

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"google.golang.org/protobuf/proto"
)

// A merge writes what is left of some tables into new ones, names these in the
// manifest instead of the old ones, and deletes the old ones. When one of the new
// tables cannot be written, Badger (v4.9.6, subcompact) drops the error: the
// manifest gets those that could, and what was in the other is gone without a word.
//
// So the tables are counted, twice. Badger says when one is in the making, in a
// goroutine that the merging one has started; and before a change of the manifest
// is flushed, and so before anything is deleted, the merging goroutine calls a func
// that Badger keeps in a variable for its own tests. There the change is compared
// with the count. One that names fewer tables is taken back, by adding its opposite,
// and fails: then the merge fails, which is a failure of the store, and the next
// start has the tables from before. So is a change that could not be flushed, and
// each one after it: Badger has deleted the tables of the first by then, and only what
// is the last change can be taken back by the next start (manifest.go).
//
// This leans on three things that Badger does not promise: that variable, the words
// of a line for debugging, and which goroutine does what. If an upgrade changes one
// of them, the count is wrong and the first merge fails the store;
// TestMergeThatLosesATable and every test that merges will say so.

//go:linkname flushManifest github.com/dgraph-io/badger/v4.syncFunc
var flushManifest func(*os.File) error

// guards are those of the stores that are open, by the path of the manifest:
// there is one flushManifest for all.
var (
	guards    sync.Map // of *mergeGuard
	guardOnce sync.Once
)

var errTableLost = errors.New("a table of the merge could not be written")

// mergeGuard counts the tables of one store.
type mergeGuard struct {
	path  string // of the manifest
	flush func(*os.File) error

	mu     sync.Mutex
	making map[string]int                  // tables in the making, by the goroutine that merges
	known  map[uint64]badger.TableManifest // as of the last change
	failed error                           // why no change may be made any more
}

// watchMerges guards the merges of a store that will be opened with a manifest, or
// without one when it is new. It must be released.
func watchMerges(path string, m badger.Manifest) *mergeGuard {
	g := &mergeGuard{path: path, flush: (*os.File).Sync, making: make(map[string]int), known: m.Tables}
	guards.Store(path, g)
	guardOnce.Do(func() {
		flush := flushManifest
		flushManifest = func(f *os.File) error {
			if g, ok := guards.Load(f.Name()); ok {
				return g.(*mergeGuard).changed(f)
			}
			return flush(f)
		}
	})
	return g
}

func (g *mergeGuard) release() { guards.Delete(g.path) }

// tableMade is what Badger says before it makes a table of so many keys, its second
// argument. Without keys it makes none.
const tableMade = "LOG Compact. Added"

// said takes what Badger says for debugging.
func (g *mergeGuard) said(format string, args ...any) {
	if !strings.Contains(format, tableMade) || len(args) < 2 || args[1] == uint64(0) {
		return
	}
	_, merging := goroutines()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.making[merging]++
}

// changed compares a change that was written to the manifest with the tables that
// were in the making, and flushes it.
func (g *mergeGuard) changed(f *os.File) error {
	merging, _ := goroutines()
	g.mu.Lock()
	defer g.mu.Unlock()
	m, err := readTables(g.path)
	if err != nil {
		return err
	}
	undo := opposite(g.known, m.Tables)
	err = g.check(undo, merging)
	if err == nil {
		err = g.flush(f)
	}
	if err != nil {
		// What leads back need not be on the disk: until it is, the change is the last one there.
		g.failed = errors.Join(err, appendChange(f, undo))
		return g.failed
	}
	g.known = m.Tables // a memtable became a table, or all of a merge is there
	return nil
}

// check reports what is wrong with a change, by the one that leads back.
func (g *mergeGuard) check(undo *pb.ManifestChangeSet, merging string) error {
	want := g.making[merging]
	delete(g.making, merging)
	if g.failed != nil {
		return g.failed
	}
	made, removed := 0, 0
	for _, c := range undo.Changes {
		if c.Op == pb.ManifestChange_DELETE {
			made++
		} else {
			removed++
		}
	}
	if err := g.checkMerged(undo); err != nil {
		return err
	}
	if removed > 0 && made != want {
		return fmt.Errorf("%w: it has %d of %d", errTableLost, made, want)
	}
	return nil
}

// checkMerged compares the checksums of the tables that a merge has read, before
// they are deleted. Badger takes a block that it cannot make sense of for the end of
// its table, and not every such block is heard of (rot.go).
func (g *mergeGuard) checkMerged(undo *pb.ManifestChangeSet) error {
	var buf []byte
	for _, c := range undo.Changes {
		if c.Op != pb.ManifestChange_CREATE {
			continue
		}
		var err error
		if buf, err = checkTable(table.NewFilename(c.Id, filepath.Dir(g.path)), buf); err != nil {
			return fmt.Errorf("merge tables: %w", err)
		}
	}
	return nil
}

func readTables(path string) (m badger.Manifest, err error) {
	f, err := os.Open(path)
	if err != nil {
		return m, fmt.Errorf("read the manifest: %w", err)
	}
	m, _, err = badger.ReplayManifestFile(f, schema, badger.DefaultOptions(""))
	if err := errors.Join(err, f.Close()); err != nil {
		return m, fmt.Errorf("read the manifest: %w", err)
	}
	return m, nil
}

// opposite is the change that leads back.
func opposite(before, after map[uint64]badger.TableManifest) *pb.ManifestChangeSet {
	undo := &pb.ManifestChangeSet{}
	for id := range after {
		if _, known := before[id]; !known {
			undo.Changes = append(undo.Changes, &pb.ManifestChange{Id: id, Op: pb.ManifestChange_DELETE})
		}
	}
	for id, t := range before {
		if _, left := after[id]; !left {
			undo.Changes = append(undo.Changes, &pb.ManifestChange{
				Id: id, Op: pb.ManifestChange_CREATE, Level: uint32(t.Level), KeyId: t.KeyID, Compression: uint32(t.Compression),
			})
		}
	}
	return undo
}

// appendChange writes a change as Badger does: its length, its checksum, itself.
func appendChange(f *os.File, c *pb.ManifestChangeSet) error {
	b, err := proto.Marshal(c)
	if err != nil {
		return fmt.Errorf("take back a change of the manifest: %w", err)
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(len(b)))
	head = binary.BigEndian.AppendUint32(head, crc32.Checksum(b, castagnoli))
	if _, err := f.Write(append(head, b...)); err != nil {
		return fmt.Errorf("take back a change of the manifest: %w", err)
	}
	return nil
}

var (
	goroutineNow    = regexp.MustCompile(`^goroutine (\d+) `)
	goroutineBefore = regexp.MustCompile(`\ncreated by .* in goroutine (\d+)\n`)
)

// goroutines returns the number of the one that calls and of the one that started
// it, as a stack trace has them; "" for what it does not say.
func goroutines() (now, before string) {
	stack := make([]byte, 4<<10)
	for {
		n := runtime.Stack(stack, false)
		if n < len(stack) {
			stack = stack[:n]
			break
		}
		stack = make([]byte, 2*len(stack))
	}
	number := func(r *regexp.Regexp) string {
		if m := r.FindSubmatch(stack); m != nil {
			return string(m[1])
		}
		return ""
	}
	return number(goroutineNow), number(goroutineBefore)
}
