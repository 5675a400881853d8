package dialect_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
)

func preview(t *testing.T, d dialect.Declaration) string {
	t.Helper()
	r, err := d.Preview(full("hi"))
	if err != nil {
		t.Fatalf("Preview() = %v", err)
	}
	return show(r)
}

func TestPreview(t *testing.T) {
	secrets := map[string]dialect.Setting{
		"token": {Value: "123:s3cret", Secret: true},
		"chat":  {Value: "42"},
		"hook":  {Value: "https://hooks.example.org:8443/s3cret?s3cret=s3cret", Secret: true},
		"shop":  {Value: "s3cret", Secret: true},
		"user":  {Value: "https://me:s3cret@example.org", Secret: true},
		"empty": {Secret: true},
	}
	const own = "Postrider-Message-Id: 000g000000002\nPostrider-Attempt: 2\n"
	none := dialect.Body{None: true}
	tests := map[string]struct {
		give dialect.Declaration
		want string
	}{
		"path, body and settings": {
			dialect.Declaration{URL: "https://api.example.org/bot{{settings.token}}/{{settings.chat}}/{{id}}", Body: dialect.Body{JSON: object{"chat": "{{settings.chat}}", "key": "k {{settings.token}}", "none": "{{?settings.empty}}", "text": "{{message}}"}}},
			"POST https://api.example.org/bot***/42/000g000000002\nContent-Type: application/json\n" + own + "\n{\"chat\": \"42\", \"key\": \"k ***\", \"text\": \"hi\"}\n",
		},
		"form": {
			dialect.Declaration{URL: someURL, Body: dialect.Body{Form: map[string]string{"a": "{{settings.token}}", "b": "{{title}}"}}},
			"POST https://example.org/in\nContent-Type: application/x-www-form-urlencoded\n" + own + "\na=***&b=A+%26+B\n",
		},
		"XML": {
			dialect.Declaration{URL: someURL, Body: dialect.Body{XML: object{"r": object{"@a": "{{settings.token}}", "b": "{{settings.token}}"}}}},
			"POST https://example.org/in\nContent-Type: application/xml; charset=utf-8\n" + own + "\n<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<r a=\"***\"><b>***</b></r>\n",
		},
		"query of the URL": {
			dialect.Declaration{URL: "https://example.org/in?key=s3cret&s3cret&a=&to={{to}}&m=s3cret {{message}} s3cret&c={{settings.chat}}", Body: none},
			"POST https://example.org/in?key=***&***&a=&to=%2B49%20170&m=***hi***&c=42\n" + own,
		},
		"query": {
			dialect.Declaration{URL: someURL, Query: map[string]string{"mode": "fast", "api_key": "s3cret", "x": "s3cret"}, Secrets: []string{"x"}, Body: none},
			"POST https://example.org/in?api_key=***&mode=fast&x=***\n" + own,
		},
		"headers": {
			dialect.Declaration{URL: someURL, Headers: map[string]string{"Authorization": "Key s3cret", "Idempotency-Key": "{{id}}", "X-A": "s3cret {{attempt}}", "X-B": "b"}, Secrets: []string{"X-A"}, Body: none},
			"POST https://example.org/in\nAuthorization: ***\nIdempotency-Key: 000g000000002\nX-A: ***2\nX-B: b\n" + own,
		},
		"secret URL": {
			dialect.Declaration{URL: "https://me:s3cret@example.org/s3cret/{{message}}?s3cret={{settings.chat}}", URLSecret: true, Query: map[string]string{"a": "1"}, Body: none},
			"POST https://example.org/***?a=1\nAuthorization: Basic ***\n" + own,
		},
		"URL from a setting": {
			dialect.Declaration{URL: "{{settings.hook}}&t={{title}}&u=s3cret", Query: map[string]string{"a": "1"}, Body: none},
			"POST https://hooks.example.org:8443/***?***=***&t=A%20%26%20B&u=***&a=1\n" + own,
		},
		"host from a setting":    {dialect.Declaration{URL: "https://{{settings.shop}}.example.org/{{to}}", Body: none}, "POST https://***.example.org/%2B49%20170\n" + own},
		"address from a setting": {dialect.Declaration{URL: "{{settings.user}}/x?{{settings.chat}}"}, ""},
		"user from a setting":    {dialect.Declaration{URL: "{{settings.user}}/x", Body: none}, "POST https://example.org/x\nAuthorization: Basic ***\n" + own},
		"basic":                  {dialect.Declaration{URL: someURL, Auth: dialect.Auth{Basic: &dialect.Basic{User: "me", Password: "s3cret"}}, Body: none}, "POST https://example.org/in\nAuthorization: Basic ***\n" + own},
		"bearer":                 {dialect.Declaration{URL: someURL, Auth: dialect.Auth{Bearer: "s3cret"}, Body: none}, "POST https://example.org/in\nAuthorization: Bearer ***\n" + own},
		"header":                 {dialect.Declaration{URL: someURL, Auth: dialect.Auth{Header: &dialect.Credential{Name: "X-A", Value: "s3cret"}}, Body: none}, "POST https://example.org/in\nX-A: ***\n" + own},
		"auth in query":          {dialect.Declaration{URL: someURL, Auth: dialect.Auth{Query: &dialect.Credential{Name: "a b", Value: "s3cret"}}, Body: none}, "POST https://example.org/in?a%20b=***\n" + own},
		"optional signature": {
			dialect.Declaration{URL: someURL, Auth: dialect.Auth{Signature: &dialect.Signature{Key: "s3cret"}}, Body: dialect.Body{JSON: object{"s": "{{?signature}}"}}},
			"POST https://example.org/in\nContent-Type: application/json\n" + own + "\n{\"s\": \"***\"}\n",
		},
		"user before a secret host": {
			dialect.Declaration{URL: "https://me:{{settings.shop}}@{{settings.shop}}.example.org", Body: none},
			"POST https://***.example.org/\nAuthorization: Basic ***\n" + own,
		},
		"OAuth 2": {dialect.Declaration{URL: someURL, Auth: dialect.Auth{OAuth2: oauth2()}, Body: none}, "POST https://example.org/in\n" + own + "Authorization: ***\n"},
		"hmac":    {dialect.Declaration{URL: someURL, Auth: dialect.Auth{HMAC: &dialect.HMAC{Secret: "s3cret", Header: "X-S", Prefix: "sha256="}}, Body: none}, "POST https://example.org/in\n" + own + "X-S: sha256=***\n"},
		"webhooks": {
			dialect.Declaration{URL: someURL, Auth: dialect.Auth{StandardWebhooks: &dialect.StandardWebhooks{Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}, Body: none},
			"POST https://example.org/in\n" + own + "Webhook-Id: 6dcd7e0b-ca49-5ec9-84f7-da57d82a1202\nWebhook-Timestamp: 1796036400\nWebhook-Signature: v1,***\n",
		},
		"signature": {
			dialect.Declaration{URL: someURL, Query: map[string]string{"t": "{{timestamp}}", "s": "{{signature}}"}, Auth: dialect.Auth{Signature: &dialect.Signature{Key: "s3cret", Text: "{{settings.token}}"}}, Body: none},
			"POST https://example.org/in?s=***&t=1796036400\n" + own,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.give.Settings = secrets
			if tt.want == "" {
				if r, err := tt.give.Preview(full("hi")); err == nil || strings.Contains(err.Error(), "s3cret") {
					t.Errorf("Preview() = %v, %v; want complaints", r, err)
				}
				return
			}
			got := preview(t, tt.give)
			if got != tt.want {
				t.Errorf("Preview() =\n%s\nwant\n%s", got, tt.want)
			}
			if strings.Contains(got, "s3cret") {
				t.Errorf("Preview() = %s; it has a secret in it", got)
			}
			// Without secrets and masks it is what is sent.
			r, err := compile(t, tt.give).Render(full("hi"))
			if sent := show(r); err != nil || strings.Count(sent, "\n") != strings.Count(got, "\n") && tt.give.Auth.OAuth2 == nil {
				t.Errorf("Render() =\n%s\nwant the lines of\n%s", sent, got)
			}
		})
	}
}

func TestPreviewRefusesWhatCannotBeSent(t *testing.T) {
	d := withHeader("X-A", "{{message}}")
	if _, err := d.Preview(input("a\nb")); !errors.Is(err, dialect.ErrUnfit) {
		t.Errorf("Preview() = %v; want %v", err, dialect.ErrUnfit)
	}
}

// everywhere is a declaration with a secret wherever one can be.
func everywhere(secret string, kind, auth uint8) dialect.Declaration {
	d := dialect.Declaration{
		Settings: map[string]dialect.Setting{"s": {Value: secret, Secret: true}},
		URL:      "https://example.org/{{settings.s}}/x{{settings.s}}?a={{settings.s}}&b=" + url.QueryEscape(secret),
		Query:    map[string]string{"c": "{{settings.s}}", "d": "x{{settings.s}}{{message}}", "e": "{{?settings.s}}"},
		Headers:  map[string]string{"X-A": "{{settings.s}}", "X-B": "x{{settings.s}}{{message}}y", "X-Token": "x", "X-D": "y"},
		Secrets:  []string{"X-D"},
	}
	text := "{{settings.s}} {{message}}"
	d.Body = []dialect.Body{
		{JSON: object{"a": "{{settings.s}}", "b": "x{{settings.s}}y{{message}}", "c": []any{"{{?settings.s}}"}}},
		{Form: map[string]string{"a": "{{settings.s}}", "b": "x{{settings.s}}y{{message}}", "c": "{{?settings.s}}"}, Charset: "windows-1251"},
		{XML: object{"r": object{"@a": "{{settings.s}}", "b": "x{{settings.s}}y{{message}}", "c": "{{?settings.s}}"}}},
		{Text: &text},
	}[kind%4]
	d.Auth = []dialect.Auth{
		{Basic: &dialect.Basic{User: "u", Password: "{{settings.s}}"}},
		{Bearer: "{{settings.s}}"},
		{Header: &dialect.Credential{Name: "X-H", Value: "x {{settings.s}}"}},
		{Query: &dialect.Credential{Name: "q", Value: "x {{settings.s}}"}},
		{HMAC: &dialect.HMAC{Secret: "{{settings.s}}", Header: "X-S"}},
		{StandardWebhooks: &dialect.StandardWebhooks{Secret: "whsec_" + base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("%24.60q", secret)))}},
		{Signature: &dialect.Signature{Key: "{{settings.s}}", Text: "{{timestamp}}{{settings.s}}"}},
		{OAuth2: oauth2()},
	}[auth%8]
	if d.Auth.Signature != nil {
		d.Query["sign"], d.Headers["X-Sign"] = "{{signature}}", "{{signature}}"
	}
	return d
}

// FuzzPreview: no secret has any influence on what is shown, in whatever form.
func FuzzPreview(f *testing.F) {
	for i := range uint8(32) {
		f.Add(`s3c&r "t" <é> %41/`, "another", i%4, i/4)
	}
	f.Fuzz(func(t *testing.T, one, other string, kind, auth uint8) {
		if one == "" || other == "" {
			return // what is left out with an empty secret is no secret
		}
		a, errA := everywhere(one, kind, auth).Preview(full("hi"))
		b, errB := everywhere(other, kind, auth).Preview(full("hi"))
		if errA != nil || errB != nil {
			return
		}
		if show(a) != show(b) {
			t.Errorf("Preview() with %q =\n%s\nand with %q\n%s", one, show(a), other, show(b))
		}
		want := everywhere("", kind, auth).Describe()
		if want.URL = "https://example.org/{{settings.s}}/x{{settings.s}}?a=***&b=***"; everywhere(one, kind, auth).Describe() != want {
			t.Errorf("Describe() = %v", everywhere(one, kind, auth).Describe())
		}
	})
}

// The same with eyes open: no encoding of the secret is in what is shown.
func TestPreviewHasNoEncodingOfASecret(t *testing.T) {
	const secret = `s3c&r "t" <e> %41/+`
	quoted, _ := json.Marshal(secret)
	forms := []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), string(quoted[1 : len(quoted)-1]), "s3c&amp;r",
		base64.StdEncoding.EncodeToString([]byte("u:" + secret)), base64.StdEncoding.EncodeToString([]byte(secret)), "s3c",
	}
	for i := range uint8(32) {
		d := everywhere(secret, i%4, i/4)
		r, err := compile(t, d).Render(full("hi"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(show(r), "s3c") {
			t.Fatalf("Render() = %s; want the secret", show(r))
		}
		got := preview(t, d)
		for _, form := range forms {
			if strings.Contains(got, form) {
				t.Errorf("Preview() = %s; it has %s in it", got, form)
			}
		}
		if !strings.Contains(got, "hi") {
			t.Errorf("Preview() = %s; want the message shown", got)
		}
	}
}

func ExampleDeclaration_Preview() {
	d := dialect.Declaration{
		Settings: map[string]dialect.Setting{"token": {Value: "123:abc", Secret: true}, "chat": {Value: "42"}},
		URL:      "https://api.telegram.org/bot{{settings.token}}/sendMessage",
		Body:     dialect.Body{JSON: map[string]any{"chat_id": "{{settings.chat}}", "text": "{{message}}"}},
	}
	r, err := d.Preview(dialect.Input{ID: data.FirstID(1), Text: "hello", Attempt: 1, Now: time.Now()})
	fmt.Println(r.Method, r.URL, err)
	fmt.Println(string(r.Body))
	// Output:
	// POST https://api.telegram.org/bot***/sendMessage <nil>
	// {"chat_id": "42", "text": "hello"}
}
