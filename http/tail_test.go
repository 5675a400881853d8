package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postrider/postrider/data"
)

// told is what a tail has told.
type told struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *told) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

// take returns what was told since.
func (w *told) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := w.text.String()
	w.text.Reset()
	return text
}

// happen stores an event.
func (s *store) happen(id data.ID, kind, payload string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, data.Event{ID: id, Type: kind, Payload: payload, ReceivedAt: noon})
}

// line is an event as a tail tells it.
func lineOf(id data.ID, kind, payload string) string {
	return fmt.Sprintf("id: %s\nevent: event\ndata: {\"id\":%q,\"event_type\":%q,\"event_payload\":%q,\"received_at\":%q}\n\n", id, id, kind, payload, stamp(noon))
}

// tailed is a tail over a store, in a bubble. It is ended with end.
func tailed(store *store, q data.EventQuery) (w *told, end context.CancelFunc, ended chan error) {
	s := &Server{opts: Options{Reader: store, Logger: slog.New(slog.DiscardHandler)}.withDefaults(), lists: newListTurns()}
	s.life, s.end = context.WithCancel(context.Background())
	w, ended = new(told), make(chan error, 1)
	q.Limit = tailEvents
	t := &tail{server: s, content: true, query: q, seen: q.After, look: time.NewTicker(tailPause), beat: time.NewTicker(tailBeat)}
	go func() {
		_, err := io.Copy(w, t)
		ended <- err
	}()
	return w, s.end, ended
}

func TestTailTellsWhatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore()
		store.happen(1, "a", "before")
		w, end, ended := tailed(store, data.EventQuery{After: 1, Type: "a"})
		synctest.Wait()
		if got := w.take(); got != ": from here on\n\n" {
			t.Errorf("a tail begins with %q", got)
		}
		store.happen(2, "a", "x\ny")
		store.happen(3, "b", "of another type")
		store.happen(4, "a", "z")
		time.Sleep(tailPause - time.Nanosecond)
		synctest.Wait()
		if got := w.take(); got != "" {
			t.Errorf("before it looks a tail tells %q", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got, want := w.take(), lineOf(2, "a", "x\ny")+lineOf(4, "a", "z"); got != want {
			t.Errorf("a tail tells %q, want %q", got, want)
		}
		time.Sleep(tailBeat)
		synctest.Wait()
		if got := w.take(); got != ": still here\n\n" {
			t.Errorf("with nothing to tell a tail says %q", got)
		}
		end()
		if err := <-ended; err != nil {
			t.Errorf("a tail ends with %v", err)
		}
	})
}

func TestTailCatchesUpAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore()
		want := ": from here on\n\n"
		for id := data.ID(1); id <= 3*tailEvents; id++ {
			store.happen(id, "a", "")
			if id > 1 {
				want += lineOf(id, "a", "")
			}
		}
		w, end, ended := tailed(store, data.EventQuery{After: 1})
		w.take()
		synctest.Wait()
		if got := w.take(); !strings.HasSuffix(want, got) || !strings.HasSuffix(got, lineOf(3*tailEvents, "a", "")) {
			t.Errorf("a tail tells %d bytes, want the last of %d", len(got), len(want))
		}
		end()
		if err := <-ended; err != nil {
			t.Errorf("a tail ends with %v", err)
		}
	})
}

// openTail asks for a tail and returns the connection, with the answer's head read.
func openTail(t *testing.T, addr, query string, headers ...string) (net.Conn, *http.Response) {
	t.Helper()
	conn := dial(t, addr)
	head := "GET /api/v1/events/tail" + query + " HTTP/1.1\r\nHost: h\r\n"
	for _, h := range headers {
		head += h + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("read the head of a tail: %v", err)
	}
	return conn, answer
}

// first reads so much of a tail as text is long.
func first(t *testing.T, answer *http.Response, text string) string {
	t.Helper()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(answer.Body, got); err != nil {
		t.Fatalf("read a tail: %v after %q", err, got)
	}
	return string(got)
}

func TestTailOverASocket(t *testing.T) {
	store := newStore()
	for id := data.FirstID(1); id < data.FirstID(1)+3; id++ {
		store.happen(id, "a", "x")
	}
	server := newServer(t, store)
	addr := listen(t, server)
	last := data.FirstID(1) + 2
	want := ": from here on\n\n" + lineOf(last, "a", "x")
	for _, c := range []struct{ query, header string }{
		{"?after=" + (last - 1).String(), "Accept: text/event-stream"},
		{"?after=" + (last - 2).String(), "Last-Event-ID: " + (last - 1).String()}, // a browser that comes back
	} {
		_, answer := openTail(t, addr, c.query, c.header)
		if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("a tail is answered with %d %v", answer.StatusCode, answer.Header)
		}
		if got := first(t, answer, want); got != want {
			t.Errorf("tail%s, %s tells %q, want %q", c.query, c.header, got, want)
		}
	}
	_, answer := openTail(t, addr, "")
	store.happen(last+1, "a", "new")
	want = ": from here on\n\n" + lineOf(last+1, "a", "new")
	if got := first(t, answer, want); got != want {
		t.Errorf("a tail from now on tells %q, want %q", got, want)
	}
}

func TestTailRefusals(t *testing.T) {
	tr := &transcript{tb: t, server: newServer(t, newStore())}
	tr.do("bad cursor", "GET", "/api/v1/events/tail?after=x", "")
	tr.do("bad header", "GET", "/api/v1/events/tail", "", "Last-Event-ID: x")
	tr.do("unknown parameter", "GET", "/api/v1/events/tail?limit=1", "")
	tr.do("head", "HEAD", "/api/v1/events/tail", "")
	tr.compare("tail")
}

func TestTailsAreBounded(t *testing.T) {
	server := newServer(t, newStore())
	addr := listen(t, server)
	for range maxTails {
		if _, answer := openTail(t, addr, ""); answer.StatusCode != 200 {
			t.Fatalf("a tail within the limit = %d", answer.StatusCode)
		}
	}
	if got := do(t, server, "GET", "/api/v1/events/tail", ""); got.status != 503 {
		t.Errorf("a tail beyond the limit = %d, want 503", got.status)
	}
}

func TestTailNeedsHTTP11(t *testing.T) {
	conn := dial(t, listen(t, newServer(t, newStore())))
	if _, err := io.WriteString(conn, "GET /api/v1/events/tail HTTP/1.0\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if status, _ := readAnswer(t, bufio.NewReader(conn)); status != 400 {
		t.Errorf("a tail by HTTP/1.0 = %d, want 400", status)
	}
}

// Who was let in by keys that do not count any more has to come back with one that does.
func TestReloadEndsTails(t *testing.T) {
	server := newServer(t, newStore())
	_, answer := openTail(t, listen(t, server), "")
	first(t, answer, ": from here on\n\n")
	if err := server.Admit([]Key{{Name: "ops", Secret: "secret-ops-0123456789", Scopes: []Scope{ScopeAdmin}}}, nil); err != nil {
		t.Fatal(err)
	}
	limit := time.After(10 * time.Second)
	for len(server.tails.taken) > 0 {
		select {
		case <-limit:
			t.Fatal("a tail outlives the keys by which it was let in")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// flood is a store with an event that the buffers of a connection do not take.
func flood() *store {
	store := newStore()
	store.happen(data.FirstID(1), "a", strings.Repeat("x", 32<<20))
	return store
}

// openUnread has a tail in the middle of such an event.
func openUnread(t *testing.T, addr string) {
	t.Helper()
	_, answer := openTail(t, addr, "?after="+(data.FirstID(1)-1).String())
	first(t, answer, ": from here on\n\nid: ")
}

// TestTailThatIsNotReadIsCutOff leaves what comes unread.
func TestTailThatIsNotReadIsCutOff(t *testing.T) {
	server := newServer(t, flood(), func(o *Options) { o.WriteTimeout = 200 * time.Millisecond })
	openUnread(t, listen(t, server))
	limit := time.After(10 * time.Second)
	for len(server.tails.taken) > 0 {
		select {
		case <-limit:
			t.Fatal("a tail that is not read goes on")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// TestTailOutlivesTheWriteTimeout has one that is read. Each event is seen when the
// tail looks next, so they take much longer than a write may.
func TestTailOutlivesTheWriteTimeout(t *testing.T) {
	store := newStore()
	server := newServer(t, store, func(o *Options) { o.WriteTimeout = 200 * time.Millisecond })
	_, answer := openTail(t, listen(t, server), "")
	first(t, answer, ": from here on\n\n")
	for id := range data.ID(6) {
		store.happen(data.FirstID(1)+id, "a", "")
		want := lineOf(data.FirstID(1)+id, "a", "")
		if got := first(t, answer, want); got != want {
			t.Fatalf("a tail tells %q, want %q", got, want)
		}
	}
}

// TestShutdownEndsTails has one that reads and one that does not.
func TestShutdownEndsTails(t *testing.T) {
	server := newServer(t, flood())
	addr := listen(t, server)
	_, idle := openTail(t, addr, "")
	openUnread(t, addr)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil || ctx.Err() != nil {
		t.Errorf("Shutdown with tails: %v, %v", err, ctx.Err())
	}
	if n := len(server.tails.taken); n != 0 {
		t.Errorf("%d tails go on after Shutdown", n)
	}
	if rest, err := io.ReadAll(idle.Body); err != nil || string(rest) != ": from here on\n\n" {
		t.Errorf("a tail ends with %q, %v", rest, err)
	}
}
