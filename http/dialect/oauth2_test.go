package dialect_test

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/http/dialect"
)

func withTokens(change func(*dialect.OAuth2)) dialect.Declaration {
	o := oauth2()
	if change != nil {
		change(o)
	}
	return dialect.Declaration{URL: someURL, Auth: dialect.Auth{OAuth2: o}}
}

func oauth2() *dialect.OAuth2 {
	return &dialect.OAuth2{TokenURL: "https://id.example.org/token", ClientID: "me", ClientSecret: "s3cret"}
}

func TestTokenRequest(t *testing.T) {
	basic := func(credentials string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
	}
	settings := map[string]dialect.Setting{"tenant": {Value: "acme"}, "id": {Value: "me"}, "secret": {Value: "s3cret", Secret: true}}
	tests := map[string]struct {
		give          func(*dialect.OAuth2)
		url           string
		authorization string
		form          url.Values
	}{
		"least": {nil, "https://id.example.org/token", basic("me:s3cret"), url.Values{"grant_type": {"client_credentials"}}},
		"all": {func(o *dialect.OAuth2) {
			o.TokenURL = "http://id.example.org:8080/token?tenant=a%20b"
			o.ClientID, o.ClientSecret, o.Style = "mé:", "s3/ret +", dialect.StyleBasic
			o.Scopes, o.Audience = []string{"send", "https://example.org/.default"}, "a&b"
		}, "http://id.example.org:8080/token?tenant=a%20b", basic("m%C3%A9%3A:s3%2Fret+%2B"), url.Values{
			"grant_type": {"client_credentials"}, "scope": {"send https://example.org/.default"}, "audience": {"a&b"},
		}},
		"settings": {func(o *dialect.OAuth2) {
			o.TokenURL, o.ClientID, o.ClientSecret = "https://{{settings.tenant}}.example.org/token", "{{settings.id}}", "{{settings.secret}}"
			o.Scopes, o.Audience = []string{"{{settings.tenant}}.send"}, "for {{settings.tenant}}"
		}, "https://acme.example.org/token", basic("me:s3cret"), url.Values{
			"grant_type": {"client_credentials"}, "scope": {"acme.send"}, "audience": {"for acme"},
		}},
		"in the body": {func(o *dialect.OAuth2) {
			o.ClientSecret, o.Style = "s3&ret", dialect.StyleBody
		}, "https://id.example.org/token", "", url.Values{"grant_type": {"client_credentials"}, "client_id": {"me"}, "client_secret": {"s3&ret"}}},
	}
	for name, tt := range tests {
		d := withTokens(tt.give)
		d.Settings = settings
		r := compile(t, d).Grant().Request()
		got := map[string]string{}
		for _, f := range r.Header {
			got[f.Name] = f.Value
		}
		if r.Method != "POST" || r.URL != tt.url || got["Authorization"] != tt.authorization ||
			got["Content-Type"] != "application/x-www-form-urlencoded" || got["Accept"] != "application/json" {
			t.Errorf("%s: Request() = %s %s, %v", name, r.Method, r.URL, got)
		}
		if form, err := url.ParseQuery(string(r.Body)); err != nil || form.Encode() != tt.form.Encode() {
			t.Errorf("%s: Request() has the form %v, %v; want %v", name, form, err, tt.form)
		}
	}
	if compile(t, dialect.Declaration{URL: someURL}).Grant() != nil {
		t.Error("a dialect that carries no tokens has a grant")
	}
}

func TestTokenRequestComplains(t *testing.T) {
	tests := map[string]struct {
		give func(*dialect.OAuth2)
		want []string
	}{
		"no URL":         {func(o *dialect.OAuth2) { o.TokenURL = "" }, []string{".token_url"}},
		"other scheme":   {func(o *dialect.OAuth2) { o.TokenURL = "ftp://xxx/" }, []string{".token_url"}},
		"no host":        {func(o *dialect.OAuth2) { o.TokenURL = "https:///xxx" }, []string{".token_url"}},
		"a user":         {func(o *dialect.OAuth2) { o.TokenURL = "https://xxx@example.org/" }, []string{".token_url"}},
		"a space":        {func(o *dialect.OAuth2) { o.TokenURL += "?xxx=a b" }, []string{".token_url"}},
		"a fragment":     {func(o *dialect.OAuth2) { o.TokenURL += "#" }, []string{".token_url"}},
		"CR/LF":          {func(o *dialect.OAuth2) { o.TokenURL += "\r\nxxx: y" }, []string{".token_url"}},
		"no id":          {func(o *dialect.OAuth2) { o.ClientID = "" }, []string{".client_id"}},
		"no secret":      {func(o *dialect.OAuth2) { o.ClientSecret = "" }, []string{".client_secret"}},
		"two scopes":     {func(o *dialect.OAuth2) { o.Scopes = []string{"a", "xxx b"} }, []string{".scopes"}},
		"an empty scope": {func(o *dialect.OAuth2) { o.Scopes = []string{""} }, []string{".scopes"}},
		"other style":    {func(o *dialect.OAuth2) { o.Style = "xxx" }, []string{".style"}},
	}
	for name, tt := range tests {
		var want []string
		for _, p := range tt.want {
			want = append(want, "auth.oauth2"+p)
		}
		wantComplaints(t, name, withTokens(tt.give), want)
	}
	twice := withTokens(nil)
	twice.Headers = map[string]string{"authorization": "s3cret"}
	wantComplaints(t, "a header too", twice, []string{"headers.authorization"})
	twice = withTokens(nil)
	twice.URL = "https://me:s3cret@example.org/"
	wantComplaints(t, "a user in the URL", twice, []string{"auth"})
}

func TestReadToken(t *testing.T) {
	const ok = true
	tests := []struct {
		status int
		body   string
		want   dialect.Token
		ok     bool
	}{
		{200, `{"access_token": "t0", "token_type": "Bearer", "expires_in": 3600}`, dialect.Token{Value: "t0", Life: time.Hour}, ok},
		{201, `{"access_token": "t0", "token_type": "bEARER"}`, dialect.Token{Value: "t0"}, ok},
		{200, `{"access_token": "t0", "expires_in": "3599"}`, dialect.Token{Value: "t0", Life: 3599 * time.Second}, ok},
		{200, `{"access_token": "t0", "expires_in": 1e1, "scope": "a"}`, dialect.Token{Value: "t0", Life: 10 * time.Second}, ok},
		{200, `{"access_token": "t0", "expires_in": -1}`, dialect.Token{Value: "t0"}, ok},
		{200, `{"access_token": "t0", "expires_in": 1e99}`, dialect.Token{Value: "t0", Life: 30 * 24 * time.Hour}, ok},
		{200, `{"access_token": "a.b-c_d~e+f/g==", "expires_in": null}`, dialect.Token{Value: "a.b-c_d~e+f/g=="}, ok},
		{200, `{"access_token": "t0", "token_type": "mac"}`, dialect.Token{}, false},
		{200, `{"access_token": "t0", "token_type": null}`, dialect.Token{}, false},
		{200, `{"access_token": "` + strings.Repeat("x", 16<<10+1) + `"}`, dialect.Token{}, false},
		{200, `{"access_token": ""}`, dialect.Token{}, false},
		{200, `{"access_token": 7}`, dialect.Token{}, false},
		{200, `{"access_token": "a b"}`, dialect.Token{}, false},
		{200, `{"access_token": "a\r\nX: y"}`, dialect.Token{}, false},
		{200, `{"access_token": "é"}`, dialect.Token{}, false},
		{200, `{"error": "invalid_client"}`, dialect.Token{}, false},
		{200, `[]`, dialect.Token{}, false},
		{200, `access_token=t0&token_type=bearer`, dialect.Token{}, false},
		{200, ``, dialect.Token{}, false},
		{302, `{"access_token": "t0"}`, dialect.Token{}, false},
		{400, `{"access_token": "t0"}`, dialect.Token{}, false},
		{999, `{"access_token": "t0"}`, dialect.Token{}, false},
	}
	g := compile(t, withTokens(nil)).Grant()
	for _, tt := range tests {
		got, wait, ok := g.Read(dialect.Answer{Status: tt.status, Body: []byte(tt.body)}, now)
		if ok != tt.ok || ok && got != tt.want || wait != 0 {
			t.Errorf("Read(%d, %s) = %+v, %v, %v; want %+v, 0, %v", tt.status, tt.body, got, wait, ok, tt.want, tt.ok)
		}
	}
	if _, _, ok := g.Read(dialect.Answer{Status: 200, Body: []byte(`{"access_token": "t0"}`), Cut: true}, now); ok {
		t.Error("Read() takes a token out of an answer that was cut")
	}
	slow := dialect.Answer{Status: 429, Header: map[string][]string{"Retry-After": {"7"}}}
	if _, wait, ok := g.Read(slow, now); ok || wait != 7*time.Second {
		t.Errorf("Read(429) = %v, %v; want a wait of 7s", wait, ok)
	}
}

func TestGrantSums(t *testing.T) {
	one := compile(t, withTokens(nil)).Grant().Sum()
	for name, change := range map[string]func(*dialect.OAuth2){
		"URL":      func(o *dialect.OAuth2) { o.TokenURL += "x" },
		"id":       func(o *dialect.OAuth2) { o.ClientID += "x" },
		"secret":   func(o *dialect.OAuth2) { o.ClientSecret += "x" },
		"scopes":   func(o *dialect.OAuth2) { o.Scopes = []string{"a"} },
		"style":    func(o *dialect.OAuth2) { o.Style = dialect.StyleBody },
		"audience": func(o *dialect.OAuth2) { o.Audience = "a" },
	} {
		if compile(t, withTokens(change)).Grant().Sum() == one {
			t.Errorf("with another %s the sum is the same", name)
		}
	}
	if compile(t, withTokens(nil)).Grant().Sum() != one {
		t.Error("the sums of two equal declarations differ")
	}
}

// The secret of a client is masked in what is kept, as it is and as it was sent.
func TestClientSecretIsMasked(t *testing.T) {
	decl := withTokens(nil)
	decl.KeepAnswer = true
	body := "s3cret " + base64.StdEncoding.EncodeToString([]byte("me:s3cret"))
	if got := compile(t, decl).Judge(dialect.Answer{Status: 500, Body: []byte(body)}, now).Answer; got != "*** ***" {
		t.Errorf("Judge() keeps %q", got)
	}
}

func FuzzReadToken(f *testing.F) {
	f.Add(200, []byte(`{"access_token": "t0", "token_type": "Bearer", "expires_in": 3600}`), "")
	f.Add(429, []byte(`{`), "7")
	g := compile(f, withTokens(nil)).Grant()
	f.Fuzz(func(t *testing.T, status int, body []byte, after string) {
		token, wait, ok := g.Read(dialect.Answer{Status: status, Body: body, Header: map[string][]string{"Retry-After": {after}}}, now)
		if wait < 0 || wait > month || token.Life < 0 || token.Life > month {
			t.Errorf("Read(%d, %q) = %+v, %v", status, body, token, wait)
		}
		if value := token.Bearer().Value; ok && (token.Value == "" || strings.ContainsAny(token.Value, " \r\n\x00") || status < 200 || status > 299) {
			t.Errorf("Read(%d, %q) = %q", status, body, value)
		}
	})
}
