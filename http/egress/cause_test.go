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

	"github.com/postrider/postrider/data"
)

func TestClassify(t *testing.T) {
	live := context.Background()
	ended, end := context.WithCancel(live)
	end()
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	read := func(err error) error {
		return fmt.Errorf("net/http: HTTP/1.x transport connection broken: %w", &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", err)})
	}
	unknown := &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "gateway.example", IsNotFound: true}}
	slow := &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "i/o timeout", Name: "gateway.example", IsTimeout: true}}
	tests := []struct {
		name            string
		parent, attempt context.Context
		err             error
		want            data.Cause
	}{
		{"refused", live, live, dial(syscall.ECONNREFUSED), data.CauseRefused},
		{"refused as the process ended", ended, ended, dial(syscall.ECONNREFUSED), data.CauseRefused},
		{"forbidden", live, live, &net.OpError{Op: "dial", Err: fmt.Errorf("guard: %w", ErrForbidden)}, data.CauseForbidden},
		{"no route", live, live, dial(syscall.EHOSTUNREACH), data.CauseUnreached},
		{"no network", live, live, dial(syscall.ENETUNREACH), data.CauseUnreached},
		{"no descriptors", live, live, dial(syscall.EMFILE), data.CauseUnreached},
		{"no such host", live, live, unknown, data.CauseDNS},
		{"no answer from DNS", live, live, slow, data.CauseDNS},
		{"dial timeout of the system", live, live, dial(syscall.ETIMEDOUT), data.CauseTimeout},
		{"deadline", live, live, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, data.CauseTimeout},
		{"attempt over", live, ended, context.DeadlineExceeded, data.CauseTimeout},
		{"attempt over, odd error", live, ended, errors.New("net/http: request canceled"), data.CauseTimeout},
		{"process over", ended, ended, context.Canceled, data.CauseCutOff},
		{"process over in the handshake", ended, ended, &handshakeError{context.Canceled}, data.CauseCutOff},
		{"handshake", live, live, &handshakeError{io.EOF}, data.CauseTLS},
		{"alert", live, live, &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}, data.CauseTLS},
		{"reset", live, live, read(syscall.ECONNRESET), data.CauseReset},
		{"broken pipe", live, live, read(syscall.EPIPE), data.CauseReset},
		{"closed", live, live, io.EOF, data.CauseReset},
		{"cut", live, live, io.ErrUnexpectedEOF, data.CauseReset},
		{"closed while idle", live, live, errors.New("http: server closed idle connection"), data.CauseReset},
		{"head too long", live, live, errors.New("net/http: server response headers exceeded 65536 bytes; aborted"), data.CauseMalformed},
		{"not HTTP", live, live, errors.New("malformed HTTP response"), data.CauseMalformed},
	}
	for _, tt := range tests {
		if got := classify(tt.parent, tt.attempt, tt.err); got != tt.want {
			t.Errorf("classify(%s) = %q; want %q", tt.name, got, tt.want)
		}
	}
}

func TestClientKnowsNoProxy(t *testing.T) {
	if c := New(Options{}); c.transport.Proxy != nil {
		t.Error("the transport asks for a proxy")
	}
}
