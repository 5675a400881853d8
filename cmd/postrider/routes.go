package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
)

// route turns the events that match into messages for one gateway.
type route struct {
	eventType *regexp.Regexp
	gateway   string
	message   *dialect.Template
}

// newRoutes compiles the routes; the error is a config.Mistakes.
func newRoutes(declared []config.Route) ([]route, error) {
	routes := make([]route, len(declared))
	var mistakes config.Mistakes
	for i, d := range declared {
		message, err := dialect.CompileTemplate(d.Message, "event_type", "event_payload")
		if err != nil {
			mistakes = append(mistakes, config.Mistake{Path: fmt.Sprintf("routes[%d].message", i), Problem: err.Error()})
		}
		routes[i] = route{eventType: pattern(d.Match.EventType), gateway: d.Gateway, message: message}
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

// route returns the messages that an event becomes. Its error is
// data.ErrTooLarge.
func (s *snapshot) route(e data.NewEvent) (made []data.NewMessage, err error) {
	for _, r := range s.routes {
		if !r.eventType.MatchString(e.Type) {
			continue
		}
		text, err := r.message.Render(e.Type, e.Payload)
		if err != nil {
			return nil, fmt.Errorf("make a message for %s: %w: %w", r.gateway, data.ErrTooLarge, err)
		}
		made = append(made, data.NewMessage{Gateway: r.gateway, Text: text, MaxQueue: s.gateways.entries[r.gateway].shown.MaxQueue})
	}
	return made, nil
}
