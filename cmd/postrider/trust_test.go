package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/config"
)

// writeSigned writes a certificate for localhost that an authority of its own has signed,
// its key, and the certificate of the authority.
func writeSigned(t *testing.T, certificate, key, authority string) {
	t.Helper()
	made := func(name string, issuer *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IsCA: issuer == nil, BasicConstraintsValid: true,
		}
		if issuer == nil {
			issuer, by = c, own
		} else {
			c.DNSNames = []string{"localhost"}
		}
		der, err := x509.CreateCertificate(rand.Reader, c, issuer, &own.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		c, err = x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c, own
	}
	write := func(file, kind string, der []byte) {
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ca, by := made("our authority", nil, nil)
	leaf, own := made("our server", ca, by)
	inside, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	write(certificate, "CERTIFICATE", leaf.Raw)
	write(key, "PRIVATE KEY", inside)
	write(authority, "CERTIFICATE", ca.Raw)
}

// Health trusts the certificate that it has from the configuration, whoever signed it,
// and what --ca-file names, as all commands that talk to a server do.
func TestHealthWithTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	writePair(t, file("self.pem"), file("self.key"))
	writePair(t, file("other.pem"), file("other.key"))
	writeSigned(t, file("signed.pem"), file("signed.key"), file("ca.pem"))
	if err := os.WriteFile(file("empty.pem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	serve := func(name string) (port string) {
		cfg := settings(t)
		cfg.HTTP.TLS = config.ServerTLS{Certificate: file(name + ".pem"), Key: file(name + ".key")}
		p := start(t, cfg, nil)
		return strings.TrimPrefix(p.url, "http://127.0.0.1:")
	}
	self, signed := serve("self"), serve("signed")
	own := func(name, port string, more ...string) []string {
		return append([]string{"--http.tls.certificate", file(name + ".pem"), "--http.tls.key", file(name + ".key"), "--port", port}, more...)
	}
	at := func(port string, more ...string) []string {
		return append([]string{"--server", "https://localhost:" + port}, more...)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"own, signed by itself":       {own("self", self), exitClean, "ok\n"},
		"own, is ready":               {own("self", self, "--ready"), exitClean, "ready\n"},
		"own, signed by an authority": {own("signed", signed), exitClean, "ok\n"},
		"own, on all addresses":       {own("self", self, "--host", "0.0.0.0", "--http.allow_anonymous=true"), exitClean, "ok\n"},
		"own is another one":          {own("other", self), exitFailure, "not the one in the file of http.tls.certificate"},
		"own is not there":            {own("none", self), exitUsage, "http.tls.certificate: "},
		"own is empty":                {own("empty", self), exitUsage, "http.tls.certificate: the file has no certificate"},
		"own is not TLS":              {[]string{"--port", self}, exitFailure, ""},
		"own, by its authority":       {own("other", signed, "--host", "localhost", "--ca-file", file("ca.pem")), exitClean, "ok\n"},
		"own, by another authority":   {own("signed", signed, "--host", "localhost", "--ca-file", file("other.pem")), exitFailure, "--ca-file"},
		"by its authority":            {at(signed, "--ca-file", file("ca.pem")), exitClean, "ok\n"},
		"by itself":                   {at(self, "--ca-file", file("self.pem")), exitClean, "ok\n"},
		"by nobody":                   {at(signed), exitFailure, "its certificate is not trusted"},
		"another name":                {[]string{"--server", "https://127.0.0.1:" + self, "--ca-file", file("self.pem")}, exitFailure, "its certificate is not trusted"},
		"no such file":                {at(self, "--ca-file", file("none")), exitUsage, "read the certificates"},
		"nothing in the file":         {at(self, "--ca-file", file("empty.pem")), exitUsage, "none in PEM"},
	} {
		code, out, errs := healthOf(t, c.args...)
		if said := out + errs; code != c.code || !strings.Contains(said, c.says) {
			t.Errorf("%s: health %v = %d %q, want %d and %q", name, c.args, code, said, c.code, c.says)
		}
	}
	// The other commands trust in the same way.
	for ca, want := range map[string]int{"ca.pem": exitClean, "other.pem": exitFailure} {
		if code, _, errs := command(t, append([]string{"status"}, at(signed, "--ca-file", file(ca))...)...); code != want {
			t.Errorf("status with %s = %d %s, want %d", ca, code, errs, want)
		}
	}
}

// Who asks for health has no need of a key, and whoever is there gets none.
func TestHealthSendsNoKey(t *testing.T) {
	t.Setenv("POSTRIDER_KEY", "canary-0123456789")
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if given := r.Header.Get("Authorization"); given != "" {
			t.Errorf("it was sent %q", given)
		}
		_, _ = w.Write([]byte(`{"status":"ok"}`))
	}))
	t.Cleanup(s.Close)
	if code, _, errs := healthOf(t, "--server", s.URL); code != exitClean {
		t.Errorf("health = %d %s, want 0", code, errs)
	}
}
