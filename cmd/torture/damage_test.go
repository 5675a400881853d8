package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// On damaged copies of its store the program is whole or does not start.
func TestDamage(t *testing.T) {
	t.Parallel()
	e := tortured(t, "damage", "--rounds", "2", "--parallel", "2", "--copies", "4")
	if e.Rounds != 2 || len(e.Failures) != 0 || e.Errors != 0 {
		t.Errorf("the journal says %+v, want 2 clean rounds", e)
	}
	if e.Counts["damages"] != 8 || e.Counts["starts"] < 4 {
		t.Errorf("%d copies were damaged after %d starts, want 8 after 2 in each round", e.Counts["damages"], e.Counts["starts"])
	}
}

// Each way to spoil a file changes what it says, and nothing else.
func TestSpoiling(t *testing.T) {
	t.Parallel()
	one, other := strings.Repeat("a", page)+strings.Repeat("b", page)+"c", "other"
	old := filepath.Join(t.TempDir(), "old")
	if err := os.WriteFile(old, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		s          spoiling
		one, other string // "" is gone
	}{
		{spoiling{how: truncated, file: "one", at: 3}, "aaa", other},
		{spoiling{how: flipped, file: "one", at: 2 * page, bit: 1}, one[:2*page] + "a", other},
		{spoiling{how: flipped, file: "one", at: 3 * page}, one, other},
		{spoiling{how: zeroed, file: "one", at: page}, one[:page] + strings.Repeat("\x00", page) + "c", other},
		{spoiling{how: zeroed, file: "one", at: 2 * page}, one[:2*page] + "\x00", other},
		{spoiling{how: swapped, file: "one", to: page}, one[page:2*page] + one[:page] + "c", other},
		{spoiling{how: exchanged, file: "one", other: "other"}, other, one},
		{spoiling{how: deleted, file: "one"}, "", other},
		{spoiling{how: older, file: "one", other: old}, "old", other},
		{spoiling{how: deleted, file: "gone"}, one, other},
		{spoiling{how: exchanged, file: "gone", other: "one"}, one, other},
	} {
		dir := t.TempDir()
		read := func(name string) string {
			b, _ := os.ReadFile(filepath.Join(dir, name)) // "" when it is gone
			return string(b)
		}
		for name, text := range map[string]string{"one": one, "other": other} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.s.apply(dir); err != nil || read("one") != c.one || read("other") != c.other {
			t.Errorf("%v: %v, left %.20q… and %.20q…", c.s, err, read("one"), read("other"))
		}
	}
}

// What is drawn can be done, is drawn again by the same chance, and is never an
// old store as a whole.
func TestSpoiler(t *testing.T) {
	t.Parallel()
	store, old := t.TempDir(), t.TempDir()
	for name, size := range map[string]int{"000001.sst": 3*page + 7, "000002.sst": 100, "00001.mem": 2 * page, "acknowledged": 12, "lock": 0} {
		for _, dir := range []string{store, old} {
			if err := os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte("x"), size), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	files, err := filesOf(store)
	if err != nil || len(files) != 5 {
		t.Fatalf("filesOf() = %v, %v", files, err)
	}
	ways := map[string]int{}
	for seed := range uint64(500) {
		n := 1 + int(seed%3)
		drawn := func() []spoiling {
			return (&spoiler{luck: rand.New(rand.NewPCG(seed, 0)), files: files, olds: []string{old}}).draw(n)
		}
		all := drawn()
		if again := drawn(); fmt.Sprint(again) != fmt.Sprint(all) || len(all) != n {
			t.Errorf("draw(%d) = %v, and again %v", n, all, again)
		}
		copied := filepath.Join(t.TempDir(), "copy")
		if err := copyStore(store, copied); err != nil {
			t.Fatal(err)
		}
		for _, one := range all {
			ways[one.how]++
			if err := one.apply(copied); err != nil {
				t.Errorf("%v: %v", one, err)
			}
			if n > 1 && one.how == older && one.file == "acknowledged" {
				t.Errorf("draw(%d) = %v", n, all)
			}
		}
	}
	if len(ways) != 7 {
		t.Errorf("in 500 draws: %v, want each of 7 ways", ways)
	}
}
