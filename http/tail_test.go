package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
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

	"github.com/valyala/fasthttp"

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

// saying is what a tail says beside events: a comment, and where to go on.
func saying(comment string, after data.ID) string {
	return ": " + comment + "\nid: " + after.String() + "\n\n"
}

const fromHereOn, stillThere = "from here on", "still here"

// tailed is a tail over a store, in a bubble. It is ended with end.
func tailed(store *store, q data.EventQuery, change ...func(*tail)) (w *told, end context.CancelFunc, ended chan error) {
	s := &Server{opts: Options{Reader: store, Logger: slog.New(slog.DiscardHandler)}.withDefaults(), lists: newListTurns(), sessions: newSessions()}
	s.life, s.end = context.WithCancel(context.Background())
	w, ended = new(told), make(chan error, 1)
	q.Limit = tailEvents
	t := &tail{server: s, content: true, query: q, seen: q.After, look: time.NewTicker(tailPause), beat: time.NewTicker(tailBeat)}
	for _, c := range change {
		c(t)
	}
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
		if got := w.take(); got != saying(fromHereOn, 1) {
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
		if got := w.take(); got != saying(stillThere, 4) {
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
		want := saying(fromHereOn, 1)
		for id := data.ID(1); id <= 3*tailEvents; id++ {
			store.happen(id, "a", "")
			if id > 1 {
				want += lineOf(id, "a", "")
			}
		}
		w, end, ended := tailed(store, data.EventQuery{After: 1})
		synctest.Wait()
		if got := w.take(); got != want {
			t.Errorf("a tail tells %d bytes, want %d", len(got), len(want))
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
	want := saying(fromHereOn, last-1) + lineOf(last, "a", "x")
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
	want = saying(fromHereOn, last) + lineOf(last+1, "a", "new")
	if got := first(t, answer, want); got != want {
		t.Errorf("a tail from now on tells %q, want %q", got, want)
	}
}

// A tail that has told nothing yet, or nothing that its filter lets through, has a
// place to go on from all the same, also before the first event of all.
func TestTailWithoutEventsGoesOn(t *testing.T) {
	store := newStore()
	server := newServer(t, store)
	addr := listen(t, server)
	conn, answer := openTail(t, addr, "")
	begin := saying(fromHereOn, 0)
	if got := first(t, answer, begin); got != begin {
		t.Fatalf("a tail of an empty store begins with %q, want %q", got, begin)
	}
	_ = conn.Close()
	store.happen(data.FirstID(0), "a", "missed")
	for _, c := range []struct{ query, header string }{
		{"", "Last-Event-ID: 0000000000000"},
		{"?after=0000000000000", "Accept: */*"},
	} {
		_, answer = openTail(t, addr, c.query, c.header)
		if got, want := first(t, answer, begin+lineOf(data.FirstID(0), "a", "missed")), begin+lineOf(data.FirstID(0), "a", "missed"); got != want {
			t.Errorf("tail%s, %s tells %q, want %q", c.query, c.header, got, want)
		}
	}
	if got := do(t, server, "GET", "/api/v1/events?after=0000000000000", ""); !strings.Contains(got.body, "missed") {
		t.Errorf("a list behind the id of no event = %d %s, want all", got.status, got.body)
	}
}

// The place goes on with what a filter passes over.
func TestTailGoesOnBehindItsFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore()
		w, end, ended := tailed(store, data.EventQuery{Type: "a"})
		for id := data.ID(1); id <= 7; id++ {
			store.happen(id, "b", "")
		}
		time.Sleep(tailBeat)
		synctest.Wait()
		if got, want := w.take(), saying(fromHereOn, 0)+saying(stillThere, 7); got != want {
			t.Errorf("a tail of another type says %q, want %q", got, want)
		}
		end()
		if err := <-ended; err != nil {
			t.Errorf("a tail ends with %v", err)
		}
	})
}

// A tail ends with the session that it was let in by, when that is over.
func TestTailEndsWithItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, end, ended := tailed(newStore(), data.EventQuery{}, func(tail *tail) {
			token, _ := tail.server.sessions.begin(keySum{1}, began, anyKey)
			tail.session, tail.inSession = sha256.Sum256([]byte(token)), true
		})
		stop := time.AfterFunc(sessionLife+time.Hour, end)
		defer stop.Stop()
		if err := <-ended; err != nil || time.Since(began) != sessionLife {
			t.Errorf("a tail ends with %v after %v, want %v", err, time.Since(began), sessionLife)
		}
		end()
	})
}

// noTails waits until all tails have ended.
func noTails(t *testing.T, s *Server, why string) {
	t.Helper()
	limit := time.After(10 * time.Second)
	for len(s.tails.taken) > 0 {
		select {
		case <-limit:
			t.Fatal(why)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Logging out ends what the session began, and nothing of others.
func TestLogoutEndsTails(t *testing.T) {
	server, _, _ := browser(t)
	_, cookie := logIn(t, server, withKey(opsSecret))
	_, other := logIn(t, server, withKey(opsSecret))
	addr := listen(t, server)
	_, mine := openTail(t, addr, "", "Cookie: "+cookie)
	_, theirs := openTail(t, addr, "", "Cookie: "+other)
	_, program := openTail(t, addr, "", "Cookie: "+cookie, "Authorization: Bearer "+opsSecret)
	for _, answer := range []*http.Response{mine, theirs, program} {
		first(t, answer, saying(fromHereOn, 0))
	}
	if got := do(t, server, "POST", "/logout", "", "Cookie: "+cookie, "Origin: http://example.com"); got.status != 303 {
		t.Fatalf("logout = %d", got.status)
	}
	if rest, err := io.ReadAll(mine.Body); err != nil || len(rest) != 0 {
		t.Errorf("after logout the tail says %q, %v; want its end", rest, err)
	}
	if n := len(server.tails.taken); n != 2 {
		t.Errorf("%d tails are left, want those of the other session and of the key", n)
	}
}

// A reload may come between the look at the key and the begin of the tail.
func TestReloadWhileATailBegins(t *testing.T) {
	server, _, _ := browser(t)
	var rc fasthttp.RequestCtx
	var r fasthttp.Request
	r.Header.Set("Authorization", "Bearer "+opsSecret)
	rc.Init(&r, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, nil)
	c := server.app.AcquireCtx(&rc)
	defer server.app.ReleaseCtx(c)
	if who, err := server.identify(c); who == nil || err != nil {
		t.Fatalf("identify = %v, %v", who, err)
	}
	if err := server.Admit(twoKeys()[1:], nil); err != nil {
		t.Fatal(err)
	}
	tail, err := server.newTail(c)
	if err != nil {
		t.Fatal(err)
	}
	if !tail.over() {
		t.Error("a tail goes on that was let in by keys that do not count any more")
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
	first(t, answer, saying(fromHereOn, 0))
	if err := server.Admit([]Key{{Name: "ops", Secret: "secret-ops-0123456789", Scopes: []Scope{ScopeAdmin}}}, nil); err != nil {
		t.Fatal(err)
	}
	noTails(t, server, "a tail outlives the keys by which it was let in")
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
	first(t, answer, saying(fromHereOn, 0)+"id: ")
}

// TestTailThatIsNotReadIsCutOff leaves what comes unread.
func TestTailThatIsNotReadIsCutOff(t *testing.T) {
	server := newServer(t, flood(), func(o *Options) { o.WriteTimeout = 200 * time.Millisecond })
	openUnread(t, listen(t, server))
	noTails(t, server, "a tail that is not read goes on")
}

// TestTailOutlivesTheWriteTimeout has one that is read. Each event is seen when the
// tail looks next, so they take much longer than a write may.
func TestTailOutlivesTheWriteTimeout(t *testing.T) {
	store := newStore()
	server := newServer(t, store, func(o *Options) { o.WriteTimeout = 200 * time.Millisecond })
	_, answer := openTail(t, listen(t, server), "")
	first(t, answer, saying(fromHereOn, 0))
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
	if rest, err := io.ReadAll(idle.Body); err != nil || string(rest) != saying(fromHereOn, data.FirstID(1)) {
		t.Errorf("a tail ends with %q, %v", rest, err)
	}
}
