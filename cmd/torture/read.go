package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
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

// mostRead is how many records are read one by one at the end of a round.
const mostRead = 200

// acknowledgedRecords are what was acknowledged, by id.
func acknowledgedRecords(all [][]*request) map[string]record {
	given := map[string]record{}
	for _, requests := range all {
		for _, r := range requests {
			for i, id := range r.ids() {
				if i < len(r.Payloads) {
					given[id] = record{r.Kind, r.Payloads[i]}
				}
			}
		}
	}
	return given
}

// readSome reads some of what was acknowledged by its id, each as it was sent.
func readSome(ctx context.Context, c *rig.Child, given map[string]record, luck *rand.Rand, complain complainer) (read int, err error) {
	ids := slices.Sorted(maps.Keys(given))
	luck.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	for _, id := range ids[:min(len(ids), mostRead)] {
		a, err := c.Do(ctx, http.MethodGet, given[id].path(id), nil)
		if err != nil {
			return read, err
		}
		read++
		if !given[id].in(a) {
			complain("%s %.60q was acknowledged as %s; GET %s = %d %.200s", given[id].kind, given[id].text, id, given[id].path(id), a.Status, a.Body)
		}
	}
	return read, nil
}

// path is where a record is read by its id.
func (r record) path(id string) string {
	if r.kind == plainType || r.kind == routedType {
		return rig.EventList + "/" + id
	}
	return rig.MessageList + "/" + id
}

// in reports whether an answer holds the record.
func (r record) in(a rig.Answer) bool {
	var got struct {
		Type    string `json:"event_type"`
		Payload string `json:"event_payload"`
		Gateway string
		Text    string `json:"message"`
	}
	return a.Status == http.StatusOK && json.Unmarshal(a.Body, &got) == nil && record{got.Type + got.Gateway, got.Payload + got.Text} == r
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
