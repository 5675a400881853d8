package main

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// payload is the payload of one event. It is read as JSON when the first route
// needs that, and once.
type payload struct {
	raw  string
	read bool
	tree map[string]any // numbers are jsontext.Value, as they stand; nil when it is no JSON object
}

// exactNumbers keeps numbers as they are written: an id may be longer than what a
// float64 holds.
var exactNumbers = json.WithUnmarshalers(json.UnmarshalFromFunc(func(d *jsontext.Decoder, v *any) error {
	if d.PeekKind() != '0' {
		return errors.ErrUnsupported
	}
	number, err := d.ReadValue()
	*v = number.Clone()
	return err
}))

// fields returns the JSON object that the payload is, nil when it is none. What has
// a name twice is none: nobody can say which of the values was meant.
func (p *payload) fields() map[string]any {
	if !p.read {
		p.read = true
		if strings.HasPrefix(strings.TrimLeft(p.raw, " \t\r\n"), "{") {
			var tree map[string]any // so that p need not be on the heap
			if err := json.Unmarshal([]byte(p.raw), &tree, exactNumbers); err == nil {
				p.tree = tree
			}
		}
	}
	return p.tree
}

// lookUp returns what stands at a path, one name or index after the other.
func lookUp(tree map[string]any, path []string) (value any, found bool) {
	value = tree
	for _, step := range path {
		switch v := value.(type) {
		case map[string]any:
			value, found = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			found = err == nil && i >= 0 && i < len(v) && strconv.Itoa(i) == step
			if found {
				value = v[i]
			}
		default:
			found = false
		}
		if !found {
			return nil, false
		}
	}
	return value, true
}

// text is what stands at a path as text: a string as it is, a number as it was
// written, true or false; what is absent or null is "", and what has parts is
// their JSON.
func (p *payload) text(path []string) string {
	switch v, _ := lookUp(p.fields(), path); v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case jsontext.Value:
		return string(v)
	case bool:
		return strconv.FormatBool(v)
	default:
		b, _ := json.Marshal(v, json.Deterministic(true)) // it was read from JSON
		return string(b)
	}
}

// condition says what must stand at a place of a payload.
type condition struct {
	path  []string
	want  any            // a number as JSON text in a jsontext.Value, or a bool
	match *regexp.Regexp // instead: for a string
}

func newConditions(declared map[string]any) []condition {
	conditions := make([]condition, 0, len(declared))
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for _, pointer := range slices.Sorted(maps.Keys(declared)) {
		c := condition{path: strings.Split(pointer, "/")[1:]}
		for i, step := range c.path {
			c.path[i] = unescape.Replace(step)
		}
		switch v := declared[pointer].(type) {
		case string:
			c.match = pattern(v)
		case bool:
			c.want = v
		default:
			number, _ := json.Marshal(v) // of a number
			c.want = jsontext.Value(number)
		}
		conditions = append(conditions, c)
	}
	return conditions
}

func (c *condition) holds(tree map[string]any) bool {
	switch v, _ := lookUp(tree, c.path); v := v.(type) {
	case string:
		return c.match != nil && c.match.MatchString(v)
	case bool:
		return c.match == nil && c.want == any(v)
	case jsontext.Value:
		want, ok := c.want.(jsontext.Value)
		return ok && sameNumber(string(v), string(want))
	}
	return false
}

// sameNumber compares by value. Whole numbers are compared digit by digit, since
// a float64 takes neighbours for the same.
func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	whole := func(s string) bool { return !strings.ContainsAny(s, ".eE") }
	if whole(a) && whole(b) {
		return false
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && x == y
}
