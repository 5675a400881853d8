package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// point is how far an attempt is when the program is killed.
type point int

const (
	begun    point = iota // recorded; the gateway is called and nothing of the request is sent
	halfSent              // the gateway has read a part of the request, and the program is not done sending
	answered              // a 2xx has reached the machine of the program, which has not read it
	settled               // the API shows the outcome
)

func points() []point { return []point{begun, halfSent, answered, settled} }

func (p point) String() string {
	return []string{"begun and not sent", "half of the request sent", "2xx sent and not settled", "settled"}[p]
}

// closing is what the gateway does with connections that are idle.
type closing int

const (
	kept         closing = iota
	afterAnswers         // closes them at once
	anyTime              // closes them at any moment, also when a request is coming
)

func closings() []closing { return []closing{kept, afterAnswers, anyTime} }

func (c closing) String() string {
	return []string{"kept", "closed after each answer", "closed at random"}[c]
}

// trap is a gateway that kills the program when an attempt is at the point for
// which it was armed. Armed for none it answers as gateways do: well, badly, or
// not at all.
type trap struct {
	ledger

	ends   closing
	sprung chan struct{} // gets one when the program is dead
	open   atomic.Int64  // connections

	mu      sync.Mutex
	armed   *hit
	hit     *hit // the last one, until it was checked
	failure error
}

// hit is a kill, aimed or done.
type hit struct {
	at      point
	c       *rig.Child
	ctx     context.Context //nolint:containedctx // of the scenario, for handlers that the server calls
	message string          // that it hit, if known
	number  int
}

// arm has the trap kill a program at a point.
func (t *trap) arm(ctx context.Context, at point, c *rig.Child) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armed = &hit{at: at, c: c, ctx: ctx}
}

// at disarms the trap if it is armed for a point, and returns what to do.
func (t *trap) at(p point) *hit {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.armed == nil || t.armed.at != p {
		return nil
	}
	h := t.armed
	t.armed = nil
	return h
}

// again arms the trap anew: the connection was closed before the point.
func (t *trap) again(h *hit) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armed = h
}

// kill kills the program.
func (t *trap) kill(h *hit) {
	t.cut()
	h.c.Kill()
}

// spring reports a kill, or why there was none at the point.
func (t *trap) spring(h *hit, err error) {
	t.mu.Lock()
	t.hit, t.failure = h, err
	t.mu.Unlock()
	t.sprung <- struct{}{}
}

// take returns the newest kill, once.
func (t *trap) take() *hit {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.hit
	t.hit = nil
	return h
}

func (t *trap) err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failure
}

// serve starts the gateway and returns its URL.
func (t *trap) serve(ctx context.Context, certificate tls.Certificate) (url string, err error) {
	l, err := rig.Listen(ctx)
	if err != nil {
		return "", err
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if h := t.at(begun); h != nil {
			t.kill(h)
			t.spring(h, nil)
			return nil, errors.New("the program is dead")
		}
		return nil, nil // the one that it has
	}
	server := &http.Server{Handler: t, ReadHeaderTimeout: rig.Patience, ErrorLog: rig.Quiet(), ConnState: t.changed}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(tls.NewListener(l, config)) }() // ends when it is closed
	return "https://" + l.Addr().String(), nil
}

// changed hears of the connections, and closes those that are idle, or does not.
func (t *trap) changed(c net.Conn, state http.ConnState) {
	hangUp := func() {
		t.hangUp(c.RemoteAddr().String())
		_ = c.Close()
	}
	switch {
	case state == http.StateNew:
		t.open.Add(1)
		t.pickUp(c.RemoteAddr().String())
	case state == http.StateClosed:
		t.open.Add(-1)
	case state != http.StateIdle:
	case t.ends == afterAnswers:
		hangUp()
	case t.ends == anyTime:
		time.AfterFunc(rand.N(50*time.Millisecond), hangUp)
	}
}

// desert waits until nothing of a dead program is left: what it had sent may still
// be read, and is not to be taken for something of the next one.
func (t *trap) desert(ctx context.Context) error {
	return rig.Until(ctx, "the dead program's connections are gone", rig.Patience, time.Millisecond, func() (bool, error) {
		return t.open.Load() == 0, nil
	})
}

// firstPart is how much of a request is read before the program is killed.
const firstPart = 64 << 10

func (t *trap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := t.enter(r)
	if r.URL.Path == "/large" {
		if h := t.at(halfSent); h != nil {
			h.message, h.number = s.message, s.number
			t.killHalfway(h, r)
			return
		}
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	if h := t.at(answered); h != nil {
		h.message, h.number = s.message, s.number
		t.killAnswered(h, w)
		return
	}
	status := []int{200, 200, 200, 200, 200, 500, 500, 503, 404, 0}[rand.N(10)]
	_ = rig.Wait(r.Context(), rand.N(20*time.Millisecond))
	if h := t.at(settled); h != nil {
		h.message, h.number = s.message, s.number
		go t.killSettled(h)
	}
	t.leave(s, status)
	if status == 0 {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
}

// killHalfway kills the program when a part of the request has been read. That
// it was only a part shows when the rest does not come.
func (t *trap) killHalfway(h *hit, r *http.Request) {
	if _, err := io.CopyN(io.Discard, r.Body, firstPart); err != nil {
		t.again(h)
		return
	}
	// It must be dead before the rest is read, which would make room for more.
	t.kill(h)
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		t.spring(h, nil)
		return
	}
	t.spring(h, fmt.Errorf("%w: the request was sent to its end", errAim))
}

// killAnswered halts the program before the answer leaves, so that it cannot
// read it, and kills it then.
func (t *trap) killAnswered(h *hit, w http.ResponseWriter) {
	err := h.c.Halt(h.ctx)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
	if http.NewResponseController(w).Flush() != nil && err == nil {
		t.again(h)
		_ = h.c.Proceed() // whoever waits for the trap hears if it does not
		return
	}
	t.kill(h)
	t.spring(h, err)
}

// killSettled kills the program when the attempt has an outcome.
func (t *trap) killSettled(h *hit) {
	err := rig.Until(h.ctx, "the attempt is settled", rig.Patience, time.Millisecond, func() (bool, error) {
		var m rig.Message
		if err := h.c.Get(h.ctx, "/api/v1/messages/"+h.message, &m); err != nil {
			return false, err
		}
		return len(m.Attempts) >= h.number && m.Attempts[h.number-1].Outcome != "running", nil
	})
	t.kill(h)
	t.spring(h, err)
}
