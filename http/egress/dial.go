package egress

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
	"strings"
)

// endpoint is what a connection leads to. A connection is used again only for
// the same one.
type endpoint struct {
	secure bool
	host   string    // with the port, if the URL has one
	as     *identity // nil for that of all who declare none
}

// address returns the host, without the brackets that IPv6 has in a URL, and
// with the port what is to be dialled.
func (e endpoint) address() (host, address string) {
	u := url.URL{Host: e.host}
	port := u.Port()
	switch {
	case port != "":
	case e.secure:
		port = "443"
	default:
		port = "80"
	}
	return u.Hostname(), net.JoinHostPort(u.Hostname(), port)
}

// dialer makes connections. It knows no proxy, and HTTP/1.1 only.
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

// dial connects, and shakes hands where the endpoint is secure.
func (d *dialer) dial(ctx context.Context, to endpoint) (*conn, error) {
	host, address := to.address()
	raw, err := d.net.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	// The host may be part of a URL that was rendered, and outlives it.
	to.host = strings.Clone(to.host)
	if !to.secure {
		return newConn(to, raw, nil), nil
	}
	config := d.tls
	if to.as != nil {
		config = to.as.config
	}
	config = config.Clone()
	config.ServerName = host
	secure := tls.Client(raw, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, &handshakeError{err}
	}
	return newConn(to, raw, secure), nil
}

// handshakeError marks an error of the TLS handshake, so that it can be told
// from one in what follows.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "shake hands: " + e.err.Error() }

func (e *handshakeError) Unwrap() error { return e.err }
