package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The eleven standard events, one of which the consumer refuses.
func TestPropagatorSendsToOurselves(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	cfg.Propagator.Enabled = true
	cfg.Propagator.Interval = 100 * time.Millisecond
	// Drawn until the odd one comes: not finding it in 150 draws has a chance of
	// less than one in a million.
	p := start(t, cfg, nil)
	eventually(t, "the entry with event_type 123 is refused", func() bool { return len(p.log.lines("event refused")) > 0 })
	refused := p.log.lines("event refused")[0]
	if refused["status"] != float64(http.StatusUnprocessableEntity) {
		t.Errorf("refused with %v, want 422", refused["status"])
	}
	for _, pointer := range []string{"/event_type: ", "/event_payload: "} {
		if answer, _ := refused["answer"].(string); !strings.Contains(answer, pointer) {
			t.Errorf("the report %q does not name %s", answer, pointer)
		}
	}
	eventually(t, "an event is accepted", func() bool { return len(p.log.lines("event accepted")) > 0 })
	// Each accepted event is one line in the log and one in the store. The newest
	// may be in the store already and not yet in the log.
	accepted := p.log.lines("event accepted")
	events := list(t, p.url+"/api/v1/events").Events
	if len(events) < len(accepted) {
		t.Fatalf("%d events were accepted, %d are listed", len(accepted), len(events))
	}
	for i, l := range accepted {
		if l["answer"] != events[i].ID {
			t.Errorf("accepted event %d is %v, listed as %s", i, l["answer"], events[i].ID)
		}
	}
}

// commandLine is the program run by a command line within the test.
type commandLine struct {
	log    *logBuffer
	out    *logBuffer
	cancel context.CancelFunc
	ended  chan struct{}
	code   int
}

func runCommand(t *testing.T, args ...string) *commandLine {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &commandLine{log: new(logBuffer), out: new(logBuffer), cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		c.code = execute(ctx, args, c.out, c.log)
	}()
	t.Cleanup(func() {
		c.stop(t)
		if t.Failed() {
			t.Logf("log of postrider %s:\n%s", strings.Join(args, " "), c.log.tail())
		}
	})
	return c
}

// stop ends the command and returns its exit code.
func (c *commandLine) stop(t *testing.T) int {
	t.Helper()
	c.cancel()
	receive(t, "the end of the command", c.ended)
	return c.code
}

// listening returns the address of a serve command.
func (c *commandLine) listening(t *testing.T) string {
	t.Helper()
	var lines []line
	eventually(t, "the process listens", func() bool {
		lines = c.log.lines("listening")
		return len(lines) > 0
	})
	url, _ := lines[0]["url"].(string)
	return url
}

// setting is one key with its value.
type setting struct{ key, value string }

// places are the three places where settings are made. Each returns what is left
// to give as arguments.
func places() map[string]func(t *testing.T, settings []setting) []string {
	return map[string]func(*testing.T, []setting) []string{
		"file": func(t *testing.T, settings []setting) []string {
			var text strings.Builder
			group := ""
			for _, s := range settings {
				above, key, _ := strings.Cut(s.key, ".")
				if above != group {
					text.WriteString(above + ":\n")
					group = above
				}
				text.WriteString("  " + key + ": " + s.value + "\n")
			}
			return []string{"--config", writeFile(t, "config.yaml", text.String())}
		},
		"environment": func(t *testing.T, settings []setting) []string {
			for _, s := range settings {
				t.Setenv("POSTRIDER_"+strings.ToUpper(strings.ReplaceAll(s.key, ".", "__")), s.value)
			}
			return nil
		},
		"flags": func(_ *testing.T, settings []setting) (args []string) {
			for _, s := range settings {
				args = append(args, "--"+s.key, s.value)
			}
			return args
		},
	}
}

// System A as its users know it: a propagator in one process, a consumer in
// another, and everything set in any of the three places.
func TestTwoProcesses(t *testing.T) {
	const entries = `[{"event_type": "one", "event_payload": "1"}, {"event_type": "two", "event_payload": "2"},
		{"event_type": 123, "event_payload": {}}, {"event_type": "three", "event_payload": "3"}]`
	for name, set := range places() {
		t.Run(name, func(t *testing.T) {
			if name != "environment" {
				t.Parallel()
			}
			store := filepath.Join(t.TempDir(), "deep", "store")
			port := freePort(t)
			const interval = 100 * time.Millisecond
			args := set(t, []setting{
				{"http.port", port},
				{"propagator.url", "http://127.0.0.1:" + port + "/event"},
				{"propagator.interval", "0.1"},
				{"propagator.events_file", writeFile(t, "events.json", entries)},
				{"storage.path", store},
				{"storage.memtable", "8MiB"},
				{"storage.min_free", "1GiB"},
			})
			consumer := runCommand(t, append([]string{"serve"}, args...)...)
			url := consumer.listening(t)
			if !strings.HasSuffix(url, ":"+port) {
				t.Errorf("the consumer listens at %s, want port %s", url, port)
			}
			if len(list(t, url+"/api/v1/events").Events) != 0 {
				t.Error("the consumer propagates though nobody switched that on")
			}
			propagator := runCommand(t, append([]string{"propagate"}, args...)...)
			kinds := map[string]int{}
			eventually(t, "two kinds of event and a refusal", func() bool {
				clear(kinds)
				for _, e := range list(t, url+"/api/v1/events").Events {
					kinds[e.Type+"="+e.Payload]++
				}
				return len(kinds) >= 2 && len(propagator.log.lines("event refused")) > 0
			})
			for kind := range kinds {
				if kind != "one=1" && kind != "two=2" && kind != "three=3" {
					t.Errorf("an event %q came, which is not in the file", kind)
				}
			}
			checkPace(t, propagator, interval)
			if code := propagator.stop(t); code != exitClean {
				t.Errorf("propagate exited with %d, want 0", code)
			}
			if code := consumer.stop(t); code != exitClean {
				t.Errorf("serve exited with %d, want 0", code)
			}
			if !stored(store) {
				t.Errorf("there is no store in %s", store)
			}
			if info, err := os.Stat(store); err == nil && info.Mode().Perm() != 0o700 {
				t.Errorf("the store may be read by others: %v", info.Mode())
			}
		})
	}
}

// checkPace checks the times at which a propagator reported its outcomes.
func checkPace(t *testing.T, c *commandLine, interval time.Duration) {
	t.Helper()
	outcomes := append(c.log.lines("event accepted"), c.log.lines("event refused")...)
	var first, last time.Time
	for _, l := range outcomes {
		text, _ := l["time"].(string)
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	// The ends are reported and not the starts: the last one may have been quick
	// and the first one slow.
	if n := len(outcomes); n > 1 && last.Sub(first) < time.Duration(n-2)*interval {
		t.Errorf("%d events within %v, want %v between two", n, last.Sub(first), interval)
	}
}

// The short forms that users of system A type.
func TestShortFlags(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, saying(http.StatusOK))
	events := writeFile(t, "events.json", `["anything", 1]`)
	p := runCommand(t, "propagate", "--interval", "0.1", "--url", gateway.url+"/here", "--events-file", events)
	eventually(t, "three events came", func() bool { return len(gateway.seen()) >= 3 })
	if body := gateway.seen()[0].body; body != `"anything"` && body != "1" {
		t.Errorf("came %s, want an entry of the file as it is", body)
	}
	if code := p.stop(t); code != exitClean {
		t.Errorf("propagate exited with %d, want 0", code)
	}
	port := freePort(t)
	consumer := runCommand(t, "serve", "--port", port, "--storage.path", filepath.Join(t.TempDir(), "store"))
	if url := consumer.listening(t); !strings.HasSuffix(url, ":"+port) {
		t.Errorf("serve --port %s listens at %s", port, url)
	}
}

// A consumer that is not there is a line in the log and no reason to stop.
func TestPropagatorOutlivesItsConsumer(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	p := runCommand(t, "propagate", "--interval", "100ms", "--url", "http://127.0.0.1:"+port+"/event")
	eventually(t, "two events were not sent", func() bool { return len(p.log.lines("event not sent")) >= 2 })
	consumer := runCommand(t, "serve", "--port", port, "--storage.path", filepath.Join(t.TempDir(), "store"))
	url := consumer.listening(t)
	eventually(t, "events come", func() bool { return len(list(t, url+"/api/v1/events").Events) > 0 })
}

// A consumer that answers slowly gets one event at a time.
func TestSlowConsumerGetsOneEventAtATime(t *testing.T) {
	t.Parallel()
	open := make(chan struct{}, 1)
	gateway := newGateway(t, func(r *http.Request) int {
		select {
		case open <- struct{}{}:
		default:
			t.Error("a second event came while the first was not answered")
		}
		select {
		case <-time.After(250 * time.Millisecond):
		case <-r.Context().Done():
		}
		<-open
		return http.StatusCreated
	})
	p := runCommand(t, "propagate", "--interval", "100ms", "--url", gateway.url)
	eventually(t, "an event was held up", func() bool {
		for _, l := range p.log.lines("event accepted") {
			if missed, _ := l["missed"].(float64); missed > 0 {
				return true
			}
		}
		return false
	})
}
