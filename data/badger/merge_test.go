package badger

import (
	"errors"
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

// tables is how many bytes Badger's tables take.
func (k *kept) tables() (size int64) {
	k.t.Helper()
	files, err := filepath.Glob(filepath.Join(k.options.Path, "badger", "*.sst"))
	if err != nil {
		k.t.Fatal(err)
	}
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			k.t.Fatal(err)
		}
		size += info.Size()
	}
	return size
}

// forget leaves a store of which almost all was deleted: 80 MB of texts, more than
// Badger leaves unmerged by itself, and a few that are kept.
func (k *kept) forget() {
	k.t.Helper()
	k.send("gateway_2", texts(1000)...)
	large := slices.Repeat([]string{strings.Repeat("x", 100<<10)}, 10)
	for range 80 {
		k.send("gateway_1", large...)
		k.deliver("gateway_1")
	}
	k.machine().pass(day.Delivered + time.Second)
	for k.prune(day, 1000).Next <= k.Now() {
	}
}

func TestMergeFreesTheDisk(t *testing.T) {
	k := newKept(t)
	k.forget()
	before, garbage := k.tables(), k.garbage.Load()
	if before < 60<<20 || garbage < 80e6 || garbage > 90e6 {
		t.Fatalf("there are %d bytes of tables, %d are said to be deleted", before, garbage)
	}
	// The newest deletions are in the memtable.
	if err := k.merge(); err != nil {
		t.Fatalf("merge() = %v", err)
	}
	if after := k.tables(); after > 2<<20 {
		t.Errorf("of %d bytes of tables %d are left", before, after)
	}
	if got := k.garbage.Load(); got != 0 {
		t.Errorf("%d bytes are still said to be deleted", got)
	}
	k.verify()
	k.reopen()
	k.verify()
	if n := len(k.ready("gateway_2", 0, 2000)); n != 1000 {
		t.Errorf("%d messages are left; want 1000", n)
	}
}

// TestGarbageIsRemembered restarts before a merge.
func TestGarbageIsRemembered(t *testing.T) {
	k := newKept(t)
	k.fail("gateway_1", strings.Repeat("x", 100<<10))
	k.record(data.NewEvent{Payload: strings.Repeat("x", 100<<10)})
	k.machine().pass(day.Dead + time.Second)
	k.pruneAll(day, 100)
	garbage := k.garbage.Load()
	if garbage < 200<<10 || garbage > 210<<10 {
		t.Errorf("%d bytes are said to be deleted; want a little more than 200 KiB", garbage)
	}
	k.reopen()
	if got := k.garbage.Load(); got != garbage {
		t.Errorf("after a restart %d bytes are said to be deleted; want %d", got, garbage)
	}
}

// TestMergeStops ends a merge between two of its steps: what is left is sound, and can
// be merged later.
func TestMergeStops(t *testing.T) {
	k := newKept(t)
	k.forget()
	before, garbage := k.tables(), k.garbage.Load()
	k.top() // else Badger may have nothing left to merge
	close(k.stop)
	k.watching.Wait()
	for _, merge := range []func() error{k.flatten, k.merge} {
		if err := merge(); !errors.Is(err, errStopped) {
			t.Errorf("with the store about to close it ends with %v; want %v", err, errStopped)
		}
	}
	if got := k.garbage.Load(); got != garbage {
		t.Errorf("%d bytes are said to be deleted; want %d", got, garbage)
	}
	k.verify()
	if err := k.release(); err != nil {
		t.Fatal(err)
	}
	k.open()
	k.verify()
	if err := k.merge(); err != nil || k.tables() > 2<<20 {
		t.Errorf("merge() = %v, of %d bytes of tables %d are left", err, before, k.tables())
	}
}

// TestCloseDuringMerge waits for a step, not for the whole.
func TestCloseDuringMerge(t *testing.T) {
	k := newKept(t)
	k.forget()
	var err error
	k.watching.Go(func() { err = k.merge() })
	k.close()
	if err != nil && !errors.Is(err, errStopped) {
		t.Errorf("merge() = %v", err)
	}
	k.open()
	k.verify()
}

// TestWhenAMergeStops asks before each step.
func TestWhenAMergeStops(t *testing.T) {
	k := newKept(t)
	for _, c := range []struct {
		about string
		says  string
		state func(s *Store)
		want  bool
	}{
		{"calm", flattenStep, func(*Store) {}, false},
		{"busy for a moment", flattenStep, func(s *Store) { s.busy.Add(int64(time.Minute)) }, false},
		{"busy for most of the time", flattenStep, func(s *Store) { s.busy.Add(int64(40 * time.Minute)) }, true},
		{"full", flattenStep, func(s *Store) { s.options.MinFree = math.MaxInt64 }, true},
		{"closing", flattenStep, func(s *Store) { close(s.stop) }, true},
		{"closing, said elsewhere", "LOG Compact", func(s *Store) { close(s.stop) }, false},
	} {
		s := &Store{options: k.Store.options, db: k.db, stop: make(chan struct{}), stepAt: time.Now().Add(-time.Hour)}
		c.state(s)
		stopped := func() (stopped bool) {
			defer func() { stopped = recover() == errStopped }() //nolint:errorlint // it is the very value
			s.saidByFlatten(c.says + " with %+v")
			return false
		}()
		if stopped != c.want {
			t.Errorf("%s: a merge stops: %v; want %v", c.about, stopped, c.want)
		}
	}
}

// TestCalm counts seconds of which none may be busy or make a merge soon worth more.
func TestCalm(t *testing.T) {
	second := func(busy time.Duration, garbage int64) [2]int64 { return [2]int64{int64(busy), garbage} }
	calmly := slices.Repeat([][2]int64{second(calmShare, 0)}, calmFor)
	for _, c := range []struct {
		about   string
		seconds [][2]int64
		want    int // after so many of them it is long enough; 0 for never
	}{
		{"calm", calmly, calmFor},
		{"not long enough", calmly[1:], 0},
		{"busy in the middle", slices.Concat(calmly[5:], [][2]int64{second(calmShare+1, 0)}, calmly), calmFor - 5 + 1 + calmFor},
		{"pruned in the middle", slices.Concat(calmly[5:], [][2]int64{second(0, 1000)}, calmly), calmFor - 5 + 1 + calmFor},
		{"pruned a little", slices.Concat(calmly[5:], [][2]int64{second(0, 100)}, calmly), calmFor},
	} {
		busy, garbage, got := int64(0), int64(100*calmGrows), 0
		watched := calm{garbage: garbage}
		for i, s := range c.seconds {
			busy, garbage = busy+s[0], garbage+s[1]
			if watched.lasts(busy, garbage) && got == 0 {
				got = i + 1
			}
		}
		if got != c.want {
			t.Errorf("%s: it is long enough after %d s; want %d", c.about, got, c.want)
		}
	}
	var again calm
	for i := range 3 * calmFor {
		if got, want := again.lasts(0, 0), (i+1)%calmFor == 0; got != want {
			t.Errorf("after %d calm seconds it is long enough: %v; want %v", i+1, got, want)
		}
	}
}

func TestWorthMerging(t *testing.T) {
	for _, c := range []struct {
		about         string
		garbage, size int64
		want          bool
	}{
		{"little was deleted", leastGarbage - 1, leastGarbage, false},
		{"much was deleted", leastGarbage, leastGarbage, true},
		{"a part of what there is was deleted", leastGarbage, leastGarbage * worthShare, true},
		{"less of what there is was deleted", leastGarbage, leastGarbage*worthShare + worthShare, false},
	} {
		if got := worthMerging(c.garbage, c.size); got != c.want {
			t.Errorf("%s: worthMerging(%d, %d) = %v; want %v", c.about, c.garbage, c.size, got, c.want)
		}
	}
}

func TestMergeable(t *testing.T) {
	k := newKept(t)
	for garbage, want := range map[int64]bool{leastGarbage - 1: false, leastGarbage: true} {
		k.garbage.Store(garbage)
		if got := k.mergeable(); got != want {
			t.Errorf("with %d bytes deleted mergeable() = %v; want %v", garbage, got, want)
		}
	}
	k.garbage.Store(leastGarbage)
	full := &Store{options: k.Store.options, db: k.db}
	full.garbage.Store(leastGarbage)
	if full.options.MinFree = math.MaxInt64; full.mergeable() {
		t.Error("mergeable() without the room for it")
	}
	_ = k.Store.fail(errors.New("input/output error"))
	if k.mergeable() {
		t.Error("mergeable() of a store that has failed")
	}
}

func TestLargestStep(t *testing.T) {
	table := func(level int, left, right string, size uint32) badger.TableInfo {
		return badger.TableInfo{Level: level, Left: []byte(left), Right: []byte(right), OnDiskSize: size}
	}
	for _, c := range []struct {
		tables []badger.TableInfo
		want   int64
	}{
		{nil, 0},
		{[]badger.TableInfo{table(6, "a", "z", 5)}, 0},
		{[]badger.TableInfo{table(5, "a", "c", 1), table(6, "a", "b", 10), table(6, "c", "d", 20), table(6, "e", "f", 40)}, 31},
		{[]badger.TableInfo{table(0, "a", "c", 1), table(0, "e", "e", 2), table(6, "a", "b", 10), table(6, "e", "f", 40)}, 45},
	} {
		if got := largestStep(c.tables); got != c.want {
			t.Errorf("largestStep(%+v) = %d; want %d", c.tables, got, c.want)
		}
	}
}
