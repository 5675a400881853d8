package httpapi

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/data"
)

const messagesPath = "/api/v1/messages"

// postMessage accepts one message for one gateway.
func (s *Server) postMessage(c *fiber.Ctx) error {
	body, key, err := s.intake(c)
	if err != nil {
		return err
	}
	who := callerOf(c)
	message, err := decodeMessage(body, s.declaredFor(who))
	if err == nil && !who.mayWriteTo(message.Gateway) {
		return errForbidden
	}
	records := &data.Save{Key: key}
	if err == nil {
		records.Messages, err = s.fit(message)
	}
	switch {
	case err == nil:
		err = s.save(c, records)
	case key != nil && (errors.Is(err, data.ErrUnknownGateway) || errors.Is(err, errUnfit)):
		err = s.replay(c, records, err)
	}
	if err != nil {
		return err
	}
	id := records.First.String()
	c.Set(fiber.HeaderLocation, messagesPath+"/"+id)
	// A repeat may be fitted in another way than the first was.
	n := len(records.Messages)
	if records.Repeated {
		n = records.Count
	}
	answerQueued(c, id, records.First, n, message.Gateway)
	return nil
}

// declaredFor says which gateways are declared. A caller who is bound to some is not
// told about others: to him it is all the same whether there is one.
func (s *Server) declaredFor(who *caller) func(name string) (data.Gateway, bool) {
	if who.gateways == nil {
		return s.opts.Gateways.Gateway
	}
	return func(name string) (data.Gateway, bool) {
		if !who.mayWriteTo(name) {
			return data.Gateway{}, true
		}
		return s.opts.Gateways.Gateway(name)
	}
}

// fit returns what is stored of a message, or a rejection.
func (s *Server) fit(m data.NewMessage) ([]data.NewMessage, error) {
	fitted, faults := s.opts.Fit(m)
	if len(faults) == 0 {
		if fitted == nil {
			fitted = []data.NewMessage{m}
		}
		return fitted, nil
	}
	return nil, unfit(faults)
}

// unfit refuses a message for its faults.
func unfit(faults []Fault) error { return faulty(errUnfit, faults) }

// faulty refuses a body for what is wrong in it.
func faulty(kind error, faults []Fault) error {
	r := &rejection{kind: kind}
	if len(faults) > maxFindings {
		r.total = len(faults)
	}
	for _, f := range faults[:min(len(faults), maxFindings)] {
		r.findings = append(r.findings, finding{Pointer: &f.Pointer, Code: f.Code, Detail: f.Detail})
	}
	return r
}

// replay finds the first answer to a repeat whose gateway is declared no more, or
// takes other messages now: the client may not have had it, and a refusal would
// mean that nothing was stored. What is no repeat is refused.
func (s *Server) replay(c *fiber.Ctx, records *data.Save, refusal error) error {
	first, count, found, err := s.opts.Reader.Answered(*records.Key)
	switch {
	case err != nil:
		return fmt.Errorf("look for the first answer: %w", err)
	case !found:
		return refusal
	}
	records.First, records.Count, records.Repeated = first, count, true
	markReplayed(c)
	return nil
}

// messageAnswer is a message as it is shown. Text, To, Title and Params are only there
// for those who may see content.
type messageAnswer struct {
	ID         string            `json:"id"`
	Gateway    string            `json:"gateway"`
	Text       *string           `json:"message,omitzero"`
	To         string            `json:"to,omitzero"`
	Title      string            `json:"title,omitzero"`
	Params     map[string]string `json:"params,omitempty"`
	State      string            `json:"state"`
	AcceptedAt string            `json:"accepted_at"`
	ExpiresAt  string            `json:"expires_at,omitzero"` // only when it expires
	DueAt      string            `json:"due_at,omitzero"`     // only while waiting
	Event      string            `json:"event,omitzero"`      // only when a route made it
	ResendOf   string            `json:"resend_of,omitzero"`
	ResentAs   string            `json:"resent_as,omitzero"`
	Attempts   []attemptAnswer   `json:"attempts"`
}

// attemptAnswer is an attempt as it is shown.
type attemptAnswer struct {
	Number   int    `json:"number"`
	BeganAt  string `json:"began_at"`
	Duration *int64 `json:"duration_ms,omitzero"` // not while it is under way
	Outcome  string `json:"outcome"`
	Status   int    `json:"status,omitzero"`
	Cause    string `json:"cause,omitzero"`
	Hint     int64  `json:"hint_ms,omitzero"`
	Answer   string `json:"answer,omitzero"` // content; only where the gateway's answers are kept
}

// outcomeRunning is shown for an attempt that has no outcome yet.
const outcomeRunning = "running"

func showAsMessage(m data.Message, content bool) messageAnswer {
	shown := messageAnswer{
		ID: m.ID.String(), Gateway: m.Gateway,
		State:      m.State.String(),
		AcceptedAt: stamp(m.AcceptedAt),
		Attempts:   make([]attemptAnswer, 0, len(m.Attempts)),
	}
	if content {
		shown.Text, shown.To, shown.Title, shown.Params = &m.Text, m.To, m.Title, m.Params
	}
	if m.Expires != 0 {
		shown.ExpiresAt = stamp(m.ExpiresAt)
	}
	if m.State == data.Waiting {
		shown.DueAt = stamp(m.DueAt)
	}
	if m.Event != 0 {
		shown.Event = m.Event.String()
	}
	if m.ResendOf != 0 {
		shown.ResendOf = m.ResendOf.String()
	}
	if m.ResentAs != 0 {
		shown.ResentAs = m.ResentAs.String()
	}
	for _, attempt := range m.Attempts {
		shown.Attempts = append(shown.Attempts, showAsAttempt(attempt, content))
	}
	return shown
}

func showAsAttempt(a data.Attempt, content bool) attemptAnswer {
	shown := attemptAnswer{Number: a.Number, BeganAt: stamp(a.BeganAt), Outcome: outcomeRunning}
	if a.Outcome == 0 {
		return shown
	}
	shown.Duration = new(a.Duration().Milliseconds())
	shown.Outcome = a.Outcome.String()
	shown.Status = a.Status
	shown.Cause = string(a.Cause)
	shown.Hint = a.Hint.Milliseconds()
	if content {
		shown.Answer = a.Answer
	}
	return shown
}

func (s *Server) showMessage(c *fiber.Ctx) error {
	id, err := data.ParseID(c.Params("id"))
	if err != nil {
		return err
	}
	message, err := s.opts.Reader.Message(id)
	if err != nil {
		return fmt.Errorf("read a message: %w", err)
	}
	return answer(c, showAsMessage(message, seesContent(c)))
}

func (s *Server) listMessages(c *fiber.Ctx) error {
	given, err := parameters(c, "gateway", "state", "cause", "since", "until", "limit", "after")
	if err != nil {
		return err
	}
	q := data.MessageQuery{
		Gateway: given.gateway("gateway"), States: given.states(), Cause: given.cause(),
		Since: given.time("since"), Until: given.time("until"),
		Limit: given.limit(), After: given.text("after"),
	}
	if err := given.err(); err != nil {
		return err
	}
	list, content := newListing("messages"), seesContent(c)
	q.Enough = func(m data.Message) bool { return list.add(showAsMessage(m, content)) }
	page, err := s.opts.Reader.Messages(q)
	if err != nil {
		return fmt.Errorf("list messages: %w", err)
	}
	return list.answer(c, page.Next)
}

// cancelMessage takes a message back. It needs no body and works while nothing
// new is taken.
func (s *Server) cancelMessage(c *fiber.Ctx) error {
	id, err := data.ParseID(strings.Clone(c.Params("id")))
	if err != nil {
		return err
	}
	ctx := s.patience.context()
	message, err := s.opts.Canceller.Cancel(ctx, id)
	if err != nil {
		return fmt.Errorf("cancel a message: %w", err)
	}
	return answer(c, showAsMessage(message, seesContent(c)))
}
