package dialect

import (
	"bytes"
	"strings"
)

// reading is the body of an answer as rules see it. It is parsed once, and only
// when a rule asks for that.
type reading struct {
	body   []byte
	whole  bool // it was read to its end, and as it is; else no rule holds
	parsed bool
	isJSON bool
	value  any
}

// byteOrderMark may stand before a text, and is no part of it (RFC 8259, 8.1).
var byteOrderMark = []byte("\xef\xbb\xbf")

func (a *Answer) reading() reading {
	return reading{body: bytes.TrimPrefix(a.Body, byteOrderMark), whole: !a.Cut && !a.encoded()}
}

// encoded reports whether the body is compressed or the like (RFC 9110, 8.4). No
// request asks for that.
func (a *Answer) encoded() bool {
	for _, v := range a.Header["Content-Encoding"] {
		if v = strings.Trim(v, " \t"); v != "" && !strings.EqualFold(v, "identity") {
			return true
		}
	}
	return false
}

// document returns the body as parseJSON reads it.
func (r *reading) document() (value any, ok bool) {
	if !r.parsed {
		r.value, r.isJSON = parseJSON(r.body)
		r.parsed = true
	}
	return r.value, r.isJSON
}
