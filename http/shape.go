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
	optional bool                                            // whether fields may be missing
	array    int                                             // how many objects an array may hold; 0 means no array
	check    func(field, value string) (code, detail string) // judges a value of the right kind; nil means that any will do
}

type field struct {
	name string
	kind kind
}

// kind is what the value of a field has to be, in words.
type kind string

const (
	aString  kind = "a string"
	aNumber  kind = "a number"
	aBoolean kind = "true or false"
)

func (k kind) holds(found jsontext.Kind) bool {
	switch k {
	case aString:
		return found == '"'
	case aNumber:
		return found == '0'
	}
	return found == 't' || found == 'f'
}

func eventShape() shape {
	return shape{fields: []field{{"event_type", aString}, {"event_payload", aString}}, array: data.MaxEvents}
}

func messageShape(declared func(name string) bool) shape {
	return shape{fields: []field{{"message", aString}, {"gateway", aString}}, check: func(field, value string) (code, detail string) {
		if field == "gateway" && !declared(value) {
			return codeUnknownGateway, "No gateway of this name is declared."
		}
		return "", ""
	}}
}

func resendShape() shape {
	return shape{optional: true, check: checkResend, fields: []field{
		{"gateway", aString}, {"state", aString}, {"cause", aString}, {"after", aString}, {"limit", aNumber}, {"dry_run", aBoolean},
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
