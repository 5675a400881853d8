package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

// bytes returns how many bytes of answers are counted.
func (u *unwritten) bytes() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.held
}

// until waits for what happens on another goroutine.
func until(tb testing.TB, what string, happened func() bool) {
	tb.Helper()
	for began := time.Now(); !happened(); runtime.Gosched() {
		if time.Since(began) > 10*time.Second {
			tb.Fatalf("waited ten seconds until %s", what)
		}
	}
}

// tight is a listener whose connections take little that nobody reads.
type tight struct{ net.Listener }

func (l tight) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		err = conn.(*net.TCPConn).SetWriteBuffer(16 << 10)
	}
	return conn, err
}

// reader asks for a list and does not read it: what its window takes is a part.
func reader(tb testing.TB, addr string) net.Conn {
	tb.Helper()
	conn := dial(tb, addr)
	ask(tb, conn, "GET", "/api/v1/events")
	return conn
}

func ask(tb testing.TB, conn net.Conn, method, path string) {
	tb.Helper()
	if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: h\r\n\r\n", method, path); err != nil {
		tb.Fatal(err)
	}
}

// longList is a store whose list of events is one page of a megabyte.
func longList() *store {
	store := newStore()
	for i := range data.ID(9) {
		store.events = append(store.events, data.Event{ID: data.FirstID(1) + i, Type: "long", Payload: escaped(20_000)})
	}
	return store
}

func TestReadersThatDoNotRead(t *testing.T) {
	t.Parallel()
	const readers = 4
	server := newServer(t, longList())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := serveOn(t, server, tight{ln})
	server.unwritten.most = 1 << 30
	slow := []net.Conn{reader(t, addr)}
	until(t, "an answer is counted", func() bool { return server.unwritten.bytes() > 0 })
	one := server.unwritten.bytes()
	server.unwritten.mu.Lock()
	server.unwritten.most = readers*one + one/2
	server.unwritten.mu.Unlock()
	for range readers - 1 {
		slow = append(slow, reader(t, addr))
	}
	until(t, "all answers are counted", func() bool { return server.unwritten.bytes() == readers*one })

	conn := dial(t, addr)
	r := bufio.NewReader(conn)
	refused := func() {
		t.Helper()
		ask(t, conn, "GET", "/api/v1/events")
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" || !strings.Contains(string(text), "too-many-readers") {
			t.Fatalf("list while %d are not read = %d %.200s, want 503 with Retry-After", readers, answer.StatusCode, text)
		}
	}
	refused()
	// What is short is answered, on the same connection.
	ask(t, conn, "GET", "/healthz")
	if status, text := readAnswer(t, r); status != http.StatusOK {
		t.Errorf("GET /healthz = %d %s, want 200", status, text)
	}
	if _, err := io.WriteString(conn, oneEvent); err != nil {
		t.Fatal(err)
	}
	if status, text := readAnswer(t, r); status != http.StatusCreated {
		t.Errorf("POST /event = %d %s, want 201", status, text)
	}
	refused()

	// One reads after all, the others go away.
	if status, text := readAnswer(t, bufio.NewReader(slow[0])); status != http.StatusOK || !strings.HasSuffix(text, "}") {
		t.Errorf("an answer that is read late = %d, %d bytes", status, len(text))
	}
	until(t, "the one that was read is not counted", func() bool { return server.unwritten.bytes() == (readers-1)*one })
	for _, conn := range slow[1:] {
		_ = conn.Close()
	}
	until(t, "those that went away are not counted", func() bool { return server.unwritten.bytes() == 0 })
	for range 3 {
		ask(t, conn, "GET", "/api/v1/events")
		if status, text := readAnswer(t, r); status != http.StatusOK || !strings.HasSuffix(text, "}") {
			t.Errorf("list afterwards = %d, %d bytes, want 200 and all of it", status, len(text))
		}
	}
	until(t, "nothing is counted", func() bool { return server.unwritten.bytes() == 0 })
}

// Whoever does not read at all keeps an answer until the write timeout.
func TestReadersAreGivenUp(t *testing.T) {
	t.Parallel()
	server := newServer(t, longList(), func(o *Options) { o.WriteTimeout = 50 * time.Millisecond })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	reader(t, serveOn(t, server, tight{ln}))
	until(t, "the answer is counted", func() bool { return server.unwritten.bytes() > 0 })
	until(t, "it is not any more", func() bool { return server.unwritten.bytes() == 0 })
}

func TestHeadsOfLongAnswersOnOneConnection(t *testing.T) {
	t.Parallel()
	server := newServer(t, longList())
	conn := dial(t, listen(t, server))
	r := bufio.NewReader(conn)
	ask(t, conn, "GET", "/api/v1/events")
	_, text := readAnswer(t, r)
	for range 3 {
		ask(t, conn, "HEAD", "/api/v1/events")
		answer, err := http.ReadResponse(r, &http.Request{Method: http.MethodHead})
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK || answer.ContentLength != int64(len(text)) {
			t.Errorf("HEAD = %d of %d bytes, want 200 of %d", answer.StatusCode, answer.ContentLength, len(text))
		}
	}
	until(t, "nothing is counted", func() bool { return server.unwritten.bytes() == 0 })
}

func TestWhatIsCounted(t *testing.T) {
	t.Parallel()
	long, short := strings.Repeat("a", smallAnswer), strings.Repeat("a", smallAnswer/2)
	store := newStore()
	first := data.FirstID(1)
	store.events = []data.Event{{ID: first, Payload: long}, {ID: first + 1, Payload: short}}
	store.messages = []data.Message{{ID: first + 2, Gateway: "gateway_1", Text: long, State: data.Queued}}
	lines := &logLines{}
	server := newServer(t, store, func(o *Options) {
		o.Metrics, o.AccessLog, o.Logger = metrics(long+long), true, lines.logger()
	})
	event, message := "/api/v1/events/"+first.String(), "/api/v1/messages/"+(first+2).String()
	cases := []struct {
		held         int
		method, path string
		status       int
	}{
		{held: 0, method: "GET", path: event, status: 200}, // larger than all that may wait, but alone
		{held: 0, method: "HEAD", path: event, status: 200},
		{held: 0, method: "GET", path: "/metrics", status: 200},
		{held: 1, method: "GET", path: event, status: 503},
		{held: 1, method: "HEAD", path: event, status: 503},
		{held: 1, method: "GET", path: message, status: 503},
		{held: 1, method: "GET", path: "/metrics", status: 503},
		{held: 1, method: "GET", path: "/api/v1/events/" + (first + 1).String(), status: 200}, // short
		{held: 1, method: "GET", path: "/readyz", status: 200},
		{held: 1, method: "POST", path: message + "/cancel", status: 200}, // is done
	}
	for _, c := range cases {
		server.unwritten.most, server.unwritten.held = 100, c.held
		got := do(t, server, c.method, c.path, "")
		if got.status != c.status {
			t.Errorf("%s %s with %d of 100 bytes held = %d %.200s, want %d", c.method, c.path, c.held, got.status, got.body, c.status)
		}
		if held := server.unwritten.bytes(); held != c.held {
			t.Errorf("%s %s leaves %d bytes held, want %d", c.method, c.path, held, c.held)
		}
		if want := fmt.Sprintf("bytes=%d", len(got.body)); c.method == "GET" && !strings.Contains(lines.String(), want) {
			t.Errorf("%s %s: no %s in the log:\n%s", c.method, c.path, want, lines)
		}
	}
}
