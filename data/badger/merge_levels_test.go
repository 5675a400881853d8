package badger

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// graves counts the deletions that Badger still has, on the disk or in memory.
func (k *kept) graves() (n int) {
	k.t.Helper()
	err := k.snapshot(func(txn *badger.Txn) error {
		o := badger.DefaultIteratorOptions
		o.AllVersions, o.PrefetchValues = true, false
		it := txn.NewIterator(o)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if it.Item().IsDeletedOrExpired() {
				n++
			}
		}
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return n
}

// levels are those that have tables.
func (k *kept) levels() []int {
	all := map[int]bool{}
	for _, t := range k.db.Tables() {
		all[t.Level] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// youngMost is how many tables Badger leaves on the topmost level.
const youngMost = 4

// sink has Badger merge all into a level and those below, which it does by itself when
// the topmost has one table more than it may.
func (k *kept) sink(level int) {
	k.t.Helper()
	late := time.After(20 * time.Second)
	for l := k.levels(); len(l) == 0 || l[0] != level; l = k.levels() {
		if k.young() <= youngMost {
			k.makeTable()
			continue
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-late:
			k.t.Fatalf("there are tables on levels %v; want %d to be the first", l, level)
		}
	}
}

// young is how many tables are on the topmost level.
func (k *kept) young() (n int) {
	for _, t := range k.db.Tables() {
		if t.Level == 0 {
			n++
		}
	}
	return n
}

// makeTable has Badger make a table of what is in memory.
func (k *kept) makeTable() {
	k.t.Helper()
	if err := k.fillMemtable(); err != nil {
		k.t.Fatal(err)
	}
}

// top leaves tables on the topmost level that Badger does not merge by itself.
func (k *kept) top() {
	k.t.Helper()
	late := time.After(20 * time.Second)
	for k.makeTable(); k.young() == 0 || k.young() > youngMost; {
		if k.young() == 0 {
			k.makeTable()
			continue
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-late:
			k.t.Fatalf("there are %d tables on the topmost level; want %d at most", k.young(), youngMost)
		}
	}
}

// TestMergeOverLevels has what is deleted on the lowest level, deletions on two above it
// and in memory, and between all of them what is kept.
func TestMergeOverLevels(t *testing.T) {
	k := newKept(t)
	const lowest = 6
	large := slices.Repeat([]string{strings.Repeat("x", 100<<10)}, 10)
	for range 6 {
		k.send("gateway_1", large...) // with these the lowest level has more than is put there at once
		k.send("gateway_2", large[:4]...)
		k.send("gateway_2", texts(100)...)
		k.deliver("gateway_1")
		k.machine().pass(time.Hour)
	}
	for range 4 {
		k.send("gateway_2", large...)
	}
	k.sink(lowest)
	// The eldest two sixths, then two more, then the rest.
	k.machine().pass(day.Delivered - 5*time.Hour + time.Second)
	for _, where := range []func(){
		func() { k.sink(lowest - 1) },
		k.makeTable,
		func() {},
	} {
		if k.pruneAll(day, 1000) == 0 {
			t.Fatal("nothing is deleted")
		}
		k.send("gateway_2", texts(100)...)
		k.record(data.NewEvent{Type: "a"})
		where()
		k.machine().pass(2 * time.Hour)
	}
	if l := k.levels(); !slices.Equal(l, []int{0, lowest - 1, lowest}) {
		t.Fatalf("there are tables on levels %v; want three of them", l)
	}
	stored := func() string {
		return fmt.Sprint(k.every(data.MessageQuery{Limit: 1000}), k.everyEvent(data.EventQuery{Limit: 1000}), k.lane("gateway_1"), k.lane("gateway_2"))
	}
	before, size, graves := stored(), k.tables(), k.graves()
	if graves < 60 {
		t.Fatalf("there are %d deletions; want those of 60 messages", graves)
	}
	if err := k.merge(); err != nil {
		t.Fatal(err)
	}
	if l := k.levels(); !slices.Equal(l, []int{lowest}) {
		t.Errorf("after a merge there are tables on levels %v; want %d alone", l, lowest)
	}
	if n := k.graves(); n > 0 {
		t.Errorf("%d of %d deletions are left", n, graves)
	}
	if freed := size - k.tables(); freed < 5<<20 {
		t.Errorf("of %d bytes of tables %d are freed; want the 6 MB that were deleted", size, freed)
	}
	for _, when := range []string{"merged", "opened again"} {
		if stored() != before {
			t.Errorf("%s, the store has not what it had before", when)
		}
		k.verify()
		k.reopen()
	}
}
