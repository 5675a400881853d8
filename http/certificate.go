package httpapi

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

const (
	// certificateLook is how often, at most, a handshake looks whether the files
	// have changed.
	certificateLook = 10 * time.Second
	// maxCertificate bounds each of the files.
	maxCertificate = 1 << 20
)

// Certificate is what the server shows itself with: a certificate and its key, in
// two files of PEM that may change while it runs. A pair that cannot be used never
// takes the place of one that can.
type Certificate struct {
	certificate, key string
	log              *slog.Logger
	now              func() time.Time

	current atomic.Pointer[tls.Certificate]
	looking atomic.Bool // somebody looks at the files: what follows belongs to him
	looked  time.Time
	seen    [2]fs.FileInfo // the files as they were read last, also in vain
}

// OpenCertificate reads a certificate and its key.
func OpenCertificate(certificate, key string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certificate: certificate, key: key, log: log, now: time.Now}
	if err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// TLS returns the configuration of a server that shows the certificate as it is at
// each handshake.
func (c *Certificate) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			c.look()
			return c.current.Load(), nil
		},
	}
}

// Reload reads the files now. An error changes nothing.
func (c *Certificate) Reload() error {
	if !c.looking.CompareAndSwap(false, true) {
		return nil // somebody is reading them
	}
	defer c.looking.Store(false)
	seen, err := c.stat()
	if err != nil {
		return err
	}
	return c.read(seen)
}

// look reads the files anew when they have changed. Only one handshake does so at a
// time, and the others go on with what there is: a file system may hang.
func (c *Certificate) look() {
	if !c.looking.CompareAndSwap(false, true) {
		return
	}
	defer c.looking.Store(false)
	if now := c.now(); now.Sub(c.looked) >= certificateLook {
		c.looked = now
	} else {
		return
	}
	seen, err := c.stat()
	if err != nil || same(seen[0], c.seen[0]) && same(seen[1], c.seen[1]) {
		return // while a file is replaced there may be none for a moment
	}
	if err := c.read(seen); err != nil {
		// Not said again before the files change again.
		c.log.Error("the new certificate cannot be used, the one before stays", "err", err)
		return
	}
	c.log.Info("the certificate was read again")
}

func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

func (c *Certificate) stat() (seen [2]fs.FileInfo, err error) {
	for i, name := range []string{c.certificate, c.key} {
		if seen[i], err = os.Stat(name); err != nil {
			return seen, fmt.Errorf("the file of the %s cannot be read: %w", parts[i], withoutPath(err))
		}
		if !seen[i].Mode().IsRegular() {
			return seen, fmt.Errorf("the file of the %s is not a regular file", parts[i])
		}
	}
	return seen, nil
}

var parts = [2]string{"certificate", "key"}

func (c *Certificate) read(seen [2]fs.FileInfo) error {
	c.seen = seen
	var content [2][]byte
	for i, name := range []string{c.certificate, c.key} {
		var err error
		if content[i], err = readBounded(name, maxCertificate); err != nil {
			return fmt.Errorf("the file of the %s cannot be read: %w", parts[i], withoutPath(err))
		}
	}
	pair, err := tls.X509KeyPair(content[0], content[1])
	if err != nil {
		return fmt.Errorf("certificate and key cannot be used: %w", err)
	}
	c.current.Store(&pair)
	return nil
}

func readBounded(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = errors.New("it is larger than 1 MiB")
	}
	return content, err
}

// withoutPath leaves the path out of an error: who writes a key where its path
// belongs should not find it in a log.
func withoutPath(err error) error {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return at.Err
	}
	return err
}
