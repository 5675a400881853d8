package egress_test

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/egress"
)

func compile(t *testing.T, url string) *dialect.Dialect {
	t.Helper()
	d, err := dialect.Compile(dialect.Declaration{URL: url})
	if err != nil {
		t.Fatalf("Compile() = %v", err)
	}
	return d
}

// A probe says whether there is a connection to be had, in the words of an
// attempt, and the gateway hears nothing of a request.
func TestProbe(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	speak := func(config *tls.Config) func(g *fakeGateway, c *conn, _ int) {
		return func(g *fakeGateway, c *conn, _ int) {
			if config != nil {
				c = newConn(g, tls.Server(c.Conn, config))
			}
			_ = c.request()
		}
	}
	silent := func(_ *fakeGateway, c *conn, _ int) { c.hold() }
	tests := map[string]struct {
		gateway func(g *fakeGateway, c *conn, number int) // nil for none
		scheme  string
		path    string
		want    data.Cause
	}{
		"there":                      {speak(nil), "http", "/in", data.CauseNone},
		"there, data in the path":    {speak(nil), "http", "/{{message}}/{{id}}?a={{message}}", data.CauseNone},
		"there, silent":              {silent, "http", "/in", data.CauseNone},
		"there, by TLS":              {speak(ca.gateway(t, nil)), "https", "/{{message}}", data.CauseNone},
		"not there":                  {nil, "http", "/in", data.CauseRefused},
		"not there, by TLS":          {nil, "https", "/in", data.CauseRefused},
		"of another authority":       {speak(other.gateway(t, nil)), "https", "/in", data.CauseTLS},
		"closes in the handshake":    {func(*fakeGateway, *conn, int) {}, "https", "/in", data.CauseTLS},
		"no end of the handshake":    {silent, "https", "/in", data.CauseUnreached},
		"no TLS where it should be":  {speak(nil), "https", "/in", data.CauseTLS},
		"TLS where it should not be": {speak(ca.gateway(t, nil)), "http", "/in", data.CauseNone},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, requests := closed.Addr().String(), func() int32 { return 0 }
			if tt.gateway != nil {
				g := serve(t, tt.gateway)
				address, _, _ = strings.Cut(strings.TrimPrefix(g.url, "http://"), "/")
				requests = g.requests.Load
			}
			timeout := long
			if tt.want == data.CauseUnreached {
				timeout = short
			}
			c := newClient(t, egress.Options{RootCAs: ca.pool()})
			if got := c.Probe(t.Context(), compile(t, tt.scheme+"://"+address+tt.path), timeout); got != tt.want {
				t.Errorf("Probe() = %q; want %q", got, tt.want)
			}
			c.Close()
			if n := requests(); n != 0 {
				t.Errorf("Probe() sent %d requests", n)
			}
		})
	}
}

func TestProbeIsGuarded(t *testing.T) {
	g := serve(t, func(_ *fakeGateway, c *conn, _ int) { c.hold() })
	asked := ""
	c := newClient(t, egress.Options{Control: func(_, address string, _ syscall.RawConn) error {
		asked = address
		return egress.ErrForbidden
	}})
	if got := c.Probe(t.Context(), compile(t, g.url), long); got != data.CauseForbidden || !strings.Contains(g.url, "//"+asked+"/") {
		t.Errorf("Probe() = %q and asked for %q; want %q", got, asked, data.CauseForbidden)
	}
	if n := g.conns.Load(); n != 0 {
		t.Errorf("Probe() made %d connections", n)
	}
}

func TestProbeCutOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g := serve(t, func(_ *fakeGateway, c *conn, _ int) {
		_, _ = c.r.Peek(1)
		cancel()
		c.hold()
	})
	c := newClient(t, egress.Options{})
	d := compile(t, strings.Replace(g.url, "http:", "https:", 1))
	for range 2 {
		if got := c.Probe(ctx, d, long); got != data.CauseCutOff {
			t.Errorf("Probe() = %q; want %q", got, data.CauseCutOff)
		}
	}
	g.awaitClosed(t)
}

// The connection of a probe serves the next message, and each probe makes one
// of its own: one that is kept says nothing about the next.
func TestProbeIsOfUse(t *testing.T) {
	g := serve(t, func(_ *fakeGateway, c *conn, _ int) {
		for c.request() != nil && c.send(ok) {
			continue
		}
	})
	c := newClient(t, egress.Options{})
	for range 2 {
		if got := c.Probe(t.Context(), compile(t, g.url), long); got != data.CauseNone {
			t.Fatalf("Probe() = %q", got)
		}
	}
	for range 3 {
		if got := deliver(t.Context(), t, c, dialect.Declaration{URL: g.url}, "test", long); got != delivered(200) {
			t.Errorf("Deliver() = %+v", got)
		}
	}
	if conns := g.conns.Load(); conns != 2 {
		t.Errorf("2 probes and 3 messages took %d connections; want 2", conns)
	}
}
