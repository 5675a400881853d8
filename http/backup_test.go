package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

// backingUp is a server whose store is backed up by a func, and a connection to it.
func backingUp(t *testing.T, backup func(ctx context.Context, w io.Writer) error, change ...func(*Options)) (*Server, string) {
	t.Helper()
	store := newStore()
	store.backup = backup
	server := newServer(t, store, change...)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return server, serveOn(t, server, tight{ln})
}

// askBackup asks for a backup and reads the head of the answer.
func askBackup(t *testing.T, addr string) *http.Response {
	t.Helper()
	conn := dial(t, addr)
	ask(t, conn, "GET", "/api/v1/backup")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

// free waits until nobody backs up.
func (s *Server) free(t *testing.T) {
	t.Helper()
	until(t, "the turn is given back", func() bool { return len(s.backups.taken) == 0 })
}

func TestBackupIsStreamed(t *testing.T) {
	t.Parallel()
	want := bytes.Repeat([]byte("backup"), 1<<20)
	_, addr := backingUp(t, func(_ context.Context, w io.Writer) error {
		_, err := w.Write(want)
		return err
	})
	answer := askBackup(t, addr)
	got, err := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK || err != nil || !bytes.Equal(got, want) || answer.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("GET /api/v1/backup = %d %v, %d bytes, %v; want all %d", answer.StatusCode, answer.Header, len(got), err, len(want))
	}
}

func TestBackupNeedsAdmin(t *testing.T) {
	t.Parallel()
	store := newStore()
	store.backup = func(context.Context, io.Writer) error { return nil }
	server := newServer(t, store, func(o *Options) {
		o.Keys = []Key{{Name: "ops", Secret: "ops", Scopes: []Scope{ScopeOperate, ScopeReadContent}}, {Name: "admin", Secret: "admin", Scopes: []Scope{ScopeAdmin}}}
	})
	for key, want := range map[string]int{"ops": 403, "admin": 200, "nobody": 401} {
		if got := do(t, server, "GET", "/api/v1/backup", "", "Authorization: Bearer "+key); got.status != want {
			t.Errorf("GET /api/v1/backup as %s = %d; want %d", key, got.status, want)
		}
	}
	if got := do(t, server, "HEAD", "/api/v1/backup", "", "Authorization: Bearer admin"); got.status != 200 || len(server.backups.taken) != 0 {
		t.Errorf("HEAD /api/v1/backup = %d, and %d backups are under way", got.status, len(server.backups.taken))
	}
}

func TestBackupNeedsHTTP11(t *testing.T) {
	t.Parallel()
	conn := dial(t, listen(t, newServer(t, newStore())))
	if _, err := io.WriteString(conn, "GET /api/v1/backup HTTP/1.0\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if status, _ := readAnswer(t, bufio.NewReader(conn)); status != 400 {
		t.Errorf("a backup by HTTP/1.0 = %d, want 400", status)
	}
}

func TestOneBackupAtATime(t *testing.T) {
	t.Parallel()
	gate := newGate()
	server, addr := backingUp(t, func(ctx context.Context, w io.Writer) error {
		_, err := w.Write(make([]byte, 1<<20))
		return errors.Join(err, gate.wait(ctx))
	})
	first := askBackup(t, addr)
	if _, err := io.ReadFull(first.Body, make([]byte, 1<<19)); err != nil {
		t.Fatal(err)
	}
	second := askBackup(t, addr)
	text, _ := io.ReadAll(second.Body)
	if second.StatusCode != http.StatusTooManyRequests || second.Header.Get("Retry-After") == "" || !strings.Contains(string(text), "backup-under-way") {
		t.Errorf("a second backup = %d %s; want 429 with Retry-After", second.StatusCode, text)
	}
	close(gate.open)
	if _, err := io.Copy(io.Discard, first.Body); err != nil {
		t.Error(err)
	}
	server.free(t)
	if third := askBackup(t, addr); third.StatusCode != http.StatusOK {
		t.Errorf("a backup after that = %d; want 200", third.StatusCode)
	}
}

// A backup that fails has no end: its client hears of it.
func TestBackupThatFails(t *testing.T) {
	t.Parallel()
	server, addr := backingUp(t, func(_ context.Context, w io.Writer) error {
		_, err := w.Write(make([]byte, 1<<20))
		return errors.Join(err, errors.New("the store failed"))
	})
	answer := askBackup(t, addr)
	if n, err := io.Copy(io.Discard, answer.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("reading it = %d bytes, %v; want an unexpected end", n, err)
	}
	server.free(t)
}

// As long as its client takes something, a backup may take many write timeouts.
func TestBackupTakesItsTime(t *testing.T) {
	t.Parallel()
	const limit = time.Second
	taken := make(chan struct{})
	server, addr := backingUp(t, func(_ context.Context, w io.Writer) error {
		for began := time.Now(); time.Since(began) < 2*limit; <-taken {
			if _, err := w.Write(make([]byte, 2*backupPiece)); err != nil {
				return err
			}
		}
		return nil
	}, func(o *Options) { o.WriteTimeout = limit })
	answer := askBackup(t, addr)
	piece := make([]byte, 2*backupPiece)
	for {
		_, err := io.ReadFull(answer.Body, piece)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		taken <- struct{}{}
	}
	server.free(t)
}

// unending is a backup that goes on until it cannot.
func unending(ended chan<- error) func(context.Context, io.Writer) error {
	return func(ctx context.Context, w io.Writer) (err error) {
		for err == nil {
			_, err = w.Write(make([]byte, backupPiece))
			err = errors.Join(err, context.Cause(ctx))
		}
		ended <- err
		return err
	}
}

func TestBackupThatNobodyTakes(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	server, addr := backingUp(t, unending(ended), func(o *Options) { o.WriteTimeout = 50 * time.Millisecond })
	askBackup(t, addr)
	if err := <-ended; err == nil {
		t.Error("it came to an end")
	}
	server.free(t)
}

func TestBackupWhoseClientGoes(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	server, addr := backingUp(t, unending(ended))
	conn := dial(t, addr)
	ask(t, conn, "GET", "/api/v1/backup")
	if _, err := io.ReadFull(conn, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if err := <-ended; err == nil {
		t.Error("it came to an end")
	}
	server.free(t)
}

// Without space for it, a backup is refused, and not begun.
func TestBackupWithoutSpace(t *testing.T) {
	t.Parallel()
	store := newStore()
	store.tight = fmt.Errorf("tight: %w", data.ErrNoSpace)
	server := newServer(t, store)
	if got := do(t, server, "GET", "/api/v1/backup", ""); got.status != 503 || !strings.Contains(got.body, "no-space") || len(server.backups.taken) != 0 {
		t.Errorf("GET /api/v1/backup = %d %s; want 503", got.status, got.body)
	}
}

// The log tells of a backup when it begins, each minute, and how it ends.
func TestLogOfABackup(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := noon
	l := newBackupLog(Options{Logger: slog.New(slog.NewTextHandler(&out, nil)), Now: func() time.Time { return now }}, "ops")
	for range 3 {
		now = now.Add(backupNews / 2)
		l.progress(7, 4711)
	}
	l.end(fmt.Errorf("back up: %w", data.ErrNoSpace))
	text := out.String()
	if strings.Count(text, `msg="a backup goes on" key=ops records=7 bytes=4711 took=1m0s`) != 1 || strings.Count(text, "a backup goes on") != 1 {
		t.Errorf("after a minute and a half the log is\n%s", text)
	}
	if !strings.Contains(text, "level=ERROR msg=\"a backup was given up") || !strings.Contains(text, "took=1m30s") {
		t.Errorf("of a backup that was given up the log is\n%s", text)
	}
}

// A server that stops waits for nobody who takes nothing.
func TestShutdownEndsABackup(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	backup := unending(ended)
	var written atomic.Int64
	server, addr := backingUp(t, func(ctx context.Context, w io.Writer) error {
		return backup(ctx, writerFunc(func(p []byte) (int, error) {
			written.Add(1)
			return w.Write(p)
		}))
	})
	askBackup(t, addr)
	seen, since := int64(0), time.Now()
	until(t, "nothing is taken any more", func() bool {
		if now := written.Load(); now != seen {
			seen, since = now, time.Now()
		}
		return time.Since(since) > 100*time.Millisecond
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown = %v", err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it came to an end")
		}
	default:
		t.Error("the store is still read when the server has stopped")
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
