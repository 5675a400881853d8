package dialect

import (
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
)

// charset is what the characters of a body are written in. nil is UTF-8.
type charset struct {
	label  string            // as the declaration has it
	coding encoding.Encoding // nil for UTF-8
}

// charset finds what a label stands for. The registry of IANA comes first, since
// it takes a label at its word; the one of HTML knows more labels, and takes
// some for a larger charset, as browsers do.
func (c *compiler) findCharset(label string, kind Kind) *charset {
	const path = "body.charset"
	if label == "" {
		return nil
	}
	if kind == KindJSON || kind == KindNone {
		c.complain(path, "is for form, xml and text")
	}
	coding, err := ianaindex.MIME.Encoding(label)
	if err != nil || coding == nil {
		coding, err = htmlindex.Get(label)
	}
	found := &charset{label: label}
	switch {
	case err != nil || !token(label):
		c.complain(path, "is not a charset that is known")
	case coding == unicode.UTF8:
	default:
		if found.coding = coding; !found.joins() {
			c.complain(path, "is not one whose characters can be put together piece by piece")
		}
	}
	return found
}

// joins reports whether texts can be encoded one by one and put behind each
// other, with ASCII as it is. It is not so for UTF-16 and for charsets that shift.
func (s *charset) joins() bool {
	ascii := make([]byte, 0, 128)
	for b := byte(' '); b <= '~'; b++ {
		ascii = append(ascii, b)
	}
	if got, err := s.coding.NewEncoder().Bytes(ascii); err != nil || string(got) != string(ascii) || s.coding == encoding.Replacement {
		return false
	}
	for _, r := range "éяαあ中한" {
		one, err := s.coding.NewEncoder().String(string(r))
		two, _ := s.coding.NewEncoder().String(string(r) + string(r))
		if err == nil && one+one != two {
			return false
		}
	}
	return true
}

// append writes v in the charset. What would not come back as the very same
// characters is [ErrUnfit].
func (s *charset) append(dst []byte, v string) ([]byte, error) {
	if s == nil || s.coding == nil || isASCII(v) {
		return append(dst, v...), nil
	}
	encoded, err := s.coding.NewEncoder().String(v)
	if err != nil {
		return nil, ErrUnfit
	}
	if back, err := s.coding.NewDecoder().String(encoded); err != nil || back != v {
		return nil, ErrUnfit
	}
	return append(dst, encoded...), nil
}

func isASCII(v string) bool {
	for i := range len(v) {
		if v[i] >= 0x80 {
			return false
		}
	}
	return true
}

// name is the label, for the request to say.
func (s *charset) name() string {
	if s == nil {
		return "utf-8"
	}
	return s.label
}
