package dialect

import (
	"net/textproto"
	"slices"
	"strings"
)

// Headers that every request carries.
const (
	HeaderMessageID = "Postrider-Message-Id"
	HeaderAttempt   = "Postrider-Attempt"
)

// reserved are the headers that belong to the connection, not to the dialect.
// Accept-Encoding is among them because answers are read as they come.
var reserved = []string{
	"Accept-Encoding", "Connection", "Content-Length", "Expect", "Host", "Keep-Alive",
	"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// headers compiles the declared headers and adds what they leave open.
func (c *compiler) headers(declared map[string]string, kind Kind) []field {
	c.bound("headers", len(declared), maxSettings)
	var hs []field
	has := func(name string) bool {
		return slices.ContainsFunc(hs, func(h field) bool { return h.name == name })
	}
	for _, key := range sortedKeys(declared) {
		path, name := "headers."+key, textproto.CanonicalMIMEHeaderKey(key)
		c.headerName(path, key)
		if by := c.taken[name]; by != "" {
			c.complain(path, "is given twice, %s", by)
		} else if has(name) {
			c.complain(path, "is given twice")
		}
		value, when := c.leaf(path, declared[key], inHeader)
		if padded(declared[key]) || len(value) == 1 && value[0].op == opText && padded(value[0].text) {
			c.complain(path, "begins or ends with a space")
		}
		hs = append(hs, field{name, c.maskField(key, value), when})
	}
	hs = append(hs, c.extra...)
	if kind != KindNone && !has("Content-Type") && c.taken["Content-Type"] == "" {
		hs = append(hs, field{"Content-Type", add(nil, contentType(kind, c.charset)), always})
	}
	return hs
}

// headerName complains about a name that a declaration cannot give to a header.
func (c *compiler) headerName(path, key string) {
	name := textproto.CanonicalMIMEHeaderKey(key)
	switch {
	case !token(key):
		c.complain(path, "is not a name that a header can have")
	case slices.Contains(reserved, name) || strings.HasPrefix(name, "Postrider-"):
		c.complain(path, "is set by the program")
	}
}

func contentType(kind Kind, in *charset) string {
	switch kind {
	case KindForm:
		if in == nil {
			return "application/x-www-form-urlencoded"
		}
		return "application/x-www-form-urlencoded; charset=" + in.name()
	case KindXML:
		return "application/xml; charset=" + in.name()
	case KindText:
		return "text/plain; charset=" + in.name()
	case KindJSON, KindNone:
	}
	return "application/json"
}

// token reports whether name is a token as RFC 9110, 5.6.2, has it.
func token(name string) bool {
	for i := range len(name) {
		if b := name[i]; !alphanumeric(b) && strings.IndexByte("!#$%&'*+-.^_`|~", b) < 0 {
			return false
		}
	}
	return name != ""
}
