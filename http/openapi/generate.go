package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// Generator makes requests: most of them nearly right. It is for one goroutine.
type Generator struct {
	*rand.Rand
	doc   *Document
	stock *Stock
}

// NewGenerator returns one that makes the same of the same seed and stock.
func NewGenerator(d *Document, s *Stock, seed uint64) Generator {
	return Generator{rand.New(rand.NewPCG(7, seed)), d, s}
}

// words are values that somebody might send anywhere.
func words() []string {
	return []string{
		"", "x", "0", "1", "-1", "7", "1000", "1001", "99999999999999999999", "1.5", "true", "null", "gateway_1", "gateway_99", "nobody", "queued",
		"dead", "failed", "refused", "m1", "m99", "../..", "%00", "<script>", "a b", "\x00\x01\x7f", "\xff\xfe", "ä\u202e\U0001F600", "10m", "800h",
		"2026-03-04T12:00:00Z", "2026-13-40T99:00:00Z", "000g000000001", "0000000000000",
		"000g00000000", strings.Repeat("z", 300), strings.Repeat("é", 5000), "{{message}}", `"`, `\`, "\r\nX-Evil: 1",
	}
}

func pick[T any](g Generator, of []T) T { return of[g.IntN(len(of))] }

// value makes something that a schema takes, or nearly so, for what has a name.
func (g Generator) value(name string, schema map[string]any, depth int) any {
	kind := ""
	if to, ok := schema["$ref"].(string); ok {
		kind = to[strings.LastIndexByte(to, '/')+1:]
		schema, _ = g.doc.object(strings.TrimPrefix(to, "#/"))
	}
	if g.IntN(12) == 0 || depth > 4 {
		return pick(g, []any{nil, true, 1.5, -1, "", pick(g, words()), []any{}, []any{nil}, map[string]any{}, map[string]any{"a": map[string]any{}}})
	}
	enum, closed := schema["enum"].([]any)
	// Of a closed list the stock may leave something out. A whole body is as often made of
	// its parts.
	if known, ok := g.stock.pick(g.Rand, name, kind); ok && (closed || g.IntN(5) > 0 && (depth > 0 || g.IntN(2) == 0)) {
		return known
	}
	if closed {
		return pick(g, enum)
	}
	if of, ok := schema["oneOf"].([]any); ok {
		return g.value(name, pick(g, of).(map[string]any), depth)
	}
	if all, ok := schema["allOf"].([]any); ok {
		return g.together(name, all, depth)
	}
	switch schema["type"] {
	case "object":
		return g.thing(schema, depth)
	case "array":
		list := make([]any, g.IntN(4))
		for i := range list {
			list[i] = g.value("", schema["items"].(map[string]any), depth+1)
		}
		return list
	case "integer":
		return g.IntN(1100) - 50
	case "boolean":
		return g.IntN(2) == 0
	}
	if schema["format"] == "date-time" {
		return time.Now().Add(time.Duration(g.IntN(120)-100) * time.Second).UTC().Format(time.RFC3339)
	}
	return strings.ToValidUTF8(pick(g, words()), "?")
}

// together makes an object of several schemas.
func (g Generator) together(name string, all []any, depth int) any {
	made := make(map[string]any)
	for _, schema := range all {
		part, ok := g.value(name, schema.(map[string]any), depth).(map[string]any)
		if !ok {
			return g.value(name, schema.(map[string]any), depth)
		}
		maps.Copy(made, part)
	}
	return made
}

func (g Generator) thing(schema map[string]any, depth int) any {
	made := make(map[string]any)
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if g.IntN(10) < 3 || slices.Contains(required, any(name)) && g.IntN(10) > 0 {
			made[name] = g.value(name, properties[name].(map[string]any), depth+1)
		}
	}
	if more, ok := schema["additionalProperties"].(map[string]any); ok {
		for range g.IntN(4) {
			made[strings.ToValidUTF8(pick(g, words()), "?")] = g.value("", more, depth+1)
		}
	}
	if g.IntN(15) == 0 {
		made[pick(g, []string{"x", "Message", "EVENT_TYPE", "__proto__", ""})] = 1
	}
	return made
}

// body makes a body, sometimes one that is no JSON. What names an address is not damaged:
// it might come to name that of somebody else.
func (g Generator) body(o Operation) []byte {
	content, _ := g.doc.object(o.pointer() + "/requestBody/content")
	of, _ := content["application/json"].(map[string]any)
	schema, _ := of["schema"].(map[string]any) // with its reference: the stock may have one of that kind
	if schema == nil || g.IntN(20) == 0 {
		return []byte(pick(g, words()))
	}
	body, err := json.Marshal(g.value("", schema, 0))
	if err != nil {
		panic(err) // strings, numbers and what holds them always marshal
	}
	if strings.Contains(string(body), "://") {
		return body
	}
	switch g.IntN(25) {
	case 0:
		return body[:g.IntN(len(body)+1)]
	case 1:
		return append(body, body...)
	case 2:
		body[g.IntN(len(body))] ^= byte(1 << g.IntN(8))
	}
	return body
}

// Fill puts a request of an operation together.
func (g Generator) Fill(r *fasthttp.Request, o Operation) {
	r.Header.SetMethod(o.Method)
	if g.IntN(30) == 0 {
		r.Header.SetMethod(pick(g, []string{"HEAD", "PUT", "DELETE", "BREW", "OPTIONS", "GET", "POST"}))
	}
	path, query := o.Path, []string(nil)
	parameters, _ := g.doc.At(o.pointer() + "/parameters")
	list, _ := parameters.([]any)
	for i := range list {
		parameter, _ := g.doc.object(strings.TrimPrefix(list[i].(map[string]any)["$ref"].(string), "#/"))
		name := parameter["name"].(string)
		switch parameter["in"] {
		case "path":
			path = strings.Replace(path, "{"+name+"}", inURL(g.text(parameter)), 1)
		case "query":
			for g.IntN(3) == 0 {
				query = append(query, name+"="+inURL(g.text(parameter)))
			}
		case "header":
			if g.IntN(3) == 0 {
				r.Header.Set(name, g.text(parameter))
			}
		}
	}
	if g.IntN(15) == 0 {
		query = append(query, inURL(pick(g, words()))+"="+inURL(pick(g, words())))
	}
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	r.SetRequestURI(path)
	g.headers(r)
	if o.Method == fasthttp.MethodPost || o.Method == fasthttp.MethodPut {
		r.SetBodyRaw(g.body(o))
	}
}

// text makes the value of a parameter.
func (g Generator) text(parameter map[string]any) string {
	if g.IntN(6) == 0 {
		return pick(g, words())
	}
	if value := g.value(parameter["name"].(string), parameter["schema"].(map[string]any), 1); value != nil {
		return fmt.Sprint(value)
	}
	return ""
}

// headers adds those that the document does not list with each operation.
func (g Generator) headers(r *fasthttp.Request) {
	for _, name := range []string{"Authorization", "Host", "Origin"} {
		if value, ok := g.stock.pick(g.Rand, name); ok && value != "" {
			r.Header.Set(name, value.(string))
		}
	}
	for _, h := range []struct {
		name   string
		values []string
	}{
		{"Content-Encoding", []string{"", "", "", "", "", "", "", "", "", "", "identity", "gzip"}},
		{"Content-Type", []string{"", "application/json", "multipart/form-data; boundary=x", "text/plain"}},
		{"X-Request-Id", []string{"", "mine", "a b"}},
	} {
		if value := pick(g, h.values); value != "" {
			r.Header.Set(h.name, value)
		}
	}
}

// inURL writes a word so that it gets into a URL as it is. Letters and digits stand for
// themselves: ids and names are not looked for in another way of writing.
func inURL(word string) string {
	var b strings.Builder
	for _, c := range []byte(word) {
		if strings.IndexByte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}
