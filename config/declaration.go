package config

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// leastSecret is how long a value must be to be hidden for no other reason than that
// it was given over the API: what is shorter would hide words that mean something
// wherever else they stand.
const leastSecret = 6

// root is what paths begin with while a declaration is read.
const root = "gateway"

// Preset is what [Options] has.
type Preset = func(name string, gateway map[string]any) (merged map[string]any, secrets []string, ok bool)

// ReadGateway reads a gateway from a JSON object with the keys of gateways.NAME, as
// it is declared over the API. It is checked like one of the configuration, and must
// have a URL. Its texts are taken as they are, and most of what is given of url,
// headers, query and settings is a secret. The error is [Mistakes] with paths below
// the gateway, unless it is a bug.
func (d Delivery) ReadGateway(declaration []byte, preset Preset) (Gateway, error) {
	r := report{plain: true}
	g, err := d.readGateway(&r, declaration, preset)
	if err != nil {
		return Gateway{}, err
	}
	for i, m := range r.mistakes {
		r.mistakes[i].Path = strings.TrimPrefix(strings.TrimPrefix(m.Path, root), ".")
	}
	if err := r.err(); err != nil {
		return Gateway{}, err
	}
	return g, nil
}

func (d Delivery) readGateway(r *report, declaration []byte, preset Preset) (g Gateway, err error) {
	doc := document{name: root, report: r}
	v, ok := doc.readJSON(root, string(declaration))
	if !ok {
		return g, nil
	}
	given, ok := v.(map[string]any)
	if !ok {
		r.reject(root, "expected keys with their values")
		return g, nil
	}
	merged, secrets := given, []string(nil)
	if name, named := given["preset"].(string); named && preset != nil {
		if m, s, known := preset(name, given); known {
			merged, secrets = m, s
			merged["preset"] = name
		}
	}
	clean, ok := r.clean(root, merged, reflect.TypeFor[Gateway]())
	if !ok {
		return g, nil
	}
	if err := decodeInto(clean, &g); err != nil {
		return g, err
	}
	g.normalize()
	g.texts(root, secrets, func(_ string, t *Text, secret bool) { t.secret = secret && t.value != "" })
	g.conceal(given)
	r.require(g.URL.value != "", root+".url", "is missing: a gateway that is declared over the API has one of its own")
	g.check(r, root)
	g.checkLimits(r, root, d.AllowShortInterval)
	return g, nil
}

// conceal makes secrets of what was given. What a preset says is known to everybody.
func (g *Gateway) conceal(given map[string]any) {
	if _, own := given["url"]; own {
		g.URL.secret = g.URL.value != ""
	}
	for field, texts := range map[string]map[string]Text{"headers": g.Headers, "query": g.Query, "settings": g.Settings} {
		own, _ := given[field].(map[string]any)
		for name := range own {
			if t, ok := texts[name]; ok && len(t.value) >= leastSecret && !onlyTemplate.MatchString(t.value) {
				t.secret = true
				texts[name] = t
			}
		}
	}
}

// Pointers returns what makes JSON pointers (RFC 6901) into a JSON text of the paths
// that [Delivery.ReadGateway] and others have for it.
func Pointers(document []byte) func(path string) string {
	var whole any
	if json.Unmarshal(document, &whole) != nil {
		whole = nil // then the paths are taken at their word
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	return func(path string) string {
		var pointer strings.Builder
		at := whole
		for path = strings.TrimPrefix(path, "."); path != ""; path = strings.TrimPrefix(path, ".") {
			var token string
			var there bool
			if token, path, at, there = step(at, path); there {
				pointer.WriteString("/" + escape.Replace(token))
			}
		}
		return pointer.String()
	}
}

// step takes the first key or index off a path, and returns what is there in v. An
// index into what is no list is left out: where a list may be, one of its items may
// stand for it. Names may have dots in them, so what is there decides.
func step(v any, path string) (token, rest string, next any, there bool) {
	if path[0] == '[' {
		number, rest, _ := strings.Cut(path[1:], "]")
		if isMap(v) {
			return "", rest, v, false
		}
		list, _ := v.([]any)
		if i, err := strconv.Atoi(number); err == nil && i >= 0 && i < len(list) {
			next = list[i]
		}
		return number, rest, next, true
	}
	m, _ := v.(map[string]any)
	longest := 0
	for key := range m {
		for _, form := range []string{key, join("", key)} {
			if len(form) > longest && strings.HasPrefix(path, form) && (len(path) == len(form) || strings.IndexByte(".[", path[len(form)]) >= 0) {
				longest, token, rest, next = len(form), key, path[len(form):], m[key]
			}
		}
	}
	if longest > 0 {
		return token, rest, next, true
	}
	if quoted, err := strconv.QuotedPrefix(path); err == nil {
		if token, err = strconv.Unquote(quoted); err == nil {
			return token, path[len(quoted):], nil, true
		}
	}
	end := strings.IndexAny(path, ".[")
	if end <= 0 {
		end = len(path)
	}
	return path[:end], path[end:], nil, true
}
