package dialect

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Dialect is a compiled [Declaration]. It does not change, so any number of
// goroutines may use it at once.
type Dialect struct {
	method    string
	target    target
	headers   []field
	kind      Kind
	body      []part
	charset   *charset     // of the body
	uses      int          // how often the body has the message in it
	fixed     int          // bytes of the body that are constant
	auth      *credentials // nil when nothing is made of each request
	permanent []int        // statuses
	about     Description

	needs   []int    // values that no message may lack
	lengths []length // of values

	used   [nameCount]bool // which values the templates have in them
	params []string        // and which parameters, whose values follow those
}

// field is a header or a field of the query with its value's template.
type field struct {
	name  string // as it is sent
	value []part
	when  presence
}

// Compile checks a declaration and makes a dialect of it. The error joins a
// [Complaint] for each mistake. Nothing of the declaration is kept.
func Compile(declaration Declaration) (*Dialect, error) {
	c := &compiler{settings: declaration.Settings, taken: make(map[string]string)}
	c.checkSettings()
	d := &Dialect{about: declaration.Describe()}
	d.method = c.method(declaration.Method)
	d.kind = Kind(d.about.Body)
	d.auth = c.auth(declaration.Auth)
	d.target = c.target(declaration.URL)
	c.query(&d.target, declaration.Query)
	d.body = c.body(declaration.Body, d.method)
	d.charset = c.charset
	d.headers = c.headers(declaration.Headers, d.kind)
	if c.signs && !c.used[nameSignature] {
		c.complain("auth.signature", "is used nowhere: there is no {{signature}} in query, headers or body")
	}
	d.needs = c.needs(declaration.Needs)
	d.lengths = c.lengths(declaration.Length)
	d.permanent = c.permanent(declaration.Permanent)
	for _, p := range d.body {
		d.fixed += len(p.text)
		if p.op == opValue && p.value == nameMessage {
			d.uses++
		}
	}
	d.used, d.params = c.used, c.params
	if len(c.complaints) == 0 {
		c.try(d)
	}
	if len(c.complaints) > 0 {
		return nil, errors.Join(c.complaints...)
	}
	return d, nil
}

// compiler gathers the complaints about one declaration, and what of it the
// templates use.
type compiler struct {
	settings   map[string]Setting
	signs      bool              // there is a signature to name
	taken      map[string]string // headers that are set already, and by what
	extra      []field           // such headers, as far as they are constant
	asks       []field           // what auth adds to the query
	complaints []error
	charset    *charset // of the body
	nodes      int      // of the body's tree, so far
	used       [nameCount]bool
	params     []string
}

func (c *compiler) complain(path, format string, args ...any) {
	c.complaints = append(c.complaints, &Complaint{Path: path, Text: fmt.Sprintf(format, args...)})
}

// template reads one template of the declaration.
func (c *compiler) template(path, source string) []part { return c.parse(path, source, c.everything) }

func (c *compiler) parse(path, source string, names scope) []part {
	parts, mistakes := parse(source, names)
	for _, m := range mistakes {
		c.complain(path, "%s", m)
	}
	return parts
}

func (c *compiler) method(method string) string {
	switch method {
	case "":
		return "POST"
	case "GET", "POST", "PUT", "PATCH":
	default:
		c.complain("method", "must be GET, POST, PUT or PATCH")
	}
	return method
}

func (c *compiler) permanent(statuses []int) []int {
	for i, status := range statuses {
		if status < 300 || status > 599 {
			c.complain(fmt.Sprintf("permanent.status[%d]", i), "must be an HTTP status, 300 to 599")
		}
	}
	return slices.Clone(statuses)
}

// sortedKeys gives maps one order, so that a message is rendered to the same
// bytes each time.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
