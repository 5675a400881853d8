package egress_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/egress"
)

// client makes a certificate that a gateway may ask for, as PEM.
func (a *authority) client(t *testing.T, name string) dialect.TLS {
	t.Helper()
	pair := a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	})
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return dialect.TLS{Certificate: block("CERTIFICATE", pair.Certificate[0]), Key: block("PRIVATE KEY", key)}
}

func (a *authority) pem() string { return block("CERTIFICATE", a.cert.Raw) }

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// mutual is a gateway that wants to know who is there, and remembers it for each
// connection and each request.
type mutual struct {
	*httptest.Server
	mu          sync.Mutex
	connections int
	names       []string
}

func newMutual(t *testing.T, ca *authority, change func(*tls.Config)) *mutual {
	t.Helper()
	m := &mutual{}
	m.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		defer m.mu.Unlock()
		name := ""
		if len(r.TLS.PeerCertificates) > 0 {
			name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		m.names = append(m.names, name)
		_, _ = w.Write([]byte(`{"access_token": "token-1", "token_type": "Bearer"}`))
	}))
	m.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.connections++
		}
	}
	m.Config.ErrorLog = log.New(discard{}, "", 0)
	m.TLS = ca.gateway(t, nil)
	m.TLS.ClientAuth, m.TLS.ClientCAs = tls.RequireAndVerifyClientCert, ca.pool()
	if change != nil {
		change(m.TLS)
	}
	m.StartTLS()
	t.Cleanup(m.Close)
	return m
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// seen returns how many connections there were, and who sent requests, and forgets
// the latter.
func (m *mutual) seen() (connections int, names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	names, m.names = m.names, nil
	return m.connections, names
}

func TestDeliverWithIdentity(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	one, stranger := ca.client(t, "one"), other.client(t, "stranger")
	with := func(d dialect.TLS, authority *authority) dialect.TLS {
		if authority != nil {
			d.CA = authority.pem()
		}
		return d
	}
	tests := map[string]struct {
		give   dialect.TLS
		system *authority // whom the system trusts
		want   data.Result
		name   string
	}{
		"certificate":                           {with(one, nil), ca, delivered(200), "one"},
		"certificate and authority":             {with(one, ca), other, delivered(200), "one"},
		"no certificate":                        {with(dialect.TLS{}, ca), other, temporary(data.CauseTLS, 0), ""},
		"certificate of another authority":      {with(stranger, ca), other, temporary(data.CauseTLS, 0), ""},
		"trusted by the system only, not by us": {with(one, other), ca, temporary(data.CauseTLS, 0), ""},
		"trusted by nobody":                     {with(one, nil), other, temporary(data.CauseTLS, 0), ""},
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for name, tt := range tests {
			t.Run(name+", "+tls.VersionName(version), func(t *testing.T) {
				t.Parallel()
				m := newMutual(t, ca, func(c *tls.Config) { c.MaxVersion = version })
				c := newClient(t, egress.Options{RootCAs: tt.system.pool()})
				decl := dialect.Declaration{URL: m.URL, TLS: tt.give}
				for range 3 {
					if got := deliver(t.Context(), t, c, decl, "test", long); got != tt.want {
						t.Errorf("Deliver() = %+v; want %+v", got, tt.want)
					}
				}
				connections, names := m.seen()
				if tt.name == "" {
					if len(names) != 0 {
						t.Errorf("the gateway heard of %q", names)
					}
					return
				}
				if connections != 1 || len(names) != 3 || names[0] != tt.name || names[2] != tt.name {
					t.Errorf("3 messages took %d connections, from %q; want one from %q", connections, names, tt.name)
				}
			})
		}
	}
}

// Gateways with the same address and other identities share neither connections nor
// TLS sessions, and those with the same identity do.
func TestIdentitiesShareNothing(t *testing.T) {
	ca := newAuthority(t)
	for _, keep := range []bool{true, false} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			m := newMutual(t, ca, func(c *tls.Config) { c.MaxVersion, c.ClientAuth = version, tls.VerifyClientCertIfGiven })
			m.Config.SetKeepAlivesEnabled(keep) // without, TLS sessions are resumed
			c := newClient(t, egress.Options{RootCAs: ca.pool()})
			identities := map[string]dialect.TLS{"": {}, "one": ca.client(t, "one"), "two": ca.client(t, "two")}
			for range 3 {
				for name, identity := range identities {
					decl := dialect.Declaration{URL: m.URL, TLS: identity}
					for range 2 {
						if got := deliver(t.Context(), t, c, decl, "test", long); got != delivered(200) {
							t.Fatalf("Deliver() as %q = %+v", name, got)
						}
					}
					if _, names := m.seen(); len(names) != 2 || names[0] != name || names[1] != name {
						t.Errorf("%s, kept %v: messages of %q came from %q", tls.VersionName(version), keep, name, names)
					}
				}
			}
			if connections, _ := m.seen(); keep && connections != len(identities) {
				t.Errorf("%d identities took %d connections", len(identities), connections)
			}
		}
	}
}

// A probe shakes hands as a message would.
func TestProbeWithIdentity(t *testing.T) {
	ca := newAuthority(t)
	m := newMutual(t, ca, nil)
	c := newClient(t, egress.Options{})
	decl := dialect.Declaration{URL: m.URL, TLS: ca.client(t, "one")}
	if got := c.Probe(t.Context(), declared(t, decl), long); got != data.CauseTLS {
		t.Errorf("Probe() without the authority = %q; want %q", got, data.CauseTLS)
	}
	decl.TLS.CA = ca.pem()
	if got := c.Probe(t.Context(), declared(t, decl), long); got != data.CauseNone {
		t.Errorf("Probe() = %q", got)
	}
	if got := deliver(t.Context(), t, c, decl, "test", long); got != delivered(200) {
		t.Errorf("Deliver() = %+v", got)
	}
	if _, names := m.seen(); len(names) != 1 || names[0] != "one" {
		t.Errorf("after 2 probes and a message %q sent requests; want one", names)
	}
}

// The token endpoint is talked to with the same identity (RFC 8705, 2).
func TestTokenWithIdentity(t *testing.T) {
	ca := newAuthority(t)
	m := newMutual(t, ca, nil)
	c := newClient(t, egress.Options{})
	decl := dialect.Declaration{URL: m.URL, TLS: ca.client(t, "one"), Auth: dialect.Auth{OAuth2: &dialect.OAuth2{TokenURL: m.URL, ClientID: "me", ClientSecret: "s3cret"}}}
	decl.TLS.CA = ca.pem()
	if got := deliver(t.Context(), t, c, decl, "test", long); got != delivered(200) {
		t.Errorf("Deliver() = %+v", got)
	}
	decl.TLS = ca.client(t, "two")
	decl.TLS.CA = ca.pem()
	if got := deliver(t.Context(), t, c, decl, "test", long); got != delivered(200) {
		t.Errorf("Deliver() = %+v", got)
	}
	if _, names := m.seen(); len(names) != 4 || names[0] != "one" || names[1] != "one" || names[2] != "two" || names[3] != "two" {
		t.Errorf("requests came from %q; want two each", names)
	}
}
