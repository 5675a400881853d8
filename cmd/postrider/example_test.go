package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postrider/postrider/http/dialect/presettest"
)

// exampleServer is where the example of the dialects has its APIs.
const exampleServer = "http://127.0.0.1:9000"

// The second example of the README, as it stands but for its addresses: one server,
// ten gateways of ten dialects, driven by the propagator.
func TestExampleOfTheDialects(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "dialects.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if cfg, err := read(t, string(text)); err != nil {
		t.Fatal(err)
	} else if _, err := checkAll(cfg, exampleServer, nil, true); err != nil {
		t.Fatal(err)
	}
	apis := newAPIs(t)
	cfg, err := read(t, strings.ReplaceAll(string(text), exampleServer, apis.url))
	if err != nil {
		t.Fatal(err)
	}
	tempered := settings(t)
	cfg.HTTP, cfg.Storage = tempered.HTTP, tempered.Storage
	cfg.Propagator.Interval = 100 * time.Millisecond
	for name, g := range cfg.Gateways {
		apis.expect(t, name, g.Preset)
	}
	if len(apis.presets) != 10 {
		t.Fatalf("the gateways have the presets %v, want ten", apis.presets)
	}
	p := start(t, cfg, nil)
	apis.about(p)
	for name := range cfg.Gateways {
		eventually(t, "a message for "+name+" is delivered", func() bool { return p.lane(t, name).Counts["delivered"] > 0 })
	}
	events := list(t, p.url+"/api/v1/events").Events // before their messages: both are stored at once
	messages := list(t, p.url+"/api/v1/messages").Messages
	checkRoutes(t, events, messages)
	for _, m := range messages {
		if m.Event == "" || len(m.Attempts) > 1 {
			t.Errorf("message %+v; want one of an event that needs no second attempt", m)
		}
	}
	if a := ask(t, http.MethodGet, p.url+"/api/v1/gateways", ""); strings.Contains(a.body, "XXXXXXXX") || strings.Contains(a.body, "syt_token") || !strings.Contains(a.body, `"preset":"matrix"`) {
		t.Errorf("the gateways are shown as %s", a.body)
	}
}

// checkRoutes checks what the three routes of the example made of each event.
func checkRoutes(t *testing.T, events []event, messages []message) {
	t.Helper()
	routes := map[string]struct {
		gateways []string // sorted
		text     func(event) string
	}{
		"user":  {[]string{"discord", "feishu", "slack"}, func(e event) string { return e.Payload + ": " + e.Type }},
		"order": {[]string{"matrix", "shop", "telegram", "warehouse"}, func(e event) string { return e.Payload }},
		"disk":  {[]string{"gotify", "ntfy", "pagerduty"}, func(e event) string { return "disk space: " + e.Payload }},
	}
	made := map[string][]message{} // by event
	for _, m := range messages {
		made[m.Event] = append(made[m.Event], m)
	}
	met := map[string]bool{}
	for _, e := range events {
		kind, _, _ := strings.Cut(e.Type, "_")
		route := routes[kind]
		met[kind] = true
		var gateways []string
		for _, m := range made[e.ID] {
			gateways = append(gateways, m.Gateway)
			if route.text != nil && m.Text != route.text(e) {
				t.Errorf("of %+v the message for %s is %q, want %q", e, m.Gateway, m.Text, route.text(e))
			}
		}
		if slices.Sort(gateways); !slices.Equal(gateways, route.gateways) {
			t.Errorf("of %+v there are messages for %v, want %v", e, gateways, route.gateways)
		}
	}
	for kind := range routes {
		if !met[kind] {
			t.Errorf("no event met the route of %s_*", kind)
		}
	}
}

// apis are the fakes of several APIs at one address.
type apis struct {
	url     string
	mu      sync.Mutex
	fakes   map[string]presettest.Fake // by gateway
	presets []string
	server  string // of the program, once it is known
}

func newAPIs(t *testing.T) *apis {
	t.Helper()
	a := &apis{fakes: map[string]presettest.Fake{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		eventuallyKnown := func() bool { a.mu.Lock(); defer a.mu.Unlock(); return a.server != "" }
		if !poll(patience, eventuallyKnown) {
			return
		}
		var m message
		answer, err := request(t.Context(), http.MethodGet, a.server+"/api/v1/messages/"+r.Header.Get("Postrider-Message-Id"), "")
		if err == nil {
			err = json.Unmarshal([]byte(answer.body), &m)
		}
		if err != nil {
			if t.Context().Err() == nil {
				t.Errorf("look up what was sent: %v", err)
			}
			return
		}
		f := a.fakes[m.Gateway]
		f.Handler(
			func(id string) presettest.Sent {
				return presettest.Sent{ID: id, Gateway: m.Gateway, Message: m.Text}
			},
			func(presettest.Sent) presettest.Answer { return f.Cases[0].Answer },
			func(err error) { t.Error(fmt.Errorf("%s: %w", m.Gateway, err)) },
		).ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

// expect says by which fake a gateway is served. Each API is asked for once.
func (a *apis) expect(t *testing.T, gateway, preset string) {
	t.Helper()
	all := presettest.All()
	at := slices.IndexFunc(all, func(f presettest.Fake) bool { return f.Preset == preset })
	if at < 0 || slices.Contains(a.presets, preset) {
		t.Fatalf("gateway %s has the preset %q", gateway, preset)
	}
	a.fakes[gateway] = all[at]
	a.presets = append(a.presets, preset)
}

// about says where the messages can be looked up.
func (a *apis) about(p *instance) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.server = p.url
}
