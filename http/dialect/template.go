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

// op is what a part does when it is rendered.
type op uint8

const (
	opText  op = iota // write the text
	opValue           // write the value, encoded for its place
	opSkip            // go on behind the next opEnd if the value is empty
	opEnd
	opJoin // write the text, unless what it would separate is not there
)

// part is a piece of a compiled template.
type part struct {
	text    string // of opText and opJoin what to write, encoded already unless it is pending
	value   int    // of opValue and opSkip which value, an index
	op      op
	place   place // of opValue how to encode it
	pending bool  // text is a setting that is not encoded yet
	secret  bool  // and one to keep secret
}

// scope says what a name in a template stands for: the part, or what is wrong
// with the name and what would be right.
type scope func(name string) (p part, mistake, hint string)

// parse splits a template into constants, not encoded yet, and values, and
// returns all that is wrong with it. The mistakes quote nothing of the source.
func parse(source string, names scope) (parts []part, mistakes []string) {
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
		p, mistake, hint := names(name)
		if strings.HasPrefix(name, "?") {
			mistake, hint = "a ?", "which may stand only in a leaf that is nothing but {{?name}}"
		}
		if mistake != "" {
			mistakes = append(mistakes, fmt.Sprintf("%s in {{ }} at byte %d, %s", mistake, at, hint))
			continue
		}
		parts = append(parts, p)
	}
}

// cutOptional takes the mark from a leaf that is nothing but {{?name}}.
func cutOptional(source string) (plain string, optional bool) {
	inside, opened := strings.CutPrefix(source, "{{")
	inside, closed := strings.CutSuffix(inside, "}}")
	name, marked := strings.CutPrefix(strings.TrimLeft(inside, " "), "?")
	if !opened || !closed || !marked || strings.ContainsAny(name, "{}?") {
		return source, false
	}
	return "{{" + name + "}}", true
}

// add appends a constant.
func add(parts []part, text string) []part { return append(parts, part{text: text}) }

// merge makes one constant of those that follow each other. Doing it once at
// the end keeps a large declaration linear.
func merge(parts []part) []part {
	var merged []part
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			merged = add(merged, text.String())
			text.Reset()
		}
	}
	for _, p := range parts {
		if p.op == opText && !p.pending {
			text.WriteString(p.text)
			continue
		}
		flush()
		merged = append(merged, p)
	}
	flush()
	return merged
}

// varies reports whether parts have a value among them.
func varies(parts []part) bool {
	return slices.ContainsFunc(parts, func(p part) bool { return p.op == opValue })
}

// appendParts renders parts to the end of dst, which is a body in a charset or
// none.
func appendParts(dst []byte, parts []part, values []string, in *charset) ([]byte, error) {
	var err error
	for i := 0; i < len(parts); i++ {
		p := &parts[i]
		switch p.op {
		case opText:
			dst = append(dst, p.text...)
		case opValue:
			if dst, err = p.place.append(dst, values[p.value], in); err != nil {
				return nil, &misfit{p.value, err}
			}
		case opSkip:
			for values[p.value] == "" && parts[i].op != opEnd {
				i++
			}
		case opJoin:
			if n := len(dst); n > 0 && dst[n-1] != '{' && dst[n-1] != '[' {
				dst = append(dst, p.text...)
			}
		case opEnd:
		}
		if len(dst) > maxOutput {
			return nil, ErrTooLong
		}
	}
	return dst, nil
}

// misfit is an error that knows which value it is about.
type misfit struct {
	value int
	err   error
}

func (m *misfit) Error() string { return m.err.Error() }

func (m *misfit) Unwrap() error { return m.err }

// blame makes ErrUnfit an error about the first value among parts.
func blame(parts []part) error {
	for i := range parts {
		if parts[i].op == opValue {
			return &misfit{parts[i].value, ErrUnfit}
		}
	}
	return ErrUnfit
}

// render is appendParts for a string; what is constant costs no allocation.
func render(parts []part, values []string) (string, error) {
	switch {
	case len(parts) == 0:
		return "", nil
	case len(parts) == 1 && parts[0].op == opText:
		return parts[0].text, nil
	}
	b, err := appendParts(nil, parts, values, nil)
	return string(b), err
}

// Template is a text with places for values, in the language of this package.
// Its values are put in as they are.
type Template struct{ parts []part }

// CompileTemplate reads a template whose values have the given names. The
// error joins all that is wrong and quotes nothing of the source.
func CompileTemplate(source string, names ...string) (*Template, error) {
	parts, mistakes := parse(source, func(name string) (p part, mistake, hint string) {
		value := slices.Index(names, name)
		if value < 0 {
			return part{}, "unknown name", "there are " + strings.Join(names, ", ")
		}
		return part{op: opValue, value: value}, "", ""
	})
	if len(mistakes) > 0 {
		return nil, errors.New(strings.Join(mistakes, "\n"))
	}
	return &Template{parts: parts}, nil
}

// Render puts in the values, one for each name given to [CompileTemplate] and
// in that order. The error is [ErrTooLong].
func (t *Template) Render(values ...string) (string, error) { return render(t.parts, values) }
