package dialect_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func compile(t testing.TB, d dialect.Declaration) *dialect.Dialect {
	t.Helper()
	compiled, err := dialect.Compile(d)
	if err != nil {
		t.Fatalf("Compile() = %v", err)
	}
	return compiled
}

func input(text string) dialect.Input {
	return dialect.Input{ID: data.FirstID(1), Gateway: "gateway_1", Text: text, Attempt: 2}
}

// show writes a request down as it would look on the wire, more or less.
func show(r dialect.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", r.Method, r.URL)
	for _, h := range r.Header {
		fmt.Fprintf(&b, "%s: %s\n", h.Name, h.Value)
	}
	if r.Body != nil {
		fmt.Fprintf(&b, "\n%s\n", r.Body)
	}
	return b.String()
}

func TestGoldenRequests(t *testing.T) {
	const nasty = "say \"hi\" \\ {{id}} & a=b/c?d#e%41 + ü 👍 <b>"
	plain := "{{gateway}} {{\"{{\"}}{{attempt}}}}: {{message}}\r\n"
	tests := map[string]struct {
		give dialect.Declaration
		text string
	}{
		"default":       {dialect.Declaration{URL: "http://127.0.0.1:5000/gateway_1"}, "test"},
		"default_nasty": {dialect.Declaration{URL: "http://127.0.0.1:5000/gateway_1"}, nasty + "\r\n\t\x00\x7f\u2028"},
		"json": {dialect.Declaration{
			Method:  "PUT",
			URL:     "https://api.example.org/rooms/!a:b/{{id}}?retry={{attempt}}",
			Headers: map[string]string{"authorization": "Bearer s3cret", "Idempotency-Key": "{{gateway}}-{{id}}", "Content-Type": "application/vnd.example+json"},
			Body: dialect.Body{JSON: map[string]any{
				"z": "first in the file", "a": []any{1, -2.5, true, nil, uint64(1 << 63)}, "ключ \"k\"": "{{message}}",
				"deep": map[string]any{"{": "<{{message}}|{{message}}>", "": map[string]any{}, "none": []any{}},
			}},
		}, nasty},
		"form": {dialect.Declaration{
			URL:  "https://me:p%40ss%3A@sms.example.org?to=%2B49",
			Body: dialect.Body{Form: map[string]string{"text": "{{message}}", "id": "{{id}}/{{attempt}}", "a b": "1 & 1", "empty": ""}},
		}, nasty + "\r\n"},
		"text": {dialect.Declaration{URL: "https://example.org/a b/ü/%7e%2F", Headers: map[string]string{"X-Title": "{{message}}"}, Body: dialect.Body{Text: &plain}}, nasty},
		"get":  {dialect.Declaration{Method: "GET", URL: "https://example.org/x.{{message}}/send?text={{message}}&from=a+b&z"}, nasty},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := compile(t, tt.give).Render(input(tt.text))
			if err != nil {
				t.Fatalf("Render(%q) = %v", tt.text, err)
			}
			file := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(show(r)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got := show(r); got != string(want) {
				t.Errorf("Render(%q) =\n%s\nwant\n%s", tt.text, got, want)
			}
		})
	}
}

func ExampleDialect_Render() {
	d, err := dialect.Compile(dialect.Declaration{
		URL:     "https://sms.example.org/send/{{id}}",
		Headers: map[string]string{"X-Try": "{{attempt}}"},
		Body:    dialect.Body{JSON: map[string]any{"text": "<{{message}}>", "flash": false}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := d.Render(dialect.Input{ID: data.FirstID(1), Gateway: "sms", Text: `say "hi"`, Attempt: 1})
	fmt.Println(r.Method, r.URL, err)
	fmt.Println(r.Header[0])
	fmt.Println(string(r.Body))
	// Output:
	// POST https://sms.example.org/send/000g000000002 <nil>
	// {X-Try 1}
	// {"flash": false, "text": "<say \"hi\">"}
}

func TestDefaultBodyIsThatOfSystemB(t *testing.T) {
	r, err := compile(t, dialect.Declaration{URL: someURL}).Render(input("test"))
	if got, want := string(r.Body), `{"message": "test"}`; err != nil || got != want {
		t.Errorf("Render(test) = %s, %v; want %s", got, err, want)
	}
}

func TestRenderRefuses(t *testing.T) {
	inHeader := withHeader("X-Title", "{{message}}")
	inPath := dialect.Declaration{URL: "http://example.org/a/{{message}}/b"}
	afterDot := dialect.Declaration{URL: "http://example.org/a/%2E{{message}}"}
	long := strings.Repeat("{{message}}", 5000)
	tests := []struct {
		give dialect.Declaration
		text string
		want error
	}{
		{inHeader, "plain ü 👍", nil},
		{inHeader, "", nil},
		{inHeader, "a\r\nX-B: c", dialect.ErrUnfit},
		{inHeader, "a\nb", dialect.ErrUnfit},
		{inHeader, "a\x00b", dialect.ErrUnfit},
		{inHeader, "a\tb", dialect.ErrUnfit},
		{inHeader, "a\u0085b", dialect.ErrUnfit},
		{inHeader, " a", dialect.ErrUnfit},
		{inPath, "a/../../b", nil},
		{inPath, "...", nil},
		{inPath, "%2e%2e", nil},
		{inPath, ".", dialect.ErrUnfit},
		{inPath, "..", dialect.ErrUnfit},
		{inPath, "", dialect.ErrUnfit},
		{afterDot, "x", nil},
		{afterDot, ".", dialect.ErrUnfit},
		{afterDot, "", dialect.ErrUnfit},
		{withText("{{message}}"), "\xff", dialect.ErrUnfit},
		{withText(long), strings.Repeat("x", 1000), nil},
		{withText(long), strings.Repeat("x", 2000), dialect.ErrTooLong},
		{dialect.Declaration{URL: someURL + "?a=" + long}, strings.Repeat("x", 2000), dialect.ErrTooLong},
		{withHeader("X-A", long), strings.Repeat("x", 2000), dialect.ErrTooLong},
		{dialect.Declaration{URL: someURL, Headers: map[string]string{"X-A": long, "X-B": long}}, strings.Repeat("x", 1000), dialect.ErrTooLong},
	}
	for _, tt := range tests {
		_, err := compile(t, tt.give).Render(input(tt.text))
		if !errors.Is(err, tt.want) {
			t.Errorf("%s %v: Render(%.20q) = %v; want %v", tt.give.URL[:20], tt.give.Headers != nil, tt.text, err, tt.want)
		}
	}
}

func TestTemplate(t *testing.T) {
	tests := []struct{ source, want string }{
		{"", ""},
		{"plain", "plain"},
		{"{{event_payload}} is here", "{{event_type}}\n is here"},
		{"{{ event_type }}{{event_type}}", "user_x user_x "},
		{`{{"{{"}}event_type}} { } }}`, "{{event_type}} { } }}"},
	}
	for _, tt := range tests {
		tmpl, err := dialect.CompileTemplate(tt.source, "event_type", "event_payload")
		if err != nil {
			t.Errorf("CompileTemplate(%q) = %v", tt.source, err)
			continue
		}
		if got, err := tmpl.Render("user_x ", "{{event_type}}\n"); got != tt.want || err != nil {
			t.Errorf("Template(%q).Render() = %q, %v; want %q", tt.source, got, err, tt.want)
		}
	}
	if _, err := dialect.CompileTemplate("{{message}} {{", "event_type"); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("CompileTemplate of two mistakes = %v; want both", err)
	}
	tmpl, err := dialect.CompileTemplate(strings.Repeat("{{a}}", 10_000), "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tmpl.Render(strings.Repeat("x", 1000)); !errors.Is(err, dialect.ErrTooLong) {
		t.Errorf("Render() of 10 MB = %v; want %v", err, dialect.ErrTooLong)
	}
}

func TestRenderAllocates(t *testing.T) {
	d := compile(t, dialect.Declaration{URL: "http://127.0.0.1:5000/gateway_1"})
	in := input("hello world")
	if got := testing.AllocsPerRun(100, func() { _, _ = d.Render(in) }); got > 5 {
		t.Errorf("Render() allocates %v times; want at most 5", got)
	}
}

func BenchmarkRenderDefault(b *testing.B) {
	d := compile(b, dialect.Declaration{URL: "http://127.0.0.1:5000/gateway_1"})
	in := input(strings.Repeat("hello world, how are you? ", 8)[:200])
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Render(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRenderForm(b *testing.B) {
	d := compile(b, dialect.Declaration{
		URL:     "https://sms.example.org/send/{{id}}",
		Headers: map[string]string{"Authorization": "Bearer x", "Idempotency-Key": "{{id}}"},
		Body:    dialect.Body{Form: map[string]string{"text": "{{message}}", "from": "Postrider"}},
	})
	in := input(strings.Repeat("hello world, how are you? ", 8)[:200])
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Render(in); err != nil {
			b.Fatal(err)
		}
	}
}
