package dialect

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Names in an XML tree that are not elements: attributes begin with a sign, and
// two stand for what an element has in it.
const (
	attributeSign = "@"
	nameText      = "#text"
	nameContent   = "#content"
)

// xml compiles a tree of elements. An element has a text, a map with attributes,
// text and elements, or nothing; a list has the element once for each entry.
// Maps are written in the order of their names; where a receiver wants another
// one, a #content lists texts and elements in it, each element a map of one name.
func (c *compiler) xml(tree any) []part {
	const path = "body.xml"
	root, _ := tree.(map[string]any)
	if len(root) != 1 {
		c.complain(path, "must be one element, a map of one name")
		return nil
	}
	parts := add(nil, `<?xml version="1.0" encoding="`+c.charset.name()+`"?>`+"\n")
	for name, node := range root {
		below := path + "." + name
		if text, ok := node.(string); ok {
			if _, optional := cutOptional(text); optional {
				c.whole(below, never)
			}
		}
		if _, several := node.([]any); several {
			c.complain(below, "must be one element, not a list")
		}
		parts = append(parts, c.element(below, name, node, 1)...)
	}
	return parts
}

// element compiles what stands under a name in the tree.
func (c *compiler) element(path, name string, node any, depth int) []part {
	if !c.enter(path, depth) {
		return nil
	}
	tag := c.xmlName(path, name)
	switch n := node.(type) {
	case nil:
		return add(nil, "<"+tag+"/>")
	case []any:
		var parts []part
		for i, element := range n {
			below := fmt.Sprintf("%s[%d]", path, i)
			if _, nested := element.([]any); nested {
				c.complain(below, "is a list in a list")
				continue
			}
			parts = append(parts, c.element(below, name, element, depth+1)...)
		}
		return parts
	case map[string]any:
		start := enclose("<"+tag, c.attributes(path, n), ">")
		return slices.Concat(start, c.content(path, n, depth), add(nil, "</"+tag+">"))
	}
	text, when := c.xmlLeaf(path, node, inXML)
	return when.guard(enclose("<"+tag+">", text, "</"+tag+">"))
}

func (c *compiler) attributes(path string, element map[string]any) []part {
	var parts []part
	for _, key := range sortedKeys(element) {
		name, is := strings.CutPrefix(key, attributeSign)
		if !is || !c.enter(path, 1) {
			continue
		}
		below := path + "." + key
		value, when := c.xmlLeaf(below, element[key], inXMLAttribute)
		parts = append(parts, when.guard(enclose(" "+c.xmlName(below, name)+`="`, value, `"`))...)
	}
	return parts
}

// content compiles what is between the tags of an element.
func (c *compiler) content(path string, element map[string]any, depth int) []part {
	var parts []part
	if text, ok := element[nameText]; ok {
		parts, _ = c.xmlLeaf(path+"."+nameText, text, inXML)
	}
	listed, ordered := element[nameContent]
	if ordered {
		parts = append(parts, c.listed(path+"."+nameContent, listed, depth)...)
	}
	for _, name := range sortedKeys(element) {
		switch {
		case strings.HasPrefix(name, attributeSign) || name == nameContent || name == nameText && !ordered:
		case ordered:
			c.complain(path+"."+name, "has no place beside #content")
		default:
			parts = append(parts, c.element(path+"."+name, name, element[name], depth+1)...)
		}
	}
	return parts
}

// listed compiles a #content.
func (c *compiler) listed(path string, node any, depth int) []part {
	entries, ok := node.([]any)
	if !ok {
		c.complain(path, "must be a list")
	}
	var parts []part
	for i, entry := range entries {
		below := fmt.Sprintf("%s[%d]", path, i)
		element, ok := entry.(map[string]any)
		switch {
		case !ok:
			text, _ := c.xmlLeaf(below, entry, inXML)
			parts = append(parts, text...)
		case len(element) != 1:
			c.complain(below, "must be a text, or an element, a map of one name")
		}
		if len(element) == 1 {
			for name, node := range element {
				parts = append(parts, c.element(below+"."+name, name, node, depth+1)...)
			}
		}
	}
	return parts
}

// xmlLeaf compiles a text or another scalar.
func (c *compiler) xmlLeaf(path string, node any, p place) ([]part, presence) {
	if source, ok := node.(string); ok {
		return c.leaf(path, source, p)
	}
	text, ok := scalar(node)
	if !ok || node == nil {
		c.complain(path, "is not a text; put it in quotes to make it one")
	}
	return add(nil, text), always
}

// xmlName checks the name of an element or attribute and returns it as it is
// sent.
func (c *compiler) xmlName(path, name string) string {
	prefix, local, prefixed := strings.Cut(name, ":")
	sent, err := c.charset.append(nil, name)
	if !ncName(prefix) || prefixed && !ncName(local) || err != nil {
		c.complain(path, "is not a name that XML has, or not in this charset")
	}
	return string(sent)
}

// ncName reports whether name is one without a colon (Namespaces in XML 1.0).
func ncName(name string) bool {
	for i, r := range name {
		if !nameStart(r) && (i == 0 || r != '-' && r != '.' && (r < '0' || r > '9') && r != 0xb7 && (r < 0x300 || r > 0x36f) && r != 0x203f && r != 0x2040) {
			return false
		}
	}
	return name != "" && utf8.ValidString(name)
}

// nameStart reports whether a name may begin with r (XML 1.0, production 4).
func nameStart(r rune) bool {
	if r < 0x80 {
		return r == '_' || alphanumeric(byte(r)) && r > '9'
	}
	for _, span := range [][2]rune{
		{0xc0, 0xd6},
		{0xd8, 0xf6},
		{0xf8, 0x2ff},
		{0x370, 0x37d},
		{0x37f, 0x1fff},
		{0x200c, 0x200d},
		{0x2070, 0x218f},
		{0x2c00, 0x2fef},
		{0x3001, 0xd7ff},
		{0xf900, 0xfdcf},
		{0xfdf0, 0xfffd},
		{0x10000, 0xeffff},
	} {
		if r >= span[0] && r <= span[1] {
			return true
		}
	}
	return false
}

// appendXML writes v as text, or as the value of an attribute. What a parser
// would change on its way in is written as a reference; what XML 1.0 has no
// character for (production 2) is [ErrUnfit].
func appendXML(dst []byte, v string, attribute bool) ([]byte, error) {
	done := 0
	for i, r := range v {
		var reference string
		switch {
		case r == '&':
			reference = "&amp;"
		case r == '<':
			reference = "&lt;"
		case r == '>':
			reference = "&gt;"
		case r == '\r':
			reference = "&#13;"
		case r == '"' && attribute:
			reference = "&#34;"
		case r == '\t' && attribute:
			reference = "&#9;"
		case r == '\n' && attribute:
			reference = "&#10;"
		case r < ' ' && r != '\t' && r != '\n', r == 0xfffe, r == 0xffff:
			return nil, ErrUnfit
		default:
			continue
		}
		dst = append(append(dst, v[done:i]...), reference...)
		done = i + 1
	}
	return append(dst, v[done:]...), nil
}
