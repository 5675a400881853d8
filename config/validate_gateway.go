package config

import (
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// namesSetting finds what a URL may begin with: what it comes to shows only when the
// settings are put in.
var namesSetting = regexp.MustCompile(`\{\{ *settings\.`)

var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func (c *Config) checkGateways(r *report) {
	r.require(len(c.Gateways) <= maxGateways, "gateways",
		"expected at most %d; further ones are made over the API", maxGateways)
	for name, g := range c.Gateways {
		at := join("gateways", name)
		r.require(plainName.MatchString(name), at, aPlainName)
		g.check(r, at)
		g.checkLimits(r, at, c.Delivery.AllowShortInterval || r.doubtful("delivery.allow_short_interval"))
	}
}

func (g Gateway) check(r *report, at string) {
	r.require(g.URL.value == "" || namesSetting.MatchString(g.URL.value) || validURL(g.URL.value), at+".url", aURL)
	methods := []string{"", http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch}
	r.require(slices.Contains(methods, g.Method), at+".method", "expected GET, POST, PUT or PATCH")
	named := map[string]bool{}
	for name, value := range g.Headers {
		header := join(at+".headers", name)
		r.require(headerName.MatchString(name), header, "expected the name of a header")
		r.require(validHeader(value.value), header, "expected a value without control characters")
		lower := strings.ToLower(name)
		r.require(!named[lower], at+".headers", "expected each header once, whatever the case of its letters")
		named[lower] = true
	}
	if g.Body != nil {
		r.require(g.Body.given() <= 1, at+".body", "expected just one of json, form, xml, text and none")
	}
	g.Permanent.check(r, at+".permanent.status")
}

func (p Permanent) check(r *report, at string) {
	r.require(len(p.Status) <= maxPermanent, at, "expected at most %d statuses", maxPermanent)
	for i, status := range p.Status[:min(len(p.Status), maxPermanent)] {
		r.require(status.First >= 300 && status.Last <= 599, index(at, i), "expected an HTTP status, 300 to 599")
		r.require(!slices.Contains(p.Status[:i], status), index(at, i), "expected each status once")
	}
}

// checkLimits checks what a gateway and delivery have in common.
func (g Gateway) checkLimits(r *report, at string, allowShort bool) {
	floor, hint := shortestInterval, "expected 60s or longer, unless delivery.allow_short_interval is true"
	if allowShort {
		floor, hint = time.Millisecond, "expected 1ms or longer"
	}
	r.require(within(g.MaxAttempts, 1, 100), at+".max_attempts", "expected 1 to 100")
	r.require(within(g.Interval, floor, math.MaxInt64), at+".interval", "%s", hint)
	r.require(within(g.Timeout, 1, math.MaxInt64), at+".timeout", "expected longer than 0s")
	r.require(within(g.Concurrency, 1, 1024), at+".concurrency", "expected 1 to 1024")
	r.require(within(g.Rate, 0, 0) || within(g.Rate, lowestRate, highestRate), at+".rate",
		"expected 0 (no limit) or 0.001 to 100000 attempts per second")
	r.require(within(g.MaxQueue, 0, math.MaxInt), at+".max_queue", "expected 0 (no limit) or more")
	r.require(within(g.MaxHint, 0, math.MaxInt64), at+".max_hint", "expected 0s or longer")
	r.require(within(g.HoldAfter, 0, math.MaxInt), at+".hold_after", "expected 0 (never) or more")
}

// within reports whether p is absent or between least and most.
func within[T int | float64 | time.Duration](p *T, least, most T) bool {
	return p == nil || *p >= least && *p <= most
}
