package dialect

import (
	"cmp"
	"strings"
)

// Description is what of a declaration may be shown to anyone.
type Description struct {
	Method string
	URL    string // with its secret parts masked
	Body   string // a [Kind]
	Auth   string // the kind of [Auth], as configurations call it; "" for none
}

// Describe returns what may be shown, also of a declaration that cannot be
// compiled.
func (d Declaration) Describe() Description {
	method := cmp.Or(d.Method, "POST")
	return Description{Method: method, URL: MaskURL(d.address(), d.URLSecret), Body: string(d.Body.kind(method)), Auth: d.Auth.kind()}
}

// address is the URL with the settings before the end of its host put in, as far
// as they may be shown.
func (d Declaration) address() string {
	front, rest := "", d.URL
	for {
		before, after, found := strings.Cut(rest, "{{")
		name, behind, closed := strings.Cut(after, "}}")
		name, named := strings.CutPrefix(strings.Trim(name, " "), prefixSettings)
		setting, known := d.Settings[name]
		if !found || !closed || !named || !known || authorityEnd(front+before) >= 0 {
			return front + rest
		}
		shown := setting.Value
		switch {
		case setting.Secret && front+before == "" && strings.Contains(shown, "://"):
			shown = MaskURL(shown, true)
		case setting.Secret:
			shown = mask
		}
		front, rest = front+before+shown, behind
	}
}

// Describe returns what may be shown of the dialect.
func (d *Dialect) Describe() Description { return d.about }

// MaskURL returns what of a URL may be shown: all but user, password and query
// values, and of a secret one scheme and host alone. What does not look like a
// URL is not shown at all, since nobody knows what it is.
func MaskURL(source string, secret bool) string {
	scheme, rest, found := strings.Cut(source, "://")
	if lower := strings.ToLower(scheme); !found || lower != "http" && lower != "https" {
		return mask
	}
	end := strings.IndexAny(rest+"/", "/?#")
	host, rest := rest[:end], rest[end:]
	user := ""
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		user, host = mask+"@", host[at+1:]
	}
	if !validHost(host) {
		return scheme + "://" + mask
	}
	if secret {
		return scheme + "://" + host + "/" + mask
	}
	rest, _, _ = strings.Cut(rest, "#")
	path, query, asked := strings.Cut(rest, "?")
	masked := scheme + "://" + user + host + path
	if !asked {
		return masked
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		// What has no name is all value.
		name, _, named := strings.Cut(pair, "=")
		if pairs[i] = mask; named {
			pairs[i] = name + "=" + mask
		}
	}
	return masked + "?" + strings.Join(pairs, "&")
}
