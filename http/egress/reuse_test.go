package egress_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/egress"
)

const (
	ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	no = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
)

// What a gateway sends beyond its answer answers no other message, be it there
// at once or after the connection was put away, whole or in part.
func TestDeliverTakesNoOldAnswer(t *testing.T) {
	ca := newAuthority(t)
	config := ca.gateway(t, nil)
	for _, secure := range []bool{false, true} {
		for _, late := range []bool{false, true} {
			for _, more := range []string{ok, ok[:7], "\r\n"} {
				t.Run(fmt.Sprintf("TLS %v, late %v, %q", secure, late, more), func(t *testing.T) {
					t.Parallel()
					first, sent := make(chan struct{}), make(chan struct{})
					g := serve(t, func(g *fakeGateway, c *conn, number int) {
						if secure {
							c = newConn(g, tls.Server(c.Conn, config))
						}
						if c.request() == nil {
							return
						}
						switch {
						case number > 1:
							c.send(no)
						case late:
							c.send(ok)
							<-first
							c.send(more)
							close(sent)
						default:
							c.send(ok + more)
							close(sent)
						}
						for c.request() != nil && c.send(no) {
							continue
						}
					})
					c := newClient(t, egress.Options{RootCAs: ca.pool()})
					url := g.url
					if secure {
						url = strings.Replace(url, "http:", "https:", 1)
					}
					if got := deliver(t.Context(), t, c, dialect.Declaration{URL: url}, "test", long); got != delivered(200) {
						t.Fatalf("first Deliver() = %+v", got)
					}
					close(first)
					<-sent
					for range 2 {
						if got := deliver(t.Context(), t, c, dialect.Declaration{URL: url}, "test", long); got != temporary(data.CauseStatus, 500) {
							t.Errorf("next Deliver() = %+v; want its own answer", got)
						}
					}
					// One that speaks out of turn is not trusted with a connection again.
					want := int32(2)
					if late {
						want = 3
					}
					if n := g.conns.Load(); n != want {
						t.Errorf("3 messages took %d connections; want %d", n, want)
					}
				})
			}
		}
	}
}

// An answer that somebody may understand in two ways, or that nobody should
// have sent, counts; its connection is not trusted with another message.
func TestDeliverKeepsOnlyWhatIsClear(t *testing.T) {
	tests := map[string]struct {
		answer string
		want   data.Result
		conns  int32
	}{
		"clear":                     {ok, delivered(200), 1},
		"chunked":                   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", delivered(200), 1},
		"chunked, length exposed":   {"HTTP/1.1 200 OK\r\nAccess-Control-Expose-Headers: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", delivered(200), 1},
		"chunked, trailer":          {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n", delivered(200), 1},
		"chunked and length":        {"HTTP/1.1 200 OK\r\ncontent-LENGTH: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", delivered(200), 2},
		"length and chunked":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n", delivered(200), 2},
		"chunked and odd length":    {"HTTP/1.1 200 OK\r\nContent-Length : 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", delivered(200), 2},
		"chunked twice":             {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", temporary(data.CauseMalformed, 0), 2},
		"chunked as identity":       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", temporary(data.CauseMalformed, 0), 2},
		"chunks ended by LF":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n", delivered(200), 2},
		"chunk longer than said":    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nok\r\n0\r\n\r\n", delivered(200), 2},
		"same length twice":         {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", delivered(200), 1},
		"lengths in a list":         {"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok", temporary(data.CauseMalformed, 0), 2},
		"length with a sign":        {"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", temporary(data.CauseMalformed, 0), 2},
		"length before a space":     {"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", delivered(200), 2},
		"body longer than said":     {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nok", delivered(200), 2},
		"no content, but a body":    {"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", delivered(204), 2},
		"not modified, but a body":  {"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok", temporary(data.CauseStatus, 304), 2},
		"lines ended by LF":         {"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", delivered(200), 1},
		"CR inside a value":         {"HTTP/1.1 200 OK\r\nX: a\rContent-Length: 9\r\nContent-Length: 2\r\n\r\nok", temporary(data.CauseMalformed, 0), 2},
		"NUL inside a value":        {"HTTP/1.1 200 OK\r\nX: a\x00\r\nContent-Length: 0\r\n\r\n", temporary(data.CauseMalformed, 0), 2},
		"folded header":             {"HTTP/1.1 200 OK\r\nX: a\r\n Content-Length: 9\r\nContent-Length: 2\r\n\r\nok", delivered(200), 1},
		"folded at the start":       {"HTTP/1.1 200 OK\r\n Content-Length: 9\r\nContent-Length: 2\r\n\r\nok", temporary(data.CauseMalformed, 0), 2},
		"HTTP/1.0, keep-alive":      {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", delivered(200), 2},
		"HTTP/3.1":                  {"HTTP/3.1 200 OK\r\nContent-Length: 0\r\n\r\n", delivered(200), 2},
		"says close":                {"HTTP/1.1 200 OK\r\nConnection: x, CLOSE\r\nContent-Length: 0\r\n\r\n", delivered(200), 2},
		"status 600":                {"HTTP/1.1 600 No\r\nContent-Length: 0\r\n\r\n", temporary(data.CauseMalformed, 600), 2},
		"101, then an answer":       {"HTTP/1.1 101 Switching Protocols\r\n\r\n" + ok, temporary(data.CauseMalformed, 101), 2},
		"100 with a length":         {"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nHTTP/" + ok, temporary(data.CauseMalformed, 0), 2},
		"empty lines before":        {"\r\n\r\n" + ok, temporary(data.CauseMalformed, 0), 2},
		"a head in many interims":   {strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 2000) + ok, delivered(200), 1},
		"a head in too many":        {strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 3000) + ok, temporary(data.CauseMalformed, 0), 2},
		"body as long as is read":   {"HTTP/1.1 200 OK\r\nContent-Length: 131072\r\n\r\n" + strings.Repeat("x", 128<<10), delivered(200), 2},
		"body a byte less than it":  {"HTTP/1.1 200 OK\r\nContent-Length: 131071\r\n\r\n" + strings.Repeat("x", 128<<10-1), delivered(200), 1},
		"body of no declared bytes": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", delivered(200), 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := serve(t, func(_ *fakeGateway, c *conn, _ int) {
				for c.request() != nil && c.send(tt.answer) {
					continue
				}
			})
			c := newClient(t, egress.Options{})
			for range 2 {
				if got := deliver(t.Context(), t, c, dialect.Declaration{URL: g.url}, "test", long); got != tt.want {
					t.Errorf("Deliver() = %+v; want %+v", got, tt.want)
				}
			}
			if conns, requests := g.conns.Load(), g.requests.Load(); conns != tt.conns || requests != 2 {
				t.Errorf("2 messages took %d connections and %d requests; want %d and 2", conns, requests, tt.conns)
			}
		})
	}
}

// A gateway may refuse a long message before it has read it.
func TestDeliverHearsAnEarlyAnswer(t *testing.T) {
	for _, hangUp := range []bool{false, true} {
		release := make(chan struct{})
		g := serve(t, func(_ *fakeGateway, c *conn, _ int) {
			if _, err := http.ReadRequest(c.r); err == nil {
				c.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
			}
			if !hangUp {
				<-release
			}
		})
		c := newClient(t, egress.Options{})
		got := deliver(t.Context(), t, c, dialect.Declaration{URL: g.url}, strings.Repeat("x", 8<<20-1000), long)
		if got != temporary(data.CauseStatus, 413) && (!hangUp || got != temporary(data.CauseReset, 0)) {
			t.Errorf("Deliver() with a hang-up %v = %+v; want the 413", hangUp, got)
		}
		close(release)
	}
}

func TestDeliverReusesConnectionsOfLongMessages(t *testing.T) {
	g := serve(t, func(_ *fakeGateway, c *conn, _ int) {
		for c.request() != nil && c.send(ok) {
			continue
		}
	})
	c := newClient(t, egress.Options{})
	for range 5 {
		if got := deliver(t.Context(), t, c, dialect.Declaration{URL: g.url}, strings.Repeat("x", 4<<20), long); got != delivered(200) {
			t.Fatalf("Deliver() = %+v", got)
		}
	}
	if conns, requests := g.conns.Load(), g.requests.Load(); conns != 1 || requests != 5 {
		t.Errorf("5 messages took %d connections and %d requests; want 1 and 5", conns, requests)
	}
}

func TestDeliverCutOffAnywhere(t *testing.T) {
	stops := map[string]struct {
		scheme string
		size   int
		want   data.Result
	}{
		"in the handshake": {"https:", 1, withdrawn},
		"while it is sent": {"http:", 8<<20 - 1000, data.Result{Outcome: data.OutcomeUnknown, Cause: data.CauseCutOff}},
	}
	for name, tt := range stops {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			release := make(chan struct{})
			g := serve(t, func(_ *fakeGateway, c *conn, _ int) {
				_, _ = io.ReadFull(c.r, make([]byte, 10))
				cancel()
				<-release
			})
			defer close(release)
			decl := dialect.Declaration{URL: strings.Replace(g.url, "http:", tt.scheme, 1)}
			if got := deliver(ctx, t, newClient(t, egress.Options{}), decl, strings.Repeat("x", tt.size), long); got != tt.want {
				t.Errorf("Deliver() = %+v; want %+v", got, tt.want)
			}
		})
	}
}

// One who accepts and says nothing holds a connection as long as its attempt.
func TestDeliverHoldsNothingAfterwards(t *testing.T) {
	const attempts = 80
	g := serve(t, func(_ *fakeGateway, c *conn, _ int) { c.hold() })
	c := newClient(t, egress.Options{})
	var running sync.WaitGroup
	for range attempts {
		running.Go(func() {
			if got := deliver(t.Context(), t, c, dialect.Declaration{URL: g.url}, "test", short); got != temporary(data.CauseTimeout, 0) {
				t.Errorf("Deliver() = %+v", got)
			}
		})
	}
	running.Wait()
	for range g.conns.Load() {
		g.awaitClosed(t)
	}
}

func TestDeliverAsksBeforeEachConnection(t *testing.T) {
	g := serve(t, func(_ *fakeGateway, c *conn, _ int) {
		if c.request() != nil {
			c.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		}
	})
	_, port, _ := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(g.url, "http://"), "/in"))
	var mu sync.Mutex
	asked := map[string]int{}
	c := newClient(t, egress.Options{Control: func(_, address string, _ syscall.RawConn) error {
		mu.Lock()
		defer mu.Unlock()
		asked[address]++
		return nil
	}})
	for range 2 {
		if got := deliver(t.Context(), t, c, dialect.Declaration{URL: "http://localhost:" + port + "/in"}, "test", long); got != delivered(200) {
			t.Errorf("Deliver() = %+v", got)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if n := asked["127.0.0.1:"+port]; n != 2 {
		t.Errorf("2 connections were asked for as %v", asked)
	}
}

func TestDoSendsOnlyHTTP(t *testing.T) {
	g := serve(t, answers(func(c *conn) { c.send(ok) }))
	field := func(name, value string) []dialect.HeaderField {
		return []dialect.HeaderField{{Name: name, Value: value}}
	}
	tests := map[string]dialect.Request{
		"line in a value":   {Method: "POST", URL: g.url, Header: field("X", "a\r\nY: b")},
		"NUL in a value":    {Method: "POST", URL: g.url, Header: field("X", "a\x00")},
		"line in a name":    {Method: "POST", URL: g.url, Header: field("X\r\nY", "b")},
		"colon in a name":   {Method: "POST", URL: g.url, Header: field("X:Y", "b")},
		"no name":           {Method: "POST", URL: g.url, Header: field("", "b")},
		"space in a method": {Method: "POST /x", URL: g.url},
		"no method":         {URL: g.url},
		"space in a query":  {Method: "POST", URL: g.url + "?a b"},
		"line in a URL":     {Method: "POST", URL: g.url + "\r\nX: y"},
		"no host":           {Method: "POST", URL: "http:///in"},
		"another scheme":    {Method: "POST", URL: "ftp" + strings.TrimPrefix(g.url, "http")},
	}
	for name, r := range tests {
		if a, cause := newClient(t, egress.Options{}).Do(t.Context(), r, long); cause != data.CauseRendering {
			t.Errorf("Do() of %s = %+v, %q; want %q", name, a, cause, data.CauseRendering)
		}
	}
	if n := g.conns.Load(); n != 0 {
		t.Errorf("Do() made %d connections; want none", n)
	}
}
