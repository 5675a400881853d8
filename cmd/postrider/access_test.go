package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/config"
)

// keys returns API keys as a configuration has them. Each is at the same time its name.
func keys(t *testing.T, secrets ...string) []config.Key {
	t.Helper()
	var entries []string
	for _, s := range secrets {
		entries = append(entries, fmt.Sprintf("{name: %s, hash: 'sha256:%x'}", s, sha256.Sum256([]byte(s))))
	}
	c, err := config.Load(config.Options{File: writeFile(t, "keys.yaml", "http: {keys: ["+strings.Join(entries, ", ")+"]}")})
	if err != nil {
		t.Fatal(err)
	}
	return c.HTTP.Keys
}

// withHTTP returns a copy of a configuration with another server.
func withHTTP(cfg *config.Config, change func(*config.HTTP)) *config.Config {
	next := *cfg
	change(&next.HTTP)
	return &next
}

const oldKey, newKeyOfTests = "old-key-0123456789", "new-key-0123456789"

func (p *instance) statusWith(t *testing.T, key string) int {
	t.Helper()
	return ask(t, http.MethodGet, p.url+"/api/v1/events", "", "Authorization", "Bearer "+key).status
}

// logIn returns the cookie of a new session.
func logIn(t *testing.T, url, key string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/login", strings.NewReader("key="+key))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	a, err := http.DefaultTransport.RoundTrip(r) // a client would go where the answer leads
	if err != nil {
		t.Fatal(err)
	}
	_ = a.Body.Close()
	cookie, _, _ := strings.Cut(a.Header.Get("Set-Cookie"), ";")
	if a.StatusCode != http.StatusSeeOther || cookie == "" {
		t.Fatalf("login = %d, cookie %q; want 303 and one", a.StatusCode, cookie)
	}
	return cookie
}

func TestReloadOfKeysAndHosts(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	cfg.HTTP.Keys = keys(t, oldKey)
	p := start(t, cfg, nil)
	called := func(host string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/api/v1/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		return a.StatusCode
	}
	cookie := logIn(t, p.url, oldKey)
	session := func() int {
		return ask(t, http.MethodGet, p.url+"/api/v1/events", "", "Cookie", cookie).status
	}
	if got := session(); got != http.StatusOK {
		t.Fatalf("with a session = %d, want 200", got)
	}
	for _, step := range []struct {
		name            string
		keys            []config.Key
		hosts           []string
		old, next, seen int
		host            int
	}{
		{"both keys", keys(t, oldKey, newKeyOfTests), nil, 200, 200, 200, 421},
		{"a name", keys(t, oldKey, newKeyOfTests), []string{"post.example.com"}, 200, 200, 200, 401},
		{"the new key alone", keys(t, newKeyOfTests), nil, 401, 200, 401, 421},
		{"no keys", nil, nil, 200, 200, 200, 421},
	} {
		p.apply(t, withHTTP(cfg, func(h *config.HTTP) { h.Keys, h.Hosts = step.keys, step.hosts }))
		if old, next, s, host := p.statusWith(t, oldKey), p.statusWith(t, newKeyOfTests), session(), called("post.example.com"); old != step.old || next != step.next || s != step.seen || host != step.host {
			t.Errorf("%s: old key %d, new key %d, session %d, under the name %d; want %d, %d, %d, %d", step.name, old, next, s, host, step.old, step.next, step.seen, step.host)
		}
	}
	if lines := p.log.lines(needsRestart); len(lines) > 0 {
		t.Errorf("keys and hosts need a restart: %v", lines)
	}
}

// What counts is where the process listens, not what the file says by now.
func TestReloadThatWouldLetEverybodyIn(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	cfg.HTTP.Host, cfg.HTTP.Keys = "0.0.0.0", keys(t, oldKey)
	p := start(t, cfg, nil)
	_, port, _ := strings.Cut(strings.TrimPrefix(p.url, "http://[::]"), ":")
	p.url = "http://127.0.0.1:" + port
	gateways := map[string]config.Gateway{"chat": at("http://127.0.0.1:1")}
	open := with(withHTTP(cfg, func(h *config.HTTP) { h.Host, h.Keys = "127.0.0.1", nil }), gateways)
	said := p.reload(t, func() (*config.Config, error) { return open, open.Validate() }, notReloaded)
	if text := fmt.Sprint(said["mistakes"]); !strings.Contains(text, "http.host: leads beyond loopback") {
		t.Errorf("the log says %s, want that everybody would be let in", text)
	}
	if got := p.statusWith(t, "wrong-key-0123456789"); got != http.StatusUnauthorized {
		t.Errorf("after a refused reload without a key = %d, want 401", got)
	}
	if a := ask(t, http.MethodGet, p.url+"/api/v1/gateways/chat", "", "Authorization", "Bearer "+oldKey); a.status != http.StatusNotFound {
		t.Errorf("a gateway of a refused reload = %d, want 404", a.status)
	}
	p.apply(t, withHTTP(open, func(h *config.HTTP) { h.AllowAnonymous = true }))
	if got := p.statusWith(t, "wrong-key-0123456789"); got != http.StatusOK {
		t.Errorf("after allow_anonymous = %d, want 200", got)
	}
	if !strings.Contains(p.log.String(), "anybody who reaches this address may send and read") {
		t.Error("the log does not warn that everybody is let in")
	}
}

// writePair writes a certificate for localhost and its key, and returns a client that
// trusts it.
func writePair(t *testing.T, certificate, key string) *http.Client {
	t.Helper()
	made, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &made.PublicKey, made)
	if err != nil {
		t.Fatal(err)
	}
	inside, err := x509.MarshalPKCS8PrivateKey(made)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, content := range map[string][]byte{certificate: text, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: inside})} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
}

func TestServeWithTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := settings(t)
	cfg.HTTP.TLS = config.ServerTLS{Certificate: filepath.Join(dir, "server.pem"), Key: filepath.Join(dir, "server.key")}
	client := writePair(t, cfg.HTTP.TLS.Certificate, cfg.HTTP.TLS.Key)
	p := start(t, cfg, nil)
	url := strings.Replace(p.url, "http://127.0.0.1", "https://localhost", 1)
	health := func(c *http.Client) error {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/healthz", nil)
		if err != nil {
			return err
		}
		a, err := c.Do(r)
		if err == nil {
			err = a.Body.Close()
		}
		return err
	}
	if err := health(client); err != nil {
		t.Fatal(err)
	}
	if said := p.log.lines("listening"); !strings.HasPrefix(fmt.Sprint(said[0]["url"]), "https://") {
		t.Errorf("the log says %v, want that it listens at https", said)
	}
	// A reload takes on a new pair at once, and refuses one that does not fit whole.
	next := writePair(t, cfg.HTTP.TLS.Certificate, cfg.HTTP.TLS.Key)
	p.apply(t, cfg)
	if err, old := health(next), health(client); err != nil || old == nil {
		t.Errorf("after a reload the new certificate: %v, the old one: %v; want the new one alone", err, old)
	}
	if err := os.WriteFile(cfg.HTTP.TLS.Key, []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	said := p.reload(t, func() (*config.Config, error) { return cfg, nil }, notReloaded)
	if text := fmt.Sprint(said["mistakes"]); !strings.Contains(text, "http.tls: expected a certificate and its key") || strings.Contains(text, "canary") {
		t.Errorf("the log says %s, want that the pair cannot be used", text)
	}
	if err := health(next); err != nil {
		t.Errorf("after a refused reload the certificate before: %v", err)
	}
	var out bytes.Buffer
	if code := execute(t.Context(), []string{"config", "check", "--http.tls.certificate", cfg.HTTP.TLS.Certificate, "--http.tls.key", cfg.HTTP.TLS.Key}, &out, &out); code != exitUsage || !strings.Contains(out.String(), "http.tls: ") {
		t.Errorf("config check = %d %s, want the mistake", code, out.String())
	}
	out.Reset()
	if code := execute(t.Context(), []string{"propagate", "--http.tls.certificate", cfg.HTTP.TLS.Certificate, "--http.tls.key", cfg.HTTP.TLS.Key}, &out, &out); code != exitUsage || !strings.Contains(out.String(), "propagator.url: ") {
		t.Errorf("propagate without a URL = %d %s, want a mistake", code, out.String())
	}
}

func TestKeyCommand(t *testing.T) {
	run := func(args ...string) (int, string) {
		var out bytes.Buffer
		code := execute(t.Context(), append([]string{"key"}, args...), &out, &out)
		return code, out.String()
	}
	seen := map[string]bool{}
	for _, args := range [][]string{nil, {"--name", "shop", "--scopes", "message:write,read", "--gateways", "a,b_1"}, {"--name", "x", "--scopes", "event:write"}} {
		code, out := run(args...)
		key, entry, _ := strings.Cut(out, "\n")
		if code != exitClean || !strings.HasPrefix(key, "pr_") || len(key) != 46 || seen[key] {
			t.Fatalf("key %q = %d %q, want a new key of 256 bits", args, code, out)
		}
		seen[key] = true
		c, err := config.Load(config.Options{File: writeFile(t, "c.yaml", "http:\n  keys:\n    "+entry)})
		if err != nil {
			t.Fatalf("key %q: the entry %q is wrong: %v", args, entry, err)
		}
		if got := c.HTTP.Keys[0]; got.Sum() != sha256.Sum256([]byte(key)) {
			t.Errorf("key %q: the hash in %q is not that of the key", args, entry)
		} else if args != nil && got.Name != args[1] {
			t.Errorf("key %q: the entry %q has another name", args, entry)
		}
		if strings.Contains(entry, key) {
			t.Errorf("key %q: the entry %q has the key itself", args, entry)
		}
	}
	for _, args := range [][]string{
		{"--name", "A"},
		{"--scopes", "all"},
		{"--scopes", ""},
		{"--scopes", "read,read"},
		{"--gateways", "a b"},
		{"--gateways", "a"},
		{"--gateways", ""},
		{"--scopes", "message:write", "--gateways", ""},
		{"--scopes", "message:write,operate", "--gateways", "a"},
		{"more"},
		{"--nothing"},
	} {
		if code, out := run(args...); code != exitUsage || strings.Contains(out, "pr_") {
			t.Errorf("key %q = %d %s, want a mistake and no key", args, code, out)
		}
	}
}
