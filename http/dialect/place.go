package dialect

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// place is where a value stands, and so how it is encoded.
type place uint8

const (
	asText place = iota // not in a body
	inText
	inJSON
	inForm
	inXML
	inXMLAttribute
	inPath
	inQuery
	inHeader
)

// append encodes v for the place, in a body that has one in the charset. The
// error is [ErrUnfit].
func (p place) append(dst []byte, v string, in *charset) ([]byte, error) {
	switch p {
	case inJSON:
		return appendJSON(dst, v), nil
	case inText:
		return in.append(dst, v)
	case inForm:
		if in == nil || in.coding == nil {
			return appendEscaped(dst, v, '+'), nil
		}
		encoded, err := in.append(nil, v)
		return appendEscaped(dst, string(encoded), '+'), err
	case inXML, inXMLAttribute:
		if in == nil || in.coding == nil {
			return appendXML(dst, v, p == inXMLAttribute)
		}
		escaped, err := appendXML(nil, v, p == inXMLAttribute)
		if err != nil {
			return nil, err
		}
		return in.append(dst, string(escaped))
	case inPath, inQuery:
		// A plus sign for a space is understood in forms only; %20 is everywhere.
		return appendEscaped(dst, v, 0), nil
	case inHeader:
		if strings.ContainsFunc(v, unicode.IsControl) {
			return nil, ErrUnfit
		}
	case asText:
	}
	return append(dst, v...), nil
}

// wants says of a constant that append refused what is wrong with it.
func (p place) wants() string {
	switch p {
	case inHeader:
		return "has a control character"
	case inXML, inXMLAttribute:
		return "has a character that XML cannot have, or that is not in the charset"
	default:
		return "has a character that is not in the charset"
	}
}

const hexDigits = "0123456789ABCDEF"

// appendJSON writes v as the inside of a JSON string. Only what JSON demands is
// escaped.
func appendJSON(dst []byte, v string) []byte {
	done := 0
	for i := range len(v) {
		b := v[i]
		if b >= ' ' && b != '"' && b != '\\' {
			continue
		}
		dst = append(dst, v[done:i]...)
		done = i + 1
		switch b {
		case '"', '\\':
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&15])
		}
	}
	return append(dst, v[done:]...)
}

// appendEscaped percent-encodes all of v but the unreserved characters. A
// space becomes the given byte when that is not 0.
func appendEscaped(dst []byte, v string, space byte) []byte {
	for i := range len(v) {
		switch b := v[i]; {
		case unreserved(b):
			dst = append(dst, b)
		case b == ' ' && space != 0:
			dst = append(dst, space)
		default:
			dst = appendPercent(dst, b)
		}
	}
	return dst
}

func appendPercent(dst []byte, b byte) []byte {
	return append(dst, '%', hexDigits[b>>4], hexDigits[b&15])
}

// unreserved reports whether b means the same encoded or not, everywhere in a
// URL (RFC 3986, 2.3).
func unreserved(b byte) bool {
	return alphanumeric(b) || b == '-' || b == '.' || b == '_' || b == '~'
}

func alphanumeric(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}

// padded reports whether v begins or ends with a space, which receivers of a
// header take away.
func padded(v string) bool {
	first, _ := utf8.DecodeRuneInString(v)
	last, _ := utf8.DecodeLastRuneInString(v)
	return first == ' ' || last == ' '
}
