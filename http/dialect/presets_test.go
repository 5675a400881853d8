package dialect

import (
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestPresets(t *testing.T) {
	files, err := filepath.Glob("presets/*")
	if err != nil {
		t.Fatal(err)
	}
	names := Presets()
	if len(names) != len(files) || !slices.IsSorted(names) {
		t.Errorf("Presets() = %v; want the %d files in presets, sorted", names, len(files))
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			p, ok := LookupPreset(name)
			if !ok {
				t.Fatalf("LookupPreset(%q) found nothing", name)
			}
			text, err := os.ReadFile("presets/" + name + ".yaml")
			if err != nil {
				t.Fatal(err)
			}
			if p.Name != name || p.Text != string(text) || !strings.HasPrefix(p.Text, "# ") {
				t.Errorf("LookupPreset(%q): name %q, text of %d bytes; want those of the file, which begins with its sources", name, p.Name, len(p.Text))
			}
			for _, source := range p.Source {
				if u, err := url.Parse(source); err != nil || u.Scheme != "https" || u.Host == "" {
					t.Errorf("source %q is not a URL", source)
				}
			}
			for _, mistake := range strangers(shape, "", p.Tree) {
				t.Error(mistake)
			}
			checkSettings(t, p)
		})
	}
	for _, name := range []string{"", "none", "../presets", "telegram.yaml"} {
		if _, ok := LookupPreset(name); ok {
			t.Errorf("LookupPreset(%q) found something", name)
		}
	}
}

// checkSettings compares the settings that a preset declares with those that it
// uses.
func checkSettings(t *testing.T, p Preset) {
	used := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, below := range v {
				walk(below)
			}
		case []any:
			for _, below := range v {
				walk(below)
			}
		case string:
			for _, m := range regexp.MustCompile(`\{\{\??settings\.([a-z_]+)}}`).FindAllStringSubmatch(v, -1) {
				used[m[1]] = true
			}
		}
	}
	walk(p.Tree)
	declared := map[string]bool{}
	defaults, _ := p.Tree["settings"].(map[string]any)
	for _, s := range p.Settings {
		declared[s.Name] = true
		if given, ok := defaults[s.Name]; ok != s.Optional || ok && given != s.Default {
			t.Errorf("settings.%s: the tree has %v, %v; want %q, %v", s.Name, given, ok, s.Default, s.Optional)
		}
	}
	if !maps.Equal(used, declared) {
		t.Errorf("settings used are %v, declared %v", used, declared)
	}
}

// shape is what a declaration may look like: a map of the keys, a list of what
// its elements may be, nil for anything.
var shape = map[string]any{
	"method": nil, "url": nil, "query": nil, "headers": nil, "settings": nil, "needs": nil,
	"auth": map[string]any{
		"basic": map[string]any{"user": nil, "password": nil}, "bearer": nil,
		"header": map[string]any{"name": nil, "value": nil}, "query": map[string]any{"name": nil, "value": nil},
		"hmac":              map[string]any{"secret": nil, "header": nil, "algorithm": nil, "encoding": nil, "prefix": nil},
		"standard_webhooks": map[string]any{"secret": nil, "previous": nil},
		"signature":         map[string]any{"key": nil, "text": nil, "algorithm": nil, "encoding": nil},
	},
	"body":      map[string]any{"json": nil, "form": nil, "xml": nil, "text": nil, "none": nil, "charset": nil},
	"success":   map[string]any{"status": nil, "body": []any{ruleShape}},
	"permanent": map[string]any{"status": nil, "body": []any{ruleShape}},
	"throttle": map[string]any{
		"status": nil, "body": []any{ruleShape}, "fixed": nil,
		"wait": []any{map[string]any{"header": nil, "body": nil, "unit": nil}},
	},
	"length": []any{map[string]any{"field": nil, "limit": nil, "unit": nil, "over": nil}},
}

var ruleShape = map[string]any{"json": nil, "is": nil, "in": nil, "not": nil, "exists": nil, "text": nil, "contains": nil}

// strangers returns what in v does not look like want.
func strangers(want any, path string, v any) (mistakes []string) {
	switch want := want.(type) {
	case map[string]any:
		m, ok := v.(map[string]any)
		if !ok {
			return []string{path + " is not a map"}
		}
		for key, below := range m {
			inside, known := want[key]
			if !known {
				mistakes = append(mistakes, "unknown key "+path+"."+key)
				continue
			}
			mistakes = append(mistakes, strangers(inside, path+"."+key, below)...)
		}
	case []any:
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, below := range list {
			mistakes = append(mistakes, strangers(want[0], path+"[]", below)...)
		}
	case nil:
		mistakes = leaves(path, v)
	}
	return mistakes
}

// leaves refuses what YAML knows and JSON does not, such as an unquoted date.
func leaves(path string, v any) (mistakes []string) {
	switch v := v.(type) {
	case map[string]any:
		for key, below := range v {
			mistakes = append(mistakes, leaves(path+"."+key, below)...)
		}
	case []any:
		for _, below := range v {
			mistakes = append(mistakes, leaves(path+"[]", below)...)
		}
	case nil, bool, int, float64, string:
	default:
		mistakes = append(mistakes, path+" is "+reflect.TypeOf(v).String())
	}
	return mistakes
}

func TestParsePresetRefuses(t *testing.T) {
	const head = "description: one line\nsource: [https://example.org]\n"
	if _, err := parsePreset("good", []byte(head+"settings: {a: {about: x, secret: true}, b: {about: y, default: z}}\nurl: https://example.org\n")); err != nil {
		t.Errorf("parsePreset(good) = %v", err)
	}
	for name, text := range map[string]string{
		"nothing":              "",
		"not a map":            "[]",
		"no description":       "source: [https://example.org]\n",
		"two lines":            "description: \"a\\nb\"\nsource: [https://example.org]\n",
		"no source":            "description: one line\n",
		"unknown key":          head + "urls: https://example.org\n",
		"a gateway's key":      head + "max_attempts: 3\n",
		"key given twice":      head + "url: a\nurl: b\n",
		"two documents":        head + "---\nurl: a\n",
		"settings as a list":   head + "settings: [a]\n",
		"setting as a text":    head + "settings: {a: token}\n",
		"setting without text": head + "settings: {a: {secret: true}}\n",
		"setting given twice":  head + "settings:\n  a: {about: x}\n  a: {about: y}\n",
		"unknown in setting":   head + "settings: {a: {about: x, required: true}}\n",
		"secret as a text":     head + "settings: {a: {about: x, secret: \"yes\"}}\n",
		"number as a default":  head + "settings: {a: {about: x, default: 1}}\n",
	} {
		if p, err := parsePreset("bad", []byte(text)); err == nil {
			t.Errorf("parsePreset(%s) = %+v; want an error", name, p)
		}
	}
}

func TestMergePreset(t *testing.T) {
	preset := func() map[string]any {
		return map[string]any{
			"url":      "https://example.org",
			"query":    map[string]any{"wait": "true", "sign": "{{signature}}"},
			"headers":  map[string]any{"Content-Type": "application/json; charset=utf-8", "X-A": "a"},
			"settings": map[string]any{"server": "https://example.org"},
			"auth":     map[string]any{"bearer": "{{settings.token}}"},
			"body":     map[string]any{"json": map[string]any{"text": "{{message}}"}},
			"success":  map[string]any{"status": []any{200}},
		}
	}
	tests := map[string]struct{ gateway, want map[string]any }{
		"nothing": {nil, map[string]any{}},
		"the preset's name and keys of its own": {
			map[string]any{"preset": "x", "rate": 1.5},
			map[string]any{"rate": 1.5},
		},
		"maps by name": {
			map[string]any{"query": map[string]any{"wait": "false", "b": "c"}, "settings": map[string]any{"token": "t"}},
			map[string]any{
				"query":    map[string]any{"wait": "false", "sign": "{{signature}}", "b": "c"},
				"settings": map[string]any{"server": "https://example.org", "token": "t"},
			},
		},
		"headers in any case": {
			map[string]any{"headers": map[string]any{"content-type": "application/json", "X-B": "b"}},
			map[string]any{"headers": map[string]any{"content-type": "application/json", "X-A": "a", "X-B": "b"}},
		},
		"query is case-sensitive": {
			map[string]any{"query": map[string]any{"Wait": "1"}},
			map[string]any{"query": map[string]any{"wait": "true", "Wait": "1", "sign": "{{signature}}"}},
		},
		"all else whole": {
			map[string]any{"url": "https://example.com", "auth": map[string]any{"basic": map[string]any{"user": "u"}}, "body": map[string]any{"text": "{{message}}"}},
			map[string]any{"url": "https://example.com", "auth": map[string]any{"basic": map[string]any{"user": "u"}}, "body": map[string]any{"text": "{{message}}"}},
		},
		"null takes away": {
			map[string]any{"auth": nil, "success": nil, "query": map[string]any{"sign": nil}, "headers": map[string]any{"x-a": nil}},
			map[string]any{
				"auth": nil, "success": nil, "query": map[string]any{"wait": "true"},
				"headers": map[string]any{"Content-Type": "application/json; charset=utf-8"},
			},
		},
		"a map that is none replaces": {
			map[string]any{"query": "a=b"},
			map[string]any{"query": "a=b"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			under, want := preset(), preset()
			for key, value := range tt.want {
				if want[key] = value; value == nil {
					delete(want, key)
				}
			}
			if got := MergePreset(under, tt.gateway); !reflect.DeepEqual(got, want) {
				t.Errorf("MergePreset(%v) =\n%v; want\n%v", tt.gateway, got, want)
			}
			if !reflect.DeepEqual(under, preset()) {
				t.Errorf("the preset is now %v", under)
			}
		})
	}
}
