package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postrider/postrider/config"
)

// saboteur panics in an actor at some of its messages.
type saboteur struct {
	actor   string
	message string // its type, as in lanes' "gateway.Wake"
	at      []int  // which of these messages, from 1

	mu   sync.Mutex
	seen int
	done int
}

func (s *saboteur) fault(actor string, message any) {
	if actor != s.actor || fmt.Sprintf("%T", message) != s.message {
		return
	}
	s.mu.Lock()
	s.seen++
	hit := false
	for _, n := range s.at {
		hit = hit || n == s.seen
	}
	if hit {
		s.done++
	}
	s.mu.Unlock()
	if hit {
		panic("provoked by a test")
	}
}

func (s *saboteur) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

func TestTickerFails(t *testing.T) {
	t.Parallel()
	s := &saboteur{actor: "ticker", message: "ticker.tickDue", at: []int{1, 2, 3}}
	cfg := settings(t)
	cfg.Propagator.Enabled = true
	cfg.Propagator.Interval = 100 * time.Millisecond
	p := start(t, cfg, s.fault)
	eventually(t, "three failures", func() bool { return s.times() == 3 })
	sent := len(p.log.lines("event accepted"))
	eventually(t, "events come again", func() bool { return len(p.log.lines("event accepted")) > sent })
	checkGrowingDelay(t, p, "ticker", 3)
}

// checkGrowingDelay checks that an actor came back later each time. A delay
// doubles, less a quarter at most.
func checkGrowingDelay(t *testing.T, p *instance, actor string, failures int) {
	t.Helper()
	var before time.Duration
	found := 0
	for _, l := range p.log.lines("actor failed: will be restarted") {
		if l["actor"] != actor {
			continue
		}
		found++
		in, _ := l["in"].(string)
		delay, err := time.ParseDuration(in)
		if err != nil || delay <= before {
			t.Errorf("actor %s restarted in %q after %v the time before, want longer", actor, in, before)
		}
		before = delay
	}
	if found != failures {
		t.Errorf("actor %s was restarted %d times, want %d", actor, found, failures)
	}
	if stack := p.log.lines("panic in actor"); len(stack) < failures || !strings.Contains(fmt.Sprint(stack[0]["stack"]), "fault_test.go") {
		t.Errorf("%d stacks are logged, want %d that lead here", len(stack), failures)
	}
}

// Whichever message a lane or the manager loses to a panic: all that was
// acknowledged ends, and never early.
func TestLaneAndManagerFail(t *testing.T) {
	t.Parallel()
	for _, s := range []*saboteur{
		{actor: "gateways", message: "gateways.Accepted", at: []int{2, 4, 5}},
		{actor: "gateway-chat", message: "gateway.Wake", at: []int{1, 3}},
		{actor: "gateway-chat", message: "gateway.resumed", at: []int{1, 2}},
		{actor: "gateway-chat", message: "gateway.loaded", at: []int{1, 2}},
		{actor: "gateway-chat", message: "gateway.recorded", at: []int{1, 4}},
		{actor: "gateway-chat", message: "gateway.attemptDone", at: []int{2, 5}},
		{actor: "gateway-chat", message: "gateway.settleDue", at: []int{1, 4}},
		{actor: "gateway-chat", message: "gateway.wakeDue", at: []int{1, 2}},
	} {
		t.Run(s.message, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			first := map[string]bool{}
			// The first attempt of every message is refused.
			chat := newGateway(t, func(r *http.Request) int {
				mu.Lock()
				defer mu.Unlock()
				id := r.Header.Get("Postrider-Message-Id")
				if !first[id] {
					first[id] = true
					return http.StatusServiceUnavailable
				}
				return http.StatusOK
			})
			cfg := settings(t)
			cfg.Delivery.Timeout = 300 * time.Millisecond
			cfg.Delivery.Interval = 200 * time.Millisecond
			cfg.Delivery.MaxAttempts = 10
			cfg.Gateways = map[string]config.Gateway{"chat": at(chat.url)}
			p := start(t, cfg, s.fault)
			var ids []string
			for i := range 8 {
				ids = append(ids, post(t, p.url+"/send_message", messageFor("chat", fmt.Sprint(i))))
			}
			for _, id := range ids {
				p.await(t, id, "delivered")
			}
			eventually(t, "the failures that are planned", func() bool {
				if s.times() == len(s.at) {
					return true
				}
				post(t, p.url+"/send_message", messageFor("chat", "more"))
				return false
			})
			for _, m := range list(t, p.url+"/api/v1/messages").Messages {
				p.await(t, m.ID, "delivered")
			}
			perMessage := map[string][]arrival{}
			for _, a := range chat.seen() {
				perMessage[a.message] = append(perMessage[a.message], a)
			}
			for id, seen := range perMessage {
				for i := 1; i < len(seen); i++ {
					if pause := seen[i].at.Sub(seen[i-1].answered); pause < cfg.Delivery.Interval {
						t.Errorf("message %s: attempt %s came %v after attempt %s, want %v", id, seen[i].attempt, pause, seen[i-1].attempt, cfg.Delivery.Interval)
					}
				}
			}
			checkGrowingDelay(t, p, s.actor, len(s.at))
			if err := p.stop(t); err != nil {
				t.Errorf("run() = %v, want nil", err)
			}
		})
	}
}

// failAt makes the test binary, run by a test, a program whose persister fails.
// It says at which message: a count and a type.
const failAt = "FAIL_AT"

// failingPersister serves until it does.
func failingPersister(file, at string) int {
	s := &saboteur{actor: "persister", at: []int{0}}
	cfg, err := config.Load(config.Options{File: file})
	if err == nil {
		_, err = fmt.Sscan(at, &s.at[0], &s.message)
	}
	if err == nil {
		ctx, stop := untilSignal()
		defer stop()
		err = run(ctx, cfg, runOptions{errs: os.Stderr, fault: s.fault})
	}
	if err == nil {
		return exitClean
	}
	_, _ = fmt.Fprintln(os.Stderr, "postrider:", err)
	return exitCode(err)
}

// startFailing starts such a program.
func startFailing(t *testing.T, file, at string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return startChild(t, self, []string{file}, failAt+"="+at)
}

// A panic in the persister ends the process, whoever waits for it is told
// nothing, and the next start has all that was acknowledged.
func TestPersisterFails(t *testing.T) {
	t.Parallel()
	store := t.TempDir()
	file := writeFile(t, "config.yaml", "http: {port: 0}\nstorage: {path: "+store+", memtable: 8MiB, min_free: 128MiB}\n")
	broken := startFailing(t, file, "10 persister.save")
	url := broken.listening(t)
	var acknowledged []string
	for i := range 20 {
		a, err := request(t.Context(), http.MethodPost, url+"/event", fmt.Sprintf(`{"event_type": "a", "event_payload": "%d"}`, i))
		if err != nil || a.status != http.StatusCreated {
			break
		}
		var given struct{ ID string }
		a.decode(t, &given)
		acknowledged = append(acknowledged, given.ID)
	}
	if code := broken.wait(t); code != exitFailure || !strings.Contains(broken.log.String(), "actor persister failed") {
		t.Errorf("the process exited with %d, want 1 and the reason; it said\n%s", code, broken.log.tail())
	}
	if len(acknowledged) != 9 {
		t.Errorf("%d events were acknowledged, want the 9 before the panic", len(acknowledged))
	}
	p := startChild(t, binary(t), []string{"serve", "--config", file})
	events := list(t, p.listening(t)+"/api/v1/events").Events
	for i, id := range acknowledged {
		if i >= len(events) || events[i].ID != id {
			t.Errorf("event %s was acknowledged and is not at place %d of %v", id, i, events)
		}
	}
	if code := p.end(t); code != exitClean {
		t.Errorf("the next process exited with %d, want 0", code)
	}
}

// A failure while the process ends is one like any other: it does not wait for
// what cannot come, and it is no clean end.
func TestPersisterFailsAtTheEnd(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	chat := newGateway(t, func(*http.Request) int { <-release; return http.StatusOK })
	store := t.TempDir()
	file := writeFile(t, "config.yaml", "http: {port: 0, drain: 1m}\ngateways: {chat: {url: '"+chat.url+"'}}\n"+
		"storage: {path: "+store+", memtable: 8MiB, min_free: 128MiB}\n")
	// The first record begins the attempt, the second one settles it.
	broken := startFailing(t, file, "2 persister.Record")
	id := post(t, broken.listening(t)+"/send_message", messageFor("chat", "x"))
	eventually(t, "the attempt is under way", func() bool { return len(chat.seen()) == 1 })
	broken.signal(t, syscall.SIGTERM)
	eventually(t, "it drains", func() bool { return strings.Contains(broken.log.String(), "stopping") })
	began := time.Now()
	close(release)
	if code := broken.wait(t); code != exitFailure || time.Since(began) > 5*time.Second {
		t.Errorf("the process exited with %d after %v, want 1 at once; it said\n%s", code, time.Since(began), broken.log.tail())
	}
	p := startChild(t, binary(t), []string{"serve", "--config", file})
	var m message
	get(t, p.listening(t)+"/api/v1/messages/"+id, &m)
	if m.State != "waiting" || len(m.Attempts) != 1 || m.Attempts[0].Outcome != "unknown" {
		t.Errorf("message = %+v after the next start, want waiting after an attempt of unknown outcome", m)
	}
}

// A store that fails ends the process, whatever it is doing.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	for name, ending := range map[string]bool{"while serving": false, "at the end": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dead := newGateway(t, hanging(t))
			file := writeFile(t, "config.yaml", "gateways: {dead: {url: '"+dead.url+"', timeout: 2m}}\n")
			store := filepath.Join(t.TempDir(), "store")
			p := startChild(t, binary(t), inStore(store, "--config", file, "--http.drain", "1m"))
			post(t, p.listening(t)+"/send_message", messageFor("dead", "x"))
			eventually(t, "the attempt is under way", func() bool { return len(dead.seen()) == 1 })
			if ending {
				p.signal(t, syscall.SIGTERM)
				eventually(t, "it drains", func() bool { return strings.Contains(p.log.String(), "stopping") })
			}
			// Moved away, its free space can no longer be read.
			if err := os.Rename(store, store+".gone"); err != nil {
				t.Fatal(err)
			}
			if code := p.wait(t); code != exitFailure || !strings.Contains(p.log.String(), "storage failed") {
				t.Errorf("the process exited with %d, want 1 and the reason; it said\n%s", code, p.log.tail())
			}
			// Nothing was lost by it.
			next := startChild(t, binary(t), inStore(store+".gone", "--config", file))
			if m := list(t, next.listening(t)+"/api/v1/messages").Messages; len(m) != 1 || len(m[0].Attempts) != 1 {
				t.Errorf("messages = %+v after the next start, want one after one attempt", m)
			}
		})
	}
}
