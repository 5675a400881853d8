package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// OpenLoad is an open loop: messages are sent when they are due, whatever became
// of the earlier ones.
type OpenLoad struct {
	Request     request
	Connections int
	Rate        float64 // per second
	For         time.Duration
	Limit       time.Duration // for the last to arrive after that
}

// OpenResult is what came of it.
type OpenResult struct {
	Answer  histogram // from when a message was due to its answer
	Arrival histogram // from its answer to its arrival at the sink
	Whole   histogram // from when it was due to its arrival
}

// Open runs an open loop.
func (d *Driver) Open(l OpenLoad, r *OpenResult) error {
	conns, err := dialAll(l.Request, l.Connections)
	if err != nil {
		return err
	}
	defer closeAll(conns)
	pace := schedule{l.Rate, l.For}
	total := pace.total()
	e := &expected{arrived: make([]int64, total)}
	d.sink.expected.Store(e)
	defer d.sink.expected.Store(nil)
	ctx, cancel := context.WithCancelCause(d.ctx)
	defer cancel(nil)
	due := make(chan int, total) // so that nobody who answers slowly holds the schedule up
	answered := make([]int64, total)
	var working sync.WaitGroup
	for _, c := range conns {
		working.Go(func() {
			for n := range due {
				if err := c.send(int64(n)); err != nil {
					cancel(fmt.Errorf("open loop on %s: %w", l.Request.URL, err))
					return
				}
				answered[n] = d.sink.since(time.Now())
			}
		})
	}
	began := time.Now()
	err = pace.run(ctx, began, func(n int) { due <- n })
	close(due)
	working.Wait()
	if err != nil {
		return err
	}
	if err := e.await(ctx, int64(total), l.Limit); err != nil {
		return err
	}
	start := d.sink.since(began)
	for n := range total {
		was := start + int64(pace.due(n))
		r.Answer.add(time.Duration(answered[n] - was))
		r.Arrival.add(time.Duration(e.arrived[n] - answered[n]))
		r.Whole.add(time.Duration(e.arrived[n] - was))
	}
	return nil
}

// run calls send with each number when it is due.
func (s schedule) run(ctx context.Context, began time.Time, send func(n int)) error {
	for sent := 0; ; {
		now, wait, over := s.next(time.Since(began), sent)
		if over {
			return nil
		}
		for range now {
			send(sent)
			sent++
		}
		if err := rig.Wait(ctx, wait); err != nil {
			return err
		}
	}
}
