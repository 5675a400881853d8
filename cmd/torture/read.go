package main

import (
	"context"
	"net/http"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
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
