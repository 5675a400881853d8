package dialect_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/postrider/postrider/http/dialect"
)

// found returns pointers and codes of faults.
func found(faults []dialect.Fault) []string {
	var all []string
	for _, f := range faults {
		all = append(all, f.Pointer+" "+f.Code)
	}
	return all
}

func TestCheck(t *testing.T) {
	text := "{{message}}"
	tests := map[string]struct {
		give    dialect.Declaration
		message dialect.Message
		want    []string
	}{
		"nothing needed": {dialect.Declaration{}, dialect.Message{}, nil},
		"all there":      {dialect.Declaration{Needs: []string{"to", "params.order"}}, dialect.Message{To: "x", Params: map[string]string{"order": "1"}}, nil},
		"all missing": {
			dialect.Declaration{Needs: []string{"message", "to", "title", "params.order"}},
			dialect.Message{Params: map[string]string{"order": ""}},
			[]string{"/message required", "/to required", "/title required", "/params/order required"},
		},
		"missing and in the path": {dialect.Declaration{URL: someURL + "/{{to}}", Needs: []string{"to"}}, dialect.Message{}, []string{"/to required"}},
		"nothing in the path":     {dialect.Declaration{URL: someURL + "/{{params.room}}"}, dialect.Message{}, []string{"/params/room unfit"}},
		"dots in the path":        {dialect.Declaration{URL: someURL + "/.{{to}}"}, dialect.Message{To: "."}, []string{"/to unfit"}},
		"several in headers": {
			dialect.Declaration{Headers: map[string]string{"X-A": "{{title}}", "X-B": "{{to}} {{params.p}}"}},
			dialect.Message{Title: "a\nb", To: "\x00", Params: map[string]string{"p": " "}},
			[]string{"/title unfit", "/to unfit", "/params/p unfit"},
		},
		"spaces in a header": {
			dialect.Declaration{Headers: map[string]string{"X-A": "{{to}}{{message}}{{title}}"}},
			dialect.Message{To: " ", Title: " ", Text: " "},
			[]string{"/to unfit", "/title unfit"},
		},
		"space at the end of a header": {dialect.Declaration{Headers: map[string]string{"X-A": "{{title}}"}}, dialect.Message{Title: "a "}, []string{"/title unfit"}},
		"lacking in the charset":       {dialect.Declaration{Body: dialect.Body{Text: &text, Charset: "koi8-r"}}, dialect.Message{Text: "👍"}, []string{"/message unfit"}},
		"none in XML":                  {dialect.Declaration{Body: dialect.Body{XML: object{"a": "{{message}}"}}}, dialect.Message{Text: "\x00"}, []string{"/message unfit"}},
		"fits JSON":                    {dialect.Declaration{}, dialect.Message{Text: "\x00\u202e\r\n{{message}}👍"}, nil},
		"not UTF-8":                    {dialect.Declaration{Body: dialect.Body{JSON: "{{title}}"}}, dialect.Message{Text: "\xff", Title: "\xff"}, []string{"/message unfit", "/title unfit"}},
		"too long a request":           {dialect.Declaration{Body: dialect.Body{JSON: strings.Repeat("{{message}}", 100)}}, dialect.Message{Text: strings.Repeat("x", 90_000)}, []string{"/message too_long"}},
		"too long and unfit": {
			dialect.Declaration{Length: []dialect.Length{{Limit: 2}}, Headers: map[string]string{"X-A": "{{title}}", "X-B": "{{message}}"}},
			dialect.Message{Text: "a\nb", Title: "\n"},
			[]string{"/message too_long", "/title unfit"},
		},
		"signed": {
			dialect.Declaration{URL: someURL + "?s={{signature}}", Auth: dialect.Auth{Signature: &dialect.Signature{Key: "k", Text: "{{timestamp}}{{to}}"}}},
			dialect.Message{To: "\xff"},
			[]string{"/to unfit"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.give.URL == "" {
				tt.give.URL = someURL
			}
			if got := found(compile(t, tt.give).Check(tt.message)); !slices.Equal(got, tt.want) {
				t.Errorf("Check(%.100q) = %q; want %q", tt.message, got, tt.want)
			}
		})
	}
}

func TestNeedsComplain(t *testing.T) {
	for name, tt := range map[string]struct{ give, want []string }{
		"unknown":     {[]string{"text", "id", ""}, []string{"needs[0]", "needs[1]", "needs[2]"}},
		"parameter":   {[]string{"params.", "params.a.b"}, []string{"needs[0]", "needs[1]"}},
		"given twice": {[]string{"to", "params.a", "to", "params.a"}, []string{"needs[2]", "needs[3]"}},
		"too many":    {slices.Repeat([]string{"to"}, 101), nil},
	} {
		got := complaints(t, dialect.Declaration{URL: someURL, Needs: tt.give})
		if tt.want == nil {
			got, tt.want = got[:1], []string{"needs"}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("Compile(%s) complains about %q; want %q", name, got, tt.want)
		}
	}
}

func ExampleDialect_Fit() {
	d, err := dialect.Compile(dialect.Declaration{
		URL:    "https://sms.example.org/send?to={{to}}",
		Needs:  []string{"to"},
		Length: []dialect.Length{{Limit: 20, Over: dialect.Split}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, faults := d.Fit(dialect.Message{Text: "hello"})
	fmt.Println(faults)
	parts, _ := d.Fit(dialect.Message{To: "+4912345", Text: "hello world, how are you?"})
	for _, m := range parts {
		fmt.Printf("%q\n", m.Text)
	}
	// Output:
	// [{/to required This gateway needs the field.}]
	// "(1/2) hello world, "
	// "(2/2) how are you?"
}

func BenchmarkFit(b *testing.B) {
	d := compile(b, limited(dialect.Length{Limit: 4096, Unit: dialect.UTF16, Over: dialect.Split}))
	m := dialect.Message{Text: strings.Repeat("hello world, how are you? ", 8)[:200]}
	b.ReportAllocs()
	for b.Loop() {
		if _, faults := d.Fit(m); faults != nil {
			b.Fatal(faults)
		}
	}
}

func BenchmarkSplit(b *testing.B) {
	d := compile(b, limited(dialect.Length{Limit: 20_000, Over: dialect.Split}))
	m := dialect.Message{Text: strings.Repeat("hello world, how are you? ", 40_000)}
	b.ReportAllocs()
	for b.Loop() {
		if _, faults := d.Fit(m); faults != nil {
			b.Fatal(faults)
		}
	}
}
