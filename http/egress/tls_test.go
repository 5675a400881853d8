package egress_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/egress"
)

// authority signs the certificates of test gateways.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a := &authority{}
	der := a.sign(t, template)
	var err error
	if a.cert, err = x509.ParseCertificate(der.Certificate[0]); err != nil {
		t.Fatal(err)
	}
	a.key = der.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

// sign makes a key and a certificate for it; the first one is the authority's own.
func (a *authority) sign(t *testing.T, template *x509.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// gateway signs for 127.0.0.1 unless change says otherwise.
func (a *authority) gateway(t *testing.T, change func(*x509.Certificate)) *tls.Config {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if change != nil {
		change(template)
	}
	return &tls.Config{Certificates: []tls.Certificate{a.sign(t, template)}, MinVersion: tls.VersionTLS12}
}

func TestDeliverOverTLS(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	expired := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }
	elsewhere := func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"gateway.example"} }
	mutual := ca.gateway(t, nil)
	mutual.ClientAuth = tls.RequireAnyClientCert
	old := ca.gateway(t, nil)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 //nolint:gosec // it is the gateway that must be refused
	tests := map[string]struct {
		config  *tls.Config // nil for a gateway that does not speak TLS
		silent  bool        // a gateway that does not speak
		timeout time.Duration
		want    data.Result
	}{
		"trusted":                 {ca.gateway(t, nil), false, long, delivered(200)},
		"expired":                 {ca.gateway(t, expired), false, long, temporary(data.CauseTLS, 0)},
		"of another host":         {ca.gateway(t, elsewhere), false, long, temporary(data.CauseTLS, 0)},
		"of another authority":    {other.gateway(t, nil), false, long, temporary(data.CauseTLS, 0)},
		"wants to know us":        {mutual, false, long, temporary(data.CauseTLS, 0)},
		"too old":                 {old, false, long, temporary(data.CauseTLS, 0)},
		"without TLS":             {nil, false, long, temporary(data.CauseTLS, 0)},
		"silent in the handshake": {nil, true, short, temporary(data.CauseUnreached, 0)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := serve(t, func(g *fakeGateway, c *conn, _ int) {
				switch {
				case tt.silent:
					c.hold()
					return
				case tt.config != nil:
					secure := tls.Server(c.Conn, tt.config)
					if secure.Handshake() != nil {
						return
					}
					c = newConn(g, secure)
				}
				for c.request() != nil && c.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") {
					continue
				}
			})
			c := newClient(t, egress.Options{RootCAs: ca.pool()})
			decl := dialect.Declaration{URL: strings.Replace(g.url, "http:", "https:", 1)}
			for range 2 {
				if got := deliver(t.Context(), t, c, decl, "test", tt.timeout); got != tt.want {
					t.Errorf("Deliver() = %+v; want %+v", got, tt.want)
				}
			}
			want := int32(2)
			if tt.want.Outcome == data.OutcomeDelivered {
				want = 1
				c.Close()
			}
			if n := g.conns.Load(); n != want {
				t.Errorf("2 messages took %d connections; want %d", n, want)
			}
			// Not even a handshake goes on when its attempt is over.
			for range want {
				g.awaitClosed(t)
			}
		})
	}
}
