package dialect

import (
	"math"
	"net/url"
	"strings"

	"github.com/postrider/postrider/data"
)

// minGuessed is how long a piece of a URL must be to be taken for a secret. What
// is shorter would mask words of an answer that mean something, such as true.
const minGuessed = 6

// hide keeps values out of all that is shown of answers. An empty one is none.
func (c *compiler) hide(secrets ...string) { c.hidden = append(c.hidden, secrets...) }

// hideValue hides what a header or a field of the query has as its value, and what
// follows the word for a scheme: a gateway may repeat what it was given as "Bearer x"
// without the first word.
func (c *compiler) hideValue(secret string) {
	c.hide(secret)
	if scheme, credentials, found := strings.Cut(secret, " "); found && token(scheme) && len(credentials) >= minGuessed {
		c.hide(credentials)
	}
}

// masker returns what hides the secrets of a declaration: those that it names, the
// constants of what its name tells to be one, those that were hidden while it was
// compiled, and those that stand in its URL.
func (c *compiler) masker(d Declaration) masker {
	for _, s := range d.Settings {
		if s.Secret {
			c.hideValue(s.Value)
			c.hideURL(s.Value, true)
		}
	}
	for _, fields := range []map[string]string{d.Headers, d.Query} {
		for name, value := range fields {
			if c.isSecret(name) {
				c.hideTemplate(value)
			}
		}
	}
	c.hideURL(c.constantURL(d.URL), d.URLSecret)
	return newMasker(c.hidden)
}

// hideTemplate hides the constants of a template: all of it when it is nothing else.
func (c *compiler) hideTemplate(source string) {
	parts, _ := parse(source, c.everything) // there have been complaints already
	for _, p := range parts {
		if p.op == opText && (len(parts) == 1 || len(p.text) >= minGuessed) {
			c.hideValue(p.text)
		}
	}
}

// constantURL is a URL with the settings up to the end of its host put in.
func (c *compiler) constantURL(source string) string {
	parts, _ := parse(source, c.everything) // there have been complaints already
	var address strings.Builder
	for _, p := range parts {
		if p.op == opText && (!p.pending || authorityEnd(address.String()) < 0) {
			address.WriteString(p.text)
		} else {
			address.WriteString("{{}}")
		}
	}
	return address.String()
}

// hideURL hides what [MaskURL] does not show of a URL, as far as it is constant.
func (c *compiler) hideURL(source string, secret bool) {
	_, rest, found := strings.Cut(source, "://")
	if !found {
		return
	}
	end := strings.IndexAny(rest+"/", "/?#")
	rest = rest[end:]
	path, query, _ := strings.Cut(rest, "?")
	if secret {
		for segment := range strings.SplitSeq(path, "/") {
			c.guess(segment)
		}
	}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, named := strings.Cut(pair, "=")
		if !named {
			name, value = "", pair
		}
		c.guess(value)
		if value != "" && len(value) < minGuessed && named {
			c.hide(decoded(name) + "=" + decoded(value))
		}
	}
}

// guess hides the constant pieces of a template that are long enough.
func (c *compiler) guess(source string) {
	for piece := range strings.SplitSeq(source, "{{") {
		if _, after, closed := strings.Cut(piece, "}}"); closed {
			piece = after
		}
		if len(piece) >= minGuessed {
			c.hide(decoded(piece))
		}
	}
}

func decoded(piece string) string {
	if plain, err := url.PathUnescape(piece); err == nil {
		return plain
	}
	return piece
}

// kept is what of an answer's body is kept. Of one that is encoded nobody knows
// whether it has a secret in it.
func (d *Dialect) kept(a *Answer) string {
	if a.encoded() {
		return ""
	}
	m := d.masker
	if len(a.Secrets) > 0 {
		m = newMasker(m.secrets, a.Secrets)
	}
	return m.mask(a.Body, a.Cut, data.MaxAnswer)
}

// Mask returns text with *** for each secret of the declaration, as it is or
// encoded.
func (d *Dialect) Mask(text string) string {
	return d.masker.mask([]byte(text), false, math.MaxInt)
}
