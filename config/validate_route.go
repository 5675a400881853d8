package config

import (
	"slices"
	"strings"
)

// Limits of one route.
const (
	maxTargets    = 100
	maxConditions = 20
	maxParams     = 100
	maxParamName  = 64
)

const aPattern = "expected a pattern of plain characters, * and ?"

func (c *Config) checkRoutes(r *report) {
	for i, route := range c.Routes {
		at := index("routes", i)
		route.Match.check(r, at+".match")
		r.require(route.Message != "", at+".message", `expected a template, such as "{{event_payload}}"`)
		r.require(len(route.Params) <= maxParams, at+".params", "expected at most %d", maxParams)
		for name := range route.Params {
			r.require(name != "" && len(name) <= maxParamName, join(at+".params", name), "expected a name of 1 to %d bytes", maxParamName)
		}
		route.checkTargets(r, at)
	}
}

// checkTargets reports which routes name gateways that are declared nowhere.
func (c *Config) checkTargets(r *report, elsewhere func(name string) bool) {
	declared := func(name string) bool {
		_, ok := c.Gateways[name]
		return ok || r.unread("gateways") || r.doubtful(join("gateways", name)) || elsewhere != nil && elsewhere(name)
	}
	const aGateway = "expected the name of a gateway declared under gateways, or made over the API"
	for i, route := range c.Routes {
		at := index("routes", i)
		several := at + ".gateways"
		if route.Gateways == nil && !r.doubtful(several) {
			r.require(declared(route.Gateway), at+".gateway", aGateway)
			continue
		}
		for j, name := range route.Gateways[:min(len(route.Gateways), maxTargets)] {
			r.require(declared(name), index(several, j), aGateway)
		}
	}
}

// checkTargets checks how the gateways of a route are named.
func (route Route) checkTargets(r *report, at string) {
	several := at + ".gateways"
	if route.Gateways == nil && !r.doubtful(several) {
		return
	}
	r.require(route.Gateway == "" && !r.doubtful(at+".gateway"), several, "expected either gateway or gateways, not both")
	n := len(route.Gateways)
	r.require(n > 0 && n <= maxTargets, several, "expected 1 to %d names of gateways", maxTargets)
	for i, name := range route.Gateways[:min(n, maxTargets)] {
		r.require(!slices.Contains(route.Gateways[:i], name), index(several, i), "expected each gateway once")
	}
}

func (m Match) check(r *report, at string) {
	pattern := at + ".event_type"
	r.require(m.EventType != "", pattern, `expected a pattern, such as "user_*", or "*" for all events`)
	r.require(plainPattern(m.EventType), pattern, aPattern)
	r.require(len(m.Payload) <= maxConditions, at+".payload", "expected at most %d", maxConditions)
	for pointer, value := range m.Payload {
		at := join(at+".payload", pointer)
		r.require(validPointer(pointer), at, "expected a JSON pointer, such as /user/name")
		switch value := value.(type) {
		case string:
			r.require(plainPattern(value), at, aPattern)
		case map[string]any, []any:
			r.require(false, at, "expected a pattern for text, a number, true or false")
		}
	}
}

func plainPattern(p string) bool { return !strings.ContainsAny(p, `[]\`) }

// validPointer reports whether p is a JSON pointer (RFC 6901) into an object.
func validPointer(p string) bool {
	plain := strings.NewReplacer("~0", "", "~1", "").Replace(p)
	return strings.HasPrefix(p, "/") && !strings.Contains(plain, "~")
}
