package dialect

import (
	"slices"
	"strings"
	"time"

	"github.com/postrider/postrider/data"
)

// Answer is what a gateway answered: its headers are complete, its body need
// not be.
type Answer struct {
	Status int
	Header map[string][]string // names in canonical form
	Body   []byte              // the beginning of the body, as far as it was read
	Cut    bool                // there was more, or there should have been
}

// Judge reads an answer. now is the wall clock, for hints that are dates.
//
// A 2xx is a delivery whatever its body. A status that the declaration calls
// permanent is that whatever else the answer says. A 429 or 503 that says when
// to come back is throttled. All else is temporary: also redirects, which are
// never followed, and statuses that no final answer has.
func (d *Dialect) Judge(a Answer, now time.Time) data.Result {
	switch {
	case a.Status < 200 || a.Status > 599:
		return data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseMalformed, Status: a.Status}
	case a.Status < 300:
		return data.Result{Outcome: data.OutcomeDelivered, Status: a.Status}
	case slices.Contains(d.permanent, a.Status):
		return data.Result{Outcome: data.OutcomePermanent, Cause: data.CauseStatus, Status: a.Status}
	case a.Status == 429 || a.Status == 503:
		if hint, ok := retryAfter(a.Header["Retry-After"], now); ok {
			return data.Result{Outcome: data.OutcomeThrottled, Cause: data.CauseThrottled, Status: a.Status, Hint: hint}
		}
	}
	return data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseStatus, Status: a.Status}
}

// maxHint bounds a hint to what still makes sense. How much of it counts is
// the gateway's policy.
const maxHint = 30 * 24 * time.Hour

// retryAfter returns the longest hint among the values, and whether there was
// one at all.
func retryAfter(values []string, now time.Time) (longest time.Duration, found bool) {
	for _, v := range values {
		if hint, ok := parseHint(strings.Trim(v, " \t"), now); ok {
			longest, found = max(longest, hint), true
		}
	}
	return longest, found
}

// parseHint reads seconds, with a fraction as some send it, or an HTTP date. A
// date that has passed is a hint of 0.
func parseHint(v string, now time.Time) (time.Duration, bool) {
	if hint, ok := parseSeconds(v); ok {
		return hint, true
	}
	// The zone is spelt out: of a name that it does not know, time.Parse makes UTC.
	for _, layout := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
		if at, err := time.Parse(layout, v); err == nil {
			return min(max(at.Sub(now), 0), maxHint), true
		}
	}
	return 0, false
}

// parseSeconds reads a decimal number of any length. A fraction is rounded up,
// since early is worse than late.
func parseSeconds(v string) (time.Duration, bool) {
	whole, fraction, dotted := strings.Cut(v, ".")
	if whole == "" || dotted && fraction == "" || !digits(whole) || !digits(fraction) {
		return 0, false
	}
	var hint time.Duration
	for i := range len(whole) {
		hint = min(hint*10+time.Duration(whole[i]-'0')*time.Second, maxHint)
	}
	if strings.Trim(fraction, "0") != "" {
		hint += time.Second
	}
	return min(hint, maxHint), true
}

func digits(v string) bool {
	for i := range len(v) {
		if v[i] < '0' || v[i] > '9' {
			return false
		}
	}
	return true
}
