package httpapi

import (
	"fmt"

	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/ui"
)

const eventsPage = "/events"

// showEventsPage lists events, the newest first.
func (s *Server) showEventsPage(c *fiber.Ctx) error {
	given, err := parameters(c, "event_type", "before", "said")
	if err != nil {
		return err
	}
	kind, before := given.text("event_type"), given.before()
	if err := given.err(); err != nil {
		return err
	}
	list, next, err := s.opts.Reader.EventsBelow(before, kind, pageEntries)
	if err != nil {
		return fmt.Errorf("list events: %w", err)
	}
	view := ui.Events{Frame: s.frame(c, ui.SectionEvents, "Events"), Type: kind, Newest: true, List: list, Tail: address(tailRoute, "event_type", kind)}
	if before != 0 {
		view.First = address(eventsPage, "event_type", kind)
	}
	if next != 0 {
		view.Next = address(eventsPage, "event_type", kind, "before", next.String())
	}
	page, err := s.pages.Events(view)
	return answerPage(c, page, err)
}

// maxMade is how many messages that routes made of an event its page shows.
const maxMade = 100

// showEventPage shows one event.
func (s *Server) showEventPage(c *fiber.Ctx) error {
	id, err := data.ParseID(c.Params("id"))
	if err != nil {
		return err
	}
	event, err := s.opts.Reader.Event(id)
	if err != nil {
		return fmt.Errorf("read an event: %w", err)
	}
	made, more, err := s.opts.Reader.Made(id, maxMade)
	if err != nil {
		return fmt.Errorf("read messages of an event: %w", err)
	}
	view := ui.EventPage{Frame: s.frame(c, ui.SectionEvents, "Event "+id.String()), Event: event, Messages: made, More: more}
	page, err := s.pages.Event(view)
	return answerPage(c, page, err)
}
