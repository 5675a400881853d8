package httpapi

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/postrider/postrider/data"
)

// shape is what a body has to look like: an object with these fields and no
// others, or an array of such objects.
type shape struct {
	fields   []field
	optional bool                                            // whether all fields may be missing
	array    int                                             // how many objects an array may hold; 0 means no array
	check    func(field, value string) (code, detail string) // judges a value of the right kind; nil means that any will do
}

type field struct {
	name     string
	kind     kind
	optional bool
}

// kind is what the value of a field has to be, in words.
type kind string

const (
	aString  kind = "a string"
	aNumber  kind = "a number"
	aBoolean kind = "true or false"
	aMap     kind = "an object whose values are strings"
)

func (k kind) holds(found jsontext.Kind) bool {
	switch k {
	case aString:
		return found == '"'
	case aNumber:
		return found == '0'
	case aMap:
		return found == '{'
	}
	return found == 't' || found == 'f'
}

func eventShape() shape {
	return shape{fields: []field{{name: "event_type", kind: aString}, {name: "event_payload", kind: aString}}, array: data.MaxEvents}
}

func messageShape(declared func(name string) bool) shape {
	fields := []field{
		{name: "message", kind: aString},
		{name: "gateway", kind: aString},
		{name: "to", kind: aString, optional: true},
		{name: "title", kind: aString, optional: true},
		{name: "params", kind: aMap, optional: true},
		{name: "expires_in", kind: aString, optional: true},
	}
	return shape{fields: fields, check: func(field, value string) (code, detail string) {
		switch field {
		case "gateway":
			if !declared(value) {
				return codeUnknownGateway, "No gateway of this name is declared."
			}
		case "expires_in":
			if _, ok := parseExpiry(value); !ok {
				return codeInvalid, "The value must be a duration such as 90s, 10m or 24h, longer than 0s and at most 720h."
			}
		}
		return "", ""
	}}
}

func trialShape() shape {
	return shape{fields: []field{
		{name: "message", kind: aString},
		{name: "to", kind: aString, optional: true},
		{name: "title", kind: aString, optional: true},
		{name: "params", kind: aMap, optional: true},
	}}
}

func resendShape() shape {
	return shape{optional: true, check: checkResend, fields: []field{
		{name: "gateway", kind: aString},
		{name: "state", kind: aString},
		{name: "cause", kind: aString},
		{name: "after", kind: aString},
		{name: "limit", kind: aNumber},
		{name: "dry_run", kind: aBoolean},
	}}
}

func checkResend(field, value string) (code, detail string) {
	fits := true
	switch field {
	case "gateway":
		fits, detail = MayName(value), wantName
	case "state":
		state, _ := data.ParseState(value)
		fits, detail = value == stateDead || slices.Contains(data.DeadStates(), state), "The value must be failed, unknown, expired, or dead for all three."
	case "cause":
		_, fits = data.ParseCause(value)
		detail = wantCause()
	case "limit":
		n, err := strconv.Atoi(value)
		fits, detail = err == nil && n >= 1 && n <= data.MaxResend, "The value must be a whole number from 1 to "+strconv.Itoa(data.MaxResend)+"."
	}
	if fits {
		return "", ""
	}
	return codeInvalid, detail
}

// list names the fields for people.
func (s shape) list() string {
	names := make([]string, len(s.fields))
	for i, f := range s.fields {
		names[i] = f.name
	}
	return enumerate(names, "and")
}

// names says which fields an object has.
func (s shape) names() string {
	if s.optional {
		return "any of the fields " + s.list()
	}
	return "the fields " + s.list()
}

// enumerate makes "a, b and c" of words.
func enumerate(words []string, last string) string {
	n := len(words) - 1
	return strings.Join(words[:n], ", ") + " " + last + " " + words[n]
}
