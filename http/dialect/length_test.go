package dialect_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"github.com/postrider/postrider/http/dialect"
)

// The whole body counts, with what its encoding makes of the message.
func TestBodyLimit(t *testing.T) {
	body := dialect.Body{JSON: object{"at": "{{timestamp}}", "text": "{{message}}"}}
	frame := len(`{"at": "1700000000", "text": ""}`)
	d := compile(t, dialect.Declaration{URL: someURL, Body: body, Length: []dialect.Length{{Field: "body", Limit: frame + 5}}})
	for text, want := range map[string]string{
		"12345": "12345", "123456": " too_long", "äö": "äö", "äöü": " too_long", `"1"`: `"1"`, `"12"`: " too_long", "": "",
	} {
		if got := texts(d, text); len(got) != 1 || got[0] != want {
			t.Errorf("Fit(%q) = %q; want %q", text, got, want)
		}
	}
	// What is sent is as long as was foreseen, and what waits already goes out.
	in := full("12345")
	if r, err := d.Render(in); err != nil || len(r.Body) != frame+5 {
		t.Errorf("Render() makes %d bytes, %v; want %d", len(r.Body), err, frame+5)
	}
	if _, err := d.Render(full("123456")); err != nil {
		t.Errorf("Render() of a longer one = %v", err)
	}
	// A message that is too long is not told twice, and each part has a body of its own.
	both := compile(t, dialect.Declaration{URL: someURL, Body: body, Length: []dialect.Length{{Limit: 3}, {Field: "body", Limit: frame}}})
	if got := texts(both, "1234"); !slices.Equal(got, []string{"/message too_long"}) {
		t.Errorf("Fit() = %q; want the field alone", got)
	}
	parts := compile(t, dialect.Declaration{URL: someURL, Body: body, Length: []dialect.Length{{Limit: 20, Over: dialect.Split}, {Field: "body", Limit: frame + 20}}})
	if got := texts(parts, strings.Repeat("x", 28)); len(got) != 2 {
		t.Errorf("Fit() = %q; want two parts", got)
	}
}

const family = "👨‍👩‍👧‍👦" // one grapheme: 25 bytes, 7 characters, 11 UTF-16 units

func limited(lengths ...dialect.Length) dialect.Declaration {
	return dialect.Declaration{URL: someURL, Length: lengths}
}

// texts returns what Fit makes of a text, or the codes of its faults.
func texts(d *dialect.Dialect, text string) []string {
	fitted, faults := d.Fit(dialect.Message{Text: text})
	var all []string
	for _, f := range faults {
		all = append(all, f.Pointer+" "+f.Code)
	}
	for _, m := range fitted {
		all = append(all, m.Text)
	}
	return all
}

func TestFit(t *testing.T) {
	const tooLong = "/message too_long"
	tests := []struct {
		name string
		rule dialect.Length
		text string
		want []string
	}{
		{"as long as may be", dialect.Length{Limit: 3}, "äöü", []string{"äöü"}},
		{"characters", dialect.Length{Limit: 3}, "äöü!", []string{tooLong}},
		{"bytes", dialect.Length{Limit: 6, Unit: dialect.Bytes}, "äöü", []string{"äöü"}},
		{"a byte more", dialect.Length{Limit: 6, Unit: dialect.Bytes}, "äöü!", []string{tooLong}},
		{"UTF-16", dialect.Length{Limit: 3, Unit: dialect.UTF16}, "a👍", []string{"a👍"}},
		{"a unit more", dialect.Length{Limit: 3, Unit: dialect.UTF16}, "ab👍", []string{tooLong}},
		{"empty", dialect.Length{Limit: 1}, "", []string{""}},

		{"truncate", dialect.Length{Limit: 5, Over: dialect.Truncate}, "abcdef", []string{"abcd…"}},
		{"truncate not", dialect.Length{Limit: 6, Over: dialect.Truncate}, "abcdef", []string{"abcdef"}},
		{"truncate bytes", dialect.Length{Limit: 6, Unit: dialect.Bytes, Over: dialect.Truncate}, "aäöü", []string{"aä…"}},
		{"truncate to nothing", dialect.Length{Limit: 3, Unit: dialect.Bytes, Over: dialect.Truncate}, "abcd", []string{"…"}},
		{"a grapheme stays whole", dialect.Length{Limit: 8, Over: dialect.Truncate}, "a" + family + "bc", []string{"a…"}},
		{"a grapheme fits", dialect.Length{Limit: 9, Over: dialect.Truncate}, "a" + family + "bc", []string{"a" + family + "…"}},
		{"an accent stays", dialect.Length{Limit: 4, Over: dialect.Truncate}, "abe\u0301cd", []string{"ab…"}},
		{"a flag stays", dialect.Length{Limit: 4, Unit: dialect.UTF16, Over: dialect.Truncate}, "🇩🇪🇫🇷", []string{"…"}},
		{"a line break stays", dialect.Length{Limit: 3, Over: dialect.Truncate}, "a\r\nbc", []string{"a…"}},

		{"split not", dialect.Length{Limit: 20, Over: dialect.Split}, strings.Repeat("x", 20), []string{strings.Repeat("x", 20)}},
		{"split words", dialect.Length{Limit: 20, Over: dialect.Split}, "the quick brown fox jumps over", []string{"(1/3) the quick ", "(2/3) brown fox ", "(3/3) jumps over"}},
		{"split lines", dialect.Length{Limit: 20, Over: dialect.Split}, "first line\nsecond line", []string{"(1/2) first line\n", "(2/2) second line"}},
		{"split a long word", dialect.Length{Limit: 20, Over: dialect.Split}, "a " + strings.Repeat("x", 26), []string{"(1/2) a " + strings.Repeat("x", 12), "(2/2) " + strings.Repeat("x", 14)}},
		{"split bytes", dialect.Length{Limit: 20, Unit: dialect.Bytes, Over: dialect.Split}, strings.Repeat("ä", 11), []string{"(1/2) " + strings.Repeat("ä", 7), "(2/2) ääää"}},
		{"split graphemes", dialect.Length{Limit: 20, Over: dialect.Split}, strings.Repeat(family, 3), []string{"(1/2) " + family + family, "(2/2) " + family}},
		{"a grapheme too large", dialect.Length{Limit: 20, Over: dialect.Split}, "a" + strings.Repeat("\u0301", 30), []string{tooLong}},
		{"99 parts", dialect.Length{Limit: 20, Over: dialect.Split}, strings.Repeat("x", 9*13+90*12), nil},
		{"more than 99 parts", dialect.Length{Limit: 20, Over: dialect.Split}, strings.Repeat("x", 9*13+90*12+1), []string{tooLong}},
		{"far too much", dialect.Length{Limit: 20, Over: dialect.Split}, strings.Repeat("x", 1<<20), []string{tooLong}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := texts(compile(t, limited(tt.rule)), tt.text)
			if tt.want == nil {
				if len(got) != dialect.MaxParts || !strings.HasPrefix(got[98], "(99/99) x") {
					t.Errorf("Fit() = %q; want 99 parts", got)
				}
				return
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("Fit(%.40q) = %q; want %q", tt.text, got, tt.want)
			}
		})
	}
}

func TestFitOtherFields(t *testing.T) {
	d := compile(t, limited(
		dialect.Length{Field: "title", Limit: 4, Over: dialect.Truncate},
		dialect.Length{Field: "params.order", Limit: 3},
		dialect.Length{Field: "to", Limit: 5},
		dialect.Length{Limit: 40, Over: dialect.Truncate},
		dialect.Length{Field: "message", Limit: 30, Over: dialect.Split},
	))
	m := dialect.Message{To: "12345", Title: "a title", Text: strings.Repeat("x", 50), Params: map[string]string{"order": "123", "more": "x"}}
	got, faults := d.Fit(m)
	if len(faults) > 0 || len(got) != 2 || got[0].Title != "a t…" || got[1].To != "12345" || got[1].Params["more"] != "x" {
		t.Fatalf("Fit(%v) = %v, %v", m, got, faults)
	}
	if one, other := got[0].Text, got[1].Text; one != "(1/2) "+strings.Repeat("x", 24) || other != "(2/2) "+strings.Repeat("x", 15)+"…" {
		t.Errorf("Fit(%v) splits into %q, %q; want it truncated first", m, one, other)
	}
	m.Params = map[string]string{"order": "1234"}
	m.To = "123456"
	want := []dialect.Fault{
		{Pointer: "/params/order", Code: dialect.FaultTooLong, Detail: "This gateway takes at most 3 characters."},
		{Pointer: "/to", Code: dialect.FaultTooLong, Detail: "This gateway takes at most 5 characters."},
	}
	if got := d.Check(m); !slices.Equal(got, want) {
		t.Errorf("Check(%v) = %v; want %v", m, got, want)
	}
}

// Where the charset has no ellipsis there are three dots.
func TestTruncateInACharset(t *testing.T) {
	text := "{{message}}"
	for charset, want := range map[string]string{"windows-1252": "abcd…", "iso-8859-1": "ab..."} {
		d := limited(dialect.Length{Limit: 5, Over: dialect.Truncate})
		d.Body = dialect.Body{Text: &text, Charset: charset}
		if got := texts(compile(t, d), "abcdef"); !slices.Equal(got, []string{want}) {
			t.Errorf("Fit(abcdef) in %s = %q; want %q", charset, got, want)
		}
	}
}

func TestLengthComplains(t *testing.T) {
	many := make([]dialect.Length, 21)
	for i := range many {
		many[i].Limit = 1
	}
	tests := map[string]struct {
		give []dialect.Length
		want []string
	}{
		"field":          {[]dialect.Length{{Field: "text", Limit: 1}}, []string{"length[0].field"}},
		"parameter":      {[]dialect.Length{{Field: "params.a b", Limit: 1}}, []string{"length[0].field"}},
		"unit":           {[]dialect.Length{{Limit: 1, Unit: "words"}}, []string{"length[0].unit"}},
		"over":           {[]dialect.Length{{Limit: 1, Over: "cut"}}, []string{"length[0].over"}},
		"no limit":       {[]dialect.Length{{}}, []string{"length[0].limit"}},
		"huge limit":     {[]dialect.Length{{Limit: 8<<20 + 1}}, []string{"length[0].limit"}},
		"truncate to 2":  {[]dialect.Length{{Limit: 2, Over: dialect.Truncate}}, []string{"length[0].limit"}},
		"split at 19":    {[]dialect.Length{{Limit: 19, Over: dialect.Split}}, []string{"length[0].limit"}},
		"body":           {[]dialect.Length{{Field: "body", Unit: dialect.Characters, Over: dialect.Truncate}}, []string{"length[0].unit", "length[0].over", "length[0].limit"}},
		"body twice":     {[]dialect.Length{{Field: "body", Limit: 1}, {Field: "body", Limit: 8<<20 + 1}}, []string{"length[1].field", "length[1].limit"}},
		"split a title":  {[]dialect.Length{{Field: "title", Limit: 20, Over: dialect.Split}}, []string{"length[0].over"}},
		"split twice":    {[]dialect.Length{{Limit: 20, Over: dialect.Split}, {Limit: 30, Unit: dialect.Bytes, Over: dialect.Split}}, []string{"length[1].over"}},
		"two of a field": {[]dialect.Length{{Limit: 20}, {Limit: 30, Unit: dialect.Bytes}}, nil},
		"too many":       {many, []string{"length"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := complaints(t, limited(tt.give...)); !slices.Equal(got, tt.want) {
				t.Errorf("Compile(%s) complains about %q; want %q", name, got, tt.want)
			}
		})
	}
}

// measure counts in another way than the package does.
func measure(text string, unit dialect.Unit) int {
	switch unit {
	case dialect.Bytes:
		return len(text)
	case dialect.UTF16:
		return len(utf16.Encode([]rune(text)))
	case dialect.Characters:
	}
	return utf8.RuneCountInString(text)
}

// FuzzFit: what is split keeps its characters and its graphemes, and all stays
// within the limit.
func FuzzFit(f *testing.F) {
	for _, text := range []string{"", "the quick brown fox jumps over the lazy dog", strings.Repeat(family, 10), strings.Repeat("🇩🇪", 40), "a\r\n\r\nb" + strings.Repeat(" ", 50), strings.Repeat("e\u0301", 60), strings.Repeat("x", 2000)} {
		for unit := range uint8(3) {
			f.Add(text, uint16(20), unit)
			f.Add(text, uint16(33), unit)
		}
	}
	f.Fuzz(func(t *testing.T, text string, limit uint16, unit uint8) {
		l := dialect.Length{Limit: int(limit), Unit: []dialect.Unit{dialect.Bytes, dialect.Characters, dialect.UTF16}[unit%3], Over: dialect.Split}
		d, err := dialect.Compile(limited(l))
		if err != nil || !utf8.ValidString(text) {
			return
		}
		parts, faults := d.Fit(dialect.Message{Text: text})
		var together strings.Builder
		graphemes := 0
		for _, m := range parts {
			if n := measure(m.Text, l.Unit); n > l.Limit {
				t.Errorf("part %q is %d %s long; want at most %d", m.Text, n, l.Unit, l.Limit)
			}
			part := m.Text
			if len(parts) > 1 {
				_, part, _ = strings.Cut(part, " ")
			}
			graphemes += uniseg.GraphemeClusterCount(part)
			together.WriteString(part)
		}
		if len(faults) == 0 && (together.String() != text || graphemes != uniseg.GraphemeClusterCount(text) || len(parts) > dialect.MaxParts) {
			t.Errorf("Fit(%q) = %q; want the same together", text, parts)
		}

		l.Over = dialect.Truncate
		parts, faults = compile(t, limited(l)).Fit(dialect.Message{Text: text})
		if len(parts) != 1 || len(faults) > 0 || measure(parts[0].Text, l.Unit) > l.Limit {
			t.Fatalf("Fit(%q) = %q, %v; want one of at most %d %s", text, parts, faults, l.Limit, l.Unit)
		}
		if got := parts[0].Text; got != text {
			beginning, cut := strings.CutSuffix(got, "…")
			rest, begins := strings.CutPrefix(text, beginning)
			if !cut || !begins || uniseg.GraphemeClusterCount(beginning)+uniseg.GraphemeClusterCount(rest) != uniseg.GraphemeClusterCount(text) {
				t.Errorf("Fit(%q) = %q; want its beginning and an ellipsis", text, got)
			}
		}
	})
}
