package gateway

import (
	"context"
	"log/slog"
	"time"

	"github.com/postrider/postrider/data"
)

// Queue is the stored side of a lane, for reading. Lane is [data.ErrNotFound] for a gateway
// that never had a message.
type Queue interface {
	Lane(gateway string) (data.Lane, error)
	Ready(gateway string, after data.ID, limit int) (refs []data.Ref, more bool, err error)
	Waiting(gateway string, after data.Ref, limit int) (refs []data.Ref, more bool, err error)
}

// Definition is how one gateway is to be served.
type Definition struct {
	Name        string
	Policy      data.Policy
	Timeout     time.Duration // of one attempt
	Concurrency int           // requests under way at once
	Rate        float64       // attempts that begin per second; 0 means no limit
	HoldAfter   int           // attempts in a row without a connection until the lane only probes; 0 means never
	// Deliver sends one message and says what came of it. It returns within
	// Timeout, and soon after ctx ends. An attempt of which nothing has left by then,
	// or when the message expires, is withdrawn.
	Deliver func(ctx context.Context, m data.Message, number int) data.Result
	// Probe connects to the gateway without sending anything, which is no attempt,
	// and says why it could not; CauseNone when it could. It returns within
	// Timeout, and soon after ctx ends. It is needed with HoldAfter.
	Probe func(ctx context.Context) data.Cause
}

// Options say what a lane works with. All fields are needed but Ramp, Began,
// Attempted and Ended.
type Options struct {
	// Definition is the one that the lane is started with.
	Definition Definition
	// Define returns the newest definition, false when the gateway is not declared
	// any more or its declaration cannot be used.
	Define func() (Definition, bool)
	// Slots share with other lanes what may be under way.
	Slots *Slots
	// Allowances are what lets the store begin first attempts of the lane by itself.
	Allowances *Allowances
	// Ramp says that the lane begins with one attempt at a time, as all do that
	// have work when the process starts.
	Ramp  bool
	Queue Queue
	Now   func() data.StoreTime
	// Doubt is when the store was last opened, if ever, and it was not known how long what was
	// waiting then had waited: it waits an interval from there. 0 for never.
	Doubt data.StoreTime
	// Record begins and settles attempts on disk and then calls done, once.
	Record func(begin *data.Begin, settles []*data.Settle, done func(error))
	// Attempts ends when requests that are still under way must be cut off.
	Attempts context.Context //nolint:containedctx // it bounds requests, not a call
	// Draining reports whether the process is to end: a lane that starts then, as
	// one that failed does, begins nothing.
	Draining func() bool
	Linger   time.Duration // how long an idle lane stays
	Logger   *slog.Logger
	// Access says that each delivery is one line of the log, also below debug.
	Access bool
	// Began is told of each request that leaves how late it is: since its message was
	// accepted, or was due again. It must be quick.
	Began func(late time.Duration, again bool)
	// Attempted is told of each settled attempt. It must be quick.
	Attempted func(gateway string, r data.Result, next data.State, took time.Duration)
	// Ended is told of each message that ended without a further attempt, and how. It
	// must be quick.
	Ended func(gateway string, state data.State)
}
