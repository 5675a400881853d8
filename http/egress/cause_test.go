package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

func TestCauses(t *testing.T) {
	live := context.Background()
	ended, end := context.WithCancel(live)
	end()
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	unknown := &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "gateway.example", IsNotFound: true}}
	slow := &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "i/o timeout", Name: "gateway.example", IsTimeout: true}}
	unconnecteds := []struct {
		name string
		ctx  context.Context
		err  error
		want data.Cause
	}{
		{"refused", live, dial(syscall.ECONNREFUSED), data.CauseRefused},
		{"refused as the process ended", ended, dial(syscall.ECONNREFUSED), data.CauseRefused},
		{"forbidden", live, &net.OpError{Op: "dial", Err: fmt.Errorf("guard: %w", ErrForbidden)}, data.CauseForbidden},
		{"no route", live, dial(syscall.EHOSTUNREACH), data.CauseUnreached},
		{"no network", live, dial(syscall.ENETUNREACH), data.CauseUnreached},
		{"no descriptors", live, dial(syscall.EMFILE), data.CauseUnreached},
		{"no such host", live, unknown, data.CauseDNS},
		{"no answer from DNS", live, slow, data.CauseDNS},
		{"dial timeout of the system", live, dial(syscall.ETIMEDOUT), data.CauseUnreached},
		{"attempt over while dialling", live, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, data.CauseUnreached},
		{"attempt over before dialling", live, context.DeadlineExceeded, data.CauseUnreached},
		{"attempt over in the handshake", live, &handshakeError{context.DeadlineExceeded}, data.CauseUnreached},
		{"attempt over in the handshake, as the system says it", live, &handshakeError{os.ErrDeadlineExceeded}, data.CauseUnreached},
		{"attempt over before there was room", live, errNoRoom, data.CauseTimeout},
		{"process over", ended, context.Canceled, data.CauseCutOff},
		{"process over in the handshake", ended, &handshakeError{context.Canceled}, data.CauseCutOff},
		{"process over before there was room", ended, errNoRoom, data.CauseCutOff},
		{"handshake", live, &handshakeError{io.EOF}, data.CauseTLS},
	}
	for _, tt := range unconnecteds {
		if got := unconnected(tt.ctx, tt.err); got != tt.want {
			t.Errorf("unconnected(%s) = %q; want %q", tt.name, got, tt.want)
		}
	}

	now := time.Now()
	early, late := now.Add(time.Hour), now
	read := func(err error) error {
		return fmt.Errorf("read answer: %w", &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", err)})
	}
	unanswereds := []struct {
		name     string
		ctx      context.Context
		deadline time.Time
		err      error
		want     data.Cause
	}{
		{"deadline", live, early, &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, data.CauseTimeout},
		{"attempt over, odd error", live, late, net.ErrClosed, data.CauseTimeout},
		{"network gave up", live, early, read(syscall.ETIMEDOUT), data.CauseTimeout},
		{"process over", ended, early, net.ErrClosed, data.CauseCutOff},
		{"alert", live, early, &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}, data.CauseTLS},
		{"reset", live, early, read(syscall.ECONNRESET), data.CauseReset},
		{"broken pipe", live, early, read(syscall.EPIPE), data.CauseReset},
		{"closed", live, early, io.EOF, data.CauseReset},
		{"cut", live, early, io.ErrUnexpectedEOF, data.CauseReset},
		{"head too long", live, early, errHeadTooLong, data.CauseMalformed},
		{"not HTTP", live, early, errors.New("malformed HTTP response"), data.CauseMalformed},
	}
	for _, tt := range unanswereds {
		if got := unanswered(tt.ctx, tt.deadline, tt.err); got != tt.want {
			t.Errorf("unanswered(%s) = %q; want %q", tt.name, got, tt.want)
		}
	}
}
