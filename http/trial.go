package httpapi

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/data"
)

// The routes that show and try what a gateway is sent.
const (
	renderRoute = "/api/v1/gateways/:name/render"
	testRoute   = "/api/v1/gateways/:name/test"
)

// Rendered is a request as it may be shown: every secret in it is masked.
type Rendered struct {
	Method string
	URL    string
	Header []HeaderField
	Body   []byte // nil for a request that has none
}

// HeaderField is one header of a [Rendered].
type HeaderField struct{ Name, Value string }

// Tried is what came of one request of a test.
type Tried struct {
	data.Result // with the beginning of the answer, secrets masked
	Took        time.Duration
}

// Trier shows what a gateway would be sent for a message, or sends it, and stores
// nothing of it. The error is [data.ErrNotFound] for a gateway that is not declared
// and [data.ErrUnusable] for one whose declaration cannot be used. With faults the
// message does not fit, and nothing was sent.
type Trier interface {
	// Render returns the requests of a first attempt that began now: one, or one for
	// each part that the gateway takes the message in.
	Render(m data.NewMessage) ([]Rendered, []Fault, error)
	// Test sends these requests one after the other, each once, until one is not
	// delivered, its time is over, or ctx ends, and returns what came of those that
	// were sent. parts is how many there are.
	Test(ctx context.Context, m data.NewMessage) (tried []Tried, parts int, faults []Fault, err error)
}

// trialMessage reads the message that a gateway is tried with.
func (s *Server) trialMessage(c *fiber.Ctx) (data.NewMessage, error) {
	gateway, ok := s.opts.Gateways.Gateway(strings.Clone(c.Params("name")))
	if !ok {
		return data.NewMessage{}, data.ErrNotFound
	}
	body, err := plainBody(c)
	if err != nil {
		return data.NewMessage{}, err
	}
	return decodeTrial(body, gateway.Name)
}

// renderedAnswer is a request as it is shown.
type renderedAnswer struct {
	Method   string         `json:"method"`
	URL      string         `json:"url"`
	Headers  []headerAnswer `json:"headers"`
	Body     string         `json:"body"`
	Replaced bool           `json:"body_replaced,omitzero"` // the body is not UTF-8, and U+FFFD stands for what is not
}

type headerAnswer struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func showAsRendered(r Rendered) renderedAnswer {
	shown := renderedAnswer{
		Method: r.Method, URL: r.URL, Headers: make([]headerAnswer, len(r.Header)),
		Body: strings.ToValidUTF8(string(r.Body), "\uFFFD"), Replaced: !utf8.Valid(r.Body),
	}
	for i, f := range r.Header {
		shown.Headers[i] = headerAnswer(f)
	}
	return shown
}

// renderMessage shows what a gateway would be sent for a message.
func (s *Server) renderMessage(c *fiber.Ctx) error {
	message, err := s.trialMessage(c)
	if err != nil {
		return err
	}
	requests, faults, err := s.opts.Trier.Render(message)
	switch {
	case err != nil:
		return fmt.Errorf("render a message: %w", err)
	case len(faults) > 0:
		return unfit(faults)
	}
	shown := make([]renderedAnswer, len(requests))
	for i, r := range requests {
		shown[i] = showAsRendered(r)
	}
	return answer(c, struct {
		Requests []renderedAnswer `json:"requests"`
	}{shown})
}

// triedAnswer is what came of a request, as it is shown.
type triedAnswer struct {
	Outcome string `json:"outcome"`
	Cause   string `json:"cause,omitzero"`
	Status  int    `json:"status,omitzero"`
	Hint    int64  `json:"hint_ms,omitzero"`
	Took    int64  `json:"took_ms"`
	Answer  string `json:"answer,omitzero"`
}

// testGateway sends a message to find out what comes of it. A gateway that is paused
// or held is sent to all the same: it is an operator who asks.
func (s *Server) testGateway(c *fiber.Ctx) error {
	message, err := s.trialMessage(c)
	if err != nil {
		return err
	}
	if err := s.tests.take(0); err != nil {
		return err
	}
	defer s.tests.end()
	tried, parts, faults, err := s.opts.Trier.Test(s.life, message)
	switch {
	case err != nil:
		return fmt.Errorf("test a gateway: %w", err)
	case len(faults) > 0:
		return unfit(faults)
	}
	shown := make([]triedAnswer, len(tried))
	for i, t := range tried {
		shown[i] = triedAnswer{
			Outcome: t.Outcome.String(), Cause: string(t.Cause), Status: t.Status,
			Hint: t.Hint.Milliseconds(), Took: t.Took.Milliseconds(),
		}
		if seesContent(c) {
			shown[i].Answer = t.Answer
		}
	}
	return answer(c, struct {
		Results []triedAnswer `json:"results"`
		Unsent  int           `json:"unsent,omitzero"` // parts, behind one that was not delivered
	}{shown, parts - len(tried)})
}
