package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postrider/postrider/config"
)

// Gateways that never answer take no more than their share of what may be under
// way, and one that does is served beside them.
func TestAttemptsUnderWayAreBounded(t *testing.T) {
	t.Parallel()
	const most, lanes = 4, 6
	var under, peak atomic.Int32
	hang := hanging(t)
	dead := newGateway(t, func(r *http.Request) int {
		n := under.Add(1)
		defer under.Add(-1)
		for before := peak.Load(); n > before && !peak.CompareAndSwap(before, n); before = peak.Load() {
		}
		return hang(r)
	})
	well := newGateway(t, saying(http.StatusOK))
	cfg := settings(t)
	cfg.HTTP.Drain = 0
	cfg.Delivery.MaxInFlight = most
	cfg.Gateways = map[string]config.Gateway{"well": at(well.url)}
	for i := range lanes {
		cfg.Gateways[fmt.Sprint("dead", i)] = at(dead.url)
	}
	p := start(t, cfg, nil)
	p.await(t, post(t, p.url+"/send_message", messageFor("well", "x")), "delivered")
	for i := range lanes {
		for range 3 {
			post(t, p.url+"/send_message", messageFor(fmt.Sprint("dead", i), "x"))
		}
	}
	eventually(t, "attempts are under way", func() bool { return under.Load() > 0 })
	for range 20 {
		p.await(t, post(t, p.url+"/send_message", messageFor("well", "x")), "delivered")
	}
	if n := peak.Load(); n > most/2 {
		t.Errorf("%d attempts were under way at gateways that do not answer, want half of %d at most", n, most)
	}
}

// What is kept open for later counts as well: descriptors are bounded.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	const most, gateways = 2, 8
	var open atomic.Int32
	cfg := settings(t)
	cfg.Delivery.MaxInFlight = most
	cfg.Gateways = map[string]config.Gateway{}
	for i := range gateways {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				open.Add(1)
			case http.StateClosed:
				open.Add(-1)
			}
		}
		server.Start()
		t.Cleanup(server.Close)
		cfg.Gateways[fmt.Sprint("chat", i)] = at(server.URL)
	}
	p := start(t, cfg, nil)
	began := time.Now()
	for name := range cfg.Gateways {
		p.await(t, post(t, p.url+"/send_message", messageFor(name, "x")), "delivered")
	}
	// Servers hear of an end a moment later. Nothing is closed for its age yet.
	if !poll(2*time.Second-time.Since(began), func() bool { return open.Load() <= most }) {
		t.Errorf("%d connections are open, want %d at most", open.Load(), most)
	}
}
