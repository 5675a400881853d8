package main

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
	httpapi "github.com/postrider/postrider/http"
	"github.com/postrider/postrider/http/openapi"
)

// stayHere is the text of a message that its gateway does not answer.
const stayHere = "stay here"

// newMoods is an outside API that answers as the path says.
func newMoods(t *testing.T) string {
	t.Helper()
	over := t.Context()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body) // what is missing is not looked for
		status := map[string]int{"/fail": 500, "/final": 400, "/busy": 429}[r.URL.Path]
		switch {
		case strings.Contains(string(text), stayHere):
			select {
			case <-r.Context().Done():
			case <-over.Done():
			}
		case status == http.StatusTooManyRequests:
			w.Header().Set("Retry-After", "600")
			fallthrough
		case status > 0:
			w.WriteHeader(status)
		}
		_, _ = io.WriteString(w, `{"access_token":"t","token_type":"bearer","expires_in":600,"said":"é\u0000"}`)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// withAllMoods is a configuration with a gateway of each kind.
func withAllMoods(t *testing.T, moods string) *config.Config {
	t.Helper()
	declared, err := read(t, `
delivery: {interval: 300ms, allow_short_interval: true}
gateways:
  gateway_1: {}
  gateway_99: {}
  ok: {url: "`+moods+`/ok", keep_answer: true, length: {limit: 200, over: split}}
  fail: {url: "`+moods+`/fail", max_attempts: 2, keep_answer: true}
  final: {url: "`+moods+`/final", permanent: {status: [400]}}
  busy: {url: "`+moods+`/busy"}
  stuck: {url: "`+moods+`/stuck", max_attempts: 1, timeout: 1m}
  later: {url: "`+moods+`/fail", interval: 10m}
  closed: {url: "http://127.0.0.1:`+freePort(t)+`/", hold_after: 1}
  paused: {url: "`+moods+`/ok"}
  small: {url: "`+moods+`/busy", max_queue: 1}
  broken: {url: "`+moods+`/{{nothing}}"}
  sms: {url: "`+moods+`/ok", needs: [to], length: {limit: 40, over: reject}, body: {form: {to: "{{to}}", text: "{{message}}", x: "{{params.x}}"}}}
routes:
  - {match: {event_type: "user_*"}, gateway: ok, message: "{{event_payload}} is here"}
  - {match: {event_type: "order_*", payload: {/urgent: true}}, gateways: [fail, sms], message: "order {{payload.id}}", to: "{{payload.phone}}"}
`)
	if err != nil {
		t.Fatal(err)
	}
	cfg := loopbackToo(settings(t))
	cfg.Demo.Gateways = true
	cfg.HTTP.Drain = 100 * time.Millisecond // then what hangs is cut off
	cfg.HTTP.Hosts = []string{"h", "evil"}
	cfg.Gateways, cfg.Routes = declared.Gateways, declared.Routes
	return cfg
}

// oneOfEachScope is a key of each scope, and one that is bound to a gateway.
func oneOfEachScope() (keys []config.Key) {
	for _, scope := range httpapi.AllScopes() {
		keys = append(keys, config.Key{Name: strings.ReplaceAll(string(scope), ":", "-"), Secret: config.Plain(keyOf(string(scope))), Scopes: []string{string(scope)}})
	}
	return append(keys, config.Key{Name: "bound", Secret: config.Plain(keyOf("bound")), Scopes: []string{"message:write"}, Gateways: []string{"ok"}})
}

func keyOf(scope string) string { return scope + "-0123456789abcdef" }

// fill makes messages of every state that a process leaves behind. One is cut off
// by its end, and so unknown from then on.
func (p *instance) fill(t *testing.T, moods string) {
	t.Helper()
	send := func(gateway, rest string) string {
		return post(t, p.url+"/send_message", `{"gateway":"`+gateway+`","message":"hello"`+rest+`}`)
	}
	p.pause(t, "paused", true)
	p.declares(t, "made", quotedURL(moods+"/ok"), http.StatusCreated)
	p.declares(t, "gotify", `{"preset":"gotify","settings":{"server":"`+moods+`","token":"t"}}`, http.StatusCreated)
	post(t, p.url+"/event", `[{"event_type":"user_joined","event_payload":"alice"},{"event_type":"order_1","event_payload":"{\"urgent\":true,\"id\":7,\"phone\":\"+1\"}"},{"event_type":"other","event_payload":""}]`)
	ends := map[string]string{"ok": "delivered", "final": "failed", "gateway_1": "delivered", "gateway_99": "failed", "made": "delivered", "later": "waiting"}
	sent := make(map[string]string)
	for range 3 {
		for gateway, state := range ends {
			sent[send(gateway, "")] = state
		}
		sent[send("fail", `,"expires_in":"100ms"`)] = "expired"
		send("paused", "")
		ask(t, http.MethodPost, p.url+"/api/v1/messages/"+send("paused", "")+"/cancel", "")
	}
	for id, state := range sent {
		p.await(t, id, state)
	}
	for _, gateway := range []string{"busy", "small", "closed"} {
		send(gateway, "")
		eventually(t, gateway+" is held", func() bool { return p.lane(t, gateway).Hold != nil })
	}
	dead := send("final", "")
	p.await(t, dead, "failed")
	post(t, p.url+"/api/v1/messages/"+dead+"/resend", "")
	p.await(t, post(t, p.url+"/send_message", messageFor("stuck", stayHere)), "sending")
}

// wantEveryState fails the test unless there are messages of each.
func (p *instance) wantEveryState(t *testing.T) {
	t.Helper()
	admin := []string{"Authorization", "Bearer " + keyOf("admin")}
	post(t, p.url+"/send_message", messageFor("stuck", stayHere), admin...)
	for _, state := range data.AllStates() {
		eventually(t, "a message is "+state.String(), func() bool {
			var found page
			ask(t, http.MethodGet, p.url+"/api/v1/messages?limit=1&state="+state.String(), "", admin...).decode(t, &found)
			return len(found.Messages) == 1
		})
	}
}

// ids are those of dead letters, of events, and of other messages.
func (p *instance) ids(t *testing.T) (all []any) {
	t.Helper()
	for _, list := range []string{"messages?limit=20&state=dead", "events?limit=5", "messages?limit=5"} {
		var found page
		ask(t, http.MethodGet, p.url+"/api/v1/"+list, "", "Authorization", "Bearer "+keyOf("admin")).decode(t, &found)
		for _, m := range found.Messages {
			all = append(all, m.ID)
		}
		for _, e := range found.Events {
			all = append(all, e.ID)
		}
	}
	return all
}

// stockOf is what that process has, and what can be declared there. A profile over
// time takes its time, so none is asked for.
func stockOf(cfg *config.Config, moods string, ids []any) *openapi.Stock {
	admin := "Bearer " + keyOf("admin")
	authorization := slices.Repeat([]any{admin}, 16)
	for _, key := range cfg.HTTP.Keys {
		authorization = append(authorization, "Bearer "+key.Secret.Value())
	}
	if runtime.GOOS == "linux" { // elsewhere all would come from one address, which is locked out then
		authorization = append(authorization, "", "Bearer x")
	}
	names := []any{"nobody", "made", "gotify", "new"}
	for _, name := range slices.Sorted(maps.Keys(cfg.Gateways)) {
		names = append(names, name)
	}
	text, form := map[string]any{"text": "{{message}}"}, map[string]any{"form": map[string]any{"m": "{{message}}", "to": "{{?to}}"}}
	secret := map[string]any{"name": "X-Key", "value": "v"}
	return openapi.NewStock(map[string][]any{
		"Authorization": authorization,
		"Host":          append(slices.Repeat([]any{"h"}, 20), "127.0.0.1", "foreign.example", "a b"),
		"Origin":        append(slices.Repeat([]any{""}, 20), "http://h", "http://foreign.example", "null"),
		"ID":            ids,
		"GatewayName":   names,
		"profile":       {"heap", "allocs", "goroutine", "block", "mutex", "threadcreate"},
		"limit":         {1, 2, 7, 20, 50, 1000},
		"event_type":    {"user_joined", "user_left", "order_1", "other", "none"},
		"event_payload": {"alice", `{"urgent":true,"id":7,"phone":"+1"}`, `{"urgent":true}`, "not JSON"},
		"message":       {"hello", strings.Repeat("long ", 100), "{{message}}"},
		"to":            {"+1", ""},
		"expires_in":    {"100ms", "10m", "720h"},
		"Declaration": {
			map[string]any{"url": moods + "/ok", "body": form, "headers": map[string]any{"X-A": "{{title}}"}, "max_queue": 100, "interval": "1m"},
			map[string]any{"preset": "gotify", "settings": map[string]any{"server": moods, "token": "t"}},
			map[string]any{"url": moods + "/final", "permanent": map[string]any{"status": []any{400}}, "keep_answer": true},
		},
		"url":          {moods + "/ok", moods + "/ok", moods + "/fail", moods + "/{{settings.token}}", moods + "/{{nothing}}", "http://10.1.2.3/", "ftp://127.0.0.1/"},
		"preset":       {"gotify", "alertmanager", "generic-json", "none"},
		"settings":     {map[string]any{"server": moods, "token": "t"}, map[string]any{"url": moods + "/ok"}, map[string]any{"server": moods}},
		"query":        {map[string]any{"a": "{{message}}"}},
		"headers":      {map[string]any{"X-A": "b"}, map[string]any{"X-A": "{{title}}"}},
		"auth":         {map[string]any{"bearer": "b"}, map[string]any{"header": secret}, map[string]any{"oauth2": map[string]any{"token_url": moods + "/token", "client_id": "c", "client_secret": "s"}}},
		"tls":          {map[string]any{}},
		"body":         {text, form, map[string]any{"json": map[string]any{"m": "{{message}}"}}, map[string]any{"none": true}},
		"success":      {map[string]any{"status": []any{200, "202-204"}}},
		"permanent":    {map[string]any{"status": []any{400}}},
		"throttle":     {map[string]any{"status": []any{429}, "fixed": "1m"}},
		"length":       {map[string]any{"limit": 40, "over": "split"}, map[string]any{"limit": 10, "over": "reject"}},
		"needs":        {[]any{"to"}, []any{}},
		"interval":     {"300ms", "1m"},
		"timeout":      {"1s", "10s"},
		"max_hint":     {"1m"},
		"max_attempts": {1, 3, 100},
		"concurrency":  {1, 16},
		"rate":         {0, 1.5, 100},
		"max_queue":    {0, 3, 100000},
		"hold_after":   {0, 1},
	})
}

// reloading reads the configuration anew: sometimes with a gateway more, sometimes
// with a mistake.
func reloading(cfg *config.Config) loadFunc {
	var turn int // a reload has none beside it
	return func() (*config.Config, error) {
		turn++
		next := make(map[string]config.Gateway)
		for name, g := range cfg.Gateways {
			if name != "broken" || turn%4 == 0 {
				next[name] = g
			}
		}
		if turn%4 == 1 {
			next["more"] = cfg.Gateways["ok"]
		}
		return with(cfg, next), nil
	}
}
