package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/postrider/postrider/data"
)

// watch shows what the lanes of a store come to, all of them together: with a
// series for each of 100,000 gateways nobody would be helped.
func (m *metrics) watch(store interface{ Lanes() ([]data.Lane, error) }, declared *inForce) {
	m.registry.MustRegister(&laneCollector{
		store:    store,
		declared: declared,
		messages: prometheus.NewDesc("postrider_messages", "Messages in the store, by state.", []string{"state"}, nil),
		held: prometheus.NewDesc("postrider_lanes_held",
			"Gateways that nothing is sent to for a while: throttled, they asked for that; outage, there is no connection and hold_after is set.", []string{"reason"}, nil),
		paused: prometheus.NewDesc("postrider_lanes_paused", "Gateways that a person has paused.", nil, nil),
		parked: prometheus.NewDesc("postrider_lanes_parked",
			"Gateways with messages to send that are not declared, or whose declaration cannot be used.", nil, nil),
	})
}

// laneCollector counts when it is asked.
type laneCollector struct {
	store                          interface{ Lanes() ([]data.Lane, error) }
	declared                       *inForce
	messages, held, paused, parked *prometheus.Desc
}

func (c *laneCollector) Describe(to chan<- *prometheus.Desc) {
	to <- c.messages
	to <- c.held
	to <- c.paused
	to <- c.parked
}

func (c *laneCollector) Collect(to chan<- prometheus.Metric) {
	lanes, err := c.store.Lanes()
	if err != nil {
		to <- prometheus.NewInvalidMetric(c.messages, err)
		return
	}
	var counts [data.States]uint64
	var throttled, outage, paused, parked int
	for _, l := range lanes {
		for state, n := range l.Counts {
			counts[state] += n
		}
		g, ok := c.declared.Gateway(l.Gateway)
		switch {
		case !l.HeldAt.IsZero():
			throttled++
		case g.HoldAfter > 0 && l.Unreached >= g.HoldAfter:
			outage++
		}
		if l.Paused {
			paused++
		}
		if (!ok || g.Problem != "") && l.Open() > 0 {
			parked++
		}
	}
	gauge := func(d *prometheus.Desc, n float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
	}
	for _, s := range data.AllStates() {
		gauge(c.messages, float64(counts[s]), s.String())
	}
	gauge(c.held, float64(throttled), "throttled")
	gauge(c.held, float64(outage), "outage")
	gauge(c.paused, float64(paused))
	gauge(c.parked, float64(parked))
}
