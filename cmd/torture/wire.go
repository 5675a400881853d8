package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// wire is a connection to the program on which bytes are written as they are.
type wire struct {
	net.Conn
	in  *bufio.Reader
	key string // API key to present in heads; "" for none
}

// dialWire connects. Nothing on the connection may take longer than the rig's
// patience, unless it gets another deadline.
func dialWire(ctx context.Context, c *rig.Child) (*wire, error) {
	dialer := net.Dialer{Timeout: rig.Patience}
	conn, err := dialer.DialContext(ctx, "tcp", strings.TrimPrefix(c.URL, "http://"))
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	// Ports that wait after their end would run out.
	_ = conn.(*net.TCPConn).SetLinger(0)
	return &wire{Conn: conn, in: bufio.NewReaderSize(conn, 4<<10), key: c.Key()}, conn.SetDeadline(time.Now().Add(rig.Patience))
}

// head is the head of a request with a body of a length, -1 for one that other
// lines tell.
func (w *wire) head(method, path string, length int, lines ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\n", method, path)
	if w.key != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", w.key)
	}
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
	if length >= 0 {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", length)
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// answer reads the next answer, be it one of those that come before the real one.
func (w *wire) answer() (rig.Answer, error) {
	response, err := http.ReadResponse(w.in, nil)
	if err != nil {
		return rig.Answer{}, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	return rig.Answer{Status: response.StatusCode, Header: response.Header, Body: body}, err
}

// drop ends the connection without a farewell, at once.
func (w *wire) drop() { _ = w.Close() }
