package config

import (
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"strconv"
	"time"
)

// Auth is how requests to a gateway show who sends them; at most one field is
// set. Its texts may name settings.
type Auth struct {
	// Basic is user and password.
	Basic *Basic `yaml:"basic,omitempty"`
	// Bearer is a token.
	Bearer Text `yaml:"bearer,omitempty"`
	// Header is a header with a secret value.
	Header *Credential `yaml:"header,omitempty"`
	// Query is a field of the query with a secret value.
	Query *Credential `yaml:"query,omitempty"`
	// HMAC signs the body.
	HMAC *HMAC `yaml:"hmac,omitempty"`
	// StandardWebhooks signs as standardwebhooks.com has it.
	StandardWebhooks *StandardWebhooks `yaml:"standard_webhooks,omitempty"`
	// Signature makes {{signature}} anew for each attempt.
	Signature *Signature `yaml:"signature,omitempty"`
	// OAuth2 fetches access tokens by client credentials.
	OAuth2 *OAuth2 `yaml:"oauth2,omitempty"`
}

// Format shows nothing: of what a pointer leads to, some verbs print the bare fields.
func (a Auth) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, mask) }

// Basic is user and password.
type Basic struct {
	User     Text `yaml:"user,omitempty"`
	Password Text `yaml:"password,omitempty"`
}

// Credential is a name and its secret value.
type Credential struct {
	Name  string `yaml:"name"`
	Value Text   `yaml:"value"`
}

// HMAC is how bodies are signed.
type HMAC struct {
	Secret Text   `yaml:"secret"`
	Header string `yaml:"header"`
	// Algorithm is sha1, sha256 or sha512; default sha256.
	Algorithm string `yaml:"algorithm,omitempty"`
	// Encoding is hex or base64; default hex.
	Encoding string `yaml:"encoding,omitempty"`
	// Prefix stands before the signature, such as sha256=.
	Prefix string `yaml:"prefix,omitempty"`
}

// StandardWebhooks has the secrets that sign, whsec_ and base64.
type StandardWebhooks struct {
	Secret Text `yaml:"secret"`
	// Previous signs too while the secret is changed; default none.
	Previous Text `yaml:"previous,omitempty"`
}

// Signature is what {{signature}} is made of; both texts are templates.
type Signature struct {
	Key  Text `yaml:"key"`
	Text Text `yaml:"text,omitempty"`
	// Algorithm is sha1, sha256 or sha512; default sha256.
	Algorithm string `yaml:"algorithm,omitempty"`
	// Encoding is hex or base64; default base64.
	Encoding string `yaml:"encoding,omitempty"`
}

// OAuth2 is where access tokens come from.
type OAuth2 struct {
	TokenURL     Text     `yaml:"token_url"`
	ClientID     Text     `yaml:"client_id"`
	ClientSecret Text     `yaml:"client_secret"`
	Scopes       []string `yaml:"scopes,omitempty,flow"`
	// Style is how the client says who it is: basic or body; default basic.
	Style    string `yaml:"style,omitempty"`
	Audience string `yaml:"audience,omitempty"`
}

// TLS is how connections to a gateway are secured beyond the usual, in PEM.
type TLS struct {
	// Certificate of the client, with those that vouch for it.
	Certificate Text `yaml:"certificate,omitempty"`
	// Key of the certificate.
	Key Text `yaml:"key,omitempty"`
	// CA may vouch for the gateway, instead of whom the system trusts.
	CA Text `yaml:"ca,omitempty"`
}

// Format shows nothing, like that of [Auth].
func (t TLS) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, mask) }

// Success says which answers mean that the gateway took the message.
type Success struct {
	// Status lists statuses, 200 to 299; default all of these.
	Status []Status `yaml:"status,omitempty,flow"`
	// Body has rules that must all hold; default none.
	Body []Rule `yaml:"body,omitempty"`
}

// Permanent names answers after which no attempt would go better.
type Permanent struct {
	// Status lists HTTP statuses, 300 to 599, each once, at most 100.
	Status []Status `yaml:"status,omitempty,flow"`
	// Body has rules of which one that holds is enough; default none.
	Body []Rule `yaml:"body,omitempty"`
}

// Throttle says which answers ask to wait, and where they say for how long.
type Throttle struct {
	// Status lists statuses, 300 to 599; default 429 and 503.
	Status []Status `yaml:"status,omitempty,flow"`
	// Body has rules of which one that holds is enough; default none.
	Body []Rule `yaml:"body,omitempty"`
	// Wait lists the places of which the longest wait counts; default the header
	// Retry-After.
	Wait []Wait `yaml:"wait,omitempty"`
	// Fixed is the wait when an answer names none; default 0s, which holds nothing.
	Fixed time.Duration `yaml:"fixed,omitempty"`
}

// Wait is a place in an answer: a header, or a value in a JSON body.
type Wait struct {
	Header string `yaml:"header,omitempty"`
	// Body is a JSON pointer.
	Body *string `yaml:"body,omitempty"`
	// Unit is s, ms, unix or unix_ms; default s, and in a header also a date.
	Unit string `yaml:"unit,omitempty"`
}

// Rule says something about the body of an answer: about the value at a JSON
// pointer, or the text as a whole.
type Rule struct {
	JSON     *string `yaml:"json,omitempty"`
	Is       *any    `yaml:"is,omitempty"` // may be a null
	In       []any   `yaml:"in,omitempty,flow"`
	Not      *any    `yaml:"not,omitempty"` // may be a null
	Exists   *bool   `yaml:"exists,omitempty"`
	Text     *string `yaml:"text,omitempty"`
	Contains *string `yaml:"contains,omitempty"`
}

// Length bounds a field of the messages for a gateway, or the body made of them.
type Length struct {
	// Field is message, to, title, params.NAME or body; default message.
	Field string `yaml:"field,omitempty"`
	Limit int    `yaml:"limit"`
	// Unit is bytes, characters or utf16; default characters, and bytes of body.
	Unit string `yaml:"unit,omitempty"`
	// Over is reject, truncate or split; default reject, which is all there is for body.
	Over string `yaml:"over,omitempty"`
}

// Status is the HTTP statuses from First to Last. It is written 404 or "500-599".
type Status struct{ First, Last int }

// Statuses returns each status as a range of its own.
func Statuses(each ...int) []Status {
	ranges := make([]Status, len(each))
	for i, status := range each {
		ranges[i] = Status{status, status}
	}
	return ranges
}

// MarshalYAML writes the form that is read.
func (s Status) MarshalYAML() (any, error) {
	if s.First == s.Last {
		return s.First, nil
	}
	return fmt.Sprintf("%d-%d", s.First, s.Last), nil
}

var statusRange = regexp.MustCompile(`^(\d{3})(?:-(\d{3}))?$`)

func toStatus(v any) (any, error) {
	text, isText := v.(string)
	if n, ok := v.(int); ok {
		text, isText = strconv.Itoa(n), true
	}
	m := statusRange.FindStringSubmatch(text)
	if !isText || m == nil {
		return nil, problem(`expected an HTTP status such as 404, or a range such as "500-599"`)
	}
	first, _ := strconv.Atoi(m[1])
	last := first
	if m[2] != "" {
		last, _ = strconv.Atoi(m[2])
	}
	if last < first {
		return nil, problem("expected a range that does not end before it begins")
	}
	return Status{first, last}, nil
}

// cleanRule reads a rule as a whole: a null is a value in it.
func (r *report) cleanRule(path string, v any) (any, bool) {
	m, ok := v.(map[string]any)
	if !ok {
		r.reject(path, "expected keys with their values")
		return nil, false
	}
	rest, values := maps.Clone(m), map[string]any{}
	for _, key := range []string{"is", "in", "not"} {
		if list, ok := m[key].([]any); key == "in" && !ok && list == nil {
			continue
		}
		if value, given := m[key]; given && r.cleanTree(join(path, key), value) {
			values[key] = value
		}
		delete(rest, key)
	}
	clean, _ := r.cleanSection(path, rest, reflect.TypeFor[Rule]())
	section, _ := clean.(map[string]any)
	rule := Rule{
		JSON: pointerTo[string](section, "json"), Text: pointerTo[string](section, "text"),
		Contains: pointerTo[string](section, "contains"), Exists: pointerTo[bool](section, "exists"),
		Is: pointerTo[any](values, "is"), Not: pointerTo[any](values, "not"),
	}
	rule.In, _ = values["in"].([]any)
	return rule, true
}

// pointerTo returns a value of a map, nil when it is not there.
func pointerTo[T any](m map[string]any, key string) *T {
	v, given := m[key]
	if !given {
		return nil
	}
	t, _ := v.(T) // a null is the zero value of any
	return &t
}

// texts visits every Text of what auth says. What does nothing but name a setting
// is as secret as that is.
func (a *Auth) texts(at string, visit func(path string, t *Text, secret bool)) {
	secret := func(path string, t *Text) { visit(at+path, t, !onlyTemplate.MatchString(t.value)) }
	secret(".bearer", &a.Bearer)
	if a.Basic != nil {
		visit(at+".basic.user", &a.Basic.User, false)
		secret(".basic.password", &a.Basic.Password)
	}
	if a.Header != nil {
		secret(".header.value", &a.Header.Value)
	}
	if a.Query != nil {
		secret(".query.value", &a.Query.Value)
	}
	if a.HMAC != nil {
		secret(".hmac.secret", &a.HMAC.Secret)
	}
	if a.StandardWebhooks != nil {
		secret(".standard_webhooks.secret", &a.StandardWebhooks.Secret)
		secret(".standard_webhooks.previous", &a.StandardWebhooks.Previous)
	}
	if a.Signature != nil {
		visit(at+".signature.key", &a.Signature.Key, !onlyTemplate.MatchString(a.Signature.Key.value))
		visit(at+".signature.text", &a.Signature.Text, !onlyTemplate.MatchString(a.Signature.Text.value))
	}
	if a.OAuth2 != nil {
		visit(at+".oauth2.token_url", &a.OAuth2.TokenURL, false)
		visit(at+".oauth2.client_id", &a.OAuth2.ClientID, false)
		secret(".oauth2.client_secret", &a.OAuth2.ClientSecret)
	}
}

// onlyTemplate finds texts of names and spaces alone: what they come to is as secret
// as what they name, and they may be shown.
var onlyTemplate = regexp.MustCompile(`^(\{\{\??[ a-z_]+(\.[A-Za-z0-9_-]+)? *}}\s*)+$`)
