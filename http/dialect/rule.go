package dialect

import (
	"bytes"
	"fmt"
	"strconv"
)

// Rule says something about the body of an answer. Just one of JSON, Text and
// Contains is set, and with JSON just one of Is, In, Not and Exists.
//
// Of a value that is not there only Exists says anything, and of a body that is not
// JSON no rule with JSON does: it does not hold, whatever it says.
type Rule struct {
	JSON   *string // a JSON pointer (RFC 6901); in it a * stands for every element or member: all must fit, and there must be one
	Is     *any    // the value is this one
	In     []any   // the value is one of these
	Not    *any    // the value is there and is another one
	Exists *bool   // the value is there, or is not

	Text     *string // the body is this text, spaces around it aside
	Contains *string // the body has this text in it
}

// Bounds of a list of rules.
const (
	maxRules    = 100
	maxRuleText = 4 << 10
)

// rule is a compiled [Rule].
type rule struct {
	by       by
	at       pointer // of a rule about JSON
	values   []any   // for is and isNot
	there    bool    // for exists
	contents []byte  // for text and contains
}

// by is what a rule judges by.
type by uint8

const (
	byValue     by = iota // one of the values
	byOther               // none of the values
	byExistence           // whether there is a value
	byText
	byPart // of the text
)

// rules compiles a list of rules.
func (c *compiler) rules(path string, declared []Rule) []rule {
	if len(declared) > maxRules {
		c.complain(path, "has more than %d rules", maxRules)
		return nil
	}
	var rules []rule
	for i, d := range declared {
		rules = append(rules, c.rule(fmt.Sprintf("%s[%d]", path, i), d))
	}
	return rules
}

func (c *compiler) rule(path string, d Rule) rule {
	if count(d.JSON != nil, d.Text != nil, d.Contains != nil) != 1 {
		c.complain(path, "must have just one of json, text and contains")
		return rule{}
	}
	verbs := count(d.Is != nil, d.In != nil, d.Not != nil, d.Exists != nil)
	switch {
	case d.JSON == nil && verbs > 0:
		c.complain(path, "is, in, not and exists are for json")
	case d.JSON != nil && verbs != 1:
		c.complain(path, "must have just one of is, in, not and exists")
	case d.Text != nil:
		return rule{by: byText, contents: bytes.TrimSpace(c.ruleText(path+".text", *d.Text))}
	case d.Contains != nil:
		if *d.Contains == "" {
			c.complain(path+".contains", "is empty, which every body has in it")
		}
		return rule{by: byPart, contents: c.ruleText(path+".contains", *d.Contains)}
	default:
		return c.ruleJSON(path, d)
	}
	return rule{}
}

func count(claims ...bool) (n int) {
	for _, holds := range claims {
		if holds {
			n++
		}
	}
	return n
}

func (c *compiler) ruleText(path, text string) []byte {
	if len(text) > maxRuleText {
		c.complain(path, "is longer than %d bytes", maxRuleText)
	}
	return []byte(text)
}

func (c *compiler) ruleJSON(path string, d Rule) rule {
	at, wrong := parsePointer(*d.JSON)
	if wrong != "" {
		c.complain(path+".json", "%s", wrong)
	}
	switch {
	case d.Is != nil:
		return rule{by: byValue, at: at, values: c.ruleValues(path+".is", *d.Is)}
	case d.Not != nil:
		return rule{by: byOther, at: at, values: c.ruleValues(path+".not", *d.Not)}
	case d.Exists != nil:
		return rule{by: byExistence, at: at, there: *d.Exists}
	case len(d.In) == 0:
		c.complain(path+".in", "is empty, so nothing is in it")
	}
	return rule{by: byValue, at: at, values: c.ruleValues(path+".in", d.In...)}
}

func (c *compiler) ruleValues(path string, values ...any) []any {
	left := maxValueNodes
	compiled := make([]any, 0, len(values))
	for i, v := range values {
		value, err := constantValue(v, &left)
		if err != nil {
			where := path
			if len(values) > 1 {
				where += "[" + strconv.Itoa(i) + "]"
			}
			c.complain(where, "%s", err)
			return nil
		}
		compiled = append(compiled, value)
	}
	return compiled
}

// needsJSON reports whether the rule can hold of JSON only.
func (r *rule) needsJSON() bool { return r.by <= byExistence }

// holds reports whether the rule holds of a body that was read to its end.
func (r *rule) holds(b *reading) bool {
	switch r.by {
	case byText:
		return bytes.Equal(bytes.TrimSpace(b.body), r.contents)
	case byPart:
		return bytes.Contains(b.body, r.contents)
	}
	document, is := b.document()
	return is && r.at.all(document, func(value any, there bool) bool {
		if r.by == byExistence {
			return there == r.there
		}
		return there && r.has(value) == (r.by == byValue)
	})
}

func (r *rule) has(value any) bool {
	for _, v := range r.values {
		if equal(value, v) {
			return true
		}
	}
	return false
}

// anyHolds reports whether one of the rules holds. Of a body that cannot be read
// none does.
func anyHolds(rules []rule, b *reading) bool {
	if !b.whole {
		return false
	}
	for i := range rules {
		if rules[i].holds(b) {
			return true
		}
	}
	return false
}
