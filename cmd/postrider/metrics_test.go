package main

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
)

// exerciseMetrics runs a server until it has a value for each of its metrics.
func exerciseMetrics(t *testing.T) *instance {
	t.Helper()
	chat, deaf := newGateway(t, saying(http.StatusOK)), newGateway(t, saying(http.StatusBadGateway))
	cfg := settings(t)
	one := 1
	last := at(deaf.url)
	last.MaxAttempts = &one
	cfg.Gateways = map[string]config.Gateway{"chat": at(chat.url), "deaf": at(deaf.url), "last": last, "later": at(chat.url)}
	cfg.Propagator.Enabled = true
	cfg.Routes = []config.Route{{Match: config.Match{EventType: "*"}, Gateway: "chat", Message: "x"}}
	p := start(t, cfg, nil)
	p.pause(t, "later", true)
	post(t, p.url+"/send_message", messageFor("later", "x"))
	p.await(t, post(t, p.url+"/send_message", messageFor("chat", "x")), "delivered")
	p.await(t, post(t, p.url+"/send_message", messageFor("last", "x")), "failed")
	p.await(t, post(t, p.url+"/send_message", messageFor("deaf", "x")), "failed") // after three attempts
	return p
}

func TestMetricsKeepToTheConventions(t *testing.T) {
	t.Parallel()
	p := exerciseMetrics(t)
	shown := ask(t, http.MethodGet, p.url+"/metrics", "").body
	problems, err := promlint.New(strings.NewReader(shown)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		if strings.HasPrefix(problem.Metric, "postrider_") {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
	for _, series := range []string{
		`postrider_start_delay_seconds_count{since="accepted"}`, `postrider_start_delay_seconds_count{since="due"}`,
		`postrider_attempt_duration_seconds_count{outcome="delivered"}`, `postrider_gateway_attempt_seconds_total{gateway="chat"}`,
		`postrider_gateway_open_messages{gateway="later"}`, `postrider_gateway_blocked{gateway="later",reason="paused"}`,
		`postrider_dead_letters_total{gateway="last",state="failed"}`, "postrider_accepting", "postrider_config_last_reload_successful",
	} {
		if n, err := strconv.ParseFloat(p.metric(t, series), 64); err != nil || n <= 0 {
			t.Errorf("%s is %v, want more than 0", series, n)
		}
	}
	if got, want := p.metric(t, "postrider_gateways"), "4"; got != want {
		t.Errorf("postrider_gateways = %s, want %s", got, want)
	}
	if _, ok := strings.CutPrefix(regexp.MustCompile(`postrider_build_info\{.*`).FindString(shown), `postrider_build_info{commit="`); !ok {
		t.Error("there is no postrider_build_info")
	}
}

// Space and ages are what alarms go by, so they have to be right.
func TestMetricsOfTheStoreAndOfAges(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	cfg.Gateways = map[string]config.Gateway{"chat": at("http://127.0.0.1:1")}
	p := start(t, cfg, nil)
	p.pause(t, "chat", true)
	before := time.Now().Add(-time.Second)
	post(t, p.url+"/send_message", messageFor("chat", "first"))
	number := func(series string) float64 {
		n, err := strconv.ParseFloat(p.metric(t, series), 64)
		if err != nil {
			t.Errorf("%s: %v", series, err)
		}
		return n
	}
	const oldest = `postrider_gateway_oldest_message_timestamp_seconds{gateway="chat"}`
	first := number(oldest)
	if at := time.UnixMilli(int64(first * 1000)); at.Before(before) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("the oldest message was accepted at %v, want now", at)
	}
	pause(t, 5*time.Millisecond)
	post(t, p.url+"/send_message", messageFor("chat", "second"))
	if again := number(oldest); again != first {
		t.Errorf("after a second message the oldest is of %v, want of %v as before", again, first)
	}
	if n := number(`postrider_gateway_open_messages{gateway="chat"}`); n != 2 {
		t.Errorf("%v messages are open, want 2", n)
	}
	if free, least := number("postrider_store_free_bytes"), number("postrider_store_min_free_bytes"); free <= least || least != float64(cfg.Storage.MinFree) {
		t.Errorf("%v bytes are free, and %v must be; want more, and %v", free, least, cfg.Storage.MinFree)
	}
	if used := number("postrider_store_used_bytes"); used < 1<<10 || used > 1<<30 {
		t.Errorf("the store takes %v bytes", used)
	}
}

// However many gateways there are and whatever is asked for, the series are bounded.
func TestLabelsAreBounded(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	for i := range 2 * maxGatewayLabels {
		name := fmt.Sprint("gateway_", i)
		m.attempted(name, data.Result{Outcome: data.OutcomeDelivered, Status: 200}, data.Delivered, time.Millisecond)
		m.unfit(name, 1)
		m.ended(name, data.Expired)
	}
	for what, c := range map[string]int{
		"attempts": testutil.CollectAndCount(m.attempts), "seconds": testutil.CollectAndCount(m.spent),
		"misfits": testutil.CollectAndCount(m.misfits), "dead letters": testutil.CollectAndCount(m.dead),
	} {
		if c != maxGatewayLabels+1 {
			t.Errorf("%d gateways have series of %s, want %d and one for all others", c, what, maxGatewayLabels)
		}
	}
	if n := testutil.ToFloat64(m.spent.WithLabelValues(otherGateways)); n < 0.999 || n > 1.001 {
		t.Errorf("the others took %v s, want 1", n)
	}
	if got := m.names.of("one more"); got != otherGateways {
		t.Errorf("one more gateway is %q, want %s", got, otherGateways)
	}
	if got := m.names.of("gateway_0"); got != "gateway_0" {
		t.Errorf("the first gateway is %q now", got)
	}
}

// lanes is a store with many lanes.
type lanes []data.Lane

func (l lanes) Lanes() ([]data.Lane, error) { return l, nil }

func (l lanes) Oldest(string) (time.Time, error) { return time.Unix(5, 0), nil }

func TestLanesByNameAreBounded(t *testing.T) {
	t.Parallel()
	var store lanes
	for i := range maxGatewayLabels + 10 {
		l := data.Lane{Gateway: fmt.Sprint("gateway_", i), Paused: i%2 == 0}
		l.Counts[data.Queued] = 3
		store = append(store, l)
	}
	idle := data.Lane{Gateway: "idle"}
	idle.Counts[data.Delivered] = 9
	var declared inForce
	gateways, _ := newCatalog(config.Default(), "http://127.0.0.1:5000", nil)
	declared.Store(&snapshot{gateways: gateways})
	var names gatewayLabels
	c := newLaneCollector(append(lanes{idle}, store...), &declared, &names)
	shown, err := testutil.CollectAndFormat(c, expfmt.TypeTextPlain, "postrider_gateway_open_messages",
		"postrider_gateway_oldest_message_timestamp_seconds", "postrider_gateways_blocked", "postrider_gateway_blocked", "postrider_messages")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`postrider_gateway_open_messages{gateway="other"} 30`,
		`postrider_gateway_open_messages{gateway="gateway_999"} 3`,
		`postrider_gateway_oldest_message_timestamp_seconds{gateway="gateway_999"} 5`,
		`postrider_gateway_blocked{gateway="other",reason="paused"} 5`,
		`postrider_gateway_blocked{gateway="gateway_2",reason="paused"} 1`,
		fmt.Sprintf(`postrider_gateways_blocked{reason="paused"} %d`, maxGatewayLabels/2+5),
		fmt.Sprintf(`postrider_gateways_blocked{reason="parked"} %d`, maxGatewayLabels+10),
		fmt.Sprintf(`postrider_messages{state="queued"} %d`, 3*(maxGatewayLabels+10)),
		`postrider_messages{state="delivered"} 9`,
	} {
		if !bytes.Contains(shown, []byte(want+"\n")) {
			t.Errorf("it does not show %s", want)
		}
	}
	if n := bytes.Count(shown, []byte("\npostrider_gateway_open_messages{")); n != maxGatewayLabels+1 {
		t.Errorf("%d gateways are shown by name, want %d and one for all others", n, maxGatewayLabels)
	}
	if bytes.Contains(shown, []byte(`"idle"`)) {
		t.Error("a gateway without work is shown by name")
	}
}

// Who asks for what is not there makes no series by it.
func TestRequestsMakeNoLabels(t *testing.T) {
	t.Parallel()
	p := start(t, settings(t), nil)
	count := func() int {
		return strings.Count(ask(t, http.MethodGet, p.url+"/metrics", "").body, "\npostrider_http_requests_total{")
	}
	ask(t, http.MethodGet, p.url+"/nothing", "")
	ask(t, http.MethodGet, p.url+"/api/v1/messages/0", "")
	count()
	before := count()
	for i := range 20 {
		ask(t, http.MethodGet, fmt.Sprint(p.url, "/nothing/", i), "")
		ask(t, http.MethodGet, fmt.Sprint(p.url, "/api/v1/messages/", i), "")
	}
	if after := count(); after > before+1 {
		t.Errorf("there are %d series of requests, and were %d", after, before)
	}
}
