package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// driver is the client of every contestant: a process of its own that makes load
// and has the sink. The process that compares tells it what to do over its
// standard input and output, and it ends with them.
type driver struct {
	ctx  context.Context //nolint:containedctx // of the process, for methods that package rpc calls
	sink *sink
}

// drive serves until in ends.
func drive(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := listenSink(ctx)
	if err != nil {
		return err
	}
	server := rpc.NewServer()
	if err := server.RegisterName("Driver", &Driver{driver{ctx, s}}); err != nil {
		return err
	}
	server.ServeConn(standard{in, out, cancel})
	return nil
}

// standard is standard input and output as one. What is under way ends with the
// input, since nobody waits for it any more.
type standard struct {
	in  io.Reader
	out io.Writer
	end context.CancelFunc
}

func (s standard) Read(p []byte) (int, error) {
	n, err := s.in.Read(p)
	if err != nil {
		s.end()
	}
	return n, err
}

func (s standard) Write(p []byte) (int, error) { return s.out.Write(p) }

// Close does nothing: the process ends instead.
func (standard) Close() error { return nil }

// Driver has the methods that package rpc offers to the other process.
type Driver struct{ driver }

// Sink returns the URL of the sink.
func (d *Driver) Sink(_ int, url *string) error {
	*url = d.sink.url
	return nil
}

// ClosedLoad is a closed loop: each connection sends as soon as it has its answer.
type ClosedLoad struct {
	Request     request
	Connections int
	Warm        time.Duration // before anything counts
	For         time.Duration
	Slice       time.Duration // 0, or how long a part is whose rate is told apart
	Most        int64         // requests; 0 means no end before the time is over
}

// ClosedResult is what came of it.
type ClosedResult struct {
	Rate    float64   // answers per second
	Slices  []float64 // the same of each part
	Latency histogram // from the request to its answer
}

// Closed runs a closed loop.
func (d *Driver) Closed(l ClosedLoad, r *ClosedResult) (err error) {
	*r, err = l.run(d.ctx, new(atomic.Int64))
	return err
}

// slices is into how many parts the time falls.
func (l ClosedLoad) slices() int {
	if l.Slice == 0 {
		return 1
	}
	return max(1, int(l.For/l.Slice))
}

// part is in which of them something falls that long after the warming; -1 is none.
func (l ClosedLoad) part(after time.Duration) int {
	n := l.slices()
	if after < 0 || after >= l.For {
		return -1
	}
	return min(n-1, int(int64(after)*int64(n)/int64(l.For)))
}

// run counts an answer where it arrives within the time.
func (l ClosedLoad) run(ctx context.Context, numbers *atomic.Int64) (r ClosedResult, err error) {
	conns, err := dialAll(l.Request, l.Connections)
	if err != nil {
		return r, err
	}
	defer closeAll(conns)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		working sync.WaitGroup
		mu      sync.Mutex // guards counts and r
		counts  = make([]int64, l.slices())
		begin   = time.Now().Add(l.Warm)
	)
	for _, c := range conns {
		working.Go(func() {
			var latency histogram
			own := make([]int64, len(counts))
			for sent := time.Now(); sent.Sub(begin) < l.For && ctx.Err() == nil; {
				number := numbers.Add(1) - 1
				if l.Most > 0 && number >= l.Most {
					break
				}
				if err := c.send(number); err != nil {
					cancel(fmt.Errorf("load on %s: %w", l.Request.URL, err))
					return
				}
				answered := time.Now()
				if part := l.part(answered.Sub(begin)); part >= 0 {
					own[part]++
					latency.add(answered.Sub(sent))
				}
				sent = answered
			}
			mu.Lock()
			defer mu.Unlock()
			r.Latency.merge(&latency)
			for i, n := range own {
				counts[i] += n
			}
		})
	}
	working.Wait()
	each := l.For.Seconds() / float64(len(counts))
	var all int64
	for _, n := range counts {
		all += n
		r.Slices = append(r.Slices, float64(n)/each)
	}
	r.Rate = float64(all) / l.For.Seconds()
	return r, context.Cause(ctx)
}

// Delivery is a closed loop of messages that are to arrive at the sink.
type Delivery struct {
	Request     request
	Connections int
	For         time.Duration // how long messages are sent
	Limit       time.Duration // for the last of them to arrive after that
}

// Delivered is what came of it.
type Delivered struct {
	Messages int64
	Again    int64         // arrivals beyond the first of a message
	Elapsed  time.Duration // from the first request to the last arrival
}

// Deliver sends messages and returns when all have arrived.
func (d *Driver) Deliver(l Delivery, r *Delivered) error {
	e := &expected{}
	d.sink.expected.Store(e)
	defer d.sink.expected.Store(nil)
	var numbers atomic.Int64
	began := time.Now()
	load := ClosedLoad{Request: l.Request, Connections: l.Connections, For: l.For}
	if _, err := load.run(d.ctx, &numbers); err != nil {
		return err
	}
	r.Messages = numbers.Load()
	if err := e.await(d.ctx, r.Messages, l.Limit); err != nil {
		return err
	}
	r.Elapsed = time.Since(began)
	_, r.Again = e.count()
	return nil
}

// Arrivals counts what arrives at the sink, after a time that does not count.
type Arrivals struct{ Warm, For time.Duration }

// Arrivals returns the rate at which requests arrive.
func (d *Driver) Arrivals(a Arrivals, rate *float64) error {
	if err := rig.Wait(d.ctx, a.Warm); err != nil {
		return err
	}
	began, before := time.Now(), d.sink.all.Load()
	if err := rig.Wait(d.ctx, a.For); err != nil {
		return err
	}
	*rate = float64(d.sink.all.Load()-before) / time.Since(began).Seconds()
	if *rate == 0 {
		return errors.New("nothing arrives at the sink")
	}
	return nil
}
