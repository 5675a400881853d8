package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// plan is what chance decides about a round before it begins. A mode may change
// what it drew.
type plan struct {
	Memtable    int // MiB, small so that files rotate
	Interval    time.Duration
	Attempts    int
	Timeout     time.Duration
	Concurrency int
	Rate        float64 // of the slow gateway; 0 is no limit
	HoldAfter   int
	Keys        bool // the API asks for a key
	Debug       bool // log all there is

	Clients   int
	Pause     time.Duration  // of a client between two requests, on average
	PerSecond float64        // requests of all clients together, whatever Pause says; 0 is no pace
	Requests  int            // of one client in one life of the program, at most
	Keyed     float64        // share of requests with an Idempotency-Key
	Events    float64        // share of requests that are events; the others are messages
	Arrays    float64        // share of those that are arrays
	Routed    float64        // share of events that a route takes
	Long      float64        // share of texts that are long
	Largest   int            // bytes of the longest texts
	Gateways  []string       // that messages are for, one as often as another
	Budget    map[string]int // messages for a gateway, after which the one that is well gets them
}

// draw draws a plan. What is drawn keeps a round at a few seconds.
func draw(luck *rand.Rand) plan {
	between := func(low, high time.Duration) time.Duration {
		return low + time.Duration(luck.Int64N(int64(high-low)+1)).Truncate(time.Millisecond)
	}
	p := plan{
		Memtable:    8 + luck.IntN(9),
		Interval:    between(300*time.Millisecond, time.Second),
		Attempts:    1 + luck.IntN(4),
		Timeout:     between(200*time.Millisecond, 800*time.Millisecond),
		Concurrency: []int{4, 16, 64}[luck.IntN(3)],
		Keys:        luck.IntN(2) == 0,
		Debug:       luck.IntN(2) == 0,
		Clients:     32,
		Pause:       between(5*time.Millisecond, 30*time.Millisecond),
		Requests:    200,
		Keyed:       0.2 + 0.6*luck.Float64(),
		Events:      0.3 + 0.5*luck.Float64(),
		Arrays:      luck.Float64() / 2,
		Routed:      luck.Float64() / 4,
		Long:        1.0 / 30,
		Largest:     []int{1500, 5_000, 50_000}[luck.IntN(3)],
		Gateways:    kinds(),
	}
	if luck.IntN(3) == 0 {
		p.Rate = float64(100 + luck.IntN(200))
	}
	if luck.IntN(3) == 0 {
		p.HoldAfter = 3 + luck.IntN(5)
	}
	// A gateway that hangs takes the whole timeout at each attempt.
	p.Budget = map[string]int{slowly: 200, hanging: 4 * p.Concurrency, breaking: 200, failing: 200}
	return p
}

func (p plan) String() string {
	type bare plan // else it would be written by this very method
	return fmt.Sprintf("%+v", bare(p))
}

// configuration is what the program gets: gateways at a URL, each at the path of
// its name, and secrets that it must not show.
func (p plan) configuration(url string, secrets *secrets) rig.Section {
	gateways := rig.Section{}
	for _, kind := range kinds() {
		gateways[kind] = rig.Section{
			"url":         url + "/" + kind + "?token=" + secrets.url,
			"headers":     rig.Section{"Authorization": rig.Section{"env": headerVariable}, "X-Token": rig.Section{"file": secrets.path}},
			"concurrency": p.Concurrency,
		}
	}
	if p.Rate > 0 {
		gateways[slowly].(rig.Section)["rate"] = p.Rate
	}
	configuration := rig.Section{
		"storage": rig.Section{
			"memtable": fmt.Sprintf("%dMiB", p.Memtable), "min_free": fmt.Sprintf("%dMiB", 16*p.Memtable),
			"retention": rig.Section{"events": "0s", "delivered": "0s", "dead": "0s"},
		},
		"delivery": rig.Section{
			"interval": p.Interval.String(), "allow_short_interval": true, "max_attempts": p.Attempts,
			"timeout": p.Timeout.String(), "hold_after": p.HoldAfter,
		},
		"log":      rig.Section{"level": map[bool]string{true: "debug", false: "info"}[p.Debug], "access": p.Debug},
		"gateways": gateways,
		"routes": []rig.Section{
			{"match": rig.Section{"event_type": routedType}, "gateway": well, "message": "{{event_payload}}"},
		},
	}
	if p.Keys {
		configuration["http"] = rig.Section{"keys": []rig.Section{{"name": "torture", "env": keyVariable}}}
	}
	return configuration
}
