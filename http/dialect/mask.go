package dialect

import (
	"cmp"
	"html"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// masker hides secrets in texts that others wrote, in which they may stand as they
// are or encoded as in URLs, forms, JSON and HTML, each character in its own way. It
// does not change.
type masker struct{ secrets []string } // the longest first

func newMasker(secrets ...[]string) masker {
	all := slices.DeleteFunc(slices.Concat(secrets...), func(s string) bool { return s == "" })
	slices.SortFunc(all, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	return masker{slices.Compact(all)}
}

// mask returns the beginning of text, at most limit bytes of it, with *** for each
// secret and U+FFFD for what is not UTF-8. Where text was cut, a secret may have
// been cut too: one that begins at the end is masked as well.
func (m masker) mask(text []byte, cut bool, limit int) string {
	var masked strings.Builder
	put := func(s string) bool {
		if masked.Len()+len(s) > limit {
			return false
		}
		masked.WriteString(s)
		return true
	}
	for at := 0; at < len(text); {
		if end := m.secret(text, at, cut); end > at {
			if !put(mask) {
				break
			}
			at = end
			continue
		}
		r, size := utf8.DecodeRune(text[at:])
		for i := 1; i < size; i++ {
			// A secret that is no text may begin within what makes a character with what
			// stands before it.
			if m.secret(text, at+i, cut) > at+i {
				r, size = utf8.RuneError, i
			}
		}
		if !put(string(r)) {
			break
		}
		at += size
	}
	return masked.String()
}

// secret returns where the longest secret ends that begins at a place, or the
// place itself.
func (m masker) secret(text []byte, at int, cut bool) (end int) {
	end = at
	for _, secret := range m.secrets {
		end = max(end, match(text, at, secret, cut))
	}
	return end
}

// match follows a secret through text from at on and returns where it ends, or at.
// A character may be written in more ways than one, so there can be several places
// where the next one may begin; there are never many.
func match(text []byte, at int, secret string, cut bool) (end int) {
	if b := text[at]; b != secret[0] && strings.IndexByte(escapes, b) < 0 {
		return at
	}
	places, next := append(make([]int, 0, 8), at), make([]int, 0, 8)
	for rest := secret; rest != ""; {
		_, size := utf8.DecodeRuneInString(rest)
		char := rest[:size]
		rest = rest[size:]
		next = next[:0]
		for _, p := range places {
			if cut && len(rest) < len(secret)-size && atEnd(text[p:]) {
				return len(text)
			}
			next = follow(next, text, p, char)
		}
		if len(next) == 0 {
			return at
		}
		slices.Sort(next)
		next = slices.Compact(next)
		places, next = next, places
	}
	return places[len(places)-1]
}

// atEnd reports whether a text may go on as anything: nothing is left of it, or the
// beginning of an encoded character.
func atEnd(rest []byte) bool {
	return len(rest) == 0 || len(rest) < maxEscape && strings.IndexByte(escapes, rest[0]) >= 0
}

// escapes are the characters that an encoded one begins with, or is.
const escapes = `%\&+`

// maxEscape is longer than one character is in any encoding.
const maxEscape = 12

// follow appends to ends where a character ends that begins at a place, for each
// way to write it.
func follow(ends []int, text []byte, at int, char string) []int {
	if at == len(text) {
		return ends
	}
	if end := at + len(char); end <= len(text) && string(text[at:end]) == char {
		ends = append(ends, end)
	}
	switch text[at] {
	case '%':
		p := at
		for i := 0; i < len(char) && p >= 0; i++ {
			p = percent(text, p, char[i])
		}
		if p >= 0 {
			ends = append(ends, p)
		}
	case '+':
		if char == " " {
			ends = append(ends, at+1)
		}
	case '\\':
		ends = followJSON(ends, text, at, char)
	case '&':
		entity, _, closed := strings.Cut(string(text[at:min(len(text), at+maxEscape)]), ";")
		if closed && html.UnescapeString(entity+";") == char {
			ends = append(ends, at+len(entity)+1)
		}
	}
	return ends
}

// percent returns where a percent-encoded byte ends, -1 when it is not there.
func percent(text []byte, at int, b byte) int {
	if len(text) < at+3 || text[at] != '%' {
		return -1
	}
	n, err := strconv.ParseUint(string(text[at+1:at+3]), 16, 8)
	if err != nil || byte(n) != b {
		return -1
	}
	return at + 3
}

// jsonShort has the characters that JSON writes with a backslash and one other
// (RFC 8259, 7), each behind that one; a quote is so written in JavaScript.
const jsonShort = "\"\"\\\\//b\bf\fn\nr\rt\t''"

func followJSON(ends []int, text []byte, at int, char string) []int {
	if at+1 == len(text) {
		return ends
	}
	if text[at+1] != 'u' {
		for i := 0; i < len(jsonShort); i += 2 {
			if jsonShort[i] == text[at+1] && jsonShort[i+1:i+2] == char {
				return append(ends, at+2)
			}
		}
		return ends
	}
	first, ok := hexUnit(text, at)
	if !ok {
		return ends
	}
	if string(first) == char && !utf16.IsSurrogate(first) {
		return append(ends, at+6)
	}
	if second, ok := hexUnit(text, at+6); ok && string(utf16.DecodeRune(first, second)) == char {
		ends = append(ends, at+12)
	}
	return ends
}

// hexUnit reads \u and four hexadecimal digits.
func hexUnit(text []byte, at int) (rune, bool) {
	if len(text) < at+6 || text[at] != '\\' || text[at+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[at+2:at+6]), 16, 16)
	return rune(n), err == nil
}
