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
	expires   *prometheus.CounterVec
	misfits   *prometheus.CounterVec
	duration  prometheus.Histogram
	commits   prometheus.Histogram
	entries   prometheus.Counter
	bytes     prometheus.Counter
	pruned    prometheus.Counter
	restarts  *prometheus.CounterVec
	posted    *prometheus.CounterVec
	reloads   *prometheus.CounterVec
	configSet prometheus.Gauge
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
		expires: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postrider_messages_expired_total", Help: "Messages that ended since they were not wanted any more, by gateway.",
		}, []string{"gateway"}),
		misfits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postrider_route_misfits_total", Help: "Messages of routes that were left out since they do not fit their gateway.",
		}, []string{"gateway"}),
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
		pruned: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "postrider_records_pruned_total", Help: "Events and messages deleted since their time was over.",
		}),
		restarts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postrider_actor_restarts_total", Help: "Actors restarted after a failure; lanes are one kind.",
		}, []string{"actor"}),
		posted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postrider_propagated_total", Help: "Events the propagator sent, by status; 0 is no answer.",
		}, []string{"status"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postrider_config_reloads_total", Help: "Reloads of the configuration, by whether it was applied or refused.",
		}, []string{"result"}),
		configSet: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "postrider_config_applied_timestamp_seconds", Help: "When the configuration in force was read.",
		}),
		labels: make(map[string]struct{}),
	}
	m.reloads.WithLabelValues(resultApplied)
	m.reloads.WithLabelValues(resultRefused)
	m.registry.MustRegister(m.requests, m.latency, m.attempts, m.expires, m.misfits, m.duration, m.commits, m.entries, m.bytes, m.restarts, m.posted,
		m.pruned, m.reloads, m.configSet,
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

func (m *metrics) expired(gateway string) { m.expires.WithLabelValues(m.label(gateway)).Inc() }

func (m *metrics) unfit(gateway string, messages int) {
	m.misfits.WithLabelValues(m.label(gateway)).Add(float64(messages))
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

func (m *metrics) deleted(records int) { m.pruned.Add(float64(records)) }

func (m *metrics) restarted(actor string) {
	if len(actor) > len("gateway-") && actor[:len("gateway-")] == "gateway-" {
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
		return
	}
	m.reloads.WithLabelValues(resultApplied).Inc()
	m.applied()
}

// applied notes that the configuration of this moment is in force.
func (m *metrics) applied() { m.configSet.SetToCurrentTime() }

func (m *metrics) propagated(status int) { m.posted.WithLabelValues(strconv.Itoa(status)).Inc() }
