package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Bounds on what one document may hold. maxNodes is a hundred for each of
// 10,000 gateways and as much again; it stops aliases from multiplying.
const (
	maxFile  = 16 << 20
	maxDepth = 64
	maxNodes = 2_000_000
)

var (
	yamlProblem = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)
	quoted      = regexp.MustCompile("['\"`].*")
)

// document turns YAML or JSON text into maps, lists and scalars. The libraries'
// own decoding is not used because it stops at the first duplicate key, and
// takes time in the square of the number of keys to find it.
type document struct {
	name     string // stands before the line number of a syntax error
	report   *report
	nodes    int
	overflow bool // a bound was passed; what remains is not read
}

// readYAML returns the value of the only YAML document in b, nil when there is
// none. ok is false when b cannot be read as such.
func (d *document) readYAML(root string, b []byte) (v any, ok bool) {
	var node, next yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(b))
	err := decoder.Decode(&node)
	if errors.Is(err, io.EOF) {
		return nil, true
	}
	if err == nil {
		err = decoder.Decode(&next)
		if err == nil {
			d.report.reject(d.name, "expected one YAML document, not several")
			return nil, false
		}
	}
	if !errors.Is(err, io.EOF) {
		d.syntax(err)
		return nil, false
	}
	v, ok = d.yamlValue(root, &node, 0)
	return v, ok && !d.overflow
}

func (d *document) yamlValue(path string, n *yaml.Node, depth int) (any, bool) {
	if d.overflow {
		return nil, false
	}
	if d.nodes++; depth > maxDepth || d.nodes > maxNodes {
		d.overflow = true
		d.report.reject(d.name, "the values are nested too deeply, or aliases repeat too much")
		return nil, false
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return d.yamlValue(path, n.Content[0], depth)
	case yaml.AliasNode:
		return d.yamlValue(path, n.Alias, depth+1)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for i, item := range n.Content {
			v, _ := d.yamlValue(index(path, i), item, depth+1)
			list = append(list, v)
		}
		return list, true
	case yaml.MappingNode:
		return d.yamlMap(path, n, depth)
	}
	return d.yamlScalar(path, n)
}

func (d *document) yamlMap(path string, n *yaml.Node, depth int) (any, bool) {
	m := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			d.report.reject(d.at(path), "expected simple keys")
			continue
		}
		at := join(path, key.Value)
		if _, twice := m[key.Value]; twice {
			d.report.reject(at, "is given twice")
			continue
		}
		if v, ok := d.yamlValue(at, n.Content[i+1], depth+1); ok {
			m[key.Value] = v
		}
	}
	return m, true
}

func (d *document) yamlScalar(path string, n *yaml.Node) (v any, ok bool) {
	switch n.ShortTag() {
	case "!!null":
		return nil, true
	case "!!bool", "!!int", "!!float":
		if err := n.Decode(&v); err != nil {
			d.report.reject(d.at(path), "expected a plain value")
			return nil, false
		}
		return v, true
	case "!!str", "!!timestamp", "!!merge":
		return n.Value, true
	}
	d.report.reject(d.at(path), "expected a value without a YAML tag")
	return nil, false
}

// syntax reports a YAML error without the pieces of the document in its text.
func (d *document) syntax(err error) {
	at, where, text := d.name, "", "the text cannot be read"
	if m := yamlProblem.FindStringSubmatch(err.Error()); m != nil {
		text = quoted.ReplaceAllString(m[2], "…")
		if m[1] != "" {
			// The library counts some lines from zero.
			at, where = at+":"+m[1], ", here or on the next line"
		}
	}
	d.report.reject(at, "not valid YAML%s: %s", where, text)
}

// readJSON returns the only JSON value in s.
func (d *document) readJSON(root, s string) (any, bool) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(s)))
	decoder.UseNumber()
	v, err := d.jsonValue(decoder, root, 0)
	if err == nil {
		if _, err = decoder.Token(); errors.Is(err, io.EOF) {
			return v, true
		}
	}
	if p, own := errors.AsType[problem](err); own {
		d.report.reject(d.at(root), "%s", p)
		return nil, false
	}
	d.report.reject(d.at(root), "expected one JSON value")
	return nil, false
}

func (d *document) jsonValue(decoder *json.Decoder, path string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, problem("the values are nested too deeply")
	}
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '[' {
			return d.jsonList(decoder, path, depth)
		}
		return d.jsonMap(decoder, path, depth)
	case json.Number:
		return jsonNumber(t)
	}
	return token, nil
}

func (d *document) jsonList(decoder *json.Decoder, path string, depth int) (any, error) {
	list := []any{}
	for decoder.More() {
		v, err := d.jsonValue(decoder, index(path, len(list)), depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := decoder.Token()
	return list, err
}

func (d *document) jsonMap(decoder *json.Decoder, path string, depth int) (any, error) {
	m := map[string]any{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		key, _ := token.(string)
		at := join(path, key)
		v, err := d.jsonValue(decoder, at, depth+1)
		if err != nil {
			return nil, err
		}
		if _, twice := m[key]; twice {
			d.report.reject(at, "is given twice")
		}
		m[key] = v
	}
	_, err := decoder.Token()
	return m, err
}

// jsonNumber gives a number the type YAML would give it.
func jsonNumber(n json.Number) (any, error) {
	if i, err := strconv.Atoi(n.String()); err == nil {
		return i, nil
	}
	return n.Float64()
}

func (d *document) at(path string) string {
	if path == "" {
		return d.name
	}
	return path
}
