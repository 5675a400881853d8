package httpapi

import (
	"net"
	"time"
)

// calmListener hands out connections that set their timers seldom.
type calmListener struct {
	net.Listener
	slack time.Duration
}

// Accept waits for the next connection.
func (l *calmListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &calmConn{Conn: conn, slack: l.slack}, nil
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
	read, write deadline
	each        time.Duration // for every single Write, whatever the deadline; 0 for none
}

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
	return c.Conn.Read(p)
}

func (c *calmConn) Write(p []byte) (int, error) {
	if c.each > 0 {
		c.write.wanted = time.Now().Add(c.each)
	}
	if c.write.stale(c.slack) {
		if err := c.Conn.SetWriteDeadline(c.write.wanted); err != nil {
			return 0, err
		}
		c.write.armed = c.write.wanted
	}
	return c.Conn.Write(p)
}
