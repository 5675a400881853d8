package dialect

import (
	"encoding/json"
	"fmt"
	"math"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// Throttle says which answers ask to wait, and where they say for how long.
type Throttle struct {
	Status []StatusRange // 300 to 599; nil means 429 and 503
	Body   []Rule        // one that holds is enough, whatever the status
	Wait   []Wait        // the longest wait that is found counts; nil means the header Retry-After
	// Fixed is the wait that counts when such an answer says none; 0 means that the
	// attempt has failed like any other, and its gateway is not held.
	Fixed time.Duration
}

// Wait is a place where an answer says how long to wait: a header or a value in its
// body.
type Wait struct {
	Header string
	Body   *string // a JSON pointer like that of a [Rule]; of several values the longest counts
	Unit   TimeUnit
}

// TimeUnit is what a number that asks to wait counts.
type TimeUnit string

// The units. A point in time that has passed is a wait of 0.
const (
	UnitDefault TimeUnit = ""        // seconds; in a header a date too, as in Retry-After (RFC 9110, 10.2.3)
	UnitSeconds TimeUnit = "s"       // seconds from now
	UnitMillis  TimeUnit = "ms"      // milliseconds from now
	UnitUnix    TimeUnit = "unix"    // a point in time, in seconds since 1970
	UnitUnixMs  TimeUnit = "unix_ms" // a point in time, in milliseconds since 1970
)

// maxHint bounds a hint to what still makes sense. How much of it counts is
// the gateway's policy.
const maxHint = 30 * 24 * time.Hour

// maxWaits bounds a list of places.
const maxWaits = 20

// throttle is a compiled [Throttle].
type throttle struct {
	statuses []StatusRange
	rules    []rule
	waits    []wait
	inBody   bool // one of the waits is
	fixed    time.Duration
}

// wait is a compiled [Wait].
type wait struct {
	header string // in canonical form; "" for the body
	at     pointer
	unit   TimeUnit
}

func (c *compiler) throttle(d Throttle) throttle {
	t := throttle{
		statuses: c.statuses("throttle.status", d.Status, 300, 599),
		rules:    c.rules("throttle.body", d.Body),
		fixed:    d.Fixed,
	}
	if d.Fixed < 0 || d.Fixed > maxHint {
		c.complain("throttle.fixed", "must be from 0s to %v", maxHint)
	}
	if len(d.Wait) > maxWaits {
		c.complain("throttle.wait", "has more than %d places", maxWaits)
		return t
	}
	if d.Wait != nil {
		t.waits = []wait{}
	}
	for i, w := range d.Wait {
		compiled := c.wait(fmt.Sprintf("throttle.wait[%d]", i), w)
		t.waits = append(t.waits, compiled)
		t.inBody = t.inBody || compiled.header == ""
	}
	return t
}

func (c *compiler) wait(path string, d Wait) wait {
	w := wait{unit: d.Unit}
	switch d.Unit {
	case UnitDefault, UnitSeconds, UnitMillis, UnitUnix, UnitUnixMs:
	default:
		c.complain(path+".unit", "must be s, ms, unix or unix_ms")
	}
	switch {
	case (d.Header != "") == (d.Body != nil):
		c.complain(path, "must have just one of header and body")
	case d.Body != nil:
		at, wrong := parsePointer(*d.Body)
		if wrong != "" {
			c.complain(path+".body", "%s", wrong)
		}
		w.at = at
	case !token(d.Header):
		c.complain(path+".header", "is not a name that a header can have")
	default:
		w.header = textproto.CanonicalMIMEHeaderKey(d.Header)
	}
	return w
}

// has reports whether a status asks to wait.
func (t *throttle) has(status int) bool {
	if t.statuses == nil {
		return status == 429 || status == 503
	}
	return among(t.statuses, status)
}

// hint returns how long an answer that asks to wait wants that, and whether it
// says so, or somebody does.
func (t *throttle) hint(a *Answer, b *reading, now time.Time) (longest time.Duration, found bool) {
	if t.waits == nil {
		longest, found = headerHint(a.Header["Retry-After"], UnitDefault, now)
	}
	for i := range t.waits {
		w := &t.waits[i]
		var hint time.Duration
		var ok bool
		if w.header != "" {
			hint, ok = headerHint(a.Header[w.header], w.unit, now)
		} else {
			hint, ok = w.bodyHint(b, now)
		}
		longest, found = max(longest, hint), found || ok
	}
	if !found && t.fixed > 0 {
		return t.fixed, true
	}
	return longest, found
}

// headerHint returns the longest hint among the values of a header, and whether
// there was one at all.
func headerHint(values []string, unit TimeUnit, now time.Time) (longest time.Duration, found bool) {
	for _, v := range values {
		v = strings.Trim(v, " \t")
		hint, ok := unit.hint(v, now)
		if !ok && unit == UnitDefault {
			hint, ok = dateHint(v, now)
		}
		longest, found = max(longest, hint), found || ok
	}
	return longest, found
}

// bodyHint is headerHint for numbers in a body, and for strings that are numbers.
func (w *wait) bodyHint(b *reading, now time.Time) (longest time.Duration, found bool) {
	if !b.whole {
		return 0, false
	}
	document, is := b.document()
	if !is {
		return 0, false
	}
	w.at.all(document, func(value any, _ bool) bool {
		var text string
		switch v := value.(type) {
		case json.Number:
			text = plainNumber(string(v))
		case string:
			text = strings.TrimSpace(v)
		}
		hint, ok := w.unit.hint(text, now)
		longest, found = max(longest, hint), found || ok
		return true
	})
	return longest, found
}

// plainNumber writes a JSON number without a power of ten, up to a size that is
// beyond all hints.
func plainNumber(n string) string {
	if !strings.ContainsAny(n, "eE") {
		return n
	}
	f, _ := strconv.ParseFloat(n, 64) // an infinity for what is too large
	return strconv.FormatFloat(math.Min(f, 1e18), 'f', -1, 64)
}

// hint reads a number of the unit.
func (u TimeUnit) hint(v string, now time.Time) (time.Duration, bool) {
	switch u {
	case UnitDefault, UnitSeconds:
		n, ok := roundUp(v, int64(maxHint/time.Second))
		return time.Duration(n) * time.Second, ok
	case UnitMillis:
		n, ok := roundUp(v, int64(maxHint/time.Millisecond))
		return time.Duration(n) * time.Millisecond, ok
	case UnitUnix:
		n, ok := roundUp(v, 1<<40)
		return until(time.Unix(n, 0), now), ok
	case UnitUnixMs:
		n, ok := roundUp(v, 1<<50)
		return until(time.UnixMilli(n), now), ok
	}
	return 0, false
}

// until is the time up to a point in time, within what a hint may be.
func until(at, now time.Time) time.Duration { return min(max(at.Sub(now), 0), maxHint) }

// dateHint reads an HTTP date (RFC 9110, 5.6.7).
func dateHint(v string, now time.Time) (time.Duration, bool) {
	// The zone is spelt out: of a name that it does not know, time.Parse makes UTC.
	for _, layout := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
		if at, err := time.Parse(layout, v); err == nil {
			return until(at, now), true
		}
	}
	return 0, false
}

// roundUp reads a decimal number of any length, at most limit of it. A fraction
// counts as one more, since early is worse than late.
func roundUp(v string, limit int64) (n int64, ok bool) {
	whole, fraction, dotted := strings.Cut(v, ".")
	if whole == "" || dotted && fraction == "" || !digits(whole) || !digits(fraction) {
		return 0, false
	}
	for i := range len(whole) {
		n = min(n*10+int64(whole[i]-'0'), limit)
	}
	if strings.Trim(fraction, "0") != "" {
		n++
	}
	return min(n, limit), true
}

func digits(v string) bool {
	for i := range len(v) {
		if v[i] < '0' || v[i] > '9' {
			return false
		}
	}
	return true
}
