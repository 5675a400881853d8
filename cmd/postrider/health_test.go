package main

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/postrider/postrider/config"
)

// healthOf runs the health command.
func healthOf(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e strings.Builder
	code = execute(t.Context(), append([]string{"health"}, args...), &o, &e)
	return code, o.String(), e.String()
}

func TestHealth(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	cfg.HTTP.Keys = []config.Key{{Name: "ops", Secret: config.Plain("0123456789abcdef"), Scopes: []string{"admin"}}}
	p := start(t, cfg, nil)
	saying := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	port, ok := strings.CutPrefix(p.url, "http://127.0.0.1:")
	if _, err := strconv.Atoi(port); !ok || err != nil {
		t.Fatalf("the server is at %s", p.url)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"answers":                {[]string{"--server", p.url}, exitClean, "ok\n"},
		"is ready":               {[]string{"--server", p.url + "/", "--ready"}, exitClean, "ready\n"},
		"where it is configured": {[]string{"--port", port}, exitClean, "ok\n"},
		"on all addresses":       {[]string{"--port", port, "--host", "0.0.0.0", "--http.allow_anonymous=true"}, exitClean, "ok\n"},
		"is not ready":           {[]string{"--server", saying(503, `{"reasons": ["storage is\u001b full"]}`), "--ready"}, exitFailure, "503: storage is  full"},
		"somebody else":          {[]string{"--server", saying(200, "<html>")}, exitFailure, "not Postrider"},
		"somebody else's JSON":   {[]string{"--server", saying(200, "{}")}, exitFailure, "not Postrider"},
		"nobody":                 {[]string{"--server", "http://127.0.0.1:1"}, exitFailure, "refused"},
		"no address":             {[]string{"--server", "127.0.0.1:5000"}, exitUsage, "http://"},
		"any port":               {[]string{"--port", "0"}, exitUsage, "--server"},
	} {
		code, out, errs := healthOf(t, c.args...)
		if said := out + errs; code != c.code || !strings.Contains(said, c.says) {
			t.Errorf("%s: health %v = %d %q, want %d and %q", name, c.args, code, said, c.code, c.says)
		}
	}
}

// A process that stops still answers, and is not ready.
func TestHealthOfAProcessThatStops(t *testing.T) {
	t.Parallel()
	hang := hanging(t)
	gateway := newGateway(t, hang)
	cfg := settings(t)
	cfg.Gateways = map[string]config.Gateway{"chat": at(gateway.url)}
	p := start(t, cfg, nil)
	post(t, p.url+"/send_message", messageFor("chat", "x"))
	eventually(t, "the gateway is asked", func() bool { return len(gateway.seen()) > 0 })
	p.cancel()
	eventually(t, "it is not ready", func() bool {
		code, _, _ := healthOf(t, "--server", p.url, "--ready")
		return code == exitFailure
	})
	if code, _, errs := healthOf(t, "--server", p.url); code != exitClean {
		t.Errorf("health = %d %s, want 0", code, errs)
	}
	if got := p.metric(t, "postrider_accepting"); got != "0" {
		t.Errorf("postrider_accepting = %q, want 0", got)
	}
}
