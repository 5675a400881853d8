package httpapi

import (
	"errors"
	"log/slog"
	"net"
	"syscall"
	"time"
)

// patientListener goes on after an error that passes. The server below stops
// serving at the first one, so that a moment without free file descriptors would
// end the process.
type patientListener struct {
	net.Listener
	log *slog.Logger
}

// How long Accept waits before it tries again.
const (
	firstPause   = 5 * time.Millisecond
	longestPause = time.Second
)

// Accept waits for the next connection.
func (l *patientListener) Accept() (net.Conn, error) {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		conn, err := l.Listener.Accept()
		if err == nil || !passing(err) {
			return conn, err
		}
		l.log.Warn("no connection can be taken now", "err", err)
		time.Sleep(pause)
	}
}

// passing reports whether the system is short of something that comes back.
func passing(err error) bool {
	for _, cause := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}
