package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// api sends requests to the program. One that is stuck is given up.
var api = &http.Client{
	Timeout:   patience,
	Transport: &http.Transport{MaxIdleConnsPerHost: 256, MaxConnsPerHost: 1024, DisableCompression: true},
}

// ask sends one request and reads the answer.
func (c *child) ask(ctx context.Context, method, path string, body []byte) (status int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.GetBody = nil // else the client may send it twice
	response, err := api.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// get reads JSON.
func (c *child) get(ctx context.Context, path string, into any) error {
	status, answer, err := c.ask(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("GET %s = %d %.200s", path, status, answer)
	}
	return json.Unmarshal(answer, into)
}

// errRefused marks an answer that the program gives when it has enough to do.
var errRefused = errors.New("refused for now")

// post hands something in.
func (c *child) post(ctx context.Context, path string, body any) (answer []byte, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	status, answer, err := c.ask(ctx, http.MethodPost, path, b)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests:
		return nil, fmt.Errorf("POST %s = %d %.200s: %w", path, status, answer, errRefused)
	case status/100 != 2:
		return nil, fmt.Errorf("POST %s = %d %.200s", path, status, answer)
	}
	return answer, nil
}

// send hands in a message for a gateway and returns its id.
func (c *child) send(ctx context.Context, gateway, text string) (id string, err error) {
	answer, err := c.post(ctx, "/send_message", map[string]string{"gateway": gateway, "message": text})
	if err != nil {
		return "", err
	}
	var given struct{ ID string }
	return given.ID, json.Unmarshal(answer, &given)
}

// lane is a gateway as the API shows it.
type lane struct {
	Name   string
	Counts map[string]int64 // of messages, by state
}

// open is how many messages have an attempt to come or under way.
func (l lane) open() int64 { return l.Counts["queued"] + l.Counts["sending"] + l.Counts["waiting"] }

// lanes returns all gateways.
func (c *child) lanes(ctx context.Context) ([]lane, error) {
	var list struct{ Gateways []lane }
	return list.Gateways, c.get(ctx, "/api/v1/gateways", &list)
}

// open counts what is open over all gateways.
func (c *child) open(ctx context.Context) (n int64, err error) {
	lanes, err := c.lanes(ctx)
	for _, l := range lanes {
		n += l.open()
	}
	return n, err
}

// message is a message as the API shows it.
type message struct {
	ID       string
	State    string
	Attempts []struct {
		Number  int
		Outcome string
		Cause   string
	}
}

// ended reports whether no attempt is to come.
func (m message) ended() bool {
	return m.State != "queued" && m.State != "sending" && m.State != "waiting"
}

// messages reads all messages.
func (c *child) messages(ctx context.Context) (all []message, err error) {
	for after := ""; ; {
		var page struct {
			Messages []message
			Next     *string
		}
		if err := c.get(ctx, "/api/v1/messages?limit=1000&after="+after, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Messages...)
		if page.Next == nil {
			return all, nil
		}
		after = *page.Next
	}
}

// perRequest is how many messages fill makes with one request, which is one
// commit, at most.
const perRequest = 1000

// fillGateways declares gateways that fill sends to, all alike, with a route for
// each.
func fillGateways(n int, one section) (gateways section, routes []section) {
	gateways = section{}
	for i := range n {
		name := fmt.Sprint("fill-", i)
		gateways[name] = one
		routes = append(routes, section{"match": section{"event_type": name}, "gateway": name, "message": "{{event_payload}}"})
	}
	return gateways, routes
}

// fill makes n messages of textSize for the gateways of fillGateways, as quickly
// as the program takes them.
func (c *child) fill(ctx context.Context, gateways, n int) error {
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
				if err := c.insist(ctx, "/event", events); err != nil {
					cancel(fmt.Errorf("fill: %w", err))
				}
			}
		})
	}
	posting.Wait()
	return context.Cause(ctx)
}

// insist posts again what is refused for now.
func (c *child) insist(ctx context.Context, path string, body any) error {
	for {
		_, err := c.post(ctx, path, body)
		if !errors.Is(err, errRefused) {
			return err
		}
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
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
