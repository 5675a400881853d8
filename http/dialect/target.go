package dialect

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// target is a compiled URL: steps to be rendered one after the other, and then
// what of the query may be there or not. Scheme and host are constant, so that
// one knows where it leads before it is rendered.
type target struct {
	secure bool
	host   string // with the port, if there is one
	steps  []step
	asked  bool    // the steps have a query
	query  []field // more of it
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
func (t *target) render(values []string) (string, error) {
	if len(t.steps) == 1 && !t.steps[0].segment && len(t.query) == 0 {
		return render(t.steps[0].parts, values)
	}
	dst := make([]byte, 0, 256)
	var err error
	for i := range t.steps {
		s, start := &t.steps[i], len(dst)
		if dst, err = appendParts(dst, s.parts, values, nil); err != nil {
			return "", err
		}
		if s.segment && dotOrEmpty(dst[start:]) {
			return "", blame(s.parts)
		}
	}
	asked := t.asked
	for i := range t.query {
		f := &t.query[i]
		if !f.when.in(values) {
			continue
		}
		dst = append(dst, separator(asked)...)
		dst = append(append(dst, f.name...), '=')
		if dst, err = appendParts(dst, f.value, values, nil); err != nil {
			return "", err
		}
		asked = true
	}
	return string(dst), nil
}

// separator is what stands before a field of the query.
func separator(asked bool) string {
	if asked {
		return "&"
	}
	return "?"
}

func dotOrEmpty(segment []byte) bool {
	return len(segment) == 0 || string(segment) == "." || string(segment) == ".."
}

const wantHost = "must begin with http:// or https:// and a constant host"

// target compiles the URL. A user and password in it become an Authorization
// header, so that the URL has them nowhere. Up to the end of the host settings
// stand as they are, for they may be a whole address; behind it they are encoded.
func (c *compiler) target(source string, secret bool) target {
	parts := c.template("url", source)
	var front strings.Builder
	last := 0 // the part that the host ends in
	for ; last < len(parts) && parts[last].op == opText; last++ {
		if front.WriteString(parts[last].text); authorityEnd(front.String()) >= 0 {
			break
		}
	}
	scheme, rest, found := strings.Cut(front.String(), "://")
	scheme = strings.ToLower(scheme)
	end := strings.IndexAny(rest, "/?#")
	if !found || scheme != "http" && scheme != "https" || end < 0 && last < len(parts) {
		c.complain("url", wantHost)
		return target{}
	}
	if end < 0 {
		end = len(rest)
	}
	host := rest[:end]
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		c.user(host[:at])
		host = host[at+1:]
	}
	if !validHost(host) {
		c.complain("url", "host is not valid: it is a name, an IPv4 address or [an IPv6 address], and a port from 1 to 65535 if any")
	}
	behind := parts[min(last+1, len(parts)):]
	path, shown := rest[end:], host
	if c.masked {
		shown = shownHost(parts[:len(parts)-len(behind)])
		path = c.maskRest(path, behind, secret || parts[min(last, len(parts)-1)].secret)
		if secret {
			behind = nil
		}
	}
	w := walker{c: c}
	w.add(part{text: scheme + "://" + shown})
	if path == "" || path[0] != '/' {
		w.add(part{text: "/"})
	}
	w.walkText(path)
	w.walk(behind)
	w.endSegment()
	return target{secure: scheme == "https", host: host, steps: w.merged(), asked: w.query}
}

// authorityEnd returns where the host and its port end, -1 for not yet.
func authorityEnd(address string) int {
	scheme, rest, found := strings.Cut(address, "://")
	if end := strings.IndexAny(rest, "/?#"); found && end >= 0 {
		return len(scheme) + len("://") + end
	}
	return -1
}

// query adds declared fields to the query of the URL.
func (c *compiler) query(t *target, declared map[string]string) {
	c.bound("query", len(declared), maxSettings)
	w := walker{c: c, steps: t.steps}
	for _, name := range sortedKeys(declared) {
		path := "query." + name
		c.constantName(path, name)
		if name == "" {
			c.complain(path, "has no name")
		}
		escaped := string(appendEscaped(nil, name, 0))
		value, when := c.leaf(path, declared[name], inQuery)
		value = c.maskField(name, value)
		switch when {
		case always:
			w.ask(t, escaped, value)
		case never:
		default:
			t.query = append(t.query, field{escaped, value, when})
		}
	}
	for _, f := range c.asks {
		if _, twice := declared[f.name]; twice {
			c.complain("query."+f.name, "is given twice, %s", byAuth)
		}
		w.ask(t, string(appendEscaped(nil, f.name, 0)), f.value)
	}
	t.steps = w.merged()
}

// user turns user:password into an Authorization header.
func (c *compiler) user(userinfo string) {
	user, password, _ := strings.Cut(userinfo, ":")
	user, err1 := url.PathUnescape(user)
	password, err2 := url.PathUnescape(password)
	if err1 != nil || err2 != nil || strings.Contains(user, ":") {
		c.complain("url", "user and password are not valid")
	}
	if c.taken["Authorization"] != "" {
		c.complain("auth", "is given twice, the URL has a user and password")
	}
	c.taken["Authorization"] = "the URL has a user and password"
	c.guess(user)
	c.hide(password)
	c.extra = append(c.extra, c.authorization(user, password))
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
	settled bool   // and it has a setting in it
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

// ask adds a field of the query.
func (w *walker) ask(t *target, name string, value []part) {
	w.add(part{text: separator(t.asked) + name + "="})
	for _, p := range value {
		w.add(p)
	}
	t.asked = true
}

// merged returns the steps with as few parts as they need.
func (w *walker) merged() []step {
	for i := range w.steps {
		w.steps[i].parts = merge(w.steps[i].parts)
	}
	return w.steps
}

// endSegment ends the path segment under way. One that is written out is the
// operator's word.
func (w *walker) endSegment() {
	if varies(w.segment) {
		w.steps = append(w.steps, step{parts: w.segment, segment: true})
	} else {
		var text []byte
		for _, p := range w.segment {
			w.add(p)
			text = append(text, p.text...)
		}
		if w.settled && dotOrEmpty(text) {
			w.c.complain("url", "has a path segment that a setting leaves empty or makes dots of")
		}
	}
	w.segment, w.settled = nil, false
}

func (w *walker) walk(parts []part) {
	for _, p := range parts {
		switch {
		case p.op == opText && !p.pending:
			w.walkText(p.text)
		case w.query && !w.value:
			w.c.complain("url", "names in the query must be constant")
		case w.query:
			for _, p := range w.c.put("url", inQuery, []part{p}) {
				w.add(p)
			}
		default:
			w.segment = append(w.segment, w.c.put("url", inPath, []part{p})...)
			w.settled = w.settled || p.pending
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
			w.add(part{text: string(b)})
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
		w.add(part{text: string(encoded)})
		return
	}
	w.segment = add(w.segment, string(encoded))
}
