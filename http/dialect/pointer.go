package dialect

import (
	"strconv"
	"strings"
)

// pointer is a compiled JSON pointer (RFC 6901) in which a * stands for every
// element of an array or member of an object.
type pointer []refToken

// refToken is one reference token of a pointer.
type refToken struct {
	name  string
	index int  // what the name is in an array; -1 when it is no index
	every bool // a *
}

// Bounds of a pointer.
const (
	maxPointer      = 1 << 10 // bytes
	maxPointerSteps = 32
)

// parsePointer returns a text that says what is wrong, "" for nothing.
func parsePointer(source string) (p pointer, wrong string) {
	switch {
	case len(source) > maxPointer:
		return nil, "is longer than a JSON pointer may be, " + strconv.Itoa(maxPointer) + " bytes"
	case source == "":
		return pointer{}, ""
	case source[0] != '/':
		return nil, "is not a JSON pointer: it must be empty or begin with /"
	}
	for text := range strings.SplitSeq(source[1:], "/") {
		s := refToken{index: -1, every: text == "*"}
		for rest := text; ; {
			before, after, found := strings.Cut(rest, "~")
			s.name += before
			if !found {
				break
			}
			switch {
			case strings.HasPrefix(after, "0"):
				s.name += "~"
			case strings.HasPrefix(after, "1"):
				s.name += "/"
			default:
				return nil, "is not a JSON pointer: ~ must be followed by 0 or 1"
			}
			rest = after[1:]
		}
		if digits(text) && (text == "0" || text != "" && text[0] != '0') {
			if n, err := strconv.Atoi(text); err == nil {
				s.index = n
			}
		}
		if p = append(p, s); len(p) > maxPointerSteps {
			return nil, "goes more than " + strconv.Itoa(maxPointerSteps) + " values deep"
		}
	}
	return p, ""
}

// all reports whether test holds of every value that the pointer stands for below
// node, and that there is one. A value that is not there is tested too, as such; a *
// where there is nothing to choose from stands for no value.
func (p pointer) all(node any, test func(value any, there bool) bool) bool {
	if len(p) == 0 {
		return test(node, true)
	}
	if p[0].every {
		return p[1:].every(node, test)
	}
	if below, there := p[0].in(node); there {
		return p[1:].all(below, test)
	}
	for _, s := range p[1:] {
		if s.every {
			return false
		}
	}
	return test(nil, false)
}

func (p pointer) every(node any, test func(value any, there bool) bool) bool {
	switch n := node.(type) {
	case []any:
		for _, element := range n {
			if !p.all(element, test) {
				return false
			}
		}
		return len(n) > 0
	case map[string]any:
		for _, member := range n {
			if !p.all(member, test) {
				return false
			}
		}
		return len(n) > 0
	}
	return false
}

func (s refToken) in(node any) (below any, there bool) {
	switch n := node.(type) {
	case map[string]any:
		below, there = n[s.name]
	case []any:
		if there = s.index >= 0 && s.index < len(n); there {
			below = n[s.index]
		}
	}
	return below, there
}
