package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/data/badger"
)

// awaitEnds waits until no message has an attempt to come, and an interval more,
// in which none may come. That some do not end within the limit is for the oracle
// to say.
func awaitEnds(ctx context.Context, c *rig.Child, p plan) error {
	limit := rig.Patience + time.Duration(p.Attempts)*(p.Interval+p.Timeout)
	began := time.Now()
	for {
		open, err := c.Open(ctx)
		if err != nil {
			return err
		}
		if open == 0 || time.Since(began) > limit {
			return rig.Wait(ctx, p.Interval)
		}
		if err := rig.Wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// readAll reads all that is stored, and whatever else the program tells, for the
// secrets that must not be in it.
func readAll(ctx context.Context, c *rig.Child) (events []rig.Event, messages []rig.Message, err error) {
	if events, err = c.Events(ctx); err != nil {
		return nil, nil, err
	}
	if messages, err = c.Messages(ctx); err != nil {
		return nil, nil, err
	}
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/api/v1/gateways", "/api/v1/gateways/" + well} {
		if _, err := c.Do(ctx, http.MethodGet, path, nil); err != nil {
			return nil, nil, err
		}
	}
	return events, messages, nil
}

// readLives reads from a store that nobody has open when attempts began and
// ended, which the API does not tell exactly.
func readLives(path string) (lives map[string][]lived, err error) {
	store, err := badger.Open(badger.Options{Path: path, Clock: badger.SystemClock(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	lives = map[string][]lived{}
	for q := (data.MessageQuery{Limit: 1000}); ; {
		page, err := store.Messages(q)
		if err != nil {
			return nil, err
		}
		for _, m := range page.Messages {
			for _, one := range m.Attempts {
				lives[m.ID.String()] = append(lives[m.ID.String()], lived{time.Duration(one.Began), time.Duration(one.Ended)})
			}
		}
		if page.Next == "" {
			return lives, nil
		}
		q.After = page.Next
	}
}
