package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/config"
)

// overall is what the program says about itself.
type overall struct {
	StartedAt time.Time `json:"started_at"`
	Counts    map[string]int
	Dead      int
	Oldest    *time.Time `json:"oldest_queued_at"`
	History   struct{ Events, Messages, Delivered, Failed []int }
	Gateways  map[string]int
	Store     struct {
		Accepting bool
		Free      int64 `json:"free_bytes"`
		Size      int64 `json:"size_bytes"`
	}
	Config struct {
		AppliedAt    time.Time  `json:"applied_at"`
		RefusedAt    *time.Time `json:"refused_at"`
		Mistakes     int
		NeedsRestart []string `json:"needs_restart"`
	}
	Attention []struct {
		Gateway, Reason string
		Oldest          *time.Time `json:"oldest_at"`
	}
}

func sum(counts []int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// TestSummaryOfARunningProcess delivers some messages, kills others, and looks.
func TestSummaryOfARunningProcess(t *testing.T) {
	good, bad := newGateway(t, saying(http.StatusOK)), newGateway(t, saying(http.StatusBadRequest))
	cfg := settings(t)
	cfg.Gateways = map[string]config.Gateway{"good": at(good.url), "bad": at(bad.url), "paused": at(good.url)}
	dies := cfg.Gateways["bad"]
	dies.MaxAttempts = new(1)
	cfg.Gateways["bad"] = dies
	cfg.Routes = every("good", "{{event_payload}}")
	p := start(t, cfg, nil)
	p.backlog(t, 5)
	post(t, p.url+"/send_message", messageFor("bad", "hello"), "Idempotency-Key", "a")
	post(t, p.url+"/send_message", messageFor("bad", "hello"), "Idempotency-Key", "a")
	p.pause(t, "paused", true)
	waits := p.message(t, post(t, p.url+"/send_message", messageFor("paused", "hello")))
	p.awaitAll(t, "good", "delivered", 5)
	p.awaitAll(t, "bad", "failed", 1)

	var s overall
	eventually(t, "the step of all that happened is over", func() bool {
		s = overall{}
		get(t, p.url+"/api/v1/summary", &s)
		return sum(s.History.Events) == 5 && sum(s.History.Messages) == 7 && sum(s.History.Delivered) == 5 && sum(s.History.Failed) == 1
	})
	if s.Counts["delivered"] != 5 || s.Counts["queued"] != 1 || s.Dead != 1 {
		t.Errorf("the summary counts %v and %d dead", s.Counts, s.Dead)
	}
	if s.Oldest == nil || s.Attention[0].Oldest == nil || waits.State != "queued" {
		t.Errorf("the oldest message is of %v, that of the paused gateway of %v", s.Oldest, s.Attention)
	}
	if len(s.Attention) != 2 || s.Attention[0].Gateway != "paused" || s.Attention[1].Reason != "dead" {
		t.Errorf("attention is %v, want the paused gateway, then the one with a dead letter", s.Attention)
	}
	if !s.Store.Accepting || s.Store.Free == 0 || s.Store.Size == 0 || s.Gateways["total"] != 3 {
		t.Errorf("store is %+v, gateways are %v", s.Store, s.Gateways)
	}
	if s.Config.AppliedAt.IsZero() || s.Config.RefusedAt != nil || s.StartedAt.IsZero() {
		t.Errorf("config is %+v", s.Config)
	}
}

// TestSummaryTellsOfReloads refuses one reading and takes another.
func TestSummaryTellsOfReloads(t *testing.T) {
	cfg := settings(t)
	p := start(t, cfg, nil)
	p.reload(t, func() (*config.Config, error) { return nil, config.Mistakes{{Path: "a"}, {Path: "b"}} }, notReloaded)
	var s overall
	get(t, p.url+"/api/v1/summary", &s)
	if s.Config.RefusedAt == nil || s.Config.Mistakes != 2 {
		t.Errorf("after a refusal config is %+v, want 2 mistakes", s.Config)
	}
	next := *cfg
	next.Log.Access = !cfg.Log.Access
	p.apply(t, &next)
	s = overall{}
	get(t, p.url+"/api/v1/summary", &s)
	if s.Config.RefusedAt != nil || s.Config.Mistakes != 0 || len(s.Config.NeedsRestart) != 1 {
		t.Errorf("after a reload config is %+v, want one key that needs a restart", s.Config)
	}
}

// TestConfigInForce changes what a reload can change, and what it cannot.
func TestConfigInForce(t *testing.T) {
	cfg := settings(t)
	cfg.Gateways = map[string]config.Gateway{"before": at("http://127.0.0.1:1/x")}
	p := start(t, cfg, nil)
	shown := func() string { return ask(t, http.MethodGet, p.url+"/api/v1/config", "").body }
	if got := shown(); !strings.Contains(got, "before:") {
		t.Errorf("the configuration in force is %s", got)
	}
	file := writeFile(t, "next.yaml", `
http: {body_limit: 12345, hosts: [post.example.com]}
delivery: {max_in_flight: 17, max_attempts: 9}
gateways: {after: {url: "http://127.0.0.1:1/x", headers: {X-Key: {env: KEY}}}}
routes: [{match: {event_type: "*"}, gateway: after, message: "{{event_payload}}"}]
`)
	p.reload(t, func() (*config.Config, error) {
		return config.Load(config.Options{File: file, Environ: []string{"KEY=canary-77"}, Preset: presets()})
	}, reloaded)
	got := shown()
	for text, want := range map[string]bool{"after:": true, "post.example.com": true, "before:": false, "12345": false, "max_in_flight: 17": false, "max_attempts: 9": true, "canary-77": false} {
		if strings.Contains(got, text) != want {
			t.Errorf("the configuration in force has %q: %v, want %v:\n%s", text, !want, want, got)
		}
	}
	var routes struct {
		Routes []struct {
			Match struct {
				EventType string `json:"event_type"`
			}
			Gateways []string
			Message  string
		}
	}
	get(t, p.url+"/api/v1/routes", &routes)
	if len(routes.Routes) != 1 || routes.Routes[0].Gateways[0] != "after" || routes.Routes[0].Match.EventType != "*" {
		t.Errorf("routes are %+v", routes)
	}
}
