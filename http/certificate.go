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

	current atomic.Pointer[Pair]
	looking atomic.Bool // somebody looks at the files: what follows belongs to him
	looked  time.Time
	vain    [2]fs.FileInfo // the files as they were read last, if that was in vain
}

// Pair is a certificate with its key, as they were read.
type Pair struct {
	shown tls.Certificate
	seen  [2]fs.FileInfo // the files that it is of
}

// OpenCertificate reads a certificate and its key.
func OpenCertificate(certificate, key string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certificate: certificate, key: key, log: log, now: time.Now}
	p, err := c.Read()
	if err != nil {
		return nil, err
	}
	c.Use(p)
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
			return &c.current.Load().shown, nil
		},
	}
}

// Read reads the files now, and changes nothing before [Certificate.Use].
func (c *Certificate) Read() (*Pair, error) {
	seen, err := c.stat()
	if err != nil {
		return nil, err
	}
	return c.read(seen)
}

// Use shows a pair from now on, until the files change.
func (c *Certificate) Use(p *Pair) { c.current.Store(p) }

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
	before := c.current.Load()
	seen, err := c.stat()
	if err != nil || same(seen, before.seen) || same(seen, c.vain) {
		return // while a file is replaced there may be none for a moment
	}
	p, err := c.read(seen)
	if err != nil {
		// Not said again before the files change again.
		c.vain = seen
		c.log.Error("the new certificate cannot be used, the one before stays", "err", err)
		return
	}
	if c.current.CompareAndSwap(before, p) { // else a reload was quicker
		c.log.Info("the certificate was read again")
	}
}

func same(a, b [2]fs.FileInfo) bool {
	for i := range a {
		if !os.SameFile(a[i], b[i]) || !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Size() != b[i].Size() {
			return false
		}
	}
	return true
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

func (c *Certificate) read(seen [2]fs.FileInfo) (*Pair, error) {
	var content [2][]byte
	for i, name := range []string{c.certificate, c.key} {
		var err error
		if content[i], err = readBounded(name, maxCertificate); err != nil {
			return nil, fmt.Errorf("the file of the %s cannot be read: %w", parts[i], withoutPath(err))
		}
	}
	pair, err := tls.X509KeyPair(content[0], content[1])
	if err != nil {
		return nil, fmt.Errorf("certificate and key cannot be used: %w", err)
	}
	return &Pair{pair, seen}, nil
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
