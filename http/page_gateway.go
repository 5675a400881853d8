package httpapi

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/ui"
)

// pageEntries is how many entries a page of the dashboard has.
const pageEntries = 50

const (
	gatewaysPage = "/gateways"
	renderPage   = gatewaysPage + "/:name/render"
)

// showGatewaysPage lists the gateways by name.
func (s *Server) showGatewaysPage(c *fiber.Ctx) error {
	given, err := parameters(c, "after", "said")
	if err != nil {
		return err
	}
	after := given.gateway("after")
	if err := given.err(); err != nil {
		return err
	}
	all, err := s.gateways()
	if err != nil {
		return err
	}
	view := ui.Gateways{Frame: s.frame(c, ui.SectionGateways, "Gateways")}
	rest := all[sort.Search(len(all), func(i int) bool { return all[i].Name > after }):]
	if len(rest) > pageEntries {
		rest = rest[:pageEntries]
		view.Next = address(gatewaysPage, "after", rest[len(rest)-1].Name)
	}
	for _, known := range rest {
		g, h, err := s.viewOf(known)
		if err != nil {
			return err
		}
		view.List, view.Step = append(view.List, g), max(view.Step, h.Step)
	}
	page, err := s.pages.Gateways(view)
	return answerPage(c, page, err)
}

// viewGateway looks up what is known of a gateway.
func (s *Server) viewGateway(name string) (ui.Gateway, error) {
	known, err := s.gateway(name)
	if errors.Is(err, data.ErrNotFound) { // gone since somebody named it
		return ui.Gateway{Gateway: data.Gateway{Name: name}}, nil
	}
	if err != nil {
		return ui.Gateway{}, err
	}
	g, _, err := s.viewOf(known)
	return g, err
}

func (s *Server) viewOf(known knownGateway) (g ui.Gateway, h History, err error) {
	g = ui.Gateway{
		Gateway: known.Gateway, Declared: known.declared, Origin: string(known.Origin), Paused: known.lane.Paused, Unreached: known.lane.Unreached,
		Counts: known.lane.Counts, Last: known.lane.Last,
	}
	if hold := known.hold(); hold != nil {
		g.Until, g.Outage = known.lane.HeldAt, hold.Reason == holdOutage
	}
	if known.lane.Open() > 0 {
		if g.OldestAt, err = s.oldest(known.Name); err != nil {
			return g, h, err
		}
	}
	h, ok := s.opts.Overview.History(known.Name)
	if ok {
		g.Delivered, g.Failed = floats(h.Delivered), floats(h.Failed)
	}
	return g, h, nil
}

// showGatewayPage shows one gateway.
func (s *Server) showGatewayPage(c *fiber.Ctx) error { return s.gatewayPage(c, ui.Trial{}) }

// gatewayPage shows one gateway, and what came of trying it.
func (s *Server) gatewayPage(c *fiber.Ctx, trial ui.Trial) error {
	known, err := s.gateway(strings.Clone(c.Params("name")))
	if err != nil {
		return err
	}
	if !known.worthShowing() {
		return data.ErrNotFound
	}
	view := ui.GatewayPage{Frame: s.frame(c, ui.SectionGateways, known.Name), Trial: trial}
	g, h, err := s.viewOf(known)
	if err != nil {
		return err
	}
	view.Gateway, view.Step = g, h.Step
	page, err := s.pages.Gateway(view)
	return answerPage(c, page, err)
}

// pausePage is the form that pauses a gateway, or ends that.
func (s *Server) pausePage(paused bool) fiber.Handler {
	said := ui.SaidResumed
	if paused {
		said = ui.SaidPaused
	}
	return func(c *fiber.Ctx) error {
		sent, err := form(c, maxForm)
		if err != nil {
			return err
		}
		back := string(sent.Peek("back"))
		name := strings.Clone(c.Params("name"))
		if _, err := s.gateway(name); err != nil {
			return err
		}
		if err := s.opts.Pauser.Pause(s.patience.context(), name, paused); err != nil {
			return fmt.Errorf("pause a gateway: %w", err)
		}
		if back == "" {
			back = gatewaysPage + "/" + name
		}
		return leadBack(c, back, said)
	}
}

// renderPage is the form that shows what a message would be sent as.
func (s *Server) renderPage(c *fiber.Ctx) error {
	return s.trialPage(c, func(m data.NewMessage, view *ui.Trial) ([]Fault, error) {
		requests, faults, err := s.opts.Trier.Render(m)
		for _, r := range requests {
			view.Requests = append(view.Requests, viewRequest(r))
		}
		return faults, err
	})
}

// testPage is the form that really sends a message, once.
func (s *Server) testPage(c *fiber.Ctx) error {
	return s.trialPage(c, func(m data.NewMessage, view *ui.Trial) ([]Fault, error) {
		if err := s.tests.take(0); err != nil {
			return nil, err
		}
		defer s.tests.end()
		tried, parts, faults, err := s.opts.Trier.Test(s.life, m)
		for _, t := range tried {
			view.Results = append(view.Results, ui.Result{Result: t.Result, Took: t.Took})
		}
		view.Unsent = parts - len(tried)
		return faults, err
	})
}

// trialPage tries a gateway with what a form sent. The page is the answer: what came
// of it is kept nowhere that another one could show it from.
func (s *Server) trialPage(c *fiber.Ctx, try func(data.NewMessage, *ui.Trial) ([]Fault, error)) error {
	gateway, ok := s.opts.Gateways.Gateway(strings.Clone(c.Params("name")))
	if !ok {
		return data.ErrNotFound
	}
	sent, err := form(c, maxForm)
	if err != nil {
		return err
	}
	view := ui.Trial{
		Text: value(sent, "message"), Recipient: value(sent, "to"), Title: value(sent, "title"), Params: value(sent, "params"),
	}
	message, err := trialOf(view, gateway.Name)
	if !sent.Has("message") {
		err = unfit([]Fault{{Pointer: "/message", Code: codeRequired, Detail: "The field is missing."}})
	}
	var faults []Fault
	if err == nil {
		faults, err = try(message, &view)
	}
	if len(faults) > 0 {
		err = unfit(faults)
	}
	if refused, ok := errors.AsType[*rejection](err); ok {
		for _, f := range refused.findings {
			view.Problems = append(view.Problems, findingWords(f))
		}
		err = nil
	}
	if err != nil {
		return fmt.Errorf("try a gateway: %w", err)
	}
	return s.gatewayPage(c, view)
}

// trialOf makes a message of the fields of a form, judged as one of the API is.
func trialOf(view ui.Trial, gateway string) (data.NewMessage, error) {
	given := struct {
		Text   string            `json:"message"`
		To     string            `json:"to,omitzero"`
		Title  string            `json:"title,omitzero"`
		Params map[string]string `json:"params,omitempty"`
	}{Text: view.Text, To: view.Recipient, Title: view.Title, Params: map[string]string{}}
	for line := range strings.Lines(view.Params) {
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			continue
		}
		name, text, _ := strings.Cut(line, "=")
		given.Params[strings.TrimSpace(name)] = text
	}
	body, err := json.Marshal(given)
	if err != nil {
		return data.NewMessage{}, &rejection{kind: errInvalidBody, findings: []finding{{Code: codeInvalid, Detail: "The text must be UTF-8."}}}
	}
	return decodeTrial(body, gateway)
}

func viewRequest(r Rendered) ui.Request {
	shown := ui.Request{Method: r.Method, URL: r.URL, Body: string(r.Body)}
	for _, f := range r.Header {
		shown.Header = append(shown.Header, ui.Field(f))
	}
	return shown
}
