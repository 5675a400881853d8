package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/postrider/postrider/data"
)

// laneReader is what is asked about lanes.
type laneReader interface {
	Lanes() ([]data.Lane, error)
	// Oldest returns when the message was accepted that is first in line; zero for none.
	Oldest(gateway string) (time.Time, error)
}

// laneCollector looks at the lanes when it is asked: at all of them together, and by
// name at those that have work or are blocked, as far as there are labels.
type laneCollector struct {
	store    laneReader
	declared *inForce
	names    *gatewayLabels

	messages, gateways, blocked       *prometheus.Desc
	openByName, oldest, blockedByName *prometheus.Desc
}

func newLaneCollector(store laneReader, declared *inForce, names *gatewayLabels) *laneCollector {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &laneCollector{
		store:    store,
		declared: declared,
		names:    names,
		messages: describe("postrider_messages", "Messages in the store, by state.", "state"),
		gateways: describe("postrider_gateways", "Gateways that are declared."),
		blocked: describe("postrider_gateways_blocked",
			"Gateways that nothing is sent to, by reason: paused by a person; throttled, they asked to wait; outage, there is no connection and hold_after is set; parked, "+
				"there are messages and no declaration that can be used.", "reason"),
		openByName: describe("postrider_gateway_open_messages", "Messages with an attempt to come or under way, of gateways that have any.", "gateway"),
		oldest: describe("postrider_gateway_oldest_message_timestamp_seconds",
			"When the oldest of the messages that are next at a gateway was accepted, of gateways that have any and a label of their own.", "gateway"),
		blockedByName: describe("postrider_gateway_blocked", "1 for each gateway that nothing is sent to, with the reason; those without a label of their own are counted.", "gateway", "reason"),
	}
}

// Describe lists what there can be.
func (c *laneCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.messages, c.gateways, c.blocked, c.openByName, c.oldest, c.blockedByName} {
		to <- d
	}
}

// The reasons why nothing is sent to a gateway.
const (
	reasonPaused    = "paused"
	reasonThrottled = "throttled"
	reasonOutage    = "outage"
	reasonParked    = "parked"
)

func blockReasons() []string {
	return []string{reasonPaused, reasonThrottled, reasonOutage, reasonParked}
}

// reasons says why nothing is sent to a gateway. What it asks for and an outage do
// not count together: the one that is known to end does.
func (c *laneCollector) reasons(l data.Lane, declared *inForce) (all []string) {
	g, ok := declared.Gateway(l.Gateway)
	if l.Paused {
		all = append(all, reasonPaused)
	}
	switch {
	case !l.HeldAt.IsZero():
		all = append(all, reasonThrottled)
	case g.HoldAfter > 0 && l.Unreached >= g.HoldAfter:
		all = append(all, reasonOutage)
	}
	if (!ok || g.Problem != "") && l.Open() > 0 {
		all = append(all, reasonParked)
	}
	return all
}

// tally is what all lanes come to, and those together that have no label.
type tally struct {
	messages      [data.States]uint64
	blocked       map[string]int
	others        uint64 // messages that are open
	blockedOthers map[string]int
}

// show sends the value of a gauge.
type show func(d *prometheus.Desc, n float64, labels ...string)

// Collect looks at all lanes once.
func (c *laneCollector) Collect(to chan<- prometheus.Metric) {
	lanes, err := c.store.Lanes()
	if err != nil {
		to <- prometheus.NewInvalidMetric(c.messages, err)
		return
	}
	gauge := func(d *prometheus.Desc, n float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
	}
	declared := c.declared
	all := tally{blocked: map[string]int{}, blockedOthers: map[string]int{}}
	for _, l := range lanes {
		for state, n := range l.Counts {
			all.messages[state] += n
		}
		c.look(l, c.reasons(l, declared), &all, gauge)
	}
	for _, s := range data.AllStates() {
		gauge(c.messages, float64(all.messages[s]), s.String())
	}
	gauge(c.gateways, float64(len(declared.Gateways())))
	for _, r := range blockReasons() {
		gauge(c.blocked, float64(all.blocked[r]), r)
	}
	if all.others > 0 {
		gauge(c.openByName, float64(all.others), otherGateways)
	}
	for r, n := range all.blockedOthers {
		gauge(c.blockedByName, float64(n), otherGateways, r)
	}
}

// look shows one lane by name, or adds it to those that have no label.
func (c *laneCollector) look(l data.Lane, reasons []string, all *tally, gauge show) {
	for _, r := range reasons {
		all.blocked[r]++
	}
	if l.Open() == 0 && len(reasons) == 0 {
		return
	}
	if c.names.of(l.Gateway) == otherGateways {
		all.others += l.Open()
		for _, r := range reasons {
			all.blockedOthers[r]++
		}
		return
	}
	for _, r := range reasons {
		gauge(c.blockedByName, 1, l.Gateway, r)
	}
	if l.Open() == 0 {
		return
	}
	gauge(c.openByName, float64(l.Open()), l.Gateway)
	// An error is one of the store, which says so itself, and louder.
	if at, err := c.store.Oldest(l.Gateway); err == nil && !at.IsZero() {
		gauge(c.oldest, float64(at.UnixMilli())/1000, l.Gateway)
	}
}
