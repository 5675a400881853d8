package httpapi

import (
	"slices"

	"github.com/gofiber/fiber/v2"
)

// whoamiAnswer is who asks and what it may do.
type whoamiAnswer struct {
	Name     string    `json:"name"` // of the key; "" where there are no keys
	Scopes   []Scope   `json:"scopes"`
	Gateways *[]string `json:"gateways"` // null for all
	Version  string    `json:"version"`
}

func (s *Server) whoami(c *fiber.Ctx) error {
	who := callerOf(c)
	shown := whoamiAnswer{Name: who.name, Version: s.opts.Version}
	if who.gateways != nil {
		shown.Gateways = &who.gateways
	}
	for _, scope := range AllScopes() {
		if slices.Contains(who.scopes, scope) {
			shown.Scopes = append(shown.Scopes, scope)
		}
	}
	return answer(c, shown)
}
