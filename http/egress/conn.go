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

	fd     syscall.RawConn
	probe  func(fd uintptr) // kept, since making it anew costs an allocation
	silent bool             // what probe found

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
		_, err := syscall.Read(int(fd), b[:])
		c.silent = err == syscall.EAGAIN
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
	c.silent = false
	if c.fd == nil || c.fd.Control(c.probe) != nil || !c.silent {
		return false
	}
	if c.secure == nil {
		return true
	}
	// TLS may hold more than it was asked for. With a deadline that has passed it
	// gives that away and does not turn to the socket.
	var b [1]byte
	if c.secure.SetReadDeadline(time.Unix(1, 0)) != nil {
		return false
	}
	n, err := c.secure.Read(b[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}
