package httpapi

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/data"
)

// How many entries a page has.
const (
	defaultLimit = 50
	maxLimit     = 1000
)

const codeInvalid = "invalid"

// query holds the parameters of a request, copied, and what is wrong with them.
// An empty parameter is one that was not given.
type query struct {
	values   map[string]string
	findings []finding
}

// parameters reads the query. Every known parameter may be given once.
func parameters(c *fiber.Ctx, known ...string) (*query, error) {
	q := &query{values: make(map[string]string, len(known))}
	strange, given := false, make([]int, len(known))
	for name, value := range c.Context().QueryArgs().All() {
		i := slices.Index(known, string(name))
		if i < 0 {
			strange = true
			continue
		}
		if given[i]++; given[i] == 2 {
			q.note(known[i], "repeated", "The parameter may be given once.")
		}
		q.values[known[i]] = string(value)
	}
	switch {
	case strange && len(known) == 0:
		q.note("", "unknown_parameter", "There is a parameter, and this takes none.")
	case strange:
		q.note("", "unknown_parameter", "There is a parameter other than "+strings.Join(known, ", ")+".")
	}
	return q, q.err()
}

func (q *query) note(name, code, detail string) {
	q.findings = append(q.findings, finding{Parameter: name, Code: code, Detail: detail})
}

// err returns everything that was wrong so far.
func (q *query) err() error {
	if len(q.findings) == 0 {
		return nil
	}
	return &rejection{kind: errParameter, findings: q.findings}
}

func (q *query) text(name string) string {
	value := q.values[name]
	if !utf8.ValidString(value) {
		q.note(name, codeInvalid, "The value must be UTF-8.")
	}
	return value
}

// limit returns how many entries a page may have.
func (q *query) limit() int {
	value := q.values["limit"]
	if value == "" {
		return defaultLimit
	}
	n := 0
	for _, digit := range []byte(value) {
		if digit < '0' || digit > '9' || n > maxLimit {
			n = 0
			break
		}
		n = n*10 + int(digit-'0')
	}
	if n < 1 || n > maxLimit {
		q.note("limit", codeInvalid, "The value must be a number from 1 to 1000.")
		return defaultLimit
	}
	return n
}

func (q *query) eventCursor() data.ID {
	value := q.values["after"]
	if value == "" {
		return 0
	}
	id, err := parsePosition(value)
	if err != nil {
		q.note("after", codeInvalid, "The value must be the id of an event, or a next of this list.")
	}
	return id
}

// parsePosition reads the id of the event that somebody goes on behind. Zero, which is
// the id of none, stands for the place before the first.
func parsePosition(text string) (data.ID, error) {
	if text == data.ID(0).String() {
		return 0, nil
	}
	return data.ParseID(text)
}

func (q *query) states() []data.State {
	value := q.values["state"]
	if value == "" {
		return nil
	}
	if value == stateDead {
		return data.DeadStates()
	}
	state, ok := data.ParseState(value)
	if !ok {
		q.note("state", codeInvalid, "The value must be queued, sending, waiting, delivered, failed, unknown, expired or cancelled, or dead for failed, unknown and expired.")
	}
	return []data.State{state}
}

func (q *query) cause() data.Cause {
	value := q.values["cause"]
	if value == "" {
		return data.CauseNone
	}
	cause, ok := data.ParseCause(value)
	if !ok {
		q.note("cause", codeInvalid, wantCause())
	}
	return cause
}

// time returns a point in time, zero for none.
func (q *query) time(name string) time.Time {
	value := q.values[name]
	if value == "" {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		q.note(name, codeInvalid, "The value must be a time as in RFC 3339, such as 2026-01-31T12:00:00Z; a + in it is written %2B.")
	}
	return at
}

// gateway returns a name that a gateway may have; there need not be one, since
// messages outlive a declaration.
func (q *query) gateway(name string) string {
	value := q.values[name]
	if value != "" && !MayName(value) {
		q.note(name, codeInvalid, wantName)
	}
	return value
}

// stateDead is the word for all states of dead letters.
const stateDead = "dead"

const wantName = "The value must be the name of a gateway, 1 to 64 of a-z, 0-9, _ and -."

// MayName reports whether a gateway may have the name.
func MayName(name string) bool {
	return name != "" && len(name) <= 64 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

func wantCause() string {
	words := make([]string, 0, len(data.Causes()))
	for _, cause := range data.Causes() {
		words = append(words, string(cause))
	}
	return "The value must be " + enumerate(words, "or") + "."
}
