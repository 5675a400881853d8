package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
	httpapi "github.com/postrider/postrider/http"
	"github.com/postrider/postrider/http/dialect"
)

// route turns the events that match into messages, one for each of its gateways.
type route struct {
	eventType *regexp.Regexp
	contains  string
	payload   []condition
	gateways  []string
	message   *filling
	to, title *filling // nil for none
	params    []param
}

type param struct {
	name  string
	value *filling
}

// newRoutes compiles the routes; the error is a config.Mistakes.
func newRoutes(declared []config.Route) ([]route, error) {
	routes := make([]route, len(declared))
	var mistakes config.Mistakes
	for i, d := range declared {
		at := fmt.Sprintf("routes[%d]", i)
		compile := func(path, source string) *filling {
			f, err := newFilling(source)
			if err != nil {
				mistakes = append(mistakes, config.Mistake{Path: path, Problem: err.Error()})
			}
			return f
		}
		optional := func(path, source string) *filling {
			if source == "" {
				return nil
			}
			return compile(path, source)
		}
		r := route{
			eventType: pattern(d.Match.EventType),
			contains:  d.Match.PayloadContains,
			payload:   newConditions(d.Match.Payload),
			gateways:  d.Targets(),
			message:   compile(at+".message", d.Message),
			to:        optional(at+".to", d.To),
			title:     optional(at+".title", d.Title),
		}
		for _, name := range slices.Sorted(maps.Keys(d.Params)) {
			r.params = append(r.params, param{name, compile(at+".params."+name, d.Params[name])})
		}
		routes[i] = r
	}
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	return routes, nil
}

// pattern compiles the patterns of routes: * is any text, ? any one character.
func pattern(p string) *regexp.Regexp {
	p = regexp.QuoteMeta(p)
	p = strings.ReplaceAll(p, `\*`, `.*`)
	p = strings.ReplaceAll(p, `\?`, `.`)
	return regexp.MustCompile(`(?s)\A` + p + `\z`)
}

func (r *route) matches(e *data.NewEvent, p *payload) bool {
	if !r.eventType.MatchString(e.Type) || !strings.Contains(e.Payload, r.contains) {
		return false
	}
	for i := range r.payload {
		if !r.payload[i].holds(p.fields()) {
			return false
		}
	}
	return true
}

// make returns the message for all gateways, without one.
func (r *route) make(e *data.NewEvent, p *payload) (m data.NewMessage, err error) {
	if m.Text, err = r.message.fill(e, p); err != nil {
		return m, err
	}
	if m.To, err = r.to.fill(e, p); err != nil {
		return m, err
	}
	if m.Title, err = r.title.fill(e, p); err != nil {
		return m, err
	}
	if len(r.params) > 0 {
		m.Params = make(map[string]string, len(r.params))
	}
	for _, param := range r.params {
		if m.Params[param.name], err = param.value.fill(e, p); err != nil {
			return m, err
		}
	}
	return m, nil
}

// route returns the messages that an event becomes. One that does not fit its
// gateway is left out and told: the event is good, and whoever sent it knows nothing
// of routes. The error is data.ErrTooLarge.
func (s *snapshot) route(e data.NewEvent, tell func(gateway string, faults []httpapi.Fault)) (made []data.NewMessage, err error) {
	p := payload{raw: e.Payload}
	for i := range s.routes {
		r := &s.routes[i]
		if !r.matches(&e, &p) {
			continue
		}
		m, err := r.make(&e, &p)
		if err != nil {
			return nil, fmt.Errorf("make a message for %s: %w: %w", strings.Join(r.gateways, ", "), data.ErrTooLarge, err)
		}
		for _, name := range r.gateways {
			e, _ := s.entry(name)
			m.Gateway, m.MaxQueue = name, e.shown.MaxQueue
			fitted, faults := e.fit(m)
			switch {
			case len(faults) > 0:
				tell(name, faults)
			case fitted == nil:
				made = append(made, m)
			default:
				made = append(made, fitted...)
			}
		}
	}
	return made, nil
}

// routed reports whether a route names a gateway.
func (s *snapshot) routed(gateway string) bool {
	return slices.ContainsFunc(s.routes, func(r route) bool { return slices.Contains(r.gateways, gateway) })
}

// payloadName is a name of a template that stands for a part of the payload.
var payloadName = regexp.MustCompile(`\{\{ *(payload\.[^{}.]+(?:\.[^{}.]+)*?) *\}\}`)

// filling is a template of a route with what it needs of an event.
type filling struct {
	template *dialect.Template
	paths    [][]string // of the payload, for the values behind the first three
}

// newFilling reads a template.
func newFilling(source string) (*filling, error) {
	// The third stands for the names behind it where another name is wrong.
	names := []string{"event_type", "event_payload", "payload.<name>"}
	f := &filling{}
	for _, found := range payloadName.FindAllStringSubmatch(source, -1) {
		if name := strings.TrimRight(found[1], " "); !slices.Contains(names, name) {
			names = append(names, name)
			f.paths = append(f.paths, strings.Split(name, ".")[1:])
		}
	}
	var err error
	f.template, err = dialect.CompileTemplate(source, names...)
	return f, err
}

// fill puts an event into the template; a nil one makes nothing.
func (f *filling) fill(e *data.NewEvent, p *payload) (string, error) {
	switch {
	case f == nil:
		return "", nil
	case len(f.paths) == 0:
		return f.template.Render(e.Type, e.Payload, "")
	}
	values := make([]string, 3, 3+len(f.paths))
	values[0], values[1] = e.Type, e.Payload
	for _, path := range f.paths {
		values = append(values, p.text(path))
	}
	return f.template.Render(values...)
}
