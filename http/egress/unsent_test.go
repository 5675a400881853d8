package egress_test

import (
	"context"
	"net/http"
	"syscall"
	"testing"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/egress"
)

// clock is a time that stands still until a test moves it.
type clock struct{ at chan data.StoreTime }

func newClock(at data.StoreTime) *clock {
	c := &clock{at: make(chan data.StoreTime, 1)}
	c.at <- at
	return c
}

func (c *clock) now() data.StoreTime {
	at := <-c.at
	c.at <- at
	return at
}

func (c *clock) set(at data.StoreTime) { <-c.at; c.at <- at }

// expiring makes an attempt at a message that is not wanted from 100 on.
func expiring(t *testing.T, c *egress.Client, decl dialect.Declaration) data.Result {
	t.Helper()
	return c.Deliver(t.Context(), declared(t, decl), data.Message{ID: data.FirstID(1), Gateway: "gateway_1", Text: "test", Expires: 100}, 1, long)
}

func TestNothingLeavesAfterTheEndOfTheMessage(t *testing.T) {
	for name, tt := range map[string]struct {
		from, to data.StoreTime // before and after the wait
		want     data.Result
	}{
		"just in time":     {99, 99, delivered(200)},
		"before the wait":  {100, 100, withdrawn},
		"during the wait":  {99, 100, withdrawn},
		"long after it":    {1, 1000, withdrawn},
		"of another clock": {0, 0, delivered(200)},
	} {
		t.Run(name, func(t *testing.T) {
			now := newClock(tt.from)
			// While it waits for a token.
			p := newProvider(t)
			p.answer = func(http.ResponseWriter, int) bool { now.set(tt.to); return false }
			decl := p.declaration()
			decl.KeepAnswer = false
			if got := expiring(t, newClient(t, egress.Options{Now: now.now}), decl); got != tt.want {
				t.Errorf("Deliver() with a token = %+v; want %+v", got, tt.want)
			}
			if sent := p.sent.Load() == 1; sent != (tt.want != withdrawn) {
				t.Errorf("the gateway got it: %v", sent)
			}
			// While a connection is made.
			now.set(tt.from)
			g := serve(t, func(_ *fakeGateway, c *conn, _ int) {
				for c.request() != nil && c.send(ok) {
					continue
				}
			})
			dialling := func(_, _ string, _ syscall.RawConn) error { now.set(tt.to); return nil }
			c := newClient(t, egress.Options{Now: now.now, Control: dialling})
			if got := expiring(t, c, dialect.Declaration{URL: g.url}); got != tt.want {
				t.Errorf("Deliver() over a new connection = %+v; want %+v", got, tt.want)
			}
			if sent := g.requests.Load() == 1; sent != (tt.want != withdrawn) {
				t.Errorf("the gateway got it: %v", sent)
			}
			// The connection is as good as new for what is still wanted.
			if got := deliver(t.Context(), t, c, dialect.Declaration{URL: g.url}, "test", long); got != delivered(200) || g.conns.Load() != 1 {
				t.Errorf("the next Deliver() = %+v over %d connections; want one", got, g.conns.Load())
			}
		})
	}
}

// The end of the process before a request has left takes all of it back.
func TestWithdrawnWhereTheEndComesFirst(t *testing.T) {
	g := serve(t, answers(func(c *conn) { c.send(ok) }))
	for name, tt := range map[string]struct {
		error error
		want  data.Result
	}{
		"connected": {nil, withdrawn},
		// What was found out by then stands.
		"refused":   {syscall.ECONNREFUSED, temporary(data.CauseRefused, 0)},
		"forbidden": {egress.ErrForbidden, temporary(data.CauseForbidden, 0)},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		c := newClient(t, egress.Options{Control: func(_, _ string, _ syscall.RawConn) error { cancel(); return tt.error }})
		if got := deliver(ctx, t, c, dialect.Declaration{URL: g.url}, "test", long); got != tt.want {
			t.Errorf("Deliver() cut off while dialling, %s = %+v; want %+v", name, got, tt.want)
		}
	}
	// At the last moment.
	ctx, cancel := context.WithCancel(t.Context())
	c := newClient(t, egress.Options{Now: func() data.StoreTime { cancel(); return 99 }})
	m := data.Message{ID: data.FirstID(1), Gateway: "gateway_1", Text: "test", Expires: 100}
	if got := c.Deliver(ctx, compile(t, g.url), m, 1, long); got != withdrawn {
		t.Errorf("Deliver() cut off before it is sent = %+v; want %+v", got, withdrawn)
	}
	if n := g.requests.Load(); n != 0 {
		t.Errorf("%d requests came; want none", n)
	}
}

// An attempt that waits for room gives up its place.
func TestWithdrawnWaitingForRoom(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	g := serve(t, answers(func(c *conn) {
		close(arrived)
		<-release
		c.send(ok)
	}))
	c := newClient(t, egress.Options{MaxConns: 1})
	first := make(chan data.Result, 1)
	go func() { first <- deliver(t.Context(), t, c, dialect.Declaration{URL: g.url}, "test", long) }()
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	if got := deliver(ctx, t, c, dialect.Declaration{URL: g.url}, "test", long); got != withdrawn {
		t.Errorf("Deliver() = %+v; want %+v", got, withdrawn)
	}
	close(release)
	if got := <-first; got != delivered(200) {
		t.Errorf("the first Deliver() = %+v", got)
	}
}
