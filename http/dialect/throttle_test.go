package dialect_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
)

const month = 30 * 24 * time.Hour

func inHeader(name string, unit dialect.TimeUnit) dialect.Wait {
	return dialect.Wait{Header: name, Unit: unit}
}

func inBody(pointer string, unit dialect.TimeUnit) dialect.Wait {
	return dialect.Wait{Body: &pointer, Unit: unit}
}

func throttles(waits ...dialect.Wait) dialect.Declaration {
	return dialect.Declaration{URL: someURL, Throttle: dialect.Throttle{Wait: waits}}
}

func TestHints(t *testing.T) {
	const none = -1
	unix := strconv.FormatInt(now.Unix(), 10)
	in90 := strconv.FormatInt(now.Unix()+90, 10)
	tests := []struct {
		unit  dialect.TimeUnit
		value string // JSON
		body  time.Duration
		head  time.Duration // as a header, without the quotes
	}{
		{"", `30`, 30 * time.Second, 30 * time.Second},
		{"", `"30"`, 30 * time.Second, 30 * time.Second},
		{"", `" 30 "`, 30 * time.Second, 30 * time.Second},
		{"", `"Sun, 22 Nov 2026 12:01:30 GMT"`, none, 90 * time.Second},
		{"s", `"Sun, 22 Nov 2026 12:01:30 GMT"`, none, none},
		{"s", `0`, 0, 0},
		{"s", `64.57`, 65 * time.Second, 65 * time.Second},
		{"s", `0.3`, time.Second, time.Second},
		{"s", `1e2`, 100 * time.Second, none},
		{"s", `1.5E+1`, 15 * time.Second, none},
		{"s", `15e-1`, 2 * time.Second, none},
		{"s", `1e-400`, 0, none},
		{"s", `1e400`, month, none},
		{"s", `99999999999999999999999`, month, month},
		{"s", `-1`, none, none},
		{"s", `-1e400`, none, none},
		{"s", `-0`, none, none},
		{"s", `true`, none, none},
		{"s", `null`, none, none},
		{"s", `[30]`, none, none},
		{"s", `{"a": 30}`, none, none},
		{"s", `""`, none, none},
		{"s", `"soon"`, none, none},
		{"s", `"1e2"`, none, none},
		{"s", `"\u0663"`, none, none},
		{"ms", `1500`, 1500 * time.Millisecond, 1500 * time.Millisecond},
		{"ms", `"1500.2"`, 1501 * time.Millisecond, 1501 * time.Millisecond},
		{"ms", `99999999999999999999999`, month, month},
		{"unix", unix, 0, 0},
		{"unix", in90, 90 * time.Second, 90 * time.Second},
		{"unix", in90 + `.25`, 91 * time.Second, 91 * time.Second},
		{"unix", `"` + in90 + `"`, 90 * time.Second, 90 * time.Second},
		{"unix", `30`, 0, 0},
		{"unix", `0`, 0, 0},
		{"unix", `99999999999999999999999`, month, month},
		{"unix", in90 + `000`, month, month},
		{"unix_ms", in90 + `000`, 90 * time.Second, 90 * time.Second},
		{"unix_ms", in90 + `001`, 90*time.Second + time.Millisecond, 90*time.Second + time.Millisecond},
		{"unix_ms", in90, 0, 0},
		{"unix_ms", `1e300`, month, none},
	}
	for _, tt := range tests {
		want := func(hint time.Duration) data.Result {
			if hint == none {
				return data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseStatus, Status: 429}
			}
			return data.Result{Outcome: data.OutcomeThrottled, Cause: data.CauseThrottled, Status: 429, Hint: hint}
		}
		d := compile(t, throttles(inBody("/wait", tt.unit)))
		body := `{"wait": ` + tt.value + `}`
		if got := d.Judge(dialect.Answer{Status: 429, Body: []byte(body)}, now); got != want(tt.body) {
			t.Errorf("Judge(429, %s) in %q = %+v; want %+v", body, tt.unit, got, want(tt.body))
		}
		var plain string
		if json.Unmarshal([]byte(tt.value), &plain) != nil {
			plain = tt.value
		}
		d = compile(t, throttles(inHeader("x-wait", tt.unit)))
		header := map[string][]string{"X-Wait": {plain}}
		if got := d.Judge(dialect.Answer{Status: 429, Header: header}, now); got != want(tt.head) {
			t.Errorf("Judge(429, %v) in %q = %+v; want %+v", header, tt.unit, got, want(tt.head))
		}
	}
}

// Where places disagree the longest wait counts, whatever their order.
func TestLongestHintCounts(t *testing.T) {
	waits := []dialect.Wait{
		inHeader("Retry-After", ""), inHeader("X-RateLimit-Reset", "unix"), inBody("/parameters/retry_after", "s"), inBody("/limits/*/wait", "ms"),
	}
	tests := []struct {
		after, reset string
		body         string
		cut          bool
		want         time.Duration
	}{
		{"10", "", `{"parameters": {"retry_after": 20}}`, false, 20 * time.Second},
		{"20", "", `{"parameters": {"retry_after": 10}}`, false, 20 * time.Second},
		{"20", "", `{"parameters": {"retry_after": 999999999}}`, false, month},
		{"Fri, 31 Dec 9999 23:59:59 GMT", "", `{"parameters": {"retry_after": 10}}`, false, month},
		{"10", strconv.FormatInt(now.Unix()+15, 10), `{"parameters": {"retry_after": 12}}`, false, 15 * time.Second},
		{"soon", "0", `{"parameters": {"retry_after": 12}}`, false, 12 * time.Second},
		{"10", "", `{"parameters": {"retry_after": "never"}}`, false, 10 * time.Second},
		{"10", "", `<html>`, false, 10 * time.Second},
		{"10", "", `{"parameters": {"retry_after": 20}}`, true, 10 * time.Second},
		{"", "", `{"limits": [{"wait": 3000}, {"wait": 7000}, {"wait": 5000}, {}]}`, false, 7 * time.Second},
		{"0", "", `{"parameters": {"retry_after": 0}}`, false, 0},
	}
	for _, tt := range tests {
		for range len(waits) {
			waits = append(waits[1:], waits[0])
			d := compile(t, throttles(waits...))
			a := dialect.Answer{Status: 429, Header: map[string][]string{"Retry-After": {tt.after}, "X-Ratelimit-Reset": {tt.reset}}, Body: []byte(tt.body), Cut: tt.cut}
			want := data.Result{Outcome: data.OutcomeThrottled, Cause: data.CauseThrottled, Status: 429, Hint: tt.want}
			if got := d.Judge(a, now); got != want {
				t.Errorf("Judge(%v, %s) = %+v; want %+v", a.Header, tt.body, got, want)
			}
		}
	}
}

func TestWhatThrottles(t *testing.T) {
	limited := dialect.Throttle{
		Status: []dialect.StatusRange{{First: 420, Last: 429}},
		Body:   []dialect.Rule{is("/code", 88), contains("slow down")},
		Wait:   []dialect.Wait{inHeader("Retry-After", "")},
	}
	fixed := limited
	fixed.Fixed = 2 * time.Minute
	never := dialect.Throttle{Status: []dialect.StatusRange{}}
	deaf := dialect.Throttle{Wait: []dialect.Wait{}}
	throttled := func(hint time.Duration) data.Result {
		return data.Result{Outcome: data.OutcomeThrottled, Cause: data.CauseThrottled, Hint: hint}
	}
	temporary := func(cause data.Cause) data.Result {
		return data.Result{Outcome: data.OutcomeTemporary, Cause: cause}
	}
	delivered := data.Result{Outcome: data.OutcomeDelivered}
	tests := []struct {
		throttle dialect.Throttle
		status   int
		after    string
		body     string
		cut      bool
		want     data.Result
	}{
		{limited, 420, "5", ``, false, throttled(5 * time.Second)},
		{limited, 429, "5", ``, true, throttled(5 * time.Second)},
		{limited, 503, "5", ``, false, temporary(data.CauseStatus)},
		{limited, 420, "", ``, false, temporary(data.CauseStatus)},
		{limited, 200, "5", `{"code": 88}`, false, throttled(5 * time.Second)},
		{limited, 200, "5", `{"code": 0}`, false, delivered},
		{limited, 200, "5", `please slow down`, false, throttled(5 * time.Second)},
		{limited, 200, "", `{"code": 88}`, false, temporary(data.CauseThrottled)},
		{limited, 200, "", `{"code": 88`, true, temporary(data.CauseBody)},
		{limited, 400, "5", `{"code": 88}`, false, throttled(5 * time.Second)},
		{limited, 400, "", `{"code": 88}`, false, temporary(data.CauseThrottled)},
		{fixed, 200, "", `{"code": 88}`, false, throttled(2 * time.Minute)},
		{fixed, 200, "1", `{"code": 88}`, false, throttled(time.Second)},
		{fixed, 200, "", `{"code": 0}`, false, delivered},
		{fixed, 429, "", ``, false, throttled(2 * time.Minute)},
		{fixed, 429, "soon", ``, false, throttled(2 * time.Minute)},
		{fixed, 500, "", ``, false, temporary(data.CauseStatus)},
		{never, 429, "5", ``, false, temporary(data.CauseStatus)},
		{deaf, 429, "5", ``, false, temporary(data.CauseStatus)},
	}
	for _, tt := range tests {
		d := compile(t, dialect.Declaration{URL: someURL, Throttle: tt.throttle})
		a := dialect.Answer{Status: tt.status, Header: map[string][]string{"Retry-After": {tt.after}}, Body: []byte(tt.body), Cut: tt.cut}
		tt.want.Status = tt.status
		if got := d.Judge(a, now); got != tt.want {
			t.Errorf("Judge(%d, Retry-After %q, %q) = %+v; want %+v", tt.status, tt.after, tt.body, got, tt.want)
		}
	}
}

func TestThrottleComplains(t *testing.T) {
	bad := func(change func(*dialect.Throttle)) dialect.Declaration {
		d := dialect.Declaration{URL: someURL}
		change(&d.Throttle)
		return d
	}
	both := inBody("/a", "")
	both.Header = "X-A"
	tests := map[string]struct {
		give dialect.Declaration
		want []string
	}{
		"all units": {throttles(
			inHeader("A", ""), inHeader("A", "s"), inHeader("A", "ms"), inBody("/a", "unix"), inBody("", "unix_ms"),
		), nil},
		"other unit":      {throttles(inHeader("A", ""), inHeader("A", "m")), []string{"throttle.wait[1].unit"}},
		"no place":        {throttles(dialect.Wait{Unit: "s"}), []string{"throttle.wait[0]"}},
		"two places":      {throttles(both), []string{"throttle.wait[0]"}},
		"no header name":  {throttles(inHeader("xxx xxx", "")), []string{"throttle.wait[0].header"}},
		"no pointer":      {throttles(inBody("xxx", "")), []string{"throttle.wait[0].body"}},
		"too many places": {throttles(make([]dialect.Wait, 21)...), []string{"throttle.wait"}},
		"negative":        {bad(func(d *dialect.Throttle) { d.Fixed = -1 }), []string{"throttle.fixed"}},
		"for ever":        {bad(func(d *dialect.Throttle) { d.Fixed = month + 1 }), []string{"throttle.fixed"}},
		"longest":         {bad(func(d *dialect.Throttle) { d.Fixed = month }), nil},
		"with a success":  {bad(func(d *dialect.Throttle) { d.Status = dialect.Statuses(429, 200) }), []string{"throttle.status[1]"}},
		"too many rules":  {bad(func(d *dialect.Throttle) { d.Body = make([]dialect.Rule, 101) }), []string{"throttle.body"}},
	}
	for name, tt := range tests {
		wantComplaints(t, name, tt.give, tt.want)
	}
}

// FuzzHint: whatever stands where a wait is looked for, what comes out of it is a
// wait that makes sense, and the longest that is there.
func FuzzHint(f *testing.F) {
	for _, v := range []string{"30", "1.5", "-1", "1e9", "99999999999999999999", `"7"`, "[1, 2]", `{"a": 3}`, "Sun, 22 Nov 2026 12:01:30 GMT"} {
		f.Add(v, v, int64(1_790_000_000))
	}
	units := []dialect.TimeUnit{"", "s", "ms", "unix", "unix_ms"}
	var alone []*dialect.Dialect
	var waits []dialect.Wait
	for _, u := range units {
		for _, w := range []dialect.Wait{inHeader("X-Wait", u), inBody("/wait", u), inBody("/wait/*", u)} {
			waits = append(waits, w)
			alone = append(alone, compile(f, throttles(w)))
		}
	}
	all := compile(f, throttles(waits...))
	f.Fuzz(func(t *testing.T, header, value string, unix int64) {
		at := time.Unix(unix, 0)
		a := dialect.Answer{Status: 429, Header: map[string][]string{"X-Wait": {header}}, Body: []byte(`{"wait": ` + value + `}`)}
		var longest time.Duration
		found := false
		for i, d := range alone {
			r := d.Judge(a, at)
			if r.Hint < 0 || r.Hint > month {
				t.Errorf("Judge(%q, %s) by %v = %+v", header, a.Body, waits[i], r)
			}
			longest, found = max(longest, r.Hint), found || r.Outcome == data.OutcomeThrottled
		}
		if r := all.Judge(a, at); r.Hint != longest || found != (r.Outcome == data.OutcomeThrottled) {
			t.Errorf("Judge(%q, %s) = %+v; want %v, %v", header, a.Body, r, longest, found)
		}
		if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64); err == nil && n < 1_000_000 && json.Valid(a.Body) && !found {
			t.Errorf("Judge(%s) finds no wait", a.Body)
		}
	})
}
