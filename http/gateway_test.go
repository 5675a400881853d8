package httpapi

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/postrider/postrider/data"
)

// laneOf returns a lane with messages in the states given.
func laneOf(gateway string, states ...data.State) data.Lane {
	lane := data.Lane{Gateway: gateway}
	for _, state := range states {
		lane.Counts[state]++
	}
	return lane
}

func TestGatewaysAsShown(t *testing.T) {
	store := newStore()
	tr := &transcript{tb: t, server: newServer(t, store)}
	throttled := laneOf("gateway_1", data.Waiting)
	throttled.Held, throttled.HeldAt = 1, noon.Add(time.Hour)
	throttled.Unreached = 7
	store.lanes["gateway_1"] = throttled
	tr.do("held because it asked for it", "GET", "/api/v1/gateways/gateway_1", "")
	store.lanes["gateway_1"] = laneOf("gateway_1", data.Waiting)
	tr.do("not held any more", "GET", "/api/v1/gateways/gateway_1", "")
	down := laneOf("gateway_99", data.Queued)
	down.Unreached = 3
	store.lanes["gateway_99"] = down
	tr.do("held since there is no connection", "GET", "/api/v1/gateways/gateway_99", "")
	down.HeldAt = noon.Add(time.Minute)
	store.lanes["gateway_99"] = down
	tr.do("both", "GET", "/api/v1/gateways/gateway_99", "")
	tr.do("pause", "POST", "/api/v1/gateways/gateway_1/pause", "")
	tr.do("pause again", "POST", "/api/v1/gateways/gateway_1/pause", "")
	tr.do("resume", "POST", "/api/v1/gateways/gateway_1/resume", "")
	tr.do("pause one that had no message", "POST", "/api/v1/gateways/broken/pause", "")
	tr.do("pause nobody", "POST", "/api/v1/gateways/nobody/pause", "")
	tr.do("resume nobody", "POST", "/api/v1/gateways/%2e%2e/resume", "")
	store.lanes["gone"] = laneOf("gone", data.Queued)
	tr.do("one that is not declared any more", "GET", "/api/v1/gateways/gone", "")
	tr.do("pause one that is not declared any more", "POST", "/api/v1/gateways/gone/pause", "")
	tr.do("wrong method", "GET", "/api/v1/gateways/gateway_1/pause", "")
	tr.compare("gateways")
	if _, made := store.lanes["nobody"]; made {
		t.Error("a gateway that nobody knows was paused")
	}
}

// A gateway that is not declared is listed where its name belongs as long as
// somebody would miss it.
func TestUndeclaredGatewaysAreListed(t *testing.T) {
	store := newStore()
	store.lanes["a"] = laneOf("a", data.Queued, data.Waiting)
	store.lanes["gateway_5"] = laneOf("gateway_5", data.Delivered)
	store.lanes["z"] = data.Lane{Gateway: "z", Paused: true}
	store.lanes["empty"] = laneOf("empty")
	store.lanes["gateway_1"] = laneOf("gateway_1", data.Sending)
	server := newServer(t, store)
	var seen []string
	for after, pages := "", 0; pages < 10; pages++ {
		got := do(t, server, "GET", "/api/v1/gateways?limit=2&after="+after, "")
		var list struct {
			Gateways []struct {
				Name     string            `json:"name"`
				Declared bool              `json:"declared"`
				Problem  string            `json:"problem"`
				Counts   map[string]uint64 `json:"counts"`
			} `json:"gateways"`
			Next *string `json:"next"`
		}
		if err := json.Unmarshal([]byte(got.body), &list); err != nil {
			t.Fatalf("%s: %v", got.body, err)
		}
		for _, g := range list.Gateways {
			if left := strings.HasPrefix(g.Problem, "not declared"); left == g.Declared {
				t.Errorf("%s is declared %t, with the problem %q", g.Name, g.Declared, g.Problem)
			}
			if want := store.lanes[g.Name].Counts[data.Waiting]; g.Counts["waiting"] != want {
				t.Errorf("%s has %d waiting messages; want %d", g.Name, g.Counts["waiting"], want)
			}
			mark := "-"
			if g.Declared {
				mark = "+"
			}
			seen = append(seen, mark+g.Name)
		}
		if list.Next == nil {
			break
		}
		after = *list.Next
	}
	if got, want := strings.Join(seen, " "), "-a +broken +gateway_1 -gateway_5 +gateway_99 -z"; got != want {
		t.Errorf("listed are %s; want %s", got, want)
	}
	for name, want := range map[string]int{"a": 200, "gateway_5": 200, "z": 200, "empty": 404, "nobody": 404} {
		if got := do(t, server, "GET", "/api/v1/gateways/"+name, ""); got.status != want {
			t.Errorf("GET %s = %d; want %d", name, got.status, want)
		}
	}
}

// Pausing is the operator's tool: it works while nothing new is taken, and says
// so when it does not.
func TestPauseInTrouble(t *testing.T) {
	store := newStore()
	server := newServer(t, store, func(o *Options) { o.Accepting = func() error { return data.ErrNoSpace } })
	if got := do(t, server, "POST", "/api/v1/gateways/gateway_1/pause", ""); got.status != 200 || !store.lanes["gateway_1"].Paused {
		t.Errorf("pause without space = %d, paused %t; want 200 and done", got.status, store.lanes["gateway_1"].Paused)
	}
	store.err = data.ErrNoAnswer
	got := do(t, server, "POST", "/api/v1/gateways/gateway_1/resume", "")
	if got.status != 503 || got.header.Get("Retry-After") == "" || !store.lanes["gateway_1"].Paused {
		t.Errorf("resume while the store is stuck = %d %s; want 503", got.status, got.body)
	}
}

// changing is Gateways that know a gateway the first time they are asked for it,
// and never again.
type changing struct{ asked int }

func (c *changing) Gateway(name string) (data.Gateway, bool) {
	c.asked++
	return data.Gateway{Name: name, MaxQueue: 7}, c.asked == 1
}

func (c *changing) Gateways() []data.Gateway { return []data.Gateway{{Name: "other"}} }

// Declarations are read anew while requests run. One request goes by one answer.
func TestOneRequestMeetsOneDeclaration(t *testing.T) {
	requests := []struct{ method, path, body, want string }{
		{"POST", "/send_message", `{"message":"m","gateway":"gateway_1"}`, `"state":"queued"`},
		{"POST", "/send_message", `{"message":1,"gateway":"gateway_1"}`, `"errors":[{"pointer":"/message"`},
		{"GET", "/api/v1/gateways/gateway_1", "", `"max_queue":7`},
		{"POST", "/api/v1/gateways/gateway_1/pause", "", `"max_queue":7`},
		{"POST", "/api/v1/messages/resend", `{"gateway":"gateway_1"}`, `{"resent":2,"skipped":0,"next":null}`},
		{"POST", "/api/v1/messages/" + data.ID(3).String() + "/resend", "", `{"id":`},
	}
	for _, r := range requests {
		store, gateways := newStore(), &changing{}
		store.messages = []data.Message{{ID: 3, Gateway: "gateway_1", State: data.Failed}, {ID: 4, Gateway: "gateway_1", State: data.Expired}}
		server := newServer(t, store, func(o *Options) { o.Gateways = gateways })
		if got := do(t, server, r.method, r.path, r.body); !strings.Contains(got.body, r.want) || gateways.asked != 1 {
			t.Errorf("%s %s %s = %d %s after asking %d times; want %s after one", r.method, r.path, r.body, got.status, got.body, gateways.asked, r.want)
		}
		if r.want == `"state":"queued"` && store.saves[0].Messages[0].MaxQueue != 7 {
			t.Errorf("the message may find %d others; want the gateway's 7", store.saves[0].Messages[0].MaxQueue)
		}
	}
}
