package dialect

// Declaration says how a gateway wants its requests. Its texts are templates
// where the fields say so.
type Declaration struct {
	Settings  map[string]Setting // constants, {{settings.NAME}} in templates
	Method    string             // GET, POST, PUT or PATCH; "" means POST
	URL       string             // http or https; templates in path segments and query values, settings also before
	URLSecret bool               // the URL is a secret: of it only scheme and host may be shown
	Query     map[string]string  // names are constant, values are templates; follows the query of URL
	Headers   map[string]string  // names are constant, values are templates
	Auth      Auth
	TLS       TLS      // beyond the usual
	Secrets   []string // names of headers and Query fields whose constants are secrets, as the maps have them
	Body      Body     // none of its fields set means {"message": "{{message}}"}, and for GET no body
	Needs     []string // the fields that no message may lack: message, to, title, params.NAME
	Length    []Length // how long fields may be; a message is split after the other rules

	// How answers are read: see [Dialect.Judge].
	Success    Success
	Permanent  Permanent
	Throttle   Throttle
	KeepAnswer bool // the beginning of what is answered may be kept and shown, secrets masked

	// Guarded says that whoever declared it may not choose any address: what sends
	// its requests, those for tokens too, connects to public ones alone.
	Guarded bool
}

// Body is the body of a request: at most one of its fields is set, beside the
// charset.
type Body struct {
	JSON any               // a tree of map[string]any, []any and scalars; its strings are templates
	Form map[string]string // names are constant, values are templates
	XML  any               // a tree of map[string]any, []any and scalars with one root; its strings are templates
	Text *string           // a template
	None bool              // there is no body

	Charset string // of Form, XML and Text, by any of its names; "" means UTF-8
}

// Kind says what a body is made as.
type Kind string

// The kinds of body.
const (
	KindNone Kind = "none"
	KindJSON Kind = "json"
	KindForm Kind = "form"
	KindXML  Kind = "xml"
	KindText Kind = "text"
)

// kind is what the body will be, given the request's method.
func (b Body) kind(method string) Kind {
	switch {
	case b.None:
		return KindNone
	case b.JSON != nil:
		return KindJSON
	case b.Form != nil:
		return KindForm
	case b.XML != nil:
		return KindXML
	case b.Text != nil:
		return KindText
	case method == "GET":
		return KindNone
	}
	return KindJSON
}

// given counts the fields that are set.
func (b Body) given() int {
	n := 0
	for _, set := range []bool{b.JSON != nil, b.Form != nil, b.XML != nil, b.Text != nil, b.None} {
		if set {
			n++
		}
	}
	return n
}

// Complaint is one mistake in a declaration. Its text never quotes a value,
// since a value may be a secret.
type Complaint struct {
	Path string // where, relative to the declaration: url, headers.X-A, body.json.a[0]
	Text string // what is wrong
}

// Error returns path and text.
func (c *Complaint) Error() string { return c.Path + ": " + c.Text }
