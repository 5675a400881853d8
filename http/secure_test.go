package httpapi

import (
	"crypto/tls"
	"testing"
)

func newTestTLS(t *testing.T) *tls.Config {
	t.Helper()
	return &tls.Config{MinVersion: tls.VersionTLS12}
}
