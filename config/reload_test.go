package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/postrider/postrider/config"
)

func TestNeedsRestart(t *testing.T) {
	secret := write(t, "file-secret-0123456789\n")
	base := `
http: {keys: [{name: ops, env: KEY}]}
propagator: {url: {env: URL}}
delivery: {base_url: "http://a.example"}
gateways: {a: {rate: 1, url: "http://a.example"}}
routes: [{match: {event_type: "*"}, gateway: a, message: b}]
`
	environ := []string{"KEY=canary-0123456789ab", "URL=http://h.example/canary"}
	tests := []struct {
		name    string
		edit    *strings.Replacer
		environ []string
		want    []string
	}{
		{"nothing", strings.NewReplacer(), environ, nil},
		{"the order of keys", strings.NewReplacer("propagator: {url: {env: URL}}\n", "", "\nhttp", "\npropagator: {url: {env: URL}}\nhttp"), environ, nil},
		{"gateways", strings.NewReplacer("rate: 1", "rate: 2, permanent: {status: [400]}"), environ, nil},
		{"routes", strings.NewReplacer("message: b", "message: c"), environ, nil},
		{"delivery", strings.NewReplacer(`base_url: "http://a.example"`, "interval: 2m, hold_after: 3, rate: 5, max_queue: 7"), environ, nil},
		{"in flight", strings.NewReplacer("delivery: {", "delivery: {max_in_flight: 8, "), environ, []string{"delivery.max_in_flight"}},
		{"a default spelt out", strings.NewReplacer("delivery: {", "delivery: {max_in_flight: 4096, "), environ, nil},
		{"one of a section", strings.NewReplacer("http: {", "http: {port: 5001, "), environ, []string{"http.port"}},
		{"deep", strings.NewReplacer("http: {", "storage: {retention: {dead: 1h}}\nhttp: {"), environ, []string{"storage.retention.dead"}},
		{"a secret behind the same name", strings.NewReplacer(), []string{"KEY=other-canary-0123456789", "URL=http://h.example/other"}, []string{"propagator.url"}},
		{"where a secret stands", strings.NewReplacer("env: KEY", "file: "+secret), environ, nil},
		{"who is let in", strings.NewReplacer("env: KEY}]", "env: KEY, scopes: [read]}], hosts: [h.example], allow_anonymous: true"), environ, nil},
		{"where a secret of the propagator stands", strings.NewReplacer("url: {env: URL}", "url: {env: URL}, key: {file: "+secret+"}"), environ, []string{"propagator.key"}},
		{"files of the server", strings.NewReplacer("http: {", "http: {tls: {certificate: a, key: b}, "), environ, []string{"http.tls.certificate", "http.tls.key"}},
		{
			"several", strings.NewReplacer("http: {", "log: {level: debug}\ndemo: {gateways: true}\nstorage: {path: other}\nhttp: {", "rate: 1", "rate: 2"), environ,
			[]string{"storage.path", "log.level", "demo.gateways"},
		},
	}
	before := load(t, config.Options{File: write(t, base), Environ: environ})
	for _, tt := range tests {
		after := load(t, config.Options{File: write(t, tt.edit.Replace(base)), Environ: tt.environ})
		got := before.NeedsRestart(after)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: NeedsRestart() = %q; want %q", tt.name, got, tt.want)
		}
		if back := after.NeedsRestart(before); !slices.Equal(back, got) {
			t.Errorf("%s: NeedsRestart() the other way = %q; want %q", tt.name, back, got)
		}
	}
}
