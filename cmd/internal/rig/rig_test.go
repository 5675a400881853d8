package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test's own binary stands in for the program.
func TestMain(m *testing.M) {
	switch as := os.Getenv("RIG_TEST_AS"); {
	case as == "":
		os.Exit(m.Run())
	case as == "damaged":
		os.Exit(4)
	case len(os.Args) < 4 || os.Args[1] != "serve" || os.Args[2] != "--config":
		os.Exit(2)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		os.Exit(1)
	}
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, syscall.SIGTERM)
	fmt.Fprintf(os.Stderr, "{\"msg\":\"listening\",\"url\":\"http://%v\"}\n", l.Addr())
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // it is for a test
			_, _ = fmt.Fprint(w, r.Header.Get("Authorization"), r.Header.Get("Idempotency-Key"))
		}))
	}()
	<-ends
	os.Exit(0)
}

// standIn is a program that plays a part.
func standIn(t *testing.T, as string, prefix ...string) *Program {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("children are looked for in /proc")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewProgram(self, t.TempDir(), Section{})
	if err != nil {
		t.Fatal(err)
	}
	p.Environ, p.Prefix, p.Log = []string{"RIG_TEST_AS=" + as}, prefix, filepath.Join(p.Dir, "log")
	return p
}

// A child is asked, stopped and killed alike, whether it runs by itself or under
// another command.
func TestChild(t *testing.T) {
	t.Parallel()
	for name, prefix := range map[string][]string{"alone": nil, "under a command": {"/bin/sh", "-c", `"$@"; exit $?`, "sh"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := standIn(t, "well", prefix...)
			p.Key = "secret"
			heard := 0
			p.Heard = func(string, Answer) { heard++ }
			c, err := p.Start(t.Context(), Patience)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Kill()
			pid, err := c.Pid()
			if alone := pid == c.process.Pid; err != nil || alone != (prefix == nil) {
				t.Errorf("Pid() = %d, %v; the process started is %d", pid, err, c.process.Pid)
			}
			a, err := c.Do(t.Context(), http.MethodPost, "/", []byte("x"), "Idempotency-Key", "k")
			if err != nil || string(a.Body) != "Bearer secretk" || heard < 2 {
				t.Errorf("Do() = %q, %v, heard %d times; want its headers, heard as well as the readiness", a.Body, err, heard)
			}
			if err := errors.Join(c.Halt(t.Context()), c.Proceed()); err != nil {
				t.Error(err)
			}
			if err := c.Stop(); err != nil {
				t.Error(err)
			}
			if c, err = p.Start(t.Context(), Patience); err != nil {
				t.Fatal(err)
			}
			pid, _ = c.Pid()
			c.Kill()
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("after Kill() the program is there: %v", err)
			}
			if prefix == nil && c.Code() != -1 {
				t.Errorf("Code() = %d after Kill(), want -1", c.Code())
			}
			log, err := os.ReadFile(p.Log)
			if n := strings.Count(string(log), "listening"); err != nil || n != 2 {
				t.Errorf("the log has %d starts (%v), want both", n, err)
			}
		})
	}
}

// A program that does not end in time is killed; one that is not waited for is not.
func TestAwaitEnd(t *testing.T) {
	t.Parallel()
	c, err := standIn(t, "well").Start(t.Context(), Patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Kill()
	over, cancel := context.WithCancelCause(t.Context())
	cancel(errStopped)
	if ended, err := c.AwaitEnd(over, Patience); ended || !errors.Is(err, errStopped) || c.Gone() {
		t.Errorf("AwaitEnd() = %v, %v when nobody waits any more, the program gone: %v", ended, err, c.Gone())
	}
	if ended, err := c.AwaitEnd(t.Context(), time.Millisecond); ended || err != nil || !c.Gone() || c.Code() != -1 {
		t.Errorf("AwaitEnd() = %v, %v of a program that runs on, it gone: %v", ended, err, c.Gone())
	}
	if c, err = standIn(t, "damaged").Launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ended, err := c.AwaitEnd(t.Context(), Patience); !ended || err != nil || c.Code() != 4 {
		t.Errorf("AwaitEnd() = %v, %v of a program that ends with %d", ended, err, c.Code())
	}
}

var errStopped = errors.New("stopped")

// A program that ends before it is ready is not waited for, and its code is known.
func TestChildFails(t *testing.T) {
	t.Parallel()
	c, err := standIn(t, "damaged").Launch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitReady(t.Context(), Patience); !errors.Is(err, ErrEnded) || c.Code() != 4 {
		t.Errorf("AwaitReady() = %v with exit code %d, want %v with 4", err, c.Code(), ErrEnded)
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1: "-1", -123: "-123", -1234: "-1,234"} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{1234567: "1.23ms", 1234567890: "1.23s", 61234567890: "1m1.2s"} {
		if got := Span(d); got != want {
			t.Errorf("Span(%d) = %s, want %s", d, got, want)
		}
	}
}

// As many as the limits allow are no crowd, and one more is.
func TestCrowds(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	visits := func(n int, apart, takes time.Duration) (all []Visit) {
		for i := range n {
			at := begin.Add(time.Duration(i) * apart)
			all = append(all, Visit{at, at.Add(takes)})
		}
		return all
	}
	for _, c := range []struct {
		what        string
		visits      []Visit
		concurrency int
		rate        float64
		want        int
	}{
		{"one after the other", visits(9, 10, 10), 1, 0, 0},
		{"two at once", visits(9, 10, 11), 1, 0, 1},
		{"without a limit", visits(9, 0, 10), 0, 0, 0},
		{"end not seen", []Visit{{At: begin}, {At: begin.Add(1)}}, 1, 0, 0},
		{"as many as the rate has", visits(14, 0, 0), 3, 10, 0},
		{"more than the rate has", visits(15, 0, 0), 3, 10, 1},
		{"more, over a second", visits(15, time.Second/13, 0), 3, 10, 0},
		{"in any order", append(visits(3, time.Hour, 0), visits(8, 0, 0)...), 1, 5, 1},
	} {
		if got := Crowds(c.visits, c.concurrency, c.rate); len(got) != c.want {
			t.Errorf("%s: Crowds(%d visits, %d, %v) = %q, want %d complaints", c.what, len(c.visits), c.concurrency, c.rate, got, c.want)
		}
	}
}

// A server that turns to a request late knows when it came.
func TestLateness(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the kernel is not asked")
	}
	const pause = 300 * time.Millisecond
	seen := make(chan time.Duration, 2)
	url, err := Serve(t.Context(), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen <- Lateness(r)
		_ = Wait(r.Context(), pause)
		seen <- Lateness(r)
	}))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // over one connection
		response, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if first, second := <-seen, <-seen; first > pause/2 || second < pause-2*time.Millisecond {
			t.Errorf("Lateness() = %v, and %v after %v", first, second, pause)
		}
	}
	if got := Lateness(httptest.NewRequest(http.MethodGet, "/", nil)); got != 0 {
		t.Errorf("Lateness() = %v of a request that came over no connection", got)
	}
}
