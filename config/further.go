package config

import (
	"slices"
	"strings"
)

// further adds to the report what else is wrong, as far as that can be said beside the
// mistakes that there are.
func (r *report) further(c *Config, ask func(*Config) Mistakes) {
	if ask == nil || len(r.mistakes) == 0 {
		return
	}
	wrong := map[string]bool{} // these paths, and what leads to them
	told := map[string]bool{}
	for _, m := range r.mistakes {
		wrong[m.Path], told[plainPath(m.Path)] = true, true
		for parent := range parents(m.Path) {
			wrong[parent] = true
		}
	}
	for _, m := range ask(c.sound(r, wrong)) {
		path := plainPath(m.Path)
		again := told[path]
		for parent := range parents(path) {
			again = again || told[parent]
		}
		if !again {
			r.mistakes = append(r.mistakes, m)
		}
	}
}

// sound is what can be judged of c by itself: without the gateways of which something
// could not be read, and with nothing in the place of a route that has a mistake.
func (c *Config) sound(r *report, wrong map[string]bool) *Config {
	s := *c
	s.Gateways = make(map[string]Gateway, len(c.Gateways))
	for name, g := range c.Gateways {
		if !r.doubtful(join("gateways", name)) && plainName.MatchString(name) {
			s.Gateways[name] = g
		}
	}
	s.Routes = slices.Clone(c.Routes)
	for i := range s.Routes {
		if wrong[index("routes", i)] {
			s.Routes[i] = Route{}
		}
	}
	if wrong["delivery.base_url"] {
		s.Delivery.BaseURL = Text{}
	}
	return &s
}

// plainPath is a path without the quotes of odd keys, which others may not set.
func plainPath(path string) string { return strings.ReplaceAll(path, `"`, "") }
