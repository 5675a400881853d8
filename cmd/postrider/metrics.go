package main

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/postrider/postrider/data"
)

// maxGatewayLabels is how many gateways have series of their own; the rest share
// the label "other", so that the number of series stays bounded.
const maxGatewayLabels = 1000

// metrics is everything that /metrics shows. Packages know only the funcs.
type metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	latency   *prometheus.HistogramVec
	attempts  *prometheus.CounterVec
	duration  prometheus.Histogram
	commits   prometheus.Histogram
	entries   prometheus.Counter
	bytes     prometheus.Counter
	restarts  *prometheus.CounterVec
	posted    *prometheus.CounterVec
	labelLock sync.Mutex
	labels    map[string]struct{}
}

func newMetrics() *metrics {
	seconds := prometheus.ExponentialBuckets(0.0005, 2, 16)
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postrider_http_requests_total", Help: "Requests answered, by route pattern and status.",
		}, []string{"route", "status"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "postrider_http_request_seconds", Help: "Time to answer, by route pattern.", Buckets: seconds,
		}, []string{"route"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postrider_attempts_total", Help: "Attempts settled, by gateway, outcome and cause.",
		}, []string{"gateway", "outcome", "cause"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "postrider_attempt_seconds", Help: "Time from the record of an attempt to its outcome.", Buckets: seconds,
		}),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "postrider_commit_seconds", Help: "Time of a commit, flush included.", Buckets: seconds,
		}),
		entries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "postrider_store_entries_total", Help: "Entries written to the store.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "postrider_store_bytes_total", Help: "Bytes of the entries written to the store.",
		}),
		restarts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postrider_actor_restarts_total", Help: "Actors restarted after a failure; lanes are one kind.",
		}, []string{"actor"}),
		posted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postrider_propagated_total", Help: "Events the propagator sent, by status; 0 is no answer.",
		}, []string{"status"}),
		labels: make(map[string]struct{}),
	}
	m.registry.MustRegister(m.requests, m.latency, m.attempts, m.duration, m.commits, m.entries, m.bytes, m.restarts, m.posted,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

func (m *metrics) answered(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.latency.WithLabelValues(route).Observe(took.Seconds())
}

func (m *metrics) attempted(gateway string, r data.Result, _ data.State, took time.Duration) {
	m.attempts.WithLabelValues(m.label(gateway), r.Outcome.String(), string(r.Cause)).Inc()
	m.duration.Observe(took.Seconds())
}

// label bounds the names that become label values.
func (m *metrics) label(gateway string) string {
	m.labelLock.Lock()
	defer m.labelLock.Unlock()
	if _, ok := m.labels[gateway]; ok {
		return gateway
	}
	if len(m.labels) == maxGatewayLabels {
		return "other"
	}
	m.labels[gateway] = struct{}{}
	return gateway
}

func (m *metrics) committed(entries, bytes int, took time.Duration) {
	m.commits.Observe(took.Seconds())
	m.entries.Add(float64(entries))
	m.bytes.Add(float64(bytes))
}

func (m *metrics) restarted(actor string) {
	if len(actor) > len("gateway-") && actor[:len("gateway-")] == "gateway-" {
		actor = "gateway"
	}
	m.restarts.WithLabelValues(actor).Inc()
}

func (m *metrics) propagated(status int) { m.posted.WithLabelValues(strconv.Itoa(status)).Inc() }

// watch shows the messages of a store, counted by state.
func (m *metrics) watch(store interface{ Lanes() ([]data.Lane, error) }) {
	m.registry.MustRegister(&messageCollector{store: store, description: prometheus.NewDesc(
		"postrider_messages", "Messages in the store, by state.", []string{"state"}, nil)})
}

type messageCollector struct {
	store       interface{ Lanes() ([]data.Lane, error) }
	description *prometheus.Desc
}

func (c *messageCollector) Describe(to chan<- *prometheus.Desc) { to <- c.description }

func (c *messageCollector) Collect(to chan<- prometheus.Metric) {
	lanes, err := c.store.Lanes()
	if err != nil {
		to <- prometheus.NewInvalidMetric(c.description, err)
		return
	}
	var counts [data.States]uint64
	for _, l := range lanes {
		for state, n := range l.Counts {
			counts[state] += n
		}
	}
	for _, s := range data.AllStates() {
		to <- prometheus.MustNewConstMetric(c.description, prometheus.GaugeValue, float64(counts[s]), s.String())
	}
}
