package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// Types of events. One of them has a route, to the gateway that is well.
const (
	plainType  = "plain"
	routedType = "routed"
)

const (
	eventPath   = "/event"
	messagePath = "/send_message"
)

// request is what a client sent, at least once, and what came of it. No two have
// the same content.
type request struct {
	Path     string
	Key      string   // Idempotency-Key; "" for none
	Kind     string   // type of the events, or gateway of the message
	Payloads []string // texts of the events or the message
	Replies  []reply  // one for each time it was sent

	number int // among those of its client
	body   []byte
	by     *client
}

// reply is what came of sending a request once.
type reply struct {
	Status  int      // 0 when there was no answer
	Problem string   // type of a refusal
	IDs     []string // what was acknowledged
	// When it was sent, and when it was known what came of it, since the round began.
	Sent, Ended time.Duration
}

// ids are what was acknowledged first; nil when nothing was.
func (r *request) ids() []string {
	for _, a := range r.Replies {
		if a.IDs != nil {
			return a.IDs
		}
	}
	return nil
}

// refused reports whether the program said each time that nothing was stored.
func (r *request) refused() bool {
	return !slices.ContainsFunc(r.Replies, func(a reply) bool { return !a.nothing() })
}

// nothing reports whether the reply says that nothing was stored.
func (a reply) nothing() bool {
	switch strings.TrimPrefix(a.Problem, "urn:postrider:problem:") {
	case "backlog-full", "stopping", "no-space", "overloaded":
		return true
	}
	return false
}

// unknown reports whether it may be stored: there was no answer, or one that says
// so.
func (a reply) unknown() bool { return a.IDs == nil && !a.nothing() }

// load is the clients of a round. They go on from one life of the program to the
// next.
type load struct {
	round  *round
	plan   plan
	began  time.Time
	ledger *ledger
	// patient clients take it that a program gives no answer though it runs.
	patient bool
	// patience is how long a client waits for an answer; 0 is [rig.Patience].
	patience time.Duration
	// follower is told at once what clients send and are told, if there is one. Then
	// they keep only their newest requests.
	follower *follower

	clients []*client
	sent    map[string]*atomic.Int64 // messages by gateway

	mu     sync.Mutex // guards what follows
	guests []*client
	next   time.Time // when the last request is due that a client waits to send
}

func newLoad(r *round, p plan, began time.Time) (*load, error) {
	ledger, err := openLedger(r.dir)
	if err != nil {
		return nil, err
	}
	l := &load{round: r, plan: p, began: began, ledger: ledger, sent: map[string]*atomic.Int64{}}
	for _, kind := range kinds() {
		l.sent[kind] = &atomic.Int64{}
	}
	for i := range p.Clients {
		l.clients = append(l.clients, &client{load: l, number: i, luck: r.source(1000 + i)})
	}
	return l, nil
}

// work has all clients send to a program. It returns when each has sent all that
// the plan allows it in one life, or has had no answer.
func (l *load) work(ctx context.Context, c *rig.Child) error {
	return l.each(func(one *client) error { return one.work(ctx, c) })
}

// repeat has all clients repeat what has a key and no answer yet. All of it must
// be answered.
func (l *load) repeat(ctx context.Context, c *rig.Child) error {
	return l.each(func(one *client) error {
		answered, err := one.again(ctx, c)
		if err == nil && !answered && ctx.Err() == nil {
			l.round.violate("client %d: no answer to a repeated request", one.number)
		}
		return err
	})
}

func (l *load) each(do func(*client) error) error {
	errs := make([]error, len(l.clients))
	var working sync.WaitGroup
	for i, one := range l.clients {
		working.Go(func() { errs[i] = do(one) })
	}
	working.Wait()
	return errors.Join(errs...)
}

// rest is how long a client waits before a request.
func (l *load) rest(luck *rand.Rand) time.Duration {
	if l.plan.PerSecond == 0 {
		return time.Duration(luck.ExpFloat64() * float64(l.plan.Pause))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.next.Before(now.Add(-time.Second)) {
		l.next = now // what was missed while the program was down is not made up for
	}
	l.next = l.next.Add(time.Duration(luck.ExpFloat64() / l.plan.PerSecond * float64(time.Second)))
	return l.next.Sub(now)
}

// requests are what the clients sent, by client and in the order of sending.
func (l *load) requests() (all [][]*request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range slices.Concat(l.clients, l.guests) {
		all = append(all, one.done)
	}
	return all
}

// acknowledged reports whether any of it was. No client may be sending.
func (l *load) acknowledged() bool {
	return slices.ContainsFunc(l.requests(), func(all []*request) bool {
		return slices.ContainsFunc(all, func(r *request) bool { return r.ids() != nil })
	})
}

// extra returns a client that a mode sends with in ways of its own. Its requests
// count like those of the others.
func (l *load) extra() *client {
	l.mu.Lock()
	defer l.mu.Unlock()
	number := len(l.clients) + len(l.guests)
	l.guests = append(l.guests, &client{load: l, number: number, luck: l.round.source(1000 + number)})
	return l.guests[len(l.guests)-1]
}

// event makes a request of one event and counts it as sent. What came of it is
// for the caller to note.
func (c *client) event(text string) *request {
	r := c.mark(text)
	r.body = quoted(eventOf(r, 0))
	return r
}

// events makes a request of an array of them.
func (c *client) events(texts ...string) *request {
	r := c.mark(texts...)
	all := make([]map[string]string, len(texts))
	for i := range all {
		all[i] = eventOf(r, i)
	}
	r.body = quoted(all)
	return r
}

// mark makes the texts nobody else's.
func (c *client) mark(texts ...string) *request {
	r := &request{Path: eventPath, Kind: plainType, number: len(c.done), by: c}
	for i, text := range texts {
		r.Payloads = append(r.Payloads, fmt.Sprintf("%s c%d r%d i%d %s", marker(c.load.round), c.number, r.number, i, text))
	}
	c.done = append(c.done, r)
	return r
}

func eventOf(r *request, i int) map[string]string {
	return map[string]string{"event_type": r.Kind, "event_payload": r.Payloads[i]}
}

// client sends one request after the other.
type client struct {
	load   *load
	number int
	luck   *rand.Rand
	made   int        // requests
	done   []*request // those that were sent at least once
}

// mostKept is how many requests a client keeps when they are followed.
const mostKept = 64

// work sends until a request has no answer. What had none in the program's last
// life and has a key is sent again first, so that acknowledgements stay in order.
func (c *client) work(ctx context.Context, to *rig.Child) error {
	if answered, err := c.again(ctx, to); !answered || err != nil {
		return err
	}
	for range c.load.plan.Requests {
		if rig.Wait(ctx, c.load.rest(c.luck)) != nil {
			return nil
		}
		r := c.next()
		if c.luck.IntN(20) == 0 {
			if old := c.any(); old != nil {
				r = old
			}
		}
		if r.Replies == nil {
			c.keep(r)
		}
		if answered, err := c.send(ctx, to, r); !answered || err != nil {
			return err
		}
	}
	return nil
}

// keep enters a request that is about to be sent for the first time.
func (c *client) keep(r *request) {
	c.made++
	c.done = append(c.done, r)
	if f := c.load.follower; f != nil {
		f.sending(c.number, r)
		c.done = slices.Delete(c.done, 0, max(0, len(c.done)-mostKept))
	}
}

// mostRefusals is how often a request is repeated that is refused for now.
const mostRefusals = 100

// again repeats the last request if it may be stored or not and has a key.
func (c *client) again(ctx context.Context, to *rig.Child) (answered bool, err error) {
	if len(c.done) == 0 {
		return true, nil
	}
	r := c.done[len(c.done)-1]
	if r.Key == "" || r.ids() != nil || r.refused() {
		return true, nil
	}
	for range mostRefusals {
		if answered, err := c.send(ctx, to, r); !answered || err != nil || r.ids() != nil {
			return answered, err
		}
		if rig.Wait(ctx, 50*time.Millisecond) != nil {
			break
		}
	}
	return false, nil
}

// any returns an old request that was acknowledged and has a key, if it finds one.
func (c *client) any() *request {
	if len(c.done) == 0 {
		return nil
	}
	if r := c.done[c.luck.IntN(len(c.done))]; r.Key != "" && r.ids() != nil {
		return r
	}
	return nil
}

// next makes a request.
func (c *client) next() *request {
	p, luck := c.load.plan, c.luck
	r := &request{Path: eventPath, Kind: plainType, number: c.made, by: c}
	if luck.Float64() < p.Keyed {
		r.Key = fmt.Sprintf("key-%d-%d", c.number, c.made)
	}
	if luck.Float64() >= p.Events {
		r.Path, r.Kind, r.Payloads = messagePath, c.gateway(), []string{c.text(0)}
		r.body = quoted(map[string]string{"message": r.Payloads[0], "gateway": r.Kind})
		return r
	}
	if luck.Float64() < p.Routed {
		r.Kind = routedType
	}
	event := func(i int) map[string]string {
		r.Payloads = append(r.Payloads, c.text(i))
		return map[string]string{"event_type": r.Kind, "event_payload": r.Payloads[i]}
	}
	if luck.Float64() >= p.Arrays {
		r.body = quoted(event(0))
		return r
	}
	all := make([]map[string]string, 1+luck.IntN(8))
	for i := range all {
		all[i] = event(i)
	}
	r.body = quoted(all)
	return r
}

// gateway draws one, within the budgets.
func (c *client) gateway() string {
	all := c.load.plan.Gateways
	kind := all[c.luck.IntN(len(all))]
	if budget, limited := c.load.plan.Budget[kind]; limited && c.load.sent[kind].Add(1) > int64(budget) {
		return well
	}
	return kind
}

// text is of all kinds, so that a byte that changes is found, and now and then too
// long to be stored with the message. Its beginning is nobody else's.
func (c *client) text(i int) string {
	size := c.luck.IntN(200)
	if c.luck.Float64() < c.load.plan.Long {
		size += c.luck.IntN(c.load.plan.Largest)
	}
	return fmt.Sprintf("%s c%d r%d i%d \"\\ \x00é漢👍 %s", marker(c.load.round), c.number, c.made, i, strings.Repeat(string(rune('a'+c.luck.IntN(26))), size))
}

// marker is what every text of a round begins with.
func marker(r *round) string { return fmt.Sprintf("text-%016x", r.seed) }

// send sends a request once and notes what came of it. answered is false when
// that is unknown; the error is not the program's.
func (c *client) send(ctx context.Context, to *rig.Child, r *request) (answered bool, err error) {
	hash := sha256.Sum256(r.body)
	n := note{Client: c.number, Request: r.number, Path: r.Path, Key: r.Key, Hash: hex.EncodeToString(hash[:])}
	enter := func(what string, flush bool) error {
		n.What, n.Wall, n.Since = what, time.Now().Round(0), time.Since(c.load.began)
		place, err := c.load.ledger.write(n)
		if err != nil || !flush {
			return err
		}
		return c.load.ledger.flush(place)
	}
	if err := enter("sending", false); err != nil {
		return false, err
	}
	var headers []string
	if r.Key != "" {
		headers = []string{"Idempotency-Key", r.Key}
	}
	a, askErr := c.ask(ctx, to, r, headers)
	var got reply
	if askErr == nil {
		got = c.read(r, a)
	}
	got.Sent, got.Ended = n.Since, time.Since(c.load.began)
	r.Replies = append(r.Replies, got)
	if f := c.load.follower; f != nil {
		f.answered(c.number, r)
	}
	n.Status, n.Problem, n.IDs = got.Status, got.Problem, got.IDs
	if got.unknown() {
		if askErr != nil {
			c.missed(ctx, to, askErr)
		}
		return false, enter("unanswered", false)
	}
	if err := enter("answered", true); err != nil {
		return false, err
	}
	if got.nothing() {
		_ = rig.Wait(ctx, 50*time.Millisecond) // then it is somebody else's turn
	}
	return true, nil
}

// ask sends a request and waits for the answer as long as the client's patience
// lasts.
func (c *client) ask(ctx context.Context, to *rig.Child, r *request, headers []string) (rig.Answer, error) {
	if c.load.patience > 0 {
		limited, cancel := context.WithTimeout(ctx, c.load.patience)
		defer cancel()
		ctx = limited
	}
	return to.Do(ctx, http.MethodPost, r.Path, r.body, headers...)
}

// read reads an answer, and finds fault with one that is not documented.
func (c *client) read(r *request, a rig.Answer) reply {
	got := reply{Status: a.Status}
	var said struct {
		ID   string
		IDs  []string
		Type string
	}
	if err := json.Unmarshal(a.Body, &said); err != nil {
		c.load.round.violate("client %d: POST %s = %d and no JSON: %.200q", c.number, r.Path, a.Status, a.Body)
		return got
	}
	switch {
	case a.Status/100 == 2:
		got.IDs = said.IDs
		if said.ID != "" {
			got.IDs = []string{said.ID}
		}
		if got.IDs == nil {
			c.load.round.violate("client %d: POST %s = %d without an id: %.200q", c.number, r.Path, a.Status, a.Body)
		}
	case (a.Status == http.StatusTooManyRequests || a.Status == http.StatusServiceUnavailable) && a.Header.Get("Retry-After") != "":
		got.Problem = said.Type
		c.load.round.count("requests refused for now", 1)
	default:
		c.load.round.violate("client %d: POST %s = %d %.200s, want 2xx, or 429 or 503 with Retry-After, or no answer", c.number, r.Path, a.Status, a.Body)
	}
	return got
}

// missed finds fault with a program that gives no answer and runs on.
func (c *client) missed(ctx context.Context, to *rig.Child, err error) {
	if c.load.patient {
		return
	}
	select {
	case <-to.Ended():
	case <-ctx.Done():
	case <-time.After(rig.Patience):
		c.load.round.violate("client %d: no answer, and the program runs on: %v", c.number, err)
	}
}

// quoted writes JSON.
func quoted(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings always marshal
	}
	return b
}
