package badger

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/postrider/postrider/data"
)

// TestFillFile gives a file its place on the disk and leaves what is in it, and no
// mapping of it.
func TestFillFile(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("space is reserved on Linux only")
	}
	name := filepath.Join(t.TempDir(), "1.mem")
	const size = 4*fillStep + 100
	content := make([]byte, 2*size)
	copy(content[fillStep-10:], strings.Repeat("record", 1000))
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(int64(len(content))); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(content[fillStep-10:fillStep+6000], fillStep-10); err != nil {
		t.Fatal(err)
	}
	if err := fillFile(name, size, nil, flushPages); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the file is not what it was: %v", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Blocks*512 < size {
		t.Errorf("it has %d bytes of the disk, %v; want %d", st.Blocks*512, err, size)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil || strings.Contains(string(maps), name) {
		t.Errorf("it is still mapped, %v", err)
	}
	if err := f.Truncate(size - 1); err != nil {
		t.Fatal(err)
	}
	if err := fillFile(name, size, nil, flushPages); err != nil {
		t.Errorf("of a file that was cut it says %v", err)
	}
	if err := fillFile(name+"x", size, nil, flushPages); err == nil {
		t.Error("of a file that is gone it says nothing")
	}
}

// TestFillFileThatIsCut ends when the file is cut off under it.
func TestFillFileThatIsCut(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("space is reserved on Linux only")
	}
	for range 20 {
		name := filepath.Join(t.TempDir(), "1.mem")
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(name, 64*fillStep); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- fillFile(name, 64*fillStep, nil, flushPages) }()
		for allocated := false; !allocated; {
			var st unix.Stat_t
			if err := unix.Stat(name, &st); err != nil {
				t.Fatal(err)
			}
			allocated = st.Blocks > 0
		}
		if err := os.Truncate(name, 0); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Errorf("fillFile() = %v", err)
		}
	}
}

// TestLogsAreFilled finds the log that is there and those that come.
func TestLogsAreFilled(t *testing.T) {
	k := newKept(t)
	before := k.logs.newest
	for range 2 { // a log of which no commit was told comes between
		if err := k.fillMemtable(); err != nil {
			t.Fatal(err)
		}
	}
	k.send("gateway_1", "x")
	logs, err := k.memtableLogs()
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	if newest := filepath.Base(logs[len(logs)-1]); k.logs.newest <= before || logName(k.logs.newest) != newest {
		t.Errorf("log %d is taken for the newest; want %s", k.logs.newest, newest)
	}
}

// TestCommitAwaitsFlushOfItsLog has one commit while the log is flushed that it is in:
// when that flush fails, the commit's own is worth nothing.
func TestCommitAwaitsFlushOfItsLog(t *testing.T) {
	k := newKept(t)
	k.logs.flushing.Lock()
	done := make(chan error)
	go func() {
		done <- k.Apply(&data.Batch{Saves: []*data.Save{{Messages: []data.NewMessage{{Gateway: "gateway_1", Text: "a"}}}}})
	}()
	select {
	case err := <-done:
		k.logs.flushing.Unlock()
		t.Fatalf("Apply() = %v before it is known whether the flush failed", err)
	case <-time.After(200 * time.Millisecond):
	}
	_ = k.Store.fail(unix.EIO)
	k.logs.flushing.Unlock()
	wantErr(t, "Apply", <-done, data.ErrStorage)
}
