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

func TestClassify(t *testing.T) {
	live := context.Background()
	ended, end := context.WithCancel(live)
	end()
	now := time.Now()
	early, late := now.Add(time.Hour), now
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	read := func(err error) error {
		return fmt.Errorf("read answer: %w", &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", err)})
	}
	unknown := &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "gateway.example", IsNotFound: true}}
	slow := &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "i/o timeout", Name: "gateway.example", IsTimeout: true}}
	tests := []struct {
		name     string
		ctx      context.Context
		deadline time.Time
		err      error
		want     data.Cause
	}{
		{"refused", live, early, dial(syscall.ECONNREFUSED), data.CauseRefused},
		{"refused as the process ended", ended, early, dial(syscall.ECONNREFUSED), data.CauseRefused},
		{"forbidden", live, early, &net.OpError{Op: "dial", Err: fmt.Errorf("guard: %w", ErrForbidden)}, data.CauseForbidden},
		{"no route", live, early, dial(syscall.EHOSTUNREACH), data.CauseUnreached},
		{"no network", live, early, dial(syscall.ENETUNREACH), data.CauseUnreached},
		{"no descriptors", live, early, dial(syscall.EMFILE), data.CauseUnreached},
		{"no such host", live, early, unknown, data.CauseDNS},
		{"no answer from DNS", live, early, slow, data.CauseDNS},
		{"dial timeout of the system", live, early, dial(syscall.ETIMEDOUT), data.CauseTimeout},
		{"deadline", live, early, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, data.CauseTimeout},
		{"attempt over", live, late, context.DeadlineExceeded, data.CauseTimeout},
		{"attempt over, odd error", live, late, net.ErrClosed, data.CauseTimeout},
		{"process over", ended, early, context.Canceled, data.CauseCutOff},
		{"process over in the handshake", ended, early, &handshakeError{context.Canceled}, data.CauseCutOff},
		{"handshake", live, early, &handshakeError{io.EOF}, data.CauseTLS},
		{"alert", live, early, &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}, data.CauseTLS},
		{"reset", live, early, read(syscall.ECONNRESET), data.CauseReset},
		{"broken pipe", live, early, read(syscall.EPIPE), data.CauseReset},
		{"closed", live, early, io.EOF, data.CauseReset},
		{"cut", live, early, io.ErrUnexpectedEOF, data.CauseReset},
		{"head too long", live, early, errHeadTooLong, data.CauseMalformed},
		{"not HTTP", live, early, errors.New("malformed HTTP response"), data.CauseMalformed},
	}
	for _, tt := range tests {
		if got := classify(tt.ctx, tt.deadline, tt.err); got != tt.want {
			t.Errorf("classify(%s) = %q; want %q", tt.name, got, tt.want)
		}
	}
}
