package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postrider/postrider/config"
)

// patience bounds every wait of these tests. It is only ever used up by a failure.
const patience = 20 * time.Second

// eventually polls until done says yes.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	if !poll(patience, done) {
		t.Fatalf("not within %v: %s", patience, what)
	}
}

func poll(limit time.Duration, done func() bool) bool {
	end := time.NewTimer(limit)
	defer end.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-end.C:
			return done()
		case <-tick.C:
		}
	}
	return true
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

// receive takes a value from a channel that must have one soon.
func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("not within %v: %s", patience, what)
		panic("unreachable")
	}
}

// settings is a configuration for a process in a test: any port, a store of its
// own, attempts that follow each other quickly.
func settings(t *testing.T) *config.Config {
	t.Helper()
	c := config.Default()
	c.HTTP.Port = 0
	c.HTTP.Drain = patience
	c.Storage.Path = filepath.Join(t.TempDir(), "store")
	c.Storage.Memtable = 8 * config.MiB
	c.Storage.MinFree = 16 * c.Storage.Memtable
	c.Delivery.Interval = 300 * time.Millisecond
	c.Delivery.AllowShortInterval = true
	return c
}

// at declares a gateway at a URL and with the defaults for all else.
func at(url string) config.Gateway { return config.Gateway{URL: config.Plain(url)} }

// instance is the program running within the test.
type instance struct {
	url     string
	log     *logBuffer
	hangups chan os.Signal // a signal to reload, as from outside
	loads   chan loadFunc  // what its next reload reads
	cancel  context.CancelFunc
	ended   chan struct{}
	err     error // of run, once ended is closed
	process *process
}

// loadFunc is how a reload reads the configuration.
type loadFunc func() (*config.Config, error)

// start runs the program and returns when it listens. It is stopped with the
// test at the latest.
func start(t *testing.T, cfg *config.Config, fault func(actor string, message any)) *instance {
	t.Helper()
	return startWith(t, cfg, runOptions{fault: fault})
}

// startWith is start for a program that is special in some way.
func startWith(t *testing.T, cfg *config.Config, o runOptions) *instance {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &instance{
		log: new(logBuffer), hangups: make(chan os.Signal, 1), loads: make(chan loadFunc, 1),
		cancel: cancel, ended: make(chan struct{}),
	}
	listening := make(chan net.Addr, 1)
	o.errs, o.hangups, o.listening = p.log, p.hangups, func(a net.Addr) { listening <- a }
	o.running = func(is *process) { p.process = is }
	if o.load == nil {
		o.load = func() (*config.Config, error) { return (<-p.loads)() }
	}
	go func() {
		defer close(p.ended)
		p.err = run(ctx, cfg, o)
	}()
	t.Cleanup(func() {
		cancel()
		receive(t, "the end of the process", p.ended)
		if t.Failed() {
			t.Logf("log of the process:\n%s", p.log.tail())
		}
	})
	select {
	case a := <-listening:
		p.url = "http://" + a.String()
	case <-p.ended:
		t.Fatalf("run() = %v before it listened", p.err)
	case <-time.After(patience):
		t.Fatal("the process does not listen")
	}
	return p
}

// stop asks the program to end and returns what run did.
func (p *instance) stop(t *testing.T) error {
	t.Helper()
	p.cancel()
	receive(t, "the end of the process", p.ended)
	return p.err
}

// logBuffer is where a process logs to.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) tail() string {
	s := l.String()
	return s[max(0, len(s)-8<<10):]
}

// line is a line of the log.
type line map[string]any

// lines returns the lines with this msg.
func (l *logBuffer) lines(msg string) (found []line) {
	for text := range strings.Lines(l.String()) {
		var one line
		if json.Unmarshal([]byte(text), &one) == nil && one["msg"] == msg {
			found = append(found, one)
		}
	}
	return found
}

// answer is what the program said over HTTP.
type answer struct {
	status int
	header http.Header
	body   string
}

// decode reads the JSON of an answer.
func (a answer) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		t.Fatalf("%v in answer %d %q", err, a.status, a.body)
	}
}

// request sends one request with headers given as names and values.
func request(ctx context.Context, method, url, body string, headers ...string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// Without GetBody the transport does not send anything a second time.
	r, err := http.NewRequestWithContext(ctx, method, url, io.NopCloser(strings.NewReader(body)))
	if err != nil {
		return answer{}, err
	}
	r.ContentLength = int64(len(body))
	if body == "" {
		r.Body = http.NoBody
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	b, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(b)}, err
}

func ask(t *testing.T, method, url, body string, headers ...string) answer {
	t.Helper()
	a, err := request(t.Context(), method, url, body, headers...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return a
}

func get(t *testing.T, url string, into any) {
	t.Helper()
	a := ask(t, http.MethodGet, url, "")
	if a.status != http.StatusOK {
		t.Fatalf("GET %s = %d %s, want 200", url, a.status, a.body)
	}
	a.decode(t, into)
}

// post sends a body that must be accepted and returns the id it was given.
func post(t *testing.T, url, body string, headers ...string) string {
	t.Helper()
	a := ask(t, http.MethodPost, url, body, headers...)
	if a.status/100 != 2 {
		t.Fatalf("POST %s %s = %d %s, want 2xx", url, body, a.status, a.body)
	}
	var given struct{ ID string }
	a.decode(t, &given)
	return given.ID
}

// event, message and attempt are the records as the API shows them.
type event struct {
	ID      string
	Type    string `json:"event_type"`
	Payload string `json:"event_payload"`
}

type message struct {
	ID       string
	Gateway  string
	Text     string `json:"message"`
	State    string
	Event    string
	ResendOf string `json:"resend_of"`
	ResentAs string `json:"resent_as"`
	Attempts []attempt
}

type attempt struct {
	Number   int
	BeganAt  time.Time `json:"began_at"`
	Duration int64     `json:"duration_ms"`
	Outcome  string
	Status   int
	Cause    string
	Answer   string
}

// page is one page of either list.
type page struct {
	Events   []event
	Messages []message
	Next     *string
}

// list reads all pages of a list.
func list(t *testing.T, url string) (all page) {
	t.Helper()
	for cursor := ""; ; {
		var p page
		get(t, url+"?limit=1000&after="+cursor, &p)
		all.Events = append(all.Events, p.Events...)
		all.Messages = append(all.Messages, p.Messages...)
		if p.Next == nil {
			return all
		}
		cursor = *p.Next
	}
}

func (p *instance) message(t *testing.T, id string) (m message) {
	t.Helper()
	get(t, p.url+"/api/v1/messages/"+id, &m)
	return m
}

// await returns a message when it is in a state.
func (p *instance) await(t *testing.T, id, state string) (m message) {
	t.Helper()
	eventually(t, "message "+id+" is "+state, func() bool {
		m = p.message(t, id)
		return m.State == state
	})
	return m
}

// lane is a gateway as the API shows it.
type lane struct {
	Declared bool
	Paused   bool
	Hold     *struct{ Reason string }
	Counts   map[string]int
}

// held reports whether it is held for this reason.
func (l lane) held(reason string) bool { return l.Hold != nil && l.Hold.Reason == reason }

func (p *instance) lane(t *testing.T, gateway string) (l lane) {
	t.Helper()
	get(t, p.url+"/api/v1/gateways/"+gateway, &l)
	return l
}

// awaitAll returns when so many messages for a gateway are in a state.
func (p *instance) awaitAll(t *testing.T, gateway, state string, n int) {
	t.Helper()
	var l lane
	if !poll(3*patience, func() bool { l = p.lane(t, gateway); return l.Counts[state] == n }) {
		t.Fatalf("the messages for %s are %v, want %d %s", gateway, l.Counts, n, state)
	}
}

// pause pauses a gateway or ends that.
func (p *instance) pause(t *testing.T, gateway string, paused bool) {
	t.Helper()
	verb := map[bool]string{true: "pause", false: "resume"}[paused]
	if a := ask(t, http.MethodPost, p.url+"/api/v1/gateways/"+gateway+"/"+verb, ""); a.status != http.StatusOK {
		t.Fatalf("%s %s = %d %s, want 200", verb, gateway, a.status, a.body)
	}
}

// backlog posts n events, at most 1,000, each of which a route makes one message
// of.
func (p *instance) backlog(t *testing.T, n int) {
	t.Helper()
	events := make([]string, n)
	for i := range events {
		events[i] = fmt.Sprintf(`{"event_type": "backlog", "event_payload": "%d"}`, i)
	}
	post(t, p.url+"/event", "["+strings.Join(events, ",")+"]")
}

// every is a route that makes a message of each event.
func every(gateway, message string) []config.Route {
	return []config.Route{{Match: config.Match{EventType: "*"}, Gateway: gateway, Message: message}}
}

// messageFor is the body of a message.
func messageFor(gateway, text string) string {
	return quoted(map[string]string{"message": text, "gateway": gateway})
}

// quoted writes JSON.
func quoted(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(b)
}

// arrival is a request that came to a fake gateway.
type arrival struct {
	at       time.Time
	message  string // the id it names
	attempt  string
	header   http.Header
	body     string
	status   int       // of the answer; 0 when there was none
	answered time.Time // just before the answer; zero when there was none
}

// fakeGateway is an outside API. It notes what arrives.
type fakeGateway struct {
	url      string
	mu       sync.Mutex
	arrivals []*arrival
}

// newGateway starts one. answer returns the status to answer with, or 0 to break
// the connection; it may wait, until the request's context ends.
func newGateway(t *testing.T, answer func(r *http.Request) int) *fakeGateway {
	t.Helper()
	return newGatewayWith(t, func(_ http.Header, r *http.Request) int { return answer(r) })
}

// newGatewayWith is newGateway for one that says more than a status.
func newGatewayWith(t *testing.T, answer func(h http.Header, r *http.Request) int) *fakeGateway {
	t.Helper()
	g := &fakeGateway{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &arrival{at: time.Now(), message: r.Header.Get("Postrider-Message-Id"), attempt: r.Header.Get("Postrider-Attempt"), header: r.Header}
		b, _ := io.ReadAll(r.Body) // what is missing will be noticed
		a.body = string(b)
		g.mu.Lock()
		g.arrivals = append(g.arrivals, a)
		g.mu.Unlock()
		status := answer(w.Header(), r)
		if status == 0 || r.Context().Err() != nil {
			panic(http.ErrAbortHandler)
		}
		g.mu.Lock()
		a.status, a.answered = status, time.Now()
		g.mu.Unlock()
		w.WriteHeader(status)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	g.url = server.URL
	return g
}

// saying answers everything with one status.
func saying(status int) func(*http.Request) int { return func(*http.Request) int { return status } }

// hanging never answers, until the request is given up or the test ends.
func hanging(t *testing.T) func(*http.Request) int {
	ctx := t.Context()
	return func(r *http.Request) int {
		select {
		case <-r.Context().Done():
		case <-ctx.Done():
		}
		return 0
	}
}

// seen returns copies of what has arrived.
func (g *fakeGateway) seen() []arrival {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]arrival, len(g.arrivals))
	for i, a := range g.arrivals {
		all[i] = *a
	}
	return all
}

// sameJSON reports whether two texts are the same JSON.
func sameJSON(a, b string) bool {
	normal := func(s string) string {
		var v any
		if err := json.Unmarshal([]byte(s), &v); err != nil {
			return "not JSON: " + s
		}
		b, err := json.Marshal(v)
		return fmt.Sprint(string(b), err)
	}
	return normal(a) == normal(b)
}

// writeFile writes a file into a directory of the test and returns its path.
func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// freePort returns a port that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, splitErr := net.SplitHostPort(l.Addr().String())
	if err := errors.Join(splitErr, l.Close()); err != nil {
		t.Fatal(err)
	}
	return port
}

// stored reports whether there is a store.
func stored(path string) bool {
	_, err := os.Stat(filepath.Join(path, "store.json"))
	return err == nil
}
