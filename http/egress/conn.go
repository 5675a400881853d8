package egress

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// conn is one connection to a gateway. It belongs to one exchange or to the
// pool, never to both.
type conn struct {
	to     endpoint
	raw    net.Conn
	secure *tls.Conn // nil without TLS
	stream net.Conn  // raw or secure, what requests go through

	fd    syscall.RawConn
	probe func(fd uintptr) // kept, since making it anew costs an allocation
	waits int              // what probe found: bytes, at least; -1 for none, 0 for the end
	spoke bool             // what quiet found: the gateway sent something that nobody asked for

	ended sync.Once
	of    *pool // whose room it takes; nil before that is known

	// Of the pool, guarded by its mutex.
	since        time.Time
	older, newer *conn // of all that are idle
	below, above *conn // of those to the same endpoint
}

func newConn(to endpoint, raw net.Conn, secure *tls.Conn) *conn {
	c := &conn{to: to, raw: raw, secure: secure, stream: raw}
	if secure != nil {
		c.stream = secure
	}
	if s, ok := raw.(syscall.Conn); ok {
		c.fd, _ = s.SyscallConn()
	}
	c.probe = func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch err {
		case nil:
			c.waits = n
		case syscall.EAGAIN:
			c.waits = -1
		}
	}
	return c
}

// close also ends reads and writes under way. TLS is not told good-bye: that
// could wait for a gateway that does not read, and every length is known.
func (c *conn) close() {
	c.ended.Do(func() {
		_ = c.raw.Close()
		if c.of != nil {
			c.of.release()
		}
	})
}

// quiet reports whether the connection is open and nothing came on it that was
// not read. To find out it may read what nobody wants: one that is not quiet is
// of no use any more.
func (c *conn) quiet() bool {
	c.waits = 0
	if c.fd == nil || c.fd.Control(c.probe) != nil {
		return false
	}
	if c.secure == nil {
		c.spoke = c.waits > 0
		return c.waits < 0
	}
	// TLS may hold more than it was asked for. With a deadline that has passed it
	// gives that away and does not turn to the socket; where something waits there,
	// that may be its own good-bye and no word of the gateway.
	deadline := time.Unix(1, 0)
	if c.waits > 0 {
		deadline = time.Now().Add(parting)
	}
	var b [1]byte
	if c.secure.SetReadDeadline(deadline) != nil {
		return false
	}
	n, err := c.secure.Read(b[:])
	c.spoke = n > 0
	return c.waits < 0 && n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// parting is how long it may take to read what is there already.
const parting = 5 * time.Millisecond
