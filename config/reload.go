package config

import (
	"reflect"
	"strings"
)

// NeedsRestart lists the keys that differ in next and that a running process
// cannot change. It can take on new gateways, routes and delivery, but for
// delivery.max_in_flight, and who is let in. A secret that is read from another place counts as
// different.
func (c *Config) NeedsRestart(next *Config) []string {
	var paths []string
	others := collect("", reflect.ValueOf(*next), nil)
	for i, k := range collect("", reflect.ValueOf(*c), nil) {
		if !reloads(k.path) && !reflect.DeepEqual(k.value, others[i].value) {
			paths = append(paths, k.path)
		}
	}
	return paths
}

// reloads reports whether a running process can change the key.
func reloads(path string) bool {
	switch path {
	case "http.keys", "http.hosts", "http.allow_anonymous":
		return true
	}
	section, _, _ := strings.Cut(path, ".")
	switch section {
	case "gateways", "routes", "delivery":
		return path != "delivery.max_in_flight"
	}
	return false
}
