package httpapi

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/ui"
)

const messagesPage = "/messages"

// showMessagesPage lists messages: all of them the newest first, and those that match
// a filter in the order of their queues, as the store has them.
func (s *Server) showMessagesPage(c *fiber.Ctx) error {
	given, err := parameters(c, "gateway", "state", "cause", "since", "until", "after", "before", "said")
	if err != nil {
		return err
	}
	filter := ui.Filter{
		Gateway: given.values["gateway"], State: given.values["state"], Cause: given.values["cause"],
		Since: given.values["since"], Until: given.values["until"],
	}
	view := ui.Messages{Frame: s.frame(c, ui.SectionMessages, "Messages"), Filter: filter}
	before := given.before()
	query := data.MessageQuery{
		Gateway: given.gateway("gateway"), States: given.states(), Cause: given.cause(),
		Since: given.minute("since"), Until: given.minute("until"), After: given.text("after"), Limit: pageEntries,
	}
	if refused, ok := errors.AsType[*rejection](given.err()); ok {
		for _, f := range refused.findings {
			view.Problems = append(view.Problems, findingWords(f))
		}
	}
	switch {
	case len(view.Problems) > 0:
	case filter.Any():
		err = s.matchingMessages(&view, query)
	default:
		err = s.newestMessages(&view, before)
	}
	if err != nil {
		return err
	}
	page, err := s.pages.Messages(view)
	return answerPage(c, page, err)
}

// before is the id that a page of the newest ends before; 0 means the newest of all.
func (q *query) before() data.ID {
	text := q.values["before"]
	if text == "" {
		return 0
	}
	id, err := data.ParseID(text)
	if err != nil {
		q.note("before", codeInvalid, "The value must be one that a page of this list leads to.")
	}
	return id
}

// minute reads a time as the field of a form has it: to the minute, or to the second.
func (q *query) minute(name string) time.Time {
	text := q.values[name]
	if text == "" {
		return time.Time{}
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at
		}
	}
	q.note(name, codeInvalid, "The value must be a time in UTC such as 2026-01-31T12:00.")
	return time.Time{}
}

// matchingMessages fills a page with what matches.
func (s *Server) matchingMessages(view *ui.Messages, q data.MessageQuery) error {
	page, err := s.opts.Reader.Messages(q)
	if err != nil {
		return fmt.Errorf("list messages: %w", err)
	}
	view.List = page.Messages
	f := view.Filter
	at := func(path, after string) string {
		return address(path, "gateway", f.Gateway, "state", f.State, "cause", f.Cause, "since", f.Since, "until", f.Until, "after", after)
	}
	if page.Next != "" {
		view.Next = at(messagesPage, page.Next)
	}
	if q.After != "" {
		view.First = at(messagesPage, "")
	}
	if view.Operate && allDead(q.States) && f.Since == "" && f.Until == "" && len(view.List) > 0 {
		view.Resend = address(resendPath, "gateway", f.Gateway, "state", f.State, "cause", f.Cause)
	}
	return nil
}

// allDead reports whether a list is one of dead letters.
func allDead(states []data.State) bool {
	for _, state := range states {
		if !state.Dead() {
			return false
		}
	}
	return len(states) > 0
}

// newestMessages fills a page with the newest messages below an id.
func (s *Server) newestMessages(view *ui.Messages, before data.ID) error {
	list, next, err := s.opts.Reader.MessagesBelow(before, pageEntries)
	if err != nil {
		return fmt.Errorf("list messages: %w", err)
	}
	view.List, view.Newest = list, true
	if before != 0 {
		view.First = messagesPage
	}
	if next != 0 {
		view.Next = address(messagesPage, "before", next.String())
	}
	return nil
}

// showMessagePage shows one message with every attempt.
func (s *Server) showMessagePage(c *fiber.Ctx) error {
	id, err := data.ParseID(c.Params("id"))
	if err != nil {
		return err
	}
	message, err := s.opts.Reader.Message(id)
	if err != nil {
		return fmt.Errorf("read a message: %w", err)
	}
	page, err := s.pages.Message(ui.MessagePage{Frame: s.frame(c, ui.SectionMessages, "Message "+id.String()), Message: message})
	return answerPage(c, page, err)
}

// cancelPage is the form that takes a message back.
func (s *Server) cancelPage(c *fiber.Ctx) error {
	id, err := data.ParseID(strings.Clone(c.Params("id")))
	if err != nil {
		return err
	}
	if _, err := s.opts.Canceller.Cancel(s.patience.context(), id); err != nil {
		return fmt.Errorf("cancel a message: %w", err)
	}
	return leadBack(c, messagesPage+"/"+id.String(), ui.SaidCancelled)
}

// resendMessagePage is the form that sends one dead letter again, and leads to what
// it became.
func (s *Server) resendMessagePage(c *fiber.Ctx) error {
	became, err := s.resendOne(strings.Clone(c.Params("id")))
	if err != nil {
		return err
	}
	return leadBack(c, messagesPage+"/"+became.String(), ui.SaidResent)
}
