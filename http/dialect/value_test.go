package dialect

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"
)

// FuzzNumbersAreEqualByValue compares with arithmetic that needs more room.
func FuzzNumbersAreEqualByValue(f *testing.F) {
	for _, seed := range [][2]string{
		{"0", "-0.0"},
		{"1", "1.0"},
		{"100", "1e2"},
		{"0.1", "1e-1"},
		{"12", "1.2E+1"},
		{"12", "13"},
		{"-5", "5"},
		{"10", "1"},
		{"9007199254740993", "9007199254740992"},
		{"1e2000000000", "10e1999999999"},
		{"1e99999999999", "1e99999999999"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		x, y := number(first), number(second)
		if x == nil || y == nil {
			return
		}
		left := 1
		want, err := constantValue(json.Number(second), &left)
		if err != nil {
			return
		}
		if got := equal(json.Number(first), want); got != (x.Cmp(y) == 0) {
			t.Errorf("equal(%s, %s) = %v", first, second, got)
		}
	})
}

// number reads a JSON number that is small enough to be calculated with.
func number(text string) *big.Rat {
	if e := strings.IndexAny(text, "eE"); e >= 0 && len(text)-e > 5 || !json.Valid([]byte(text)) || strings.TrimSpace(text) != text {
		return nil
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil
	}
	return r
}

// FuzzPointer finds each leaf of a document by the pointer that RFC 6901 has for it.
func FuzzPointer(f *testing.F) {
	for _, seed := range []string{`{"a": [1, {"b/c~d": 2, "": [[], {}]}]}`, `[0, "~1", {"*": 1}]`, `{"0": {"-": 1}}`, `{"~01": {"a/b": null}}`, "7"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		document, ok := parseJSON(body)
		if json.Valid(body) != ok && shallow(body) {
			t.Errorf("parseJSON(%q) = %v", body, ok)
		}
		if ok {
			find(t, document, document, "")
		}
	})
}

func find(t *testing.T, document, node any, at string) {
	t.Helper()
	switch n := node.(type) {
	case map[string]any:
		for name, member := range n {
			if name != "*" {
				find(t, document, member, at+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
			}
		}
	case []any:
		for i, element := range n {
			find(t, document, element, at+"/"+string(appendIndex(nil, i)))
		}
	}
	p, wrong := parsePointer(at)
	if wrong != "" {
		return // too long or too deep
	}
	found := false
	p.all(document, func(value any, there bool) bool {
		found = there && same(value, node)
		return true
	})
	if !found {
		t.Errorf("pointer %q does not find %v", at, node)
	}
}

func appendIndex(b []byte, i int) []byte {
	text, _ := json.Marshal(i)
	return append(b, text...)
}

func same(x, y any) bool {
	a, _ := json.Marshal(x)
	b, _ := json.Marshal(y)
	return string(a) == string(b)
}
