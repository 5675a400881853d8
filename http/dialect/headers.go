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
func (c *compiler) headers(declared map[string]string, authorization string, kind Kind) []header {
	var hs []header
	has := func(name string) bool {
		return slices.ContainsFunc(hs, func(h header) bool { return h.name == name })
	}
	for _, key := range sortedKeys(declared) {
		path, name := "headers."+key, textproto.CanonicalMIMEHeaderKey(key)
		switch {
		case !token(key):
			c.complain(path, "is not a name that a header can have")
		case slices.Contains(reserved, name) || strings.HasPrefix(name, "Postrider-"):
			c.complain(path, "is set by the program")
		case has(name):
			c.complain(path, "is given twice")
		case name == "Authorization" && authorization != "":
			c.complain(path, "is given twice, the URL has a user and password")
		}
		hs = append(hs, header{name: name, value: c.headerValue(path, declared[key])})
	}
	if authorization != "" {
		hs = append(hs, header{name: "Authorization", value: add(nil, authorization)})
	}
	if kind != KindNone && !has("Content-Type") {
		hs = append(hs, header{name: "Content-Type", value: add(nil, contentType(kind))})
	}
	return hs
}

func (c *compiler) headerValue(path, source string) []part {
	parts, err := encodeFor(inHeader, c.template(path, source))
	if err != nil {
		c.complain(path, "has a control character")
	}
	if padded(source) {
		c.complain(path, "begins or ends with a space")
	}
	return parts
}

func contentType(kind Kind) string {
	switch kind {
	case KindForm:
		return "application/x-www-form-urlencoded"
	case KindText:
		return "text/plain; charset=utf-8"
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
