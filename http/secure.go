package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"
)

// handshakeLimit is how long a client may take to agree on keys.
const handshakeLimit = 10 * time.Second

// errNoHandshake: there are no keys yet that a write could use.
var errNoHandshake = errors.New("no handshake yet")

// secureListener hands out connections that are secured.
type secureListener struct {
	net.Listener
	config *tls.Config
	log    *slog.Logger
}

// Accept waits for the next connection. The handshake is for whoever reads from it:
// one slow client must not keep others from connecting.
func (l *secureListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &secureConn{Conn: tls.Server(conn, l.config), log: l.log}, nil
}

// secureConn makes the handshake when it is first read from, within a limit of its
// own. Left to itself it would do so at the first write as well, and a connection that
// is one too many is written to by the goroutine that accepts all others. It is read
// and written by one goroutine; Close may come from any.
type secureConn struct {
	*tls.Conn
	log    *slog.Logger
	shaken bool
}

// Read ends as if the client had gone when it does not come to a handshake: the
// server below would answer anything else, and nothing can be written.
func (c *secureConn) Read(p []byte) (int, error) {
	if !c.shaken {
		ctx, cancel := context.WithTimeout(context.Background(), handshakeLimit)
		err := c.HandshakeContext(ctx)
		cancel()
		if err != nil {
			c.log.Debug("no TLS connection", "remote", c.RemoteAddr().String(), "err", err)
			return 0, io.EOF
		}
		c.shaken = true
	}
	return c.Conn.Read(p)
}

func (c *secureConn) Write(p []byte) (int, error) {
	if !c.shaken {
		return 0, errNoHandshake
	}
	return c.Conn.Write(p)
}
