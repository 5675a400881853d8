package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/postrider/postrider/config"
)

// What a gateway does not take of a route is counted and logged when the event is on
// disk, once for a request, and not for its repeat.
func TestMisfitsOfRoutes(t *testing.T) {
	t.Parallel()
	g := newGateway(t, saying(http.StatusOK))
	cfg := settings(t)
	strict := at(g.url)
	strict.Needs = []string{"to"}
	cfg.Gateways = map[string]config.Gateway{"strict": strict, "lax": at(g.url)}
	cfg.Routes = []config.Route{{Match: config.Match{EventType: "user_*"}, Gateways: []string{"lax", "strict"}, Message: "canary {{event_payload}}"}}
	p := start(t, cfg, nil)
	check := func(when string, count string, lines int) {
		t.Helper()
		metrics := ask(t, http.MethodGet, p.url+"/metrics", "").body
		if got := strings.Contains(metrics, `postrider_route_misfits_total{gateway="strict"} `+count+"\n"); got != (count != "") {
			t.Errorf("%s: metrics say that strict has %s misfits: %v", when, count, got)
		}
		logged := p.log.lines("a route made messages that do not fit their gateway: they are left out")
		if len(logged) != lines {
			t.Fatalf("%s: the log has %v, want %d lines", when, logged, lines)
		}
		if lines > 0 && (logged[0]["gateway"] != "strict" || logged[0]["messages"] != 2.0 || logged[0]["field"] != "/to" || logged[0]["problem"] != "required") {
			t.Errorf("%s: the log has %v", when, logged[0])
		}
	}
	event := `{"event_type": "user_new", "event_payload": "x"}`
	// Refused, so nothing is left out of it.
	if a := ask(t, http.MethodPost, p.url+"/event", `[`+event+`, {"event_type": "user_new"}]`); a.status != http.StatusUnprocessableEntity {
		t.Errorf("half an event = %d %s, want 422", a.status, a.body)
	}
	check("refused", "", 0)
	for _, when := range []string{"stored", "repeated"} {
		a := ask(t, http.MethodPost, p.url+"/event", "["+event+","+event+"]", "Idempotency-Key", "k")
		if a.status != http.StatusCreated {
			t.Errorf("%s = %d %s, want 201", when, a.status, a.body)
		}
		check(when, "2", 1)
	}
	eventually(t, "the other gateway has both", func() bool { return len(g.seen()) == 2 })
}
