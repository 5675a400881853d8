package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/postrider/postrider/cmd/internal/rig"
	"github.com/postrider/postrider/data"
)

// back is what a contestant has behind the front. What it does not take is nil.
type back struct {
	events     func(ctx context.Context, events []data.NewEvent) error
	message    func(ctx context.Context, text string) error
	durability func(ctx context.Context) (string, error)
	open       func(ctx context.Context) (int64, error)
	close      func()
}

// serveFront serves a contestant until in ends: it reads requests as the program
// does, and answers as it does, when the contestant has stored them.
func serveFront(ctx context.Context, in io.Reader, out io.Writer, name string, at site, server string) error {
	e, err := find(name)
	if err != nil {
		return err
	}
	if e.front == nil {
		return fmt.Errorf("%s has no front", name)
	}
	ctx = ends(ctx, in)
	b, err := e.front(ctx, at, server)
	if err != nil {
		return err
	}
	if b.close != nil {
		defer b.close()
	}
	l, err := rig.Listen(ctx)
	if err != nil {
		return err
	}
	app := newFront(ctx, b)
	if err := announce(out, ready{URL: "http://" + l.Addr().String()}); err != nil {
		return err
	}
	err = app.Listener(l)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// firstID is where the ids of answers begin, which are as long as the program's.
const firstID = data.ID(1) << 48

// newFront makes the front of a contestant.
func newFront(ctx context.Context, b *back) *fiber.App {
	app := fiber.New(fiber.Config{
		BodyLimit:             1 << 20,
		CaseSensitive:         true,
		Concurrency:           256 << 10,
		DisableStartupMessage: true,
		StrictRouting:         true,
	})
	var next atomic.Uint64
	take := func(n int) data.ID { return firstID + data.ID(next.Add(uint64(n))-uint64(n)) }
	app.Post("/event", func(c *fiber.Ctx) error {
		if b.events == nil { // the floor
			return created(c, firstID.String())
		}
		events, array, err := readEvents(c.BodyRaw())
		if err != nil {
			return fiber.NewError(http.StatusUnprocessableEntity, err.Error())
		}
		if err := b.events(ctx, events); err != nil {
			return err
		}
		first := take(len(events))
		if !array {
			return created(c, first.String())
		}
		ids := make([]string, len(events))
		for i := range ids {
			ids[i] = (first + data.ID(i)).String()
		}
		c.Response().Header.SetContentType(fiber.MIMEApplicationJSON)
		return c.Status(http.StatusCreated).SendString(`{"ids":["` + strings.Join(ids, `","`) + `"]}`)
	})
	app.Post("/send_message", func(c *fiber.Ctx) error {
		var m wireMessage
		if err := json.Unmarshal(c.BodyRaw(), &m, json.RejectUnknownMembers(true)); err != nil || m.Text == nil || m.Gateway == nil || b.message == nil {
			return fiber.NewError(http.StatusUnprocessableEntity, "not a message for me")
		}
		if err := b.message(ctx, *m.Text); err != nil {
			return err
		}
		return created(c, take(1).String())
	})
	app.Get("/durability", func(c *fiber.Ctx) error {
		s, err := b.durability(ctx)
		return errors.Join(err, c.SendString(s))
	})
	app.Get("/open", func(c *fiber.Ctx) error {
		n, err := b.open(ctx)
		return errors.Join(err, c.SendString(strconv.FormatInt(n, 10)))
	})
	return app
}

// created answers with an id.
func created(c *fiber.Ctx, id string) error {
	c.Response().Header.SetContentType(fiber.MIMEApplicationJSON)
	c.Set(fiber.HeaderLocation, "/api/v1/events/"+id)
	return c.Status(http.StatusCreated).SendString(`{"id":"` + id + `"}`)
}

// wireMessage is a message as it is sent.
type wireMessage struct {
	Text    *string `json:"message"`
	Gateway *string `json:"gateway"`
}

// wireEvent is an event as it is sent.
type wireEvent struct {
	Type    *string `json:"event_type"`
	Payload *string `json:"event_payload"`
}

var errIncomplete = errors.New("an event lacks a field")

// readEvents reads one event or an array, as strictly as the program does.
func readEvents(body []byte) (events []data.NewEvent, array bool, err error) {
	in := make([]wireEvent, 1)
	if array = len(body) > 0 && body[0] == '['; array {
		err = json.Unmarshal(body, &in, json.RejectUnknownMembers(true))
	} else {
		err = json.Unmarshal(body, &in[0], json.RejectUnknownMembers(true))
	}
	if err != nil {
		return nil, false, err
	}
	for _, e := range in {
		if e.Type == nil || e.Payload == nil {
			return nil, false, errIncomplete
		}
		events = append(events, data.NewEvent{Type: *e.Type, Payload: *e.Payload})
	}
	return events, array, nil
}

// ask reads a short answer.
func ask(ctx context.Context, url string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s = %d %.200s", url, answer.StatusCode, body)
	}
	return string(body), err
}

// poster returns what peers deliver with: the quicker one of the ready-made
// clients, which makes the same request as the program does. It asks for a 2xx.
func poster(sink string, connections int) func(text string) error {
	client := &fasthttp.Client{MaxConnsPerHost: connections, NoDefaultUserAgentHeader: true, ReadTimeout: patience, WriteTimeout: patience, MaxIdleConnDuration: time.Minute}
	return func(text string) error {
		body, err := json.Marshal(map[string]string{"message": text})
		if err != nil {
			return err
		}
		q, a := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
		defer fasthttp.ReleaseRequest(q)
		defer fasthttp.ReleaseResponse(a)
		q.Header.SetMethod(http.MethodPost)
		q.SetRequestURI(sink)
		q.Header.SetContentType(fiber.MIMEApplicationJSON)
		q.SetBodyRaw(body)
		if err := client.Do(q, a); err != nil {
			return err
		}
		if status := a.StatusCode(); status/100 != 2 {
			return fmt.Errorf("the sink answered %d", status)
		}
		return nil
	}
}
