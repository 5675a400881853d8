package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// sayer is a server that says the same to everybody, whatever it is asked.
func sayer(t *testing.T, says string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1<<12))
			_, _ = io.WriteString(c, says)
			_ = c.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

// Why there is no answer is told in words for people: what is to be done, and nothing of
// how the program is made.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	for name, c := range map[string]struct{ url, says string }{
		"TLS where there is none": {strings.Replace(plain.URL, "http", "https", 1), "it does not speak TLS"},
		"none where there is TLS": {sayer(t, ""), "its address begins with https://"},
		"another protocol":        {sayer(t, "SSH-2.0-canary\r\n"), "what answered is not Postrider"},
		"a head without end":      {sayer(t, "HTTP/1.1 200 OK\r\nA: "+strings.Repeat("b", 11<<20)), "what answered is not Postrider"},
	} {
		for _, args := range [][]string{{"status"}, {"messages", "resend"}, {"events", "tail"}} {
			code, out, errs := command(t, append(args, "--server", c.url)...)
			if code != exitFailure || out != "" || !strings.Contains(errs, c.says) {
				t.Errorf("%s: %q = %d %s%s, want 1 and %q", name, args, code, out, errs, c.says)
			}
			if strings.Contains(errs, "net/http") || strings.Contains(errs, "EOF") || strings.Contains(errs, "canary") {
				t.Errorf("%s: %q says %q", name, args, errs)
			}
		}
	}
}

// A command that is interrupted says so, and a server that says nothing any more is given up.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then is it noticed that the client is gone
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	for _, args := range [][]string{{"status"}, {"messages", "resend"}, {"backup", "-"}} {
		p := startChild(t, binary(t), append(args, "--server", s.URL))
		receive(t, "the request", asked)
		p.signal(t, os.Interrupt)
		if code := p.wait(t); code != exitFailure {
			t.Errorf("%q ended with %d, want 1", args, code)
		}
		if errs := p.log.String(); !strings.Contains(errs, "interrupted by a signal") || strings.Contains(errs, "context") {
			t.Errorf("%q says %q, want that it was interrupted", args, errs)
		}
	}
	tail := tailer{rest: time.Millisecond, silence: 10 * time.Millisecond, view: view{server: remote{address: s.URL}}}
	if err := tail.follow(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), errIdle.Error()) {
		t.Errorf("a tail of a server that says nothing = %v, want %v", err, errIdle)
	}
	// What asks whether it was a cancelling still finds out.
	if !errors.Is(errSignal, context.Canceled) {
		t.Error("a signal does not count as a cancelling")
	}
}

// A flag with a value of another kind is told without the words of the parser.
func TestFlagsOfAnotherKind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ flag, want string }{
		{"--limit=x", "postrider: --limit: expected a whole number; see postrider events list --help\n"},
		{"--limit=99999999999999999999", "postrider: --limit: expected a whole number; see postrider events list --help\n"},
		{"--json=maybe", "postrider: --json: expected true or false; see postrider events list --help\n"},
	} {
		if code, out, errs := command(t, "events", "list", c.flag); code != exitUsage || out != "" || errs != c.want {
			t.Errorf("events list %s = %d %s%s, want %s", c.flag, code, out, errs, c.want)
		}
	}
}

// A server that takes nothing needs somebody, whatever its gateways do.
func TestStatusOfAServerThatTakesNothing(t *testing.T) {
	t.Parallel()
	a := newAsked(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"now":"2026-01-31T12:00:00Z","store":{"accepting":false,"reasons":["not enough disk space"]},"attention":[]}`)
	})
	code, out, _ := command(t, "status", "--server", a.url)
	if code != exitClean || !strings.Contains(out, "no: not enough disk space") || strings.Contains(out, "nothing needs attention") {
		t.Errorf("status = %d\n%s, want nothing that says that all is well", code, out)
	}
}
