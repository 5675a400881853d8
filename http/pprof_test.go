package httpapi

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProfiles(t *testing.T) {
	server, _, _ := browser(t)
	ops := "Authorization: Bearer " + opsSecret
	ask := func(remote, target string, headers ...string) (int, string) {
		r := from(t, server, remote, "GET", target, headers...)
		return r.StatusCode(), string(r.Body())
	}
	const here, there = "127.0.0.1:1", "192.0.2.1:1"
	for _, c := range []struct {
		remote, target string
		want           int
		shows          string
	}{
		{here, "/debug/pprof/", 200, "goroutine\n"},
		{"[::1]:1", "/debug/pprof/", 200, "heap\n"},
		{here, "/debug/pprof/goroutine?debug=1", 200, "goroutine profile: total"},
		{here, "/debug/pprof/heap", 200, "\x1f\x8b"},
		{here, "/debug/pprof/trace?seconds=31", 400, "bad-parameter"},
		{here, "/debug/pprof/profile?seconds=31", 400, "bad-parameter"},
		{here, "/debug/pprof/profile?seconds=0", 400, "bad-parameter"},
		{here, "/debug/pprof/profile?seconds=x", 400, "bad-parameter"},
		{here, "/debug/pprof/heap?gc=1", 400, "bad-parameter"},
		{here, "/debug/pprof/goroutine?debug=2", 400, "bad-parameter"},
		{here, "/debug/pprof/cmdline", 404, "no-such-path"},
		{here, "/debug/pprof", 404, "no-such-path"},
		{there, "/debug/pprof/", 403, "local-only"},
		{there, "/debug/pprof/heap", 403, "local-only"},
		{there, "/debug/pprof/profile", 403, "local-only"},
	} {
		status, body := ask(c.remote, c.target, ops)
		if status != c.want || !strings.Contains(body, c.shows) {
			t.Errorf("GET %s from %s = %d %.100q, want %d with %q", c.target, c.remote, status, body, c.want, c.shows)
		}
	}
	if status, _ := ask(there, "/debug/pprof/heap", ops, "X-Forwarded-For: 127.0.0.1", "X-Real-Ip: 127.0.0.1", "Forwarded: for=127.0.0.1"); status != 403 {
		t.Errorf("from elsewhere and said to be from here = %d, want 403", status)
	}
	if status, _ := ask(here, "/debug/pprof/heap", "Authorization: Bearer "+watchSecret); status != 403 {
		t.Errorf("with a key for reading = %d, want 403", status)
	}
	// net/http/pprof is not in the program, not even where nobody asks for it.
	if _, pattern := http.DefaultServeMux.Handler(&http.Request{Method: "GET", URL: &url.URL{Path: "/debug/pprof/"}}); pattern != "" {
		t.Errorf("the shared handler has %s", pattern)
	}
}

// A profile over time is one at a time, and ends with the server.
func TestProfileOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newServer(t, newStore())
		ended := make(chan error, 1)
		record := func(seconds string) {
			ended <- server.overTime(seconds, 1, func() error { return nil }, func() {})
		}
		began := time.Now()
		go record("30")
		synctest.Wait()
		if err := server.overTime("1", 1, func() error { return nil }, func() {}); problemOf(err).Status != 429 {
			t.Errorf("a second profile at the same time: %v, want 429", err)
		}
		if err := <-ended; err != nil || time.Since(began) != 30*time.Second {
			t.Errorf("a profile of 30 s: %v after %v", err, time.Since(began))
		}
		began = time.Now()
		go record("30")
		synctest.Wait()
		server.end()
		if err := <-ended; err != nil || time.Since(began) != 0 {
			t.Errorf("a profile when the server stops: %v after %v, want it to end at once", err, time.Since(began))
		}
	})
}

func TestProfileIsBounded(t *testing.T) {
	b := &boundedBody{most: 10}
	for range 3 {
		_, _ = b.Write([]byte("12345"))
	}
	if problemOf(b.err).Status != 503 || b.Len() != 10 {
		t.Errorf("after 15 bytes where 10 fit: %v, %d bytes", b.err, b.Len())
	}
}
