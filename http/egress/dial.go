package egress

import (
	"context"
	"crypto/tls"
	"net"
)

// attemptKey is where a request's context keeps that of its attempt. The
// transport lets a dial go on when its request has ended, which a gateway that
// accepts nothing would turn into a heap of them.
type attemptKey struct{}

// dialer makes connections.
type dialer struct {
	net net.Dialer
	tls *tls.Config
}

func newDialer(o Options) *dialer {
	return &dialer{
		net: net.Dialer{Control: o.Control},
		tls: &tls.Config{
			RootCAs:            o.RootCAs,
			MinVersion:         tls.VersionTLS12,
			NextProtos:         []string{"http/1.1"},
			ClientSessionCache: tls.NewLRUClientSessionCache(256),
		},
	}
}

// attemptOf returns the context of the attempt that a dial is made for.
func attemptOf(ctx context.Context) context.Context {
	if attempt, ok := ctx.Value(attemptKey{}).(context.Context); ok {
		return attempt
	}
	return ctx
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return d.net.DialContext(attemptOf(ctx), network, address)
}

// dialTLS shakes hands itself, so that a failure in it can be told from one in
// what follows.
func (d *dialer) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	config := d.tls.Clone()
	config.ServerName = host
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(attemptOf(ctx)); err != nil {
		_ = conn.Close()
		return nil, &handshakeError{err}
	}
	return secure, nil
}

// handshakeError marks an error of the TLS handshake.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "shake hands: " + e.err.Error() }

func (e *handshakeError) Unwrap() error { return e.err }
