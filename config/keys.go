package config

import (
	_ "embed"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// Example is config/postrider.yaml, the demonstration, with every key and a
// comment for each.
//
//go:embed postrider.yaml
var Example []byte

const envPrefix = "POSTRIDER_"

// key is one setting: what a flag or an environment variable sets.
type key struct {
	path  string
	typ   reflect.Type
	value any // the default
}

// whole reports whether the key is a list or a map, which a later place
// replaces as a whole and which has no flag.
func (k key) whole() bool {
	return k.typ.Kind() == reflect.Slice || k.typ.Kind() == reflect.Map
}

// env returns the environment variable of the key.
func (k key) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.path, ".", "__"))
}

// keys lists all settings in the order of Config.
func keys() []key {
	return collect("", reflect.ValueOf(*Default()), nil)
}

func collect(path string, v reflect.Value, found []key) []key {
	for f, field := range v.Fields() {
		at := join(path, keyOf(f))
		if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[Text]() {
			found = collect(at, field, found)
			continue
		}
		found = append(found, key{at, f.Type, field.Interface()})
	}
	return found
}

// Flags adds a flag to fs for every key that is a single value, and short forms
// for a few. Their values are checked by Load, together with everything else.
func Flags(fs *pflag.FlagSet) {
	short := map[string]string{
		"http.host": "host", "http.port": "port", "propagator.interval": "interval",
		"propagator.url": "url", "propagator.events_file": "events-file",
	}
	usage := usages()
	for _, k := range keys() {
		if k.whole() {
			continue
		}
		v := &flagValue{key: k, text: defaultText(k.value)}
		names := []string{k.path}
		if name := short[k.path]; name != "" {
			names = append(names, name)
		}
		for i, name := range names {
			text := usage[k.path]
			if i > 0 {
				text = "short for --" + k.path
			}
			// Both share one value, so that the last one on the command line wins.
			fs.VarP(v, name, "", text)
		}
	}
}

// flagValue keeps what was given as text; Load converts it.
type flagValue struct {
	key  key
	text string
}

func (v *flagValue) String() string { return v.text }

func (v *flagValue) Set(s string) error {
	v.text = s
	return nil
}

// Type is the placeholder in the help text.
func (v *flagValue) Type() string {
	switch v.key.typ {
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[Size]():
		return "size"
	case reflect.TypeFor[Text]():
		return "text"
	}
	return map[reflect.Kind]string{
		reflect.Bool: "bool", reflect.Int: "int", reflect.Float64: "number", reflect.String: "string",
	}[v.key.typ.Kind()]
}

func defaultText(v any) string {
	if d, ok := v.(time.Duration); ok {
		return shortDuration(d)
	}
	return fmt.Sprint(v)
}

// usages returns the comments of the example by key.
func usages() map[string]string {
	var doc yaml.Node
	texts := map[string]string{}
	if err := yaml.Unmarshal(Example, &doc); err != nil || len(doc.Content) == 0 {
		return texts
	}
	var walk func(path string, n *yaml.Node)
	walk = func(path string, n *yaml.Node) {
		if n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			at := join(path, n.Content[i].Value)
			texts[at] = strings.TrimPrefix(n.Content[i+1].LineComment, "# ")
			walk(at, n.Content[i+1])
		}
	}
	walk("", doc.Content[0])
	return texts
}
