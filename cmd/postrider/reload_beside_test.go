package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
	httpapi "github.com/postrider/postrider/http"
)

// waiting reports whether a reload waits at the gate, or is behind it.
func (g *gate) waiting() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opens != nil
}

// While gateways of the API are compiled for other defaults they may be declared and
// deleted, and the new defaults are for them too.
func TestDeclareWhileAReloadCompiles(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, saying(200))
	cfg := loopbackToo(settings(t))
	p := start(t, cfg, nil)
	for _, name := range []string{"replaced", "gone"} {
		p.declares(t, name, quotedURL(gateway.url), http.StatusCreated)
	}
	p.declares(t, "slow", `{"preset":"generic-json","url":"`+gateway.url+`"}`, http.StatusCreated)
	compiling, release := make(chan struct{}, 1), make(chan struct{})
	made := p.process.made
	made.fixed.Lock()
	preset := made.preset
	made.preset = func(name string, gateway map[string]any) (map[string]any, []string, bool) {
		select {
		case compiling <- struct{}{}:
		default:
		}
		<-release
		return preset(name, gateway)
	}
	made.fixed.Unlock()
	next := *cfg
	next.Delivery.MaxAttempts = 9
	p.loads <- func() (*config.Config, error) { return &next, nil }
	came := make(chan answer, 1)
	go func() {
		a, _ := request(t.Context(), http.MethodPost, p.url+"/api/v1/reload", "") // the status says it all
		came <- a
	}()
	receive(t, "gateways are compiled", compiling)
	p.declares(t, "new", quotedURL(gateway.url), http.StatusCreated)
	p.declares(t, "replaced", `{"url":"`+gateway.url+`","rate":7}`, http.StatusOK)
	p.undeclares(t, "gone", http.StatusNoContent)
	if got := p.shownOne(t, "new"); got.MaxAttempts != 3 {
		t.Errorf("before the reload is done a gateway has %d attempts, want 3", got.MaxAttempts)
	}
	close(release)
	if a := receive(t, "the reload", came); a.status != http.StatusOK {
		t.Fatalf("POST /api/v1/reload = %d %s, want 200", a.status, a.body)
	}
	for _, name := range []string{"new", "replaced", "slow"} {
		if got := p.shownOne(t, name); got.MaxAttempts != 9 || got.Problem != "" {
			t.Errorf("%s is %+v after the reload, want 9 attempts", name, got)
		}
	}
	if e, _ := made.get("replaced"); e.shown.Rate != 7 {
		t.Errorf("replaced has a rate of %v, want 7 as it was declared meanwhile", e.shown.Rate)
	}
	p.undeclares(t, "gone", http.StatusNotFound)
}

// A reload waits for changes of gateways no longer than who asked for it.
func TestReloadBesideAChange(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, saying(200))
	cfg := settings(t)
	p := start(t, cfg, nil)
	if err := p.process.declarer.changes.enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := with(cfg, map[string]config.Gateway{"chat": at(gateway.url)})
	load := func() (*config.Config, error) { return next, nil }
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	p.loads <- load
	go func() {
		_, err := p.process.reloads.reload(ctx)
		failed <- err
	}()
	eventually(t, "the reload waits", p.process.declarer.changes.waiting)
	cancel()
	if err := receive(t, "the end of the reload", failed); !errors.Is(err, httpapi.ErrReloading) || errors.Is(err, httpapi.ErrUnreadable) {
		t.Errorf("reload() = %v, want %v", err, httpapi.ErrReloading)
	}
	if got := p.shownGateways(t); len(got) != 0 {
		t.Errorf("the gateways are %v, want none", got)
	}
	if len(p.log.lines(notReloaded)) != 1 {
		t.Error("the log does not say that it was not reloaded")
	}
	p.process.declarer.changes.leave()
	p.asksReload(t, load, http.StatusOK)
	p.await(t, post(t, p.url+"/send_message", messageFor("chat", "x")), "delivered")

	// The end of the process is the end of one that waits, too.
	if err := p.process.declarer.changes.enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.loads <- load
	go func() {
		_, err := p.process.reloads.reload(t.Context())
		failed <- err
	}()
	eventually(t, "the reload waits", p.process.declarer.changes.waiting)
	if err := p.stop(t); err != nil {
		t.Error(err)
	}
	if err := receive(t, "the end of the reload", failed); !errors.Is(err, data.ErrStopping) {
		t.Errorf("reload() = %v, want %v", err, data.ErrStopping)
	}
}

// securely asks a server with TLS.
func securely(t *testing.T, c *http.Client, method, url string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	body := new(strings.Builder)
	if err := a.Write(body); err != nil {
		t.Fatal(err)
	}
	return answer{a.StatusCode, a.Header, body.String()}
}

// A certificate is a part of the configuration like any other: what is wrong with it
// keeps all from changing, and what was found right is what is shown.
func TestReloadOfACertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := settings(t)
	cfg.HTTP.TLS = config.ServerTLS{Certificate: filepath.Join(dir, "server.pem"), Key: filepath.Join(dir, "server.key")}
	first := writePair(t, cfg.HTTP.TLS.Certificate, cfg.HTTP.TLS.Key)
	p := start(t, cfg, nil)
	url := strings.Replace(p.url, "http://127.0.0.1", "https://localhost", 1)
	spoil := func() {
		t.Helper()
		if err := os.WriteFile(cfg.HTTP.TLS.Key, []byte("canary"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	shows := func(c *http.Client, gateway string, status int) {
		t.Helper()
		if a := securely(t, c, http.MethodGet, url+"/api/v1/gateways/"+gateway); a.status != status {
			t.Errorf("GET gateway %s = %d, want %d", gateway, a.status, status)
		}
	}
	next := with(cfg, map[string]config.Gateway{"chat": at("http://127.0.0.1:1")})
	load := func() (*config.Config, error) { return next, nil }
	shows(first, "chat", http.StatusNotFound) // after this the files are not looked at for a while

	spoil()
	p.loads <- load
	if a := securely(t, first, http.MethodPost, url+"/api/v1/reload"); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `"key":"http.tls"`) || strings.Contains(a.body, "canary") {
		t.Errorf("POST /api/v1/reload = %d %s, want 422 and http.tls", a.status, a.body)
	}
	if a := securely(t, first, http.MethodGet, url+"/readyz"); strings.Contains(a.body, `"refused_at":null`) {
		t.Errorf("/readyz = %s, want that a configuration was refused", a.body)
	}
	if a := securely(t, first, http.MethodGet, url+"/"); !strings.Contains(a.body, "refused") {
		t.Error("the dashboard does not say that a configuration was refused")
	}
	shows(first, "chat", http.StatusNotFound)

	// What is done to the files once they were read is too late for this reload.
	second := writePair(t, cfg.HTTP.TLS.Certificate, cfg.HTTP.TLS.Key)
	if err := p.process.declarer.changes.enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	p.loads <- load
	go func() {
		_, err := p.process.reloads.reload(t.Context())
		done <- err
	}()
	eventually(t, "the reload waits", p.process.declarer.changes.waiting)
	spoil()
	p.process.declarer.changes.leave()
	if err := receive(t, "the reload", done); err != nil {
		t.Fatal(err)
	}
	shows(second, "chat", http.StatusOK)

	// Other files need a restart: until then those that are spoilt do not matter.
	other := with(next, nil)
	other.HTTP.TLS = config.ServerTLS{Certificate: filepath.Join(dir, "other.pem"), Key: filepath.Join(dir, "other.key")}
	writePair(t, other.HTTP.TLS.Certificate, other.HTTP.TLS.Key)
	said := p.apply(t, other)
	if said["removed"] != 1.0 {
		t.Errorf("the log says %v, want one gateway less", said)
	}
	shows(second, "chat", http.StatusNotFound)
}
