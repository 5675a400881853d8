package main

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postrider/postrider/config"
)

// command runs one command line within the test.
func command(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e logBuffer
	code = execute(t.Context(), args, &o, &e)
	return code, o.String(), e.String()
}

// Through an outage the strict rule uses up every attempt and not one more. What
// became a dead letter is sent again with one command, once.
func TestStrictOutage(t *testing.T) {
	t.Parallel()
	const messages = 300
	var back atomic.Bool
	gateway := newGateway(t, func(*http.Request) int {
		if back.Load() {
			return http.StatusOK
		}
		return http.StatusServiceUnavailable
	})
	cfg := settings(t)
	cfg.Delivery.Interval = 100 * time.Millisecond
	cfg.Gateways = map[string]config.Gateway{"chat": at(gateway.url), "other": at(gateway.url)}
	cfg.Routes = every("chat", "{{event_payload}}")
	p := start(t, cfg, nil)
	p.backlog(t, messages)
	p.awaitAll(t, "chat", "failed", messages)
	other := p.await(t, post(t, p.url+"/send_message", messageFor("other", "x")), "failed")
	lives := map[string][]arrival{}
	for _, a := range gateway.seen() {
		lives[a.message] = append(lives[a.message], a)
	}
	if len(lives) != messages+1 {
		t.Errorf("%d messages came, want %d", len(lives), messages+1)
	}
	for _, seen := range lives {
		checkArrivals(t, seen, cfg.Delivery.Interval, []string{"1", "2", "3"})
	}

	back.Store(true)
	before := len(gateway.seen())
	resend := func(want string, more ...string) {
		t.Helper()
		args := append([]string{"messages", "resend", "--server", p.url}, more...)
		if code, out, errs := command(t, args...); code != exitClean || out != want {
			t.Errorf("%v = %d %q %q, want 0 and %q", args, code, out, errs, want)
		}
	}
	resend("300 messages match\n", "--gateway", "chat", "--dry-run")
	resend(`{"matching":300}`+"\n", "--gateway", "chat", "--dry-run", "--json")
	resend("0 messages match\n0 are sent again, 0 skipped\n", "--gateway", "chat", "--cause", "timeout")
	resend("0 messages match\n0 are sent again, 0 skipped\n", "--state", "unknown")
	if n := len(gateway.seen()); n != before {
		t.Errorf("%d messages were sent by counting", n-before)
	}
	resend("300 messages match\n300 are sent again, 0 skipped\n", "--gateway", "chat", "--state", "failed", "--cause", "status")
	p.awaitAll(t, "chat", "delivered", messages)
	resend(`{"matching":0,"resent":0,"skipped":0}`+"\n", "--gateway", "chat", "--json")
	if n := len(gateway.seen()) - before; n != messages {
		t.Errorf("%d messages came after they were sent again, want %d", n, messages)
	}
	p.checkResent(t, messages)

	code, out, errs := command(t, "messages", "resend", "--server", p.url, other.ID)
	id := strings.TrimSpace(out)
	if code != exitClean || id == "" {
		t.Fatalf("messages resend %s = %d %q %q, want 0 and an id", other.ID, code, out, errs)
	}
	p.await(t, id, "delivered")
	if code, out, errs := command(t, "messages", "resend", "--server", p.url, other.ID); code != exitFailure || out != "" || !strings.Contains(errs, "409: Already sent again as "+id) {
		t.Errorf("messages resend, a second time = %d %q %q, want 1, 409 and %s", code, out, errs, id)
	}
}

// checkResent checks that so many pairs of messages name each other and say the
// same.
func (p *instance) checkResent(t *testing.T, pairs int) {
	t.Helper()
	all := map[string]message{}
	for _, m := range list(t, p.url+"/api/v1/messages").Messages {
		all[m.ID] = m
	}
	found := 0
	for id, old := range all {
		if old.ResentAs == "" {
			continue
		}
		found++
		if now := all[old.ResentAs]; now.ResendOf != id || now.Text != old.Text || now.Gateway != old.Gateway || old.State != "failed" || now.State != "delivered" {
			t.Errorf("message %+v was sent again as %+v", old, now)
		}
	}
	if found != pairs {
		t.Errorf("%d messages were sent again, want %d", found, pairs)
	}
}

// With hold_after an outage costs a few attempts and no message.
func TestHeldOutage(t *testing.T) {
	t.Parallel()
	const messages, holdAfter = 300, 5
	cfg := settings(t)
	cfg.Delivery.Interval = 100 * time.Millisecond
	cfg.Delivery.HoldAfter = holdAfter
	port := freePort(t)
	cfg.Gateways = map[string]config.Gateway{"chat": at("http://127.0.0.1:" + port)}
	cfg.Routes = every("chat", "{{event_payload}}")
	p := start(t, cfg, nil)
	p.backlog(t, messages)
	eventually(t, "the outage is noticed", func() bool { return p.lane(t, "chat").held("outage") })
	if got := p.metric(t, `postrider_gateways_blocked{reason="outage"}`); got != "1" {
		t.Errorf("gateways held by an outage = %q, want 1", got)
	}
	// So long that three attempts of every message would be over.
	pause(t, 10*cfg.Delivery.Interval)
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int32
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) })}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	p.awaitAll(t, "chat", "delivered", messages)
	spent := 0
	for _, m := range list(t, p.url+"/api/v1/messages").Messages {
		spent += len(m.Attempts) - 1
	}
	// Those that were under way when the last one of them was refused.
	if most := holdAfter + cfg.Delivery.Concurrency; spent < holdAfter || spent > most {
		t.Errorf("%d attempts were spent on the outage, want %d to %d", spent, holdAfter, most)
	}
	if n := int(requests.Load()); n != messages {
		t.Errorf("%d requests came, want %d: a probe is none", n, messages)
	}
}

// A person's word outlasts the process.
func TestPauseSurvivesAKill(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, saying(http.StatusOK))
	file := writeFile(t, "config.yaml", fmt.Sprintf("gateways: {chat: {url: %q}, other: {url: %q}}\n", gateway.url, gateway.url))
	store := t.TempDir()
	p := startChild(t, binary(t), inStore(store, "--config", file))
	url := p.listening(t)
	if code, out, errs := command(t, "gateways", "pause", "nobody", "--server", url); code != exitFailure || out != "" || !strings.Contains(errs, "there is no gateway nobody: ") {
		t.Errorf("gateways pause of an unknown one = %d %q %q, want 1 and that there is none", code, out, errs)
	}
	if code, out, errs := command(t, "gateways", "pause", "chat", "--server", url); code != exitClean || out != "chat is paused\n" {
		t.Fatalf("gateways pause = %d %q %q, want 0", code, out, errs)
	}
	state := func(id string) func() bool {
		return func() bool {
			var m message
			get(t, url+"/api/v1/messages/"+id, &m)
			return m.State == "delivered"
		}
	}
	id := post(t, url+"/send_message", messageFor("chat", "paused"))
	// Another lane had its turn meanwhile.
	eventually(t, "the other gateway is served", state(post(t, url+"/send_message", messageFor("other", "x"))))
	p.kill(t)

	p = startChild(t, binary(t), inStore(store, "--config", file))
	url = p.listening(t)
	eventually(t, "the other gateway is served", state(post(t, url+"/send_message", messageFor("other", "x"))))
	var l lane
	if get(t, url+"/api/v1/gateways/chat", &l); !l.Paused || l.Counts["queued"] != 1 {
		t.Errorf("chat is %+v after the kill, want paused with one message queued", l)
	}
	if a := ask(t, http.MethodGet, url+"/metrics", ""); !strings.Contains(a.body, `postrider_gateways_blocked{reason="paused"} 1`) {
		t.Error("/metrics does not show the paused lane")
	}
	if code, out, errs := command(t, "gateways", "resume", "chat", "--server", url); code != exitClean || out != "chat is not paused\n" {
		t.Fatalf("gateways resume = %d %q %q, want 0", code, out, errs)
	}
	eventually(t, "the message is delivered", state(id))
	seen := gateway.seen()
	if len(seen) != 3 || seen[2].message != id {
		t.Errorf("the gateway got %d messages, %+v; want three, the paused one last", len(seen), seen)
	}
}
