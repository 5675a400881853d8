package httpapi

import (
	"slices"

	"github.com/gofiber/fiber/v2"
)

// Scope is something that a key lets its holder do.
type Scope string

// The scopes, a closed list.
const (
	ScopeEventWrite   Scope = "event:write"   // hand over events
	ScopeMessageWrite Scope = "message:write" // hand over messages, for all gateways or named ones
	ScopeRead         Scope = "read"          // see everything but what messages and events say
	ScopeReadContent  Scope = "read:content"  // see that too
	ScopeOperate      Scope = "operate"       // act on what there is: pause, resend, cancel, test, reload
	ScopeAdmin        Scope = "admin"         // everything, with the declaration of gateways and backups
)

// AllScopes lists the scopes, the lesser ones first.
func AllScopes() []Scope {
	return []Scope{ScopeEventWrite, ScopeMessageWrite, ScopeRead, ScopeReadContent, ScopeOperate, ScopeAdmin}
}

// includes lists what a scope brings along.
func (s Scope) includes() []Scope {
	switch s {
	case ScopeReadContent, ScopeOperate:
		return []Scope{s, ScopeRead}
	case ScopeAdmin:
		return AllScopes()
	}
	return []Scope{s}
}

// What a route needs beside a scope: nothing at all, or some key.
const (
	needsNothing Scope = ""
	needsKey     Scope = "key"
)

// caller is who sent a request.
type caller struct {
	name     string     // of the key; "" where there are no keys
	scopes   []Scope    // with all that they include
	gateways []string   // the only ones that it may hand messages over for; nil for all
	by       *admission // that lets it in
}

func (c *caller) may(s Scope) bool { return s == needsKey || slices.Contains(c.scopes, s) }

// mayWriteTo reports whether the caller may hand over messages for a gateway.
func (c *caller) mayWriteTo(gateway string) bool {
	return c.gateways == nil || slices.Contains(c.gateways, gateway)
}

// callerKey is where a request keeps who sent it.
const callerKey = "postrider-caller"

// callerOf returns who sent the request, nil for somebody without a key of ours and
// on routes that need nothing, unless they have called [Server.identify].
func callerOf(c *fiber.Ctx) *caller {
	found, _ := c.Context().UserValue(callerKey).(*caller)
	return found
}

// seesContent reports whether the caller may see what events and messages say, and
// what gateways answered. Of what it may not see nothing is shown, in any answer.
func seesContent(c *fiber.Ctx) bool { return callerOf(c).may(ScopeReadContent) }

// allowed is a handler that is only reached by those who may.
func (s *Server) allowed(needs Scope, handle fiber.Handler) fiber.Handler {
	if needs == needsNothing {
		return handle
	}
	return func(c *fiber.Ctx) error {
		switch who, err := s.identify(c); {
		case err != nil:
			return err
		case who == nil:
			return errUnauthorized
		case !who.may(needs):
			return errForbidden
		}
		return handle(c)
	}
}
