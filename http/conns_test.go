package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// overBoth runs a test over TCP alone and with TLS. over makes a connection of a client.
func overBoth(t *testing.T, test func(t *testing.T, s *Server, addr string, over func(net.Conn) net.Conn), change ...func(*Options)) {
	t.Run("TCP", func(t *testing.T) {
		server := newServer(t, newStore(), change...)
		test(t, server, listen(t, server), func(conn net.Conn) net.Conn { return conn })
	})
	t.Run("TLS", func(t *testing.T) {
		server, addr, config := securedServer(t, change...)
		test(t, server, addr, func(conn net.Conn) net.Conn { return tls.Client(conn, config) })
	})
}

const askHealth = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

// A client that has sent half a request, or nothing, does not hold up the end. It is
// told that the server stops.
func TestShutdownDoesNotWaitForHalfRequests(t *testing.T) {
	answered := make(chan struct{}, 100)
	observe := func(o *Options) {
		o.Observe = func(route string, _ int, _ time.Duration) {
			if route == "/healthz" {
				answered <- struct{}{}
			}
		}
	}
	overBoth(t, func(t *testing.T, server *Server, addr string, over func(net.Conn) net.Conn) {
		half := "POST /event HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
		dial(t, addr) // says nothing, and with TLS comes to no handshake
		var clients []*bufio.Reader
		for _, text := range []string{half, half[:len(half)-1], half[:20]} {
			conn := over(dial(t, addr))
			// The first request is whole: once it is answered the server begins with the next.
			if _, err := io.WriteString(conn, askHealth+text); err != nil {
				t.Fatal(err)
			}
			<-answered
			clients = append(clients, bufio.NewReader(conn))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown = %v", err)
		}
		if took := time.Since(began); took > 3*readGrace {
			t.Errorf("Shutdown took %v, want little more than %v", took, readGrace)
		}
		for i, client := range clients {
			if status, _ := readAnswer(t, client); status != 200 {
				t.Errorf("a whole request before half a one = %d, want 200", status)
			}
			if status, text := readAnswer(t, client); status != 503 || !strings.Contains(text, "problem:stopping") {
				t.Errorf("half a request, number %d = %d %s, want 503", i, status, text)
			}
		}
	}, observe)
}

// A reading that begins when all reading has to end is ended as one that is under way.
func TestReadUntil(t *testing.T) {
	var open openConns
	last := time.Unix(5000, 0)
	open.readUntil(last)
	for wanted, want := range map[time.Time]time.Time{{}: last, last.Add(1): last, last.Add(-1): last.Add(-1)} {
		below := &timers{}
		c := &calmConn{Conn: below, open: &open}
		for range 2 {
			if err := c.SetReadDeadline(wanted); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if got := below.read[len(below.read)-1]; !got.Equal(want) {
				t.Errorf("a reading until %v at the end of all at %v ends at %v, want %v", wanted, last, got, want)
			}
		}
	}
}

// A client that first sends all that it has, and then reads, is told what was wrong with
// a body that is too large.
func TestAnswerBeforeTheBodyIsRead(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 8<<20)
	overBoth(t, func(t *testing.T, server *Server, addr string, over func(net.Conn) net.Conn) {
		for _, head := range []string{fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)), fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", len(body))} {
			conn := over(dial(t, addr))
			if _, err := io.WriteString(conn, "POST /event HTTP/1.1\r\nHost: localhost\r\n"+head); err != nil {
				t.Fatal(err)
			}
			if n, err := conn.Write(body); err != nil {
				t.Errorf("the body breaks off after %d bytes: %v", n, err)
			}
			client := bufio.NewReader(conn)
			if status, text := readAnswer(t, client); status != 413 || !strings.Contains(text, "problem:body-too-large") {
				t.Errorf("a body that is too large = %d %s, want 413", status, text)
			}
			if rest, err := io.ReadAll(client); err != nil || len(rest) > 0 {
				t.Errorf("behind the answer comes %q, %v; want the end", rest, err)
			}
			_ = conn.Close()
		}
		limit := time.After(10 * time.Second)
		for open := -1; open != 0; {
			server.open.mu.Lock()
			open = len(server.open.all)
			server.open.mu.Unlock()
			select {
			case <-limit:
				t.Fatalf("%d connections are left open", open)
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
}

// halfConn is one side of a pipe that can say that it writes no more.
type halfConn struct {
	net.Conn
	ended error // what it says to that
	half  bool
}

func (c *halfConn) CloseWrite() error {
	c.half = true
	return c.ended
}

// What is dropped behind an answer is bounded in time and bytes, and ends with the
// other side or with the server.
func TestLinger(t *testing.T) {
	for name, c := range map[string]struct {
		ended   error
		stops   bool
		client  func(net.Conn)
		took    time.Duration
		dropped int64
	}{
		"says nothing":   {client: func(net.Conn) {}, took: lingerTime},
		"goes":           {client: func(conn net.Conn) { _ = conn.Close() }},
		"server stops":   {stops: true, client: func(net.Conn) {}, took: readGrace},
		"is gone":        {ended: errors.New("gone"), client: func(net.Conn) {}},
		"never stops":    {client: func(conn net.Conn) { _, _ = io.CopyN(conn, flowing{}, 2*lingerBytes) }},
		"goes on slowly": {client: func(conn net.Conn) { _, _ = io.Copy(conn, flowing{time.Second}) }, took: lingerTime},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				var open openConns
				below := &halfConn{Conn: ours, ended: c.ended}
				conn := &calmConn{Conn: below, open: &open, heard: true}
				open.add(conn)
				conn.lingerAtEnd()
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					c.client(theirs)
				}()
				began := time.Now()
				if c.stops {
					open.readUntil(began.Add(readGrace))
				}
				if err := conn.Close(); err != nil {
					t.Errorf("Close = %v", err)
				}
				if took := time.Since(began); took != c.took || !below.half || len(open.all) != 0 {
					t.Errorf("Close took %v, half closed %v, %d left; want %v, true and none", took, below.half, len(open.all), c.took)
				}
				_ = theirs.Close()
				<-ended
			})
		})
	}
	// Who has said nothing is not waited for.
	ours, theirs := net.Pipe()
	defer func() { _ = theirs.Close() }()
	below := &halfConn{Conn: ours}
	conn := &calmConn{Conn: below}
	conn.lingerAtEnd()
	if err := conn.Close(); err != nil || below.half {
		t.Errorf("Close = %v, half closed %v", err, below.half)
	}
}

// flowing is read for ever, a piece after each pause.
type flowing struct{ pause time.Duration }

func (e flowing) Read(p []byte) (int, error) {
	time.Sleep(e.pause)
	return len(p), nil
}
