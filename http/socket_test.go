package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// listen serves on a free port until the test ends.
func listen(tb testing.TB, s *Server) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return serveOn(tb, s, ln)
}

// serveOn serves on ln until the test ends.
func serveOn(tb testing.TB, s *Server, ln net.Listener) string {
	tb.Helper()
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = s.Shutdown(ctx)
		if err := <-served; err != nil {
			tb.Errorf("Serve: %v", err)
		}
	})
	return ln.Addr().String()
}

// dial connects; nothing on the connection may take longer than ten seconds.
func dial(tb testing.TB, addr string) net.Conn {
	tb.Helper()
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(tb.Context(), "tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	return conn
}

// readAnswer reads the next answer of a connection.
func readAnswer(tb testing.TB, r *bufio.Reader) (int, string) {
	tb.Helper()
	answer, err := http.ReadResponse(r, nil)
	if err != nil {
		tb.Fatalf("read an answer: %v", err)
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		tb.Fatalf("read an answer: %v", err)
	}
	return answer.StatusCode, string(body)
}

// statusesOf writes raw bytes, half-closes, and returns the status of each answer.
func statusesOf(tb testing.TB, addr, raw string) []int {
	tb.Helper()
	conn := dial(tb, addr)
	if _, err := io.WriteString(conn, raw); err != nil {
		tb.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil && !errors.Is(err, net.ErrClosed) {
		tb.Logf("half-close: %v", err) // the other side was faster
	}
	var statuses []int
	r := bufio.NewReader(conn)
	for {
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			return statuses
		}
		if answer.StatusCode > 100 && answer.Header.Get("Content-Type") != "application/json" && answer.Header.Get("Content-Type") != "application/problem+json" {
			tb.Errorf("answer %d has type %q", answer.StatusCode, answer.Header.Get("Content-Type"))
		}
		body, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if strings.Contains(string(body), "smuggled") {
			tb.Errorf("answer %d repeats what was sent: %s", answer.StatusCode, body)
		}
		statuses = append(statuses, answer.StatusCode)
	}
}

// TestSmuggling sends what proxies and servers are known to read differently. A
// request hidden in the body of another one must never be served.
func TestSmuggling(t *testing.T) {
	const hidden = "GET /api/v1/smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
	event := `{"event_type":"a","event_payload":"b"}`
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(event), event)
	post := "POST /event HTTP/1.1\r\nHost: h\r\n"
	cases := []struct {
		name, raw string
		served    int32 // how many requests reached a route or the router
		statuses  string
	}{
		{name: "plain", raw: post + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(event), event), served: 1, statuses: "[201]"},
		{name: "two in a row", raw: post + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(event), event) + hidden, served: 2, statuses: "[201 404]"},
		{name: "chunked", raw: post + "Transfer-Encoding: chunked\r\n\r\n" + chunked, served: 1, statuses: "[201]"},
		{name: "length and chunked", raw: post + fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n", len(chunked)+len(hidden)) + chunked + hidden, served: 1, statuses: "[201]"},
		{name: "chunked and length", raw: post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + chunked + hidden, served: 1, statuses: "[201]"},
		{name: "two lengths", raw: post + fmt.Sprintf("Content-Length: %d\r\nContent-Length: %d\r\n\r\n", len(event), len(event)+len(hidden)) + event + hidden, statuses: "[400]"},
		{name: "line end in a chunk extension", raw: post + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x;\n%s\r\n0\r\n\r\n", len(event), event) + hidden, statuses: "[400]"},
		{name: "unknown transfer coding", raw: post + "Transfer-Encoding: xchunked\r\n\r\n" + chunked + hidden, statuses: "[400]"},
		{name: "chunked twice", raw: post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked + hidden, statuses: "[400]"},
		{name: "chunked and identity", raw: post + "Transfer-Encoding: chunked, identity\r\n\r\n" + chunked + hidden, statuses: "[400]"},
		{name: "bare line feeds", raw: strings.ReplaceAll(post+fmt.Sprintf("Content-Length: %d\r\n\r\n", len(event)), "\r", "") + event + hidden, statuses: "[400]"},
		{name: "no host", raw: "POST /event HTTP/1.1\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(event), event) + hidden, statuses: "[400]"},
		{name: "two hosts", raw: post + "Host: other\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(event), event) + hidden, statuses: "[400]"},
		{name: "NUL in a header", raw: post + "X-Odd: a\x00b\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(event), event) + hidden, statuses: "[400]"},
		{name: "space in a header name", raw: post + "X Odd: a\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(event), event) + hidden, statuses: "[400]"},
		{name: "space before the colon", raw: post + fmt.Sprintf("Content-Length : %d\r\n\r\n%s", len(event), event) + hidden, statuses: "[400]"},
		{name: "bare line feeds among headers", raw: post + "X-Odd: a\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(event)) + event + hidden, statuses: "[400]"},
		{name: "bare line feed ends the head", raw: post + "X-Odd: a\r\n\n" + hidden, statuses: "[400]"},
		{name: "bare carriage return", raw: post + "X-Odd: a\rX-Odder: b\r\n\r\n" + hidden, statuses: "[400]"},
		{name: "folded header", raw: post + "X-Odd: a\r\n b\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(event), event) + hidden, statuses: "[400]"},
		{name: "HTTP/1.0 with chunks", raw: strings.Replace(post, "1.1", "1.0", 1) + "Transfer-Encoding: chunked\r\n\r\n" + chunked + hidden, statuses: "[400]"},
		{name: "negative length", raw: post + "Content-Length: -1\r\n\r\n" + event + hidden, statuses: "[400]"},
		{name: "length with a sign", raw: post + fmt.Sprintf("Content-Length: +%d\r\n\r\n%s", len(event), event) + hidden, statuses: "[400]"},
		{name: "length that overflows", raw: post + "Content-Length: 99999999999999999999\r\n\r\n" + event + hidden, statuses: "[400]"},
		{name: "chunk length that overflows", raw: post + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + event + hidden, statuses: "[400]"},
		{name: "body of a GET", raw: "GET /healthz HTTP/1.1\r\nHost: h\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(hidden)) + hidden, served: 1, statuses: "[200]"},
		{name: "chunked body of a GET", raw: "GET /healthz HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden), served: 1, statuses: "[200]"},
		{name: "body of an unknown method", raw: "BREW /event HTTP/1.1\r\nHost: h\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(hidden)) + hidden, served: 1, statuses: "[405]"},
		{name: "body of a refused request", raw: "POST /nothing HTTP/1.1\r\nHost: h\r\nOrigin: null\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(hidden)) + hidden, served: 1, statuses: "[403]"},
		{name: "body that is waited for", raw: post + fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n\r\n%s", len(event), event), served: 1, statuses: "[100 201]"},
		{name: "target with a host", raw: "GET http://h/healthz HTTP/1.1\r\nHost: h\r\n\r\n", served: 1, statuses: "[200]"},
		{name: "target with another host", raw: "GET http://evil/healthz HTTP/1.1\r\nHost: h\r\nOrigin: http://evil\r\n\r\n", served: 1, statuses: "[403]"},
		{name: "target that is a star", raw: "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", served: 1, statuses: "[404]"},
		{name: "target that is a host", raw: "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n", served: 1, statuses: "[404]"},
		{name: "target with a fragment", raw: "GET /healthz#x HTTP/1.1\r\nHost: h\r\n\r\n", statuses: "[400]"},
		{name: "query with a fragment", raw: "GET /api/v1/events?limit=1#x HTTP/1.1\r\nHost: h\r\n\r\n" + hidden, statuses: "[400]"},
		{name: "host with a fragment", raw: "GET http://h#/healthz HTTP/1.1\r\nHost: h\r\n\r\n", statuses: "[400]"},
		{name: "no HTTP", raw: "smuggled\r\n\r\n", statuses: "[400]"},
		{name: "other version", raw: "GET /healthz HTTP/3.0\r\nHost: h\r\n\r\n", statuses: "[400]"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var served atomic.Int32
			addr := listen(t, newServer(t, newStore(), func(o *Options) {
				o.Observe = func(route string, _ int, _ time.Duration) {
					if route != routeUnreadable {
						served.Add(1)
					}
				}
			}))
			statuses := statusesOf(t, addr, c.raw)
			if got := fmt.Sprint(statuses); got != c.statuses || served.Load() != c.served {
				t.Errorf("answers %s, %d served; want %s, %d", got, served.Load(), c.statuses, c.served)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	store := newStore()
	addr := listen(t, newServer(t, store, func(o *Options) {
		o.BodyLimit = 1000
		o.ReadTimeout = 50 * time.Millisecond
	}))
	body := func(n int) string {
		return `{"event_type":"` + strings.Repeat("a", n-len(`{"event_type":"","event_payload":""}`)) + `","event_payload":""}`
	}
	post, trial := "POST /event HTTP/1.1\r\nHost: h\r\n", "POST /api/v1/gateways/gateway_1/"
	cases := []struct{ name, raw, statuses string }{
		{name: "at the limit", raw: post + "Content-Length: 1000\r\n\r\n" + body(1000), statuses: "[201]"},
		{name: "over the limit", raw: post + "Content-Length: 1001\r\n\r\n" + body(1001), statuses: "[413]"},
		{name: "rendered, over the limit", raw: trial + "render HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n" + body(1001), statuses: "[413]"},
		{name: "tested, over the limit", raw: trial + "test HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n" + body(1001), statuses: "[413]"},
		{name: "over the limit in chunks", raw: post + "Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + body(1001) + "\r\n0\r\n\r\n", statuses: "[413]"},
		{name: "head too large", raw: "GET /healthz HTTP/1.1\r\nHost: h\r\nX-Long: " + strings.Repeat("a", headLimit) + "\r\n\r\n", statuses: "[431]"},
	}
	for _, c := range cases {
		if got := fmt.Sprint(statusesOf(t, addr, c.raw)); got != c.statuses {
			t.Errorf("%s: answers %s, want %s", c.name, got, c.statuses)
		}
	}
	if n := store.saved(); n != 1 {
		t.Errorf("%d saves, want 1", n)
	}

	slow := dial(t, addr)
	if _, err := io.WriteString(slow, post+"Content-Length: 1000\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	if status, text := readAnswer(t, bufio.NewReader(slow)); status != 408 || !strings.Contains(text, "request-timeout") {
		t.Errorf("half a request = %d %s, want 408", status, text)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	addr := listen(t, newServer(t, newStore(), func(o *Options) { o.Connections = 1 }))
	first := dial(t, addr)
	if _, err := io.WriteString(first, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if status, _ := readAnswer(t, bufio.NewReader(first)); status != 200 {
		t.Errorf("first connection = %d, want 200", status)
	}
	if status, _ := readAnswer(t, bufio.NewReader(dial(t, addr))); status != 503 {
		t.Errorf("one connection too many = %d, want 503", status)
	}
}

// starved is a listener that has no descriptors at first.
type starved struct {
	net.Listener
	failures atomic.Int32
}

func (l *starved) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

func TestServeOutlivesAShortageOfDescriptors(t *testing.T) {
	lines := &logLines{}
	server := newServer(t, newStore(), func(o *Options) { o.Logger = lines.logger() })
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := &starved{Listener: inner}
	ln.failures.Store(3)
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	conn := dial(t, inner.Addr().String())
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if status, _ := readAnswer(t, bufio.NewReader(conn)); status != 200 {
		t.Errorf("GET /healthz = %d, want 200", status)
	}
	if got := strings.Count(lines.String(), "level=WARN"); got != 3 {
		t.Errorf("%d warnings, want 3:\n%s", got, lines)
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown = %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve = %v", err)
	}
}

// gate lets a test hold a Save.
type gate struct {
	entered chan struct{}
	open    chan struct{}
}

func newGate() *gate { return &gate{entered: make(chan struct{}, 8), open: make(chan struct{})} }

func (g *gate) wait(context.Context) error {
	g.entered <- struct{}{}
	<-g.open
	return nil
}

const oneEvent = "POST /event HTTP/1.1\r\nHost: h\r\nContent-Length: 38\r\n\r\n" + `{"event_type":"a","event_payload":"b"}`

func TestShutdownWaitsForRequests(t *testing.T) {
	store, gate := newStore(), newGate()
	store.onSave = gate.wait
	server := newServer(t, store)
	addr := listen(t, server)
	conn, idle := dial(t, addr), dial(t, addr)
	if _, err := io.WriteString(idle, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	quiet := bufio.NewReader(idle)
	readAnswer(t, quiet)
	if _, err := io.WriteString(conn, oneEvent); err != nil {
		t.Fatal(err)
	}
	<-gate.entered

	down := make(chan error, 1)
	go func() { down <- server.Shutdown(t.Context()) }()
	if _, err := quiet.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("idle connection: %v, want it closed", err)
	}
	select {
	case err := <-down:
		t.Fatalf("Shutdown = %v while a request is under way", err)
	default:
	}
	close(gate.open)
	said, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("connection of the request under way: %v, want it closed", err)
	}
	if text := string(said); !strings.HasPrefix(text, "HTTP/1.1 201 ") || !strings.Contains(text, "\r\nConnection: close\r\n") {
		t.Errorf("request under way is answered\n%s, want 201 and Connection: close", text)
	}
	if err := <-down; err != nil {
		t.Errorf("Shutdown = %v", err)
	}
	if _, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		t.Error("the port is still open")
	}
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	store, gate := newStore(), newGate()
	store.onSave = gate.wait
	server := newServer(t, store)
	conn := dial(t, listen(t, server))
	if _, err := io.WriteString(conn, oneEvent); err != nil {
		t.Fatal(err)
	}
	<-gate.entered
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 requests") {
		t.Errorf("Shutdown = %v, want a deadline and one request", err)
	}
	close(gate.open)
	r := bufio.NewReader(conn)
	if status, _ := readAnswer(t, r); status != 201 {
		t.Errorf("request under way = %d, want 201", status)
	}
	// The server below goes on with the connection. No handler may begin.
	if _, err := io.WriteString(conn, oneEvent); err != nil {
		t.Fatal(err)
	}
	if status, text := readAnswer(t, r); status != 503 || !strings.Contains(text, "stopping") {
		t.Errorf("request after Shutdown = %d %s, want 503", status, text)
	}
	if n := store.saved(); n != 1 {
		t.Errorf("%d saves, want 1", n)
	}
}

func TestReadinessWhileDraining(t *testing.T) {
	store, gate := newStore(), newGate()
	server := newServer(t, store, func(o *Options) { o.Ready = func() []string { return []string{"no space"} } })
	got := do(t, server, "GET", "/readyz", "")
	if got.status != 503 || !strings.Contains(got.body, `"reasons":["no space"]`) || got.header.Get("Retry-After") == "" {
		t.Errorf("GET /readyz = %d %s", got.status, got.body)
	}
	store.onSave = gate.wait
	addr := listen(t, server)
	conn, probe := dial(t, addr), dial(t, addr)
	if _, err := io.WriteString(conn, oneEvent); err != nil {
		t.Fatal(err)
	}
	// The probe's request is half there when the shutdown begins.
	if _, err := io.WriteString(probe, "GET /readyz HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	<-gate.entered
	down := make(chan error, 1)
	go func() { down <- server.Shutdown(t.Context()) }()
	for !server.draining.Load() {
		runtime.Gosched()
	}
	if _, err := io.WriteString(probe, "Host: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if status, text := readAnswer(t, bufio.NewReader(probe)); status != 503 || !strings.Contains(text, `"reasons":["no space","draining"]`) {
		t.Errorf("GET /readyz while draining = %d %s", status, text)
	}
	close(gate.open)
	if err := <-down; err != nil {
		t.Errorf("Shutdown = %v", err)
	}
}

func TestServeAfterShutdown(t *testing.T) {
	server := newServer(t, newStore())
	if err := server.Shutdown(t.Context()); err != nil {
		t.Fatalf("Shutdown = %v", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(ln); err != nil {
		t.Errorf("Serve = %v, want nil at once", err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept = %v, want the listener closed", err)
	}
}
