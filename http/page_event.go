package httpapi

import (
	"errors"
	"fmt"
	"slices"

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
	view := ui.Events{Frame: s.frame(c, ui.SectionEvents, "Events"), Type: given.text("event_type"), Newest: true}
	view.Tail = address(tailRoute, "event_type", view.Type)
	before := given.before()
	if err := given.err(); err != nil {
		return err
	}
	if newest := s.opts.Reader.Newest(); before == 0 || before > newest {
		before = newest + 1
	} else {
		view.First = address(eventsPage, "event_type", view.Type)
	}
	var next data.ID
	if view.List, next, err = s.newestEvents(view.Type, before, pageEntries); err != nil {
		return err
	}
	if next != 0 {
		view.Next = address(eventsPage, "event_type", view.Type, "before", next.String())
	}
	page, err := s.pages.Events(view)
	return answerPage(c, page, err)
}

// The newest events are read in stretches of ids, since the store has them the other
// way round.
const (
	firstStretch = 256
	mostStretch  = 16 << 10
	mostReads    = 12
)

// newestEvents returns the newest events below an id, the newest first, and the id to
// go on below; 0 at the end. It reads a bounded number of stretches, so it may return
// fewer than there are.
func (s *Server) newestEvents(kind string, before data.ID, n int) (found []data.Event, next data.ID, err error) {
	first, high, stretch := data.FirstID(before.Epoch()), before, data.ID(firstStretch)
	for range mostReads {
		if high <= first || len(found) >= n {
			break
		}
		low := first
		if high-first > stretch {
			low = high - stretch
		}
		page, whole, err := s.eventsBetween(kind, low, high)
		switch {
		case err != nil:
			return nil, 0, err
		case !whole && stretch > 1:
			stretch = max(1, stretch/8)
			continue
		}
		slices.Reverse(page)
		found, high, stretch = append(found, page...), low, min(2*stretch, mostStretch)
	}
	if len(found) > n {
		found = found[:n]
		return found, found[n-1].ID, nil
	}
	if high <= first {
		return found, 0, nil
	}
	return found, high, nil
}

// eventsBetween reads the events from low on and below high. whole is false when they
// are too many or too long for one page of the store.
func (s *Server) eventsBetween(kind string, low, high data.ID) (found []data.Event, whole bool, err error) {
	page, err := s.opts.Reader.Events(data.EventQuery{
		Type: kind, After: low - 1, Limit: maxLimit,
		Enough: func(e data.Event) bool { return e.ID+1 >= high },
	})
	if err != nil {
		return nil, false, fmt.Errorf("list events: %w", err)
	}
	found = page.Events
	for len(found) > 0 && found[len(found)-1].ID >= high {
		found = found[:len(found)-1]
		page.Next = high
	}
	return found, !page.More || page.Next+1 >= high, nil
}

// maxMade is how many messages are looked for behind an event. They have the ids right
// behind those of the events that came with it.
const maxMade = 64

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
	view := ui.EventPage{Frame: s.frame(c, ui.SectionEvents, "Event "+id.String()), Event: event}
	newest := s.opts.Reader.Newest()
	for at := id + 1; at <= id+maxMade && at <= newest; at++ {
		m, err := s.opts.Reader.Message(at)
		if errors.Is(err, data.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read a message: %w", err)
		}
		if m.Event == id {
			view.Messages = append(view.Messages, m)
		}
	}
	page, err := s.pages.Event(view)
	return answerPage(c, page, err)
}
