package dialect

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Declaration says how a gateway wants its requests. Its texts are templates
// where the fields say so.
type Declaration struct {
	Method    string            // GET, POST, PUT or PATCH; "" means POST
	URL       string            // http or https; templates in path segments and query values only
	URLSecret bool              // the URL is a secret: of it only scheme and host may be shown
	Headers   map[string]string // names are constant, values are templates
	Body      Body              // none of its fields set means {"message": "{{message}}"}, and for GET no body
	Permanent []int             // statuses, 300 to 599, after which no attempt would go better
}

// Body is the body of a request: at most one of its fields is set.
type Body struct {
	JSON any               // a tree of map[string]any, []any and scalars; its strings are templates
	Form map[string]string // names are constant, values are templates
	Text *string           // a template
}

// Kind says what a body is made as.
type Kind string

// The kinds of body.
const (
	KindNone Kind = "none"
	KindJSON Kind = "json"
	KindForm Kind = "form"
	KindText Kind = "text"
)

// Complaint is one mistake in a declaration. Its text never quotes a value,
// since a value may be a secret.
type Complaint struct {
	Path string // where, relative to the declaration: url, headers.X-A, body.json.a[0]
	Text string // what is wrong
}

// Error returns path and text.
func (c *Complaint) Error() string { return c.Path + ": " + c.Text }

// Dialect is a compiled [Declaration]. It does not change, so any number of
// goroutines may use it at once.
type Dialect struct {
	method    string
	target    target
	headers   []header
	kind      Kind
	body      []part
	uses      int   // how often the body has the message in it
	fixed     int   // bytes of the body that are constant
	permanent []int // statuses
	about     Description
}

// header is a request header with its value's template.
type header struct {
	name  string
	value []part
}

// Compile checks a declaration and makes a dialect of it. The error joins a
// [Complaint] for each mistake. Nothing of the declaration is kept.
func Compile(declaration Declaration) (*Dialect, error) {
	c := &compiler{}
	d := &Dialect{about: declaration.Describe()}
	d.method = c.method(declaration.Method)
	d.kind = Kind(d.about.Body)
	var authorization string
	d.target, authorization = c.target(declaration.URL)
	d.body = c.body(declaration.Body, d.method)
	d.headers = c.headers(declaration.Headers, authorization, d.kind)
	d.permanent = c.permanent(declaration.Permanent)
	for _, p := range d.body {
		d.fixed += len(p.text)
		if p.value == nameMessage {
			d.uses++
		}
	}
	if len(c.complaints) == 0 {
		c.try(d)
	}
	if len(c.complaints) > 0 {
		return nil, errors.Join(c.complaints...)
	}
	return d, nil
}

// compiler gathers the complaints about one declaration.
type compiler struct {
	complaints []error
	nodes      int // of the JSON tree, so far
}

func (c *compiler) complain(path, format string, args ...any) {
	c.complaints = append(c.complaints, &Complaint{Path: path, Text: fmt.Sprintf(format, args...)})
}

// template reads one template of the declaration.
func (c *compiler) template(path, source string) []part {
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
