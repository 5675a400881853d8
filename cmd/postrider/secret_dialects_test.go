package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/postrider/postrider/http/dialect"
)

// echo is a gateway that repeats all it was sent, each time in another encoding, and
// gives access tokens.
type echo struct {
	url string
	mu  sync.Mutex
	got map[string][]string // what came for each gateway, by the path's first segment
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	g := &echo{got: map[string][]string{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token": "canary-access-token", "token_type": "Bearer"}`)
			return
		}
		body, _ := io.ReadAll(r.Body)
		var said strings.Builder
		for _, name := range slices.Sorted(maps.Keys(r.Header)) {
			if name != "User-Agent" && !strings.HasPrefix(name, "Postrider-") {
				said.WriteString(strings.Join(r.Header[name], " ") + " ")
			}
		}
		said.WriteString(r.URL.RequestURI() + " " + string(body))
		name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		g.mu.Lock()
		g.got[name] = append(g.got[name], said.String())
		times := len(g.got[name])
		g.mu.Unlock()
		quoted, _ := json.Marshal(said.String())
		plain, _ := url.PathUnescape(said.String())
		answers := []string{said.String(), string(quoted), plain + " " + html.EscapeString(plain)}
		_, _ = io.WriteString(w, answers[times%len(answers)])
	}))
	t.Cleanup(server.Close)
	g.url = server.URL
	return g
}

func (g *echo) heard(name string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Join(g.got[name], "\n")
}

// secretPresets declares a gateway for each preset, at an address of its own, with a
// canary in each setting that is a secret.
func secretPresets(address string) (gateways map[string]any, environ []string) {
	gateways = map[string]any{}
	secret := func(value string) map[string]any {
		environ = append(environ, fmt.Sprintf("SECRET_%d=%s", len(environ), value))
		return map[string]any{"env": strings.SplitN(environ[len(environ)-1], "=", 2)[0]}
	}
	for _, name := range dialect.Presets() {
		p, _ := dialect.LookupPreset(name)
		at := address + "/" + name
		settings := map[string]any{}
		g := map[string]any{"preset": name, "settings": settings, "url": at}
		for _, s := range p.Settings {
			switch {
			case s.Name == "url":
				settings["url"] = secret(at + "/canary%20path?k=canary%2Fquery")
				delete(g, "url")
			case s.Name == "server":
				settings["server"] = at
				delete(g, "url")
			case s.Secret && name == "standard-webhooks":
				settings[s.Name] = secret("whsec_" + base64.StdEncoding.EncodeToString([]byte("canarycanarycanarycanary"+s.Name)))
			case s.Secret:
				settings[s.Name] = secret("canary-" + s.Name + "/+1")
			case !s.Optional:
				settings[s.Name] = "plain"
			}
		}
		gateways[name] = g
	}
	return gateways, environ
}

// secretAuths declares a gateway for each kind of auth.
func secretAuths(address string) map[string]any {
	gateways := map[string]any{}
	for name, auth := range map[string]map[string]any{
		"basic":             {"user": "me", "password": "canary-pass"},
		"header":            {"name": "X-K", "value": "canary-value"},
		"query":             {"name": "k", "value": "canary value"},
		"hmac":              {"secret": "canary-secret", "header": "X-Sum"},
		"standard_webhooks": {"secret": "whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5", "previous": "whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ1"},
		"signature":         {"key": "canary-key", "text": "{{timestamp}}canary"},
		"oauth2":            {"token_url": address + "/token", "client_id": "me", "client_secret": "canary-client"},
	} {
		gateways[name] = map[string]any{"url": address + "/" + name, "auth": map[string]any{name: auth}}
	}
	gateways["bearer"] = map[string]any{"url": address + "/bearer", "auth": map[string]any{"bearer": "canary-bearer"}}
	gateways["signature"].(map[string]any)["query"] = map[string]any{"sum": "{{signature}}"}
	gateways["named"] = map[string]any{
		"url": address + "/named?k=canary-in-url", "headers": map[string]any{"X-Api-Key": "canary-header"},
		"query": map[string]any{"token": "canary-field {{id}}"},
	}
	gateways["user"] = map[string]any{"url": strings.Replace(address, "//", "//canary-user:canary-pass@", 1) + "/user"}
	gateways["over"] = map[string]any{"preset": "slack-webhook", "url": address + "/over/canary-path"}
	return gateways
}

// canaries are what a secret looks like, also in base64 with anything before it.
func canaries() []string {
	all := []string{"canary"}
	for before := range 3 {
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + "canary"))
		all = append(all, encoded[(before*8+5)/6:(before+6)*8/6])
	}
	return all
}

// Whatever is declared and wherever one looks, no secret of a dialect is shown, not
// even when the gateway repeats it and its answers are kept.
func TestSecretsOfDialectsAreNeverShown(t *testing.T) {
	t.Parallel()
	g := newEcho(t)
	gateways, environ := secretPresets(g.url)
	quiet := []string{"alertmanager", "generic-form", "generic-get", "generic-json", "generic-xml", "ntfy"} // have no secret
	secretless := []string{"hmac", "standard_webhooks", "signature", "standard-webhooks"}                   // send none
	maps.Copy(gateways, secretAuths(g.url))
	for _, declared := range gateways {
		declared.(map[string]any)["keep_answer"] = true
	}
	text, err := yaml.Marshal(map[string]any{
		"log": map[string]any{"level": "debug", "access": true}, "gateways": gateways,
		"delivery": map[string]any{"interval": "50ms", "allow_short_interval": true, "max_attempts": 1, "timeout": "5s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := writeFile(t, "config.yaml", string(text))
	p := startChild(t, binary(t), inStore(t.TempDir(), "--config", file), environ...)
	server := p.listening(t)

	shown := map[string]string{}
	see := func(where, said string) { shown[where] += said + "\n" }
	const body = `"message": "hello", "to": "+1", "title": "about"`
	for _, name := range slices.Sorted(maps.Keys(gateways)) {
		at := server + "/api/v1/gateways/" + name
		see("gateway "+name, ask(t, http.MethodGet, at, "").body)
		rendered := ask(t, http.MethodPost, at+"/render", "{"+body+"}")
		see("render "+name, rendered.body)
		_, out, errs := command(t, "gateways", "render", name, "--server", server, "--message", "hello", "--to", "+1", "--title", "about")
		see("render "+name, out+errs)
		if rendered.status != http.StatusOK || errs != "" {
			t.Errorf("render of %s = %d %s %s", name, rendered.status, rendered.body, errs)
		}

		id := post(t, server+"/send_message", `{"gateway": "`+name+`", `+body+`}`)
		var m message
		eventually(t, "message for "+name+" has ended", func() bool {
			get(t, server+"/api/v1/messages/"+id, &m)
			return m.State == "delivered" || m.State == "failed"
		})
		see("message "+name, ask(t, http.MethodGet, server+"/api/v1/messages/"+id, "").body)
		tested := ask(t, http.MethodPost, at+"/test", "{"+body+"}").body
		_, out, errs = command(t, "gateways", "test", name, "--server", server, "--message", "hello", "--to", "+1", "--title", "about")
		see("test "+name, tested+out+errs)

		// The secrets were there, and the answers had them.
		sent := slices.ContainsFunc(canaries(), func(c string) bool { return strings.Contains(g.heard(name), c) })
		if bare := slices.Contains(quiet, name) || slices.Contains(secretless, name); sent == bare {
			t.Errorf("%s was sent a secret: %v; it got %s", name, sent, g.heard(name))
		} else if len(m.Attempts) != 1 || !bare && (!strings.Contains(m.Attempts[0].Answer, "***") || !strings.Contains(tested, "***")) {
			t.Errorf("%s answered %+v, and tested %s; want *** in both", name, m.Attempts, tested)
		}
	}
	for _, path := range []string{"/api/v1/gateways?limit=1000", "/api/v1/messages?limit=1000", "/metrics"} {
		see(path, ask(t, http.MethodGet, server+path, "").body)
	}
	code, out, errs := runChild(t, []string{"config", "print", "--config", file}, environ...)
	if code != exitClean {
		t.Errorf("config print = %d %s", code, errs)
	}
	see("config print", out+errs)
	if code := p.end(t); code != exitClean {
		t.Errorf("exited with %d, want 0", code)
	}
	see("log", p.log.String()+p.out.String())
	for where, text := range shown {
		for _, canary := range canaries() {
			if at := strings.Index(text, canary); at >= 0 {
				t.Errorf("a secret is shown in %s: …%s…", where, text[max(0, at-200):min(at+100, len(text))])
			}
		}
	}
}
