package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The test's own binary is also what a run starts as its children.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestSpread(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   spread
	}{
		{nil, spread{}},
		{[]float64{3}, spread{3, 3, 3}},
		{[]float64{3, 1}, spread{2, 1, 3}},
		{[]float64{9, 1, 2}, spread{2, 1, 9}},
		{[]float64{4, 1, 3, 2}, spread{2.5, 1, 4}},
	} {
		if got := spreadOf(c.values); got != c.want {
			t.Errorf("spreadOf(%v) = %v; want %v", c.values, got, c.want)
		}
	}
}

func TestRatios(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ of, over, want []float64 }{
		{nil, []float64{1}, nil},
		{[]float64{2, 9}, []float64{4, 3}, []float64{0.5, 3}},
		{[]float64{2, none(), 6}, []float64{1, 1, 2}, []float64{2, 3}},
		{[]float64{2, 4}, []float64{0, none()}, nil},
		{[]float64{2, 4, 8}, []float64{2}, []float64{1}},
	} {
		if got := ratios(c.of, c.over); !slices.Equal(got, c.want) {
			t.Errorf("ratios(%v, %v) = %v; want %v", c.of, c.over, got, c.want)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0.00", 0.456: "0.46", 12.34: "12.3", 123.4: "123", 12345.6: "12,346", math.NaN(): "-"} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %s; want %s", v, got, want)
		}
	}
}

// What is read from a histogram is never too short, and too long by a
// thirty-second at most.
func TestHistogram(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{0, 1, 31, 32, 33, 63, 64, 65, 1000, 123_456, time.Millisecond, time.Second, 3*time.Minute + 7} {
		var h histogram
		h.add(d)
		if got := h.quantile(1); got < d || float64(got-d) > float64(d)/buckets {
			t.Errorf("quantile(1) of %v = %v", d, got)
		}
	}
	var h, other histogram
	for i := range 100 {
		of := &h
		if i%2 == 0 {
			of = &other
		}
		of.add(time.Duration(i+1) * time.Second)
	}
	h.merge(&other)
	for share, want := range map[float64]time.Duration{0: 1, 0.5: 50, 0.99: 99, 0.991: 100, 1: 100} {
		want *= time.Second
		if got := h.quantile(share); got < want || got > want+want/buckets {
			t.Errorf("quantile(%v) of 1 s to 100 s = %v; want %v", share, got, want)
		}
	}
	if got := new(histogram).quantile(0.5); got != 0 {
		t.Errorf("quantile(0.5) of nothing = %v; want 0", got)
	}
	h = histogram{}
	if h.add(-time.Second); h.quantile(1) != 0 {
		t.Errorf("quantile(1) of -1 s = %v; want 0", h.quantile(1))
	}
}

func TestScheduleNext(t *testing.T) {
	t.Parallel()
	ten := schedule{rate: 10, span: time.Second} // 0, 100 ms, ... 900 ms
	for _, c := range []struct {
		schedule
		elapsed time.Duration
		sent    int
		now     int
		wait    time.Duration
		over    bool
	}{
		{ten, 0, 0, 1, 100 * time.Millisecond, false},
		{ten, 0, 1, 0, 100 * time.Millisecond, false},
		{ten, 99 * time.Millisecond, 1, 0, time.Millisecond, false},
		{ten, 100 * time.Millisecond, 1, 1, 100 * time.Millisecond, false},
		{ten, 350 * time.Millisecond, 1, 3, 50 * time.Millisecond, false}, // held up: what is due goes at once
		{ten, time.Hour, 3, 7, 0, false},
		{ten, time.Hour, 10, 0, 0, true},
		{schedule{rate: 0.5, span: time.Second}, 0, 0, 1, 0, false},
		{schedule{rate: 3, span: time.Second}, 333_333_333, 1, 1, 333_333_333, false}, // rates that are no round number of nanoseconds
	} {
		now, wait, over := c.next(c.elapsed, c.sent)
		if now != c.now || wait != c.wait || over != c.over {
			t.Errorf("%+v.next(%v, %d) = %d, %v, %t; want %d, %v, %t", c.schedule, c.elapsed, c.sent, now, wait, over, c.now, c.wait, c.over)
		}
	}
}

// Whenever it is asked, a schedule sends everything, nothing early, and in time if
// it is asked in time.
func TestScheduleSendsAll(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{1, 7, 333.3, 12_345} {
		s := schedule{rate: rate, span: 2 * time.Second}
		sent := 0
		for elapsed := time.Duration(0); ; {
			now, wait, over := s.next(elapsed, sent)
			if over {
				break
			}
			for range now {
				if due := s.due(sent); due > elapsed {
					t.Fatalf("rate %v: number %d is sent at %v; it is due at %v", rate, sent, elapsed, due)
				}
				sent++
			}
			if now == 0 && wait == 0 {
				t.Fatalf("rate %v: next(%v, %d) sends nothing and waits for nothing", rate, elapsed, sent)
			}
			elapsed += wait
		}
		if want := int(math.Ceil(2 * rate)); sent != want {
			t.Errorf("rate %v: %d are sent in two seconds; want %d", rate, sent, want)
		}
	}
}

func TestClosedLoadPart(t *testing.T) {
	t.Parallel()
	whole := ClosedLoad{For: time.Second}
	parts := ClosedLoad{For: time.Second, Slice: 300 * time.Millisecond} // three, of 333 ms
	for _, c := range []struct {
		load  ClosedLoad
		after time.Duration
		want  int
	}{
		{whole, -1, -1},
		{whole, 0, 0},
		{whole, time.Second - 1, 0},
		{whole, time.Second, -1},
		{parts, 0, 0},
		{parts, 333 * time.Millisecond, 0},
		{parts, 334 * time.Millisecond, 1},
		{parts, time.Second - 1, 2},
		{parts, time.Second, -1},
	} {
		if got := c.load.part(c.after); got != c.want {
			t.Errorf("%+v.part(%v) = %d; want %d", c.load, c.after, got, c.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{0, 7, 123_456_789, 999_999_999} {
		b := make([]byte, digits)
		putNumber(b, n)
		if got, ok := takeNumber(b); !ok || got != n {
			t.Errorf("takeNumber(%q) = %d, %t; want %d", b, got, ok, n)
		}
	}
	for _, s := range []string{"", "12345678", "12345678x"} {
		if n, ok := takeNumber([]byte(s)); ok {
			t.Errorf("takeNumber(%q) = %d; want none", s, n)
		}
	}
	for _, r := range []request{postEvent(""), postEvents(""), postMessage("")} {
		if n, ok := takeNumber(r.Body[r.NumberAt:]); !ok || n != 0 {
			t.Errorf("the body %.100s has no number at %d", r.Body, r.NumberAt)
		}
	}
}

// Fronts read what is sent, and refuse what the program refuses.
func TestReadEvents(t *testing.T) {
	t.Parallel()
	if events, array, err := readEvents(postEvent("").Body); err != nil || array || len(events) != 1 || len(events[0].Payload) != textSize {
		t.Errorf("readEvents of one = %v, %t, %v", events, array, err)
	}
	if events, array, err := readEvents(postEvents("").Body); err != nil || !array || len(events) != arraySize {
		t.Errorf("readEvents of an array = %d events, %t, %v", len(events), array, err)
	}
	for _, body := range []string{``, `{}`, `{"event_type":1,"event_payload":""}`, `{"event_type":"","event_payload":"","x":1}`, `[{"event_type":"a"}]`, `{"event_type":"a","event_payload":"b"} x`} {
		if _, _, err := readEvents([]byte(body)); err == nil {
			t.Errorf("readEvents(%s) has no error", body)
		}
	}
}

func TestParseWrk(t *testing.T) {
	t.Parallel()
	const good = `Running 2s test @ http://127.0.0.1:1/event
  2 threads and 64 connections
  Latency Distribution
     50%  812.00us
     75%    1.20ms
     90%    2.10ms
     99%    4.42ms
  134366 requests in 2.00s, 22.81MB read
Requests/sec:  67183.12
Transfer/sec:     11.40MB
`
	want := value{67183.12, 812 * time.Microsecond, 4420 * time.Microsecond}
	if got, err := parseWrk(good); err != nil || got != want {
		t.Errorf("parseWrk() = %v, %v; want %v", got, err, want)
	}
	for _, bad := range []string{"", good + "  Non-2xx or 3xx responses: 7\n", "  Socket errors: connect 0, read 1, write 0, timeout 0\n" + good} {
		if _, err := parseWrk(bad); err == nil {
			t.Errorf("parseWrk(%q) has no error", bad)
		}
	}
}

// aReport has two contestants, of which one missed a round.
func aReport() *report {
	r := &report{heading: "here and now", notes: []string{"skipped: third"}}
	r.add(0, "intake", "first", value{100, time.Millisecond, 2 * time.Millisecond})
	r.add(0, "intake", "second", value{rate: 50})
	r.add(1, "intake", "first", value{300, 3 * time.Millisecond, 4 * time.Millisecond})
	r.add(2, "intake", "first", value{200, 2 * time.Millisecond, 3 * time.Millisecond})
	r.add(2, "intake", "second", value{rate: 20})
	r.describe(setting{"first", "a floor", "v1", "none"})
	r.describe(setting{"first", "again", "", ""})
	r.expect(goal{what: "second over first", bound: 0.5, values: ratios(r.of("intake", "second").rates, r.of("intake", "first").rates)})
	r.expect(goal{what: "time", bound: 3, most: true, unit: " ms", values: had(r.of("intake", "first").p99s)})
	r.expect(goal{what: "never measured", bound: 1, values: had(r.of("intake", "third").rates)})
	return r
}

func TestReport(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := aReport().print(&out); err != nil {
		t.Fatal(err)
	}
	const want = `here and now
skipped: third

measure   contestant   per second   min .. max     to the first   p50       p99
intake    first        200          100 .. 300     1              2.00 ms   3.00 ms
intake    second       35.0         20.0 .. 50.0   0.30                     

goal                bound             median (min .. max)      
second over first   at least 0.50     0.30 (0.10 .. 0.50)      NOT MET
time                at most 3.00 ms   3.00 ms (2.00 .. 4.00)   met

contestant   what it is   versions   read back
first        a floor      v1         none
`
	if out.String() != want {
		t.Errorf("print() wrote\n%s\nwant\n%s", out.String(), want)
	}
}

func TestPlaced(t *testing.T) {
	t.Parallel()
	table := aReport().markdown()
	for _, want := range []string{
		"here and now  \nskipped: third  \n\n| measure |", "| --- | --- |", "| intake | first | 200 | 100 .. 300 | 1 | 2.00 ms | 3.00 ms |\n",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("markdown() lacks %q:\n%s", want, table)
		}
	}
	begin, end := mark("bench", false), mark("bench", true)
	for _, document := range []string{"", "a\n" + begin + "\n" + end + "\nb\n", "a\n" + begin + "\n\nold\n\n" + end + "\nb\n"} {
		got, err := placed(document, "bench", table)
		if err != nil {
			t.Fatal(err)
		}
		block := begin + "\n\n" + strings.TrimSpace(table) + "\n\n" + end
		want := block + "\n"
		if document != "" {
			want = "a\n" + block + "\nb\n"
		}
		if got != want {
			t.Errorf("placed(%q) = %q; want %q", document, got, want)
		}
	}
	for _, document := range []string{"a", begin, mark("growth", false) + end} {
		if _, err := placed(document, "bench", table); err == nil {
			t.Errorf("placed(%q) has no error", document)
		}
	}
}

// The document has a place for the table of each command.
func TestDocument(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"versus", "bench", "growth", "steady"} {
		if _, err := placed(string(document), name, "x"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A size that nothing can be measured with, and a name that nobody has, are
// mistakes that are named.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"bench", "--rounds", "0"},
		{"bench", "--connections", "0"},
		{"--load", "loud"},
		{"--only", "nobody"},
		{"--slow", "nobody=2ms"},
		{"--slow", "floor=2"},
	} {
		err := execute(t.Context(), append(args, "--binary", "/bin/true", "--dir", t.TempDir()), nil, t.Output(), t.Output())
		if want := args[len(args)-2]; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("versus %v = %v; want an error with %q", args, err, want)
		}
	}
}

// What cannot be our program is named, and nothing is left behind.
func TestNoProgram(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ script, says string }{
		"ends with an error": {"exit 3", "exit status 3"},
		"says nothing":       {"exit 0", "expected postrider itself"},
	} {
		dir := t.TempDir()
		script := filepath.Join(t.TempDir(), "script")
		if err := os.WriteFile(script, []byte("#!/bin/sh\n"+c.script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		err := execute(t.Context(), []string{"bench", "--binary", script, "--dir", dir}, nil, t.Output(), t.Output())
		if err == nil || !strings.Contains(err.Error(), script) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: versus bench = %v; want an error with the path and %q", name, err, c.says)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: %v is left, %v", name, left, err)
		}
	}
}

// The floor and the program are compared through the command line, in a size that
// says nothing, and nothing is left behind.
func TestRun(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the program is measured in /proc")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "table.md")
	var out bytes.Buffer
	err := execute(t.Context(), []string{
		"bench", "--only", "floor,postrider,raw-egress", "--slow", "floor=3ms", "--load", "own",
		"--rounds", "1", "--for", "200ms", "--connections", "4", "--workers", "8", "--dir", dir, "--markdown", file,
	}, nil, &out, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		eventsAt(4), arraysAt(4), messagesAt(4), looping, delivering, arriving,
		"SLOWED BY 3ms", "peak anonymous RSS", "over the raw loop of the client we ship", "fasthttp v",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &out)
		}
	}
	if rate := rateIn(t, out.String(), eventsAt(4), floorName); rate > 4/0.003 {
		t.Errorf("the floor reaches %v per second over 4 connections though each answer is 3 ms late", rate)
	}
	if table, err := os.ReadFile(file); err != nil || !strings.Contains(string(table), delivering) {
		t.Errorf("the Markdown is %q, %v", table, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "versus-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// rateIn reads a rate from a table.
func rateIn(t *testing.T, table, measure, contestant string) float64 {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + measure + ` +` + contestant + ` +([0-9.,]+)`).FindStringSubmatch(table)
	if found == nil {
		t.Fatalf("no rate of %s, %s in\n%s", measure, contestant, table)
	}
	rate, err := strconv.ParseFloat(strings.ReplaceAll(found[1], ",", ""), 64)
	if err != nil {
		t.Fatal(err)
	}
	return rate
}
