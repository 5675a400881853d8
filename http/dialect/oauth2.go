package dialect

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"
)

// OAuth2 has requests carry an access token as a bearer (RFC 6750), which is got by
// the client credentials grant (RFC 6749, 4.4).
type OAuth2 struct {
	TokenURL     string // http or https
	ClientID     string
	ClientSecret string
	Scopes       []string
	Style        Style
	Audience     string // sent as audience, which some providers ask for; "" for none
}

// Style is how a client says who it is (RFC 6749, 2.3.1).
type Style string

// The styles. "" means StyleBasic, which every provider has to understand.
const (
	StyleBasic Style = "basic" // in an Authorization header
	StyleBody  Style = "body"  // in the form
)

// Grant is a compiled [OAuth2]: how to ask for a token, and how to read what comes
// back. It does not change.
type Grant struct {
	request Request
	sum     [sha256.Size]byte
}

// Token is an access token.
type Token struct {
	Value string
	Life  time.Duration // from when it was asked for; 0 when that is not said
}

// Grant returns how to get the access token that the requests carry, nil when they
// carry none.
func (d *Dialect) Grant() *Grant {
	if d.auth == nil {
		return nil
	}
	return d.auth.grant
}

// Request asks for a token. Nothing of it may be changed.
func (g *Grant) Request() Request { return g.request }

// Sum is the same for two grants whose tokens can stand for each other.
func (g *Grant) Sum() [32]byte { return g.sum }

// maxToken is longer than a header that common servers take.
const maxToken = 16 << 10

// wantTokenURL says what a token endpoint is: also one without a fragment (RFC 6749,
// 3.2).
const wantTokenURL = "must be an http or https URL, without spaces, user and fragment"

// grant compiles how to get tokens.
func (c *compiler) grant(o OAuth2) *Grant {
	const path = "auth.oauth2"
	c.taken["Authorization"] = byAuth
	o.TokenURL = c.settled(path+".token_url", o.TokenURL)
	o.ClientID = c.text(path+".client_id", o.ClientID)
	o.ClientSecret = c.secret(path+".client_secret", o.ClientSecret)
	o.Audience = c.settled(path+".audience", o.Audience)
	o.Scopes = slices.Clone(o.Scopes)
	for i, scope := range o.Scopes {
		if o.Scopes[i] = c.settled(path+".scopes", scope); !scopeToken(o.Scopes[i]) {
			c.complain(path+".scopes", `must be words of printable ASCII without space, " and \`)
			break
		}
	}
	u, err := url.Parse(o.TokenURL)
	if err != nil || !visible(o.TokenURL) || u.Scheme != "http" && u.Scheme != "https" || !validHost(u.Host) || u.User != nil || strings.Contains(o.TokenURL, "#") {
		c.complain(path+".token_url", wantTokenURL)
		u = &url.URL{}
	}
	return &Grant{request: c.tokenRequest(path, o, u.String()), sum: o.sum()}
}

// tokenRequest is the request of RFC 6749, 4.4.2.
func (c *compiler) tokenRequest(path string, o OAuth2, target string) Request {
	form := url.Values{"grant_type": {"client_credentials"}}
	if len(o.Scopes) > 0 {
		form.Set("scope", strings.Join(o.Scopes, " "))
	}
	if o.Audience != "" {
		form.Set("audience", o.Audience)
	}
	r := Request{Method: "POST", URL: target, Header: []HeaderField{
		{"Accept", "application/json"},
		{"Content-Type", "application/x-www-form-urlencoded"},
	}}
	c.hideURL(o.TokenURL, false)
	switch o.Style {
	case "", StyleBasic:
		credentials := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(o.ClientID) + ":" + url.QueryEscape(o.ClientSecret)))
		c.hide(credentials)
		r.Header = append(r.Header, HeaderField{"Authorization", "Basic " + credentials})
	case StyleBody:
		form.Set("client_id", o.ClientID)
		form.Set("client_secret", o.ClientSecret)
	default:
		c.complain(path+".style", "must be basic or body")
	}
	r.Body = []byte(form.Encode())
	return r
}

// scopeToken reports whether s is one scope (RFC 6749, 3.3).
func scopeToken(s string) bool {
	for i := range len(s) {
		if b := s[i]; b <= ' ' || b > '~' || b == '"' || b == '\\' {
			return false
		}
	}
	return s != ""
}

func (o OAuth2) sum() [32]byte {
	text, err := json.Marshal(o)
	if err != nil {
		panic("oauth2: " + err.Error()) // strings only, so this is a bug
	}
	return sha256.Sum256(text)
}

// Read reads the answer to a token request (RFC 6749, 5.1). Where there is no token
// in it, wait is how long the endpoint asked to wait; 0 when it did not.
func (g *Grant) Read(a Answer, now time.Time) (t Token, wait time.Duration, ok bool) {
	b := a.reading()
	if a.Status < 200 || a.Status > 299 {
		wait, _ = headerHint(a.Header["Retry-After"], UnitDefault, now)
		return Token{}, wait, false
	}
	document, _ := b.document()
	members, is := document.(map[string]any)
	if !is || !b.whole {
		return Token{}, 0, false
	}
	// A token of a kind that one does not know must not be used (RFC 6749, 7.1). Some
	// endpoints leave the kind out, and mean this one.
	kind, typed := members["token_type"]
	if name, _ := kind.(string); typed && !strings.EqualFold(name, "Bearer") {
		return Token{}, 0, false
	}
	t.Value, _ = members["access_token"].(string)
	switch life := members["expires_in"].(type) {
	case json.Number:
		t.Life, _ = UnitSeconds.hint(plainNumber(string(life)), now)
	case string:
		t.Life, _ = UnitSeconds.hint(life, now)
	}
	return t, 0, visible(t.Value) && len(t.Value) <= maxToken
}

// visible reports whether s is printable ASCII without spaces, as tokens are that can
// stand behind Bearer in a header (RFC 6750, 2.1), and URLs.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}

// Bearer is the header that carries a token (RFC 6750, 2.1).
func (t Token) Bearer() HeaderField { return HeaderField{"Authorization", "Bearer " + t.Value} }
