package main

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postrider/postrider/config"
)

// What is under way ends where and how it began; what follows goes where the
// gateway is now.
func TestReloadWhileAnAttemptIsUnderWay(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	old := newGateway(t, func(*http.Request) int { <-release; return http.StatusOK })
	moved := newGateway(t, saying(http.StatusOK))
	cfg := settings(t)
	cfg.Gateways = map[string]config.Gateway{"chat": at(old.url)}
	p := start(t, cfg, nil)
	first := post(t, p.url+"/send_message", messageFor("chat", "first"))
	eventually(t, "the attempt is under way", func() bool { return len(old.seen()) == 1 })
	p.apply(t, with(cfg, map[string]config.Gateway{"chat": at(moved.url)}))
	second := p.await(t, post(t, p.url+"/send_message", messageFor("chat", "second")), "delivered")
	if m := p.message(t, first); m.State != "sending" {
		t.Errorf("the first message is %s after the reload, want sending as before", m.State)
	}
	close(release)
	p.await(t, first, "delivered")
	if at := moved.seen(); len(at) != 1 || at[0].message != second.ID || len(old.seen()) != 1 {
		t.Errorf("%d requests came to where the gateway was, %d to where it is, want 1 each", len(old.seen()), len(at))
	}
}

// A gateway that is no longer declared keeps its messages, for all to see, and
// takes them up where they were when it is declared again, also over a restart.
func TestRemovedGatewayParksItsMessages(t *testing.T) {
	t.Parallel()
	var well atomic.Bool
	gateway := newGateway(t, func(*http.Request) int {
		if well.Load() {
			return http.StatusOK
		}
		return http.StatusBadGateway
	})
	cfg := settings(t)
	cfg.Gateways = map[string]config.Gateway{"chat": at(gateway.url), "other": at(gateway.url)}
	p := start(t, cfg, nil)
	id := post(t, p.url+"/send_message", messageFor("chat", "x"))
	p.await(t, id, "waiting")
	without := with(cfg, map[string]config.Gateway{"other": at(gateway.url)})
	p.apply(t, without)
	before := len(gateway.seen())
	parked := func() {
		t.Helper()
		if l := p.lane(t, "chat"); l.Declared || l.Counts["waiting"] != 1 {
			t.Errorf("chat is %+v, want not declared with one message waiting", l)
		}
		if got := p.metric(t, `postrider_gateways_blocked{reason="parked"}`); got != "1" {
			t.Errorf("gateways parked = %q, want 1", got)
		}
		if a := ask(t, http.MethodPost, p.url+"/send_message", messageFor("chat", "y")); a.status != http.StatusUnprocessableEntity {
			t.Errorf("POST /send_message for a gateway that is gone = %d, want 422", a.status)
		}
	}
	parked()
	// It would have been due by now, twice.
	pause(t, 3*cfg.Delivery.Interval)
	parked()
	if n := len(gateway.seen()); n != before {
		t.Errorf("%d requests came while the gateway was not declared", n-before)
	}
	if err := p.stop(t); err != nil {
		t.Fatalf("run() = %v, want nil", err)
	}
	p = start(t, without, nil)
	parked()
	well.Store(true)
	p.apply(t, cfg)
	if m := p.await(t, id, "delivered"); len(m.Attempts) != before+1 {
		t.Errorf("attempts = %+v, want one more than the %d from before", m.Attempts, before)
	}
	if l := p.lane(t, "chat"); !l.Declared {
		t.Errorf("chat is %+v, want declared", l)
	}
}

// A limit that is lowered counts for what waits, and one that is raised too.
func TestReloadChangesLimits(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, saying(http.StatusBadGateway))
	cfg := settings(t)
	cfg.Delivery.Interval = time.Minute
	cfg.Gateways = map[string]config.Gateway{"chat": at(gateway.url)}
	p := start(t, cfg, nil)
	p.await(t, post(t, p.url+"/send_message", messageFor("chat", "x")), "waiting")
	next := with(cfg, cfg.Gateways)
	next.Delivery.Interval, next.Delivery.MaxAttempts = 100*time.Millisecond, 5
	p.apply(t, next)
	id := post(t, p.url+"/send_message", messageFor("chat", "y"))
	if m := p.await(t, id, "failed"); len(m.Attempts) != 5 {
		t.Errorf("attempts = %+v, want the five of the new limit", m.Attempts)
	}
}

// However often the configuration changes under load, every message is delivered,
// once.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	const reloads, clients, perClient = 12, 4, 150
	gateways := map[string]*fakeGateway{"left": newGateway(t, saying(http.StatusOK)), "right": newGateway(t, saying(http.StatusOK))}
	cfg := settings(t)
	// A gateway that moves, one that comes and goes, one that stays.
	sides := []*config.Config{
		with(cfg, map[string]config.Gateway{"stays": at(gateways["left"].url), "moves": at(gateways["left"].url), "comes": at(gateways["left"].url)}),
		with(cfg, map[string]config.Gateway{"stays": at(gateways["left"].url), "moves": at(gateways["right"].url)}),
	}
	p := start(t, sides[0], nil)
	var mu sync.Mutex
	accepted := map[string]bool{}
	var working sync.WaitGroup
	for c := range clients {
		working.Go(func() {
			for i := range perClient {
				name := []string{"stays", "moves", "comes"}[i%3]
				a, err := request(t.Context(), http.MethodPost, p.url+"/send_message", messageFor(name, fmt.Sprint(c, i)))
				switch {
				case err != nil:
					t.Error(err)
				case a.status == http.StatusOK:
					var given struct{ ID string }
					a.decode(t, &given)
					mu.Lock()
					accepted[given.ID] = true
					mu.Unlock()
				case a.status != http.StatusUnprocessableEntity || name != "comes":
					t.Errorf("POST /send_message for %s = %d %s, want 200", name, a.status, a.body)
				}
			}
		})
	}
	for i := range reloads {
		p.apply(t, sides[(i+1)%2]) // the last one declares all
	}
	working.Wait()
	for name := range sides[0].Gateways {
		eventually(t, "all messages for "+name+" are delivered", func() bool {
			c := p.lane(t, name).Counts
			return c["queued"]+c["sending"]+c["waiting"] == 0
		})
	}
	came := map[string]int{}
	for _, g := range gateways {
		for _, a := range g.seen() {
			came[a.message]++
		}
	}
	for id := range accepted {
		if came[id] != 1 {
			t.Errorf("message %s came %d times, want once", id, came[id])
		}
	}
	if len(came) != len(accepted) {
		t.Errorf("%d messages came, %d were accepted", len(came), len(accepted))
	}
	for _, m := range list(t, p.url+"/api/v1/messages").Messages {
		if m.State != "delivered" || !accepted[m.ID] {
			t.Errorf("message %+v, want one that was accepted and delivered", m)
		}
	}
}
