package rig

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"
)

// Listen opens a port of ours. It is closed with ctx.
func Listen(ctx context.Context) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	return l, nil
}

// Serve starts a server of gateways and returns its URL. It ends with ctx.
func Serve(ctx context.Context, handler http.Handler) (url string, err error) {
	l, err := Listen(ctx)
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: Patience, ErrorLog: Quiet(), ConnContext: withConnection}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(l) }() // ends when it is closed
	return "http://" + l.Addr().String(), nil
}

// connectionKey is where the context of a request has its connection.
type connectionKey struct{}

func withConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, c)
}

// Lateness is how long ago the newest bytes of a request to a server of [Serve]
// came to this machine's kernel: on a busy machine the server may turn to them a
// second later. It is 0 where that is not known.
func Lateness(r *http.Request) time.Duration {
	c, ok := r.Context().Value(connectionKey{}).(syscall.Conn)
	if !ok {
		return 0
	}
	return sinceReceived(c)
}

// Quiet is for servers whose clients are killed, which they would complain about.
func Quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// Silent accepts connections on a port, reads what comes and says nothing.
func Silent(ctx context.Context) (url string, err error) {
	l, err := Listen(ctx)
	if err != nil {
		return "", err
	}
	go func() {
		for {
			conn, err := l.Accept()
			switch {
			case err == nil:
				go func() {
					stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
					_, _ = io.Copy(io.Discard, conn) // until it is closed
					if stop() {
						_ = conn.Close()
					}
				}()
			case ctx.Err() != nil, errors.Is(err, net.ErrClosed), Wait(ctx, 10*time.Millisecond) != nil:
				return
			}
		}
	}()
	return "http://" + l.Addr().String(), nil
}

// Refusing returns the URL of a port where connections are refused.
func Refusing(ctx context.Context) (url string, err error) {
	p, err := Bind(ctx)
	if err != nil {
		return "", err
	}
	return "http://" + p.Address, nil
}

// Port is one that is bound, so that nobody gets it meanwhile, and where
// connections are refused until somebody listens. A connection to it cannot get it
// for its own end and so meet itself.
type Port struct {
	Address string
	fd      int
}

// Bind binds a port. It is closed with ctx.
func Bind(ctx context.Context) (*Port, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	syscall.CloseOnExec(fd)
	context.AfterFunc(ctx, func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, fmt.Errorf("bind a port: %w", err)
	}
	address, err := syscall.Getsockname(fd)
	if err != nil {
		return nil, fmt.Errorf("read the port: %w", err)
	}
	return &Port{fmt.Sprintf("127.0.0.1:%d", address.(*syscall.SockaddrInet4).Port), fd}, nil
}

// Listen has connections accepted from now on. The listener is the caller's to
// close.
func (p *Port) Listen() (net.Listener, error) {
	if err := syscall.Listen(p.fd, syscall.SOMAXCONN); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	fd, err := syscall.Dup(p.fd)
	if err != nil {
		return nil, fmt.Errorf("copy a socket: %w", err)
	}
	syscall.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), p.Address)
	defer func() { _ = f.Close() }()
	return net.FileListener(f)
}

// Certify makes a certificate for loopback that vouches for itself.
func Certify() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
