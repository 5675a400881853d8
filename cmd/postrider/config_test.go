package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// All mistakes are told at once, whoever finds them, and each once.
func TestConfigCheckTellsAll(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want []string // paths
	}{
		"a key and a declaration": {`
http: {prot: 1}
gateways:
  a: {url: "https://h.example/", body: {text: "{{canary}}"}}
  b: {preset: telegram, interval: 1s, settings: {chat_id: "1"}}
`, []string{"gateways.a.body.text", "gateways.b.interval", "gateways.b.settings.token", "http.prot"}},
		// What could not be read has left a hole, which is no mistake of its own.
		"a gateway with a hole": {`
gateways:
  a: {url: "https://h.example/{{settings.x}}", settings: {x: {env: NONE_SUCH}}, needs: [canary]}
  b: {url: "https://h.example/", needs: [canary]}
`, []string{"gateways.a.settings.x", "gateways.b.needs[0]"}},
		"found twice": {`
gateways:
  a: {url: "https://h.example/", headers: {"canary name": x}, permanent: {status: [200]}, method: canary}
  "Odd name": {needs: [canary]}
  ` + strings.Repeat("n", 70) + `: {needs: [canary]}
`, []string{`gateways."Odd name"`, `gateways."` + strings.Repeat("n", 64) + `"`, `gateways.a.headers."canary name"`, "gateways.a.method", "gateways.a.permanent.status[0]"}},
		"nowhere to go": {`
http: {host: "not a host"}
delivery: {base_url: canary}
gateways: {a: {}}
`, []string{"delivery.base_url", "http.host"}},
		"routes": {`
log: {level: canary}
gateways: {a: {}}
routes:
  - {match: {event_type: "*", payload: {/a: [1]}}, gateway: a, message: "{{canary}}"}
  - {match: {event_type: "*"}, gateway: a, message: "{{canary}}"}
  - {match: {event_type: "*"}, gateway: none, message: x}
`, []string{"log.level", "routes[0].match.payload./a", "routes[1].message", "routes[2].gateway"}},
	} {
		var out, errs bytes.Buffer
		code := execute(t.Context(), []string{"config", "check", "--config", writeFile(t, "c.yaml", c.text)}, &out, &errs)
		var got []string
		for line := range strings.Lines(errs.String()) {
			if path, _, found := strings.Cut(strings.TrimSpace(line), ": "); found && !strings.HasPrefix(line, "postrider: ") {
				got = append(got, path)
			}
		}
		if slices.Sort(got); code != exitUsage || !slices.Equal(got, c.want) {
			t.Errorf("%s: exit code %d, mistakes of %q, want those of %q\n%s", name, code, got, c.want, errs.String())
		}
	}
}
