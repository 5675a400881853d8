package httpapi

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

// declared is an option: some routes, and a configuration.
func declared(o *Options) {
	o.DeclaredRoutes = func() []Route {
		return []Route{
			{EventType: "*", Gateways: []string{"gateway_1"}, Message: "{{event_payload}}"},
			{
				EventType: "user_*", PayloadContains: "x", Payload: map[string]any{"/a": "b*", "/n": 1.5, "/t": true},
				Gateways: []string{"gateway_1", "gateway_99"}, Message: "m", To: "t", Title: "h", Params: map[string]string{"p": "v"},
			},
		}
	}
	o.Config = func(w io.Writer) error {
		_, err := io.WriteString(w, "http:\n  port: 5000\n")
		return err
	}
}

func TestRoutesAndConfigAreShown(t *testing.T) {
	tr := &transcript{tb: t, server: newServer(t, newStore(), declared)}
	tr.do("routes", "GET", "/api/v1/routes", "")
	tr.do("configuration", "GET", "/api/v1/config", "")
	tr.do("no parameters", "GET", "/api/v1/routes?limit=1", "")
	tr.server = newServer(t, newStore())
	tr.do("no routes", "GET", "/api/v1/routes", "")
	tr.do("no configuration", "GET", "/api/v1/config", "")
	tr.server = newServer(t, newStore(), func(o *Options) { o.Config = func(io.Writer) error { return errors.New("secret") } })
	tr.do("a configuration that cannot be shown", "GET", "/api/v1/config", "")
	tr.compare("settings")
}

func TestMessagesByTime(t *testing.T) {
	store := newStore()
	for i := range 4 {
		store.messages = append(store.messages, data.Message{ID: data.ID(i + 1), AcceptedAt: noon.Add(time.Duration(i) * time.Minute), State: data.Queued})
	}
	server := newServer(t, store)
	at := func(minute int) string { return noon.Add(time.Duration(minute) * time.Minute).Format(time.RFC3339Nano) }
	for query, want := range map[string][]data.ID{
		"since=" + at(1):                                 {2, 3, 4},
		"until=" + at(1):                                 {1},
		"since=" + at(1) + "&until=" + at(3):             {2, 3},
		"since=" + at(3) + "&until=" + at(1):             {},
		"since=2026-03-04T13:02:00%2B01:00":              {3, 4},
		"since=&until=":                                  {1, 2, 3, 4},
		"state=queued&gateway=&limit=1&since=" + at(2):   {3},
		"since=" + at(0) + "&until=9999-12-31T23:59:59Z": {1, 2, 3, 4},
	} {
		got := do(t, server, "GET", "/api/v1/messages?"+query, "")
		if n := strings.Count(got.body, `"id":`); got.status != 200 || n != len(want) {
			t.Errorf("messages?%s = %d with %d messages, want %d: %s", query, got.status, n, len(want), got.body)
			continue
		}
		for _, id := range want {
			if !strings.Contains(got.body, id.String()) {
				t.Errorf("messages?%s lacks %s: %s", query, id, got.body)
			}
		}
	}
	for _, bad := range []string{"since=yesterday", "until=2026-03-04", "since=2026-03-04T12:00:00+01:00", "since=" + at(1) + "&since=" + at(1)} {
		if got := do(t, server, "GET", "/api/v1/messages?"+bad, ""); got.status != 400 {
			t.Errorf("messages?%s = %d, want 400", bad, got.status)
		}
	}
}
