package dialect

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds of a JSON tree. The second one also ends trees that repeat themselves.
const (
	maxDepth = 32
	maxNodes = 10_000
)

// kind is what the body will be, given the request's method.
func (b Body) kind(method string) Kind {
	switch {
	case b.JSON != nil:
		return KindJSON
	case b.Form != nil:
		return KindForm
	case b.Text != nil:
		return KindText
	case method == "GET":
		return KindNone
	}
	return KindJSON
}

// body compiles the body to parts that follow each other, whatever its kind.
func (c *compiler) body(b Body, method string) []part {
	kind := b.kind(method)
	if kind != KindNone && method == "GET" {
		c.complain("body", "a GET request has none")
	}
	if b.JSON != nil && b.Form != nil || b.JSON != nil && b.Text != nil || b.Form != nil && b.Text != nil {
		c.complain("body", "is more than one of json, form and text")
	}
	switch kind {
	case KindForm:
		return merge(c.form(b.Form))
	case KindText:
		return c.template("body.text", *b.Text)
	case KindJSON:
		if b.JSON == nil {
			b.JSON = map[string]any{"message": "{{message}}"}
		}
		return merge(c.tree(nil, "body.json", b.JSON, 1))
	case KindNone:
	}
	return nil
}

func (c *compiler) form(form map[string]string) []part {
	var parts []part
	for i, name := range sortedKeys(form) {
		path := "body.form." + name
		c.constantName(path, name)
		if i > 0 {
			parts = add(parts, "&")
		}
		parts = add(parts, string(appendEscaped(nil, name, '+'))+"=")
		parts = c.leaf(parts, path, form[name], inForm)
	}
	return parts
}

// leaf appends a template that stands in a body.
func (c *compiler) leaf(parts []part, path, source string, p place) []part {
	value, err := encodeFor(p, c.template(path, source))
	if err != nil {
		c.complain(path, "%s", err)
	}
	return append(parts, value...)
}

// constantName refuses templates where a name must stand, since they would be
// sent as they are.
func (c *compiler) constantName(path, name string) {
	switch {
	case strings.Contains(name, "{{"):
		c.complain(path, "names must be constant")
	case !utf8.ValidString(name):
		c.complain(path, "name is not valid UTF-8")
	}
}

// tree appends a node of a JSON tree and all below it.
func (c *compiler) tree(parts []part, path string, node any, depth int) []part {
	if c.nodes++; c.nodes > maxNodes {
		if c.nodes == maxNodes+1 {
			c.complain("body.json", "has more than %d values", maxNodes)
		}
		return parts
	}
	if depth > maxDepth {
		c.complain(path, "is nested more than %d deep", maxDepth)
		return parts
	}
	switch n := node.(type) {
	case map[string]any:
		return c.object(parts, path, n, depth)
	case []any:
		parts = add(parts, "[")
		for i, element := range n {
			if i > 0 {
				parts = add(parts, ", ")
			}
			parts = c.tree(parts, fmt.Sprintf("%s[%d]", path, i), element, depth+1)
		}
		return add(parts, "]")
	case string:
		parts = c.leaf(add(parts, `"`), path, n, inJSON)
		return add(parts, `"`)
	case nil, bool, int, int64, uint64, float64:
		text, err := json.Marshal(n)
		if err != nil {
			c.complain(path, "is not a number that JSON has")
		}
		return add(parts, string(text))
	}
	c.complain(path, "is not a value that JSON has; put it in quotes to make it a string")
	return parts
}

// object appends a JSON object, its names in their order, with the spacing that
// the endpoints of system B know: {"message": "test"}.
func (c *compiler) object(parts []part, path string, object map[string]any, depth int) []part {
	parts = add(parts, "{")
	for i, name := range sortedKeys(object) {
		below := path + "." + name
		c.constantName(below, name)
		if i > 0 {
			parts = add(parts, ", ")
		}
		parts = add(parts, `"`+string(appendJSON(nil, name))+`": `)
		parts = c.tree(parts, below, object[name], depth+1)
	}
	return add(parts, "}")
}
