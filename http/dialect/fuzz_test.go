package dialect_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/postrider/postrider/http/dialect"
)

// plain renders a source the way it reads, without any encoding.
func plain(t *testing.T, source string, in dialect.Input) string {
	t.Helper()
	tmpl, err := dialect.CompileTemplate(source, "message", "to", "title", "id", "attempt", "gateway", "timestamp", "timestamp_ms", "time")
	if err != nil {
		t.Skipf("CompileTemplate(%q) = %v", source, err) // params.NAME and uuid
	}
	s, err := tmpl.Render(in.Text, in.To, in.Title, in.ID.String(), strconv.Itoa(in.Attempt), in.Gateway,
		strconv.FormatInt(in.Now.Unix(), 10), strconv.FormatInt(in.Now.UnixMilli(), 10), in.Now.UTC().Format(time.RFC3339))
	if err != nil {
		t.Fatalf("Render(%q) = %v", source, err)
	}
	return s
}

func addSeeds(f *testing.F) {
	for _, text := range []string{"", "test", `"quoted" \`, "a\r\nb", "\x00", "👍", "{{message}}", "..", "a/b?c=d&e#f%2e", "\xff", "\u2028"} {
		f.Add("{{message}}", text)
		f.Add(`<{{ message }}{{id}}{{"{{"}}}}{{gateway}}>`, text)
	}
}

// FuzzJSON and FuzzForm: what was rendered reads back to the same leaves.
func FuzzJSON(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, source, text string) {
		d, err := dialect.Compile(withJSON(map[string]any{"a": []any{source, "constant", 1}, "b": "{{message}}"}))
		if err != nil {
			return
		}
		in := input(text)
		r, err := d.Render(in)
		if err != nil {
			wantUnfit(t, text, err)
			return
		}
		var got struct {
			A [3]any
			B string
		}
		if err := json.Unmarshal(r.Body, &got); err != nil {
			t.Fatalf("body %q: %v", r.Body, err)
		}
		if want := plain(t, source, in); got.A != [3]any{want, "constant", 1.0} || got.B != text {
			t.Errorf("body %q reads %q, %q; want %q, %q", r.Body, got.A, got.B, want, text)
		}
	})
}

func FuzzForm(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, source, text string) {
		form := map[string]string{"a & b": source, "m": "{{message}}"}
		d, err := dialect.Compile(dialect.Declaration{URL: someURL, Body: dialect.Body{Form: form}})
		if err != nil {
			return
		}
		in := input(text)
		r, err := d.Render(in)
		if err != nil {
			wantUnfit(t, text, err)
			return
		}
		got, err := url.ParseQuery(string(r.Body))
		if want := plain(t, source, in); err != nil || len(got) != 2 || got.Get("a & b") != want || got.Get("m") != text {
			t.Errorf("body %q reads %q, %v; want %q, %q", r.Body, got, err, want, text)
		}
	})
}

// FuzzXML: what was rendered reads back to the same leaves, in any charset, or
// is not sent.
func FuzzXML(f *testing.F) {
	for _, charset := range []string{"", "windows-1251", "iso-8859-1", "shift_jis", "gb18030", "euc-kr"} {
		for _, text := range []string{"", "test", `<a b="c">&amp;`, "a\r\nb\t", "\x00", "👍", "]]>", "¥~\\", "привет", "日本", "\ufffe", "\u0085"} {
			f.Add("<{{message}}|{{title}}>", text, charset)
		}
	}
	f.Fuzz(func(t *testing.T, source, text, charset string) {
		tree := map[string]any{"r": map[string]any{"@a": source, "#text": source, "b": []any{"{{message}}", "{{?title}}"}}}
		d, err := dialect.Compile(dialect.Declaration{URL: someURL, Body: dialect.Body{XML: tree, Charset: charset}})
		if err != nil {
			return
		}
		in := input(text)
		in.Title = text
		r, err := d.Render(in)
		if err != nil {
			if !errors.Is(err, dialect.ErrUnfit) {
				t.Errorf("Render(%q) = %v; want %v", text, err, dialect.ErrUnfit)
			}
			return
		}
		want, root := plain(t, source, in), read(t, r.Body)
		if root.Text != want || len(root.Attributes) != 1 || root.Attributes[0].Value != want {
			t.Errorf("body %q reads %q; want %q", r.Body, root, want)
		}
		elements := 2
		if text == "" {
			elements = 1
		}
		if len(root.Elements) != elements || root.Elements[0].Text != text || root.Elements[elements-1].Text != text {
			t.Errorf("body %q reads %q; want %q", r.Body, root.Elements, text)
		}
	})
}

// FuzzCharset: a form in another charset reads back to the same values.
func FuzzCharset(f *testing.F) {
	for _, charset := range []string{"", "windows-1251", "iso-8859-1", "shift_jis", "gbk", "big5", "euc-jp", "koi8-u"} {
		for _, text := range []string{"", "test", "a&b=c %41+", "\x00\r\n", "👍", "¥~\\‾", "привет", "日本", "é€"} {
			f.Add(text, charset)
		}
	}
	f.Fuzz(func(t *testing.T, text, charset string) {
		form := map[string]string{"m": "{{message}}", "n": "<{{message}}>"}
		d, err := dialect.Compile(dialect.Declaration{URL: someURL, Body: dialect.Body{Form: form, Charset: charset}})
		if err != nil {
			return
		}
		r, err := d.Render(input(text))
		if err != nil {
			if !errors.Is(err, dialect.ErrUnfit) {
				t.Errorf("Render(%q) = %v; want %v", text, err, dialect.ErrUnfit)
			}
			return
		}
		got, err := url.ParseQuery(string(r.Body))
		if err != nil || len(got) != 2 {
			t.Fatalf("body %q reads %q, %v", r.Body, got, err)
		}
		m, n := got.Get("m"), got.Get("n")
		if charset != "" {
			m, n = decode(t, charset, m), decode(t, charset, n)
		}
		if m != text || n != "<"+text+">" {
			t.Errorf("body %q in %s reads %q, %q; want %q", r.Body, charset, m, n, text)
		}
	})
}

// FuzzHeader: a value arrives as those very characters or is not sent.
func FuzzHeader(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, source, text string) {
		d, err := dialect.Compile(withHeader("X-A", source))
		if err != nil {
			return
		}
		in := input(text)
		r, err := d.Render(in)
		if err != nil {
			if !errors.Is(err, dialect.ErrUnfit) {
				t.Errorf("Render(%q) = %v; want %v", text, err, dialect.ErrUnfit)
			}
			return
		}
		got := r.Header[0]
		if got.Name != "X-A" || got.Value != plain(t, source, in) || len(r.Header) != 4 {
			t.Errorf("header = %q; want X-A: %q", r.Header, plain(t, source, in))
		}
		if strings.ContainsFunc(got.Value, unicode.IsControl) || strings.Trim(got.Value, " ") != got.Value {
			t.Errorf("header value %q changes on its way", got.Value)
		}
	})
}

// FuzzURL: values fill their place in the URL and change nothing around it.
func FuzzURL(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, source, text string) {
		// Constants of a URL have a meaning in it; the fuzzed source has none.
		constant := strings.ContainsAny(source, "/?#%&=+")
		d, err := dialect.Compile(dialect.Declaration{URL: "http://example.org/a/" + source + "/z?m={{message}}&s=" + source + "&z=1"})
		if err != nil || constant {
			return
		}
		in := input(text)
		r, err := d.Render(in)
		if err != nil {
			if !errors.Is(err, dialect.ErrUnfit) {
				t.Errorf("Render(%q) = %v; want %v", text, err, dialect.ErrUnfit)
			}
			return
		}
		u, err := url.Parse(r.URL)
		if err != nil {
			t.Fatalf("URL %q: %v", r.URL, err)
		}
		want := plain(t, source, in)
		path := strings.Split(u.EscapedPath(), "/")
		if u.Scheme != "http" || u.Host != "example.org" || u.User != nil || u.Fragment != "" || len(path) != 4 {
			t.Fatalf("URL %q reads %q; want another structure", r.URL, u)
		}
		if segment, err := url.PathUnescape(path[2]); err != nil || segment != want || path[3] != "z" {
			t.Errorf("URL %q has the segment %q, %v; want %q", r.URL, segment, err, want)
		}
		if u.RequestURI() != strings.TrimPrefix(r.URL, "http://example.org") {
			t.Errorf("URL %q is asked for as %q", r.URL, u.RequestURI())
		}
		q, err := url.ParseQuery(u.RawQuery)
		if strings.Contains(source, ";") {
			return // a separator to url.ParseQuery, which refuses it
		}
		if err != nil || len(q) != 3 || q.Get("m") != text || q.Get("s") != want || q.Get("z") != "1" {
			t.Errorf("URL %q asks for %q, %v; want %q, %q", r.URL, q, err, text, want)
		}
	})
}

// FuzzCompile: no declaration, however strange, does harm; what compiles, renders,
// and can be shown.
func FuzzCompile(f *testing.F) {
	f.Add("POST", "https://me:x@example.org:8080/{{id}}?a={{message}}", "X-A", "{{message}}", "a", `{"a": ["{{message}}", 1, null]}`, "", uint8(0))
	f.Add("GET", "http://[::1]/%2e{{message}}", "Host", "\r\n", "{{", "", "x", uint8(1))
	f.Add("PUT", "{{settings.s}}/{{settings.t}}?a={{?title}}", "to", "{{to}}", "params.x", `{"a": {"@b": "{{signature}}", "#content": [{"c": "{{?to}}"}, "{{settings.s}}"]}}`, "https://example.org/x?y", uint8(2))
	f.Add("PATCH", "http://{{settings.s}}", "X-B", "{{signature}} {{time}} {{uuid}}", "message", `["{{?params.y}}", "{{?settings.s}}"]`, "localhost", uint8(7))
	f.Fuzz(func(t *testing.T, method, target, name, value, key, tree, setting string, how uint8) {
		decl := dialect.Declaration{
			Method: method, URL: target, URLSecret: how&64 != 0, Headers: map[string]string{name: value}, Query: map[string]string{key: value},
			Settings: map[string]dialect.Setting{"s": {Value: setting, Secret: how&32 != 0}, "t": {Value: key}},
			Auth:     fuzzedAuth(how, name, value, setting),
		}
		if how&128 != 0 {
			decl.Needs = []string{key}
			decl.Length = []dialect.Length{{Field: key, Limit: int(how) - 100, Over: dialect.Truncate}, {Limit: int(how), Over: dialect.Split}}
		}
		var parsed any
		if json.Unmarshal([]byte(tree), &parsed) != nil {
			decl.Body = dialect.Body{Form: map[string]string{key: tree}, Charset: value}
		} else if decl.Body.JSON = parsed; how&16 != 0 {
			decl.Body = dialect.Body{XML: parsed, Charset: key}
		}
		d, err := dialect.Compile(decl)
		if decl.Describe(); err != nil {
			if len(setting) > 8 && decl.Settings["s"].Secret && strings.Contains(err.Error(), setting) && !strings.Contains(name+key+tree, setting) {
				t.Errorf("Compile() = %v; it quotes a setting", err)
			}
			return
		}
		for _, text := range []string{"test", "..", "\r\n", `"`} {
			in := full(text)
			r, err := d.Render(in)
			shown, errShown := decl.Preview(in)
			if errors.Is(errShown, dialect.ErrTooLong) {
				continue
			}
			if err != nil {
				if !errors.Is(err, dialect.ErrUnfit) || errShown == nil {
					t.Errorf("Render(%q) = %v, shown as %v; want %v", text, err, errShown, dialect.ErrUnfit)
				}
				continue
			}
			if errShown != nil {
				t.Errorf("Preview(%q) = %v, %v; want what Render makes", text, shown, errShown)
			}
			checkRequest(t, d, decl, r)
			d.Check(dialect.Message{To: in.To, Title: in.Title, Text: text, Params: in.Params})
		}
	})
}

// fuzzedAuth is one of the ways to authenticate.
func fuzzedAuth(how uint8, name, value, secret string) (a dialect.Auth) {
	switch how & 15 {
	case 1:
		a.Basic = &dialect.Basic{User: value, Password: "{{settings.s}}"}
	case 2:
		a.Signature = &dialect.Signature{Key: "{{settings.s}}", Text: value}
	case 3:
		a.Header = &dialect.Credential{Name: name, Value: "{{settings.s}}"}
	case 4:
		a.Query = &dialect.Credential{Name: name, Value: value}
	case 5:
		a.HMAC = &dialect.HMAC{Secret: "{{settings.s}}", Header: name, Prefix: value}
	case 6:
		a.StandardWebhooks = &dialect.StandardWebhooks{Secret: secret}
	case 7:
		a.Signature = &dialect.Signature{Key: "x{{timestamp}}", Encoding: dialect.Hex}
	case 8:
		a.Bearer = value
	case 9:
		a.OAuth2 = &dialect.OAuth2{TokenURL: someURL, ClientID: value, ClientSecret: "{{settings.s}}"}
	}
	return a
}

// checkRequest looks at what any receiver would trip over.
func checkRequest(t *testing.T, d *dialect.Dialect, decl dialect.Declaration, r dialect.Request) {
	t.Helper()
	u, err := url.Parse(r.URL)
	if err != nil || u.Host == "" || u.User != nil {
		t.Errorf("URL %q of %q: %v", r.URL, decl.URL, err)
		return
	}
	if secure, host := d.Endpoint(); host != u.Host || secure != (u.Scheme == "https") {
		t.Errorf("URL %q of %q leads elsewhere than to %q, TLS %v", r.URL, decl.URL, host, secure)
	}
	if decl.Body.JSON != nil && !json.Valid(r.Body) {
		t.Errorf("body %q is not JSON", r.Body)
	}
	if decl.Body.XML != nil && ascii(string(r.Body)) {
		read(t, r.Body)
	}
	names := make(map[string]bool)
	for _, h := range r.Header {
		if names[h.Name] || strings.ContainsFunc(h.Value, unicode.IsControl) || strings.Trim(h.Value, " ") != h.Value {
			t.Errorf("header %q, twice %v", h, names[h.Name])
		}
		names[h.Name] = true
	}
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

func wantUnfit(t *testing.T, text string, err error) {
	t.Helper()
	if utf8.ValidString(text) || !errors.Is(err, dialect.ErrUnfit) {
		t.Errorf("Render(%q) = %v", text, err)
	}
}
