package egress_test

import (
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/egress"
)

// However many gateways there are, no more connections are kept than may be
// open: the oldest makes room for the next.
func TestOldestConnectionMakesRoom(t *testing.T) {
	const bound, gateways = 4, 10
	c := newClient(t, egress.Options{MaxConns: bound, MaxIdle: bound})
	var all [gateways]*fakeGateway
	for i := range all {
		all[i] = serve(t, func(_ *fakeGateway, c *conn, _ int) {
			for c.request() != nil && c.send(ok) {
				continue
			}
		})
		if got := deliver(t.Context(), t, c, dialect.Declaration{URL: all[i].url}, "test", long); got != delivered(200) {
			t.Fatalf("Deliver() %d = %+v", i, got)
		}
		if i >= bound {
			all[i-bound].awaitClosed(t)
		}
	}
	// Those that are left serve the next message each.
	for i := gateways - bound; i < gateways; i++ {
		if got := deliver(t.Context(), t, c, dialect.Declaration{URL: all[i].url}, "test", long); got != delivered(200) || all[i].conns.Load() != 1 {
			t.Errorf("Deliver() %d = %+v over %d connections; want one", i, got, all[i].conns.Load())
		}
	}
}

// Connections in use are bounded too, also where the caller did not see to it:
// attempts wait for each other. A gateway counts a connection as over before it
// lets the client go, so that it never counts too many.
func TestConnectionsInUseAreBounded(t *testing.T) {
	const bound, attempts = 3, 12
	var now, most atomic.Int32
	arrived, release := make(chan struct{}, attempts), make(chan struct{})
	g := serve(t, answers(func(c *conn) {
		n := now.Add(1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
			continue
		}
		arrived <- struct{}{}
		<-release
		now.Add(-1)
		c.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	}))
	c := newClient(t, egress.Options{MaxConns: bound})
	var running sync.WaitGroup
	for range attempts {
		running.Go(func() {
			if got := deliver(t.Context(), t, c, dialect.Declaration{URL: g.url}, "test", long); got != delivered(200) {
				t.Errorf("Deliver() = %+v", got)
			}
		})
	}
	for range bound {
		<-arrived
	}
	full := temporary(data.CauseTimeout, 0)
	if got := deliver(t.Context(), t, c, dialect.Declaration{URL: g.url}, "test", short); got != full {
		t.Errorf("Deliver() with all connections in use = %+v; want %+v", got, full)
	}
	close(release)
	running.Wait()
	if most.Load() != bound || g.conns.Load() != attempts {
		t.Errorf("%d of %d connections were open at once; want %d of %d", most.Load(), g.conns.Load(), bound, attempts)
	}
}

// A connection that comes back while another gateway waits for room gives way.
func TestConnectionThatComesBackMakesRoom(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	first := serve(t, func(_ *fakeGateway, c *conn, _ int) {
		for c.request() != nil {
			close(arrived)
			<-release
			c.send(ok)
		}
	})
	second := serve(t, answers(func(c *conn) { c.send(ok) }))
	c := newClient(t, egress.Options{MaxConns: 1})
	var running sync.WaitGroup
	running.Go(func() {
		if got := deliver(t.Context(), t, c, dialect.Declaration{URL: first.url}, "test", long); got != delivered(200) {
			t.Errorf("first Deliver() = %+v", got)
		}
	})
	<-arrived
	running.Go(func() {
		if got := deliver(t.Context(), t, c, dialect.Declaration{URL: second.url}, "test", long); got != delivered(200) {
			t.Errorf("second Deliver() = %+v", got)
		}
	})
	close(release)
	running.Wait()
	first.awaitClosed(t)
}

// What comes to no connection takes no room for ever.
func TestFailuresTakeNoRoom(t *testing.T) {
	ca := newAuthority(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	config := ca.gateway(t, nil)
	g := serve(t, func(g *fakeGateway, c *conn, number int) {
		if number <= 3 {
			return // in the handshake
		}
		c = newConn(g, tls.Server(c.Conn, config))
		if c.request() != nil && number > 6 {
			c.send(ok)
		}
	})
	url := strings.Replace(g.url, "http:", "https:", 1)
	c := newClient(t, egress.Options{MaxConns: 1, RootCAs: ca.pool()})
	for range 3 {
		if got := c.Probe(t.Context(), compile(t, "http://"+closed.Addr().String()), long); got != data.CauseRefused {
			t.Errorf("Probe() = %q; want %q", got, data.CauseRefused)
		}
	}
	for _, want := range []data.Cause{data.CauseTLS, data.CauseTLS, data.CauseTLS, data.CauseReset, data.CauseReset, data.CauseReset} {
		if got := deliver(t.Context(), t, c, dialect.Declaration{URL: url}, "test", long); got != temporary(want, 0) {
			t.Errorf("Deliver() = %+v; want %q", got, want)
		}
	}
	if got := deliver(t.Context(), t, c, dialect.Declaration{URL: url}, "test", long); got != delivered(200) {
		t.Errorf("Deliver() = %+v; want it delivered", got)
	}
}
