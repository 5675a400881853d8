package httpapi

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/data"
)

// gatewayAnswer is a gateway as it is shown: its definition, without secrets,
// and what its lane has.
type gatewayAnswer struct {
	Name        string            `json:"name"`
	Method      string            `json:"method"`
	URL         string            `json:"url"`
	Body        string            `json:"body"`
	MaxAttempts int               `json:"max_attempts"`
	Interval    int64             `json:"interval_ms"`
	MaxHint     int64             `json:"max_hint_ms"`
	Timeout     int64             `json:"timeout_ms"`
	Concurrency int               `json:"concurrency"`
	MaxQueue    int               `json:"max_queue"` // 0 means no limit
	Problem     string            `json:"problem,omitzero"`
	Hold        *string           `json:"hold"`   // until when nothing is sent; null means that it is not held
	Counts      map[string]uint64 `json:"counts"` // by state, all of them
	Last        *attemptAnswer    `json:"last"`   // the newest attempt that ended; null when there was none
}

func showAsGateway(g data.Gateway, lane data.Lane) gatewayAnswer {
	shown := gatewayAnswer{
		Name: g.Name, Method: g.Method, URL: g.URL, Body: g.Body, Problem: g.Problem,
		MaxAttempts: g.Policy.MaxAttempts,
		Interval:    g.Policy.Interval.Milliseconds(),
		MaxHint:     g.Policy.MaxHint.Milliseconds(),
		Timeout:     g.Timeout.Milliseconds(),
		Concurrency: g.Concurrency,
		MaxQueue:    g.MaxQueue,
		Counts:      make(map[string]uint64, data.States),
	}
	for _, state := range data.AllStates() {
		shown.Counts[state.String()] = lane.Counts[state]
	}
	if lane.Last.Number > 0 {
		shown.Last = new(showAsAttempt(lane.Last))
	}
	return shown
}

func (s *Server) showGateway(c *fiber.Ctx) error {
	gateway, ok := s.opts.Gateways.Gateway(strings.Clone(c.Params("name")))
	if !ok {
		return data.ErrNotFound
	}
	lane, err := s.opts.Reader.Lane(gateway.Name)
	if err != nil && !errors.Is(err, data.ErrNotFound) {
		return fmt.Errorf("read a lane: %w", err)
	}
	return answer(c, showAsGateway(gateway, lane))
}

// listGateways lists all gateways unless a limit is given: there are as many as
// somebody declared, while events and messages have no end.
func (s *Server) listGateways(c *fiber.Ctx) error {
	given, err := parameters(c, "limit", "after")
	if err != nil {
		return err
	}
	after, limit, limited := given.gateway("after"), given.limit(), given.text("limit") != ""
	if err := given.err(); err != nil {
		return err
	}
	all := s.opts.Gateways.Gateways()
	rest := all[sort.Search(len(all), func(i int) bool { return all[i].Name > after }):]
	list := struct {
		Gateways []gatewayAnswer `json:"gateways"`
		Next     *string         `json:"next"`
	}{}
	if limited && len(rest) > limit {
		rest = rest[:limit]
		list.Next = new(rest[limit-1].Name)
	}
	stored, err := s.opts.Reader.Lanes()
	if err != nil {
		return fmt.Errorf("read the lanes: %w", err)
	}
	lanes := make(map[string]data.Lane, len(stored))
	for _, lane := range stored {
		lanes[lane.Gateway] = lane
	}
	list.Gateways = make([]gatewayAnswer, 0, len(rest))
	for _, gateway := range rest {
		list.Gateways = append(list.Gateways, showAsGateway(gateway, lanes[gateway.Name]))
	}
	return answer(c, list)
}
