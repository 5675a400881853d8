package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Print writes c as YAML with every key, secrets masked. What it writes loads
// again as an equal Config unless something was masked.
func Print(w io.Writer, c *Config) error {
	var doc yaml.Node
	if err := doc.Encode(c); err != nil {
		return fmt.Errorf("encode configuration: %w", err)
	}
	shortenDurations(&doc)
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := encoder.Encode(&doc); err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	return encoder.Close()
}

// shortenDurations rewrites 720h0m0s as 720h.
func shortenDurations(n *yaml.Node) {
	durations := map[string]bool{"fixed": true}
	for _, k := range keys() {
		if k.typ == reflect.TypeFor[time.Duration]() {
			durations[k.path[strings.LastIndexByte(k.path, '.')+1:]] = true
		}
	}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, v := n.Content[i].Value, n.Content[i+1]
			// A template, a header or a parameter may be called like a duration.
			if key == "body" || key == "headers" || key == "params" || key == "query" || key == "settings" || key == "success" || key == "permanent" {
				continue
			}
			if d, err := time.ParseDuration(v.Value); err == nil && durations[key] {
				v.Value = shortDuration(d)
			}
			walk(v)
		}
	}
	walk(n)
}

func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
