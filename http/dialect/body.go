package dialect

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a tree. The second one also ends trees that repeat themselves.
const (
	maxDepth = 32
	maxNodes = 10_000
)

// body compiles the body to parts that follow each other, whatever its kind.
func (c *compiler) body(b Body, method string) []part {
	kind := b.kind(method)
	if kind != KindNone && method == "GET" {
		c.complain("body", "a GET request has none")
	}
	if b.given() > 1 {
		c.complain("body", "is more than one of json, form, xml, text and none")
	}
	c.charset = c.findCharset(b.Charset, kind)
	switch kind {
	case KindForm:
		return merge(c.form(b.Form))
	case KindXML:
		return merge(c.xml(b.XML))
	case KindText:
		parts, when := c.leaf("body.text", *b.Text, inText)
		c.whole("body.text", when)
		return parts
	case KindJSON:
		if b.JSON == nil {
			b.JSON = map[string]any{"message": "{{message}}"}
		}
		parts, when := c.tree("body.json", b.JSON, 1)
		c.whole("body.json", when)
		return merge(parts)
	case KindNone:
	}
	return nil
}

// whole complains when all of a body may be left out.
func (c *compiler) whole(path string, when presence) {
	if when != always {
		c.complain(path, "is all that there is, and {{?name}} would leave it out")
	}
}

func (c *compiler) form(form map[string]string) []part {
	c.bound("body.form", len(form), maxFields)
	fields := list{separator: "&"}
	for _, name := range sortedKeys(form) {
		path := "body.form." + name
		c.constantName(path, name)
		value, when := c.leaf(path, form[name], inForm)
		escaped, err := inForm.append(nil, name, c.charset)
		if err != nil {
			c.complain(path, "name %s", inForm.wants())
		}
		fields.add(slices.Concat([]part{{text: string(escaped) + "="}}, value), when)
	}
	return fields.parts
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

// enter counts a node of a tree and reports whether it may be looked at.
func (c *compiler) enter(path string, depth int) bool {
	if c.nodes++; c.nodes > maxNodes {
		if c.nodes == maxNodes+1 {
			root, _, _ := strings.Cut(strings.TrimPrefix(path, "body."), ".")
			root, _, _ = strings.Cut(root, "[")
			c.complain("body."+root, "has more than %d values", maxNodes)
		}
		return false
	}
	if depth > maxDepth {
		c.complain(path, "is nested more than %d deep", maxDepth)
		return false
	}
	return true
}

// tree compiles a node of a JSON tree and all below it.
func (c *compiler) tree(path string, node any, depth int) ([]part, presence) {
	if !c.enter(path, depth) {
		return nil, always
	}
	switch n := node.(type) {
	case map[string]any:
		return c.object(path, n, depth), always
	case []any:
		elements := list{separator: ", "}
		for i, element := range n {
			elements.add(c.tree(fmt.Sprintf("%s[%d]", path, i), element, depth+1))
		}
		return enclose("[", elements.parts, "]"), always
	case string:
		parts, when := c.leaf(path, n, inJSON)
		return enclose(`"`, parts, `"`), when
	}
	text, ok := scalar(node)
	if !ok {
		c.complain(path, "is not a value that JSON has; put it in quotes to make it a string")
	}
	return add(nil, text), always
}

// scalar writes what is neither a tree nor a template as JSON has it.
func scalar(node any) (text string, ok bool) {
	switch node.(type) {
	case nil, bool, int, int64, uint64, float64:
		b, err := json.Marshal(node)
		return string(b), err == nil
	}
	return "", false
}

// object compiles a JSON object, its names in their order, with the spacing that
// the endpoints of system B know: {"message": "test"}.
func (c *compiler) object(path string, object map[string]any, depth int) []part {
	members := list{separator: ", "}
	for _, name := range sortedKeys(object) {
		below := path + "." + name
		c.constantName(below, name)
		value, when := c.tree(below, object[name], depth+1)
		members.add(slices.Concat([]part{{text: `"` + string(appendJSON(nil, name)) + `": `}}, value), when)
	}
	return enclose("{", members.parts, "}")
}

func enclose(before string, parts []part, after string) []part {
	return slices.Concat([]part{{text: before}}, parts, []part{{text: after}})
}
