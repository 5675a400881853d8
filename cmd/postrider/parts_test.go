package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
)

func TestOwnAddress(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"127.0.0.1":   "http://127.0.0.1:5000",
		"0.0.0.0":     "http://127.0.0.1:5000",
		"::":          "http://[::1]:5000",
		"::1":         "http://[::1]:5000",
		"localhost":   "http://localhost:5000",
		"10.1.2.3":    "http://10.1.2.3:5000",
		"fe80::1%en0": "http://[fe80::1%25en0]:5000",
	} {
		got := ownAddress(config.HTTP{Host: host}, 5000)
		if _, err := url.Parse(got); got != want || err != nil {
			t.Errorf("ownAddress(%q, 5000) = %q (%v), want %q", host, got, err, want)
		}
	}
}

func TestPattern(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"user_*", "user_joined", true},
		{"user_*", "user_", true},
		{"user_*", "a_user_joined", false},
		{"*", "", true},
		{"*", "two\nlines", true},
		{"a?c", "a漢c", true},
		{"a?c", "ac", false},
		{"a.c", "abc", false},
		{"[a-z]+", "[a-z]+", true},
		{`\*`, `\anything`, true},
		{"", "", true},
		{"", "x", false},
	} {
		if got := pattern(c.pattern).MatchString(c.text); got != c.want {
			t.Errorf("pattern(%q) matches %q: %v, want %v", c.pattern, c.text, got, c.want)
		}
	}
}

func TestExitCode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("any"), exitFailure},
		{config.Mistakes{{Path: "a", Problem: "b"}}, exitUsage},
		{usageError{errors.New("flag")}, exitUsage},
		{data.ErrInUse, exitInUse},
		{data.ErrDamaged, exitDamaged},
		{data.ErrNewerFormat, exitDamaged},
		{data.ErrOlderFormat, exitDamaged},
		{data.ErrNoSpace, exitNoSpace},
		{data.ErrStorage, exitFailure},
	} {
		err := fmt.Errorf("open: %w", errors.Join(c.err, errors.New("close")))
		if got := exitCode(err); got != c.want {
			t.Errorf("exitCode(%v) = %d, want %d", err, got, c.want)
		}
		if !strings.Contains(explain(err), c.err.Error()) {
			t.Errorf("explain(%v) = %q does not say what is wrong", err, explain(err))
		}
	}
}

// Whoever answers may be anybody: what becomes of it is one short line.
func TestSummary(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		`{"id":"0001"}`:                     "0001",
		`{"ids":["0001","0002"]}`:           "0001 0002",
		`{"title":"No","detail":"Because"}`: "No; Because",
		`{"title":"No","detail":"Because","errors":[{"pointer":"/a","detail":"Bad."}]}`: "No; /a: Bad",
		"{\"id\":\"\\u001b[31m\\nx\"}": " [31m x",
		`<html>`:                       "(not an answer of Postrider)",
		``:                             "(not an answer of Postrider)",
		`[]`:                           "(not an answer of Postrider)",
		`{}`:                           "(not an answer of Postrider)",
	} {
		if got := summary([]byte(answer)); got != want {
			t.Errorf("summary(%s) = %q, want %q", answer, got, want)
		}
	}
	long := summary([]byte(`{"title":"` + strings.Repeat("漢", maxSummary) + `"}`))
	if len(long) > maxSummary+len("…") || !strings.HasSuffix(long, "漢…") {
		t.Errorf("summary of a long answer has %d bytes and ends %q, want at most %d", len(long), long[len(long)-8:], maxSummary)
	}
}

// A server that turns to another protocol says nothing that could be read to an
// end, and one that sends a word too many is not listened to.
func TestPostIsBounded(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]struct {
		status int
		err    error
	}{
		"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n": {status: 101},
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK":       {status: 200},
		"": {err: context.DeadlineExceeded},
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ln.Close() })
		go func() {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(answer))
			_, _ = io.Copy(io.Discard, conn) // till the client hangs up
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		start := time.Now()
		status, _, err := newPoster("http://"+ln.Addr().String(), "").post(ctx, []byte("{}"))
		if status != want.status || !errors.Is(err, want.err) {
			t.Errorf("post to a server that says %q = %d, %v; want %d, %v", answer, status, err, want.status, want.err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("post to a server that says %q took %v", answer, took)
		}
	}
}
