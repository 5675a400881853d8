package dialect_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
)

// keeps is a declaration with secrets whose answers are kept.
func keeps(secrets ...string) dialect.Declaration {
	settings := make(map[string]dialect.Setting, len(secrets))
	for i, secret := range secrets {
		settings[strconv.Itoa(i)] = dialect.Setting{Value: secret, Secret: true}
	}
	return dialect.Declaration{URL: someURL, KeepAnswer: true, Settings: settings}
}

func authenticates(a dialect.Auth) dialect.Declaration {
	return dialect.Declaration{URL: someURL, KeepAnswer: true, Auth: a}
}

func TestKeptAnswer(t *testing.T) {
	long := strings.Repeat("x", data.MaxAnswer-1)
	tests := []struct {
		give    dialect.Declaration
		body    string
		cut     bool
		secrets []string // of the request
		want    string
	}{
		{dialect.Declaration{URL: someURL}, "ok", false, nil, ""},
		{keeps(), "", false, nil, ""},
		{keeps(), `{"ok": true}`, false, nil, `{"ok": true}`},
		{keeps(), "a\x00\r\n\x1b[31m\u202e\x7f", true, nil, "a\x00\r\n\x1b[31m\u202e\x7f"},
		{keeps(), "\xff\xfea\xc3", false, nil, "\uFFFD\uFFFDa\uFFFD"},
		{keeps(), long + "yz", false, nil, long + "y"},
		{keeps(), long + "éz", false, nil, long},
		{keeps(), long + "\xff", false, nil, long},
		{keeps(), long[:len(long)-1] + "éz", false, nil, long[:len(long)-1] + "é"},
		{keeps(""), "ok", false, nil, "ok"},
		{keeps("s3cret"), "it was s3cret, s3cret", false, nil, "it was ***, ***"},
		{keeps("s3cret", "s3cret and more"), "s3cret and more", false, nil, "***"},
		{keeps("a/b+c d"), "a/b+c d a%2fb%2Bc%20d a%2Fb%2bc+d a/b%2Bc d", false, nil, "*** *** *** ***"},
		{keeps(`a"b\c/`), `{"k": "a\"b\\c\/", "l": "\u0061\u0022b\u005Cc/"}`, false, nil, `{"k": "***", "l": "***"}`},
		{keeps("a&b<c>'d"), "a&amp;b&lt;c&gt;&#39;d a&b<c>'d a&#x26;b&#60;c&gt;&apos;d", false, nil, "*** *** ***"},
		{keeps("schlüssel👍"), `schlüssel👍 schl%C3%BCssel%f0%9f%91%8d schl\u00fcssel\ud83d\udc4d schl&uuml;ssel&#128077;`, false, nil, "*** *** *** ***"},
		{keeps("line\nbreak"), `line\nbreak line\u000abreak`, false, nil, "*** ***"},
		{keeps("%%"), "% %25%25 %%", false, nil, "% *** ***"},
		{keeps("s3cret"), "S3CRET s3cre s3 cret", false, nil, "S3CRET s3cre s3 cret"},
		{keeps("s3cret"), "it was s3cre", true, nil, "it was ***"},
		{keeps("s3cret"), "it was s%33cr%6", true, nil, "it was ***"},
		{keeps("s3cret"), `it was s\u00`, true, nil, "it was ***"},
		{keeps("s3cret"), "it was s3cre", false, nil, "it was s3cre"},
		{keeps("s3cret"), long + "s3cret", false, nil, long},
		{keeps("s3cret"), strings.Repeat("s3cret", 1000), false, nil, strings.Repeat("***", 1024/3)},
		{keeps("one"), "one two three", false, []string{"three", ""}, "*** two ***"},
		{keeps("Bearer s3cret-token"), "you said s3cret-token, Bearer%20s3cret-token", false, nil, "you said ***, ***"},
		{keeps("Basic x"), "x Basic x", false, nil, "x ***"},

		{authenticates(dialect.Auth{Bearer: "s3cret-token"}), "s3cret-token Bearer s3cret-token", false, nil, "*** Bearer ***"},
		{authenticates(dialect.Auth{Basic: &dialect.Basic{User: "me", Password: "s3cret"}}), "me:s3cret bWU6czNjcmV0", false, nil, "me:*** ***"},
		{authenticates(dialect.Auth{Basic: &dialect.Basic{User: "s3cret-user"}}), "s3cret-user", false, nil, "***"},
		{authenticates(dialect.Auth{Header: &dialect.Credential{Name: "X-A", Value: "Key s3cret"}}), "X-A: s3cret", false, nil, "X-A: ***"},
		{authenticates(dialect.Auth{Query: &dialect.Credential{Name: "k", Value: "s3cret"}}), "?k=s3cret", false, nil, "?k=***"},
		{authenticates(dialect.Auth{HMAC: &dialect.HMAC{Secret: "s3cret", Header: "X-A"}}), "s3cret", false, nil, "***"},
		{
			dialect.Declaration{
				URL: someURL, KeepAnswer: true, Query: map[string]string{"s": "{{signature}}"},
				Auth: dialect.Auth{Signature: &dialect.Signature{Key: "s3cret", Text: "{{timestamp}}\n"}},
			},
			"s3cret\n", false, nil, "***\n",
		},
		{
			dialect.Declaration{
				URL: someURL, KeepAnswer: true, Headers: map[string]string{"X-A": "s3cret", "X-B": "plain"},
				Query: map[string]string{"c": "c0nstant{{id}}"}, Secrets: []string{"X-A", "c"},
			},
			"s3cret plain c0nstant", false, nil, "*** plain ***",
		},
		{
			dialect.Declaration{
				URL: someURL, KeepAnswer: true, Headers: map[string]string{"Authorization": "Bearer s3cret-token", "X-B": "plain"},
				Query: map[string]string{"api_key": "k3y", "sign": "{{id}}", "mode": "fast"},
			},
			"Authorization: Bearer s3cret-token s3cret-token k3y plain fast", false, nil, "Authorization: *** *** *** plain fast",
		},
		{
			dialect.Declaration{
				URL: "{{settings.url}}?key=s3cret", KeepAnswer: true,
				Settings: map[string]dialect.Setting{"url": {Value: "https://example.org/hooks/t0psecret", Secret: true}},
			},
			"https://example.org/hooks/t0psecret /hooks/t0psecret?key=s3cret hooks", false, nil, "*** /hooks/***?key=*** hooks",
		},
		{
			dialect.Declaration{
				URL: "{{settings.server}}/send?to={{settings.chat}}", KeepAnswer: true,
				Settings: map[string]dialect.Setting{"server": {Value: "https://example.org"}, "chat": {Value: "channel-1"}},
			},
			"example.org channel-1", false, nil, "example.org channel-1",
		},

		{dialect.Declaration{URL: "https://me:p%40ss@example.org/", KeepAnswer: true}, "me p@ss p%40ss Basic bWU6cEBzcw==", false, nil, "me *** *** Basic ***"},
		{dialect.Declaration{URL: "https://s3cret-user:@example.org/", KeepAnswer: true}, "s3cret-user", false, nil, "***"},
		{dialect.Declaration{URL: "https://example.org/plain-path?key=s3cret%20key&on=true", KeepAnswer: true}, "/plain-path?key=s3cret%20key&on=true s3cret key {\"ok\":true}", false, nil, "/plain-path?key=***&*** *** {\"ok\":true}"},
		{dialect.Declaration{URL: "https://example.org/v1/s3cret-path/{{message}}?s3cret-query", URLSecret: true, KeepAnswer: true}, "example.org/v1/s3cret-path/hello?s3cret-query", false, nil, "example.org/v1/***/hello?***"},
		{dialect.Declaration{URL: "https://example.org/bot1234:s3cret{{message}}-more-s3cret/send", URLSecret: true, KeepAnswer: true}, "bot1234:s3cret bot1234%3as3cret -more-s3cret send", false, nil, "*** *** *** send"},
	}
	for _, tt := range tests {
		d := compile(t, tt.give)
		a := dialect.Answer{Status: 200, Body: []byte(tt.body), Cut: tt.cut, Secrets: tt.secrets}
		if got := d.Judge(a, now).Answer; got != tt.want {
			t.Errorf("Judge(%.99q) with %+v keeps %.99q; want %.99q", tt.body, tt.give.Settings, got, tt.want)
		}
	}
}

// What is compressed is not kept: nobody has looked for secrets in it.
func TestEncodedAnswerIsNotKept(t *testing.T) {
	d := compile(t, keeps())
	a := dialect.Answer{Status: 500, Body: []byte("\x1f\x8b"), Header: map[string][]string{"Content-Encoding": {"gzip"}}}
	if got := d.Judge(a, now).Answer; got != "" {
		t.Errorf("Judge() keeps %q", got)
	}
}

// What is kept does not depend on what came of the attempt.
func TestAnswerIsKeptWhateverTheOutcome(t *testing.T) {
	decl := keeps()
	decl.Permanent = permanent(404)
	d := compile(t, decl)
	for _, status := range []int{0, 101, 200, 302, 404, 429, 500, 999} {
		a := dialect.Answer{Status: status, Header: map[string][]string{"Retry-After": {"1"}}, Body: []byte("said")}
		if got := d.Judge(a, now).Answer; got != "said" {
			t.Errorf("Judge(%d) keeps %q; want what was said", status, got)
		}
	}
}

func TestMask(t *testing.T) {
	d := compile(t, keeps("s3cret"))
	long := strings.Repeat("s3cre", 10_000)
	if got := d.Mask(long + "s3cret!"); got != long+"***!" {
		t.Errorf("Mask() returned %d bytes", len(got))
	}
}

// FuzzMask: however a secret is encoded, and wherever the text ends, of a secret
// no more is left than what others say by chance.
func FuzzMask(f *testing.F) {
	f.Add("s3cret", "it was ", " indeed", uint8(3))
	f.Add(`a"b\c/d e%f+g&h<i>👍`, "%", `\`, uint8(0))
	f.Add("\\\\\\\\", "\\", "\\\\\\", uint8(1))
	f.Add("\xff\x00", "\xff", "%ff", uint8(9))
	f.Add("\x80000", "\xc2", "", uint8(3))
	f.Fuzz(func(t *testing.T, secret, before, after string, at uint8) {
		if len(secret) < 4 || len(secret)+len(before)+len(after) > 80 {
			return
		}
		d := compile(t, keeps())
		secrets := []string{secret}
		for how, encoded := range encodings(secret) {
			body := before + encoded + after
			got := d.Judge(dialect.Answer{Status: 200, Body: []byte(body), Secrets: secrets}, now).Answer
			if !strings.Contains(got, "***") {
				t.Errorf("%s %q in %q is not masked: %q", how, secret, body, got)
			}
			if strings.Contains(got, secret) && !strings.Contains("***"+after, secret) && !strings.Contains(before+"***", secret) {
				t.Errorf("%s %q in %q is left: %q", how, secret, body, got)
			}
			cut := before + encoded[:min(int(at), len(encoded))]
			got = d.Judge(dialect.Answer{Status: 200, Body: []byte(cut), Cut: true, Secrets: secrets}, now).Answer
			if len(cut) > len(before) && how == "plain" && utf8.ValidString(cut) && !strings.HasSuffix(got, "***") {
				t.Errorf("%s %q cut to %q is not masked: %q", how, secret, cut, got)
			}
		}
	})
}

// encodings are ways in which a gateway may repeat a text.
func encodings(text string) map[string]string {
	all := map[string]string{"plain": text, "form": url.QueryEscape(text), "path": url.PathEscape(text)}
	var bytes strings.Builder
	for _, b := range []byte(text) {
		fmt.Fprintf(&bytes, "%%%02x", b)
	}
	all["bytes"] = bytes.String()
	if utf8.ValidString(text) {
		quoted, _ := json.Marshal(text)
		all["JSON"] = string(quoted[1 : len(quoted)-1])
		if !strings.ContainsRune(text, 0) {
			all["HTML"] = html.EscapeString(text)
		}
	}
	return all
}

func BenchmarkKeep(b *testing.B) {
	d := compile(b, keeps("xoxb-123456789012-abcdefghijkl", "s3cret"))
	a := dialect.Answer{Status: 200, Body: []byte(`{"ok":false,"error":"channel_not_found","warning":"missing_charset","response_metadata":{"warnings":["missing_charset"]}}`)}
	b.ReportAllocs()
	for b.Loop() {
		_ = d.Judge(a, now)
	}
}
