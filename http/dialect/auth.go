package dialect

import (
	"encoding/base64"
	"net/textproto"
	"strings"
)

// Auth is how requests show who sends them; at most one of its fields is set.
// Its texts are templates of settings alone, but for those of a [Signature], and
// what they make is a secret.
type Auth struct {
	Basic            *Basic
	Bearer           string // the token; "" means none
	Header           *Credential
	Query            *Credential
	HMAC             *HMAC
	StandardWebhooks *StandardWebhooks
	Signature        *Signature
	// OAuth2 has requests carry a token that must be fetched, so that whoever sends
	// them adds their Authorization header. The dialect keeps the place free.
	OAuth2 *OAuth2
}

// Basic is user and password (RFC 7617).
type Basic struct{ User, Password string }

// Credential is a header or a field of the query and its secret value.
type Credential struct {
	Name  string // constant
	Value string
}

// credentials are what a dialect makes requests with, besides what is constant.
type credentials struct {
	grant   *Grant
	signing *signing
	hmac    *bodyMAC
	webhook *webhook
}

// given lists the fields that are set, as configurations call them.
func (a Auth) given() (kinds []string) {
	for _, f := range []struct {
		kind string
		set  bool
	}{
		{"basic", a.Basic != nil},
		{"bearer", a.Bearer != ""},
		{"header", a.Header != nil},
		{"query", a.Query != nil},
		{"hmac", a.HMAC != nil},
		{"standard_webhooks", a.StandardWebhooks != nil},
		{"signature", a.Signature != nil},
		{"oauth2", a.OAuth2 != nil},
	} {
		if f.set {
			kinds = append(kinds, f.kind)
		}
	}
	return kinds
}

func (a Auth) kind() string { return strings.Join(a.given(), ", ") }

const byAuth = "auth sets it"

// auth compiles what is constant of it to headers and to a field of the query,
// and keeps the names of headers free that requests get later. It returns nil
// when all of it is constant.
func (c *compiler) auth(a Auth) *credentials {
	switch n := len(a.given()); {
	case n == 0:
		return nil
	case n > 1:
		c.complain("auth", "is more than one of basic, bearer, header, query, hmac, standard_webhooks, signature and oauth2")
	}
	s := &credentials{}
	if a.Basic != nil {
		c.basicAuth(*a.Basic)
	}
	if a.Bearer != "" {
		c.authHeader("Authorization", "Bearer ", "auth.bearer", a.Bearer)
	}
	if a.Header != nil {
		c.headerName("auth.header.name", a.Header.Name)
		c.authHeader(textproto.CanonicalMIMEHeaderKey(a.Header.Name), "", "auth.header.value", a.Header.Value)
	}
	if a.Query != nil {
		c.authQuery(*a.Query)
	}
	if a.HMAC != nil {
		s.hmac = c.bodyMAC(*a.HMAC)
	}
	if a.StandardWebhooks != nil {
		s.webhook = c.webhook(*a.StandardWebhooks)
	}
	if a.Signature != nil {
		s.signing = c.signing(*a.Signature)
	}
	if a.OAuth2 != nil {
		s.grant = c.grant(*a.OAuth2)
	}
	if s.grant != nil || s.hmac != nil || s.webhook != nil || s.signing != nil {
		return s
	}
	return nil
}

// secret compiles a secret of auth, which must not come out empty.
func (c *compiler) secret(path, source string) string {
	text := c.text(path, source)
	c.hideValue(text)
	return text
}

// text compiles a text of auth, which must not come out empty.
func (c *compiler) text(path, source string) string {
	before := len(c.complaints)
	text := c.settled(path, source)
	if text == "" && len(c.complaints) == before {
		c.complain(path, "is empty")
	}
	return text
}

// settled puts settings into a text of auth.
func (c *compiler) settled(path, source string) string {
	var text strings.Builder
	for _, p := range c.parse(path, source, c.constant) {
		text.WriteString(p.text)
	}
	return text.String()
}

func (c *compiler) authHeader(name, scheme, path, source string) {
	value := c.secret(path, source)
	if _, err := inHeader.append(nil, value, nil); err != nil || padded(value) {
		c.complain(path, "has a control character, or a space at an end")
	}
	c.taken[name] = byAuth
	c.extra = append(c.extra, field{name, add(nil, scheme+c.shown(value)), always})
}

func (c *compiler) basicAuth(b Basic) {
	var user, password string
	if b.User != "" {
		user = c.text("auth.basic.user", b.User)
		c.guess(user)
	}
	if b.Password != "" {
		password = c.secret("auth.basic.password", b.Password)
	}
	switch {
	case b.User == "" && b.Password == "":
		c.complain("auth.basic", "has neither user nor password")
	case strings.Contains(user, ":"):
		c.complain("auth.basic.user", "has a colon, behind which the password would begin")
	}
	c.taken["Authorization"] = byAuth
	c.extra = append(c.extra, c.authorization(user, password))
}

// authorization is the header for a user and password.
func (c *compiler) authorization(user, password string) field {
	token := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	c.hide(token)
	return field{"Authorization", add(nil, "Basic "+c.shown(token)), always}
}

func (c *compiler) authQuery(q Credential) {
	const path = "auth.query.name"
	c.constantName(path, q.Name)
	if q.Name == "" {
		c.complain(path, "is empty")
	}
	value := c.secret("auth.query.value", q.Value)
	c.asks = append(c.asks, field{q.Name, add(nil, c.shown(string(appendEscaped(nil, value, 0)))), always})
}
