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
	about   Description
	target  target
	headers []field
	body    []part
	charset *charset     // of the body
	uses    int32        // how often the body has the message in it
	fixed   int32        // bytes of the body that are constant, as far as they can be sent
	used    uint32       // the bits of the values that templates have in them
	guarded bool         // see [Dialect.Guarded]
	wants   *wants       // nil for nothing
	auth    *credentials // nil when nothing is made of each request

	judging *judging // nil for what goes without saying
	masker  masker

	identity *Identity // nil for none
}

// wants is what a dialect asks of messages beyond a text. It is apart from the
// dialect because there may be very many that ask nothing.
type wants struct {
	params  []string // parameters, whose values follow those that have a name of their own
	needs   []int    // values that no message may lack
	lengths []length // of values
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
	c := newCompiler(declaration)
	c.checkSettings()
	d := c.dialect(declaration)
	if len(c.complaints) == 0 {
		c.try(d)
	}
	if len(c.complaints) > 0 {
		return nil, errors.Join(c.complaints...)
	}
	return d, nil
}

// dialect compiles a declaration. Of what there are complaints about nothing
// may be used.
func (c *compiler) dialect(declaration Declaration) *Dialect {
	d := &Dialect{about: declaration.Describe(), guarded: declaration.Guarded}
	c.method(d.about.Method)
	d.auth = c.auth(declaration.Auth)
	d.target = c.target(declaration.URL, declaration.URLSecret)
	c.query(&d.target, declaration.Query)
	d.body = c.body(declaration.Body, d.about.Method)
	d.charset = c.charset
	d.headers = c.headers(declaration.Headers, d.kind())
	if c.signs && !c.signed {
		c.complain("auth.signature", "is used nowhere: there is no {{signature}} in query, headers or body")
	}
	w := wants{needs: c.needs(declaration.Needs), lengths: c.lengths(declaration.Length)}
	w.params = c.params
	if len(w.params)+len(w.needs)+len(w.lengths) > 0 {
		d.wants = &w
	}
	d.judging = c.judging(declaration)
	d.identity = c.identity(declaration.TLS, d.target.secure)
	d.masker = c.masker(declaration)
	for _, p := range d.body {
		d.fixed = int32(min(int(d.fixed)+len(p.text), maxOutput))
		if p.op == opValue && p.value == nameMessage {
			d.uses++
		}
	}
	d.used = c.used
	return d
}

// Guarded reports whether its requests may go to public addresses alone.
func (d *Dialect) Guarded() bool { return d.guarded }

func (d *Dialect) kind() Kind { return Kind(d.about.Body) }

// params returns the parameters that the dialect has a place for.
func (d *Dialect) params() []string {
	if d.wants == nil {
		return nil
	}
	return d.wants.params
}

// compiler gathers the complaints about one declaration, and what of it the
// templates use.
type compiler struct {
	settings   map[string]Setting
	masked     bool              // secrets are written as ***
	secrets    map[string]bool   // names of headers and query fields
	signs      bool              // there is a signature to name
	signed     bool              // and it was named
	taken      map[string]string // headers that are set already, and by what
	extra      []field           // such headers, as far as they are constant
	asks       []field           // what auth adds to the query
	complaints []error
	charset    *charset // of the body
	nodes      int      // of the body's tree, so far
	used       uint32   // bits of values
	params     []string
	hidden     []string // what must not be shown of answers
}

func newCompiler(d Declaration) *compiler {
	c := &compiler{settings: d.Settings, taken: make(map[string]string), secrets: make(map[string]bool)}
	for _, name := range d.Secrets {
		c.secrets[name] = true
	}
	return c
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

func (c *compiler) method(method string) {
	switch method {
	case "GET", "POST", "PUT", "PATCH":
	default:
		c.complain("method", "must be GET, POST, PUT or PATCH")
	}
}

// sortedKeys gives maps one order, so that a message is rendered to the same
// bytes each time.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
