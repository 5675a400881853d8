package data_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

func TestFirstID(t *testing.T) {
	for _, epoch := range []uint16{0, 1, 2, math.MaxUint16} {
		if got := data.FirstID(epoch).Epoch(); got != epoch {
			t.Errorf("FirstID(%d).Epoch() = %d", epoch, got)
		}
	}
	last := data.FirstID(1) - 2 // the greatest number of epoch 0
	if last.Epoch() != 0 || data.FirstID(1) <= last || data.FirstID(1).String() <= last.String() {
		t.Errorf("FirstID(1) = %s does not come after %s, the last of epoch 0", data.FirstID(1), last)
	}
}

func TestParseIDRefusesWhatNoIDIs(t *testing.T) {
	for _, s := range []string{
		"", "0", "0000000000000", // nothing, too short, the zero id
		"0000000000001",                  // stray low bits
		"000000000000", "00000000000020", // a character less, one more
		"000000000000G", "0000000 00002", "000000000000\n", "é00000000000",
		"000000000000w", "================",
	} {
		if id, err := data.ParseID(s); !errors.Is(err, data.ErrNotFound) {
			t.Errorf("ParseID(%q) = %v, %v; want ErrNotFound", s, id, err)
		}
	}
}

func TestIDAsText(t *testing.T) {
	want := map[string]data.ID{"id": data.FirstID(3)}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]data.ID
	if err := json.Unmarshal(b, &got); err != nil || got["id"] != want["id"] {
		t.Errorf("Unmarshal(%s) = %v, %v; want %v", b, got, err, want)
	}
	if err := json.Unmarshal([]byte(`{"id":"nonsense"}`), &got); err == nil {
		t.Error("a text that no id has was taken")
	}
}

func FuzzID(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Add(uint64(data.FirstID(1))-1, uint64(data.FirstID(1)))
	f.Add(uint64(0), uint64(math.MaxUint64))
	f.Fuzz(func(t *testing.T, x, y uint64) {
		a, b := data.ID(x), data.ID(y)
		if (a < b) != (a.String() < b.String()) {
			t.Errorf("%d and %d are in another order than %q and %q", a, b, a, b)
		}
		if got, err := data.ParseID(a.String()); a != 0 && (err != nil || got != a) {
			t.Errorf("ParseID(%q) = %d, %v; want %d", a, got, err, a)
		}
	})
}

func FuzzParseID(f *testing.F) {
	f.Add("0000000000002")
	f.Add("vvvvvvvvvvvvu")
	f.Add("vvvvvvvvvvvvv")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := data.ParseID(s)
		if err == nil && (id == 0 || id.String() != s) {
			t.Errorf("ParseID(%q) = %d, whose text is %q", s, id, id)
		}
		if err != nil && !errors.Is(err, data.ErrNotFound) {
			t.Errorf("ParseID(%q) = %v; want ErrNotFound", s, err)
		}
	})
}

// Restored at two times, a store gives ids of the same epoch that have nothing in common.
func TestRestoredID(t *testing.T) {
	at := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	for _, now := range []time.Time{{}, time.Unix(0, 0), at, at.AddDate(500, 0, 0)} {
		if id := data.RestoredID(7, now); id.Epoch() != 7 || id < data.FirstID(7) {
			t.Errorf("RestoredID(7, %v) = %s, of epoch %d", now, id, id.Epoch())
		}
	}
	if first, second := data.RestoredID(1, at), data.RestoredID(1, at.Add(time.Second)); second < first+50_000 {
		t.Errorf("a second apart, ids begin at %s and %s", first, second)
	}
}
