package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/postrider/postrider/config"
)

// What has ended is deleted when its time is over, and nothing else is.
func TestRetentionDeletes(t *testing.T) {
	t.Parallel()
	well, broken := newGateway(t, saying(http.StatusOK)), newGateway(t, saying(http.StatusInternalServerError))
	cfg := settings(t)
	cfg.Delivery.MaxAttempts = 1
	patient := at(broken.url)
	attempts, interval := 2, time.Hour
	patient.MaxAttempts, patient.Interval = &attempts, &interval
	cfg.Gateways = map[string]config.Gateway{"well": at(well.url), "dead": at(broken.url), "waits": patient}
	cfg.Storage.Retention = config.Retention{}
	p := start(t, cfg, nil)
	event := post(t, p.url+"/event", `{"event_type": "a", "event_payload": ""}`)
	ids := map[string]string{}
	for name, state := range map[string]string{"well": "delivered", "dead": "failed", "waits": "waiting"} {
		ids[name] = post(t, p.url+"/send_message", messageFor(name, "x"))
		p.await(t, ids[name], state)
	}
	if err := p.stop(t); err != nil {
		t.Fatalf("run() = %v, want nil", err)
	}

	// A process that starts looks at once.
	cfg.Storage.Retention = config.Retention{Events: time.Millisecond, Delivered: time.Millisecond}
	p = start(t, cfg, nil)
	gone := func(path string) func() bool {
		return func() bool { return ask(t, http.MethodGet, p.url+path, "").status == http.StatusNotFound }
	}
	eventually(t, "the delivered message is deleted", gone("/api/v1/messages/"+ids["well"]))
	eventually(t, "the event is deleted", gone("/api/v1/events/"+event))
	for name, state := range map[string]string{"dead": "failed", "waits": "waiting"} {
		if m := p.message(t, ids[name]); m.State != state {
			t.Errorf("the message for %s = %+v, want it kept as %s", name, m, state)
		}
	}
	for name, want := range map[string]int{"well": 0, "dead": 1, "waits": 1} {
		total := 0
		for _, n := range p.lane(t, name).Counts {
			total += n
		}
		if total != want {
			t.Errorf("%s counts %d messages, want %d", name, total, want)
		}
	}
	if events := list(t, p.url+"/api/v1/events").Events; len(events) > 0 {
		t.Errorf("events = %+v, want none", events)
	}
	eventually(t, "what was deleted is counted", func() bool { return p.metric(t, "postrider_records_pruned_total") == "2" })

	if err := p.stop(t); err != nil {
		t.Fatalf("run() = %v, want nil", err)
	}
	cfg.Storage.Retention = config.Retention{Dead: time.Millisecond}
	p = start(t, cfg, nil)
	eventually(t, "the dead letter is deleted", gone("/api/v1/messages/"+ids["dead"]))
	p.message(t, ids["waits"])
}
