package ui

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// piece is a stretch of a text that somebody else wrote: as it is, or an escape for
// what cannot be seen or would change how the rest is read.
type piece struct {
	Text   string
	Escape bool
}

// pieces takes a text apart. Line feeds and tabs stay what they are.
func pieces(text string) []piece {
	var all []piece
	plain := 0
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		escape := ""
		switch {
		case r == utf8.RuneError && n == 1:
			escape = fmt.Sprintf(`\x%02X`, text[i])
		case !Visible(r):
			escape = fmt.Sprintf("U+%04X", r)
		}
		if escape != "" {
			if plain < i {
				all = append(all, piece{Text: text[plain:i]})
			}
			all = append(all, piece{escape, true})
			plain = i + n
		}
		i += n
	}
	if plain < len(text) {
		all = append(all, piece{Text: text[plain:]})
	}
	return all
}

// field is a text for the field of a form: one line, with the same escapes, since a
// field has no way to set them apart.
func field(text string) string {
	var b strings.Builder
	for _, p := range pieces(text) {
		b.WriteString(p.Text)
	}
	return strings.NewReplacer("\n", "U+000A", "\t", "U+0009").Replace(b.String())
}

// How much of a text is shown at once, in characters.
const (
	lineLength  = 140 // in a list
	blockLength = 600 // on a page of its own
)

// content is a text that somebody else wrote, ready for a template.
type content struct {
	Start []piece // the beginning, all of it unless Rest says more
	Whole []piece // all of it when it is longer than Start; nil else
	Size  int     // characters
}

// line makes one line of a text, for a list.
func line(text string) content {
	one := strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == '\r' {
			return ' '
		}
		return r
	}, firstOf(text, lineLength))
	c := content{Start: pieces(one), Size: utf8.RuneCountInString(text)}
	if c.Size > lineLength {
		c.Start = append(c.Start, piece{Text: "…"})
	}
	return c
}

// block keeps the lines of a text, and has all of it.
func block(text string) content {
	c := content{Size: utf8.RuneCountInString(text)}
	if c.Size <= blockLength {
		c.Start = pieces(text)
		return c
	}
	c.Start = append(pieces(firstOf(text, blockLength/2)), piece{Text: "…"})
	c.Whole = pieces(text)
	return c
}

// firstOf returns the first n characters of a text, and what belongs to the last one.
func firstOf(text string, n int) string {
	for i := range text {
		if n == 0 {
			return text[:i]
		}
		n--
	}
	return text
}
