package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	crashInterval    = 300 * time.Millisecond
	crashMaxAttempts = 3
	crashClients     = 6
	// requestsPerLife bounds what one client asks of one life of the process.
	requestsPerLife = 3000
)

// TestCrash kills the program under load, again and again, and compares what
// there is in the end with what clients were told and gateways saw. The
// environment may ask for more rounds and for the seed of an earlier run:
//
//	CRASH_ROUNDS=50 CRASH_SEED=1 go test -run TestCrash -v ./cmd/postrider
func TestCrash(t *testing.T) {
	t.Parallel()
	rounds, seed := fromEnv(t, "CRASH_ROUNDS", 5), fromEnv(t, "CRASH_SEED", time.Now().UnixNano())
	t.Logf("%d rounds, CRASH_SEED=%d", rounds, seed)
	luck := rand.New(rand.NewPCG(uint64(seed), 0))
	gateways := crashGateways(t, uint64(seed))
	store := t.TempDir()
	args := inStore(store, "--config", crashConfig(t, gateways))

	clients := make([]*crashClient, crashClients)
	for i := range clients {
		clients[i] = &crashClient{name: i, luck: rand.New(rand.NewPCG(uint64(seed), uint64(i)+1))}
	}
	startups := 0
	for range rounds {
		// Some starts do not get far: recovery is killed as well.
		for luck.IntN(4) == 0 {
			startups++
			p := startChild(t, binary(t), args)
			pause(t, time.Duration(luck.IntN(100))*time.Millisecond)
			p.kill(t)
		}
		p := startChild(t, binary(t), args)
		url := p.listening(t)
		var working sync.WaitGroup
		for _, c := range clients {
			working.Go(func() { c.work(t, url) })
		}
		pause(t, 300*time.Millisecond+time.Duration(luck.IntN(1200))*time.Millisecond)
		p.kill(t)
		working.Wait()
	}

	p := startChild(t, binary(t), args)
	url := p.listening(t)
	for _, c := range clients {
		c.repeatUnanswered(t, url)
	}
	awaitTheEnd(t, url, slices.Collect(maps.Keys(gateways)))
	l := &ledger{events: list(t, url+"/api/v1/events").Events, messages: list(t, url+"/api/v1/messages").Messages}
	for _, c := range clients {
		l.requests = append(l.requests, c.done)
	}
	l.arrivals = map[string][]arrival{}
	for _, g := range gateways {
		for _, a := range g.seen() {
			l.arrivals[a.message] = append(l.arrivals[a.message], a)
		}
	}
	if code := p.end(t); code != exitClean {
		t.Errorf("the last process exited with %d, want 0; it said\n%s", code, p.log.tail())
	}
	summary := l.String()
	found := l.violations()
	for i, v := range found {
		if i == 20 {
			t.Errorf("and %d more", len(found)-i)
			break
		}
		t.Error(v)
	}
	t.Logf("%d kills, %d of them while starting; %s; %d violations", int(rounds)+startups, startups, summary, len(found))
}

func fromEnv(t *testing.T, name string, standard int64) int64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return standard
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// pause lets the other processes run. It waits for nothing: what happens
// meanwhile is up to chance.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// crashGateways are one that is well, one that is slow, one that refuses most,
// and one that breaks connections.
func crashGateways(t *testing.T, seed uint64) map[string]*fakeGateway {
	t.Helper()
	var mu sync.Mutex
	luck := rand.New(rand.NewPCG(seed, 1000))
	draw := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return luck.IntN(n)
	}
	return map[string]*fakeGateway{
		"well": newGateway(t, saying(http.StatusOK)),
		"slow": newGateway(t, func(r *http.Request) int {
			select {
			case <-time.After(time.Duration(draw(80)) * time.Millisecond):
				return http.StatusOK
			case <-r.Context().Done():
				return 0
			}
		}),
		"refusing": newGateway(t, func(*http.Request) int {
			if draw(4) == 0 {
				return http.StatusAccepted
			}
			return http.StatusInternalServerError
		}),
		"breaking": newGateway(t, func(*http.Request) int {
			if draw(3) == 0 {
				return http.StatusOK
			}
			return 0
		}),
	}
}

func crashConfig(t *testing.T, gateways map[string]*fakeGateway) string {
	t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "delivery: {interval: %v, allow_short_interval: true, max_attempts: %d, timeout: 30s}\ngateways:\n", crashInterval, crashMaxAttempts)
	for name, g := range gateways {
		fmt.Fprintf(&text, "  %s: {url: '%s', concurrency: 64}\n", name, g.url)
	}
	text.WriteString(`routes: [{match: {event_type: "routed"}, gateway: well, message: "{{event_payload}}"}]` + "\n")
	return writeFile(t, "config.yaml", text.String())
}

// awaitTheEnd waits until no message has an attempt to come.
func awaitTheEnd(t *testing.T, url string, gateways []string) {
	t.Helper()
	var counts map[string]uint64
	ended := func() bool {
		counts = map[string]uint64{}
		for _, name := range gateways {
			var g struct{ Counts map[string]uint64 }
			get(t, url+"/api/v1/gateways/"+name, &g)
			for state, n := range g.Counts {
				counts[state] += n
			}
		}
		return counts["queued"]+counts["sending"]+counts["waiting"] == 0
	}
	if !poll(3*patience, ended) {
		t.Errorf("messages do not end: %v", counts)
	}
}

// crashClient sends one request after the other and notes what it was told.
type crashClient struct {
	name int
	luck *rand.Rand
	done []*crashRequest // in the order of sending
}

// crashRequest is a request and what came of it. No two have the same content.
type crashRequest struct {
	path     string
	body     string
	key      string // Idempotency-Key; "" for none
	payloads []string
	kind     string   // of the events, or the gateway of the message
	ids      []string // what was acknowledged; nil when there was no answer
}

// work sends until the process is gone. What had no answer in its last life and
// has a key is sent again first, so that acknowledgements stay in order.
func (c *crashClient) work(t *testing.T, url string) {
	if !c.again(t, url) {
		return
	}
	for range requestsPerLife {
		r := c.next()
		c.done = append(c.done, r)
		if !c.send(t, url, r) {
			return
		}
		if c.luck.IntN(20) == 0 && !c.repeatAny(t, url) {
			return
		}
	}
}

// again repeats the last request if it had no answer and has a key.
func (c *crashClient) again(t *testing.T, url string) bool {
	if n := len(c.done); n > 0 && c.done[n-1].ids == nil && c.done[n-1].key != "" {
		return c.send(t, url, c.done[n-1])
	}
	return true
}

// repeatUnanswered is again for a process that nobody kills.
func (c *crashClient) repeatUnanswered(t *testing.T, url string) {
	t.Helper()
	if !c.again(t, url) {
		t.Errorf("client %d: no answer to a repeated request", c.name)
	}
}

// repeatAny repeats an old request that was answered. The answer must be the same.
func (c *crashClient) repeatAny(t *testing.T, url string) bool {
	r := c.done[c.luck.IntN(len(c.done))]
	if r.key == "" || r.ids == nil {
		return true
	}
	before := r.ids
	answered := c.send(t, url, r)
	if !slices.Equal(before, r.ids) {
		t.Errorf("client %d: repeated with its key %s, a request got %v, before %v", c.name, r.key, r.ids, before)
	}
	return answered
}

func (c *crashClient) next() *crashRequest {
	// Text of all kinds, so that a byte that changes is found, and now and then
	// one that is too long to be stored with the message.
	payload := func(i int) string {
		size := c.luck.IntN(200)
		if c.luck.IntN(20) == 0 {
			size += 2000
		}
		return fmt.Sprintf("c%d r%d i%d \"\\ \x00é漢👍 %s", c.name, len(c.done), i, strings.Repeat(string(rune('a'+c.luck.IntN(26))), size))
	}
	r := &crashRequest{path: "/event"}
	if c.luck.IntN(2) == 0 {
		r.key = fmt.Sprintf("key-%d-%d", c.name, len(c.done))
	}
	switch c.luck.IntN(8) {
	case 0, 1, 2:
		r.kind, r.payloads = "plain", []string{payload(0)}
		r.body = quoted(map[string]string{"event_type": r.kind, "event_payload": r.payloads[0]})
	case 3:
		r.kind, r.payloads = "routed", []string{payload(0)}
		r.body = quoted(map[string]string{"event_type": r.kind, "event_payload": r.payloads[0]})
	case 4, 5:
		r.kind = "packed"
		var all []map[string]string
		for i := range 1 + c.luck.IntN(8) {
			r.payloads = append(r.payloads, payload(i))
			all = append(all, map[string]string{"event_type": r.kind, "event_payload": r.payloads[i]})
		}
		r.body = quoted(all)
	default:
		r.path = "/send_message"
		r.kind, r.payloads = []string{"well", "well", "slow", "refusing", "breaking"}[c.luck.IntN(5)], []string{payload(0)}
		r.body = messageFor(r.kind, r.payloads[0])
	}
	return r
}

// send sends one request and notes the answer. It returns false when there is none.
func (c *crashClient) send(t *testing.T, url string, r *crashRequest) bool {
	var headers []string
	if r.key != "" {
		headers = []string{"Idempotency-Key", r.key}
	}
	a, err := request(t.Context(), http.MethodPost, url+r.path, r.body, headers...)
	if err != nil {
		return false
	}
	if a.status/100 != 2 {
		t.Errorf("client %d: POST %s = %d %s, want 2xx or no answer", c.name, r.path, a.status, a.body)
		return false
	}
	var given struct {
		ID  string
		IDs []string
	}
	a.decode(t, &given)
	r.ids = given.IDs
	if given.ID != "" {
		r.ids = []string{given.ID}
	}
	return true
}
