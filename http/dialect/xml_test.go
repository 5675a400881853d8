package dialect_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/postrider/postrider/http/dialect"
)

type object = map[string]any

// node is any element.
type node struct {
	XMLName    xml.Name
	Attributes []xml.Attr `xml:",any,attr"`
	Text       string     `xml:",chardata"`
	Elements   []node     `xml:",any"`
}

// read parses a body as a receiver would that goes by the declaration in it.
func read(t *testing.T, body []byte) node {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(body))
	d.CharsetReader = func(label string, in io.Reader) (io.Reader, error) {
		return coding(t, label).NewDecoder().Reader(in), nil
	}
	var root node
	if err := d.Decode(&root); err != nil {
		t.Fatalf("XML %q: %v", body, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("XML %q: more than one root, %v", body, err)
	}
	return root
}

func withXML(tree any) dialect.Declaration {
	return dialect.Declaration{URL: someURL, Body: dialect.Body{XML: tree}}
}

func TestXML(t *testing.T) {
	const start = `<?xml version="1.0" encoding="utf-8"?>` + "\n"
	tests := map[string]struct {
		tree any
		want string
	}{
		"text":       {object{"a": "{{message}}"}, `<a>x &lt;y&gt; &amp; "z"</a>`},
		"nothing":    {object{"a": nil}, `<a/>`},
		"empty":      {object{"a": object{}}, `<a></a>`},
		"scalars":    {object{"a": object{"b": 1, "c": true, "d": 2.5, "@e": 7}}, `<a e="7"><b>1</b><c>true</c><d>2.5</d></a>`},
		"sorted":     {object{"a": object{"z": "1", "b": "2", "@y": "3", "@c": "4", "#text": "5"}}, `<a c="4" y="3">5<b>2</b><z>1</z></a>`},
		"list":       {object{"a": object{"to": []any{"{{to}}", object{"@x": "1"}, nil}}}, `<a><to>+49 170</to><to x="1"></to><to/></a>`},
		"empty list": {object{"a": object{"to": []any{}}}, `<a></a>`},
		"attribute":  {object{"a": object{"@m": "{{message}}"}}, `<a m="x &lt;y&gt; &amp; &#34;z&#34;"></a>`},
		"constants":  {object{"a": object{"@m": "<\"\r\n\t>", "#text": "<\"\r\n\t>"}}, `<a m="&lt;&#34;&#13;&#10;&#9;&gt;">&lt;"&#13;` + "\n\t" + `&gt;</a>`},
		"order": {
			object{"a": object{"@v": "1", "#content": []any{object{"z": "1"}, " and ", object{"b": []any{"2", "3"}}, 4}}},
			`<a v="1"><z>1</z> and <b>2</b><b>3</b>4</a>`,
		},
		"namespaces": {
			object{"s:Envelope": object{"@xmlns:s": "http://schemas.xmlsoap.org/soap/envelope/", "s:Body": object{"м": ""}}},
			`<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><м></м></s:Body></s:Envelope>`,
		},
		"optional, there": {object{"a": object{"@t": "{{?title}}", "b": "{{?title}}"}}, `<a t="A &amp; B"><b>A &amp; B</b></a>`},
		"optional, not":   {object{"a": object{"@t": "{{?params.x}}", "b": "{{?params.x}}", "c": []any{"{{?params.x}}"}, "#text": "{{?params.x}}"}}, `<a></a>`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := compile(t, withXML(tt.tree)).Render(full(`x <y> & "z"`))
			if got := string(r.Body); got != start+tt.want || err != nil {
				t.Errorf("Render(%v) = %s, %v; want %s", tt.tree, got, err, start+tt.want)
			}
			if got := header(r).Get("Content-Type"); got != "application/xml; charset=utf-8" {
				t.Errorf("Content-Type = %s", got)
			}
			read(t, r.Body)
		})
	}
}

func TestXMLHasNoSuchCharacter(t *testing.T) {
	d := compile(t, withXML(object{"a": object{"@b": "{{message}}", "c": "{{message}}"}}))
	for _, text := range []string{"\x00", "a\x1fb", "\ufffe", "\uffff", "\b"} {
		if _, err := d.Render(input(text)); !errors.Is(err, dialect.ErrUnfit) {
			t.Errorf("Render(%q) = %v; want %v", text, err, dialect.ErrUnfit)
		}
	}
	for _, text := range []string{"\t\r\n", "\u0085\u2028\x7f", "]]>", "<!--", "\ufffd\U0010ffff👍", "&#0;"} {
		r, err := d.Render(input(text))
		if err != nil {
			t.Errorf("Render(%q) = %v", text, err)
			continue
		}
		if root := read(t, r.Body); root.Attributes[0].Value != text || root.Elements[0].Text != text {
			t.Errorf("Render(%q) reads %q", text, root)
		}
	}
}

func TestXMLComplains(t *testing.T) {
	deep := any("x")
	for range 33 {
		deep = object{"a": deep}
	}
	many := make([]any, 10_001)
	tests := map[string]struct {
		tree any
		want []string
	}{
		"a text":             {"x", []string{"body.xml"}},
		"two roots":          {object{"a": "", "b": ""}, []string{"body.xml"}},
		"no root":            {object{}, []string{"body.xml"}},
		"a list of roots":    {object{"a": []any{"x"}}, []string{"body.xml.a"}},
		"root left out":      {object{"a": "{{?title}}"}, []string{"body.xml.a"}},
		"unknown name":       {object{"a": object{"@b": "{{x}}", "c": []any{"{{x}}"}, "#text": "{{x}}"}}, []string{"body.xml.a.@b", "body.xml.a.#text", "body.xml.a.c[0]"}},
		"names":              {object{"a": object{"b c": "", "1": "", "": "", "@": "", "x:": "", ":x": "", "a:b:c": "", "#tex": "", "{{id}}": "", "<": ""}}, slices.Repeat([]string{"x"}, 10)},
		"list in a list":     {object{"a": object{"b": []any{[]any{}}}}, []string{"body.xml.a.b[0]"}},
		"attribute, a tree":  {object{"a": object{"@b": object{}}}, []string{"body.xml.a.@b"}},
		"attribute, nothing": {object{"a": object{"@b": nil}}, []string{"body.xml.a.@b"}},
		"not a value":        {object{"a": struct{}{}}, []string{"body.xml.a"}},
		"control character":  {object{"a": object{"@b": "\x00", "c": "\x01"}}, []string{"body.xml.a.@b", "body.xml.a.c"}},
		"content, no list":   {object{"a": object{"#content": "x"}}, []string{"body.xml.a.#content"}},
		"content and more":   {object{"a": object{"#content": []any{}, "b": "", "#text": "", "@c": ""}}, []string{"body.xml.a.#text", "body.xml.a.b"}},
		"content, two names": {object{"a": object{"#content": []any{object{"b": "", "c": ""}, object{}}}}, []string{"body.xml.a.#content[0]", "body.xml.a.#content[1]"}},
		"too deep":           {deep, []string{"body.xml" + strings.Repeat(".a", 33)}},
		"too large":          {object{"a": object{"b": many}}, []string{"body.xml"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := complaints(t, withXML(tt.tree))
			if name == "names" {
				got = slices.Repeat([]string{"x"}, len(got))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("Compile(%s) complains about %q; want %q", name, got, tt.want)
			}
		})
	}
}
