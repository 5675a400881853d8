package httpapi

import (
	"bytes"
	"fmt"

	"github.com/gofiber/fiber/v2"
)

// Route is a route as it may be shown: which events it matches, and the templates of
// the messages that it makes of them.
type Route struct {
	EventType       string         // a pattern for the whole type
	PayloadContains string         // "" for anything
	Payload         map[string]any // a pattern, number, true or false by JSON pointer
	Gateways        []string
	Message         string
	To, Title       string // "" for none
	Params          map[string]string
}

// routeAnswer is a route as it is shown.
type routeAnswer struct {
	Match    matchAnswer       `json:"match"`
	Gateways []string          `json:"gateways"`
	Message  string            `json:"message"`
	To       string            `json:"to,omitzero"`
	Title    string            `json:"title,omitzero"`
	Params   map[string]string `json:"params,omitempty"`
}

type matchAnswer struct {
	EventType       string         `json:"event_type"`
	PayloadContains string         `json:"payload_contains,omitzero"`
	Payload         map[string]any `json:"payload,omitempty"`
}

// listRoutes shows all routes, in the order in which they count.
func (s *Server) listRoutes(c *fiber.Ctx) error {
	if _, err := parameters(c); err != nil {
		return err
	}
	routes := s.opts.DeclaredRoutes()
	shown := make([]routeAnswer, len(routes))
	for i, r := range routes {
		shown[i] = routeAnswer{
			Match:    matchAnswer{EventType: r.EventType, PayloadContains: r.PayloadContains, Payload: r.Payload},
			Gateways: r.Gateways, Message: r.Message, To: r.To, Title: r.Title, Params: r.Params,
		}
	}
	return answer(c, struct {
		Routes []routeAnswer `json:"routes"`
	}{shown})
}

// showConfig shows the configuration in force.
func (s *Server) showConfig(c *fiber.Ctx) error {
	if _, err := parameters(c); err != nil {
		return err
	}
	var text bytes.Buffer
	if err := s.opts.Config(&text); err != nil {
		return fmt.Errorf("show the configuration: %w", err)
	}
	c.Response().Header.SetContentType("application/yaml")
	c.Response().SetBodyRaw(text.Bytes())
	return nil
}
