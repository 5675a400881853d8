package main

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// What messages and events say is shown to nobody without read:content, and secrets to
// nobody at all, wherever one looks and whatever goes wrong. New operations and pages
// are looked at without anybody's doing.
func TestCanaries(t *testing.T) {
	t.Parallel()
	c := newCage(t)
	c.declare()
	c.send()
	c.operate()
	c.speakNonsense()
	c.read()
	c.browse()
	c.command()
	c.backUp()
	if err := c.stop(t); err != nil {
		t.Fatal(err)
	}
	c.readLog()
}

// wantNone fails for an answer that has what it must not.
func (c *cage) wantNone(where string, a answer, not ...string) {
	c.t.Helper()
	// Where goroutines stand, files of ours are named.
	wantNone(c.t, where, strings.ReplaceAll(a.body+fmt.Sprint(a.header), "canary_test", ""), not...)
}

// declare has a gateway over the API too.
func (c *cage) declare() {
	c.t.Helper()
	over := `{"url": "` + c.echo.url + `/over-api/canary-over", "keep_answer": true, "auth": {"bearer": "canary-over"}, "body": {"json": {"a": "{{message}}"}}}`
	c.wantNone("PUT of a gateway", ask(c.t, http.MethodPut, c.url+"/api/v1/gateways/made", over, bearing(everyKey)...), c.both...)
}

// send has events and messages accepted, delivered, failed, and tried again.
func (c *cage) send() {
	c.t.Helper()
	for range 2 {
		song := quoted(map[string]string{"event_type": "song", "event_payload": nightingale})
		c.events = append(c.events, post(c.t, c.url+"/event", song, bearing(everyKey)...))
	}
	for _, name := range c.gateways {
		body := quoted(map[string]any{"gateway": name, "message": nightingale + " fail", "to": nightingale, "title": nightingale, "params": map[string]string{"x": nightingale}})
		a := ask(c.t, http.MethodPost, c.url+"/send_message", body, bearing(everyKey)...)
		c.wantNone("POST /send_message for "+name, a, c.both...)
		var given struct{ ID string }
		a.decode(c.t, &given)
		c.messages = append(c.messages, given.ID)
		if name == "fails" {
			c.dead = given.ID
		}
	}
	for _, id := range c.messages {
		eventually(c.t, "message "+id+" has ended", func() bool {
			var m message
			ask(c.t, http.MethodGet, c.url+"/api/v1/messages/"+id, "", bearing(everyKey)...).decode(c.t, &m)
			return m.State == "delivered" || m.State == "failed"
		})
	}
}

// operate acts on what there is.
func (c *cage) operate() {
	c.t.Helper()
	act := func(path, body string, not ...string) {
		c.t.Helper()
		c.wantNone("POST "+path, ask(c.t, http.MethodPost, c.url+path, body, bearing(operatorKey)...), not...)
	}
	for _, name := range c.gateways {
		at, song := "/api/v1/gateways/"+name, `{"message": "`+nightingale+`"}`
		act(at+"/render", song, c.secrets...) // which shows the caller what he said himself
		act(at+"/test", song, c.both...)
	}
	act("/api/v1/reload", "", c.both...)
	act("/api/v1/messages/resend", `{"gateway": "fails", "dry_run": true}`, c.both...)
	act("/api/v1/messages/"+c.dead+"/resend", "", c.both...)
	act("/api/v1/messages/"+c.dead+"/cancel", "", c.both...)
	act("/api/v1/gateways/fails/pause", "", c.both...)
	act("/api/v1/gateways/fails/resume", "", c.both...)
}

// speakNonsense asks for every operation in ways that it refuses. What is shown of that
// later, as in metrics, is read later.
func (c *cage) speakNonsense() {
	c.t.Helper()
	headers := append(bearing(everyKey), "Idempotency-Key", "canary "+nightingale, "X-Request-Id", "canary "+nightingale)
	for _, o := range operations(c.t) {
		path := regexp.MustCompile(`{[a-z]+}`).ReplaceAllString(o[1], nightingale) + "?canary=canary&limit=canary&after=" + nightingale
		for _, nonsense := range []string{
			`{"` + nightingale + `": "canary"}`, `["canary"`, `"` + nightingale + `"`, `{"message": {"canary": 1}, "gateway": "` + nightingale + `"}`,
			`{"event_type": 1, "event_payload": ["` + nightingale + `"], "canary": {}}`,
		} {
			if o[0] == http.MethodGet {
				nonsense = ""
			}
			ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
			a, err := request(ctx, o[0], c.url+path, nonsense, headers...)
			cancel()
			if err != nil {
				c.t.Fatalf("%v %s: %v", o, nonsense, err)
			}
			if a.status >= 400 {
				c.wantNone(fmt.Sprintf("%v %s = %d", o, nonsense, a.status), a, c.both...)
			}
		}
	}
}

// read asks for every operation that shows something.
func (c *cage) read() {
	c.t.Helper()
	shows := map[string]bool{}
	for _, o := range operations(c.t) {
		if o[0] != http.MethodGet || o[1] == "/api/v1/backup" {
			continue
		}
		for _, path := range filled(o[1], c.gateways, c.events, c.messages) {
			for _, key := range []string{readerKey, operatorKey, insiderKey, everyKey} {
				a := glance(c.t, c.url+path, append(bearing(key), "Last-Event-ID", c.events[0])...)
				where := fmt.Sprintf("GET %s with %s", path, key[len("canary-"):])
				c.wantNone(where, a, c.secrets...)
				switch {
				case key == readerKey || key == operatorKey:
					c.wantNone(where, a, nightingale)
				case key == insiderKey && strings.Contains(a.body, nightingale):
					shows[o[1]] = true
				}
			}
		}
	}
	for _, path := range []string{"/api/v1/events", "/api/v1/events/tail", "/api/v1/events/{id}", "/api/v1/messages", "/api/v1/messages/{id}"} {
		if !shows[path] {
			c.t.Errorf("GET %s does not show what events and messages say to one with read:content", path)
		}
	}
}

// browse looks at every page.
func (c *cage) browse() {
	c.t.Helper()
	from := []string{"/messages/" + c.dead, "/events/" + c.events[0], "/gateways/made", "/messages?state=dead", "/config", "/events"}
	for _, key := range []string{readerKey, operatorKey} {
		pages := crawl(c.t, c.url, key, from...)
		for path, text := range pages {
			wantNone(c.t, "page "+path, text, c.both...)
		}
		if len(pages) < 15 {
			c.t.Errorf("there are only %d pages", len(pages))
		}
	}
	told := 0
	for path, text := range crawl(c.t, c.url, insiderKey, from...) {
		wantNone(c.t, "page "+path, text, c.secrets...)
		if strings.Contains(text, nightingale) {
			told++
		}
	}
	if told < 3 {
		c.t.Errorf("%d pages show what messages say to one with read:content", told)
	}
}

// command has commands say what the API tells them, or that they were refused.
func (c *cage) command() {
	c.t.Helper()
	told := 0
	run := func(key string, args ...string) {
		c.t.Helper()
		_, out, errs := command(c.t, append(args, "--server", c.url, "--key-file", writeFile(c.t, "key", key))...)
		where := fmt.Sprintf("%v with %s", args, key[len("canary-"):])
		wantNone(c.t, where, out+errs, c.secrets...)
		if out+errs == "" {
			c.t.Errorf("%s says nothing", where)
		}
		if key != insiderKey && key != everyKey {
			wantNone(c.t, where, out+errs, nightingale)
		} else if strings.Contains(out, nightingale) {
			told++
		}
	}
	for _, key := range []string{readerKey, operatorKey, insiderKey, everyKey} {
		for _, args := range [][]string{
			{"status"},
			{"status", "--json"},
			{"whoami"},
			{"gateways", "list"},
			{"gateways", "list", "--json"},
			{"gateways", "show", "named"},
			{"gateways", "show", "made", "--json"},
			{"gateways", "render", "named", "--message", "x"},
			{"messages", "list"},
			{"messages", "list", "--json"},
			{"messages", "show", c.dead},
			{"messages", "cancel", c.dead},
			{"messages", "resend", c.dead},
			{"events", "list"},
			{"events", "list", "--json"},
			{"reload"},
		} {
			run(key, args...)
		}
	}
	run("canary-wrong-0123456789", "messages", "list")
	if told < 8 {
		c.t.Errorf("%d commands say what messages and events do to one with read:content", told)
	}
}

// backUp makes a backup: it has what messages and events say, and the secrets of gateways
// over the API, but no others.
func (c *cage) backUp() {
	c.t.Helper()
	a := glance(c.t, c.url+"/api/v1/backup", bearing(everyKey)...)
	if !strings.Contains(a.body, nightingale) || !strings.Contains(a.body, "canary-over") {
		c.t.Error("the backup lacks what messages say, or a gateway over the API")
	}
	a.body = strings.ReplaceAll(a.body, "canary-over", "")
	c.wantNone("the backup", a, c.secrets...)
}

// readLog looks at what is left when the process has ended.
func (c *cage) readLog() {
	c.t.Helper()
	log := c.log.String()
	if !strings.Contains(log, `"level":"DEBUG"`) || !strings.Contains(log, "attempt failed") {
		c.t.Error("the log has too little in it")
	}
	wantNone(c.t, "the log", log, c.both...)
	if heard := c.echo.heard("over-api"); !strings.Contains(heard, "canary-over") || !strings.Contains(heard, nightingale) {
		c.t.Errorf("the gateway over the API got %s", heard)
	}
}
