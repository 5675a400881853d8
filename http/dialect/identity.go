package dialect

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"strings"
)

// TLS is how connections to a gateway are secured beyond the usual, as the contents
// of PEM files (RFC 7468). Connections to the endpoint for its tokens are secured so
// too.
type TLS struct {
	Certificate string // of the client, and those that vouch for it; "" for none
	Key         string // of the certificate, not encrypted
	CA          string // who may vouch for the gateway, instead of whom the system trusts; "" for the system
}

// Identity is a compiled [TLS]. It does not change.
type Identity struct {
	certificate, key, ca []byte // as they were given: parsed certificates cannot be compared
	sum                  [sha256.Size]byte
}

// Identity returns how connections are secured beyond the usual, nil for no such
// thing.
func (d *Dialect) Identity() *Identity { return d.identity }

// Sum is the same for two identities whose connections can stand for each other.
func (i *Identity) Sum() [32]byte { return i.sum }

// Configure sets what the identity says in a configuration.
func (i *Identity) Configure(config *tls.Config) {
	if len(i.certificate) > 0 {
		if pair, err := tls.X509KeyPair(i.certificate, i.key); err == nil {
			config.Certificates = []tls.Certificate{pair}
		}
	}
	if len(i.ca) > 0 {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(i.ca)
	}
}

func (c *compiler) identity(d TLS, secure bool) *Identity {
	if d == (TLS{}) {
		return nil
	}
	if !secure {
		c.complain("tls", "the URL is not one of https")
	}
	i := &Identity{certificate: []byte(d.Certificate), key: []byte(d.Key), ca: []byte(d.CA)}
	h := sha256.New()
	for _, content := range [][]byte{i.certificate, i.key, i.ca} {
		_ = binary.Write(h, binary.BigEndian, uint64(len(content)))
		h.Write(content)
	}
	h.Sum(i.sum[:0])
	if d.CA != "" {
		c.certificates("tls.ca", i.ca)
	}
	switch {
	case d.Certificate == "" && d.Key == "":
		return i
	case d.Certificate == "":
		c.complain("tls.certificate", "is missing, there is a key")
		return i
	case d.Key == "":
		c.complain("tls.key", "is missing, there is a certificate")
		return i
	}
	legible := c.certificates("tls.certificate", i.certificate)
	if c.privateKey("tls.key", i.key) && legible {
		if _, err := tls.X509KeyPair(i.certificate, i.key); err != nil {
			c.complain("tls.key", "does not belong to the certificate")
		}
	}
	return i
}

// certificates reports whether there are certificates in content, and complains when
// there are none, or one of them cannot be read.
func (c *compiler) certificates(path string, content []byte) bool {
	count := 0
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			c.complain(path, "has a certificate that cannot be read")
			return false
		}
		count++
	}
	if count == 0 {
		c.complain(path, "has no certificate in PEM form")
	}
	return count > 0
}

// privateKey is certificates for a key, of which the first counts.
func (c *compiler) privateKey(path string, content []byte) bool {
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case !strings.HasSuffix(block.Type, "PRIVATE KEY"):
			continue
		case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			c.complain(path, "is encrypted, which is not supported")
			return false
		}
		if !parsable(block.Bytes) {
			c.complain(path, "cannot be read")
			return false
		}
		return true
	}
	c.complain(path, "has no private key in PEM form")
	return false
}

func parsable(der []byte) bool {
	_, err1 := x509.ParsePKCS8PrivateKey(der)
	_, err2 := x509.ParsePKCS1PrivateKey(der)
	_, err3 := x509.ParseECPrivateKey(der)
	return err1 == nil || err2 == nil || err3 == nil
}
