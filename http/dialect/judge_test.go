package dialect_test

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestJudge(t *testing.T) {
	delivered := func(status int) data.Result {
		return data.Result{Outcome: data.OutcomeDelivered, Status: status}
	}
	temporary := func(status int, cause data.Cause) data.Result {
		return data.Result{Outcome: data.OutcomeTemporary, Cause: cause, Status: status}
	}
	throttled := func(status int, hint time.Duration) data.Result {
		return data.Result{Outcome: data.OutcomeThrottled, Cause: data.CauseThrottled, Status: status, Hint: hint}
	}
	const month = 30 * 24 * time.Hour
	tests := []struct {
		status int
		after  []string // Retry-After
		want   data.Result
	}{
		{200, nil, delivered(200)},
		{204, []string{"30"}, delivered(204)},
		{299, nil, delivered(299)},
		{302, nil, temporary(302, data.CauseStatus)},
		{304, nil, temporary(304, data.CauseStatus)},
		{404, []string{"30"}, temporary(404, data.CauseStatus)},
		{500, []string{"30"}, temporary(500, data.CauseStatus)},
		{599, nil, temporary(599, data.CauseStatus)},
		{0, nil, temporary(0, data.CauseMalformed)},
		{-1, nil, temporary(-1, data.CauseMalformed)},
		{100, nil, temporary(100, data.CauseMalformed)},
		{101, nil, temporary(101, data.CauseMalformed)},
		{199, nil, temporary(199, data.CauseMalformed)},
		{600, nil, temporary(600, data.CauseMalformed)},
		{999, nil, temporary(999, data.CauseMalformed)},
		{429, nil, temporary(429, data.CauseStatus)},
		{503, nil, temporary(503, data.CauseStatus)},
		{429, []string{"30"}, throttled(429, 30*time.Second)},
		{503, []string{" 30\t"}, throttled(503, 30*time.Second)},
		{429, []string{"0"}, throttled(429, 0)},
		{429, []string{"007"}, throttled(429, 7*time.Second)},
		{429, []string{"0.3"}, throttled(429, time.Second)},
		{429, []string{"2.000"}, throttled(429, 2*time.Second)},
		{429, []string{"2592000"}, throttled(429, month)},
		{429, []string{"2592001"}, throttled(429, month)},
		{429, []string{"9223372036854775808"}, throttled(429, month)},
		{429, []string{"99999999999999999999999999999999999999"}, throttled(429, month)},
		{429, []string{"soon", "10", "20", "-5"}, throttled(429, 20*time.Second)},
		{429, []string{""}, temporary(429, data.CauseStatus)},
		{429, []string{"-1"}, temporary(429, data.CauseStatus)},
		{429, []string{"+1"}, temporary(429, data.CauseStatus)},
		{429, []string{"1e9"}, temporary(429, data.CauseStatus)},
		{429, []string{"0x10"}, temporary(429, data.CauseStatus)},
		{429, []string{"1."}, temporary(429, data.CauseStatus)},
		{429, []string{".5"}, temporary(429, data.CauseStatus)},
		{429, []string{strings.Repeat("9", 60_000)}, throttled(429, month)},
		{429, []string{strings.Repeat("0", 60_000) + ".5"}, throttled(429, time.Second)},
		{429, []string{strings.Repeat("x", 60_000)}, temporary(429, data.CauseStatus)},
		{429, []string{"-" + strings.Repeat("9", 30)}, temporary(429, data.CauseStatus)},
		{429, []string{"\xff\x00", "0.1", "Thu, 01 Jan 1970 00:00:00 GMT"}, throttled(429, time.Second)},
		{429, []string{"1, 2"}, temporary(429, data.CauseStatus)},
		{429, []string{"NaN"}, temporary(429, data.CauseStatus)},
		{429, []string{"٣"}, temporary(429, data.CauseStatus)},
		{429, []string{"soon"}, temporary(429, data.CauseStatus)},
		{503, []string{"Sun, 22 Nov 2026 12:01:30 GMT"}, throttled(503, 90*time.Second)},
		{503, []string{"Sunday, 22-Nov-26 12:01:30 GMT"}, throttled(503, 90*time.Second)},
		{503, []string{"Sun Nov 22 12:01:30 2026"}, throttled(503, 90*time.Second)},
		{503, []string{"Sun, 22 Nov 2026 11:59:59 GMT"}, throttled(503, 0)},
		{503, []string{"Thu, 01 Jan 1970 00:00:00 GMT"}, throttled(503, 0)},
		{503, []string{"Fri, 31 Dec 9999 23:59:59 GMT"}, throttled(503, month)},
		{503, []string{"Thursday, 01-Jan-70 00:00:00 GMT"}, throttled(503, 0)},
		{503, []string{"Sat, 01 Jan 0000 00:00:00 GMT"}, throttled(503, 0)},
		{503, []string{"Sun, 22 Nov 2026 12:01:30 EST"}, temporary(503, data.CauseStatus)},
		{503, []string{"Sun, 99 Nov 2026 12:01:30 GMT"}, temporary(503, data.CauseStatus)},
	}
	d := compile(t, dialect.Declaration{URL: someURL})
	for _, tt := range tests {
		got := d.Judge(dialect.Answer{Status: tt.status, Header: map[string][]string{"Retry-After": tt.after}}, now)
		if got != tt.want {
			t.Errorf("Judge(%d, Retry-After %q) = %+v; want %+v", tt.status, tt.after, got, tt.want)
		}
	}
}

// The operator's word on a status wins over what the answer says beside it, and
// counts for failures only.
func TestJudgePermanent(t *testing.T) {
	permanent := func(status int) data.Result {
		return data.Result{Outcome: data.OutcomePermanent, Cause: data.CauseStatus, Status: status}
	}
	temporary := func(status int, cause data.Cause) data.Result {
		return data.Result{Outcome: data.OutcomeTemporary, Cause: cause, Status: status}
	}
	tests := []struct {
		status int
		after  string // Retry-After
		want   data.Result
	}{
		{300, "", permanent(300)},
		{400, "", permanent(400)},
		{429, "", permanent(429)},
		{429, "30", permanent(429)},
		{503, "Sun, 22 Nov 2026 12:01:30 GMT", permanent(503)},
		{599, "", permanent(599)},
		{200, "", data.Result{Outcome: data.OutcomeDelivered, Status: 200}},
		{401, "", temporary(401, data.CauseStatus)},
		{500, "30", temporary(500, data.CauseStatus)},
		{600, "", temporary(600, data.CauseMalformed)},
	}
	statuses := []int{400, 410, 429, 503, 300, 599}
	d := compile(t, dialect.Declaration{URL: someURL, Permanent: statuses})
	statuses[0] = 401
	for _, tt := range tests {
		got := d.Judge(dialect.Answer{Status: tt.status, Header: map[string][]string{"Retry-After": {tt.after}}}, now)
		if got != tt.want {
			t.Errorf("Judge(%d, Retry-After %q) = %+v; want %+v", tt.status, tt.after, got, tt.want)
		}
	}
}

func FuzzJudge(f *testing.F) {
	for _, v := range []string{"30", "1.5", "-1", "99999999999999999999", "Sun, 22 Nov 2026 12:01:30 GMT", "Sunday, 22-Nov-26 12:01:30 GMT"} {
		f.Add(429, v, v, int64(0))
	}
	f.Add(999, "", "x", int64(math.MinInt64))
	f.Add(410, "30", "", int64(math.MaxInt64))
	d := compile(f, dialect.Declaration{URL: someURL, Permanent: []int{410, 503}})
	f.Fuzz(func(t *testing.T, status int, first, second string, unix int64) {
		header := map[string][]string{"Retry-After": {first, second}}
		r := d.Judge(dialect.Answer{Status: status, Header: header, Body: []byte(first)}, time.Unix(unix, 0))
		if r.Hint < 0 || r.Hint > 30*24*time.Hour {
			t.Errorf("Judge(%d, %q) hints %v; want 0 to 30 days", status, header, r.Hint)
		}
		if ok := status >= 200 && status < 300; ok != (r.Outcome == data.OutcomeDelivered) || r.Status != status {
			t.Errorf("Judge(%d, %q) = %+v", status, header, r)
		}
		if final := status == 410 || status == 503; final != (r.Outcome == data.OutcomePermanent) {
			t.Errorf("Judge(%d, %q) = %+v", status, header, r)
		}
		if r.Outcome.String() == "" || (r.Hint > 0) && r.Outcome != data.OutcomeThrottled {
			t.Errorf("Judge(%d, %q) = %+v", status, header, r)
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	d := compile(b, dialect.Declaration{URL: "http://127.0.0.1:5000/gateway_1", Permanent: []int{400, 410}})
	for _, answer := range []dialect.Answer{{Status: 200}, {Status: 429, Header: map[string][]string{"Retry-After": {"30"}}}} {
		b.Run(strconv.Itoa(answer.Status), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = d.Judge(answer, now)
			}
		})
	}
}
