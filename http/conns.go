package httpapi

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// readGrace is what the end of the server leaves to a request that is half there.
	// Nothing of it was acknowledged, and its client may not mean to send the rest.
	readGrace = time.Second

	// lingerTime and lingerBytes bound what is dropped of a request that was answered
	// before it was read.
	lingerTime  = 5 * time.Second
	lingerBytes = 16 << 20
)

// openConns are the connections that are open.
type openConns struct {
	mu   sync.Mutex
	all  map[*calmConn]struct{}
	last atomic.Pointer[time.Time] // when all reading ends; nil means that it goes on
}

func (o *openConns) add(c *calmConn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all == nil {
		o.all = make(map[*calmConn]struct{})
	}
	o.all[c] = struct{}{}
}

func (o *openConns) remove(c *calmConn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.all, c)
}

// readUntil ends all reading at a time, also reading that is under way. A connection
// looks at the time after it has set its timer, and here it is set before the timers:
// whichever comes later, the timer is right.
func (o *openConns) readUntil(last time.Time) {
	o.last.Store(&last)
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.all {
		_ = c.Conn.SetReadDeadline(last) // fails for what is closed
	}
}

// lastRead returns when all reading ends, false when it goes on.
func (o *openConns) lastRead() (time.Time, bool) {
	if o == nil {
		return time.Time{}, false
	}
	last := o.last.Load()
	if last == nil {
		return time.Time{}, false
	}
	return *last, true
}

// lingerAtEnd has Close wait for the other side, where that has said anything. A nil
// connection, which a test has, ends at once.
func (c *calmConn) lingerAtEnd() {
	if c != nil && c.heard {
		c.lingers.Store(true)
	}
}

// Close ends the connection.
func (c *calmConn) Close() error {
	if c.lingers.CompareAndSwap(true, false) {
		c.linger()
	}
	if c.open != nil {
		c.open.remove(c)
	}
	return c.Conn.Close()
}

// linger says that nothing more is written, and drops what still comes until the other
// side has heard that: where something is left unread, the system resets a connection
// that is closed, and with that the client may lose the answer that it got.
func (c *calmConn) linger() {
	conn := c.Conn
	for {
		half, ok := conn.(interface{ CloseWrite() error })
		if !ok || half.CloseWrite() != nil {
			return
		}
		outer, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = outer.NetConn() // what TLS hides need not be read
	}
	if conn.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	if last, ok := c.open.lastRead(); ok {
		_ = conn.SetReadDeadline(last)
	}
	_, _ = io.CopyN(io.Discard, conn, lingerBytes)
}
