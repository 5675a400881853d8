package config

import (
	"net/http"
	"net/url"
	"time"
)

// Gateway is an outside HTTP API as the configuration declares it. Every field
// is optional; a nil pointer takes the value of [Delivery].
type Gateway struct {
	// Preset is the dialect that the gateway starts from: what it says itself is
	// laid over that, and the other fields have what comes out. Default none.
	Preset string `yaml:"preset,omitempty"`
	// Settings are constants for templates, {{settings.NAME}}.
	Settings map[string]Text `yaml:"settings,omitempty"`
	// URL to send to; default empty, Delivery.BaseURL followed by the name.
	URL Text `yaml:"url,omitempty"`
	// Method of the request: GET, POST, PUT or PATCH; default POST.
	Method string `yaml:"method,omitempty"`
	// Query is added to that of the URL; a value whose name tells of a secret prints
	// masked.
	Query map[string]Text `yaml:"query,omitempty"`
	// Headers of the request; a value whose name tells of a secret prints masked.
	Headers map[string]Text `yaml:"headers,omitempty"`
	// Auth is how requests show who sends them; default not at all.
	Auth *Auth `yaml:"auth,omitempty"`
	// TLS is how connections are secured beyond the usual; default nothing.
	TLS *TLS `yaml:"tls,omitempty"`
	// Body of the request; default the JSON object {"message": "{{message}}"}, and
	// none for GET.
	Body *Body `yaml:"body,omitempty"`
	// MaxAttempts per message, 1 to 100.
	MaxAttempts *int `yaml:"max_attempts,omitempty"`
	// Interval is the least time between two attempts, at least 60s unless
	// Delivery.AllowShortInterval.
	Interval *time.Duration `yaml:"interval,omitempty"`
	// Timeout of one attempt.
	Timeout *time.Duration `yaml:"timeout,omitempty"`
	// Concurrency is the number of attempts in flight, 1 to 1024.
	Concurrency *int `yaml:"concurrency,omitempty"`
	// Rate is how many attempts may begin per second, 0.001 to 100,000; 0 is no
	// limit.
	Rate *float64 `yaml:"rate,omitempty"`
	// MaxQueue is the number of unfinished messages above which new ones are
	// refused; 0 is no limit.
	MaxQueue *int `yaml:"max_queue,omitempty"`
	// MaxHint is the longest wait the gateway can ask for.
	MaxHint *time.Duration `yaml:"max_hint,omitempty"`
	// HoldAfter is the number of attempts in a row without a connection after
	// which the gateway is held; 0 is never.
	HoldAfter *int `yaml:"hold_after,omitempty"`
	// Success says which answers mean that the gateway took a message; default any
	// 2xx.
	Success Success `yaml:"success,omitempty"`
	// Permanent names the answers that end a message at once; default none.
	Permanent Permanent `yaml:"permanent,omitempty"`
	// Throttle says which answers ask to wait; default 429 and 503 with Retry-After.
	Throttle Throttle `yaml:"throttle,omitempty"`
	// Length bounds fields of messages; default nothing.
	Length []Length `yaml:"length,omitempty"`
	// Needs are the fields that no message may lack; default none.
	Needs []string `yaml:"needs,omitempty,flow"`
	// KeepAnswer keeps the beginning of what is answered with each attempt; default
	// false.
	KeepAnswer bool `yaml:"keep_answer,omitempty"`
}

// Body is a request body whose leaves are templates. At most one field is set
// beside the charset; with none the default JSON object applies.
type Body struct {
	// JSON is a tree of map[string]any, []any and scalars.
	JSON any `yaml:"json"`
	// Form is sent as application/x-www-form-urlencoded.
	Form map[string]string `yaml:"form"`
	// XML is a tree with one root; "@name" is an attribute, "#text" a text.
	XML any `yaml:"xml"`
	// Text is sent as text/plain.
	Text *string `yaml:"text"`
	// None has no body at all.
	None bool `yaml:"none"`
	// Charset of form, XML and text; default UTF-8.
	Charset string `yaml:"charset"`
}

// MarshalYAML writes just the kind that is set, so that an empty form stays a form.
func (b Body) MarshalYAML() (any, error) {
	shown := map[string]any{}
	switch {
	case b.JSON != nil:
		shown["json"] = b.JSON
	case b.Form != nil:
		shown["form"] = b.Form
	case b.XML != nil:
		shown["xml"] = b.XML
	case b.Text != nil:
		shown["text"] = *b.Text
	case b.None:
		shown["none"] = true
	}
	if b.Charset != "" {
		shown["charset"] = b.Charset
	}
	return shown, nil
}

// Route turns each accepted event that matches into a message, or one for each of
// several gateways. Templates may use event_type, event_payload and, of a payload
// that is a JSON object, payload.NAME.
type Route struct {
	// Match selects the events.
	Match Match `yaml:"match"`
	// Gateway is the name of a declared gateway; either it or Gateways is set.
	Gateway string `yaml:"gateway,omitempty"`
	// Gateways are the names of declared gateways, each of which gets the message.
	Gateways []string `yaml:"gateways,omitempty,flow"`
	// Message is the template of the message's text.
	Message string `yaml:"message"`
	// To is the template of whom the gateway is to reach; default empty.
	To string `yaml:"to,omitempty"`
	// Title is the template of the message's title; default empty.
	Title string `yaml:"title,omitempty"`
	// Params are the templates of the message's parameters; default none.
	Params map[string]string `yaml:"params,omitempty"`
}

// Match selects events: those for which all of it holds.
type Match struct {
	// EventType is a pattern for the whole type: * stands for any characters,
	// ? for one, everything else for itself.
	EventType string `yaml:"event_type"`
	// PayloadContains is text that the payload must contain; default empty.
	PayloadContains string `yaml:"payload_contains,omitempty"`
	// Payload says what must stand in a payload that is a JSON object, by JSON
	// pointer: a pattern for a string, a number, true or false; default none.
	Payload map[string]any `yaml:"payload,omitempty"`
}

// Targets are the gateways of the route.
func (r Route) Targets() []string {
	if r.Gateway != "" {
		return []string{r.Gateway}
	}
	return r.Gateways
}

// ResolvedGateway is a gateway with everything filled in from Delivery and the
// defaults.
type ResolvedGateway struct {
	Name string
	// Declared is what was declared, for all that has no default here.
	Declared Gateway
	// URL is empty where the gateway is at /<name> of this process.
	URL     Text
	Method  string
	Headers map[string]Text
	// Body has at most one field set; none is for the dialect to decide.
	Body        Body
	MaxAttempts int
	Interval    time.Duration
	Timeout     time.Duration
	Concurrency int
	Rate        float64
	MaxQueue    int
	MaxHint     time.Duration
	HoldAfter   int
}

// Gateway resolves the named gateway; ok is false when it is not declared. The
// result shares maps with c.
func (c *Config) Gateway(name string) (g ResolvedGateway, ok bool) {
	own, ok := c.Gateways[name]
	if !ok {
		return ResolvedGateway{}, false
	}
	return c.Delivery.Resolve(name, own), true
}

// Resolve fills in what a gateway does not say itself. The result shares maps with
// own.
func (d Delivery) Resolve(name string, own Gateway) ResolvedGateway {
	g := ResolvedGateway{
		Name: name, Declared: own, URL: own.URL, Method: own.Method, Headers: own.Headers,
		MaxAttempts: either(own.MaxAttempts, d.MaxAttempts),
		Interval:    either(own.Interval, d.Interval),
		Timeout:     either(own.Timeout, d.Timeout),
		Concurrency: either(own.Concurrency, d.Concurrency),
		Rate:        either(own.Rate, d.Rate),
		MaxQueue:    either(own.MaxQueue, d.MaxQueue),
		MaxHint:     either(own.MaxHint, d.MaxHint),
		HoldAfter:   either(own.HoldAfter, d.HoldAfter),
	}
	if g.URL.Value() == "" && d.BaseURL.Value() != "" {
		g.URL = d.BaseURL.child(name)
	}
	if g.Method == "" {
		g.Method = http.MethodPost
	}
	if own.Body != nil {
		g.Body = *own.Body
	}
	return g
}

func either[T any](own *T, inherited T) T {
	if own != nil {
		return *own
	}
	return inherited
}

func (b Body) given() int {
	n := 0
	for _, set := range []bool{b.JSON != nil, b.Form != nil, b.XML != nil, b.Text != nil, b.None} {
		if set {
			n++
		}
	}
	return n
}

func (t Text) child(name string) Text {
	if joined, err := url.JoinPath(t.value, name); err == nil {
		t.value = joined
	}
	return t
}
