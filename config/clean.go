package config

import (
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// secondsKey is the one duration that may be a bare number.
const secondsKey = "propagator.interval"

// clean turns v, which was read for a key of type t, into what decoding takes
// without complaint. Everything in it that does not fit is reported and left
// out: decoding by itself would stop at the first misfit of a section, and name
// Go types. ok is false when nothing is left.
func (r *report) clean(path string, v any, t reflect.Type) (clean any, ok bool) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if v == nil {
		r.reject(path, "expected %s, not an empty value", expected(path, t))
		return nil, false
	}
	var err error
	switch {
	case t == reflect.TypeFor[Text]():
		clean, err = r.toText(v)
	case t == reflect.TypeFor[netip.Prefix]():
		clean, err = toNetwork(v)
	case t == reflect.TypeFor[Key]():
		return r.cleanKey(path, v)
	case t == reflect.TypeFor[time.Duration]():
		clean, err = toDuration(v, path == secondsKey)
	case t == reflect.TypeFor[Size]():
		clean, err = toSize(v)
	case t == reflect.TypeFor[Status]():
		clean, err = toStatus(v)
	case t == reflect.TypeFor[Rule]():
		return r.cleanRule(path, v)
	case t == reflect.TypeFor[[]Length]() && isMap(v):
		return r.clean(path, []any{v}, t)
	case t.Kind() == reflect.Struct:
		return r.cleanSection(path, v, t)
	case t.Kind() == reflect.Map:
		return r.cleanMap(path, v, t)
	case t.Kind() == reflect.Slice:
		return r.cleanList(path, v, t)
	case t.Kind() == reflect.Interface:
		return v, r.cleanTree(path, v)
	default:
		clean, err = toScalar(v, t.Kind())
	}
	if err != nil {
		r.reject(path, "%s", err)
		return nil, false
	}
	return clean, true
}

func isMap(v any) bool {
	_, is := v.(map[string]any)
	return is
}

func (r *report) cleanSection(path string, v any, t reflect.Type) (any, bool) {
	m, ok := v.(map[string]any)
	if !ok {
		r.reject(path, "expected %s", expected(path, t))
		return nil, false
	}
	types := map[string]reflect.Type{}
	for f := range t.Fields() {
		types[keyOf(f)] = f.Type
	}
	section := make(map[string]any, len(m))
	for key, v := range m {
		at := join(path, key)
		fieldType, known := types[key]
		if !known {
			r.reject(at, UnknownKey)
			continue
		}
		if c, ok := r.clean(at, v, fieldType); ok {
			section[key] = c
		}
	}
	return section, true
}

func (r *report) cleanMap(path string, v any, t reflect.Type) (any, bool) {
	m, ok := v.(map[string]any)
	if !ok {
		r.reject(path, "expected %s", expected(path, t))
		return nil, false
	}
	named := make(map[string]any, len(m))
	for name, v := range m {
		if v == nil && t.Elem() == reflect.TypeFor[Gateway]() {
			v = map[string]any{}
		}
		if c, ok := r.clean(join(path, name), v, t.Elem()); ok {
			named[name] = c
		}
	}
	return named, true
}

// cleanList keeps the place of an item that does not fit, so that the others
// keep their index.
func (r *report) cleanList(path string, v any, t reflect.Type) (any, bool) {
	items, ok := v.([]any)
	if !ok {
		r.reject(path, "expected %s", expected(path, t))
		return nil, false
	}
	list := make([]any, len(items))
	for i, item := range items {
		list[i], _ = r.clean(index(path, i), item, t.Elem())
	}
	return list, true
}

// cleanTree checks that v, a JSON body, has a form in JSON.
func (r *report) cleanTree(path string, v any) bool {
	fits := true
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			fits = r.cleanTree(join(path, key), item) && fits
		}
	case []any:
		for i, item := range v {
			fits = r.cleanTree(index(path, i), item) && fits
		}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			r.reject(path, "expected a number that JSON can hold")
			return false
		}
	}
	return fits
}

// toText reads a Text. Who declares something over the API must not get to see what
// this machine has in its files and its environment.
func (r *report) toText(v any) (any, error) {
	if !r.plain {
		return toSource(v)
	}
	if text, ok := v.(string); ok {
		return source{Plain: text}, nil
	}
	return nil, problem("expected text (a number in quotes); over the API a secret is written as it is, and neither {env: NAME} nor {file: PATH} is taken")
}

// toNetwork reads a network in the one form that is compared with addresses.
func toNetwork(v any) (any, error) {
	switch v := v.(type) {
	case netip.Prefix:
		return v, nil
	case string:
		if p, err := netip.ParsePrefix(v); err == nil && p == p.Masked() && !p.Addr().Is4In6() {
			return p, nil
		}
	}
	return nil, problem("expected " + aNetwork)
}

func toSource(v any) (any, error) {
	switch v := v.(type) {
	case string:
		return source{Plain: v}, nil
	case map[string]any:
		env, _ := v["env"].(string)
		file, _ := v["file"].(string)
		if len(v) == 1 && env != "" {
			return source{Env: env}, nil
		}
		if len(v) == 1 && file != "" {
			return source{File: file}, nil
		}
	}
	return nil, problem("expected text (a number in quotes), {env: NAME} or {file: PATH}")
}

func toDuration(v any, bareSeconds bool) (any, error) {
	number, isNumber := toFloat(v)
	if isNumber && bareSeconds && math.Abs(number) < math.MaxInt64/float64(time.Second) {
		return time.Duration(number * float64(time.Second)), nil
	}
	if isNumber {
		return nil, problem(`expected a duration with its unit, such as "60s", not a bare number`)
	}
	switch v := v.(type) {
	case time.Duration:
		return v, nil
	case string:
		if d, err := time.ParseDuration(v); err == nil {
			return d, nil
		}
	}
	return nil, problem("expected " + aDuration)
}

func toSize(v any) (any, error) {
	switch v := v.(type) {
	case Size:
		return v, nil
	case int:
		return Size(v), nil
	case string:
		return ParseSize(v)
	}
	return nil, errNotSize
}

// toScalar converts text as well, because the environment and the command line
// know nothing else.
func toScalar(v any, kind reflect.Kind) (any, error) {
	text, isText := v.(string)
	switch kind {
	case reflect.String:
		if isText {
			return text, nil
		}
	case reflect.Bool:
		if b, err := strconv.ParseBool(text); err == nil {
			return b, nil
		}
		if b, ok := v.(bool); ok {
			return b, nil
		}
	case reflect.Int:
		if n, err := strconv.Atoi(text); err == nil {
			return n, nil
		}
		if n, ok := v.(int); ok {
			return n, nil
		}
	case reflect.Float64:
		if f, ok := toFloat(v); ok && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f, nil
		}
	}
	return nil, problem("expected " + expectedScalar(kind))
}

func toFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil && !strings.ContainsAny(v, "xX_nN")
	}
	return 0, false
}

const aNetwork = "a network such as 10.20.0.0/16 or fd00::/8, all bits behind its length zero"

const aDuration = `a duration such as "60s", "5m" or "24h"`

func expected(path string, t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Text]():
		return "text"
	case t == reflect.TypeFor[Size]():
		return "a size"
	case t == reflect.TypeFor[time.Duration]():
		return aDuration
	case t == reflect.TypeFor[netip.Prefix]():
		return aNetwork
	case t.Kind() == reflect.Struct:
		return "keys with their values"
	case t.Kind() == reflect.Map:
		return "names with their values (" + path + ": {} for none)"
	case t.Kind() == reflect.Slice:
		return "a list ([] for none)"
	}
	return expectedScalar(t.Kind())
}

func expectedScalar(kind reflect.Kind) string {
	switch kind {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.String:
		return `text (a number in quotes, empty as "")`
	}
	return "a value"
}

// keyOf returns the key of a field.
func keyOf(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return key
}
