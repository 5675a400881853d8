package egress

import (
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
	p := newPool(10, time.Minute)
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
	p := newPool(2, time.Minute)
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
		p := newPool(10, 4*time.Second)
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
	p := newPool(10, time.Minute)
	defer p.close()
	c := fakeConn(t, "a")
	p.put(c)
	c.since = c.since.Add(-time.Minute)
	if got := p.take(c.to); got != nil {
		t.Errorf("take() = %p; want nothing", got)
	}
}

// An endpoint that was used costs nothing once its connection is gone.
func TestPoolForgetsEndpoints(t *testing.T) {
	p := newPool(10, time.Minute)
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
