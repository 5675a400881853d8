package httpapi

import (
	"math"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/ui"
)

const resendPath = "/messages/resend"

// showResendPage asks before all dead letters that match are sent again, with how many
// they are; on the way it says how far that got.
func (s *Server) showResendPage(c *fiber.Ctx) error {
	given, err := parameters(c, "gateway", "state", "cause", "after", "sent", "skipped", "matching", "more", "finished", "said")
	if err != nil {
		return err
	}
	view, query := resendView(given)
	if err := given.err(); err != nil {
		return err
	}
	view.Frame = s.frame(c, ui.SectionMessages, "Send again")
	view.Finished = given.values["finished"] != ""
	view.Running = !view.Finished && view.After != ""
	if !view.Finished && !view.Running {
		counted, err := s.countDead(query)
		if err != nil {
			return err
		}
		view.Matching, view.More = uint64(counted.Matching), counted.Next != nil
	}
	page, err := s.pages.Resend(view)
	return answerPage(c, page, err)
}

// resendView reads which dead letters are meant and how far it got.
func resendView(given *query) (ui.Resend, data.MessageQuery) {
	f := ui.Filter{Gateway: given.gateway("gateway"), State: given.values["state"], Cause: given.values["cause"]}
	if f.State == "" {
		given.values["state"] = stateDead
	}
	q := data.MessageQuery{
		Gateway: f.Gateway, States: given.states(), Cause: given.cause(), Unsent: true, After: given.text("after"), Limit: data.MaxResend,
	}
	if given.err() == nil && !allDead(q.States) {
		given.note("state", codeInvalid, "The value must be failed, unknown, expired, or dead for all three.")
	}
	listed := f
	if listed.State == "" {
		listed.State = stateDead
	}
	return ui.Resend{
		Filter: f, After: q.After, Sent: given.whole("sent"), Skipped: given.whole("skipped"),
		Matching: uint64(given.whole("matching")), More: given.values["more"] != "",
		Back: address(messagesPage, "gateway", listed.Gateway, "state", listed.State, "cause", listed.Cause),
	}, q
}

// whole returns a number that a page of ours carries along, 0 for what is none.
func (q *query) whole(name string) int {
	n, err := strconv.Atoi(q.values[name])
	if err != nil || n < 0 || n > math.MaxInt32 {
		return 0
	}
	return n
}

// resendPage is the form that sends the next of them again, and leads to how far that
// got.
func (s *Server) resendPage(c *fiber.Ctx) error {
	sent, err := form(c, maxForm)
	if err != nil {
		return err
	}
	given := &query{values: map[string]string{}}
	for _, name := range []string{"gateway", "state", "cause", "after", "sent", "skipped", "matching", "more"} {
		given.values[name] = string(sent.Peek(name))
	}
	view, q := resendView(given)
	if err := given.err(); err != nil {
		return err
	}
	done, err := s.resendMatching(q)
	if err != nil {
		return err
	}
	after, finished := "", "yes"
	if done.Next != nil {
		after, finished = *done.Next, ""
	}
	more := ""
	if view.More {
		more = "yes"
	}
	return goTo(c, address(resendPath,
		"gateway", view.Filter.Gateway, "state", view.Filter.State, "cause", view.Filter.Cause, "after", after, "finished", finished,
		"sent", strconv.Itoa(view.Sent+done.Resent), "skipped", strconv.Itoa(view.Skipped+done.Skipped),
		"matching", strconv.FormatUint(view.Matching, 10), "more", more))
}
