package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/postrider/postrider/config"
)

func printed(t *testing.T, c *config.Config) string {
	t.Helper()
	var b strings.Builder
	if err := config.Print(&b, c); err != nil {
		t.Fatalf("Print: %v", err)
	}
	return b.String()
}

func TestPrintLoadsAgain(t *testing.T) {
	first := load(t, config.Options{File: write(t, `
http: {port: 0, drain: 90m}
propagator: {url: "http://h.example/event", interval: 1.25}
storage: {min_free: 300MB, retention: {events: 36h, delivered: 1h2m3s}}
delivery: {base_url: "http://h.example/in", rate: 0.25}
gateways:
  none:
  json:
    url: "https://h.example/{{to}}/send"
    method: PUT
    headers: {X-Trace: "yes", X-Time: 60m}
    body: {json: {a: [1, 2.5, true, null, "1", {interval: 60m}], b: {}}}
    max_attempts: 1
    interval: 61s
    timeout: 1m
    concurrency: 1
    rate: 0
    max_queue: 5
    max_hint: 0s
    hold_after: 0
    permanent: {status: [410, 400]}
  form: {body: {form: {interval: 60m, n: "5", empty: ""}}}
  emptyform: {body: {form: {}}}
  text: {body: {text: ""}}
  never: {permanent: {status: []}}
  xml: {body: {xml: {a: {"@id": "1", b: ["x", "y"]}}, charset: iso-8859-1}}
  get: {body: {none: true}, method: GET}
  rules:
    preset: none
    settings: {chat: "1", interval: 60m}
    query: {a: "{{message}}"}
    auth: {basic: {user: me}}
    success: {status: [200, "202-204"], body: [{json: /a, is: null}, {json: /b, not: null}, {json: "", in: [1, null, {c: [2]}]}, {text: ok}]}
    permanent: {status: ["500-599"], body: [{json: /e, exists: true}]}
    throttle: {status: [420], body: [{contains: fast}], wait: [{header: X-A, unit: unix}, {body: ""}], fixed: 90m}
    length: {field: title, limit: 10, unit: bytes, over: truncate}
    needs: [to, params.order]
    keep_answer: true
routes:
  - {match: {event_type: "a*?"}, gateway: json, message: "{{event_payload}}: é \" \n"}
`)})
	text := printed(t, first)
	second := load(t, config.Options{File: write(t, text)})
	if !reflect.DeepEqual(first, second) {
		t.Errorf("Load(Print(c)) = %s; want %s", printed(t, second), text)
	}
	for _, want := range []string{"drain: 1h30m\n", "delivered: 1h2m3s\n", "min_free: 300MB\n", "interval: 60m\n", "status: [410, 400]\n", "status: [200, 202-204]\n", "is: null", "fixed: 1h30m\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("Print lacks %q:\n%s", want, text)
		}
	}
}

// No way of printing a Config or an error shows a secret.
func TestSecretsNeverShow(t *testing.T) {
	const canary = "canary0123456789"
	secret := write(t, canary+"\n")
	o := config.Options{
		File: write(t, `
http: {keys: [{name: ops, env: KEY}]}
propagator: {url: "http://me:`+canary+`@h.example/e?k=`+canary+`&`+canary+`#`+canary+`", key: {file: `+secret+`}}
delivery: {base_url: {env: URL}}
gateways:
  a: {url: {env: URL}, headers: {Authorization: `+canary+`, X-My-Token: `+canary+`, X-B: {env: KEY}, cookie: `+canary+`}}
  b: {url: "https://`+canary+`@h.example/x?chat={{to}}&token=`+canary+`"}
  c:
  d:
    settings: {api_token: `+canary+`, x: {env: KEY}}
    query: {sign: `+canary+`, y: {env: KEY}}
    auth: {bearer: `+canary+`, basic: {user: me, password: `+canary+`}, header: {name: X, value: `+canary+`}, query: {name: x, value: `+canary+`},
      hmac: {secret: `+canary+`, header: X}, standard_webhooks: {secret: `+canary+`, previous: `+canary+`}, signature: {key: `+canary+`},
      oauth2: {token_url: "https://me:`+canary+`@id.example/", client_id: me, client_secret: `+canary+`}}
    tls: {key: `+canary+`}
`),
		Environ: []string{"KEY=" + canary, "URL=https://u:" + canary + "@hooks.example/" + canary},
	}
	c := load(t, o)
	a, _ := c.Gateway("a")
	inherited, _ := c.Gateway("c")
	var logged bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
		slog.New(h).Info("x", "config", c, "gateway", a, "url", a.URL, "key", c.HTTP.Keys[0], "map", c.Gateways)
	}
	asJSON, err := json.Marshal([]any{c, a, c.HTTP.Keys})
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal([]any{c, a})
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{
		"Print": printed(t, c), "slog": logged.String(), "JSON": string(asJSON), "YAML": string(asYAML),
		"Address": a.URL.Address() + inherited.URL.Address() + c.Propagator.URL.Address(),
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{c, *c, a, inherited, c.Gateways, c.HTTP.Keys, c.Propagator, a.Headers, a.URL, &a.URL} {
			shown[verb] += fmt.Sprintf(verb, v)
		}
	}
	for way, text := range shown {
		for _, form := range []string{canary, fmt.Sprintf("%x", canary), secret} {
			if strings.Contains(text, form) {
				t.Errorf("%s shows a secret:\n%s", way, text)
			}
		}
	}
	if got := a.URL.Address(); got != "https://hooks.example/***" {
		t.Errorf("Address() = %q; want scheme and host only", got)
	}
	if got, want := c.Propagator.URL.String(), "http://***@h.example/e?k=***&***#***"; got != want {
		t.Errorf("String() = %q; want %q", got, want)
	}
	if a.URL.Value() == a.URL.String() || a.URL.String() != "***" {
		t.Errorf("String() = %q; want ***", a.URL.String())
	}
}

func TestMistakesNeverShowSecrets(t *testing.T) {
	const canary = "canary0123456789"
	for _, text := range []string{
		"http: {keys: [" + canary + "]}",
		"http: {keys: [{name: ops, key: " + canary + "}]}",
		"http: {port: " + canary + ", drain: " + canary + ", body_limit: " + canary + ", host: '" + canary + " '}",
		"propagator: {key: " + canary + ", url: '" + canary + "'}",
		"propagator: {key: {env: '" + canary + "-'}}",
		"propagator: {key: {file: " + canary + "}}",
		"gateways: {a: {url: 'ftp://" + canary + "', headers: {Authorization: [" + canary + "]}}}",
		"gateways: {a: {url: *" + canary + "}}",
		"gateways: {a: {url: !" + canary + " x}}",
		"gateways: {a: {headers: {Authorization: \"" + canary + "\\n\"}}}",
		"gateways: {a: {url: \"" + canary,
		"%" + canary + "\n---\n",
		canary,
	} {
		_, err := config.Load(config.Options{File: write(t, text)})
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: error %v; want one that does not repeat it", text, err)
		}
	}
	for _, variable := range []string{
		"POSTRIDER_HTTP__KEYS=" + canary, `POSTRIDER_HTTP__KEYS=["` + canary + `"`, "POSTRIDER_PROPAGATOR__KEY={" + canary,
		"POSTRIDER_PROPAGATOR__KEY=" + canary, "POSTRIDER_UNKNOWN=" + canary, "POSTRIDER_DELIVERY__BASE_URL=" + canary,
	} {
		_, err := config.Load(config.Options{Environ: []string{variable}})
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: error %v; want one that does not repeat it", variable, err)
		}
	}
}

func TestSizeReadsBackWhatItWrites(t *testing.T) {
	tests := []struct {
		text string
		want config.Size
		form string
	}{
		{"0", 0, "0"},
		{"1", 1, "1B"},
		{"1000", 1000, "1KB"},
		{"1024", 1024, "1KiB"},
		{"256KiB", 256 << 10, "256KiB"},
		{"256 kib", 256 << 10, "256KiB"},
		{"10MB", 10_000_000, "10MB"},
		{"3GiB", 3 << 30, "3GiB"},
		{"1TB", 1e12, "1TB"},
		{"8388607TiB", 8388607 << 40, "8388607TiB"},
	}
	for _, tt := range tests {
		got, err := config.ParseSize(tt.text)
		if err != nil || got != tt.want || got.String() != tt.form {
			t.Errorf("ParseSize(%q) = %d (%s), %v; want %d (%s)", tt.text, got, got, err, tt.want, tt.form)
		}
		if back, err := config.ParseSize(got.String()); err != nil || back != got {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", got.String(), back, err, got)
		}
	}
	for _, text := range []string{"", "KiB", "-1", "1.5MB", "1XB", "8388608TiB", "1 2", "0x10", "1e3"} {
		if got, err := config.ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d; want an error", text, got)
		}
	}
}

// What only names a setting may be shown, whatever it is for.
func TestTemplatesShow(t *testing.T) {
	c := load(t, config.Options{File: write(t, `
gateways:
  a:
    settings: {token: canary0123456789}
    query: {key: "{{settings.token}}"}
    auth: {signature: {key: "{{timestamp}}\n{{settings.token}}"}}
  b: {auth: {bearer: "{{ settings.token }}"}}
`)})
	text := printed(t, c)
	for _, want := range []string{"token: '***'", "key: '{{settings.token}}'", "key: |-\n          {{timestamp}}\n          {{settings.token}}\n", "bearer: '{{ settings.token }}'"} {
		if !strings.Contains(text, want) {
			t.Errorf("Print lacks %q:\n%s", want, text)
		}
	}
}
