package main

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// A flush that fails ends the program, and nothing is lost.
func TestSyncError(t *testing.T) {
	t.Parallel()
	tapping(t)
	e := tortured(t, "sync-error", "--rounds", "4", "--parallel", "4", "--seed", "1")
	if e.Rounds != 4 || len(e.Failures) != 0 || e.Errors != 0 {
		t.Errorf("the journal says %+v, want 4 clean rounds", e)
	}
	failed := int64(0)
	for what, n := range e.Counts {
		if strings.HasPrefix(what, "failed: ") {
			failed += n
		}
	}
	if failed != 4 {
		t.Errorf("%d flushes failed, want 4: %v", failed, e.Counts)
	}
}

func TestDrawTarget(t *testing.T) {
	t.Parallel()
	luck := rand.New(rand.NewPCG(1, 2))
	seen := map[string]int{}
	for range 1000 {
		at := drawTarget(luck)
		if at.number < 1 || at.number > 300 {
			t.Fatalf("drawTarget() = %+v", at)
		}
		seen[fmt.Sprint(at.kind, at.closing)]++
	}
	if len(seen) != 9 { // eight kinds while it runs, any while it stops
		t.Errorf("of 1000 there are %v", seen)
	}
}

// A flush fails by the number of its kind, and is known with the commit before it.
func TestBreaker(t *testing.T) {
	t.Parallel()
	all := []flush{
		{Call: "fsync", File: "/s/badger", At: 1},
		{Call: "msync", File: "/s/badger/000001.vlog", At: 2},
		{Call: "msync", File: "/s/badger/00001.mem", At: 3},
		{Call: "msync", File: "/s/badger/000001.vlog", At: 4},
		{Call: "msync", File: "/s/badger/00001.mem", At: 5},
		{Call: "fsync", File: "/s/acknowledged", At: 6},
		{Call: "msync", File: "/s/badger/00001.mem", At: 7},
		{Call: "msync", File: "/s/badger/000004.sst", At: 8},
	}
	for name, c := range map[string]struct {
		target  target
		want    int // index of the flush that fails; -1 for none
		settled time.Duration
	}{
		"the first":               {target{number: 1}, 0, 1 + grace},
		"the second memtable":     {target{kind: memtables, number: 2}, 4, 3},
		"the first memtable":      {target{kind: memtables, number: 1}, 2, 0},
		"the second value log":    {target{kind: valueLog, number: 2}, 3, 3},
		"the acknowledged number": {target{kind: acknowledged, number: 1}, 5, 6 + grace},
		"a table":                 {target{kind: tables, number: 1}, 7, 8 + mergeGrace},
		"none":                    {target{kind: tables, number: 2}, -1, grace},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &breaker{target: c.target}
			for i, f := range all {
				want := passes
				if i == c.want {
					want = fails
				}
				if got, _ := b.decide(f); got != want {
					t.Errorf("decide(%d) = %v, want %v", i, got, want)
				}
			}
			if b.broken() != (c.want >= 0) || b.settled() != c.settled {
				t.Errorf("broken %v, settled at %v; want %v", b.broken(), b.settled(), c.settled)
			}
		})
	}
}

func TestLateAcknowledgements(t *testing.T) {
	t.Parallel()
	sent := func(replies ...reply) [][]*request { return [][]*request{nil, {{Replies: replies}}} }
	ids := []string{"a"}
	for name, c := range map[string]struct {
		requests [][]*request
		want     int
	}{
		"sent before":              {sent(reply{IDs: ids, Sent: 9, Ended: 20}), 0},
		"sent after":               {sent(reply{IDs: ids, Sent: 11, Ended: 20}), 1},
		"sent after and refused":   {sent(reply{Status: 503, Sent: 11, Ended: 20}), 0},
		"stored before, again":     {sent(reply{IDs: ids, Sent: 8}, reply{IDs: ids, Sent: 11}), 0},
		"unanswered before, again": {sent(reply{Sent: 8}, reply{IDs: ids, Sent: 11}), 0},
	} {
		if got := lateAcknowledgements(c.requests, 10); len(got) != c.want {
			t.Errorf("%s: lateAcknowledgements() = %q, want %d", name, got, c.want)
		}
	}
}

// A flush that is tried again is noticed.
func TestFlushedAgain(t *testing.T) {
	t.Parallel()
	b := &breaker{target: target{kind: memtables, number: 1}}
	for i, f := range []flush{{File: "/s/1.mem", At: 1}, {File: "/s/2.mem", At: 2}, {File: "/s/1.mem", At: 3}, {File: "/s/1.mem", At: 4}} {
		b.decide(f)
		if again := b.again != nil; again != (i >= 2) {
			t.Errorf("after flush %d of the file it was tried again: %v", i, again)
		}
	}
	if b.again == nil || b.again.At != 3 {
		t.Errorf("again = %+v, want the one at 3", b.again)
	}
}

func TestTroubles(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]int{
		"postrider: storage failed":          0,
		"":                                   1,
		"panic: no\n\ngoroutine 1 [running]": 3,
		"fatal error: fault\npostrider: ":    1,
		"{\"msg\":\"listening\"}\npostrider: it broke": 0,
	} {
		if got := troubles(said); len(got) != want {
			t.Errorf("troubles(%q) = %q, want %d", said, got, want)
		}
	}
}

func TestFlushKinds(t *testing.T) {
	t.Parallel()
	for f, want := range map[flush]string{
		{Call: "msync", File: "/s/badger/00001.mem"}:        memtables,
		{Call: "msync", File: "/s/badger/000001.vlog"}:      valueLog,
		{Call: "msync", File: "/s/badger/000012.sst"}:       tables,
		{Call: "fsync", File: "/s/badger/MANIFEST-REWRITE"}: manifest,
		{Call: "fsync", File: "/s/acknowledged.new"}:        acknowledged,
		{Call: "fsync", File: "/s/store.json"}:              stamps,
		{Call: "msync", File: "/s/badger/DISCARD"}:          discards,
		{Call: "fsync", File: "/s/badger"}:                  directories,
		{Call: "msync"}:                                     "anything else",
	} {
		if got := f.kind(); got != want {
			t.Errorf("%+v is %s, want %s", f, got, want)
		}
	}
}

func TestFileAt(t *testing.T) {
	t.Parallel()
	const maps = `c000000000-c000400000 rw-p 00000000 00:00 0
7fee99000000-7fee9b000000 rw-s 00000000 fe:00 123    /tmp/a dir/000001.vlog
7fee9b200000-7fee9c200000 rw-s 00000000 fe:00 124    /tmp/00001.mem
7ffd1a2b0000-7ffd1a2d1000 rw-p 00000000 00:00 0      [stack]
`
	got := map[uint64]string{}
	for _, address := range []uint64{0xc000000000, 0x7fee99000000, 0x7fee9affffff, 0x7fee9b000000, 0x7fee9b200000, 0x7ffd1a2b0000, 1} {
		got[address] = fileAt(maps, address)
	}
	want := map[uint64]string{
		0xc000000000: "", 0x7fee99000000: "/tmp/a dir/000001.vlog", 0x7fee9affffff: "/tmp/a dir/000001.vlog",
		0x7fee9b000000: "", 0x7fee9b200000: "/tmp/00001.mem", 0x7ffd1a2b0000: "", 1: "",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("fileAt() = %v, want %v", got, want)
	}
}
