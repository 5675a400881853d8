package dialect_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"

	"github.com/postrider/postrider/http/dialect"
)

// coding finds a charset that is known to compile.
func coding(t *testing.T, charset string) encoding.Encoding {
	t.Helper()
	e, err := ianaindex.MIME.Encoding(charset)
	if err != nil || e == nil {
		if e, err = htmlindex.Get(charset); err != nil {
			t.Fatalf("charset %q: %v", charset, err)
		}
	}
	return e
}

func decode(t *testing.T, charset, encoded string) string {
	t.Helper()
	text, err := coding(t, charset).NewDecoder().String(encoded)
	if err != nil {
		t.Fatalf("%q is not in %s: %v", encoded, charset, err)
	}
	return text
}

func TestCharset(t *testing.T) {
	text := "{{message}} ✓"
	plain := "{{message}}"
	tests := []struct {
		body              dialect.Body
		message           string
		contentType, want string
	}{
		{dialect.Body{Text: &plain, Charset: "Windows-1251"}, "Привет", "text/plain; charset=Windows-1251", "\xcf\xf0\xe8\xe2\xe5\xf2"},
		{dialect.Body{Text: &text, Charset: "UTF-8"}, "👍", "text/plain; charset=UTF-8", "👍 ✓"},
		{dialect.Body{Form: map[string]string{"t": "{{message}}"}, Charset: "utf-8"}, "ü", "application/x-www-form-urlencoded; charset=utf-8", "t=%C3%BC"},
		{dialect.Body{Form: map[string]string{"ü": "€ {{message}}"}, Charset: "iso-8859-15"}, "a ß&", "application/x-www-form-urlencoded; charset=iso-8859-15", "%FC=%A4+a+%DF%26"},
		{dialect.Body{Form: map[string]string{"t": "{{message}}"}, Charset: "gb2312"}, "你好", "application/x-www-form-urlencoded; charset=gb2312", "t=%C4%E3%BA%C3"},
		{
			dialect.Body{XML: object{"имя": object{"@ы": "{{message}}"}}, Charset: "koi8-r"},
			"<я>", "application/xml; charset=koi8-r",
			"<?xml version=\"1.0\" encoding=\"koi8-r\"?>\n<\xc9\xcd\xd1 \xd9=\"&lt;\xd1&gt;\"></\xc9\xcd\xd1>",
		},
	}
	for _, tt := range tests {
		d := dialect.Declaration{URL: someURL, Body: tt.body}
		compiled := compile(t, d)
		r, err := compiled.Render(input(tt.message))
		if got := string(r.Body); got != tt.want || header(r).Get("Content-Type") != tt.contentType || err != nil {
			t.Errorf("Render(%q) in %s = %q, %q, %v; want %q", tt.message, tt.body.Charset, r.Header, got, err, tt.want)
		}
		if !reflect.DeepEqual(compiled, compile(t, d)) {
			t.Errorf("Compile() of the same in %s makes another dialect", tt.body.Charset)
		}
	}
}

// A charset is taken at its word: ISO-8859-1 has no €, though browsers think so.
func TestCharsetLacks(t *testing.T) {
	plain := "{{message}}"
	for _, tt := range []struct {
		charset, text string
		want          error
	}{
		{"windows-1252", "€", nil},
		{"iso-8859-1", "€", dialect.ErrUnfit},
		{"iso-8859-1", "é", nil},
		{"us-ascii", "é", dialect.ErrUnfit},
		{"windows-1251", "a👍b", dialect.ErrUnfit},
		{"shift_jis", "日本", nil},
		{"shift_jis", "¥", dialect.ErrUnfit}, // is written as a backslash by some
		{"gb18030", "👍", nil},
	} {
		d := dialect.Declaration{URL: someURL, Body: dialect.Body{Text: &plain, Charset: tt.charset}}
		if _, err := compile(t, d).Render(input(tt.text)); !errors.Is(err, tt.want) {
			t.Errorf("Render(%q) in %s = %v; want %v", tt.text, tt.charset, err, tt.want)
		}
		d.Body = dialect.Body{XML: object{"a": "{{message}}"}, Charset: tt.charset}
		if _, err := compile(t, d).Render(input(tt.text)); !errors.Is(err, tt.want) {
			t.Errorf("Render(%q) as XML in %s = %v; want %v", tt.text, tt.charset, err, tt.want)
		}
	}
}

func TestCharsetComplains(t *testing.T) {
	text := "ü {{message}}"
	tests := map[string]struct {
		body dialect.Body
		want []string
	}{
		"JSON":           {dialect.Body{JSON: "x", Charset: "utf-8"}, []string{"body.charset"}},
		"default body":   {dialect.Body{Charset: "utf-8"}, []string{"body.charset"}},
		"none":           {dialect.Body{None: true, Charset: "utf-8"}, []string{"body.charset"}},
		"unknown":        {dialect.Body{Text: &text, Charset: "klingon"}, []string{"body.charset"}},
		"line break":     {dialect.Body{Text: &text, Charset: "utf-8\n"}, []string{"body.charset"}},
		"UTF-16":         {dialect.Body{Text: &text, Charset: "utf-16"}, []string{"body.charset"}},
		"UTF-16BE":       {dialect.Body{Text: &text, Charset: "utf-16be"}, []string{"body.charset"}},
		"shifting":       {dialect.Body{Text: new("x"), Charset: "iso-2022-jp"}, []string{"body.charset"}},
		"HZ":             {dialect.Body{Text: new("x"), Charset: "hz-gb-2312"}, []string{"body.charset"}},
		"EBCDIC":         {dialect.Body{Text: new("x"), Charset: "ibm037"}, []string{"body.charset"}},
		"replacement":    {dialect.Body{Text: new("x"), Charset: "iso-2022-kr"}, []string{"body.charset"}},
		"constant":       {dialect.Body{Text: &text, Charset: "koi8-r"}, []string{"body.text"}},
		"name in a form": {dialect.Body{Form: map[string]string{"ü": "ü"}, Charset: "koi8-r"}, []string{"body.form.ü", "body.form.ü"}},
		"name in XML":    {dialect.Body{XML: object{"ü": "ü"}, Charset: "koi8-r"}, []string{"body.xml.ü", "body.xml.ü"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := complaints(t, dialect.Declaration{URL: someURL, Body: tt.body}); !slices.Equal(got, tt.want) {
				t.Errorf("Compile(%s) complains about %q; want %q", name, got, tt.want)
			}
		})
	}
}
