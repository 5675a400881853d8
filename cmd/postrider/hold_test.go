package main

import (
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postrider/postrider/config"
)

// hinting answers the first request with a status and a hint, later ones with 200.
func hinting(t *testing.T, status int, hint string) *fakeGateway {
	t.Helper()
	var asked atomic.Bool
	return newGatewayWith(t, func(h http.Header, _ *http.Request) int {
		if asked.Swap(true) {
			return http.StatusOK
		}
		h.Set("Retry-After", hint)
		return status
	})
}

// Who is asked to wait spends no attempt of a thousand messages meanwhile.
func TestHintHoldsTheLane(t *testing.T) {
	t.Parallel()
	const messages, hold = 1000, time.Second
	for concurrency, late := range map[int]int{
		1: 0,
		// What is under way when the answer comes may arrive after it, and what was
		// begun before the lane heard of it.
		16: 2 * 16,
	} {
		t.Run(strconv.Itoa(concurrency), func(t *testing.T) {
			t.Parallel()
			gateway := hinting(t, http.StatusTooManyRequests, "1")
			cfg := settings(t)
			cfg.Delivery.Interval = 100 * time.Millisecond
			cfg.Delivery.Concurrency = concurrency
			cfg.Gateways = map[string]config.Gateway{"chat": at(gateway.url)}
			cfg.Routes = every("chat", "{{event_payload}}")
			p := start(t, cfg, nil)
			p.pause(t, "chat", true)
			p.backlog(t, messages)
			p.pause(t, "chat", false)
			eventually(t, "the hold is shown", func() bool { return p.lane(t, "chat").held("throttled") })
			if got := p.metric(t, `postrider_gateways_blocked{reason="throttled"}`); got != "1" {
				t.Errorf("gateways held = %q, want 1", got)
			}
			p.awaitAll(t, "chat", "delivered", messages)
			seen := gateway.seen()
			throttled := slices.IndexFunc(seen, func(a arrival) bool { return a.status == http.StatusTooManyRequests })
			from := seen[throttled].answered
			inside := 0
			for _, a := range seen {
				if a.at.After(from) && a.at.Before(from.Add(hold)) {
					inside++
				}
			}
			if inside > late || len(seen) != messages+1 {
				t.Errorf("%d requests of %d came inside the hold, want %d at most, and %d in all", inside, len(seen), late, messages+1)
			}
		})
	}
}

// A hold is on disk: an end in the middle of it does not end it.
func TestHoldSurvivesARestart(t *testing.T) {
	t.Parallel()
	gateway := hinting(t, http.StatusServiceUnavailable, "2")
	cfg := settings(t)
	cfg.Delivery.Concurrency = 1
	cfg.Gateways = map[string]config.Gateway{"chat": at(gateway.url)}
	cfg.Routes = every("chat", "{{event_payload}}")
	p := start(t, cfg, nil)
	p.backlog(t, 20)
	eventually(t, "the hold is shown", func() bool { return p.lane(t, "chat").held("throttled") })
	if err := p.stop(t); err != nil {
		t.Fatalf("run() = %v, want nil", err)
	}
	p = start(t, cfg, nil)
	if !p.lane(t, "chat").held("throttled") {
		t.Error("no hold is shown after the restart")
	}
	p.awaitAll(t, "chat", "delivered", 20)
	seen := gateway.seen()
	if pause := seen[1].at.Sub(seen[0].answered); pause < 2*time.Second || len(seen) != 21 {
		t.Errorf("the second of %d requests came %v after the first answer, want 21, at least 2s", len(seen), pause)
	}
}

// Whatever is written in a hint, the next attempt comes, not before the interval
// and not later than max_hint asks for.
func TestHintsOfAllKinds(t *testing.T) {
	t.Parallel()
	const interval, longest = 200 * time.Millisecond, 900 * time.Millisecond
	far := time.Now().Add(10 * 365 * 24 * time.Hour).UTC().Format(http.TimeFormat)
	past := time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)
	hints := map[string]struct {
		status int
		hint   string
		least  time.Duration
	}{
		"empty":        {429, "", interval},
		"garbage":      {429, "soon; \x01\xff", interval},
		"negative":     {429, "-5", interval},
		"zero":         {503, "0", interval},
		"fraction":     {429, "0.5", interval},
		"huge":         {429, "99999999", longest},
		"overflowing":  {503, "99999999999999999999999999", interval},
		"past":         {503, past, interval},
		"far":          {503, far, longest},
		"wrong_date":   {429, "Mon, 99 Foo 2026 25:61:61 GMT", interval},
		"other_status": {500, "99999999", interval},
	}
	cfg := settings(t)
	cfg.Delivery.Interval, cfg.Delivery.MaxHint = interval, longest
	cfg.Gateways = map[string]config.Gateway{}
	gateways := map[string]*fakeGateway{}
	for name, c := range hints {
		gateways[name] = hinting(t, c.status, c.hint)
		cfg.Gateways[name] = at(gateways[name].url)
	}
	p := start(t, cfg, nil)
	ids := map[string]string{}
	for name := range hints {
		ids[name] = post(t, p.url+"/send_message", messageFor(name, "x"))
	}
	for name, c := range hints {
		p.await(t, ids[name], "delivered")
		seen := gateways[name].seen()
		checkArrivals(t, seen, c.least, []string{"1", "2"})
		if pause := seen[1].at.Sub(seen[0].answered); pause > longest+patience/4 {
			t.Errorf("%s: the second attempt came after %v, want about %v", name, pause, c.least)
		}
	}
}

// A rate is kept at every moment, and used.
func TestRateIsKept(t *testing.T) {
	t.Parallel()
	const messages, rate = 50, 25.0
	gateway := newGateway(t, saying(200))
	cfg := settings(t)
	cfg.Delivery.Rate = rate
	cfg.Gateways = map[string]config.Gateway{"chat": at(gateway.url)}
	cfg.Routes = every("chat", "{{event_payload}}")
	p := start(t, cfg, nil)
	p.backlog(t, messages)
	p.awaitAll(t, "chat", "delivered", messages)
	seen := gateway.seen()
	// A request that was slow to arrive is nearer to the one after it.
	const late = 100 * time.Millisecond
	for i := range seen {
		for j := i + 1; j < len(seen); j++ {
			stretch := (seen[j].at.Sub(seen[i].at) + late).Seconds()
			if came := float64(j - i + 1); came > stretch*rate+2 {
				t.Fatalf("%v requests came within %.3fs, want %.0f a second", came, stretch, rate)
			}
		}
	}
	if took := seen[len(seen)-1].at.Sub(seen[0].at); took > patience/2 {
		t.Errorf("%d messages took %v at a rate of %v", messages, took, rate)
	}
}

// A status that is declared permanent ends a message early, others do not.
func TestPermanentAnswerEndsAMessage(t *testing.T) {
	t.Parallel()
	gone, bad := newGateway(t, saying(http.StatusGone)), newGateway(t, saying(http.StatusBadRequest))
	cfg := settings(t)
	cfg.Delivery.Interval = 50 * time.Millisecond
	permanent := config.Permanent{Status: config.Statuses(http.StatusGone, http.StatusNotFound)}
	cfg.Gateways = map[string]config.Gateway{
		"gone": {URL: config.Plain(gone.url), Permanent: permanent}, "bad": {URL: config.Plain(bad.url), Permanent: permanent},
	}
	p := start(t, cfg, nil)
	for name, want := range map[string]int{"gone": 1, "bad": 3} {
		m := p.await(t, post(t, p.url+"/send_message", messageFor(name, "x")), "failed")
		last := m.Attempts[len(m.Attempts)-1]
		if len(m.Attempts) != want || last.Cause != "status" || last.Outcome != map[int]string{1: "permanent", 3: "temporary"}[want] {
			t.Errorf("attempts for %s = %+v, want %d", name, m.Attempts, want)
		}
	}
	if n := len(gone.seen()); n != 1 {
		t.Errorf("%d requests came to gone, want 1", n)
	}
}

// A gateway's backlog has an end, to the message, and its callers are told.
func TestMaxQueue(t *testing.T) {
	t.Parallel()
	const most = 3
	gateway := newGateway(t, saying(200))
	cfg := settings(t)
	limit := most
	chat := at(gateway.url)
	chat.MaxQueue = &limit
	cfg.Gateways = map[string]config.Gateway{"chat": chat}
	cfg.Routes = every("chat", "routed")
	p := start(t, cfg, nil)
	p.pause(t, "chat", true)
	answers := make(chan answer, 20)
	for range cap(answers) {
		go func() {
			a, err := request(t.Context(), http.MethodPost, p.url+"/send_message", messageFor("chat", "x"))
			if err != nil {
				t.Error(err)
			}
			answers <- a
		}()
	}
	taken := 0
	for range cap(answers) {
		a := receive(t, "an answer", answers)
		switch wait, _ := strconv.Atoi(a.header.Get("Retry-After")); {
		case a.status == http.StatusOK:
			taken++
		case a.status != http.StatusTooManyRequests || wait < 1:
			t.Errorf("POST /send_message = %d %s, Retry-After %q; want 200, or 429 with one", a.status, a.body, a.header.Get("Retry-After"))
		}
	}
	if taken != most {
		t.Errorf("%d messages were taken, want %d", taken, most)
	}
	if a := ask(t, http.MethodPost, p.url+"/event", `{"event_type": "a", "event_payload": ""}`); a.status != http.StatusTooManyRequests {
		t.Errorf("POST /event = %d %s, want 429", a.status, a.body)
	}
	if events := list(t, p.url+"/api/v1/events").Events; len(events) > 0 {
		t.Errorf("%+v is stored, want nothing of an event whose message is refused", events)
	}
	p.pause(t, "chat", false)
	p.awaitAll(t, "chat", "delivered", most)
	p.await(t, post(t, p.url+"/send_message", messageFor("chat", "x")), "delivered")
	if n := len(gateway.seen()); n != most+1 {
		t.Errorf("%d requests came, want %d", n, most+1)
	}
}
