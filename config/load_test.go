package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/config"
)

// write puts content in a new file and returns its path.
func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func flags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	fs.String("config", "", "not a key")
	config.Flags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatalf("Parse(%q): %v", args, err)
	}
	return fs
}

func load(t *testing.T, o config.Options) *config.Config {
	t.Helper()
	c, err := config.Load(o)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

// loadMistakes returns the mistakes as "path: problem" lines.
func loadMistakes(t *testing.T, o config.Options) []string {
	t.Helper()
	c, err := config.Load(o)
	if err == nil {
		t.Fatalf("Load accepted it")
	}
	if c != nil {
		t.Errorf("Load returned a Config beside the error")
	}
	if _, ok := errors.AsType[config.Mistakes](err); !ok {
		t.Fatalf("Load returned %T (%v); want Mistakes", err, err)
	}
	return strings.Split(err.Error(), "\n")
}

func TestLoadNothingGivesTheDefaults(t *testing.T) {
	got := load(t, config.Options{})
	if want := config.Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("Load({}) = %+v; want %+v", got, want)
	}
	if len(got.Gateways) > 0 || len(got.Routes) > 0 || got.Propagator.Enabled || got.Demo.Gateways || got.Log.Access {
		t.Errorf("the defaults switch something on: %+v", got)
	}
}

// Each setting of the event propagator and consumer is reachable from all three
// places, and gives the same there.
func TestEverySettingFromFileEnvironmentAndFlag(t *testing.T) {
	tests := []struct {
		key  string
		text string
		read func(c *config.Config) any
		want any
	}{
		{"propagator.interval", "7", func(c *config.Config) any { return c.Propagator.Interval }, 7 * time.Second},
		{"propagator.interval", "0.5", func(c *config.Config) any { return c.Propagator.Interval }, 500 * time.Millisecond},
		{"propagator.interval", "2m", func(c *config.Config) any { return c.Propagator.Interval }, 2 * time.Minute},
		{"propagator.url", "http://h.x/e", func(c *config.Config) any { return c.Propagator.URL.Value() }, "http://h.x/e"},
		{"propagator.events_file", "my.json", func(c *config.Config) any { return c.Propagator.EventsFile }, "my.json"},
		{"propagator.enabled", "true", func(c *config.Config) any { return c.Propagator.Enabled }, true},
		{"propagator.timeout", "3s", func(c *config.Config) any { return c.Propagator.Timeout }, 3 * time.Second},
		{"http.port", "8080", func(c *config.Config) any { return c.HTTP.Port }, 8080},
		{"http.host", "127.0.0.2", func(c *config.Config) any { return c.HTTP.Host }, "127.0.0.2"},
		{"http.body_limit", "1MiB", func(c *config.Config) any { return c.HTTP.BodyLimit }, config.MiB},
		{"storage.path", "/srv/p", func(c *config.Config) any { return c.Storage.Path }, "/srv/p"},
		{"storage.min_free", "1GB", func(c *config.Config) any { return c.Storage.MinFree }, config.Size(1e9)},
		{"storage.memtable", "8388608", func(c *config.Config) any { return c.Storage.Memtable }, 8 * config.MiB},
		{"storage.retention.events", "48h", func(c *config.Config) any { return c.Storage.Retention.Events }, 48 * time.Hour},
		{"delivery.rate", "1.5", func(c *config.Config) any { return c.Delivery.Rate }, 1.5},
		{"log.level", "debug", func(c *config.Config) any { return c.Log.Level }, "debug"},
	}
	for _, tt := range tests {
		names := strings.Split(tt.key, ".")
		yaml := ""
		for i, name := range names {
			yaml += strings.Repeat("  ", i) + name + ":"
			if i < len(names)-1 {
				yaml += "\n"
			}
		}
		places := map[string]config.Options{
			"file": {File: write(t, yaml+" "+tt.text+"\n")},
			"env": {Environ: []string{
				"POSTRIDER_" + strings.ToUpper(strings.ReplaceAll(tt.key, ".", "__")) + "=" + tt.text,
			}},
			"flag": {Flags: flags(t, "--"+tt.key, tt.text)},
		}
		for place, o := range places {
			if got := tt.read(load(t, o)); got != tt.want {
				t.Errorf("%s = %s by %s: got %v; want %v", tt.key, tt.text, place, got, tt.want)
			}
		}
	}
}

func TestShortFlags(t *testing.T) {
	c := load(t, config.Options{Flags: flags(t,
		"--port", "81", "--host", "::1", "--interval", "9", "--url", "http://a.example/", "--events-file", "e.json")})
	got := []any{c.HTTP.Port, c.HTTP.Host, c.Propagator.Interval, c.Propagator.URL.Value(), c.Propagator.EventsFile}
	want := []any{81, "::1", 9 * time.Second, "http://a.example/", "e.json"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("short flags give %v; want %v", got, want)
	}
	c = load(t, config.Options{Flags: flags(t, "--port", "81", "--http.port", "82")})
	if c.HTTP.Port != 82 {
		t.Errorf("--port 81 --http.port 82 gives %d; want the last one", c.HTTP.Port)
	}
}

func TestLaterPlacesWin(t *testing.T) {
	file := write(t, `
http: {port: 1, drain: 1s, body_limit: 2KiB}
delivery: {base_url: {env: BASE}}
gateways: {old: {}}
`)
	environ := []string{
		"POSTRIDER_HTTP__PORT=2", "POSTRIDER_HTTP__DRAIN=2s",
		`POSTRIDER_GATEWAYS={"new": {"rate": 1.5, "permanent": {"status": [400]}}}`,
		"BASE=http://base.example", "POSTRIDER_LOG__LEVEL=", "POSTRIDER_CONFIG=x.yaml", "POSTRIDER_KEY=k", "OTHER=1",
		`POSTRIDER_ROUTES=[{"match": {"event_type": "*"}, "gateway": "new", "message": "\ud83d\ude00"}]`,
	}
	c := load(t, config.Options{
		File: file, Environ: environ,
		Flags: flags(t, "--http.port=3", "--delivery.base_url", "http://flag.example/x"),
	})
	if c.HTTP.Port != 3 || c.HTTP.Drain != 2*time.Second || c.HTTP.BodyLimit != 2*config.KiB || c.Log.Level != "info" {
		t.Errorf("port, drain, body limit, level = %v %v %v %v; want 3 from the flag, 2s from the environment, "+
			"2KiB from the file, info by default", c.HTTP.Port, c.HTTP.Drain, c.HTTP.BodyLimit, c.Log.Level)
	}
	if _, kept := c.Gateways["old"]; kept || len(c.Gateways) != 1 {
		t.Errorf("gateways = %v; want those of the environment only", c.Gateways)
	}
	if got, _ := c.Gateway("new"); got.Rate != 1.5 || !slices.Equal(got.Declared.Permanent.Status, config.Statuses(400)) {
		t.Errorf("Gateway(new) = %+v; want the rate and the status of the environment", got)
	}
	if got := c.Delivery.BaseURL; got.Value() != "http://flag.example/x" || got.Secret() {
		t.Errorf("base_url = %v, secret %v; want the plain one of the flag", got, got.Secret())
	}
	if got := c.Routes[0].Message; got != "😀" {
		t.Errorf("message of the route = %q; want the character behind the escapes", got)
	}
}

func TestSecretsAreFetched(t *testing.T) {
	secret := write(t, "file-secret-0123456789\r\n")
	c := load(t, config.Options{
		File: write(t, `
http:
  host: 0.0.0.0
  keys: [{name: ops, env: OPS_KEY}, {name: ci, file: `+secret+`}]
propagator: {key: {env: POSTRIDER_OWN_NAME}}
gateways:
  a: {url: {env: A_URL}, headers: {Authorization: {file: `+secret+`}, X-Plain: plain}}
`),
		Environ: []string{
			"OPS_KEY=0123456789abcdef", "A_URL=https://hooks.example/services/T0", "POSTRIDER_OWN_NAME=pk",
		},
	})
	g, _ := c.Gateway("a")
	got := []string{
		c.HTTP.Keys[0].Name, c.HTTP.Keys[0].Secret.Value(), c.HTTP.Keys[1].Secret.Value(), c.Propagator.Key.Value(),
		g.URL.Value(), g.Headers["Authorization"].Value(), g.Headers["X-Plain"].Value(),
	}
	want := []string{
		"ops", "0123456789abcdef", "file-secret-0123456789", "pk",
		"https://hooks.example/services/T0", "file-secret-0123456789", "plain",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("values = %q; want %q", got, want)
	}
	fromFlag := load(t, config.Options{
		Environ: []string{"PK=pk"}, Flags: flags(t, "--propagator.key", "{env: PK}"),
	})
	if got := fromFlag.Propagator.Key.Value(); got != "pk" {
		t.Errorf("--propagator.key {env: PK} gives %q; want the content of PK", got)
	}
}

func TestGatewayResolution(t *testing.T) {
	c := load(t, config.Options{File: write(t, `
delivery: {base_url: "http://base.example/in/", max_attempts: 7, rate: 2, hold_after: 4}
gateways:
  plain:
  own: {url: "https://x.example/{{to}}?k=1", method: PUT, rate: 0, interval: 2m, body: {form: {}}, permanent: {status: [400, 410]}}
`)})
	got, ok := c.Gateway("plain")
	want := config.ResolvedGateway{
		Name: "plain", Declared: c.Gateways["plain"], URL: config.Plain("http://base.example/in/plain"), Method: "POST",
		MaxAttempts: 7, Interval: time.Minute, Timeout: 10 * time.Second, Concurrency: 16, Rate: 2,
		MaxHint: time.Hour, HoldAfter: 4,
	}
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("Gateway(plain) = %+v, %v; want %+v", got, ok, want)
	}
	got, _ = c.Gateway("own")
	if got.URL.Value() != "https://x.example/{{to}}?k=1" || got.Method != "PUT" || got.Rate != 0 ||
		got.Interval != 2*time.Minute || got.Body.JSON != nil || got.Body.Form == nil ||
		!slices.Equal(got.Declared.Permanent.Status, config.Statuses(400, 410)) {
		t.Errorf("Gateway(own) = %+v; want its own url, method, interval, form, statuses, and no rate", got)
	}
	if _, ok := c.Gateway("other"); ok {
		t.Error("Gateway(other) is declared; want not")
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "no.yaml")
	large := write(t, strings.Repeat("# large\n", 2<<20+1))
	tests := []struct{ name, file, want string }{
		{"missing", missing, missing + ": the configuration file cannot be read: no such file"},
		{"large", large, large + ": the file is larger than 16MiB"},
		{"syntax", write(t, "http:\n  port: 1\n\thost: a\n"), ":2: not valid YAML, here or on the next line: found a tab character"},
		{"unknown alias", write(t, "http: *canary\n"), "not valid YAML: unknown anchor …"},
		{"two documents", write(t, "http: {}\n---\nlog: {}\n"), "expected one YAML document"},
		{"a list", write(t, "[1]"), "expected keys with their values"},
		{"deep", write(t, strings.Repeat("{a: ", 100)+"1"+strings.Repeat("}", 100)), "nested too deeply"},
		{"cycle", write(t, "http: &a [*a, *a]"), "nested too deeply"},
	}
	for _, tt := range tests {
		got := loadMistakes(t, config.Options{File: tt.file, Environ: []string{"POSTRIDER_ROUTES=[{}]"}})
		if len(got) != 1 || !strings.Contains(got[0], tt.want) || strings.Contains(got[0], "canary") {
			t.Errorf("%s: mistakes %q; want just %q", tt.name, got, tt.want)
		}
	}
	for _, empty := range []string{"", "# nothing\n", "---\n"} {
		if got := load(t, config.Options{File: write(t, empty)}); !reflect.DeepEqual(got, config.Default()) {
			t.Errorf("file %q gives %+v; want the defaults", empty, got)
		}
	}
}

// Who asks for a filled file does not get one that was emptied to be written anew.
func TestFilledFile(t *testing.T) {
	for _, content := range []string{"", "\n", "# nothing\n", "---\n", "{}\n", "~\n"} {
		_, err := config.Load(config.Options{File: write(t, content), Filled: true})
		if err == nil || !strings.Contains(err.Error(), "the file is empty") {
			t.Errorf("file %q gives %v; want that it is empty", content, err)
		}
	}
	for _, file := range []string{"", write(t, "gateways: {}\n")} {
		if _, err := config.Load(config.Options{File: file, Filled: true}); err != nil {
			t.Errorf("file %q gives %v; want none", file, err)
		}
	}
}

func TestManyGatewaysLoadQuickly(t *testing.T) {
	var b strings.Builder
	b.WriteString("gateways:\n")
	for i := range 10_000 {
		fmt.Fprintf(&b, "  gw_%d: {url: 'https://h%d.example/', ", i, i)
		b.WriteString("headers: {X-A: b}, body: {form: {m: '{{message}}'}}}\n")
	}
	start := time.Now()
	c := load(t, config.Options{File: write(t, b.String())})
	t.Logf("10,000 gateways in %v", time.Since(start))
	if len(c.Gateways) != 10_000 {
		t.Errorf("%d gateways; want 10000", len(c.Gateways))
	}
	// Far above what it takes, to stay quiet on a busy machine, and far below
	// what anything that grows with the square takes.
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}
