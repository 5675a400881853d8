package httpapi

import (
	"fmt"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/data"
)

const eventsPath = "/api/v1/events"

// postEvent accepts one event or an array of them, with the messages that the
// routes make of them, all in one commit.
func (s *Server) postEvent(c *fiber.Ctx) error {
	body, key, err := s.intake(c)
	if err != nil {
		return err
	}
	events, array, err := decodeEvents(body)
	if err != nil {
		return err
	}
	messages, err := s.routed(events)
	if err != nil {
		return err
	}
	records := &data.Save{Events: events, Messages: messages, Key: key}
	if err := s.save(c, records); err != nil {
		return err
	}
	c.Status(fiber.StatusCreated)
	if array {
		answerIDs(c, records.First, len(events))
		return nil
	}
	id := records.First.String()
	c.Set(fiber.HeaderLocation, eventsPath+"/"+id)
	answerID(c, id)
	return nil
}

// routed returns the messages that the routes make of the events.
func (s *Server) routed(events []data.NewEvent) ([]data.NewMessage, error) {
	route := s.opts.Routes()
	var all []data.NewMessage
	for i, event := range events {
		made, err := route(event)
		if err != nil {
			return nil, err
		}
		if len(all)+len(made) > data.MaxRouted {
			return nil, errTooManyMade
		}
		for _, message := range made {
			message.Event = i + 1
			all = append(all, message)
		}
	}
	return all, nil
}

// eventAnswer is an event as it is shown.
type eventAnswer struct {
	ID         string  `json:"id"`
	Type       string  `json:"event_type"`
	Payload    *string `json:"event_payload,omitzero"` // only for those who may see content
	ReceivedAt string  `json:"received_at"`
}

func showAsEvent(e data.Event, content bool) eventAnswer {
	shown := eventAnswer{ID: e.ID.String(), Type: e.Type, ReceivedAt: stamp(e.ReceivedAt)}
	if content {
		shown.Payload = &e.Payload
	}
	return shown
}

func (s *Server) showEvent(c *fiber.Ctx) error {
	id, err := data.ParseID(c.Params("id"))
	if err != nil {
		return err
	}
	event, err := s.opts.Reader.Event(id)
	if err != nil {
		return fmt.Errorf("read an event: %w", err)
	}
	return answer(c, showAsEvent(event, seesContent(c)))
}

func (s *Server) listEvents(c *fiber.Ctx) error {
	given, err := parameters(c, "event_type", "limit", "after")
	if err != nil {
		return err
	}
	q := data.EventQuery{Type: given.text("event_type"), Limit: given.limit(), After: given.eventCursor()}
	if err := given.err(); err != nil {
		return err
	}
	list, content := newListing("events"), seesContent(c)
	q.Enough = func(e data.Event) bool { return list.add(showAsEvent(e, content)) }
	page, err := s.opts.Reader.Events(q)
	if err != nil {
		return fmt.Errorf("list events: %w", err)
	}
	next := ""
	if page.More {
		next = page.Next.String()
	}
	return list.answer(c, next)
}

// stamp writes a time for people: UTC, with milliseconds.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
