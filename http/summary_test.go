package httpapi

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/postrider/postrider/data"
)

// laneWith is a lane with so many messages in some states.
func laneWith(gateway string, first data.ID, counts map[data.State]uint64) data.Lane {
	l := data.Lane{Gateway: gateway, First: first}
	for state, n := range counts {
		l.Counts[state] = n
	}
	return l
}

// busy is a store with a gateway in each way that asks for attention.
func busy() *store {
	s := newStore()
	s.summary = Summary{
		StartedAt: noon.Add(-time.Hour),
		Rates:     Rates{Events: 1.5, Messages: 2, Delivered: 0.5},
		History:   History{Step: 2 * time.Second, Events: []uint32{1, 2}, Messages: []uint32{0, 4}, Delivered: []uint32{0, 1}, Failed: []uint32{0, 0}},
		Store:     StoreSummary{Reasons: []string{"not enough disk space"}, Free: 1 << 30, Size: 1 << 20},
		Config:    ConfigSummary{AppliedAt: noon, RefusedAt: noon.Add(time.Second), Mistakes: 3, NeedsRestart: []string{"http.port"}},
	}
	first := data.FirstID(1)
	for i, gateway := range []string{"gateway_1", "gateway_99", "gone"} {
		s.messages = append(s.messages, data.Message{ID: first + data.ID(i), Gateway: gateway, State: data.Queued, AcceptedAt: noon.Add(time.Duration(i) * time.Second)})
	}
	s.lanes["gateway_1"] = laneWith("gateway_1", first, map[data.State]uint64{data.Queued: 1, data.Failed: 2, data.Unknown: 1})
	outage := laneWith("gateway_99", first+1, map[data.State]uint64{data.Waiting: 5})
	outage.Unreached = 3
	s.lanes["gateway_99"] = outage
	throttled := laneWith("broken", 0, nil)
	throttled.HeldAt, throttled.Paused = noon.Add(time.Hour), true
	s.lanes["broken"] = throttled
	s.lanes["gone"] = laneWith("gone", first+2, map[data.State]uint64{data.Queued: 1})
	s.lanes["nothing"] = laneWith("nothing", 0, nil) // was there once
	s.history = map[string]History{"gateway_1": {Step: 10 * time.Second, Delivered: []uint32{1, 0}, Failed: []uint32{0, 2}}}
	return s
}

func TestSummary(t *testing.T) {
	tr := &transcript{tb: t, server: newServer(t, busy(), func(o *Options) { o.Version = "1.2.3" })}
	tr.do("summary", "GET", "/api/v1/summary", "")
	tr.do("a gateway with its history", "GET", "/api/v1/gateways/gateway_1", "")
	tr.do("a gateway without", "GET", "/api/v1/gateways/gateway_99", "")
	tr.do("no parameters", "GET", "/api/v1/summary?limit=1", "")
	tr.server = newServer(t, newStore())
	tr.do("nothing going on", "GET", "/api/v1/summary", "")
	tr.compare("summary")

	shown := summaryOf(t, newServer(t, busy()))
	var got []string
	for _, a := range shown.Attention {
		got = append(got, fmt.Sprint(a.Gateway, " ", a.Reason, " ", a.Open, " ", a.Dead, " ", a.Until != nil, " ", a.Oldest != nil))
	}
	want := []string{"gone parked 1 0 false true", "gateway_99 outage 5 0 false true", "broken throttled 0 0 true false", "gateway_1 dead 1 3 false true"}
	if !slices.Equal(got, want) {
		t.Errorf("attention is %q, want %q", got, want)
	}
	if want := (gatewaysAnswer{Total: 4, Paused: 1, Held: 2, Parked: 1, Backlog: 3}); shown.Gateways != want {
		t.Errorf("gateways are %+v, want %+v", shown.Gateways, want)
	}
	if shown.Oldest == nil || *shown.Oldest != stamp(noon) || shown.Store.Accepting || shown.Config.RefusedAt == nil {
		t.Errorf("the oldest is of %v, the store is %+v, the configuration %+v", shown.Oldest, shown.Store, shown.Config)
	}
}

func summaryOf(t *testing.T, s *Server) (shown summaryAnswer) {
	t.Helper()
	got := do(t, s, "GET", "/api/v1/summary", "")
	if err := json.Unmarshal([]byte(got.body), &shown); err != nil || got.status != 200 {
		t.Fatalf("GET summary = %d %s, %v", got.status, got.body, err)
	}
	return shown
}

// TestAttentionNamesTheWorst has more gateways than a summary names, of two kinds.
func TestAttentionNamesTheWorst(t *testing.T) {
	store := newStore()
	for i := range uint64(2 * maxAttention) {
		name := fmt.Sprintf("dead_%03d", i)
		store.lanes[name] = laneWith(name, 0, map[data.State]uint64{data.Failed: i + 1})
	}
	for i := range uint64(10) {
		name := fmt.Sprintf("parked_%d", i)
		store.lanes[name] = laneWith(name, data.ID(i+1), map[data.State]uint64{data.Queued: i + 1})
	}
	shown := summaryOf(t, newServer(t, store))
	if len(shown.Attention) != maxAttention {
		t.Fatalf("attention names %d gateways, want %d", len(shown.Attention), maxAttention)
	}
	for i, want := range map[int]string{0: "parked_9", 9: "parked_0", 10: "dead_099", 49: "dead_060"} {
		if got := shown.Attention[i].Gateway; got != want {
			t.Errorf("attention[%d] is %s, want %s", i, got, want)
		}
	}
	if want := uint64(2 * maxAttention * (2*maxAttention + 1) / 2); shown.Dead != want {
		t.Errorf("dead is %d, want %d", shown.Dead, want)
	}
}

// TestSummaryIsKeptAsLongAsItIsDear has a clock that a summary takes 10 ms by.
func TestSummaryIsKeptAsLongAsItIsDear(t *testing.T) {
	store := newStore()
	at := noon
	server := newServer(t, store, func(o *Options) {
		o.Now = func() time.Time {
			at = at.Add(10 * time.Millisecond)
			return at
		}
	})
	read := func() uint64 { return summaryOf(t, server).Counts["queued"] }
	read()
	store.lanes["gateway_1"] = laneWith("gateway_1", 1, map[data.State]uint64{data.Queued: 7})
	if got := read(); got != 0 {
		t.Errorf("a summary made 50 ms later counts %d queued messages, want what was found out before", got)
	}
	at = at.Add(time.Second)
	if got := read(); got != 7 {
		t.Errorf("a summary made a second later counts %d queued messages, want 7", got)
	}
}
