package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"
)

// listen opens a port of ours. It is closed with ctx.
func listen(ctx context.Context) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	return l, nil
}

// serve starts a server of gateways and returns its URL. It ends with ctx.
func serve(ctx context.Context, handler http.Handler) (url string, err error) {
	l, err := listen(ctx)
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: patience, ErrorLog: quiet()}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(l) }() // ends when it is closed
	return "http://" + l.Addr().String(), nil
}

// quiet is for servers whose clients are killed, which they would complain about.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// at is a gateway at a URL; more are other keys of it.
func at(url string, more ...section) section {
	g := section{"url": url}
	for _, m := range more {
		maps.Copy(g, m)
	}
	return g
}

// counter is a gateway that counts requests and answers each after a delay,
// which may be changed for those to come.
type counter struct {
	delay    atomic.Int64
	requests atomic.Int64
	first    atomic.Int64 // when the first one came, in nanoseconds since 1970; 0 when none did
}

func (g *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.first.CompareAndSwap(0, time.Now().UnixNano())
	g.requests.Add(1)
	_, _ = io.Copy(io.Discard, r.Body) // what is missing is nobody's concern
	if d := time.Duration(g.delay.Load()); d > 0 && wait(r.Context(), d) != nil {
		return
	}
	w.WriteHeader(http.StatusOK)
}

// silent accepts connections on a port, reads what comes and says nothing.
func silent(ctx context.Context) (url string, err error) {
	l, err := listen(ctx)
	if err != nil {
		return "", err
	}
	go func() {
		for {
			conn, err := l.Accept()
			switch {
			case err == nil:
				go func() {
					stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
					_, _ = io.Copy(io.Discard, conn) // until it is closed
					if stop() {
						_ = conn.Close()
					}
				}()
			case ctx.Err() != nil, errors.Is(err, net.ErrClosed), wait(ctx, 10*time.Millisecond) != nil:
				return
			}
		}
	}()
	return "http://" + l.Addr().String(), nil
}

// refusing returns the URL of a port where connections are refused. The port is
// bound, so that nobody gets it meanwhile, and a connection to it cannot get it
// for its own end and so meet itself.
func refusing(ctx context.Context) (url string, err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return "", fmt.Errorf("open a socket: %w", err)
	}
	syscall.CloseOnExec(fd)
	context.AfterFunc(ctx, func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", fmt.Errorf("bind a port: %w", err)
	}
	address, err := syscall.Getsockname(fd)
	if err != nil {
		return "", fmt.Errorf("read the port: %w", err)
	}
	return fmt.Sprintf("http://127.0.0.1:%d", address.(*syscall.SockaddrInet4).Port), nil
}
