package dialect

import (
	"encoding/base64"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// target is a compiled URL: steps to be rendered one after the other. Scheme
// and host are constant, so that one knows where it leads before it is rendered.
type target struct {
	secure bool
	host   string // with the port, if there is one
	steps  []step
}

// step is a piece of a URL. One that is a whole path segment is checked when it
// was rendered, since a dot segment is no name but a way to another path.
type step struct {
	parts   []part
	segment bool
}

// Endpoint returns where all requests go: whether by TLS, and the host with its
// port, if the URL has one.
func (d *Dialect) Endpoint() (secure bool, host string) { return d.target.secure, d.target.host }

// render returns the URL.
func (t target) render(values []string) (string, error) {
	if len(t.steps) == 1 && !t.steps[0].segment {
		return render(t.steps[0].parts, values)
	}
	dst := make([]byte, 0, 256)
	for i := range t.steps {
		s, start := &t.steps[i], len(dst)
		var err error
		if dst, err = appendParts(dst, s.parts, values); err != nil {
			return "", err
		}
		if s.segment && dotOrEmpty(dst[start:]) {
			return "", ErrUnfit
		}
	}
	return string(dst), nil
}

func dotOrEmpty(segment []byte) bool {
	return len(segment) == 0 || string(segment) == "." || string(segment) == ".."
}

const wantHost = "must begin with http:// or https:// and a constant host"

// target compiles the URL. A user and password in it become the value of an
// Authorization header, so that the URL has them nowhere.
func (c *compiler) target(source string) (t target, authorization string) {
	parts := c.template("url", source)
	if len(parts) == 0 || parts[0].value != constant {
		c.complain("url", wantHost)
		return target{}, ""
	}
	scheme, rest, found := strings.Cut(parts[0].text, "://")
	scheme = strings.ToLower(scheme)
	end := strings.IndexAny(rest, "/?#")
	if !found || scheme != "http" && scheme != "https" || end < 0 && len(parts) > 1 {
		c.complain("url", wantHost)
		return target{}, ""
	}
	if end < 0 {
		end = len(rest)
	}
	host := rest[:end]
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		authorization = c.basic(host[:at])
		host = host[at+1:]
	}
	if !validHost(host) {
		c.complain("url", "host is not valid: it is a name, an IPv4 address or [an IPv6 address], and a port from 1 to 65535 if any")
	}
	w := walker{c: c}
	w.add(part{text: scheme + "://" + host, value: constant})
	if end == len(rest) || rest[end] != '/' {
		w.add(part{text: "/", value: constant})
	}
	w.walk(add(nil, rest[end:]))
	w.walk(parts[1:])
	w.endSegment()
	for i := range w.steps {
		w.steps[i].parts = merge(w.steps[i].parts)
	}
	return target{secure: scheme == "https", host: host, steps: w.steps}, authorization
}

// basic turns user:password into the value of an Authorization header.
func (c *compiler) basic(userinfo string) string {
	user, password, _ := strings.Cut(userinfo, ":")
	user, err1 := url.PathUnescape(user)
	password, err2 := url.PathUnescape(password)
	if err1 != nil || err2 != nil || strings.Contains(user, ":") {
		c.complain("url", "user and password are not valid")
		return ""
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func validHost(host string) bool {
	name, port, found := host, "", false
	if inner, rest, closed := strings.Cut(strings.TrimPrefix(host, "["), "]"); strings.HasPrefix(host, "[") {
		addr, err := netip.ParseAddr(inner)
		if !closed || err != nil || !addr.Is6() || addr.Zone() != "" {
			return false
		}
		if port, found = strings.CutPrefix(rest, ":"); !found && rest != "" {
			return false
		}
	} else {
		name, port, found = strings.Cut(host, ":")
		for i := range len(name) {
			if b := name[i]; !alphanumeric(b) && b != '-' && b != '.' && b != '_' {
				return false
			}
		}
	}
	if found {
		n, err := strconv.ParseUint(port, 10, 16)
		return name != "" && err == nil && n > 0
	}
	return name != ""
}

// walker goes through what follows the host, path first, then query.
type walker struct {
	c       *compiler
	steps   []step
	segment []part // the path segment under way
	query   bool   // the path is over
	value   bool   // in the query, a name is over
}

// add appends a part that needs no check of its own.
func (w *walker) add(p part) {
	if last := len(w.steps) - 1; last < 0 || w.steps[last].segment {
		w.steps = append(w.steps, step{})
	}
	s := &w.steps[len(w.steps)-1]
	s.parts = append(s.parts, p)
}

// endSegment ends the path segment under way. One without values is constant
// and the operator's word.
func (w *walker) endSegment() {
	varies := false
	for _, p := range w.segment {
		varies = varies || p.value != constant
	}
	if varies {
		w.steps = append(w.steps, step{parts: w.segment, segment: true})
	} else {
		for _, p := range w.segment {
			w.add(p)
		}
	}
	w.segment = nil
}

func (w *walker) walk(parts []part) {
	for _, p := range parts {
		switch {
		case p.value == constant:
			w.walkText(p.text)
		case !w.query:
			w.segment = append(w.segment, part{value: p.value, place: inPath})
		case w.value:
			w.add(part{value: p.value, place: inQuery})
		default:
			w.c.complain("url", "names in the query must be constant")
		}
	}
}

// walkText takes a constant, written as people write URLs: what may not stand
// in one is encoded, what is encoded stays so.
func (w *walker) walkText(text string) {
	for i := 0; i < len(text); i++ {
		b := text[i]
		switch {
		case b < ' ' || b == 0x7f:
			w.c.complain("url", "has a control character")
			return
		case b == '#':
			w.c.complain("url", "has a fragment, which is never sent")
			return
		case b == '%':
			decoded, err := strconv.ParseUint(text[i+1:min(i+3, len(text))], 16, 8)
			if err != nil || i+3 > len(text) {
				w.c.complain("url", "has a %% that is not followed by two hexadecimal digits")
				return
			}
			// %2e is a dot to whoever resolves dot segments, so it must be one here.
			w.emit(appendEscaped(nil, string([]byte{byte(decoded)}), 0))
			i += 2
		case !w.query && (b == '/' || b == '?'):
			w.endSegment()
			w.add(part{text: string(b), value: constant})
			w.query = b == '?'
		case unreserved(b) || strings.IndexByte("!$&'()*+,;=:@/?", b) >= 0:
			w.value = w.query && b != '&' && (w.value || b == '=')
			w.emit([]byte{b})
		default:
			w.emit(appendPercent(nil, b))
		}
	}
}

func (w *walker) emit(encoded []byte) {
	if w.query {
		w.add(part{text: string(encoded), value: constant})
		return
	}
	w.segment = add(w.segment, string(encoded))
}
