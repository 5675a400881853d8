package config

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/v2"
)

// decode turns what all places said together into a Config. The values are
// clean, so that an error is a bug.
func (l *loader) decode() (*Config, error) {
	c := &Config{}
	conf := decoding()
	err := l.ko.UnmarshalWithConf("", c, koanf.UnmarshalConf{Tag: "yaml", DecoderConfig: &conf})
	if err != nil {
		return nil, fmt.Errorf("decode configuration: %w", err)
	}
	for path, into := range map[string]any{
		"http.hosts": &c.HTTP.Hosts, "http.keys": &c.HTTP.Keys, "delivery.api_networks": &c.Delivery.APINetworks, "gateways": &c.Gateways, "routes": &c.Routes,
	} {
		if err := decodeInto(l.whole[path], into); err != nil {
			return nil, fmt.Errorf("decode %s: %w", path, err)
		}
	}
	c.normalize()
	return c, nil
}

// decoding is how clean values are decoded.
func decoding() mapstructure.DecoderConfig {
	return mapstructure.DecoderConfig{
		TagName:     "yaml",
		ErrorUnused: true,
		MatchName:   func(a, b string) bool { return a == b },
		DecodeHook: func(_, to reflect.Type, v any) (any, error) {
			s, ok := v.(source)
			if !ok || to != reflect.TypeFor[Text]() {
				return v, nil
			}
			return Text{value: s.Plain, from: source{Env: s.Env, File: s.File}}, nil
		},
	}
}

func decodeInto(clean, into any) error {
	conf := decoding()
	conf.Result = into
	d, err := mapstructure.NewDecoder(&conf)
	if err != nil {
		return err
	}
	return d.Decode(clean)
}

// normalize gives what is empty one form.
func (c *Config) normalize() {
	if c.Gateways == nil {
		c.Gateways = map[string]Gateway{}
	}
	for name, g := range c.Gateways {
		g.normalize()
		c.Gateways[name] = g
	}
	if len(c.HTTP.Keys) == 0 {
		c.HTTP.Keys = nil
	}
	if len(c.HTTP.Hosts) == 0 {
		c.HTTP.Hosts = nil
	}
	for i, k := range c.HTTP.Keys {
		if k.Scopes == nil {
			c.HTTP.Keys[i].Scopes = []string{scopeAdmin}
		}
	}
	if len(c.Delivery.APINetworks) == 0 {
		c.Delivery.APINetworks = nil
	}
	if len(c.Routes) == 0 {
		c.Routes = nil
	}
	for i, r := range c.Routes {
		if len(r.Params) == 0 {
			c.Routes[i].Params = nil
		}
		if len(r.Match.Payload) == 0 {
			c.Routes[i].Match.Payload = nil
		}
	}
}

func (g *Gateway) normalize() {
	if len(g.Permanent.Status) == 0 {
		g.Permanent.Status = nil
	}
	if len(g.Permanent.Body) == 0 {
		g.Permanent.Body = nil
	}
}

// resolve fetches secrets from where they stand, marks what is to be masked,
// and reports the variables that are neither keys nor named as a secret.
func (l *loader) resolve(c *Config) {
	c.texts(l.secretSettings, func(path string, t *Text, secret bool) {
		if t.from.Env != "" {
			delete(l.unknown, t.from.Env)
		}
		if err := t.resolve(l.environ); err != nil {
			l.report.reject(path, "%s", err)
		}
		t.secret = t.secret || secret && t.value != ""
	})
	for name, hint := range l.unknown {
		l.report.reject(join("", name), "%s", hint)
	}
}

// texts visits every Text; secret is true where the place alone makes it one.
// secretSettings has the settings that presets call secrets, by gateway.
func (c *Config) texts(secretSettings map[string][]string, visit func(path string, t *Text, secret bool)) {
	for i := range c.HTTP.Keys {
		visit(index("http.keys", i), &c.HTTP.Keys[i].Secret, true)
		visit(index("http.keys", i), &c.HTTP.Keys[i].Hash, true)
	}
	visit("propagator.url", &c.Propagator.URL, false)
	visit("propagator.key", &c.Propagator.Key, true)
	visit("delivery.base_url", &c.Delivery.BaseURL, false)
	for name, g := range c.Gateways {
		g.texts(join("gateways", name), secretSettings[name], visit)
		c.Gateways[name] = g
	}
}

// texts visits every Text of a gateway.
func (g *Gateway) texts(at string, secretSettings []string, visit func(path string, t *Text, secret bool)) {
	visit(at+".url", &g.URL, false)
	visitMap(at+".headers", g.Headers, tellsSecret, visit)
	visitMap(at+".query", g.Query, tellsSecret, visit)
	visitMap(at+".settings", g.Settings, func(setting string) bool {
		return tellsSecret(setting) || slices.Contains(secretSettings, setting)
	}, visit)
	if g.Auth != nil {
		g.Auth.texts(at+".auth", visit)
	}
	if g.TLS != nil {
		visit(at+".tls.certificate", &g.TLS.Certificate, false)
		visit(at+".tls.key", &g.TLS.Key, true)
		visit(at+".tls.ca", &g.TLS.CA, false)
	}
}

func visitMap(at string, m map[string]Text, secret func(name string) bool, visit func(path string, t *Text, secret bool)) {
	for name, t := range m {
		visit(join(at, name), &t, secret(name) && !onlyTemplate.MatchString(t.value))
		m[name] = t
	}
}
