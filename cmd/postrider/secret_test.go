package main

import (
	"net/http"
	"strings"
	"testing"
)

// Whatever goes wrong and however much is logged, no secret is shown: one that
// stands in a header, in a URL, in an API key.
func TestSecretsAreNeverShown(t *testing.T) {
	t.Parallel()
	chat := newGateway(t, saying(http.StatusUnauthorized))
	consumer := newGateway(t, saying(http.StatusForbidden))
	nobody := "http://127.0.0.1:" + freePort(t)
	file := writeFile(t, "config.yaml", `
log: {level: debug, access: true}
http: {keys: [{name: ops, env: OPS_KEY}]}
propagator: {enabled: true, interval: 100ms, url: {env: CONSUMER_URL}, key: {env: CONSUMER_KEY}}
delivery: {interval: 50ms, allow_short_interval: true, max_attempts: 2, timeout: 2s}
gateways:
  chat: {url: {env: CHAT_URL}, headers: {Authorization: {env: CHAT_AUTHORIZATION}, X-Token: {env: CHAT_AUTHORIZATION}}}
  nobody: {url: {env: NOBODY_URL}}
  nowhere: {url: {env: NOWHERE_URL}}
  query: {url: "`+nobody+`/x?token=canary-query"}
  broken: {url: "http://canary-user:canary-password@127.0.0.1/{{nothing}}", headers: {Authorization: "{{nothing}}"}}
`)
	const key = "canary-key-0123456789"
	p := startChild(t, binary(t), inStore(t.TempDir(), "--config", file),
		"OPS_KEY="+key, "CONSUMER_KEY=canary-consumer-key", "CONSUMER_URL="+consumer.url+"/canary-path",
		"CHAT_URL="+chat.url+"/canary-path?canary=canary", "CHAT_AUTHORIZATION=Bearer canary-authorization",
		"NOBODY_URL="+nobody+"/canary-path", "NOWHERE_URL=http://nowhere.invalid/canary-path")
	url := p.listening(t)
	authorized := []string{"Authorization", "Bearer " + key}

	var shown strings.Builder
	see := func(a answer) answer {
		shown.WriteString(a.body)
		for name, values := range a.header {
			shown.WriteString(name + strings.Join(values, " "))
		}
		return a
	}
	see(ask(t, http.MethodGet, url+"/api/v1/events", "", "Authorization", "Bearer canary-wrong"))
	see(ask(t, http.MethodPost, url+"/login", "key=canary-wrong", "Content-Type", "application/x-www-form-urlencoded"))
	cookie := logIn(t, url, key)
	for _, path := range []string{"/api/v1/whoami", "/metrics", "/nothing"} {
		see(ask(t, http.MethodGet, url+path, "", "Cookie", cookie))
	}
	see(ask(t, http.MethodPost, url+"/event", `{"canary": "canary"}`, authorized...))
	see(ask(t, http.MethodGet, url+"/api/v1/events?canary=canary", "", authorized...))
	see(ask(t, http.MethodPost, url+"/canary", "", append([]string{"Idempotency-Key", "canary"}, authorized...)...))
	var ids []string
	for _, gateway := range []string{"chat", "nobody", "nowhere", "query", "broken"} {
		ids = append(ids, post(t, url+"/send_message", messageFor(gateway, "text"), authorized...))
	}
	for _, id := range ids[:4] {
		eventually(t, "message "+id+" has failed", func() bool {
			return strings.Contains(ask(t, http.MethodGet, url+"/api/v1/messages/"+id, "", authorized...).body, `"state":"failed"`)
		})
	}
	eventually(t, "the consumer refused an event", func() bool { return len(p.log.lines("event refused")) > 0 })
	for _, path := range []string{"/api/v1/gateways", "/api/v1/messages", "/metrics", "/readyz", "/healthz"} {
		if a := see(ask(t, http.MethodGet, url+path, "", authorized...)); a.status != http.StatusOK {
			t.Errorf("GET %s = %d, want 200", path, a.status)
		}
	}
	if code := p.end(t); code != exitClean {
		t.Errorf("exited with %d, want 0", code)
	}
	_, token, _ := strings.Cut(cookie, "=")
	for where, text := range map[string]string{"answers": shown.String(), "log": p.log.String(), "output": p.out.String()} {
		if strings.Contains(text, token) {
			t.Errorf("the token of a session is shown in the %s", where)
		}
		for at := 0; ; at++ {
			next := strings.Index(text[at:], "canary")
			if next < 0 {
				break
			}
			at += next
			t.Errorf("a secret is shown in the %s: …%s…", where, text[max(0, at-200):min(at+100, len(text))])
		}
	}
	// The secrets were used all the same.
	if seen := chat.seen(); len(seen) == 0 || seen[0].header.Get("Authorization") != "Bearer canary-authorization" {
		t.Errorf("the gateway got %+v, want it with its secret", seen)
	}
	if seen := consumer.seen(); len(seen) == 0 || seen[0].header.Get("Authorization") != "Bearer canary-consumer-key" {
		t.Errorf("the consumer got %+v, want it with its secret", seen)
	}
}

// The same for the propagator on its own, and for one without an answer.
func TestSecretsOfThePropagator(t *testing.T) {
	t.Parallel()
	p := startChild(t, binary(t), []string{"propagate", "--interval", "100ms", "--log.level", "debug", "--propagator.url", "{env: U}", "--propagator.key", "{env: K}"},
		"U=http://127.0.0.1:"+freePort(t)+"/canary", "K=canary-key")
	eventually(t, "an event is not sent", func() bool { return len(p.log.lines("event not sent")) > 0 })
	if code := p.end(t); code != exitClean {
		t.Errorf("exited with %d, want 0", code)
	}
	if text := p.log.String(); strings.Contains(text, "canary") {
		t.Errorf("a secret is in the log:\n%s", text)
	}
}
