package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// sink is the gateway that everybody delivers to. It takes everything and notes
// when each number came first.
type sink struct {
	url   string
	epoch time.Time // times are counted from here, on the monotonic clock
	all   atomic.Int64

	// expected is what is waited for; nil for nothing. Handlers read it, and only
	// what is alone with the sink replaces it.
	expected atomic.Pointer[expected]
}

// expected are numbers that are to arrive.
type expected struct {
	mu      sync.Mutex
	arrived []int64 // when, after the epoch; 0 is not yet
	first   int64   // how many numbers arrived
	again   int64   // how many arrived once more
}

// listenSink starts the sink. It ends with ctx.
func listenSink(ctx context.Context) (*sink, error) {
	l, err := rig.Listen(ctx)
	if err != nil {
		return nil, err
	}
	s := &sink{url: "http://" + l.Addr().String() + "/in", epoch: time.Now()}
	server := &fasthttp.Server{Handler: s.take, NoDefaultServerHeader: true, NoDefaultDate: true, Logger: rig.Quiet()}
	go func() { _ = server.Serve(l) }() // ends with the listener
	return s, nil
}

// since is the sink's clock.
func (s *sink) since(t time.Time) int64 { return int64(t.Sub(s.epoch)) }

// take is the handler.
func (s *sink) take(rc *fasthttp.RequestCtx) {
	s.all.Add(1)
	e := s.expected.Load()
	if e == nil {
		return
	}
	_, value, found := bytes.Cut(rc.Request.Body(), []byte(`"message":`))
	if !found {
		return
	}
	if n, ok := takeNumber(bytes.TrimLeft(value, ` "`)); ok {
		e.note(n, s.since(time.Now()))
	}
}

func (e *expected) note(n, at int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if missing := n + 1 - int64(len(e.arrived)); missing > 0 {
		e.arrived = append(e.arrived, make([]int64, missing)...)
	}
	if e.arrived[n] != 0 {
		e.again++
		return
	}
	e.arrived[n] = at
	e.first++
}

// count is how many numbers arrived, and how often one arrived once more.
func (e *expected) count() (first, again int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.first, e.again
}

// await returns when so many numbers have arrived.
func (e *expected) await(ctx context.Context, n int64, limit time.Duration) error {
	err := rig.Until(ctx, "all messages have arrived", limit, time.Millisecond, func() (bool, error) {
		first, _ := e.count()
		return first >= n, nil
	})
	if err != nil {
		first, again := e.count()
		return fmt.Errorf("%w: %d of %d, and %d once more", err, first, n, again)
	}
	return nil
}
