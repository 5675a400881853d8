package dialect

import "strings"

// Preview makes the request that [Dialect.Render] makes of the declaration, for
// people to see: with *** for settings that are secret, for what auth adds and
// what is signed, for user, password and constant query values of the URL, all
// of a secret URL behind its host, and the constants of headers and query fields
// whose name tells of a secret. What belongs to the message is shown.
//
// The secrets are replaced before anything is encoded, so they are in no form
// in what is returned. Preview compiles the declaration each time; the error is
// that of [Compile] or of [Dialect.Render].
func (d Declaration) Preview(in Input) (Request, error) {
	sent, err := Compile(d)
	if err != nil {
		return Request{}, err
	}
	if _, err = sent.Render(in); err != nil {
		return Request{}, err
	}
	c := newCompiler(d)
	c.masked = true
	r, err := c.dialect(d).Render(in)
	if d.Auth.OAuth2 != nil {
		r.Header = append(r.Header, HeaderField{"Authorization", mask})
	}
	return r, err
}

// shown is a secret as the compiler may write it.
func (c *compiler) shown(secret string) string {
	if c.masked {
		return mask
	}
	return secret
}

// maskField masks the constants of something whose name tells of a secret.
func (c *compiler) maskField(name string, parts []part) []part {
	if !c.masked || !c.isSecret(name) {
		return parts
	}
	for i := range parts {
		if parts[i].op == opText {
			parts[i].text = mask
		}
	}
	return parts
}

// isSecret reports whether the constants of a header or query field are secrets, for
// all that is shown: requests and answers.
func (c *compiler) isSecret(name string) bool { return c.secrets[name] || tellsSecret(name) }

// tellsSecret reports whether a header or query field of this name carries a
// secret, as far as one can tell.
func tellsSecret(name string) bool {
	name = strings.ToLower(name)
	for _, sign := range []string{"auth", "bearer", "cookie", "cred", "key", "pass", "pwd", "secret", "sign", "token"} {
		if strings.Contains(name, sign) {
			return true
		}
	}
	return false
}

// shownHost is what may be shown of the host that a URL begins with: of a secret
// part, the host if it brings one along.
func shownHost(parts []part) string {
	var front strings.Builder
	for _, p := range parts {
		switch {
		case !p.secret || front.Len() == 0 && strings.Contains(p.text, "://"):
			front.WriteString(p.text)
		default:
			front.WriteString(mask)
		}
		if authorityEnd(front.String()) >= 0 {
			break
		}
	}
	_, rest, _ := strings.Cut(front.String(), "://")
	host := rest[:strings.IndexAny(rest+"/", "/?#")]
	return host[strings.LastIndexByte(host, '@')+1:]
}

// queryMask hides the constants of the query of a URL, one piece of the URL
// after the other.
type queryMask struct {
	asked bool // the query has begun
	value bool // and in it, a value
}

func (m *queryMask) hide(text string) string {
	var shown strings.Builder
	if !m.asked {
		path, query, asked := strings.Cut(text, "?")
		if shown.WriteString(path); !asked {
			return shown.String()
		}
		shown.WriteByte('?')
		m.asked, text = true, query
	}
	for i, pair := range strings.Split(text, "&") {
		if i > 0 {
			shown.WriteByte('&')
			m.value = false
		}
		if name, value, named := strings.Cut(pair, "="); named && !m.value {
			shown.WriteString(name + "=")
			m.value, pair = true, value
		}
		if pair != "" {
			shown.WriteString(mask)
		}
	}
	return shown.String()
}

// maskRest masks what follows the host in a URL: the rest of the part that the
// host ends in, which it returns, and the parts behind that.
func (c *compiler) maskRest(rest string, behind []part, secret bool) string {
	var m queryMask
	switch asked := strings.Contains(rest, "?"); {
	case !secret:
		rest = m.hide(rest)
	case asked:
		m.asked, m.value = true, true
		rest = "/" + mask + "?" + mask + "=" + mask
	default:
		rest = "/" + mask
	}
	for i := range behind {
		if p := &behind[i]; p.op == opText && !p.pending {
			p.text = m.hide(p.text)
		}
	}
	return rest
}
