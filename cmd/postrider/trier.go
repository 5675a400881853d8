package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/postrider/postrider/data"
	httpapi "github.com/postrider/postrider/http"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/egress"
)

// testLimit bounds a test over all of its requests, since there is one at a time.
const testLimit = time.Minute

// sampleEpoch is one that no store gets to: an id of it is no message's.
const sampleEpoch = 1<<16 - 1

// trier shows and tries what gateways are sent, for httpapi.Options. No lane knows
// of that, and nothing of it is stored.
type trier struct {
	declared *inForce
	client   *egress.Client
	log      *slog.Logger
	stopping func() bool
}

// trial is a message that its gateway takes, and how.
type trial struct {
	shown       data.Gateway
	declaration dialect.Declaration
	parts       []data.NewMessage
}

// prepare looks up the gateway and fits the message to it, both in one snapshot.
func (t *trier) prepare(m data.NewMessage) (trial, []httpapi.Fault, error) {
	s := t.declared.Load()
	e, ok := s.entry(m.Gateway)
	switch {
	case !ok:
		return trial{}, nil, data.ErrNotFound
	case e.dialect == nil:
		return trial{}, nil, data.ErrUnusable
	}
	declaration, err := s.declaration(m.Gateway)
	if err != nil {
		return trial{}, nil, err
	}
	parts, faults := e.fit(m)
	if parts == nil {
		parts = []data.NewMessage{m}
	}
	return trial{shown: e.shown, declaration: declaration, parts: parts}, faults, nil
}

// sampleID is the id of a message that there is not. It differs from one test to the
// next and from part to part, as ids of messages do: a gateway may drop duplicates.
func sampleID(now time.Time, part int) data.ID {
	return data.FirstID(sampleEpoch) + data.ID(now.UnixMilli()) + data.ID(part)
}

// input is that of a first attempt at a part.
func (t *trial) input(part int, accepted time.Time) dialect.Input {
	m := t.parts[part]
	return dialect.Input{
		ID: sampleID(accepted, part), Gateway: m.Gateway, To: m.To, Title: m.Title, Text: m.Text, Params: m.Params,
		AcceptedAt: accepted, Attempt: 1, Now: time.Now(),
	}
}

// Render returns the requests that a message would be sent as, secrets masked.
func (t *trier) Render(m data.NewMessage) ([]httpapi.Rendered, []httpapi.Fault, error) {
	trial, faults, err := t.prepare(m)
	if err != nil || len(faults) > 0 {
		return nil, faults, err
	}
	now := time.Now()
	requests := make([]httpapi.Rendered, len(trial.parts))
	for i := range trial.parts {
		r, err := trial.declaration.Preview(trial.input(i, now))
		if err != nil {
			return nil, nil, fmt.Errorf("preview a request: %w", err)
		}
		shown := httpapi.Rendered{Method: r.Method, URL: r.URL, Body: r.Body, Header: make([]httpapi.HeaderField, len(r.Header))}
		for j, f := range r.Header {
			shown.Header[j] = httpapi.HeaderField(f)
		}
		requests[i] = shown
	}
	return requests, nil, nil
}

// Test sends the requests that a message would be sent as.
func (t *trier) Test(ctx context.Context, m data.NewMessage) (tried []httpapi.Tried, parts int, faults []httpapi.Fault, err error) {
	if t.stopping() {
		return nil, 0, nil, data.ErrStopping
	}
	trial, faults, err := t.prepare(m)
	if err != nil || len(faults) > 0 {
		return nil, 0, faults, err
	}
	// Who tests wants to see the answer, also of a gateway whose answers are not kept.
	trial.declaration.KeepAnswer = true
	d, err := dialect.Compile(trial.declaration)
	if err != nil {
		return nil, 0, nil, fmt.Errorf("compile a declaration: %w", err)
	}
	began := time.Now()
	for i := range trial.parts {
		now := time.Now()
		timeout := min(trial.shown.Timeout, testLimit-now.Sub(began))
		if timeout <= 0 {
			break
		}
		r := t.client.Try(ctx, d, trial.input(i, began), timeout)
		took := time.Since(now)
		tried = append(tried, httpapi.Tried{Result: r, Took: took})
		t.log.Info("gateway tested", "gateway", m.Gateway, "outcome", r.Outcome.String(), "cause", string(r.Cause), "status", r.Status, "took", took)
		if r.Outcome != data.OutcomeDelivered {
			break
		}
	}
	return tried, len(trial.parts), nil, nil
}
