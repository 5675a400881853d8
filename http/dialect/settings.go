package dialect

import (
	"slices"
	"unicode/utf8"
)

// Setting is a constant of the operator, put in for {{settings.NAME}} when the
// declaration is compiled. It is a value and never read as a template.
type Setting struct {
	Value  string
	Secret bool // shown to nobody
}

// mask is shown for what is secret.
const mask = "***"

// checkSettings complains about settings that nothing could use.
func (c *compiler) checkSettings() {
	c.bound("settings", len(c.settings), maxSettings)
	for _, name := range sortedKeys(c.settings) {
		path, value := "settings."+name, c.settings[name].Value
		switch {
		case !plainName(name):
			c.complain(path, "is not a name that a setting can have: %s", wantName)
		case len(value) > maxSource:
			c.complain(path, "is longer than %d bytes", maxSource)
		case !utf8.ValidString(value):
			c.complain(path, "is not valid UTF-8")
		}
	}
}

// bound complains about more things than anybody needs.
func (c *compiler) bound(path string, n, limit int) {
	if n > limit {
		c.complain(path, "has more than %d entries", limit)
	}
}

// put settles where the parts of a template stand: constants are encoded now,
// values when they come. A path is where the template stands itself.
func (c *compiler) put(path string, p place, parts []part) []part {
	for i := range parts {
		if parts[i].op != opText {
			parts[i].place = p
			continue
		}
		if parts[i].secret && c.masked {
			parts[i] = part{text: mask}
			continue
		}
		text, err := p.append(nil, parts[i].text, c.charset)
		if err != nil {
			c.complain(path, "%s", p.wants())
		}
		parts[i] = part{text: string(text)}
	}
	return merge(parts)
}

// leaf compiles a template that is all of a leaf, and says when the leaf is
// there.
func (c *compiler) leaf(path, source string, p place) ([]part, presence) {
	source, optional := cutOptional(source)
	parts := c.template(path, source)
	when := always
	if optional && len(parts) == 1 {
		switch only := parts[0]; {
		case only.op == opValue:
			when = presence(only.value)
		case only.text == "":
			when = never
		}
	}
	return c.put(path, p, parts), when
}

// presence says when something of a declaration is part of a request: always,
// never, or when the value of this index is not empty.
type presence int

const (
	always presence = -1
	never  presence = -2
)

// in reports whether what it is about is part of a request with these values.
func (p presence) in(values []string) bool { return p == always || p >= 0 && values[p] != "" }

// guard makes parts appear only then.
func (p presence) guard(parts []part) []part {
	switch p {
	case always:
		return parts
	case never:
		return nil
	}
	return slices.Concat([]part{{op: opSkip, value: int(p)}}, parts, []part{{op: opEnd}})
}

// list gathers what is separated, as the members of an object are, and may be
// there or not.
type list struct {
	parts     []part
	separator string
	sure      bool // one that is before is always there
}

// add appends an entry.
func (l *list) add(entry []part, when presence) {
	if when == never {
		return
	}
	switch {
	case l.sure:
		entry = slices.Concat([]part{{text: l.separator}}, entry)
	case len(l.parts) > 0:
		entry = slices.Concat([]part{{op: opJoin, text: l.separator}}, entry)
	}
	l.parts = append(l.parts, when.guard(entry)...)
	l.sure = l.sure || when == always
}
