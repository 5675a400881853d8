package config

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of the keys.
const (
	maxGateways      = 10_000
	shortestInterval = 60 * time.Second // unless delivery.allow_short_interval
	maxHosts         = 1000
	maxPermanent     = 100
	lowestRate       = 0.001
	highestRate      = 100_000
)

var (
	plainName = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)
	hostName  = regexp.MustCompile(
		`^(?i:[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)(\.(?i:[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?))*\.?$`)
)

const (
	aPlainName = "expected a name of 1 to 64 of a-z, 0-9, _ and -"
	aURL       = "expected an absolute URL such as https://example.org/path, with http or https and a host"
)

// Validate checks every rule and returns all that is broken as [Mistakes].
// What Load returned is valid.
func (c *Config) Validate() error {
	var r report
	c.check(&r)
	c.checkTargets(&r, nil)
	return r.err()
}

// CheckTargets returns as [Mistakes] which routes name gateways that are declared
// neither in c nor elsewhere.
func (c *Config) CheckTargets(elsewhere func(name string) bool) error {
	var r report
	c.checkTargets(&r, elsewhere)
	return r.err()
}

func (c *Config) check(r *report) {
	c.HTTP.check(r)
	c.checkOwnAddress(r)
	c.Propagator.check(r)
	c.Storage.check(r)
	c.Delivery.check(r)
	r.require(slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level),
		"log.level", "expected debug, info, warn or error")
	c.checkGateways(r)
	c.checkRoutes(r)
}

func (h HTTP) check(r *report) {
	r.require(validHost(h.Host), "http.host", "expected an IP address or a host name, such as 127.0.0.1")
	open := validHost(h.Host) && !loopback(h.Host) && len(h.Keys) == 0 && !h.AllowAnonymous
	r.require(!open || r.doubtful("http.keys") || r.doubtful("http.allow_anonymous"), "http.host",
		"would let everyone in: beyond loopback, name API keys in http.keys or set http.allow_anonymous: true")
	r.require(h.Port >= 0 && h.Port <= 65535, "http.port", "expected 0 to 65535, where 0 takes any free port")
	r.require(h.BodyLimit >= KiB && h.BodyLimit <= MiB, "http.body_limit", "expected 1KiB to 1MiB")
	r.require(h.Drain >= 0, "http.drain", "expected 0s or longer")
	for i, name := range h.Hosts {
		r.require(validHost(name), index("http.hosts", i), "expected a host name or an IP address, without a port, such as postrider.example.org")
	}
	r.require(len(h.Hosts) <= maxHosts, "http.hosts", "expected at most %d names", maxHosts)
	h.checkKeys(r)
	r.require((h.TLS.Certificate == "") == (h.TLS.Key == ""), "http.tls",
		"expected both certificate and key, each the path of a PEM file, or none of them")
}

// checkOwnAddress reports what would have to reach this process by itself, which
// works without TLS only: a certificate is for the names that others call it by.
func (c *Config) checkOwnAddress(r *report) {
	if !c.HTTP.TLS.On() {
		return
	}
	const own = " since with http.tls nothing is sent to the address of this process by itself"
	r.require(!c.Propagator.Enabled || c.Propagator.URL.from != source{} || c.Propagator.URL.value != "", "propagator.url",
		"expected where to post, such as https://postrider.example.org:5000/event,"+own)
	if c.Delivery.BaseURL.value != "" || r.doubtful("delivery.base_url") {
		return
	}
	for name, g := range c.Gateways {
		r.require(g.URL.value != "", join("gateways", name)+".url", "expected a URL here or in delivery.base_url,"+own)
	}
}

func (p Propagator) check(r *report) {
	r.require(p.URL.value == "" || validURL(p.URL.value), "propagator.url", aURL)
	r.require(p.Interval >= 100*time.Millisecond, "propagator.interval", "expected 100ms or longer")
	r.require(p.Timeout > 0, "propagator.timeout", "expected longer than 0s")
	r.require(p.Key.value == "" || p.Key.from != source{}, "propagator.key",
		"expected {env: NAME} or {file: PATH}; the key itself does not belong in the configuration")
	r.require(validHeader(p.Key.value), "propagator.key", "expected a key without control characters")
}

func (s Storage) check(r *report) {
	r.require(s.Driver == "badger", "storage.driver", "expected badger")
	r.require(s.Path != "" && !strings.ContainsRune(s.Path, 0), "storage.path", "expected a directory")
	r.require(s.Memtable >= 8*MiB && s.Memtable <= 64*MiB, "storage.memtable", "expected 8MiB to 64MiB")
	r.require(s.MinFree >= 16*s.Memtable, "storage.min_free",
		"expected at least 16 times storage.memtable, which is what the store may still have to write")
	const keep = "expected 0s (keep for ever) or longer"
	r.require(s.Retention.Events >= 0, "storage.retention.events", keep)
	r.require(s.Retention.Delivered >= 0, "storage.retention.delivered", keep)
	r.require(s.Retention.Dead >= 0, "storage.retention.dead", keep)
}

func (d Delivery) check(r *report) {
	base := d.BaseURL.value
	r.require(base == "" || validURL(base), "delivery.base_url", aURL)
	r.require(!strings.ContainsAny(base, "?#{"), "delivery.base_url",
		"expected a URL without query, fragment and templates: the gateway's name is put behind it")
	r.require(d.MaxInFlight >= 2 && d.MaxInFlight <= 65536, "delivery.max_in_flight",
		"expected 2 to 65536, since half of it is kept for gateways that answer promptly")
	limits := Gateway{
		MaxAttempts: &d.MaxAttempts, Interval: &d.Interval, Timeout: &d.Timeout, Concurrency: &d.Concurrency,
		Rate: &d.Rate, MaxQueue: &d.MaxQueue, MaxHint: &d.MaxHint, HoldAfter: &d.HoldAfter,
	}
	limits.checkLimits(r, "delivery", d.AllowShortInterval)
}

// validURL reports whether s is absolute. Templates may stand in path and
// query, never in the host, which url.Parse refuses.
func validURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return false
	}
	_, err = strconv.ParseUint(u.Port(), 10, 16)
	return err == nil || u.Port() == ""
}

func validHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return len(host) <= 253 && hostName.MatchString(host) && strings.Trim(host, "0123456789.") != ""
}

func loopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}

func validHeader(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
