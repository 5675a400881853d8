package httpapi

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/data"
)

// Overview is what the process tells about itself as a whole.
type Overview interface {
	// Summary must be quick: it is asked for each time that somebody looks.
	Summary() Summary
	// History returns what became of the messages of a gateway in the last minutes;
	// false when that is not kept, since there are too many gateways.
	History(gateway string) (History, bool)
}

// Summary is how the process does, beside what its lanes tell.
type Summary struct {
	StartedAt time.Time
	Rates     Rates
	History   History
	Store     StoreSummary
	Config    ConfigSummary
}

// Rates are means of the last seconds, per second.
type Rates struct{ Events, Messages, Delivered, Failed float64 }

// History counts what happened in each step of time, the oldest first. That of a
// gateway has no Events and Messages.
type History struct {
	Step                                time.Duration
	Events, Messages, Delivered, Failed []uint32
}

// StoreSummary is how the store does.
type StoreSummary struct {
	Reasons    []string // why nothing new is taken now; empty when it is
	Free, Size int64    // bytes of the disk
}

// ConfigSummary is what became of the readings of the configuration.
type ConfigSummary struct {
	AppliedAt    time.Time
	RefusedAt    time.Time // of the newest one, if it was refused; zero when it was not
	Mistakes     int       // of that
	NeedsRestart []string  // keys that were changed and do not count yet
}

// summaryAnswer is a summary as it is shown.
type summaryAnswer struct {
	Version   string            `json:"version"`
	StartedAt string            `json:"started_at"`
	Now       string            `json:"now"`
	Rates     ratesAnswer       `json:"rates"`
	History   historyAnswer     `json:"history"`
	Counts    map[string]uint64 `json:"counts"` // of messages, by state, all of them
	Dead      uint64            `json:"dead"`
	Oldest    *string           `json:"oldest_queued_at"` // null when nothing is to be sent
	Gateways  gatewaysAnswer    `json:"gateways"`
	Store     storeAnswer       `json:"store"`
	Config    configAnswer      `json:"config"`
	Attention []attentionAnswer `json:"attention"`
}

type ratesAnswer struct {
	Events    float64 `json:"events_per_second"`
	Messages  float64 `json:"messages_per_second"`
	Delivered float64 `json:"delivered_per_second"`
	Failed    float64 `json:"failed_per_second"`
}

type historyAnswer struct {
	Step      int64    `json:"step_ms"`
	Events    []uint32 `json:"events"`
	Messages  []uint32 `json:"messages"`
	Delivered []uint32 `json:"delivered"`
	Failed    []uint32 `json:"failed"`
}

func showAsHistory(h History) historyAnswer {
	return historyAnswer{Step: h.Step.Milliseconds(), Events: h.Events, Messages: h.Messages, Delivered: h.Delivered, Failed: h.Failed}
}

// endsAnswer is the history of one gateway.
type endsAnswer struct {
	Step      int64    `json:"step_ms"`
	Delivered []uint32 `json:"delivered"`
	Failed    []uint32 `json:"failed"`
}

func showAsEnds(h History) endsAnswer {
	return endsAnswer{Step: h.Step.Milliseconds(), Delivered: h.Delivered, Failed: h.Failed}
}

type gatewaysAnswer struct {
	Total   int `json:"total"`
	Paused  int `json:"paused"`
	Held    int `json:"held"`
	Parked  int `json:"parked"` // with messages that cannot be sent as it is declared
	Backlog int `json:"with_backlog"`
}

type storeAnswer struct {
	Accepting bool     `json:"accepting"`
	Reasons   []string `json:"reasons"`
	Free      int64    `json:"free_bytes"`
	Size      int64    `json:"size_bytes"`
}

type configAnswer struct {
	AppliedAt    string   `json:"applied_at"`
	RefusedAt    *string  `json:"refused_at"`
	Mistakes     int      `json:"mistakes"`
	NeedsRestart []string `json:"needs_restart"`
}

// attentionAnswer is a gateway that a person should look at.
type attentionAnswer struct {
	Gateway string  `json:"gateway"`
	Reason  string  `json:"reason"`
	Until   *string `json:"until"` // of a hold whose end is known
	Open    uint64  `json:"open"`  // messages with an attempt to come or under way
	Dead    uint64  `json:"dead"`
	Oldest  *string `json:"oldest_at"`

	rank int
}

// The reasons beside those of a hold, a closed list. The first ones are worse.
const (
	attentionParked = "parked"
	attentionPaused = "paused"
	attentionDead   = "dead"
)

// maxAttention is how many gateways a summary names.
const maxAttention = 50

// maxBacklogs is how many gateways the dashboard begins with.
const maxBacklogs = 12

// maxOldest is how many lanes are asked for their oldest message to find the oldest
// of all.
const maxOldest = 64

// laneSummary is what all lanes come to.
type laneSummary struct {
	counts    [data.States]uint64
	gateways  gatewaysAnswer
	attention []attentionAnswer // the worst first
	backlogs  []data.Lane       // those with most to send, most first
	first     []data.Lane       // those that may have the oldest message, the oldest first
}

// add takes one gateway in.
func (s *laneSummary) add(g knownGateway) {
	if !g.worthShowing() {
		return
	}
	for state, n := range g.lane.Counts {
		s.counts[state] += n
	}
	hold, open := g.hold(), g.lane.Open() > 0
	s.gateways.Total++
	s.gateways.Paused += one(g.lane.Paused)
	s.gateways.Held += one(hold != nil)
	s.gateways.Parked += one(g.parked())
	s.gateways.Backlog += one(open)
	if reason, rank := g.attention(hold); reason != "" {
		s.heed(g, hold, reason, rank)
	}
	if open {
		s.backlogs = keepLeast(s.backlogs, g.lane, maxBacklogs, func(a, b data.Lane) int {
			return cmp.Or(cmp.Compare(b.Open(), a.Open()), strings.Compare(a.Gateway, b.Gateway))
		})
		s.first = keepLeast(s.first, g.lane, maxOldest, func(a, b data.Lane) int { return cmp.Compare(a.First, b.First) })
	}
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// heed keeps a gateway for the list of those to look at, if it is one of the worst.
func (s *laneSummary) heed(g knownGateway, hold *holdAnswer, reason string, rank int) {
	a := attentionAnswer{Gateway: g.Name, Reason: reason, Open: g.lane.Open(), Dead: g.dead(), rank: rank}
	if hold != nil && reason == hold.Reason {
		a.Until = hold.Until
	}
	s.attention = keepLeast(s.attention, a, maxAttention, func(a, b attentionAnswer) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b.Open, a.Open), cmp.Compare(b.Dead, a.Dead), strings.Compare(a.Gateway, b.Gateway))
	})
}

// keepLeast puts v in its place of a sorted list, which keeps the n least.
func keepLeast[T any](list []T, v T, n int, compare func(a, b T) int) []T {
	if len(list) == n && compare(v, list[n-1]) >= 0 {
		return list
	}
	at, _ := slices.BinarySearchFunc(list, v, compare)
	list = slices.Insert(list, at, v)
	return list[:min(len(list), n)]
}

// parked reports whether the gateway has messages that cannot be sent as it is
// declared, if it is.
func (g knownGateway) parked() bool { return g.Problem != "" && g.lane.Open() > 0 }

func (g knownGateway) dead() (n uint64) {
	for _, state := range data.DeadStates() {
		n += g.lane.Counts[state]
	}
	return n
}

// attention says why a person should look at the gateway, "" when nobody need to, and
// how bad that is: 0 is worst.
func (g knownGateway) attention(hold *holdAnswer) (reason string, rank int) {
	switch {
	case g.parked():
		return attentionParked, 0
	case hold != nil && hold.Reason == holdOutage:
		return holdOutage, 1
	case hold != nil:
		return hold.Reason, 2
	case g.lane.Paused:
		return attentionPaused, 3
	case g.dead() > 0:
		return attentionDead, 4
	}
	return "", 0
}

// summaries keeps what all lanes come to, for a while after it took long to find out.
type summaries struct {
	mu     sync.Mutex
	known  laneSummary
	oldest *string // when the oldest message was accepted that is to be sent
	until  time.Time
}

// worthKeeping is how much longer than it took to make a summary is kept, up to
// keptAtMost: then those who look all the time take little of the process.
const (
	worthKeeping = 20
	keptAtMost   = time.Second
)

// showSummary shows how the process does.
func (s *Server) showSummary(c *fiber.Ctx) error {
	if _, err := parameters(c); err != nil {
		return err
	}
	lanes, oldest, err := s.laneSummary()
	if err != nil {
		return err
	}
	o := s.opts.Overview.Summary()
	shown := summaryAnswer{
		Version: s.opts.Version, StartedAt: stamp(o.StartedAt), Now: stamp(s.opts.Now()),
		Rates: ratesAnswer(o.Rates), History: showAsHistory(o.History),
		Counts: showAsCounts(lanes.counts), Gateways: lanes.gateways, Oldest: oldest,
		Store: storeAnswer{Accepting: len(o.Store.Reasons) == 0, Reasons: listed(o.Store.Reasons), Free: o.Store.Free, Size: o.Store.Size},
		Config: configAnswer{
			AppliedAt: stamp(o.Config.AppliedAt), RefusedAt: stampIfAny(o.Config.RefusedAt),
			Mistakes: o.Config.Mistakes, NeedsRestart: listed(o.Config.NeedsRestart),
		},
		Attention: listed(lanes.attention),
	}
	for _, state := range data.DeadStates() {
		shown.Dead += lanes.counts[state]
	}
	return answer(c, shown)
}

// listed is a list that is shown as one also when it is empty.
func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func stampIfAny(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return new(stamp(t))
}

func showAsCounts(counts [data.States]uint64) map[string]uint64 {
	shown := make(map[string]uint64, data.States)
	for _, state := range data.AllStates() {
		shown[state.String()] = counts[state]
	}
	return shown
}

// laneSummary returns what all lanes come to, and when the oldest message was accepted
// that is to be sent.
func (s *Server) laneSummary() (laneSummary, *string, error) {
	k := &s.summaries
	k.mu.Lock()
	defer k.mu.Unlock()
	began := s.opts.Now()
	if began.Before(k.until) {
		return k.known, k.oldest, nil
	}
	lanes, err := s.sumUp()
	if err != nil {
		return laneSummary{}, nil, err
	}
	oldest, err := s.fillOldest(&lanes)
	if err != nil {
		return laneSummary{}, nil, err
	}
	now := s.opts.Now()
	k.known, k.oldest = lanes, oldest
	k.until = now.Add(min(worthKeeping*now.Sub(began), keptAtMost))
	return lanes, oldest, nil
}

// sumUp goes through all gateways.
func (s *Server) sumUp() (sum laneSummary, err error) {
	err = s.eachGateway(sum.add)
	return sum, err
}

// fillOldest asks for the oldest messages of the gateways that a summary names, and of
// those that may have the oldest of all, which it returns.
func (s *Server) fillOldest(sum *laneSummary) (*string, error) {
	for i := range sum.attention {
		a := &sum.attention[i]
		if a.Open == 0 {
			continue
		}
		at, err := s.oldest(a.Gateway)
		if err != nil {
			return nil, err
		}
		a.Oldest = stampIfAny(at)
	}
	var oldest time.Time
	for _, lane := range sum.first {
		at, err := s.oldest(lane.Gateway)
		if err != nil {
			return nil, err
		}
		if !at.IsZero() && (oldest.IsZero() || at.Before(oldest)) {
			oldest = at
		}
	}
	return stampIfAny(oldest), nil
}

func (s *Server) oldest(gateway string) (time.Time, error) {
	at, err := s.opts.Reader.Oldest(gateway)
	if err != nil {
		return time.Time{}, fmt.Errorf("find the oldest message of a gateway: %w", err)
	}
	return at, nil
}
