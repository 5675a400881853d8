package httpapi

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pair is a certificate that signs itself, with its key, in files.
type pair struct{ certificate, key string }

// writePair writes a new pair for localhost; serial tells it from others.
func writePair(t *testing.T, p pair, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	made := x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &made, &made, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	inside, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{p.certificate: {Type: "CERTIFICATE", Bytes: der}, p.key: {Type: "PRIVATE KEY", Bytes: inside}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func newPair(t *testing.T) pair {
	t.Helper()
	dir := t.TempDir()
	p := pair{filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")}
	writePair(t, p, 1)
	return p
}

func openPair(t *testing.T, p pair, log *slog.Logger) *Certificate {
	t.Helper()
	c, err := OpenCertificate(p.certificate, p.key, log)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newTestTLS(t *testing.T) *tls.Config {
	t.Helper()
	return openPair(t, newPair(t), slog.New(slog.DiscardHandler)).TLS()
}

// serialOf returns the serial number of what the server shows at a handshake.
func serialOf(t *testing.T, c *Certificate) int64 {
	t.Helper()
	shown, err := c.TLS().GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	return shown.Leaf.SerialNumber.Int64()
}

func TestCertificateIsReadAgain(t *testing.T) {
	lines := &logLines{}
	files := newPair(t)
	c := openPair(t, files, lines.logger())
	at := &clock{noon}
	c.now = at.now
	if got := serialOf(t, c); got != 1 {
		t.Fatalf("the certificate is number %d, want 1", got)
	}
	writePair(t, files, 2)
	at.advance(certificateLook - 1)
	if got := serialOf(t, c); got != 1 {
		t.Errorf("1 ns before the next look the certificate is number %d, want 1", got)
	}
	at.advance(1)
	if got := serialOf(t, c); got != 2 {
		t.Errorf("at the next look the certificate is number %d, want 2", got)
	}
	// One file of the two, then a file that is none: the one before stays, and it is
	// said once for each.
	other := newPair(t)
	for i, spoil := range []func() error{
		func() error { return os.Rename(other.certificate, files.certificate) },
		func() error { return os.WriteFile(files.key, []byte("canary"), 0o600) },
		func() error { return os.WriteFile(files.key, []byte(strings.Repeat("canary", maxCertificate)), 0o600) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			at.advance(certificateLook)
			if got := serialOf(t, c); got != 2 {
				t.Errorf("spoilt in way %d the certificate is number %d, want 2", i, got)
			}
		}
		if got := strings.Count(lines.String(), "level=ERROR"); got != i+1 {
			t.Errorf("spoilt in way %d: %d errors were logged, want %d:\n%s", i, got, i+1, lines)
		}
		if _, err := c.Read(); err == nil || strings.Contains(err.Error(), files.key) {
			t.Errorf("spoilt in way %d: Read = %v, want an error without the path", i, err)
		}
	}
	if err := os.Remove(files.key); err != nil {
		t.Fatal(err)
	}
	at.advance(certificateLook)
	if got := serialOf(t, c); got != 2 {
		t.Errorf("without a key the certificate is number %d, want 2", got)
	}
	if strings.Contains(lines.String(), "canary") {
		t.Errorf("the log shows a key:\n%s", lines)
	}
	writePair(t, files, 3)
	next, err := c.Read()
	if err != nil || serialOf(t, c) != 2 {
		t.Errorf("Read = %v, the certificate is number %d; want it to stay 2", err, serialOf(t, c))
	}
	// What was read is shown, whatever the files are by then, until they are looked at.
	if err := os.Remove(files.certificate); err != nil {
		t.Fatal(err)
	}
	if c.Use(next); serialOf(t, c) != 3 {
		t.Errorf("after Use the certificate is number %d; want 3 at once", serialOf(t, c))
	}
	writePair(t, files, 4)
	at.advance(certificateLook)
	if got := serialOf(t, c); got != 4 {
		t.Errorf("at the look after that the certificate is number %d, want 4", got)
	}
}

func TestCertificateThatCannotBeUsed(t *testing.T) {
	good, other := newPair(t), newPair(t)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]pair{
		"none": {good.certificate, good.key + "x"}, "directory": {filepath.Dir(good.certificate), good.key}, "empty": {empty, good.key},
		"swapped": {good.key, good.certificate}, "of another": {good.certificate, other.key},
	} {
		if _, err := OpenCertificate(p.certificate, p.key, nil); err == nil || strings.Contains(err.Error(), t.TempDir()) {
			t.Errorf("%s: OpenCertificate = %v, want an error without a path", name, err)
		}
	}
}

// secured serves with TLS and returns the address and how a client connects.
func secured(t *testing.T, change ...func(*Options)) (string, *tls.Config) {
	t.Helper()
	_, addr, config := securedServer(t, change...)
	return addr, config
}

func securedServer(t *testing.T, change ...func(*Options)) (*Server, string, *tls.Config) {
	t.Helper()
	files := newPair(t)
	roots := x509.NewCertPool()
	text, err := os.ReadFile(files.certificate)
	if err != nil || !roots.AppendCertsFromPEM(text) {
		t.Fatal("no certificate")
	}
	change = append([]func(*Options){func(o *Options) {
		o.Hosts = nil
		o.TLS = openPair(t, files, o.Logger).TLS()
	}}, change...)
	server := newServer(t, newStore(), change...)
	return server, listen(t, server), &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS10}
}

const askEvents = "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"

func TestTLS(t *testing.T) {
	addr, config := secured(t)
	for version, fits := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		c := config.Clone()
		c.MaxVersion = version
		conn := tls.Client(dial(t, addr), c)
		err := conn.HandshakeContext(t.Context())
		if (err == nil) != fits {
			t.Errorf("a handshake with %s = %v, want it to succeed: %v", tls.VersionName(version), err, fits)
		}
		if err != nil {
			continue
		}
		r := bufio.NewReader(conn)
		for range 3 { // the connection is kept
			if _, err := io.WriteString(conn, askEvents); err != nil {
				t.Fatal(err)
			}
			if status, body := readAnswer(t, r); status != 200 {
				t.Errorf("with %s = %d %s, want 200", tls.VersionName(version), status, body)
			}
		}
	}
	// Without TLS there is no answer, and no way in.
	conn := dial(t, addr)
	if _, err := io.WriteString(conn, askEvents); err != nil {
		t.Fatal(err)
	}
	if answer, _ := io.ReadAll(conn); strings.Contains(string(answer), "HTTP/1.1 200") {
		t.Errorf("a request without TLS is answered: %s", answer)
	}
}

// Connections that do not come to a handshake keep nobody from connecting, also when
// there are more than there may be, and end.
func TestHalfOpenHandshakes(t *testing.T) {
	addr, config := secured(t, func(o *Options) {
		o.Connections, o.ReadTimeout = 3, 300*time.Millisecond
	})
	var idle []net.Conn
	for range 9 { // six of which are too many
		conn := dial(t, addr)
		if _, err := conn.Write([]byte{22, 3, 1}); err != nil { // the beginning of a hello
			continue
		}
		idle = append(idle, conn)
	}
	began := time.Now()
	for _, conn := range idle {
		_, _ = io.ReadAll(conn) // until the server closes it; the deadline of dial is 10 s
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("half-open handshakes were held for %v", took)
	}
	conn := tls.Client(dial(t, addr), config)
	if _, err := io.WriteString(conn, askEvents); err != nil {
		t.Fatal(err)
	}
	if status, _ := readAnswer(t, bufio.NewReader(conn)); status != 200 {
		t.Errorf("after half-open handshakes = %d, want 200", status)
	}
}

// A write before the handshake would make one, in the goroutine that accepts.
func TestNoWriteBeforeHandshake(t *testing.T) {
	ours, theirs := net.Pipe()
	defer func() { _, _ = ours.Close(), theirs.Close() }()
	conn := &secureConn{Conn: tls.Server(ours, newTestTLS(t)), log: slog.New(slog.DiscardHandler)}
	done := make(chan error, 1)
	go func() {
		_, err := conn.Write([]byte("too many"))
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a write before the handshake succeeded")
		}
	case <-time.After(5 * time.Second):
		t.Error("a write before the handshake waits for the client")
	}
}

func TestHandshakeIsBounded(t *testing.T) {
	config := newTestTLS(t)
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer func() { _, _ = ours.Close(), theirs.Close() }()
		conn := &secureConn{Conn: tls.Server(ours, config), log: slog.New(slog.DiscardHandler)}
		began := time.Now()
		if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) || time.Since(began) != handshakeLimit {
			t.Errorf("Read without a handshake = %d, %v after %v; want an end after %v", n, err, time.Since(began), handshakeLimit)
		}
	})
}

// The scheme of an origin is compared where it is known: over TLS of our own, http is
// another origin; without it a proxy may have taken TLS off.
func TestSchemeOfOrigin(t *testing.T) {
	for origin, want := range map[string][2]int{ // without TLS, with it
		"http://example.com":      {201, 403},
		"http://example.com:80":   {201, 403},
		"https://example.com":     {201, 201},
		"https://example.com:443": {201, 201},
		"https://evil.example":    {403, 403},
		"ftp://example.com":       {403, 403},
		"HTTP://example.com":      {403, 403},
		"null":                    {403, 403},
	} {
		for i, config := range []*tls.Config{nil, newTestTLS(t)} {
			server := newServer(t, newStore(), func(o *Options) { o.TLS = config })
			got := do(t, server, "POST", "/event", `{"event_type":"a","event_payload":"b"}`, "Origin: "+origin)
			if got.status != want[i] {
				t.Errorf("origin %q, with TLS %v = %d, want %d", origin, config != nil, got.status, want[i])
			}
		}
	}
}
