package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// perRequest is how many messages fill makes with one request, which is one
// commit, at most.
const perRequest = 1000

// fillGateways declares gateways that fill sends to, all alike, with a route for
// each.
func fillGateways(n int, one rig.Section) (gateways rig.Section, routes []rig.Section) {
	gateways = rig.Section{}
	for i := range n {
		name := fmt.Sprint("fill-", i)
		gateways[name] = one
		routes = append(routes, rig.Section{"match": rig.Section{"event_type": name}, "gateway": name, "message": "{{event_payload}}"})
	}
	return gateways, routes
}

// fill makes n messages of textSize for the gateways of fillGateways, as quickly
// as the program takes them.
func fill(ctx context.Context, c *rig.Child, gateways, n int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	each := min(perRequest, max(1, n/gateways))
	var taken atomic.Int64
	var posting sync.WaitGroup
	for range 4 {
		posting.Go(func() {
			for {
				from := int(taken.Add(int64(each))) - each
				if from >= n || ctx.Err() != nil {
					return
				}
				events := make([]map[string]string, min(each, n-from))
				for i := range events {
					events[i] = map[string]string{"event_type": fmt.Sprint("fill-", from/each%gateways), "event_payload": text(from + i)}
				}
				if err := c.Insist(ctx, "/event", events); err != nil {
					cancel(fmt.Errorf("fill: %w", err))
				}
			}
		})
	}
	posting.Wait()
	return context.Cause(ctx)
}

// textSize is the length of a message's text.
const textSize = 200

// text is the text of a message that has a number.
func text(number int) string {
	s := fmt.Sprintf("%09d ", number)
	return s + strings.Repeat("x", textSize-len(s))
}

// numberOf reads the number back from a request's body, which is the default one.
func numberOf(r *http.Request) (int, error) {
	var body struct{ Message string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return 0, err
	}
	var number int
	_, err := fmt.Sscanf(body.Message, "%d ", &number)
	return number, err
}
