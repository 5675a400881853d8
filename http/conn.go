package httpapi

import (
	"net"
	"sync/atomic"
	"time"
)

// calmListener hands out connections that set their timers seldom.
type calmListener struct {
	net.Listener
	slack time.Duration
	open  *openConns
}

// Accept waits for the next connection.
func (l *calmListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &calmConn{Conn: conn, slack: l.slack, open: l.open}
	l.open.add(c)
	return c, nil
}

// slackOf is how much earlier than asked a connection may time out: so little of
// every limit that nobody minds, so much that a busy connection seldom sets a timer.
func slackOf(o Options) time.Duration {
	return min(o.ReadTimeout, o.WriteTimeout, o.IdleTimeout) / 16
}

// calmConn notes deadlines and sets the timer of one only when something is read or
// written and the timer is not about right already. The server below sets three for
// every request, and most requests wait for none. A connection is read, written and
// given its deadlines by one goroutine; Close may come from any.
type calmConn struct {
	net.Conn
	slack       time.Duration
	open        *openConns // that it is one of; nil for none
	read, write deadline
	heard       bool        // whether anything was read
	lingers     atomic.Bool // whether Close waits for the other side
	pace        pace        // 0 means that the deadline is for all that is written
}

// pace is how fast a peer must take what is written: so many bytes before it has kept
// the writer waiting for so long. What the writer itself takes does not count.
type pace struct {
	bytes  int
	within time.Duration

	taken  int           // of the bytes
	waited time.Duration // for those
}

// left is how long the next bytes may take.
func (p *pace) left() time.Duration { return p.within - p.waited }

// took notes what was taken, and in which time.
func (p *pace) took(n int, waited time.Duration) {
	p.taken += n
	p.waited += waited
	if p.taken >= p.bytes {
		p.taken, p.waited = 0, 0
	}
}

// pacePiece is how many bytes are written at a time to one who keeps a pace.
const pacePiece = 64 << 10

type deadline struct{ wanted, armed time.Time }

// stale reports whether the timer would go off too late, or earlier than slack allows.
func (d *deadline) stale(slack time.Duration) bool {
	if d.wanted.IsZero() || d.armed.IsZero() {
		return d.wanted != d.armed
	}
	early := d.wanted.Sub(d.armed)
	return early < 0 || early >= slack
}

// SetDeadline notes both deadlines.
func (c *calmConn) SetDeadline(at time.Time) error {
	c.read.wanted, c.write.wanted = at, at
	return nil
}

// SetReadDeadline notes when a Read that begins from now on ends at the latest.
func (c *calmConn) SetReadDeadline(at time.Time) error {
	c.read.wanted = at
	return nil
}

// SetWriteDeadline is the same for Write.
func (c *calmConn) SetWriteDeadline(at time.Time) error {
	c.write.wanted = at
	return nil
}

func (c *calmConn) Read(p []byte) (int, error) {
	if c.read.stale(c.slack) {
		if err := c.Conn.SetReadDeadline(c.read.wanted); err != nil {
			return 0, err
		}
		c.read.armed = c.read.wanted
	}
	if last, ok := c.open.lastRead(); ok && (c.read.armed.IsZero() || c.read.armed.After(last)) {
		if err := c.Conn.SetReadDeadline(last); err != nil {
			return 0, err
		}
		c.read.armed = last
	}
	n, err := c.Conn.Read(p)
	c.heard = c.heard || n > 0
	return n, err
}

func (c *calmConn) Write(p []byte) (n int, err error) {
	if c.pace.within == 0 {
		return c.writePiece(p)
	}
	for n < len(p) && err == nil {
		began := time.Now()
		c.write.wanted = began.Add(c.pace.left())
		var wrote int
		wrote, err = c.writePiece(p[n:min(len(p), n+pacePiece)])
		n += wrote
		c.pace.took(wrote, time.Since(began))
	}
	return n, err
}

func (c *calmConn) writePiece(p []byte) (int, error) {
	if c.write.stale(c.slack) {
		if err := c.Conn.SetWriteDeadline(c.write.wanted); err != nil {
			return 0, err
		}
		c.write.armed = c.write.wanted
	}
	return c.Conn.Write(p)
}

// calmBelow finds our own connection in what the server below calls one, nil if there
// is none.
func calmBelow(conn net.Conn) *calmConn {
	for {
		switch c := conn.(type) {
		case *calmConn:
			return c
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return nil
		}
	}
}

// keepPace has the peer take so many bytes within a time, again and again, however long
// all of them take; 0 ends that. A nil connection, which a test has, takes it all at once.
func (c *calmConn) keepPace(bytes int, within time.Duration) {
	if c != nil {
		c.pace = pace{bytes: bytes, within: within}
	}
}
