package dialect

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// Bounds of JSON that an answer has. Its size is bounded by what is read.
const maxAnswerDepth = 64

// parseJSON reads one JSON value that is all of body. Objects are
// map[string]any, arrays []any, numbers [json.Number]; of members with one name
// the last counts. It is false for what is no JSON and for what is nested too deep.
func parseJSON(body []byte) (value any, ok bool) {
	if !shallow(body) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if d.Decode(&value) != nil {
		return nil, false
	}
	_, err := d.Token()
	return value, errors.Is(err, io.EOF)
}

// shallow reports whether nothing in a text opens more arrays and objects than
// may be open at once.
func shallow(text []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '[' || b == '{':
			if depth++; depth > maxAnswerDepth {
				return false
			}
		case b == ']' || b == '}':
			depth--
		}
	}
	return true
}

// Bounds of a value in a rule.
const (
	maxValueNodes = 1000
	maxValueText  = 4 << 10
)

var (
	errNoValue  = errors.New("is not a value that JSON has; put it in quotes to make it a string")
	errTooLarge = errors.New("is a larger value than a rule may have")
)

// constantValue turns a value of a declaration into one that equal compares with,
// its numbers in canonical form. left is how many values more there may be.
func constantValue(v any, left *int) (any, error) {
	if *left--; *left < 0 {
		return nil, errTooLarge
	}
	switch v := v.(type) {
	case nil, bool:
		return v, nil
	case string:
		if len(v) > maxValueText {
			return nil, errTooLarge
		}
		return v, nil
	case int, int64, uint64, float64, json.Number:
		text, err := json.Marshal(v)
		if err != nil || len(text) > maxValueText {
			return nil, errNoValue
		}
		return canonical(json.Number(text)), nil
	case []any:
		elements := []any{}
		for _, e := range v {
			element, err := constantValue(e, left)
			if err != nil {
				return nil, err
			}
			elements = append(elements, element)
		}
		return elements, nil
	case map[string]any:
		members := map[string]any{}
		for name, m := range v {
			member, err := constantValue(m, left)
			if err != nil {
				return nil, err
			}
			members[name] = member
		}
		return members, nil
	}
	return nil, errNoValue
}

// equal compares a value of an answer with one of constantValue. Kinds are never
// converted: "0" is not 0.
func equal(got, want any) bool {
	switch want := want.(type) {
	case json.Number:
		n, ok := got.(json.Number)
		return ok && canonical(n) == want
	case []any:
		elements, ok := got.([]any)
		if !ok || len(elements) != len(want) {
			return false
		}
		for i, e := range elements {
			if !equal(e, want[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		members, ok := got.(map[string]any)
		if !ok || len(members) != len(want) {
			return false
		}
		for name, w := range want {
			if m, there := members[name]; !there || !equal(m, w) {
				return false
			}
		}
		return true
	}
	switch got.(type) {
	case nil, bool, string:
		return got == want
	}
	return false
}

// canonical gives all ways to write a number one form: its digits without zeros at
// either end, and a power of ten. It works on the text, since a float64 makes one of
// ids that differ.
func canonical(n json.Number) json.Number {
	text, sign := string(n), ""
	if rest, negative := strings.CutPrefix(text, "-"); negative {
		text, sign = rest, "-"
	}
	mantissa, power, scale := text, "", 0
	if e := strings.IndexAny(text, "eE"); e >= 0 {
		mantissa, power = text[:e], text[e+1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	figures := strings.TrimLeft(whole+fraction, "0")
	if figures == "" {
		return "0"
	}
	if power != "" {
		var err error
		if scale, err = strconv.Atoi(power); err != nil || scale > 1<<30 || scale < -1<<30 {
			return n // further from 1 than any number that is meant
		}
	}
	scale += len(figures) - len(fraction)
	figures = strings.TrimRight(figures, "0")
	return json.Number(sign + figures + "e" + strconv.Itoa(scale-len(figures)))
}
