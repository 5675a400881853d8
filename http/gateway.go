package httpapi

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/data"
)

// gatewayAnswer is a gateway as it is shown: its definition, without secrets,
// and what its lane has.
type gatewayAnswer struct {
	Name        string            `json:"name"`
	Declared    bool              `json:"declared"`
	Origin      string            `json:"origin"` // config or api; "" when it is not declared
	Preset      string            `json:"preset"` // "" for none
	Method      string            `json:"method"`
	URL         string            `json:"url"`
	Body        string            `json:"body"`
	Auth        string            `json:"auth"`  // "" for none
	Needs       []string          `json:"needs"` // fields of messages
	MaxAttempts int               `json:"max_attempts"`
	Interval    int64             `json:"interval_ms"`
	MaxHint     int64             `json:"max_hint_ms"`
	Timeout     int64             `json:"timeout_ms"`
	Concurrency int               `json:"concurrency"`
	Rate        float64           `json:"rate"`             // per second; 0 means no limit
	MaxQueue    int               `json:"max_queue"`        // 0 means no limit
	HoldAfter   int               `json:"hold_after"`       // 0 means never
	Permanent   []int             `json:"permanent_status"` // statuses
	Problem     string            `json:"problem,omitzero"`
	Paused      bool              `json:"paused"`
	Unreached   int               `json:"unreached"` // attempts in a row without a connection
	Hold        *holdAnswer       `json:"hold"`      // why nothing is sent; null means that it is not held
	Counts      map[string]uint64 `json:"counts"`    // by state, all of them
	Last        *attemptAnswer    `json:"last"`      // the newest attempt that ended; null when there was none
	Oldest      *string           `json:"oldest_at"` // acceptance of the first message in line; null when there is none
	// History is what became of its messages lately; only of one gateway, and where that
	// is kept.
	History *endsAnswer `json:"history,omitzero"`
}

// holdAnswer says why a gateway is not sent to.
type holdAnswer struct {
	Reason string  `json:"reason"`
	Until  *string `json:"until"` // null while nobody knows
}

// The reasons of a hold, a closed list.
const (
	holdThrottled = "throttled" // the gateway asked for it
	holdOutage    = "outage"    // no connection, until one can be made
)

// knownGateway is a gateway that can be shown: one that is declared, or one that
// is not any more and has a lane.
type knownGateway struct {
	data.Gateway
	declared bool
	lane     data.Lane // empty before the first message
}

// undeclared stands for a gateway of which there is only the lane.
func undeclared(lane data.Lane) knownGateway {
	return knownGateway{lane: lane, Gateway: data.Gateway{
		Name: lane.Gateway, Problem: "not declared: its messages are parked",
	}}
}

// worthShowing reports whether anybody would miss the gateway in the list.
func (g knownGateway) worthShowing() bool {
	return g.declared || g.lane.Paused || slices.Max(g.lane.Counts[:]) > 0
}

func (g knownGateway) hold() *holdAnswer {
	switch {
	case !g.lane.HeldAt.IsZero():
		return &holdAnswer{Reason: holdThrottled, Until: new(stamp(g.lane.HeldAt))}
	case g.HoldAfter > 0 && g.lane.Unreached >= g.HoldAfter:
		return &holdAnswer{Reason: holdOutage}
	}
	return nil
}

// showAsGateway shows a gateway as lists have it. It asks for its oldest message, if
// there is any to be sent.
func (s *Server) showAsGateway(g knownGateway) (gatewayAnswer, error) {
	shown := gatewayAnswer{
		Name: g.Name, Declared: g.declared, Origin: string(g.Origin), Preset: g.Preset, Method: g.Method, URL: g.URL, Body: g.Body,
		Auth: g.Auth, Needs: g.Needs, Problem: g.Problem,
		MaxAttempts: g.Policy.MaxAttempts,
		Interval:    g.Policy.Interval.Milliseconds(),
		MaxHint:     g.Policy.MaxHint.Milliseconds(),
		Timeout:     g.Timeout.Milliseconds(),
		Concurrency: g.Concurrency,
		Rate:        g.Rate,
		MaxQueue:    g.MaxQueue,
		HoldAfter:   g.HoldAfter,
		Permanent:   g.Permanent,
		Paused:      g.lane.Paused,
		Unreached:   g.lane.Unreached,
		Hold:        g.hold(),
		Counts:      showAsCounts(g.lane.Counts),
	}
	if g.lane.Last.Number > 0 {
		shown.Last = new(showAsAttempt(g.lane.Last, false))
	}
	if g.lane.Open() == 0 {
		return shown, nil
	}
	at, err := s.oldest(g.Name)
	shown.Oldest = stampIfAny(at)
	return shown, err
}

// answerGateway answers with one gateway, with its history.
func (s *Server) answerGateway(c *fiber.Ctx, g knownGateway) error {
	shown, err := s.showAsGateway(g)
	if err != nil {
		return err
	}
	if h, ok := s.opts.Overview.History(g.Name); ok {
		shown.History = new(showAsEnds(h))
	}
	return answer(c, shown)
}

// gateway returns what is known of a gateway.
func (s *Server) gateway(name string) (knownGateway, error) {
	declared, ok := s.opts.Gateways.Gateway(name)
	lane, err := s.opts.Reader.Lane(name)
	switch {
	case err != nil && !errors.Is(err, data.ErrNotFound), err != nil && !ok:
		return knownGateway{}, fmt.Errorf("read a lane: %w", err)
	case !ok:
		return undeclared(lane), nil
	}
	return knownGateway{Gateway: declared, declared: true, lane: lane}, nil
}

func (s *Server) showGateway(c *fiber.Ctx) error {
	gateway, err := s.gateway(strings.Clone(c.Params("name")))
	if err != nil {
		return err
	}
	if !gateway.worthShowing() {
		return data.ErrNotFound
	}
	return s.answerGateway(c, gateway)
}

// listGateways lists all gateways that a page takes unless a limit is given: there
// are as many as somebody declared, while events and messages have no end.
func (s *Server) listGateways(c *fiber.Ctx) error {
	given, err := parameters(c, "limit", "after")
	if err != nil {
		return err
	}
	after, limit, limited := given.gateway("after"), given.limit(), given.text("limit") != ""
	if err := given.err(); err != nil {
		return err
	}
	all, err := s.gateways()
	if err != nil {
		return err
	}
	rest := all[sort.Search(len(all), func(i int) bool { return all[i].Name > after }):]
	list := newListing("gateways")
	for i, gateway := range rest {
		shown, err := s.showAsGateway(gateway)
		if err != nil {
			return err
		}
		full := list.add(shown)
		if more := i+1 < len(rest); more && (full || limited && i+1 == limit) {
			return list.answer(c, gateway.Name)
		}
	}
	return list.answer(c, "")
}

// gateways returns all that is worth showing, by name.
func (s *Server) gateways() (all []knownGateway, err error) {
	err = s.eachGateway(func(g knownGateway) {
		if g.worthShowing() {
			all = append(all, g)
		}
	})
	slices.SortFunc(all, func(a, b knownGateway) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

// eachGateway goes through all gateways that are declared or have a lane, in no order.
func (s *Server) eachGateway(visit func(knownGateway)) error {
	declared := s.opts.Gateways.Gateways()
	stored, err := s.opts.Reader.Lanes()
	if err != nil {
		return fmt.Errorf("read the lanes: %w", err)
	}
	lanes := make(map[string]*data.Lane, len(stored))
	for i := range stored {
		lanes[stored[i].Gateway] = &stored[i]
	}
	for _, gateway := range declared {
		known := knownGateway{Gateway: gateway, declared: true}
		if lane := lanes[gateway.Name]; lane != nil {
			known.lane = *lane
			delete(lanes, gateway.Name)
		}
		visit(known)
	}
	for _, lane := range lanes {
		visit(undeclared(*lane))
	}
	return nil
}
