package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificates are those of secure gateways, good and bad.
type certificates struct {
	path string // of the authority that the program is told to trust

	sound, expired, early, elsewhere, stranger, old *tls.Config
}

// newCertificates makes them, with an authority whose certificate it writes.
func newCertificates(dir string) (*certificates, error) {
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "torture"},
		NotBefore: now.Add(-72 * time.Hour), NotAfter: now.Add(72 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	root, err := sign(authority, authority, nil)
	if err != nil {
		return nil, err
	}
	c := &certificates{path: filepath.Join(dir, "authority.pem")}
	if err := os.WriteFile(c.path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate[0]}), 0o600); err != nil {
		return nil, err
	}
	var errs []error
	issue := func(from, to time.Duration, here bool, by *tls.Certificate) *tls.Config {
		template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: now.Add(from), NotAfter: now.Add(to), DNSNames: []string{"elsewhere.example"}}
		if here {
			template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
		}
		parent := authority
		if by == nil {
			parent = template
		}
		one, err := sign(template, parent, by)
		errs = append(errs, err)
		return &tls.Config{Certificates: []tls.Certificate{one}, MinVersion: tls.VersionTLS12}
	}
	const day = 24 * time.Hour
	c.sound = issue(-day, day, true, &root)
	c.expired = issue(-2*day, -day, true, &root)
	c.early = issue(day, 2*day, true, &root)
	c.elsewhere = issue(-day, day, false, &root)
	c.stranger = issue(-day, day, true, nil)
	c.old = c.sound.Clone()
	c.old.MinVersion, c.old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 //nolint:gosec // it is to be refused
	return c, errors.Join(errs...)
}

// sign makes a key and a certificate for it; without a signer it vouches for itself.
func sign(template, parent *x509.Certificate, signer *tls.Certificate) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	by := any(key)
	if signer != nil {
		by = signer.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
