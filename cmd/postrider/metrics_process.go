package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// watch adds what is looked up when somebody asks.
func (m *metrics) watch(p *process) {
	m.registry.MustRegister(newLaneCollector(p.store, &p.declared, &m.names), &storeCollector{
		store:   p.store,
		minFree: float64(p.cfg.Storage.MinFree),
		free:    prometheus.NewDesc("postrider_store_free_bytes", "Free space of the disk that the store is on.", nil, nil),
		used:    prometheus.NewDesc("postrider_store_used_bytes", "Space that the store takes of its disk.", nil, nil),
		least:   prometheus.NewDesc("postrider_store_min_free_bytes", "Free space below which nothing is accepted (storage.min_free).", nil, nil),
	})
	m.gauge("postrider_accepting", "Whether events and messages are accepted now: 0 when the disk is full, storage is slow or has failed, or the process stops.", func() float64 {
		if p.accepting() != nil {
			return 0
		}
		return 1
	})
	m.gauge("postrider_backup_age_seconds", "For how long a backup has been under way: 0 when none is.", func() float64 {
		began, _, underWay := p.store.BackingUp()
		if !underWay {
			return 0
		}
		return time.Since(began).Seconds()
	})
	m.gauge("postrider_backup_written_bytes", "How much of the backup under way is written: 0 when none is.", func() float64 {
		_, written, _ := p.store.BackingUp()
		return float64(written)
	})
	limit := float64(p.cfg.Delivery.MaxInFlight)
	m.gauge("postrider_attempts_in_flight_limit", "Attempts that may be under way over all gateways (delivery.max_in_flight).",
		func() float64 { return limit })
}

func (m *metrics) gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// space is the disk under a store.
type space interface {
	Free() int64
	Used() (int64, error)
}

// storeCollector looks at the disk when it is asked.
type storeCollector struct {
	store             space
	minFree           float64
	free, used, least *prometheus.Desc
}

// Describe lists what there is.
func (c *storeCollector) Describe(to chan<- *prometheus.Desc) {
	to <- c.free
	to <- c.used
	to <- c.least
}

// Collect looks once.
func (c *storeCollector) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.MustNewConstMetric(c.free, prometheus.GaugeValue, float64(c.store.Free()))
	to <- prometheus.MustNewConstMetric(c.least, prometheus.GaugeValue, c.minFree)
	used, err := c.store.Used()
	if err != nil {
		to <- prometheus.NewInvalidMetric(c.used, err)
		return
	}
	to <- prometheus.MustNewConstMetric(c.used, prometheus.GaugeValue, float64(used))
}

// buildInfo says which program this is.
func buildInfo() prometheus.Collector {
	b := build()
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "postrider_build_info", Help: "1, with what the program was built from.",
	}, []string{"version", "commit", "goversion"})
	g.WithLabelValues(b.Version, b.Commit, b.GoVersion).Set(1)
	return g
}
