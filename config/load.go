package config

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// Options says where the configuration comes from.
type Options struct {
	// File is the YAML file to read; empty reads none.
	File string
	// Filled refuses a file without any key: who saves it anew may have emptied it
	// and not written it yet.
	Filled bool
	// Environ is the environment as os.Environ returns it. Keys are read from
	// it, and every {env: NAME}.
	Environ []string
	// Preset lays what a gateway declares over its preset, and says which of the
	// settings of that are secrets. ok is false when there is no such preset: then
	// the gateway stays as it is. nil knows none.
	Preset Preset
	// Elsewhere reports whether a gateway may be declared elsewhere, so that routes may
	// name it. nil means that none is.
	Elsewhere func(name string) bool
	// Flags is a parsed set that Flags has been called with; nil for none.
	Flags *pflag.FlagSet
}

// Load reads the configuration: defaults, then the file, then the environment,
// then the flags. The later place wins for each key; gateways, routes,
// http.keys and http.hosts are replaced as a whole. The error is [Mistakes] unless it is a bug.
func Load(o Options) (*Config, error) {
	l := &loader{
		ko:      koanf.New("."),
		keys:    map[string]key{},
		whole:   map[string]any{},
		unknown: map[string]string{},
		environ: map[string]string{},
		preset:  o.Preset,

		secretSettings: map[string][]string{},
	}
	for _, k := range keys() {
		l.keys[k.path] = k
	}
	for _, variable := range o.Environ {
		name, value, _ := strings.Cut(variable, "=")
		l.environ[name] = value
	}
	if err := l.loadDefaults(); err != nil {
		return nil, err
	}
	fromFile, ok := l.readFile(o.File, o.Filled)
	if !ok {
		// The other places may depend on what the file says: judging them
		// without it would report mistakes that are none.
		return nil, l.report.err()
	}
	for _, read := range []func() (any, error){
		func() (any, error) { return fromFile, nil },
		func() (any, error) { return l.readEnviron(o.Environ) },
		func() (any, error) { return l.readFlags(o.Flags) },
	} {
		layer, err := read()
		if err != nil {
			return nil, err
		}
		if err := l.add(layer); err != nil {
			return nil, err
		}
	}
	c, err := l.decode()
	if err != nil {
		return nil, err
	}
	l.resolve(c)
	c.check(&l.report)
	c.checkTargets(&l.report, o.Elsewhere)
	if err := l.report.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// loader joins the places. Lists and maps by name bypass koanf: they are
// replaced, not merged, and koanf copies and flattens all it holds at each step,
// which takes seconds with 10,000 gateways.
type loader struct {
	report  report
	ko      *koanf.Koanf
	keys    map[string]key    // by path
	whole   map[string]any    // by path, the lists and maps
	unknown map[string]string // variables that name no key, with what to say
	environ map[string]string
	preset  Preset

	secretSettings map[string][]string // that presets call so, by gateway
}

func (l *loader) loadDefaults() error {
	flat := map[string]any{}
	for path, k := range l.keys {
		if k.whole() {
			continue
		}
		flat[path] = k.value
		if text, ok := k.value.(Text); ok {
			flat[path] = source{Plain: text.Value()}
		}
	}
	return l.ko.Load(confmap.Provider(flat, "."), nil)
}

func (l *loader) readFile(name string, filled bool) (any, bool) {
	if name == "" {
		return nil, true
	}
	content, err := readBounded(name, maxFile)
	if p, own := errors.AsType[problem](err); own {
		l.report.reject(name, "%s", p)
		return nil, false
	}
	if err != nil {
		l.report.reject(name, "the configuration file cannot be read: %s", reason(err))
		return nil, false
	}
	d := document{name: name, report: &l.report}
	v, ok := d.readYAML("", content)
	found, isMap := v.(map[string]any)
	if ok && v != nil && !isMap {
		l.report.reject(name, "expected keys with their values")
		return nil, false
	}
	if ok && filled && len(found) == 0 {
		l.report.reject(name, "the file is empty; expected at least one key")
		return nil, false
	}
	return v, ok
}

// foreign are variables of the commands: where the configuration is, and the API
// key of those that talk to a server.
var foreign = []string{envPrefix + "CONFIG", envPrefix + "KEY"}

// readEnviron returns the keys of the environment, nested.
func (l *loader) readEnviron(environ []string) (any, error) {
	names := map[string]string{}
	for path, k := range l.keys {
		names[k.env()] = path
	}
	return env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			if value == "" || slices.Contains(foreign, name) {
				return "", nil
			}
			path, known := names[name]
			if !known {
				l.unknown[name] = l.hint(name, names)
				return "", nil
			}
			v, ok := l.parse(l.keys[path], value)
			if !ok {
				return "", nil
			}
			return path, v
		},
	}).Read()
}

// hint says what to write in place of a variable that names no key.
func (l *loader) hint(name string, names map[string]string) string {
	for known, path := range names {
		if l.keys[path].whole() && strings.HasPrefix(name, known+"__") {
			return "write all of " + path + " as one JSON value in " + known
		}
		if strings.ReplaceAll(known, "_", "") == strings.ReplaceAll(name, "_", "") {
			return "is not a known variable; write " + known
		}
	}
	return "is not a known variable"
}

// readFlags returns the keys that were given on the command line, nested.
func (l *loader) readFlags(fs *pflag.FlagSet) (any, error) {
	if fs == nil {
		return nil, nil
	}
	return posflag.ProviderWithFlag(fs, ".", l.ko, func(f *pflag.Flag) (string, any) {
		given, ok := f.Value.(*flagValue)
		if !ok || !f.Changed {
			return "", nil
		}
		v, ok := l.parse(given.key, given.text)
		if !ok {
			return "", nil
		}
		return given.key.path, v
	}).Read()
}

// parse turns the text of a variable or flag into what a file would hold.
// Scalars stay text.
func (l *loader) parse(k key, text string) (any, bool) {
	d := document{name: k.path, report: &l.report}
	switch {
	case k.whole():
		return d.readJSON(k.path, text)
	case k.typ == reflect.TypeFor[Text]() && strings.HasPrefix(strings.TrimSpace(text), "{"):
		return d.readYAML(k.path, []byte(text))
	}
	return text, true
}

// add lays one place over those before it.
func (l *loader) add(layer any) error {
	if layer == nil {
		return nil
	}
	l.mergePresets(layer)
	clean, ok := l.report.clean("", layer, reflect.TypeFor[Config]())
	if !ok {
		return nil
	}
	m, _ := clean.(map[string]any)
	for path, k := range l.keys {
		if k.whole() {
			l.takeWhole(m, path)
		}
	}
	return l.ko.Load(confmap.Provider(m, ""), nil)
}

// mergePresets gives each gateway that names a preset what comes out of both. It is
// done before anything is checked, so that what a preset has is checked alike, and
// a null can take something of it away.
func (l *loader) mergePresets(layer any) {
	m, _ := layer.(map[string]any)
	gateways, _ := m["gateways"].(map[string]any)
	if len(gateways) == 0 || l.preset == nil {
		return
	}
	clear(l.secretSettings)
	for name, v := range gateways {
		gateway, _ := v.(map[string]any)
		preset, named := gateway["preset"].(string)
		if !named {
			continue
		}
		merged, secrets, ok := l.preset(preset, gateway)
		if !ok {
			continue
		}
		merged["preset"] = preset
		gateways[name], l.secretSettings[name] = merged, secrets
	}
}

func (l *loader) takeWhole(m map[string]any, path string) {
	names := strings.Split(path, ".")
	last := len(names) - 1
	for _, name := range names[:last] {
		m, _ = m[name].(map[string]any)
	}
	if v, ok := m[names[last]]; ok {
		l.whole[path] = v
		delete(m, names[last])
	}
}
