package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postrider/postrider/config"
)

// A process that is asked to end finishes what it can and says so meanwhile.
func TestDrain(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	slow := newGateway(t, func(*http.Request) int { <-release; return http.StatusOK })
	dead := newGateway(t, hanging(t))
	cfg := settings(t)
	cfg.HTTP.Drain = 1500 * time.Millisecond
	cfg.Delivery.Interval = time.Minute
	cfg.Gateways = map[string]config.Gateway{"slow": at(slow.url), "dead": at(dead.url), "last": at(dead.url)}
	once := 1
	last := cfg.Gateways["last"]
	last.MaxAttempts = &once
	cfg.Gateways["last"] = last
	p := start(t, cfg, nil)
	ids := map[string]string{}
	for gateway := range cfg.Gateways {
		ids[gateway] = post(t, p.url+"/send_message", messageFor(gateway, "x"))
	}
	eventually(t, "all attempts are under way", func() bool { return len(slow.seen()) == 1 && len(dead.seen()) == 2 })
	if a := ask(t, http.MethodGet, p.url+"/readyz", ""); a.status != http.StatusOK {
		t.Errorf("GET /readyz = %d before the end, want 200", a.status)
	}

	began := time.Now()
	p.cancel()
	checkDraining(t, p, ids["slow"])
	close(release)
	eventually(t, "the attempt under way is settled", func() bool { return p.message(t, ids["slow"]).State == "delivered" })
	if err := p.stop(t); err != nil {
		t.Errorf("run() = %v, want nil", err)
	}
	if took := time.Since(began); took < cfg.HTTP.Drain || took > cfg.HTTP.Drain+10*time.Second {
		t.Errorf("the end took %v, want little more than http.drain, %v", took, cfg.HTTP.Drain)
	}

	p = start(t, cfg, nil)
	for gateway, want := range map[string]string{"slow": "delivered", "dead": "waiting", "last": "unknown"} {
		m := p.message(t, ids[gateway])
		if m.State != want || len(m.Attempts) != 1 {
			t.Errorf("message for %s = %+v, want %s after one attempt", gateway, m, want)
			continue
		}
		if a := m.Attempts[0]; want != "delivered" && (a.Outcome != "unknown" || a.Cause != "cut_off") {
			t.Errorf("attempt for %s = %+v, want unknown, cut off", gateway, a)
		}
	}
	if all := list(t, p.url+"/api/v1/messages").Messages; len(all) != len(ids) {
		t.Errorf("messages = %+v, want %d: what was refused is not stored", all, len(ids))
	}
	// Nothing was left open: there was nothing for recovery to settle.
	if cut := p.log.lines("attempts were cut off when the process ended: they count as used, their outcome is unknown"); len(cut) > 0 {
		t.Errorf("the next start had to settle %v", cut)
	}
}

// checkDraining checks what a process answers on its way out: it is not ready,
// takes nothing new and shows what there is.
func checkDraining(t *testing.T, p *instance, id string) {
	t.Helper()
	var ready answer
	eventually(t, "the process is not ready", func() bool {
		ready = ask(t, http.MethodGet, p.url+"/readyz", "")
		return ready.status == http.StatusServiceUnavailable
	})
	var problem struct{ Reasons []string }
	ready.decode(t, &problem)
	if !slices.Contains(problem.Reasons, "stopping") {
		t.Errorf("GET /readyz = %s, want the reason stopping", ready.body)
	}
	for path, body := range map[string]string{
		"/event":        `{"event_type": "late", "event_payload": ""}`,
		"/send_message": messageFor("slow", "late"),
	} {
		a := ask(t, http.MethodPost, p.url+path, body)
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("POST %s = %d %s, Retry-After %q, want 503 with one", path, a.status, a.body, a.header.Get("Retry-After"))
		}
	}
	if m := p.message(t, id); m.State != "sending" {
		t.Errorf("message = %+v while its attempt is under way, want sending", m)
	}
	if a := ask(t, http.MethodGet, p.url+"/healthz", ""); a.status != http.StatusOK {
		t.Errorf("GET /healthz = %d, want 200", a.status)
	}
}

// Messages that wait do not hold the end up, and wait on afterwards.
func TestEndWithABacklog(t *testing.T) {
	t.Parallel()
	broken := newGateway(t, saying(http.StatusBadGateway))
	cfg := settings(t)
	cfg.Delivery.Interval = time.Minute
	cfg.Gateways = map[string]config.Gateway{"broken": at(broken.url)}
	p := start(t, cfg, nil)
	var ids []string
	for range 20 {
		ids = append(ids, post(t, p.url+"/send_message", messageFor("broken", "x")))
	}
	for _, id := range ids {
		p.await(t, id, "waiting")
	}
	began := time.Now()
	if err := p.stop(t); err != nil || time.Since(began) > 10*time.Second {
		t.Errorf("run() = %v after %v, want nil soon", err, time.Since(began))
	}
	p = start(t, cfg, nil)
	for _, id := range ids {
		if m := p.message(t, id); m.State != "waiting" || len(m.Attempts) != 1 {
			t.Errorf("message = %+v after the restart, want waiting after one attempt", m)
		}
	}
}

// With no time to drain, everything is cut off at once and the end is clean.
func TestNoTimeToDrain(t *testing.T) {
	t.Parallel()
	dead := newGateway(t, hanging(t))
	cfg := settings(t)
	cfg.HTTP.Drain = 0
	cfg.Gateways = map[string]config.Gateway{"dead": at(dead.url)}
	p := start(t, cfg, nil)
	id := post(t, p.url+"/send_message", messageFor("dead", "x"))
	eventually(t, "the attempt is under way", func() bool { return len(dead.seen()) == 1 })
	began := time.Now()
	if err := p.stop(t); err != nil || time.Since(began) > 10*time.Second {
		t.Errorf("run() = %v after %v, want nil soon", err, time.Since(began))
	}
	p = start(t, cfg, nil)
	if m := p.message(t, id); len(m.Attempts) == 0 || m.Attempts[0].Cause != "cut_off" {
		t.Errorf("message = %+v, want an attempt that was cut off", m)
	}
}

// lateToken is a gateway whose token comes when it is released.
func lateToken(t *testing.T) (g *fakeGateway, declared config.Gateway, asked <-chan struct{}, release func()) {
	t.Helper()
	requests, released := make(chan struct{}, 10), make(chan struct{})
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- struct{}{}
		select {
		case <-released:
		case <-r.Context().Done():
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token": "t", "token_type": "Bearer"}`)
	}))
	t.Cleanup(tokens.Close)
	t.Cleanup(tokens.CloseClientConnections)
	g = newGateway(t, saying(http.StatusOK))
	declared = at(g.url)
	declared.Auth = &config.Auth{OAuth2: &config.OAuth2{
		TokenURL: config.Plain(tokens.URL), ClientID: config.Plain("me"), ClientSecret: config.Plain("s"),
	}}
	once := 1
	declared.MaxAttempts = &once
	return g, declared, requests, sync.OnceFunc(func() { close(released) })
}

// An attempt that still waits for its token when the process has to end is none: the
// next start makes it, though it is the only one.
func TestEndWhileWaitingForAToken(t *testing.T) {
	t.Parallel()
	g, declared, asked, release := lateToken(t)
	cfg := settings(t)
	cfg.HTTP.Drain = 0
	cfg.Gateways = map[string]config.Gateway{"late": declared}
	p := start(t, cfg, nil)
	id := post(t, p.url+"/send_message", messageFor("late", "x"))
	receive(t, "a token is asked for", asked)
	if err := p.stop(t); err != nil {
		t.Errorf("run() = %v, want nil", err)
	}
	if n := len(g.seen()); n != 0 {
		t.Errorf("%d requests came without a token", n)
	}
	release()
	p = start(t, cfg, nil)
	if m := p.await(t, id, "delivered"); len(m.Attempts) != 1 || m.Attempts[0].Number != 1 {
		t.Errorf("message = %+v, want it delivered by attempt 1", m)
	}
	if seen := g.seen(); len(seen) != 1 || seen[0].attempt != "1" {
		t.Errorf("the gateway got %+v, want attempt 1", seen)
	}
}

// A message whose end comes while it waits for a token is not sent any more.
func TestExpiresWhileWaitingForAToken(t *testing.T) {
	t.Parallel()
	g, declared, asked, release := lateToken(t)
	cfg := settings(t)
	cfg.Gateways = map[string]config.Gateway{"late": declared}
	p := start(t, cfg, nil)
	id := post(t, p.url+"/send_message", `{"gateway": "late", "message": "code 123", "expires_in": "1s"}`)
	receive(t, "a token is asked for", asked)
	eventually(t, "the end of the message has passed", func() bool {
		var m struct {
			ExpiresAt time.Time `json:"expires_at"`
		}
		get(t, p.url+"/api/v1/messages/"+id, &m)
		return time.Since(m.ExpiresAt) > 100*time.Millisecond
	})
	release()
	if m := p.await(t, id, "expired"); len(m.Attempts) != 0 {
		t.Errorf("message = %+v, want no attempt", m)
	}
	post(t, p.url+"/send_message", `{"gateway": "late", "message": "wanted", "expires_in": "1h"}`)
	eventually(t, "the next one is sent", func() bool { return len(g.seen()) > 0 })
	if seen := g.seen(); len(seen) != 1 || !strings.Contains(seen[0].body, "wanted") {
		t.Errorf("the gateway got %+v, want the second message alone", seen)
	}
}

// Clients that keep their connections open and say nothing do not hold the end up.
func TestIdleConnectionsDoNotHoldTheEndUp(t *testing.T) {
	t.Parallel()
	p := start(t, settings(t), nil)
	for range 3 {
		post(t, p.url+"/event", `{"event_type": "a", "event_payload": "`+strings.Repeat("x", 100)+`"}`)
	}
	began := time.Now()
	if err := p.stop(t); err != nil || time.Since(began) > 3*time.Second {
		t.Errorf("run() = %v after %v, want nil soon", err, time.Since(began))
	}
	if len(p.log.lines("some requests did not end in time")) > 0 {
		t.Error("a connection without a request was waited for")
	}
}

// TestAudienceIsCheckedOnTheSocket: a name can pass the configuration's check and
// lead anywhere.
func TestAudienceIsCheckedOnTheSocket(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	cfg.HTTP.Host = "0.0.0.0"
	err := run(t.Context(), cfg, runOptions{errs: io.Discard, listening: func(a net.Addr) { t.Errorf("listens on %v", a) }})
	if exitCode(err) != exitUsage || !strings.Contains(err.Error(), "http.host") {
		t.Errorf("run = %v; want a mistake at http.host", err)
	}
}
