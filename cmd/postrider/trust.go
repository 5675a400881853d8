package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// trust says by which certificate a command believes a server to be the one that it is
// to talk to.
type trust struct {
	caFile string // who is to vouch for it; "" for those whom the system trusts
	own    string // the file of the very certificate, which counts without caFile; "" for none
}

// errOtherCertificate: somebody else is there, or the server has another certificate in
// force than its configuration names.
var errOtherCertificate = errors.New("it is not the one in the file of http.tls.certificate")

func (t *trust) flags(c *cobra.Command) {
	c.Flags().StringVar(&t.caFile, "ca-file", "", "file with the certificates (PEM) that the server's is to be signed by, or is one of, instead of those of the system")
}

// config is how a connection is secured. The error is one of usage.
func (t trust) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	switch {
	case t.caFile != "":
		content, err := os.ReadFile(t.caFile)
		if err != nil {
			return nil, usageError{fmt.Errorf("read the certificates: %w", err)}
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(content) {
			return nil, usageError{errors.New("the file of certificates has none in PEM")}
		}
	case t.own != "":
		own, err := firstCertificate(t.own)
		if err != nil {
			return nil, usageError{fmt.Errorf("http.tls.certificate: %w", err)}
		}
		// Who has the key of that certificate is the server, whoever signed it, and
		// whatever names are in it: it is looked for at an address of this machine.
		c.InsecureSkipVerify = true
		c.VerifyConnection = func(s tls.ConnectionState) error {
			if !s.PeerCertificates[0].Equal(own) {
				return errOtherCertificate
			}
			return nil
		}
	}
	return c, nil
}

// firstCertificate reads the certificate that a server with this file shows as its own.
func firstCertificate(file string) (*x509.Certificate, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
	return nil, errors.New("the file has no certificate in PEM")
}
