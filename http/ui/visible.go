package ui

import (
	"fmt"
	"strings"
	"unicode"
)

// joiner makes one picture of several, as of a family. Without what it joins it does
// nothing.
const joiner = '\u200D'

// hidden are the characters that cannot be seen, or change how the rest is read:
// control and format characters, the tags among them, what has no meaning but between
// two who agreed on it, what is no character, and what ends lines as few expect.
var hidden = []*unicode.RangeTable{
	unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp,
	unicode.Noncharacter_Code_Point, unicode.Other_Default_Ignorable_Code_Point,
}

// Visible reports whether a reader sees a character for what it is, or as the end of a
// line or a tab. Whatever shows a text of somebody else goes by this, also the script
// and the command line.
func Visible(r rune) bool {
	return r == '\n' || r == '\t' || r == joiner || !unicode.In(r, hidden...)
}

// hiddenPattern is the same as a regular expression of the script.
func hiddenPattern() string {
	var b strings.Builder
	add := func(low, high, stride rune) {
		for ; stride > 1 && low <= high; low += stride {
			fmt.Fprintf(&b, `\u{%x}`, low)
		}
		if stride == 1 {
			fmt.Fprintf(&b, `\u{%x}-\u{%x}`, low, high)
		}
	}
	for _, table := range hidden {
		for _, r := range table.R16 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
		for _, r := range table.R32 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
	}
	return fmt.Sprintf(`(?![\n\t\u{%x}])[%s]`, joiner, b.String())
}
