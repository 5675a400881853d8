package dialect

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed presets/*.yaml
var presetFiles embed.FS

// Preset is the dialect of a known API, shipped inside: a declaration that a
// gateway starts from.
type Preset struct {
	Name        string
	Description string          // one line
	Source      []string        // where its facts are documented, URLs
	Settings    []PresetSetting // what it leaves to the gateway, in the order of the file
	Tree        map[string]any  // the declaration as a gateway would write it; of settings those that may be left out
	Text        string          // the file, with its comments
}

// PresetSetting is a constant that a preset expects of the gateway, {{settings.name}}
// in its templates.
type PresetSetting struct {
	Name     string
	About    string // what it is and where it comes from
	Secret   bool   // it is not for logs and listings
	Optional bool   // it may be left out and is empty then
	Default  string // what it is when it is left out; a setting with a default is optional
}

// presetKeys are the keys that a preset may have beside those that describe it.
var presetKeys = []string{
	"method", "url", "query", "headers", "auth", "body",
	"success", "permanent", "throttle", "length", "needs",
}

// Presets returns the names of all presets, sorted.
func Presets() []string {
	entries, err := presetFiles.ReadDir("presets")
	if err != nil {
		panic(err)
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = strings.TrimSuffix(entry.Name(), ".yaml")
	}
	slices.Sort(names)
	return names
}

// LookupPreset returns the preset of that name. It is the caller's to change.
func LookupPreset(name string) (Preset, bool) {
	if !slices.Contains(Presets(), name) {
		return Preset{}, false
	}
	text, err := presetFiles.ReadFile(path.Join("presets", name+".yaml"))
	if err != nil {
		panic(err)
	}
	p, err := parsePreset(name, text)
	if err != nil {
		panic(err)
	}
	return p, true
}

// parsePreset reads the file of a preset. Keys that it does not know are
// mistakes; what stands below them is checked when the declaration is compiled.
func parsePreset(name string, text []byte) (Preset, error) {
	p := Preset{Name: name, Text: string(text)}
	var file struct {
		Description string         `yaml:"description"`
		Source      []string       `yaml:"source"`
		Settings    yaml.Node      `yaml:"settings"`
		Rest        map[string]any `yaml:",inline"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&file); err != nil {
		return Preset{}, fmt.Errorf("read preset %s: %w", name, err)
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return Preset{}, fmt.Errorf("read preset %s: more than one document", name)
	}
	p.Description, p.Source, p.Tree = file.Description, file.Source, file.Rest
	if p.Description == "" || strings.Contains(p.Description, "\n") || len(p.Source) == 0 {
		return Preset{}, fmt.Errorf("read preset %s: no description in one line or no source", name)
	}
	for _, key := range sortedKeys(p.Tree) {
		if !slices.Contains(presetKeys, key) {
			return Preset{}, fmt.Errorf("read preset %s: unknown key %s", name, key)
		}
	}
	var err error
	if p.Settings, err = parseSettings(&file.Settings); err != nil {
		return Preset{}, fmt.Errorf("read preset %s: %w", name, err)
	}
	for _, s := range p.Settings {
		if !s.Optional {
			continue
		}
		if p.Tree["settings"] == nil {
			p.Tree["settings"] = map[string]any{}
		}
		p.Tree["settings"].(map[string]any)[s.Name] = s.Default
	}
	return p, nil
}

// parseSettings reads what a preset says of its settings, in that order.
func parseSettings(node *yaml.Node) ([]PresetSetting, error) {
	if node.IsZero() {
		return nil, nil
	}
	if node.Kind != yaml.MappingNode {
		return nil, errors.New("settings is not a map")
	}
	var settings []PresetSetting
	for i := 0; i+1 < len(node.Content); i += 2 {
		s := PresetSetting{Name: node.Content[i].Value}
		if node.Content[i+1].Kind != yaml.MappingNode {
			return nil, fmt.Errorf("settings.%s is not a map", s.Name)
		}
		var about map[string]any
		if err := node.Content[i+1].Decode(&about); err != nil {
			return nil, fmt.Errorf("settings.%s: %w", s.Name, err)
		}
		for _, key := range sortedKeys(about) {
			var ok bool
			switch key {
			case "about":
				s.About, ok = about[key].(string)
			case "secret":
				s.Secret, ok = about[key].(bool)
			case "optional":
				s.Optional, ok = about[key].(bool)
			case "default":
				s.Default, ok = about[key].(string)
			}
			if !ok {
				return nil, fmt.Errorf("settings.%s.%s is unknown or of the wrong kind", s.Name, key)
			}
		}
		if s.About == "" || slices.ContainsFunc(settings, func(other PresetSetting) bool { return other.Name == s.Name }) {
			return nil, fmt.Errorf("settings.%s has no about or is given twice", s.Name)
		}
		s.Optional = s.Optional || s.Default != ""
		settings = append(settings, s)
	}
	return settings, nil
}

// MergePreset lays the declaration of a gateway over that of its preset and
// returns what applies. Of query, headers and settings each name counts for
// itself; any other key of the gateway replaces the preset's whole. A null takes
// away what the preset has. Neither tree is changed; the result shares parts
// with both.
func MergePreset(preset, gateway map[string]any) map[string]any {
	merged := maps.Clone(preset)
	if merged == nil {
		merged = map[string]any{}
	}
	for key, over := range gateway {
		under, ours := merged[key].(map[string]any)
		names, theirs := over.(map[string]any)
		switch {
		case ours && theirs && (key == "query" || key == "settings"):
			merged[key] = overlay(under, names, func(a, b string) bool { return a == b })
		case ours && theirs && key == "headers":
			merged[key] = overlay(under, names, strings.EqualFold)
		case over == nil:
			delete(merged, key)
		default:
			merged[key] = over
		}
	}
	delete(merged, "preset")
	return merged
}

// overlay returns the entries of under with those of over in place of the ones
// whose names are the same. A null leaves none.
func overlay(under, over map[string]any, same func(a, b string) bool) map[string]any {
	both := maps.Clone(under)
	for name, value := range over {
		maps.DeleteFunc(both, func(other string, _ any) bool { return same(other, name) })
		if value != nil {
			both[name] = value
		}
	}
	return both
}
