package dialect_test

import (
	"encoding/base64"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/postrider/postrider/http/dialect"
)

// header returns the values of a header as a receiver would have them.
func header(r dialect.Request) http.Header {
	h := make(http.Header)
	for _, f := range r.Header {
		h.Add(f.Name, f.Value)
	}
	return h
}

func TestAuthIsPartOfTheRequest(t *testing.T) {
	settings := plainSettings("token", `s3c&"t`, "user", "me", "colon", "a:b")
	tests := map[string]struct {
		auth        dialect.Auth
		name, value string
	}{
		"basic":          {dialect.Auth{Basic: &dialect.Basic{User: "{{settings.user}}", Password: "p:{{settings.token}}"}}, "Authorization", "Basic bWU6cDpzM2MmInQ="},
		"basic, user":    {dialect.Auth{Basic: &dialect.Basic{User: "key"}}, "Authorization", "Basic a2V5Og=="},
		"basic, no user": {dialect.Auth{Basic: &dialect.Basic{Password: "key"}}, "Authorization", "Basic OmtleQ=="},
		"bearer":         {dialect.Auth{Bearer: "{{settings.token}}"}, "Authorization", `Bearer s3c&"t`},
		"header":         {dialect.Auth{Header: &dialect.Credential{Name: "x-KEY", Value: "k {{settings.token}}"}}, "X-Key", `k s3c&"t`},
		"content type":   {dialect.Auth{Header: &dialect.Credential{Name: "Content-Type", Value: "x/y"}}, "Content-Type", "x/y"},
		"GitHub":         {dialect.Auth{HMAC: &dialect.HMAC{Secret: "It's a Secret to Everybody", Header: "X-Hub-Signature-256", Prefix: "sha256="}}, "X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
		"SHA-1, base64":  {dialect.Auth{HMAC: &dialect.HMAC{Secret: "It's a Secret to Everybody", Header: "X-S", Algorithm: dialect.SHA1, Encoding: dialect.Base64}}, "X-S", "AdwQ0Mg+cu0kYhnN2RZpZn/iylk="},
		"SHA-512": {
			dialect.Auth{HMAC: &dialect.HMAC{Secret: "It's a Secret to Everybody", Header: "X-S", Algorithm: dialect.SHA512}},
			"X-S",
			"11ed355a617e98134e842012a7944ccf59c10256cb182357bd7e3a42013ff07c376f8c14cf5cc1923da20b51d64256b2fb8ebbf100aa67a61326f61fea8111bc",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := withText("{{message}}")
			d.Settings, d.Auth = settings, tt.auth
			compiled := compile(t, d)
			r, err := compiled.Render(input("Hello, World!"))
			if got := header(r)[tt.name]; !slices.Equal(got, []string{tt.value}) || err != nil {
				t.Errorf("Render() with %s has %s: %q, %v; want %q", name, tt.name, got, err, tt.value)
			}
			if compiled.Grant() != nil || !reflect.DeepEqual(compiled, compile(t, d)) {
				t.Errorf("Compile() of the same with %s makes another dialect, or the sender is to authorize", name)
			}
		})
	}
}

func TestAuthInQuery(t *testing.T) {
	for url, want := range map[string]string{
		"https://example.org/x":     "https://example.org/x?a=1&k%26y=s%20%2B&b=hi",
		"https://example.org/x?q=1": "https://example.org/x?q=1&a=1&k%26y=s%20%2B&b=hi",
	} {
		d := dialect.Declaration{
			URL: url, Query: map[string]string{"a": "1", "b": "{{?message}}"},
			Auth: dialect.Auth{Query: &dialect.Credential{Name: "k&y", Value: "s +"}},
		}
		if r, err := compile(t, d).Render(input("hi")); r.URL != want || err != nil {
			t.Errorf("Render() = %s, %v; want %s", r.URL, err, want)
		}
	}
}

func TestOAuth2KeepsAuthorizationFree(t *testing.T) {
	d := dialect.Declaration{URL: someURL, Auth: dialect.Auth{OAuth2: oauth2()}}
	compiled := compile(t, d)
	r, err := compiled.Render(input("hi"))
	if got := header(r)["Authorization"]; compiled.Grant() == nil || got != nil || err != nil {
		t.Errorf("Render() has Authorization %q, %v; want it left to the sender", got, err)
	}
	d.Headers = map[string]string{"authorization": "x"}
	if got := complaints(t, d); !slices.Equal(got, []string{"headers.authorization"}) {
		t.Errorf("Compile() complains about %q; want headers.authorization", got)
	}
}

// What a receiver makes of it is that project's own library's word.
func TestStandardWebhooksVerify(t *testing.T) {
	const (
		secret   = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		previous = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	)
	verify := func(secret string, r dialect.Request) error {
		wh, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		return wh.Verify(r.Body, header(r))
	}
	render := func(now time.Time, secret, previous string) dialect.Request {
		d := compile(t, dialect.Declaration{
			URL: someURL, Settings: plainSettings("secret", secret, "previous", previous),
			Auth: dialect.Auth{StandardWebhooks: &dialect.StandardWebhooks{Secret: "{{settings.secret}}", Previous: "{{settings.previous}}"}},
		})
		in := input("say \"hi\" ü 👍")
		in.Now = now
		r, err := d.Render(in)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	now := time.Now() // that of the library
	for name, tt := range map[string]struct {
		secret, previous, receiver string
		good                       bool
	}{
		"one secret":             {secret, "", secret, true},
		"another one":            {secret, "", previous, false},
		"rotation, new receiver": {secret, previous, secret, true},
		"rotation, old receiver": {secret, previous, previous, true},
	} {
		if err := verify(tt.receiver, render(now, tt.secret, tt.previous)); (err == nil) != tt.good {
			t.Errorf("%s: Verify() = %v; want success %v", name, err, tt.good)
		}
	}
	r := render(now, secret, "")
	if h := header(r); h.Get("webhook-id") != "6dcd7e0b-ca49-5ec9-84f7-da57d82a1202" || strings.Count(h.Get("webhook-signature"), "v1,") != 1 {
		t.Errorf("headers = %v; want the message's UUID and one signature", h)
	}
	r.Body = append(r.Body, ' ')
	if verify(secret, r) == nil {
		t.Error("Verify() of a changed body succeeds")
	}
	if first, again := header(render(now, secret, "")), header(render(now.Add(time.Minute), secret, "")); first.Get("webhook-id") != again.Get("webhook-id") {
		t.Errorf("two attempts have the ids %q and %q", first["Webhook-Id"], again["Webhook-Id"])
	}
	if verify(secret, render(now.Add(-time.Hour), secret, "")) == nil {
		t.Error("Verify() of an attempt an hour ago succeeds; want the time of the attempt signed")
	}
	if again := render(now.Add(time.Minute), secret, ""); header(again).Get("webhook-signature") == header(render(now, secret, "")).Get("webhook-signature") {
		t.Error("two attempts have the same signature")
	}
}

// The signatures were computed with another implementation.
func TestTimeBoundSignatures(t *testing.T) {
	dingtalk := compile(t, dialect.Declaration{
		Settings: plainSettings("token", "abc", "secret", "SEC000000000000000000000"),
		URL:      "https://oapi.dingtalk.com/robot/send?access_token={{settings.token}}",
		Query:    map[string]string{"timestamp": "{{timestamp_ms}}", "sign": "{{signature}}"},
		Auth:     dialect.Auth{Signature: &dialect.Signature{Key: "{{settings.secret}}", Text: "{{timestamp_ms}}\n{{settings.secret}}"}},
	})
	feishu := compile(t, dialect.Declaration{
		Settings: plainSettings("secret", "demo"),
		URL:      "https://open.feishu.cn/open-apis/bot/v2/hook/x",
		Auth:     dialect.Auth{Signature: &dialect.Signature{Key: "{{timestamp}}\n{{settings.secret}}", Algorithm: dialect.SHA256, Encoding: dialect.Base64}},
		Body: dialect.Body{JSON: map[string]any{
			"timestamp": "{{timestamp}}", "sign": "{{signature}}", "msg_type": "text", "content": map[string]any{"text": "{{message}}"},
		}},
	})
	hexed := compile(t, dialect.Declaration{
		URL: someURL, Headers: map[string]string{"X-Signature": "v0={{signature}}"},
		Auth: dialect.Auth{Signature: &dialect.Signature{Key: "It's a Secret to Everybody", Text: "{{message}}, World!", Encoding: dialect.Hex}},
	})
	const robot = "https://oapi.dingtalk.com/robot/send?access_token=abc&sign="
	for i, want := range []struct{ dingtalk, feishu string }{
		{robot + "fMfKAX7%2BX5gxAKxaKZLjgASjIyRONXJYGPifjs5XoPQ%3D&timestamp=1796036400123", `"sign": "YXh9bC6eAPzE4IocNLxyO25iokhKFpSsx+WzhHr8AT4=", "timestamp": "1796036400"}`},
		{robot + "P54rZ5RBe5wa1OhF56A0T99dSm9yg8UPGgGPLCfBND4%3D&timestamp=1796036460123", `"sign": "IVh9yL3B6ykyZoBa3b9TRnHGLFq6aaA93QTvD8lFd6s=", "timestamp": "1796036460"}`},
	} {
		in := full("Hello")
		in.Attempt, in.Now = i+1, in.Now.Add(time.Duration(i)*time.Minute)
		if r, err := dingtalk.Render(in); r.URL != want.dingtalk || err != nil {
			t.Errorf("DingTalk's URL = %s, %v; want %s", r.URL, err, want.dingtalk)
		}
		if r, err := feishu.Render(in); !strings.HasSuffix(string(r.Body), want.feishu) || err != nil {
			t.Errorf("Feishu's body = %s, %v; want ... %s", r.Body, err, want.feishu)
		}
		const constant = "v0=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
		if r, err := hexed.Render(in); header(r).Get("X-Signature") != constant || err != nil {
			t.Errorf("X-Signature = %s, %v; want %s", header(r).Get("X-Signature"), err, constant)
		}
	}
}

func TestAuthComplains(t *testing.T) {
	settings := plainSettings("colon", "a:b", "break", "a\nb", "space", " a", "none", "")
	whsec := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	hook := func(secret, previous string) dialect.Auth {
		return dialect.Auth{StandardWebhooks: &dialect.StandardWebhooks{Secret: secret, Previous: previous}}
	}
	mac := func(h dialect.HMAC) dialect.Auth { return dialect.Auth{HMAC: &h} }
	signature := func(s dialect.Signature) dialect.Declaration {
		return dialect.Declaration{URL: someURL + "?s={{signature}}", Auth: dialect.Auth{Signature: &s}}
	}
	with := func(a dialect.Auth) dialect.Declaration { return dialect.Declaration{URL: someURL, Auth: a} }
	headed := func(a dialect.Auth, name string) dialect.Declaration {
		return dialect.Declaration{URL: someURL, Auth: a, Headers: map[string]string{name: "x"}}
	}
	tests := map[string]struct {
		give dialect.Declaration
		want []string
	}{
		"two":                      {with(dialect.Auth{Bearer: "x", OAuth2: oauth2()}), []string{"auth"}},
		"bearer and URL":           {dialect.Declaration{URL: "http://me:x@example.org", Auth: dialect.Auth{Bearer: "x"}}, []string{"auth"}},
		"OAuth 2 and URL":          {dialect.Declaration{URL: "http://me:x@example.org", Auth: dialect.Auth{OAuth2: oauth2()}}, []string{"auth"}},
		"header and URL":           {dialect.Declaration{URL: "http://me:x@example.org", Auth: dialect.Auth{Header: &dialect.Credential{Name: "X-A", Value: "x"}}}, nil},
		"bearer and header":        {headed(dialect.Auth{Bearer: "x"}, "authorization"), []string{"headers.authorization"}},
		"basic and header":         {headed(dialect.Auth{Basic: &dialect.Basic{User: "x"}}, "Authorization"), []string{"headers.Authorization"}},
		"header twice":             {headed(dialect.Auth{Header: &dialect.Credential{Name: "x-a", Value: "x"}}, "X-A"), []string{"headers.X-A"}},
		"hmac and its header":      {headed(mac(dialect.HMAC{Secret: "x", Header: "x-a"}), "X-A"), []string{"headers.X-A"}},
		"webhook and its header":   {headed(hook(whsec(24), ""), "webhook-id"), []string{"headers.webhook-id"}},
		"data in bearer":           {with(dialect.Auth{Bearer: "{{message}}"}), []string{"auth.bearer"}},
		"bearer of nothing":        {with(dialect.Auth{Bearer: "{{settings.none}}"}), []string{"auth.bearer"}},
		"bearer with a line break": {with(dialect.Auth{Bearer: "{{settings.break}}"}), []string{"auth.bearer"}},
		"bearer with a space":      {with(dialect.Auth{Bearer: "{{settings.space}}"}), []string{"auth.bearer"}},
		"bearer, optional":         {with(dialect.Auth{Bearer: "{{?settings.space}}"}), []string{"auth.bearer"}},
		"basic of nothing":         {with(dialect.Auth{Basic: &dialect.Basic{}}), []string{"auth.basic"}},
		"basic, user with a colon": {with(dialect.Auth{Basic: &dialect.Basic{User: "{{settings.colon}}"}}), []string{"auth.basic.user"}},
		"basic, empty password":    {with(dialect.Auth{Basic: &dialect.Basic{User: "a", Password: "{{settings.none}}"}}), []string{"auth.basic.password"}},
		"header without a name":    {with(dialect.Auth{Header: &dialect.Credential{Value: "x"}}), []string{"auth.header.name"}},
		"header of ours":           {with(dialect.Auth{Header: &dialect.Credential{Name: "Host", Value: "x"}}), []string{"auth.header.name"}},
		"header without a value":   {with(dialect.Auth{Header: &dialect.Credential{Name: "X-A"}}), []string{"auth.header.value"}},
		"query without a name":     {with(dialect.Auth{Query: &dialect.Credential{Value: "x"}}), []string{"auth.query.name"}},
		"query name varies":        {with(dialect.Auth{Query: &dialect.Credential{Name: "{{id}}", Value: "x"}}), []string{"auth.query.name"}},
		"query without a value":    {with(dialect.Auth{Query: &dialect.Credential{Name: "k"}}), []string{"auth.query.value"}},
		"query twice": {
			dialect.Declaration{URL: someURL, Query: map[string]string{"k": "1"}, Auth: dialect.Auth{Query: &dialect.Credential{Name: "k", Value: "x"}}},
			[]string{"query.k"},
		},
		"hmac of nothing":          {with(mac(dialect.HMAC{})), []string{"auth.hmac.header", "auth.hmac.secret"}},
		"hmac, unknown words":      {with(mac(dialect.HMAC{Secret: "x", Header: "X-A", Algorithm: "md5", Encoding: "base32"})), []string{"auth.hmac.algorithm", "auth.hmac.encoding"}},
		"hmac, prefix":             {with(mac(dialect.HMAC{Secret: "x", Header: "X-A", Prefix: "\n"})), []string{"auth.hmac.prefix"}},
		"hmac, prefix varies":      {with(mac(dialect.HMAC{Secret: "x", Header: "X-A", Prefix: "{{id}}"})), []string{"auth.hmac.prefix"}},
		"webhook of nothing":       {with(hook("", "")), []string{"auth.standard_webhooks.secret"}},
		"webhook, no prefix":       {with(hook("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "")), []string{"auth.standard_webhooks.secret"}},
		"webhook, not base64":      {with(hook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa$w", "")), []string{"auth.standard_webhooks.secret"}},
		"webhook, short":           {with(hook(whsec(23), "")), []string{"auth.standard_webhooks.secret"}},
		"webhook, long":            {with(hook(whsec(64), whsec(65))), []string{"auth.standard_webhooks.previous"}},
		"signature of nothing":     {signature(dialect.Signature{}), []string{"auth.signature.key"}},
		"signature, empty setting": {signature(dialect.Signature{Key: "{{?settings.none}}"}), []string{"auth.signature.key"}},
		"signature of itself":      {signature(dialect.Signature{Key: "x", Text: "{{signature}}"}), []string{"auth.signature.text"}},
		"signature, unknown words": {signature(dialect.Signature{Key: "x", Algorithm: "SHA256", Encoding: "Base64"}), []string{"auth.signature.algorithm", "auth.signature.encoding"}},
		"signature, used nowhere":  {with(dialect.Auth{Signature: &dialect.Signature{Key: "x"}}), []string{"auth.signature"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.give.Settings = settings
			if got := complaints(t, tt.give); !slices.Equal(got, tt.want) {
				t.Errorf("Compile(%s) complains about %q; want %q", name, got, tt.want)
			}
		})
	}
}
