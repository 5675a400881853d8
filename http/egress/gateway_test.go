package egress_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/egress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	long  = 10 * time.Second       // ends a test that hangs
	short = 150 * time.Millisecond // the timeout of attempts that are to run into it
	wait  = 50 * time.Millisecond  // how long a body may take
)

// fakeGateway answers on a socket as a test says, byte by byte.
type fakeGateway struct {
	url      string
	conns    atomic.Int32  // accepted
	requests atomic.Int32  // read to their end
	closed   chan struct{} // a value for each connection that is over
}

// serve starts a gateway that hands each connection, and its number from 1, to
// handle. It is over when the test is.
func serve(t *testing.T, handle func(g *fakeGateway, c *conn, number int)) *fakeGateway {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &fakeGateway{url: "http://" + ln.Addr().String() + "/in", closed: make(chan struct{}, 100)}
	var open sync.Map
	var running sync.WaitGroup
	running.Go(func() {
		for {
			accepted, err := ln.Accept()
			if err != nil {
				return
			}
			number := int(g.conns.Add(1))
			open.Store(accepted, nil)
			running.Go(func() {
				defer func() { g.closed <- struct{}{} }()
				defer func() { _ = accepted.Close() }()
				handle(g, newConn(g, accepted), number)
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		open.Range(func(c, _ any) bool { _ = c.(net.Conn).Close(); return true })
		running.Wait()
	})
	return g
}

// conn is one connection to a gateway.
type conn struct {
	net.Conn
	r *bufio.Reader
	g *fakeGateway
}

func newConn(g *fakeGateway, c net.Conn) *conn { return &conn{Conn: c, r: bufio.NewReader(c), g: g} }

// request reads one request with its body; nil when the connection is over.
func (c *conn) request() *http.Request {
	r, err := http.ReadRequest(c.r)
	if err != nil {
		return nil
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil
	}
	c.g.requests.Add(1)
	return r
}

// send writes and reports whether the other side still takes it.
func (c *conn) send(text string) bool {
	_, err := io.WriteString(c.Conn, text)
	return err == nil
}

// hold waits until the other side is gone.
func (c *conn) hold() { _, _ = io.Copy(io.Discard, c.r) }

// drip sends text again and again, slowly.
func (c *conn) drip(text string) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for c.send(text) {
		<-ticker.C
	}
}

// answers returns a handler that reads one request and then does as it is told.
func answers(then func(c *conn)) func(*fakeGateway, *conn, int) {
	return func(_ *fakeGateway, c *conn, _ int) {
		if c.request() != nil {
			then(c)
		}
	}
}

func newClient(t testing.TB, o egress.Options) *egress.Client {
	t.Helper()
	if o.BodyWait == 0 {
		o.BodyWait = wait
	}
	c := egress.New(o)
	t.Cleanup(c.Close)
	return c
}

// deliver makes attempt 1 at a message, and says when it took too long.
func deliver(ctx context.Context, t *testing.T, c *egress.Client, decl dialect.Declaration, text string, timeout time.Duration) data.Result {
	t.Helper()
	d, err := dialect.Compile(decl)
	if err != nil {
		t.Fatalf("Compile() = %v", err)
	}
	began := time.Now()
	r := c.Deliver(ctx, d, data.Message{ID: data.FirstID(1), Gateway: "gateway_1", Text: text}, 1, timeout)
	if took := time.Since(began); took > long/2 {
		t.Errorf("Deliver() took %v", took)
	}
	return r
}

func delivered(status int) data.Result {
	return data.Result{Outcome: data.OutcomeDelivered, Status: status}
}

// withdrawn is an attempt of which nothing has left.
var withdrawn = data.Result{Outcome: data.OutcomeWithdrawn}

func temporary(cause data.Cause, status int) data.Result {
	return data.Result{Outcome: data.OutcomeTemporary, Cause: cause, Status: status}
}

// awaitClosed waits until a connection of the gateway is over.
func (g *fakeGateway) awaitClosed(t *testing.T) {
	t.Helper()
	select {
	case <-g.closed:
	case <-time.After(long):
		t.Error("the connection was not closed")
	}
}
