package dialect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of templates and of what is made of them.
const (
	maxSource = 64 << 10
	maxOutput = 8 << 20
)

var (
	// ErrUnfit says that a value cannot stand where the template puts it. It never will.
	ErrUnfit = errors.New("value does not fit its place")
	// ErrTooLong says that what was rendered is longer than 8 MiB.
	ErrTooLong = errors.New("rendered text is too long")
)

// constant is the value index of a part that is the same every time.
const constant = -1

// part is a piece of a compiled template.
type part struct {
	text  string // what to write when value is constant, encoded already
	value int    // else which value to write
	place place  // and how to encode it
}

// parse splits a template into constants, not encoded yet, and values, and
// returns all that is wrong with it. The mistakes quote nothing of the source.
func parse(source string, names []string) (parts []part, mistakes []string) {
	switch {
	case len(source) > maxSource:
		return nil, []string{fmt.Sprintf("template is longer than %d bytes", maxSource)}
	case !utf8.ValidString(source):
		return nil, []string{"template is not valid UTF-8"}
	}
	for rest := source; ; {
		before, after, found := strings.Cut(rest, "{{")
		parts = add(parts, before)
		if !found {
			return merge(parts), mistakes
		}
		at := len(source) - len(after) - len("{{")
		inside, behind, closed := strings.Cut(after, "}}")
		if !closed {
			return nil, append(mistakes, fmt.Sprintf("{{ at byte %d is not closed", at))
		}
		rest = behind
		name := strings.Trim(inside, " ")
		if name == `"{{"` {
			parts = add(parts, "{{")
			continue
		}
		value := slices.Index(names, name)
		if value < 0 {
			mistakes = append(mistakes, fmt.Sprintf("unknown name in {{ }} at byte %d, there are %s", at, strings.Join(names, ", ")))
			continue
		}
		parts = append(parts, part{value: value})
	}
}

// add appends a constant.
func add(parts []part, text string) []part { return append(parts, part{text: text, value: constant}) }

// merge makes one constant of those that follow each other. Doing it once at
// the end keeps a large declaration linear.
func merge(parts []part) []part {
	var merged []part
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			merged = append(merged, part{text: text.String(), value: constant})
			text.Reset()
		}
	}
	for _, p := range parts {
		if p.value == constant {
			text.WriteString(p.text)
			continue
		}
		flush()
		merged = append(merged, p)
	}
	flush()
	return merged
}

// encodeFor settles where the parts of a template stand: constants are encoded
// now, values when they come.
func encodeFor(p place, parts []part) ([]part, error) {
	for i := range parts {
		if parts[i].value != constant {
			parts[i].place = p
			continue
		}
		text, err := p.append(nil, parts[i].text)
		if err != nil {
			return nil, err
		}
		parts[i].text = string(text)
	}
	return parts, nil
}

// appendParts renders parts to the end of dst.
func appendParts(dst []byte, parts []part, values []string) ([]byte, error) {
	var err error
	for i := range parts {
		p := &parts[i]
		if p.value == constant {
			dst = append(dst, p.text...)
		} else if dst, err = p.place.append(dst, values[p.value]); err != nil {
			return nil, err
		}
		if len(dst) > maxOutput {
			return nil, ErrTooLong
		}
	}
	return dst, nil
}

// render is appendParts for a string; what is constant costs no allocation.
func render(parts []part, values []string) (string, error) {
	switch {
	case len(parts) == 0:
		return "", nil
	case len(parts) == 1 && parts[0].value == constant:
		return parts[0].text, nil
	}
	b, err := appendParts(nil, parts, values)
	return string(b), err
}

// Template is a text with places for values, in the language of this package.
// Its values are put in as they are.
type Template struct{ parts []part }

// CompileTemplate reads a template whose values have the given names. The
// error joins all that is wrong and quotes nothing of the source.
func CompileTemplate(source string, names ...string) (*Template, error) {
	parts, mistakes := parse(source, names)
	if len(mistakes) > 0 {
		return nil, errors.New(strings.Join(mistakes, "\n"))
	}
	return &Template{parts: parts}, nil
}

// Render puts in the values, one for each name given to [CompileTemplate] and
// in that order. The error is [ErrTooLong].
func (t *Template) Render(values ...string) (string, error) { return render(t.parts, values) }
