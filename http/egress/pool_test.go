package egress

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func fakeConn(t *testing.T, host string) *conn {
	near, far := net.Pipe()
	t.Cleanup(func() { _ = near.Close(); _ = far.Close() })
	return newConn(endpoint{host: host}, near, nil)
}

func (c *conn) open() bool { return c.raw.SetDeadline(time.Time{}) == nil }

func TestPoolTakesTheYoungest(t *testing.T) {
	p := newPool(10, 0, time.Minute)
	defer p.close()
	a, b, other := fakeConn(t, "a"), fakeConn(t, "a"), fakeConn(t, "b")
	p.put(a)
	p.put(b)
	p.put(other)
	for _, want := range []*conn{b, a, nil} {
		if got := p.take(endpoint{host: "a"}); got != want {
			t.Errorf("take() = %p; want %p", got, want)
		}
	}
	if got := p.take(endpoint{host: "b", secure: true}); got != nil {
		t.Errorf("take() of the secure endpoint = %p", got)
	}
	if got := p.take(endpoint{host: "b"}); got != other || len(p.top) != 0 || p.oldest != nil || p.newest != nil || p.count != 0 {
		t.Errorf("take() = %p, leaves %+v", got, p)
	}
}

func TestPoolDropsTheOldest(t *testing.T) {
	p := newPool(2, 0, time.Minute)
	defer p.close()
	conns := []*conn{fakeConn(t, "a"), fakeConn(t, "b"), fakeConn(t, "a"), fakeConn(t, "c")}
	for _, c := range conns {
		p.put(c)
	}
	for i, want := range []bool{false, false, true, true} {
		if got := conns[i].open(); got != want {
			t.Errorf("connection %d is open %v; want %v", i, got, want)
		}
	}
	p.close()
	late := fakeConn(t, "a")
	p.put(late)
	if conns[2].open() || conns[3].open() || late.open() || len(p.top) != 0 {
		t.Errorf("close() leaves %+v", p)
	}
}

func TestPoolDropsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(10, 0, 4*time.Second)
		defer p.close()
		for range 2 {
			a, b := fakeConn(t, "a"), fakeConn(t, "a")
			p.put(a)
			time.Sleep(time.Second)
			p.put(b)
			time.Sleep(3*time.Second - time.Nanosecond)
			synctest.Wait()
			if !a.open() {
				t.Error("a connection was dropped early")
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if a.open() || !b.open() {
				t.Errorf("after its time a connection is open %v, the younger one %v", a.open(), b.open())
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if b.open() || len(p.top) != 0 || p.reaper != nil {
				t.Errorf("after all times the pool is %+v", p)
			}
		}
	})
}

// A process that stood still finds nothing that is too old.
func TestPoolGivesNothingOld(t *testing.T) {
	p := newPool(10, 0, time.Minute)
	defer p.close()
	c := fakeConn(t, "a")
	p.put(c)
	c.since = c.since.Add(-time.Minute)
	if got := p.take(c.to); got != nil {
		t.Errorf("take() = %p; want nothing", got)
	}
}

// What is kept makes room for what is needed; what is in use does not, and
// whoever waits for it gets the first that comes back.
func TestPoolMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(2, 3, time.Minute)
		defer p.close()
		conns := make([]*conn, 3)
		for i := range conns {
			if err := p.reserve(t.Context()); err != nil {
				t.Fatalf("reserve() %d = %v", i, err)
			}
			conns[i] = fakeConn(t, "a")
			conns[i].of = p
		}
		p.put(conns[0])
		p.put(conns[1])
		if err := p.reserve(t.Context()); err != nil || conns[0].open() || !conns[1].open() || p.count != 1 {
			t.Fatalf("reserve() = %v and keeps %d; want the oldest closed", err, p.count)
		}
		if p.take(conns[1].to) != conns[1] {
			t.Fatal("take() gives another connection")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.reserve(ctx); !errors.Is(err, errNoRoom) {
			t.Fatalf("reserve() with all in use = %v; want %v", err, errNoRoom)
		}
		done := make(chan error)
		go func() { done <- p.reserve(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("reserve() with all in use = %v; want it to wait", err)
		default:
		}
		back := time.Now()
		p.put(conns[1])
		if err := <-done; err != nil || conns[1].open() || p.count != 0 || time.Since(back) > 0 {
			t.Fatalf("reserve() = %v, %v after one came back, which is open %v; want it closed at once", err, time.Since(back), conns[1].open())
		}
		conns[2].close()
		conns[2].close()
		if len(p.open) != 2 {
			t.Errorf("%d connections count as open; want 2: one closed twice counts once", len(p.open))
		}
		last := fakeConn(t, "a")
		last.of = p
		if p.put(last); p.count != 1 {
			t.Error("nobody waits any more, and nothing is kept")
		}
	})
}

// An endpoint that was used costs nothing once its connection is gone.
func TestPoolForgetsEndpoints(t *testing.T) {
	p := newPool(10, 0, time.Minute)
	defer p.close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 100_000 {
		c := &conn{to: endpoint{host: "gateway-" + strconv.Itoa(i) + ".example"}, raw: noConn{}}
		p.put(c)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if len(p.top) != 10 || p.count != 10 {
		t.Errorf("%d endpoints and %d connections are kept; want 10", len(p.top), p.count)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("100,000 endpoints cost %d bytes", grown)
	}
	runtime.KeepAlive(p)
}

type noConn struct{ net.Conn }

func (noConn) Close() error { return nil }
