package dialect_test

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

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
	final := func(status int) data.Result {
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
		{300, "", final(300)},
		{400, "", final(400)},
		{429, "", final(429)},
		{429, "30", final(429)},
		{503, "Sun, 22 Nov 2026 12:01:30 GMT", final(503)},
		{599, "", final(599)},
		{200, "", data.Result{Outcome: data.OutcomeDelivered, Status: 200}},
		{401, "", temporary(401, data.CauseStatus)},
		{500, "30", temporary(500, data.CauseStatus)},
		{600, "", temporary(600, data.CauseMalformed)},
	}
	statuses := dialect.Statuses(400, 410, 429, 503, 300, 599)
	d := compile(t, dialect.Declaration{URL: someURL, Permanent: dialect.Permanent{Status: statuses}})
	statuses[0] = dialect.StatusRange{First: 401, Last: 401}
	for _, tt := range tests {
		got := d.Judge(dialect.Answer{Status: tt.status, Header: map[string][]string{"Retry-After": {tt.after}}}, now)
		if got != tt.want {
			t.Errorf("Judge(%d, Retry-After %q) = %+v; want %+v", tt.status, tt.after, got, tt.want)
		}
	}
}

// The order in which an answer is read, as [dialect.Dialect.Judge] has it.
func TestJudgeInOrder(t *testing.T) {
	decl := dialect.Declaration{
		URL:       someURL,
		Success:   dialect.Success{Status: []dialect.StatusRange{{First: 200, Last: 202}, {First: 207, Last: 207}}, Body: []dialect.Rule{is("/ok", true), exists("/error", false)}},
		Permanent: dialect.Permanent{Status: dialect.Statuses(400, 401, 429), Body: []dialect.Rule{in("/code", 40001, 40003), contains("no such chat")}},
		Throttle: dialect.Throttle{
			Status: dialect.Statuses(429, 503), Body: []dialect.Rule{is("/code", 88)},
			Wait: []dialect.Wait{inHeader("Retry-After", ""), inBody("/wait", "s")},
		},
	}
	result := func(outcome data.Outcome, cause data.Cause) data.Result {
		return data.Result{Outcome: outcome, Cause: cause}
	}
	var (
		delivered = result(data.OutcomeDelivered, data.CauseNone)
		byStatus  = result(data.OutcomePermanent, data.CauseStatus)
		byBody    = result(data.OutcomePermanent, data.CauseRejected)
		malformed = result(data.OutcomeTemporary, data.CauseMalformed)
		rejected  = result(data.OutcomeTemporary, data.CauseRejected)
		illegible = result(data.OutcomeTemporary, data.CauseBody)
		refused   = result(data.OutcomeTemporary, data.CauseStatus)
		slow      = result(data.OutcomeTemporary, data.CauseThrottled)
	)
	throttled := func(hint time.Duration) data.Result {
		return data.Result{Outcome: data.OutcomeThrottled, Cause: data.CauseThrottled, Hint: hint}
	}
	const good = `{"ok": true}`
	tests := map[string]struct {
		status int
		header string // Retry-After
		body   string
		cut    bool
		coding string
		want   data.Result
	}{
		"success":                            {200, "", good, false, "", delivered},
		"success, in a range":                {201, "", good, false, "", delivered},
		"success, at the end of the list":    {207, "", good, false, "", delivered},
		"success that says when to come":     {200, "30", good, false, "", delivered},
		"success with a wait in it":          {200, "", `{"ok": true, "wait": 30}`, false, "", delivered},
		"success, identity":                  {200, "", good, false, "identity", delivered},
		"2xx that is no success":             {204, "", good, false, "", refused},
		"one rule does not hold":             {200, "", `{"ok": true, "error": "x"}`, false, "", rejected},
		"no rule holds":                      {200, "", `{"ok": false, "error": "x"}`, false, "", rejected},
		"not JSON":                           {200, "", "<html>", false, "", illegible},
		"empty":                              {200, "", "", false, "", illegible},
		"cut":                                {200, "", good, true, "", illegible},
		"cut where it matters":               {200, "", `{"ok": true, "code": 400`, true, "", illegible},
		"encoded":                            {200, "", good, false, "gzip", illegible},
		"encoded twice":                      {200, "", good, false, "identity, br", illegible},
		"permanent by status":                {400, "", good, false, "", byStatus},
		"permanent by status, cut":           {400, "", "", true, "", byStatus},
		"permanent by status, before a wait": {429, "30", "", false, "", byStatus},
		"permanent by body":                  {404, "", `{"code": 40001}`, false, "", byBody},
		"permanent by body, with a 200":      {200, "", `{"ok": true, "code": 40003}`, false, "", byBody},
		"permanent by text, with a 200":      {200, "", `error: no such chat`, false, "", byBody},
		"permanent by body, before a wait":   {503, "30", `{"code": 40003}`, false, "", byBody},
		"permanent by body, cut":             {404, "", `{"code": 40001}`, true, "", refused},
		"permanent by text, cut":             {404, "", `no such chat`, true, "", refused},
		"permanent by body, encoded":         {404, "", `no such chat`, false, "GZIP", refused},
		"throttled by status":                {503, "30", "", false, "", throttled(30 * time.Second)},
		"throttled by status, cut":           {503, "30", `{"wait": 90`, true, "", throttled(30 * time.Second)},
		"throttled by status, body says":     {503, "30", `{"wait": 90}`, false, "", throttled(90 * time.Second)},
		"throttled by status, nobody says":   {503, "", "", false, "", refused},
		"throttled by body":                  {200, "", `{"ok": true, "code": 88, "wait": 90}`, false, "", throttled(90 * time.Second)},
		"throttled by body, 500":             {500, "30", `{"code": 88}`, false, "", throttled(30 * time.Second)},
		"throttled by body, nobody says":     {200, "", `{"ok": true, "code": 88}`, false, "", slow},
		"a wait, but nobody asks":            {500, "30", `{"wait": 90}`, false, "", refused},
		"redirect":                           {302, "", good, false, "", refused},
		"no status":                          {0, "30", `{"code": 40001}`, false, "", malformed},
		"interim":                            {101, "30", good, false, "", malformed},
		"too large":                          {600, "", `{"code": 88, "wait": 1}`, false, "", malformed},
	}
	for _, tokens := range []bool{false, true} {
		if tokens {
			decl.Auth.OAuth2 = &dialect.OAuth2{TokenURL: someURL, ClientID: "me", ClientSecret: "s3cret"}
		}
		d := compile(t, decl)
		for name, tt := range tests {
			a := dialect.Answer{Status: tt.status, Body: []byte(tt.body), Cut: tt.cut, Header: map[string][]string{"Retry-After": {tt.header}, "Content-Encoding": {tt.coding}}}
			want := tt.want
			want.Status = tt.status
			if got := d.Judge(a, now); got != want {
				t.Errorf("%s: Judge(%+v) = %+v; want %+v", name, a, got, want)
			}
			if cut := want.Cause == data.CauseBody && (tt.cut || tt.coding != ""); cut && !d.NeedsBody(tt.status) {
				t.Errorf("%s: NeedsBody(%d) = false", name, tt.status)
			}
		}
		// The end of a token is no last word on a message.
		want := map[bool]data.Result{false: byStatus, true: refused}[tokens]
		want.Status = 401
		if got := d.Judge(dialect.Answer{Status: 401}, now); got != want {
			t.Errorf("with tokens %v, Judge(401) = %+v; want %+v", tokens, got, want)
		}
	}
}

// A success that wants no JSON is not undone by rules about JSON that end or
// throttle others.
func TestJudgeSuccessWithoutJSON(t *testing.T) {
	others := dialect.Declaration{
		URL:       someURL,
		Permanent: dialect.Permanent{Body: []dialect.Rule{is("/code", 1)}},
		Throttle:  dialect.Throttle{Body: []dialect.Rule{not("/error", nil)}},
	}
	worded := others
	worded.Success.Body = []dialect.Rule{text("ok")}
	for body, d := range map[string]*dialect.Dialect{"": compile(t, others), "<html>": compile(t, others), " ok\n": compile(t, worded)} {
		if got := d.Judge(dialect.Answer{Status: 202, Body: []byte(body)}, now); got.Outcome != data.OutcomeDelivered {
			t.Errorf("Judge(202, %q) = %+v; want a delivery", body, got)
		}
		if got := d.Judge(dialect.Answer{Status: 202, Body: []byte(body), Cut: true}, now); got.Cause != data.CauseBody {
			t.Errorf("Judge(202, %q, cut) = %+v; want %q", body, got, data.CauseBody)
		}
	}
}

func TestNeedsBody(t *testing.T) {
	rules := []dialect.Rule{is("/ok", true)}
	every := []int{100, 200, 201, 204, 302, 404, 429, 503}
	tests := map[string]struct {
		give dialect.Declaration
		want []int
	}{
		"nothing said":   {dialect.Declaration{}, nil},
		"kept":           {dialect.Declaration{KeepAnswer: true}, nil},
		"statuses":       {dialect.Declaration{Success: dialect.Success{Status: dialect.Statuses(201)}, Permanent: permanent(404)}, nil},
		"headers":        {throttles(inHeader("X-A", "")), nil},
		"success":        {dialect.Declaration{Success: dialect.Success{Body: rules}}, []int{200, 201, 204}},
		"success of one": {dialect.Declaration{Success: dialect.Success{Body: rules, Status: dialect.Statuses(201)}}, []int{201}},
		"permanent":      {dialect.Declaration{Permanent: dialect.Permanent{Body: rules}}, every},
		"throttle":       {dialect.Declaration{Throttle: dialect.Throttle{Body: rules}}, every},
		"a wait":         {throttles(inHeader("X-A", ""), inBody("/a", "")), []int{429, 503}},
		"a wait of one":  {dialect.Declaration{Throttle: dialect.Throttle{Status: dialect.Statuses(404), Wait: []dialect.Wait{inBody("", "")}}}, []int{404}},
	}
	for name, tt := range tests {
		tt.give.URL = someURL
		d := compile(t, tt.give)
		for _, status := range every {
			if got, want := d.NeedsBody(status), slices.Contains(tt.want, status); got != want {
				t.Errorf("%s: NeedsBody(%d) = %v; want %v", name, status, got, want)
			}
		}
	}
}

func TestStatusesComplain(t *testing.T) {
	success := func(ranges ...dialect.StatusRange) dialect.Declaration {
		return dialect.Declaration{URL: someURL, Success: dialect.Success{Status: ranges}}
	}
	tests := map[string]struct {
		give dialect.Declaration
		want []string
	}{
		"success":            {success(dialect.StatusRange{First: 200, Last: 299}), nil},
		"success of failure": {success(dialect.StatusRange{First: 200, Last: 300}, dialect.StatusRange{First: 404, Last: 404}), []string{"success.status[0]", "success.status[1]"}},
		"interim success":    {success(dialect.StatusRange{First: 199, Last: 200}), []string{"success.status[0]"}},
		"backwards":          {success(dialect.StatusRange{First: 202, Last: 200}), []string{"success.status[0]"}},
		"empty success":      {dialect.Declaration{URL: someURL, Success: dialect.Success{Status: []dialect.StatusRange{}}}, []string{"success.status"}},
		"final success":      {dialect.Declaration{URL: someURL, Permanent: permanent(404, 200)}, []string{"permanent.status[1]"}},
		"many":               {dialect.Declaration{URL: someURL, Permanent: permanent(make([]int, 101)...)}, []string{"permanent.status"}},
	}
	for name, tt := range tests {
		wantComplaints(t, name, tt.give, tt.want)
	}
}

func TestParseStatusRange(t *testing.T) {
	for text, want := range map[string]dialect.StatusRange{
		"200": {First: 200, Last: 200}, "200-299": {First: 200, Last: 299}, "404-404": {First: 404, Last: 404},
	} {
		if got, ok := dialect.ParseStatusRange(text); got != want || !ok {
			t.Errorf("ParseStatusRange(%q) = %v, %v; want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "-", "2", "20", "2000", "200-", "-299", "299-200", "200-299-300", "+20", "200 - 299", "2xx", "200-29x"} {
		if got, ok := dialect.ParseStatusRange(text); ok {
			t.Errorf("ParseStatusRange(%q) = %v", text, got)
		}
	}
}

// FuzzJudge: no answer, however strange, does harm or comes to what it cannot
// come to.
func FuzzJudge(f *testing.F) {
	for _, v := range []string{"30", "1.5", "-1", "99999999999999999999", "Sun, 22 Nov 2026 12:01:30 GMT", "Sunday, 22-Nov-26 12:01:30 GMT"} {
		f.Add(429, v, v, int64(0), []byte(`{"wait": "7"}`), false)
	}
	f.Add(999, "", "x", int64(math.MinInt64), []byte(nil), true)
	f.Add(410, "30", "", int64(math.MaxInt64), []byte("\xff"), false)
	for _, body := range []string{`{"ok": true}`, `{"ok": true, "code": 88, "wait": 1e9}`, `{"code": 40001}`, `[{"ok": [true]}]`, "ok", strings.Repeat("[", 9999), `{"ok": true`} {
		f.Add(200, "", "", int64(1_790_000_000), []byte(body), false)
	}
	plain := compile(f, dialect.Declaration{URL: someURL, Permanent: permanent(410, 503)})
	ruled := compile(f, dialect.Declaration{
		URL: someURL, KeepAnswer: true,
		Success:   dialect.Success{Body: []dialect.Rule{is("/ok", true), not("/*", 7)}},
		Permanent: dialect.Permanent{Status: dialect.Statuses(410, 503), Body: []dialect.Rule{in("/code", 40001, 4e4)}},
		Throttle:  dialect.Throttle{Body: []dialect.Rule{is("/code", 88), contains("slow")}, Wait: []dialect.Wait{inHeader("Retry-After", ""), inBody("/wait", "ms")}},
	})
	f.Fuzz(func(t *testing.T, status int, first, second string, unix int64, body []byte, cut bool) {
		a := dialect.Answer{Status: status, Header: map[string][]string{"Retry-After": {first, second}}, Body: body, Cut: cut}
		for _, d := range []*dialect.Dialect{plain, ruled} {
			r := d.Judge(a, time.Unix(unix, 0))
			if r.Hint < 0 || r.Hint > month || r.Hint > 0 && r.Outcome != data.OutcomeThrottled {
				t.Errorf("Judge(%+v) hints %v; want 0 to 30 days", a, r.Hint)
			}
			if r.Outcome.String() == "" || r.Status != status || (r.Outcome == data.OutcomeDelivered) != (r.Cause == data.CauseNone) {
				t.Errorf("Judge(%+v) = %+v", a, r)
			}
			if len(r.Answer) > data.MaxAnswer || !utf8.ValidString(r.Answer) || d == plain && r.Answer != "" {
				t.Errorf("Judge(%+v) keeps %q", a, r.Answer)
			}
		}
		success, final := status >= 200 && status < 300, status == 410 || status == 503
		r := plain.Judge(a, time.Unix(unix, 0))
		if success != (r.Outcome == data.OutcomeDelivered) || final != (r.Outcome == data.OutcomePermanent) {
			t.Errorf("Judge(%+v) = %+v", a, r)
		}
		r = ruled.Judge(a, time.Unix(unix, 0))
		var says struct{ OK any }
		if r.Outcome == data.OutcomeDelivered && (!success || cut || json.Unmarshal(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), &says) != nil) {
			t.Errorf("Judge(%+v) = %+v", a, r)
		}
		if final && r.Outcome != data.OutcomePermanent {
			t.Errorf("Judge(%+v) = %+v", a, r)
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	d := compile(b, dialect.Declaration{URL: "http://127.0.0.1:5000/gateway_1", Permanent: permanent(400, 410)})
	for _, answer := range []dialect.Answer{{Status: 200}, {Status: 429, Header: map[string][]string{"Retry-After": {"30"}}}} {
		b.Run(strconv.Itoa(answer.Status), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = d.Judge(answer, now)
			}
		})
	}
}
