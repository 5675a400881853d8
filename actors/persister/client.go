package persister

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/postrider/postrider/data"
)

// What may wait for the persister at a time. Beyond it callers are refused: the
// disk is behind, and what waits is memory.
const (
	maxPending      = 16_384
	maxPendingBytes = 64 << 20
)

// Client is how the rest of the process calls the persister: as functions.
type Client struct {
	root  *actor.RootContext
	pid   *actor.PID
	watch *Watch

	stopped atomic.Bool
	pending atomic.Int64
	bytes   atomic.Int64
	answers sync.Pool // of chan error with room for one
}

// NewClient returns a client of the persister that runs under pid.
func NewClient(root *actor.RootContext, pid *actor.PID, watch *Watch) *Client {
	return &Client{root: root, pid: pid, watch: watch, answers: sync.Pool{New: func() any { return make(chan error, 1) }}}
}

// Accepting returns why nothing can be saved now, or nil.
func (c *Client) Accepting() error {
	switch {
	case c.watch.ended() != nil:
		return c.watch.ended()
	case c.stopped.Load():
		return data.ErrStopping
	case c.watch.Stalled(), c.pending.Load() >= maxPending, c.bytes.Load() >= maxPendingBytes:
		return data.ErrOverloaded
	}
	return nil
}

// Stop makes the client refuse everything from now on.
func (c *Client) Stop() { c.stopped.Store(true) }

// Save stores events and messages and returns when they are on disk, or why
// they are not. [data.ErrNoAnswer] when ctx ended first: they may be stored, and
// o belongs to the persister for ever. [data.ErrOverloaded] and
// [data.ErrStopping] mean that nothing was stored.
func (c *Client) Save(ctx context.Context, o *data.Save) error {
	return c.ask(ctx, sizeOf(o), func(a asker) any { return save{Save: o, asker: a} })
}

// Cancel takes a message back and returns it as it is then.
func (c *Client) Cancel(ctx context.Context, id data.ID) (data.Message, error) {
	o := &data.Cancel{ID: id}
	if err := c.ask(ctx, 0, func(a asker) any { return cancel{Cancel: o, asker: a} }); err != nil {
		return data.Message{}, err
	}
	return o.Message, nil
}

// Pause keeps the lane of a gateway from beginning attempts, or ends that.
func (c *Client) Pause(ctx context.Context, gateway string, paused bool) error {
	o := &data.Pause{Gateway: gateway, Paused: paused}
	return c.ask(ctx, 0, func(a asker) any { return pause{Pause: o, asker: a} })
}

// Declare keeps how a gateway is declared, or forgets it where declaration is nil.
func (c *Client) Declare(ctx context.Context, gateway string, declaration []byte) error {
	o := &data.Declare{Gateway: gateway, Declaration: declaration}
	return c.ask(ctx, int64(len(declaration)), func(a asker) any { return declare{Declare: o, asker: a} })
}

// Resend sends dead letters again and says what became of each, in the order of
// the ids. Its error means that none was sent again, but for [data.ErrNoAnswer].
func (c *Client) Resend(ctx context.Context, ids []data.ID) ([]data.Resent, error) {
	o := &data.Resend{IDs: slices.Clone(ids)} // the persister's for ever when ctx ends first
	size := int64(recordBytes * len(ids))
	if err := c.ask(ctx, size, func(a asker) any { return resend{Resend: o, asker: a} }); err != nil {
		return nil, err
	}
	return o.Resent, nil
}

func (c *Client) ask(ctx context.Context, size int64, command func(asker) any) error {
	if err := c.Accepting(); err != nil {
		return err
	}
	c.pending.Add(1)
	c.bytes.Add(size)
	done := c.answers.Get().(chan error)
	c.root.Send(c.pid, command(asker{client: c, size: size, done: done}))
	select {
	case err := <-done:
		c.answers.Put(done)
		return err
	case <-ctx.Done():
		// The answer may still come; the channel is left to it.
		return fmt.Errorf("%w: %w", data.ErrNoAnswer, context.Cause(ctx))
	case <-c.watch.over:
	}
	// What was answered was answered before.
	select {
	case err := <-done:
		return err
	default:
		return c.watch.why
	}
}

// asker is who waits for an answer. What is asked counts as pending until it is
// answered, also when nobody waits any more: it is in the mailbox all the same.
type asker struct {
	client *Client
	size   int64
	done   chan<- error // has room for the one answer
}

func (a asker) answer(err error) {
	a.client.pending.Add(-1)
	a.client.bytes.Add(-a.size)
	a.done <- err
}

// recordBytes is what a record takes in memory beside its texts.
const recordBytes = 64

func sizeOf(o *data.Save) (size int64) {
	size = int64(recordBytes * (len(o.Events) + len(o.Messages)))
	for _, e := range o.Events {
		size += int64(len(e.Type) + len(e.Payload))
	}
	for _, m := range o.Messages {
		size += int64(len(m.Text))
	}
	return size
}
