package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// client sends requests to the program. One that is stuck is given up.
var client = &http.Client{
	Timeout:       Patience,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 256, MaxConnsPerHost: 1024, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Answer is what the program said.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends one request, once, with headers given as names and values, and reads
// the answer. An answer that breaks off is none.
func (c *Child) Do(ctx context.Context, method, path string, body []byte, headers ...string) (Answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	r.GetBody = nil // else the client may send it twice
	if c.program.Key != "" {
		r.Header.Set("Authorization", "Bearer "+c.program.Key)
	}
	idempotent := false
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		idempotent = idempotent || headers[i] == "Idempotency-Key"
	}
	if idempotent && len(body) == 0 {
		return Answer{}, errors.New("a request with a key and no body may be sent twice")
	}
	response, err := client.Do(r)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	said, err := io.ReadAll(response.Body)
	a := Answer{response.StatusCode, response.Header, said}
	if c.program.Heard != nil {
		c.program.Heard(path, a)
	}
	return a, err
}

// Ask sends one request and reads the answer.
func (c *Child) Ask(ctx context.Context, method, path string, body []byte) (status int, answer []byte, err error) {
	a, err := c.Do(ctx, method, path, body)
	return a.Status, a.Body, err
}

// Get reads JSON.
func (c *Child) Get(ctx context.Context, path string, into any) error {
	status, answer, err := c.Ask(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("GET %s = %d %.200s", path, status, answer)
	}
	return json.Unmarshal(answer, into)
}

// ErrRefused marks an answer that the program gives when it has enough to do.
var ErrRefused = errors.New("refused for now")

// Post hands something in.
func (c *Child) Post(ctx context.Context, path string, body any) (answer []byte, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	status, answer, err := c.Ask(ctx, http.MethodPost, path, b)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests:
		return nil, fmt.Errorf("POST %s = %d %.200s: %w", path, status, answer, ErrRefused)
	case status/100 != 2:
		return nil, fmt.Errorf("POST %s = %d %.200s", path, status, answer)
	}
	return answer, nil
}

// Insist posts again what is refused for now.
func (c *Child) Insist(ctx context.Context, path string, body any) error {
	for {
		_, err := c.Post(ctx, path, body)
		if !errors.Is(err, ErrRefused) {
			return err
		}
		if err := Wait(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// Send hands in a message for a gateway and returns its id.
func (c *Child) Send(ctx context.Context, gateway, text string) (id string, err error) {
	answer, err := c.Post(ctx, "/send_message", map[string]string{"gateway": gateway, "message": text})
	if err != nil {
		return "", err
	}
	var given struct{ ID string }
	return given.ID, json.Unmarshal(answer, &given)
}

// Lane is a gateway as the API shows it.
type Lane struct {
	Name     string
	Declared bool
	Counts   map[string]int64 // of messages, by state
}

// Open is how many messages have an attempt to come or under way.
func (l Lane) Open() int64 { return l.Counts["queued"] + l.Counts["sending"] + l.Counts["waiting"] }

// Lanes returns all gateways.
func (c *Child) Lanes(ctx context.Context) (all []Lane, err error) {
	err = c.pages(ctx, gatewayList, func(p Page) { all = append(all, p.Gateways...) })
	return all, err
}

// Open counts what is open over all gateways.
func (c *Child) Open(ctx context.Context) (n int64, err error) {
	lanes, err := c.Lanes(ctx)
	for _, l := range lanes {
		n += l.Open()
	}
	return n, err
}

// Event is an event as the API shows it.
type Event struct {
	ID      string
	Type    string `json:"event_type"`
	Payload string `json:"event_payload"`
}

// Message is a message as the API shows it.
type Message struct {
	ID       string
	Gateway  string
	Text     string `json:"message"`
	State    string
	Event    string // that a route made it of; "" for none
	ResendOf string `json:"resend_of"` // the dead letter that it was; "" for none
	Attempts []Attempt
}

// Attempt is an attempt as the API shows it.
type Attempt struct {
	Number   int
	BeganAt  time.Time `json:"began_at"`    // in whole milliseconds, rounded down
	Duration *int64    `json:"duration_ms"` // rounded down; nil while it is under way
	Outcome  string
	Status   int
	Cause    string
}

// Ended reports whether no attempt is to come.
func (m Message) Ended() bool {
	return m.State != "queued" && m.State != "sending" && m.State != "waiting"
}

// Events reads all events, in the order of the list.
func (c *Child) Events(ctx context.Context) (all []Event, err error) {
	err = c.pages(ctx, EventList, func(p Page) { all = append(all, p.Events...) })
	return all, err
}

// Messages reads all messages, in the order of the list.
func (c *Child) Messages(ctx context.Context) (all []Message, err error) {
	err = c.pages(ctx, MessageList, func(p Page) { all = append(all, p.Messages...) })
	return all, err
}

// The lists of all there is.
const (
	EventList   = "/api/v1/events"
	MessageList = "/api/v1/messages"
	gatewayList = "/api/v1/gateways"
)

// Page is one page of a list.
type Page struct {
	Events   []Event
	Messages []Message
	Gateways []Lane
	Next     *string // nil for the last one
}

// Page reads the page of a list that follows a cursor; "" is the beginning.
func (c *Child) Page(ctx context.Context, list, after string) (p Page, err error) {
	return p, c.Get(ctx, list+"?limit=1000&after="+after, &p)
}

func (c *Child) pages(ctx context.Context, list string, take func(Page)) error {
	for after := ""; ; {
		p, err := c.Page(ctx, list, after)
		if err != nil {
			return err
		}
		take(p)
		if p.Next == nil {
			return nil
		}
		after = *p.Next
	}
}
