package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// carry is a job: a message to carry to the sink.
type carry struct {
	Text string `json:"text"`
}

// Kind names the kind of job.
func (carry) Kind() string { return "carry" }

// carrier works on such jobs.
type carrier struct {
	river.WorkerDefaults[carry]

	post func(text string) error
}

// Work makes one attempt.
func (c *carrier) Work(_ context.Context, job *river.Job[carry]) error { return c.post(job.Args.Text) }

// openRiver inserts a job for each message. With a sink it works on them, and
// fetches as often as River allows.
func openRiver(ctx context.Context, at site, address string) (*back, error) {
	pool, err := connect(ctx, at, address)
	if err != nil {
		return nil, err
	}
	driver := riverpgxv5.New(pool)
	migrator, err := rivermigrate.New(driver, nil)
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	options := &river.Config{Logger: slog.New(slog.DiscardHandler), MaxAttempts: 3}
	if at.delivers() {
		options.Workers = river.NewWorkers()
		if err := river.AddWorkerSafely(options.Workers, &carrier{post: poster(at.sink, at.workers)}); err != nil {
			return nil, err
		}
		options.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: at.workers}}
		options.FetchCooldown, options.FetchPollInterval = river.FetchCooldownMin, 100*time.Millisecond
	}
	client, err := river.NewClient[pgx.Tx](driver, options)
	if err != nil {
		return nil, err
	}
	if at.delivers() {
		if err := client.Start(context.WithoutCancel(ctx)); err != nil {
			return nil, err
		}
	}
	return &back{
		message: func(ctx context.Context, text string) error {
			_, err := client.Insert(ctx, carry{text}, nil)
			return err
		},
		durability: show(pool),
		open: func(ctx context.Context) (n int64, err error) {
			err = pool.QueryRow(ctx, `SELECT count(*) FROM river_job WHERE state <> 'completed'`).Scan(&n)
			return n, err
		},
		close: func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience/3)
			defer cancel()
			if at.delivers() {
				_ = client.StopAndCancel(ctx) // what is left is thrown away with its store
			}
			pool.Close()
		},
	}, nil
}
