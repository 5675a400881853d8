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
	e := tortured(t, "damage", "--rounds", "2", "--parallel", "2", "--copies", "8", "--seed", "1")
	if e.Rounds != 2 || len(e.Failures) != 0 || e.Errors != 0 {
		t.Errorf("the journal says %+v, want 2 clean rounds", e)
	}
	if e.Counts["damages"] != 16 || e.Counts["starts"] < 4 {
		t.Errorf("%d copies were damaged after %d starts, want 16 after 2 in each round", e.Counts["damages"], e.Counts["starts"])
	}
	// On the copies that are left as they were at least.
	if e.Counts["damages: lanes run"] < 2 || e.Counts["arrivals from damaged stores"] < 2 {
		t.Errorf("lanes ran on %d copies, and %d messages arrived; want 2 or more", e.Counts["damages: lanes run"], e.Counts["arrivals from damaged stores"])
	}
}

// What comes from a damaged store is what was sent there.
func TestDamagedArrivals(t *testing.T) {
	t.Parallel()
	k := newTold(&system{
		gateways: &gateways{arrivals: []*arrival{{Message: "1", Number: 1, Status: 500}}},
		load: &load{clients: []*client{{done: []*request{
			{Kind: well, Payloads: []string{"a"}, Replies: []reply{{IDs: []string{"1"}}}},
			{Kind: slowly, Payloads: []string{"b"}, Replies: []reply{{}}},
			{Kind: routedType, Payloads: []string{"c"}, Replies: []reply{{IDs: []string{"3"}}}},
			{Kind: plainType, Payloads: []string{"d"}, Replies: []reply{{IDs: []string{"5"}}}},
		}}}},
	})
	if k.acknowledged != 3 {
		t.Errorf("%d requests were acknowledged, want 3", k.acknowledged)
	}
	came := func(id, gateway, text string, number int) arrival {
		return arrival{Message: id, Gateway: gateway, Text: digestOf(text), Number: number, Known: true, Status: 200}
	}
	for name, c := range map[string]struct {
		arrivals []arrival
		lost     bool
		says     string // "" for nothing
	}{
		"as acknowledged":      {[]arrival{came("1", well, "a", 2)}, false, ""},
		"unanswered":           {[]arrival{came("2", slowly, "b", 1)}, false, ""},
		"routed":               {[]arrival{came("4", well, "c", 1)}, false, ""},
		"another text":         {[]arrival{came("1", well, "c", 2)}, false, "not as well"},
		"another text, lost":   {[]arrival{came("1", well, "c", 2)}, true, "not as well"},
		"elsewhere":            {[]arrival{came("1", slowly, "a", 2)}, true, "not as well"},
		"unanswered elsewhere": {[]arrival{came("2", well, "b", 1)}, false, "nobody sent there"},
		"invented":             {[]arrival{came("2", well, "x", 1)}, true, "nobody sent there"},
		"an event":             {[]arrival{came("5", plainType, "d", 1)}, false, ""}, // there is no such gateway
		"a plain event":        {[]arrival{came("6", well, "d", 1)}, true, "nobody sent there"},
		"broke off":            {[]arrival{{Message: "1", Gateway: well, Text: cut, Number: 2, Known: true}}, false, ""},
		"attempt again":        {[]arrival{came("1", well, "a", 1)}, false, "as attempt 1 after 1"},
		"attempt again, lost":  {[]arrival{came("1", well, "a", 1)}, true, ""},
		"twice":                {[]arrival{came("4", well, "c", 1), came("4", well, "c", 1)}, false, "as attempt 1 after 1"},
		"too many":             {[]arrival{came("1", well, "a", 4)}, false, "at most 3"},
		"without secrets":      {[]arrival{{Message: "1", Gateway: well, Text: digestOf("a"), Number: 2}}, true, "without its secrets"},
	} {
		var r round
		k.arrived(r.violate, c.arrivals, 3, c.lost)
		all := strings.Join(r.found(), "; ")
		if (all == "") != (c.says == "") || !strings.Contains(all, c.says) {
			t.Errorf("%s: arrived() found %q, want %q", name, all, c.says)
		}
	}
	more := k.with([]arrival{came("1", well, "a", 2)})
	if more.attempts["1"] != 2 || !more.said2xx["1"] || k.attempts["1"] != 1 || k.said2xx["1"] {
		t.Errorf("with() = %v, %v of %v, %v", more.attempts, more.said2xx, k.attempts, k.said2xx)
	}
}

// A start that is refused says so as documented, and that a read failed is only
// damage if the program says so.
func TestRefusal(t *testing.T) {
	t.Parallel()
	const said = "postrider: open /s: table /s/1.sst has a wrong checksum: store is damaged; restore a backup, or start once with --accept-data-loss"
	for _, c := range []struct {
		code int
		said string
		says string // "" for nothing
	}{
		{4, said, ""},
		{1, said, "ended with 1, want 4"},
		{-1, "", "ended with -1"},
		{4, strings.ReplaceAll(said, "/s", "/other"), "where the damage is"},
		{4, strings.ReplaceAll(said, "damaged", "of a newer format"), "that the store is damaged"},
		{4, strings.ReplaceAll(said, "backup", "friend"), "what to do"},
	} {
		if got := refusal(c.code, c.said, "/s"); (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("refusal(%d, %q) = %q, want %q", c.code, c.said, got, c.says)
		}
	}
	for text, want := range map[string]bool{
		said: true, "commit: storage failed": true, "GET /api/v1/events = 503 too many readers": false, "": false,
	} {
		if saysDamage(text) != want {
			t.Errorf("saysDamage(%q) = %v", text, !want)
		}
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
