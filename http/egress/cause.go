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

// unconnected says in one word why there is no connection, which proves that
// nothing was sent. What the gateway or the network said counts even when the
// attempt was ended at the same moment.
func unconnected(ctx context.Context, err error) data.Cause {
	var (
		dns       *net.DNSError
		handshake *handshakeError
	)
	switch {
	case errors.Is(err, ErrForbidden):
		return data.CauseForbidden
	case errors.Is(err, syscall.ECONNREFUSED):
		return data.CauseRefused
	case ctx.Err() != nil:
		return data.CauseCutOff
	case errors.Is(err, errNoRoom):
		// The shortage is our own, and says nothing about the gateway.
		return data.CauseTimeout
	case errors.As(err, &dns):
		return data.CauseDNS
	case errors.As(err, &handshake) && !timedOut(err):
		return data.CauseTLS
	}
	return data.CauseUnreached
}

// unanswered says in one word why there is no answer on a connection that was
// made. The end of the attempt, by ctx or at its deadline, is the likeliest
// reason, whatever the error.
func unanswered(ctx context.Context, deadline time.Time, err error) data.Cause {
	var op *net.OpError
	switch {
	case ctx.Err() != nil:
		return data.CauseCutOff
	case !time.Now().Before(deadline), timedOut(err):
		return data.CauseTimeout
	case errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error"):
		// An alert: with TLS 1.3 a refused client learns of it after the handshake.
		return data.CauseTLS
	case broken(err):
		return data.CauseReset
	}
	return data.CauseMalformed
}

func timedOut(err error) bool {
	passing, ok := errors.AsType[net.Error](err)
	return ok && passing.Timeout()
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
