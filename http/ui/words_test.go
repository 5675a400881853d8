package ui

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/postrider/postrider/data"
)

func TestNumber(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 1234567: "1,234,567", -4321: "-4,321"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "under 1 ms", 12 * time.Millisecond: "12 ms", 1500 * time.Millisecond: "1.5 s", 2 * time.Second: "2 s", 59 * time.Second: "59 s",
		61 * time.Second: "1 min 1 s", 11*time.Minute + 5*time.Second: "11 min", 2*time.Hour + 5*time.Minute: "2 h 5 min",
		25 * time.Hour: "1 day 1 h", 72 * time.Hour: "3 days", -time.Second: "1 s",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestRelative(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "just now", 500 * time.Millisecond: "just now", -500 * time.Millisecond: "now", 3 * time.Second: "3 s ago", -3500 * time.Millisecond: "in 3 s", 26 * time.Hour: "1 day 2 h ago",
	} {
		if got := relative(noon, before(d)); got != want {
			t.Errorf("relative(noon, %v before) = %q, want %q", d, got, want)
		}
	}
}

func TestRateAndSize(t *testing.T) {
	for r, want := range map[float64]string{0: "0", 0.01: "<0.1", 0.5: "0.5", 12.4: "12", 34567.8: "34,568"} {
		if got := rate(r); got != want {
			t.Errorf("rate(%v) = %q, want %q", r, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 20 << 20: "20 MiB", 3 << 50: "3072 TiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}

// Nothing of a text is lost, and nothing of it works on the text around it.
func TestPieces(t *testing.T) {
	for text, want := range map[string]string{
		"plain\n\ttext":          "plain\n\ttext",
		"a\u202Eb":               "a[U+202E]b",
		"\u0000\u001b[31m\u200B": "[U+0000][U+001B][31m[U+200B]",
		"bad \xff\xfe":           `bad [\xFF][\xFE]`,
		"Grüße 👩\u200D👩\u200D👧 日本 عربي": "Grüße 👩\u200D👩\u200D👧 日本 عربي",
		"\u2028\ufeff\ue000":              "[U+2028][U+FEFF][U+E000]",
		"\U000E0001a\U000E0061\U000E007F": "[U+E0001]a[U+E0061][U+E007F]",
		"\u034f\u3164\uffff":              "[U+034F][U+3164][U+FFFF]",
		"\ufffd":                          "\ufffd",
		"":                                "",
	} {
		var got strings.Builder
		for _, p := range pieces(text) {
			if p.Escape {
				got.WriteString("[" + p.Text + "]")
			} else {
				got.WriteString(p.Text)
			}
		}
		if got.String() != want {
			t.Errorf("pieces(%q) = %q, want %q", text, got.String(), want)
		}
	}
}

// The script goes by the same rule.
func TestHiddenPattern(t *testing.T) {
	asset := readScript(t)
	_, pattern, found := strings.Cut(asset, "const hidden = /(?![\\n\\t\\u{200d}])[")
	pattern, _, ended := strings.Cut(pattern, "]/gu;")
	if !found || !ended {
		t.Fatalf("the script has no pattern:\n%s", asset)
	}
	hides := regexp.MustCompile("^[" + strings.ReplaceAll(pattern, `\u{`, `\x{`) + "]$")
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if r == '\n' || r == '\t' || r == joiner || r >= 0xD800 && r < 0xE000 {
			continue // the first three are left out before, the others are in no string here
		}
		if got := !hides.MatchString(string(r)); got != Visible(r) {
			t.Fatalf("U+%04X: the script shows it %v, Visible %v", r, got, Visible(r))
		}
	}
}

// readScript is the script as browsers get it.
func readScript(t *testing.T) string {
	t.Helper()
	for _, asset := range newPages(t).assets {
		if strings.Contains(asset.Type, "javascript") {
			return string(asset.Body)
		}
	}
	t.Fatal("no script")
	return ""
}

func TestField(t *testing.T) {
	if got, want := field("a\u202E\n\tb\xffü"), `aU+202EU+000AU+0009b\xFFü`; got != want {
		t.Errorf("field() = %q, want %q", got, want)
	}
}

func TestBlock(t *testing.T) {
	if c := block(strings.Repeat("ü", blockLength)); c.Whole != nil {
		t.Errorf("block() of %d characters is cut", blockLength)
	}
	long := strings.Repeat("ü", blockLength+1)
	if c := block(long); len(c.Whole) != 1 || c.Whole[0].Text != long || c.Size != blockLength+1 || c.Start[0].Text != long[:blockLength] {
		t.Errorf("block() of %d characters = %+v", blockLength+1, c)
	}
	if c := line("a\nb"); c.Start[0].Text != "a b" {
		t.Errorf("line() = %+v, want one line", c)
	}
	if c := line(strings.Repeat("x", 5000)); len(c.Start[0].Text) != lineLength || c.Start[1].Text != "…" {
		t.Errorf("line() of a long text = %+v", c)
	}
}

// What a person did counts before what the gateway did.
func TestStanding(t *testing.T) {
	held := Gateway{Declared: true, Until: noon.Add(time.Minute), Counts: [data.States]uint64{data.Queued: 2}}
	paused := held
	paused.Paused = true
	parked := paused
	parked.Declared = false
	broken := paused
	broken.Problem = "x"
	over := held
	over.Until = before(time.Second)
	outage := over
	outage.Outage, outage.Unreached = true, 7
	retry := Gateway{Declared: true, Counts: [data.States]uint64{data.Waiting: 1}}
	for want, g := range map[string]Gateway{
		"asked to wait": held, "paused": paused, "parked": parked, "delivering": over, "no connection": outage,
		"waiting for retry": retry, "idle": {Declared: true},
	} {
		if got := g.standing(noon); got.Word != want {
			t.Errorf("standing() of %+v = %q, want %q", g, got.Word, want)
		}
	}
	if got := broken.standing(noon); got.Word != "parked" {
		t.Errorf("standing() of a gateway that cannot be used = %q, want parked", got.Word)
	}
	if got := retry.standing(noon).Text; !strings.Contains(got, "1 message waits") {
		t.Errorf("standing() says %q, want one message", got)
	}
}

func TestVerdict(t *testing.T) {
	ok := Store{Accepting: true}
	for want, v := range map[string]Overview{
		"Nothing is stuck":                   {Store: ok},
		"Nothing new is accepted":            {},
		"Nothing needs you; 1 gateway waits": {Store: ok, Attention: []Attention{{Reason: ReasonThrottled}}},
		"1 gateway needs a person":           {Store: ok, Attention: []Attention{{Reason: ReasonThrottled}, {Reason: ReasonDead}}},
	} {
		if got := v.Verdict(); got != want {
			t.Errorf("Verdict() = %q, want %q", got, want)
		}
	}
}

// Every state, outcome and cause has words.
func TestWords(t *testing.T) {
	for _, s := range data.AllStates() {
		if stateWords(s) == "" {
			t.Errorf("state %v has no words", s)
		}
	}
	for _, c := range data.Causes() {
		if words := causeWords(c); words == string(c) || words == "" {
			t.Errorf("cause %q has no words", c)
		}
	}
	for _, s := range []Said{SaidPaused, SaidResumed, SaidCancelled, SaidResent, SaidReloaded} {
		if s.Text() == "" {
			t.Errorf("%q says nothing", s)
		}
	}
	if got := Said("<script>").Text(); got != "" {
		t.Errorf("what nothing did says %q", got)
	}
}

func TestPoints(t *testing.T) {
	if got, want := points([]float64{0, 5, 20}, 10, 100, 50), "0.0,50.0 50.0,25.0 100.0,0.0"; got != want {
		t.Errorf("points() = %q, want %q", got, want)
	}
	for most, want := range map[float64]float64{0: 1, 0.4: 1, 1: 1, 1.5: 2, 3: 5, 7: 10, 11: 20, 4999: 5000, 5001: 10000} {
		if got := ceiling(most); got != want {
			t.Errorf("ceiling(%v) = %v, want %v", most, got, want)
		}
	}
}
