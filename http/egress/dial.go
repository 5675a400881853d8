package egress

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
)

// endpoint is what a connection leads to. A connection is used again only for
// the same one.
type endpoint struct {
	secure  bool
	guarded bool      // only addresses that [Networks] permits
	host    string    // with the port, if the URL has one
	as      *identity // nil for that of all who declare none
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
	net     net.Dialer
	guarded net.Dialer
	tls     *tls.Config
	allowed atomic.Pointer[Networks]
}

func newDialer(o Options) *dialer {
	d := &dialer{
		net: net.Dialer{Control: o.Control, Resolver: o.Resolver},
		tls: &tls.Config{
			RootCAs:            o.RootCAs,
			MinVersion:         tls.VersionTLS12,
			NextProtos:         []string{"http/1.1"},
			ClientSessionCache: tls.NewLRUClientSessionCache(256),
		},
	}
	d.guarded = net.Dialer{Resolver: o.Resolver, Control: func(network, address string, raw syscall.RawConn) error {
		switch {
		case !d.permits(address):
			return ErrForbidden
		case o.Control != nil:
			return o.Control(network, address, raw)
		}
		return nil
	}}
	d.allowed.Store(&o.Allowed)
	return d
}

// permits reports whether a guarded connection may lead to an address with its port.
func (d *dialer) permits(address string) bool { return d.allowed.Load().permitsRemote(address) }

// dial connects, and shakes hands where the endpoint is secure.
func (d *dialer) dial(ctx context.Context, to endpoint) (*conn, error) {
	host, address := to.address()
	by := &d.net
	if to.guarded {
		// The name is resolved once, here, and each address that it came to is asked
		// about before it is connected to: what it comes to later is of no use.
		by = &d.guarded
	}
	raw, err := by.DialContext(ctx, "tcp", address)
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
