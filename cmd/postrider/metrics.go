package main

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/postrider/postrider/data"
)

// maxGatewayLabels is how many gateways have series of their own; the rest share
// the label otherGateways, so that the number of series stays bounded.
const (
	maxGatewayLabels = 1000
	otherGateways    = "other"
)

// metrics is everything that /metrics shows; docs/operations.md says what it is for.
// Packages know only the funcs.
type metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	latency   *prometheus.HistogramVec
	attempts  *prometheus.CounterVec
	spent     *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	accepted  prometheus.Observer // how late first attempts begin
	due       prometheus.Observer // the others
	dead      *prometheus.CounterVec
	misfits   *prometheus.CounterVec
	commits   prometheus.Histogram
	entries   prometheus.Counter
	bytes     prometheus.Counter
	pruned    prometheus.Counter
	restarts  *prometheus.CounterVec
	posted    *prometheus.CounterVec
	reloads   *prometheus.CounterVec
	configSet prometheus.Gauge
	configOK  prometheus.Gauge
	names     gatewayLabels
}

// newMetrics registers what is counted as it happens. What is looked up when somebody
// asks comes with watch.
func newMetrics() *metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo())
	late := histograms(r, "postrider_start_delay_seconds",
		"How late an attempt begins: since its message was accepted (to the millisecond), or since it was due again.", waits(), "since")
	m := &metrics{
		registry: r,
		requests: counters(r, "postrider_http_requests_total", "Requests answered, by route pattern and status.", "route", "status"),
		latency:  histograms(r, "postrider_http_request_duration_seconds", "Time to answer, by route pattern.", moments(), "route"),
		attempts: counters(r, "postrider_attempts_total", "Attempts settled, by gateway, outcome and cause.", "gateway", "outcome", "cause"),
		spent:    counters(r, "postrider_gateway_attempt_seconds_total", "Time that attempts at a gateway took, together.", "gateway"),
		duration: histograms(r, "postrider_attempt_duration_seconds", "Time from the record of an attempt to its outcome.", moments(), "outcome"),
		accepted: late.WithLabelValues("accepted"),
		due:      late.WithLabelValues("due"),
		dead:     counters(r, "postrider_dead_letters_total", "Messages that ended undelivered, by gateway and state.", "gateway", "state"),
		misfits:  counters(r, "postrider_route_misfits_total", "Messages of routes that were left out since they do not fit their gateway.", "gateway"),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "postrider_commit_duration_seconds", Help: "Time of a commit, flush included.", Buckets: moments(),
		}),
		entries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "postrider_store_entries_written_total", Help: "Entries written to the store.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "postrider_store_written_bytes_total", Help: "Bytes of the entries written to the store.",
		}),
		pruned: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "postrider_records_pruned_total", Help: "Events and messages deleted since their time was over.",
		}),
		restarts: counters(r, "postrider_actor_restarts_total", "Actors restarted after a failure; lanes are one kind.", "actor"),
		posted:   counters(r, "postrider_propagator_posts_total", "Events the propagator sent, by status; 0 is no answer.", "status"),
		reloads:  counters(r, "postrider_config_reloads_total", "Reloads of the configuration, by whether it was applied or refused.", "result"),
		configSet: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "postrider_config_applied_timestamp_seconds", Help: "When the configuration in force was read.",
		}),
		configOK: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "postrider_config_last_reload_successful", Help: "Whether the configuration that was read last is in force: 0 when it was refused.",
		}),
	}
	m.reloads.WithLabelValues(resultApplied)
	m.reloads.WithLabelValues(resultRefused)
	r.MustRegister(m.commits, m.entries, m.bytes, m.pruned, m.configSet, m.configOK)
	return m
}

// moments are the buckets of what is to be quick: half a millisecond to 16 s.
func moments() []float64 { return prometheus.ExponentialBuckets(0.0005, 2, 16) }

// waits are the buckets of what a backlog can make long: two milliseconds to a day.
func waits() []float64 {
	return []float64{.002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30, 60, 300, 1800, 3600, 6 * 3600, 24 * 3600}
}

func counters(r *prometheus.Registry, name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	r.MustRegister(c)
	return c
}

func histograms(r *prometheus.Registry, name, help string, buckets []float64, label string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, []string{label})
	r.MustRegister(h)
	return h
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

func (m *metrics) answered(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.latency.WithLabelValues(route).Observe(took.Seconds())
}

// began is told of each request that leaves, between the commit and the request: two
// atomic additions, no lock and no look-up.
func (m *metrics) began(late time.Duration, again bool) {
	if again {
		m.due.Observe(late.Seconds())
		return
	}
	m.accepted.Observe(late.Seconds())
}

func (m *metrics) attempted(gateway string, r data.Result, next data.State, took time.Duration) {
	name := m.names.of(gateway)
	m.attempts.WithLabelValues(name, r.Outcome.String(), string(r.Cause)).Inc()
	m.spent.WithLabelValues(name).Add(took.Seconds())
	m.duration.WithLabelValues(r.Outcome.String()).Observe(took.Seconds())
	m.ended(gateway, next)
}

// ended counts a message that is now in a state, if that makes it a dead letter.
func (m *metrics) ended(gateway string, state data.State) {
	if state.Dead() {
		m.dead.WithLabelValues(m.names.of(gateway), state.String()).Inc()
	}
}

func (m *metrics) unfit(gateway string, messages int) {
	m.misfits.WithLabelValues(m.names.of(gateway)).Add(float64(messages))
}

func (m *metrics) committed(entries, bytes int, took time.Duration) {
	m.commits.Observe(took.Seconds())
	m.entries.Add(float64(entries))
	m.bytes.Add(float64(bytes))
}

func (m *metrics) deleted(records int) { m.pruned.Add(float64(records)) }

func (m *metrics) restarted(actor string) {
	if strings.HasPrefix(actor, "gateway-") {
		actor = "gateway"
	}
	m.restarts.WithLabelValues(actor).Inc()
}

// What becomes of a reload.
const (
	resultApplied = "applied"
	resultRefused = "refused"
)

func (m *metrics) reloaded(applied bool) {
	if !applied {
		m.reloads.WithLabelValues(resultRefused).Inc()
		m.configOK.Set(0)
		return
	}
	m.reloads.WithLabelValues(resultApplied).Inc()
	m.applied()
}

// applied notes that the configuration of this moment is in force.
func (m *metrics) applied() {
	m.configSet.SetToCurrentTime()
	m.configOK.Set(1)
}

func (m *metrics) propagated(status int) { m.posted.WithLabelValues(strconv.Itoa(status)).Inc() }

// gatewayLabels bounds the names that become label values: the first ones that come
// stay for as long as the process runs. Its zero value is ready.
type gatewayLabels struct {
	mu    sync.RWMutex
	known map[string]struct{}
}

func (g *gatewayLabels) of(gateway string) string {
	g.mu.RLock()
	_, known := g.known[gateway]
	full := len(g.known) == maxGatewayLabels
	g.mu.RUnlock()
	switch {
	case known:
		return gateway
	case full:
		return otherGateways
	}
	return g.add(gateway)
}

func (g *gatewayLabels) add(gateway string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, known := g.known[gateway]; !known && len(g.known) == maxGatewayLabels {
		return otherGateways
	}
	if g.known == nil {
		g.known = make(map[string]struct{})
	}
	g.known[gateway] = struct{}{}
	return gateway
}
