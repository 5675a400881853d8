package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/postrider/postrider/data"
)

// ErrForbidden is what [Options.Control] returns of an address that must not be
// talked to.
var ErrForbidden = errors.New("address is forbidden")

// classify says in one word why there is no answer. What proves that nothing
// was sent counts even when the attempt was ended at the same moment; of all
// else the end of the attempt, by ctx or at its deadline, is the likeliest
// reason.
func classify(ctx context.Context, deadline time.Time, err error) data.Cause {
	var (
		dns       *net.DNSError
		op        *net.OpError
		passing   net.Error
		handshake *handshakeError
	)
	switch {
	case errors.Is(err, ErrForbidden):
		return data.CauseForbidden
	case errors.Is(err, syscall.ECONNREFUSED):
		return data.CauseRefused
	case ctx.Err() != nil:
		return data.CauseCutOff
	case !time.Now().Before(deadline):
		return data.CauseTimeout
	case errors.As(err, &dns):
		return data.CauseDNS
	case errors.As(err, &passing) && passing.Timeout():
		return data.CauseTimeout
	case errors.As(err, &handshake):
		return data.CauseTLS
	case errors.As(err, &op) && op.Op == "dial":
		return data.CauseUnreached
	case errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error"):
		// An alert: with TLS 1.3 a refused client learns of it after the handshake.
		return data.CauseTLS
	case broken(err):
		return data.CauseReset
	}
	return data.CauseMalformed
}

// broken reports whether the connection ended before there was an answer.
func broken(err error) bool {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}
