package main

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
	httpapi "github.com/postrider/postrider/http"
)

// routed returns the messages that one route makes of an event.
func routed(t *testing.T, r config.Route, e data.NewEvent) []data.NewMessage {
	t.Helper()
	routes, err := newRoutes([]config.Route{r})
	if err != nil {
		t.Fatal(err)
	}
	s := &snapshot{gateways: &catalog{}, routes: routes}
	made, err := s.route(e, func(gateway string, faults []httpapi.Fault) { t.Errorf("%s does not take it: %v", gateway, faults) })
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestRouteMatches(t *testing.T) {
	const order = `{"id": 12345678901234567890, "total": 1e2, "paid": true, "note": null, "customer": {"country": "DE", "a/b": {"~": "x"}}, "items": [{"sku": "A"}, {"sku": "B"}]}`
	for _, c := range []struct {
		name    string
		match   config.Match
		payload string
		want    bool
	}{
		{"type alone", config.Match{EventType: "order_*"}, "anything", true},
		{"other type", config.Match{EventType: "user_*"}, order, false},
		{"text", config.Match{PayloadContains: "country"}, order, true},
		{"other text", config.Match{PayloadContains: "Country"}, order, false},
		{"a pattern", config.Match{Payload: map[string]any{"/customer/country": "D?"}}, order, true},
		{"another pattern", config.Match{Payload: map[string]any{"/customer/country": "D"}}, order, false},
		{"an escaped pointer", config.Match{Payload: map[string]any{"/customer/a~1b/~0": "*"}}, order, true},
		{"an element", config.Match{Payload: map[string]any{"/items/1/sku": "B"}}, order, true},
		{"no such element", config.Match{Payload: map[string]any{"/items/2/sku": "*"}}, order, false},
		{"an odd index", config.Match{Payload: map[string]any{"/items/01/sku": "*"}}, order, false},
		{"a number by value", config.Match{Payload: map[string]any{"/total": 100}}, order, true},
		{"another number", config.Match{Payload: map[string]any{"/total": 100.5}}, order, false},
		{"a long number", config.Match{Payload: map[string]any{"/id": uint64(12345678901234567890)}}, order, true},
		{"its neighbour", config.Match{Payload: map[string]any{"/id": uint64(12345678901234567891)}}, order, false},
		{"text is no number", config.Match{Payload: map[string]any{"/total": "100"}}, order, false},
		{"a number is no text", config.Match{Payload: map[string]any{"/customer/country": 5}}, order, false},
		{"true", config.Match{Payload: map[string]any{"/paid": true}}, order, true},
		{"false", config.Match{Payload: map[string]any{"/paid": false}}, order, false},
		{"null is nothing", config.Match{Payload: map[string]any{"/note": "*"}}, order, false},
		{"an object is no text", config.Match{Payload: map[string]any{"/customer": "*"}}, order, false},
		{"absent", config.Match{Payload: map[string]any{"/other": "*"}}, order, false},
		{"all must hold", config.Match{Payload: map[string]any{"/paid": true, "/total": 1}}, order, false},
		{"no JSON", config.Match{Payload: map[string]any{"/a": "*"}}, `{"a":"b"`, false},
		{"no object", config.Match{Payload: map[string]any{"/0": "*"}}, `["a"]`, false},
		{"a name twice", config.Match{Payload: map[string]any{"/a": "*"}}, `{"a":"b","a":"c"}`, false},
		{"blanks around", config.Match{Payload: map[string]any{"/a": "b"}}, " \n{\"a\":\"b\"}\t", true},
	} {
		if c.match.EventType == "" {
			c.match.EventType = "*"
		}
		made := routed(t, config.Route{Match: c.match, Gateway: "g", Message: "x"}, data.NewEvent{Type: "order_new", Payload: c.payload})
		if got := len(made) == 1; got != c.want {
			t.Errorf("%s: it matches: %v; want %v", c.name, got, c.want)
		}
	}
}

func TestRouteFillsFields(t *testing.T) {
	r := config.Route{
		Match: config.Match{EventType: "*"}, Gateways: []string{"a", "b"},
		Message: "{{payload.id}} {{ payload.user.name }}|{{payload.user.none}}|{{payload.paid}}{{payload.note}} {{payload.items}} {{payload.items.1}}",
		To:      "{{payload.user.phone}}", Title: "{{event_type}}", Params: map[string]string{"name": "{{payload.user.name}}", "": "{{event_payload}}"},
	}
	payload := `{"id":12345678901234567890,"user":{"name":"{{payload.id}} \"é\"","phone":"+1"},"paid":true,"note":null,"items":[ 1, {"b":2,"a":1} ]}`
	made := routed(t, r, data.NewEvent{Type: "t", Payload: payload})
	if len(made) != 2 || made[0].Gateway != "a" || made[1].Gateway != "b" {
		t.Fatalf("made is %+v; want a message for each gateway", made)
	}
	const name = `{{payload.id}} "é"`
	for _, m := range made {
		want := data.NewMessage{
			Gateway: m.Gateway, Text: `12345678901234567890 ` + name + `||true [1,{"a":1,"b":2}] {"a":1,"b":2}`, To: "+1", Title: "t",
			Params: map[string]string{"name": name, "": payload},
		}
		if m.Text != want.Text || m.To != want.To || m.Title != want.Title || !maps.Equal(m.Params, want.Params) {
			t.Errorf("made is\n%+v; want\n%+v", m, want)
		}
	}
	for _, payload := range []string{"", "text", "[1]", `{"id":`} {
		if m := routed(t, r, data.NewEvent{Payload: payload})[0]; m.Text != " ||  " || m.To != "" {
			t.Errorf("of the payload %q it makes %+v", payload, m)
		}
	}
}

func TestRouteMistakes(t *testing.T) {
	for _, c := range []struct{ field, source string }{
		{"message", "{{payload}}"},
		{"message", "{{payload.}}"},
		{"message", "{{payload.a..b}}"},
		{"to", "{{canary}}"},
		{"title", "{{event_type"},
		{"params.a", "{{Payload.a}}"},
	} {
		r := config.Route{Match: config.Match{EventType: "*"}, Gateway: "g", Message: "x"}
		switch c.field {
		case "message":
			r.Message = c.source
		case "to":
			r.To = c.source
		case "title":
			r.Title = c.source
		default:
			r.Params = map[string]string{"a": c.source}
		}
		_, err := newRoutes([]config.Route{r})
		mistakes, ok := errors.AsType[config.Mistakes](err)
		if !ok || len(mistakes) != 1 || mistakes[0].Path != "routes[0]."+c.field || strings.Contains(mistakes[0].Problem, "canary") {
			t.Errorf("%s: %s gives %v", c.field, c.source, err)
		}
	}
}

// A payload is read as JSON only when a route asks, and costs nothing before.
func TestPlainRouteCosts(t *testing.T) {
	routes, err := newRoutes([]config.Route{{Match: config.Match{EventType: "a*"}, Gateway: "g", Message: "{{event_payload}} is here"}})
	if err != nil {
		t.Fatal(err)
	}
	s := &snapshot{gateways: &catalog{}, routes: routes}
	e := data.NewEvent{Type: "abc", Payload: `{"name":"x"}`}
	if n := testing.AllocsPerRun(100, func() { _, _ = s.route(e, nil) }); n > 4 {
		t.Errorf("%v allocations for a message; want at most 4", n)
	}
}

func FuzzPayload(f *testing.F) {
	for _, seed := range []string{`{"a":{"b":[1,2,{"c":"d"}]}}`, `{"a":1e999}`, `{"a":"\ud800"}`, "{", strings.Repeat(`{"a":`, 20000)} {
		f.Add(seed, "a.b.2.c")
	}
	f.Fuzz(func(_ *testing.T, raw, path string) {
		p := payload{raw: raw}
		_ = p.text(strings.Split(path, "."))
		for _, c := range newConditions(map[string]any{"/" + path: "*", "/a": 1, "/b": true}) {
			_ = c.holds(p.fields())
		}
	})
}
