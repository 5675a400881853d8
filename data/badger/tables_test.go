package badger

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postrider/postrider/data"
)

// TestTablesWithZeros has a disk give back zeros for the end of a table, or for all
// of it: zero is the right checksum of nothing, and the length of nothing too.
func TestTablesWithZeros(t *testing.T) {
	k := newKept(t)
	zoo(k)
	k.reopen() // makes a table of the log
	dir := copyStore(t, k.options.Path)
	paths, err := filepath.Glob(filepath.Join(dir, "badger", "*.sst"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no tables, %v", err)
	}
	whole, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := checkTable(paths[0], nil); err != nil {
		t.Fatalf("a table that is whole: %v", err)
	}
	for _, zeros := range []int{4, 8, 12, 64, 512, 4096, len(whole)} {
		b := append([]byte{}, whole...)
		clear(b[max(0, len(b)-zeros):])
		overwrite(t, paths[0], 0, b)
		_, err := checkTable(paths[0], nil)
		wantErr(t, "checkTable", err, data.ErrDamaged)
		if err != nil && !strings.Contains(err.Error(), "wrong checksum") {
			t.Errorf("with %d zeros at the end: %v; want it refused for its checksum", zeros, err)
		}
	}
}
