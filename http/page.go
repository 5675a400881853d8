package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/http/ui"
)

// The dashboard. Its pages are filled from what the API is answered from, and need
// the scopes that its routes need. What its forms do leads back to a page (303), so
// that going back or loading anew does nothing twice.

// pageTable lists the routes of the dashboard, and what a caller needs for each.
func (s *Server) pageTable() []route {
	list := func(handle fiber.Handler) fiber.Handler { return s.inTurn(s.lists, handle) }
	all := []route{
		{"GET", "/", ScopeRead, list(s.showOverviewPage)},
		{"GET", gatewaysPage, ScopeRead, list(s.showGatewaysPage)},
		{"GET", gatewaysPage + "/:name", ScopeRead, s.showGatewayPage},
		{"POST", gatewaysPage + "/:name/pause", ScopeOperate, s.pausePage(true)},
		{"POST", gatewaysPage + "/:name/resume", ScopeOperate, s.pausePage(false)},
		{"POST", renderPage, ScopeRead, list(s.renderPage)},
		{"POST", gatewaysPage + "/:name/test", ScopeOperate, s.testPage},
		{"GET", messagesPage, ScopeRead, list(s.showMessagesPage)},
		{"GET", resendPath, ScopeOperate, list(s.showResendPage)},
		{"POST", resendPath, ScopeOperate, s.resendPage},
		{"GET", messagesPage + "/:id", ScopeRead, s.showMessagePage},
		{"POST", messagesPage + "/:id/cancel", ScopeOperate, s.cancelPage},
		{"POST", messagesPage + "/:id/resend", ScopeOperate, s.resendMessagePage},
		{"GET", eventsPage, ScopeRead, list(s.showEventsPage)},
		{"GET", eventsPage + "/:id", ScopeRead, list(s.showEventPage)},
		{"GET", configPage, ScopeRead, list(s.showConfigPage)},
		{"GET", ui.AssetPath + ":asset", needsNothing, s.showAsset},
	}
	if s.opts.Reloader != nil {
		all = append(all, route{"POST", configPage + "/reload", ScopeOperate, s.reloadPage})
	}
	return all
}

// frame begins a page for the one who asks.
func (s *Server) frame(c *fiber.Ctx, section ui.Section, title string) ui.Frame {
	f := ui.Frame{Title: title, Section: section, Now: s.opts.Now()}
	who := callerOf(c)
	if who == nil {
		return f
	}
	f.Known, f.Who, f.Version = true, who.name, s.opts.Version
	f.Session = inSession(c)
	f.Content, f.Operate = who.may(ScopeReadContent), who.may(ScopeOperate)
	f.Said = ui.Said(c.Query("said")) // says nothing unless it is one of ours
	return f
}

// answerPage answers with a page.
func answerPage(c *fiber.Ctx, page []byte, err error) error {
	if err != nil {
		return err
	}
	h := &c.Response().Header
	h.Set(fiber.HeaderContentSecurityPolicy, ui.Policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	// With no-referrer browsers do not say either which origin a form is from.
	h.Set(fiber.HeaderReferrerPolicy, "same-origin")
	h.SetContentType("text/html; charset=utf-8")
	c.Response().SetBodyRaw(page)
	return nil
}

// showAsset answers with what pages load. Its name changes with what is in it.
func (s *Server) showAsset(c *fiber.Ctx) error {
	asset, ok := s.pages.Asset(c.Params("asset"))
	if !ok {
		return fiber.ErrNotFound
	}
	h := &c.Response().Header
	h.Set(fiber.HeaderCacheControl, "public, max-age=31536000, immutable")
	h.SetContentType(asset.Type)
	c.Response().SetBodyRaw(asset.Body)
	return nil
}

// wantsPage reports whether a person with a browser asks. Programs of the API are
// answered in its form whatever they accept.
func wantsPage(c *fiber.Ctx) bool {
	return strings.Contains(c.Get(fiber.HeaderAccept), "text/html") && !strings.HasPrefix(c.Path(), "/api/")
}

// refusePage answers a browser with what is wrong: who is not let in can log in.
func (s *Server) refusePage(c *fiber.Ctx, p problem) error {
	c.Response().ResetBody()
	if p.Status == http.StatusUnauthorized {
		next := "/"
		if c.Method() == fiber.MethodGet {
			next = c.OriginalURL()
		}
		return goTo(c, loginRoute+"?next="+url.QueryEscape(localPath(next)))
	}
	view := ui.Problem{
		Frame: s.frame(c, "", p.Title), Status: p.Status, Heading: p.Title, Text: problemWords(p),
		Request: string(c.Response().Header.Peek(requestIDHeader)),
	}
	for _, f := range p.Errors {
		view.Details = append(view.Details, findingWords(f))
	}
	view.Details = append(view.Details, p.Reasons...)
	p.writeHeaders(&c.Response().Header)
	c.Status(p.Status)
	page, err := s.pages.Problem(view)
	return answerPage(c, page, err)
}

// problemWords says what is wrong to a person, who has no header or body to change.
func problemWords(p problem) string {
	switch p.Type {
	case problemTypes + "forbidden":
		return "Your key does not have the scope that this takes. Log in with one that has it, or ask whoever keeps the keys."
	case problemTypes + "no-such-path":
		return "There is no such page. Begin at the overview."
	case problemTypes + "not-found":
		return "There is nothing of this id or name, or it is not kept any more: what has ended is deleted after its retention."
	case problemTypes + "cross-origin":
		return "This was sent from a page of another site, so nothing was done. Go to the page here and do it there."
	case problemTypes + "body-too-large":
		return "This is more than the form takes, so nothing was done. Go back, and send less."
	case problemTypes + "not-a-form", problemTypes + "malformed-form":
		return "This is not what a form of ours sends, so nothing was done. Go back, load the page anew and send its form."
	}
	return p.Detail
}

// findingWords is a finding as a line.
func findingWords(f finding) string {
	where := f.Parameter
	if f.Pointer != nil {
		where = strings.TrimPrefix(*f.Pointer, "/")
	}
	if where == "" {
		return f.Detail
	}
	return where + ": " + f.Detail
}

// navigates reports whether a browser was led to a page by a link, maybe of another
// site. That does nothing but show the page, and nobody else can see it: it cannot
// be framed, and its window has no opener.
func navigates(c *fiber.Ctx) bool {
	h := &c.Request().Header
	return h.IsGet() && string(h.Peek("Sec-Fetch-Mode")) == "navigate" && string(h.Peek("Sec-Fetch-Dest")) == "document" &&
		len(h.Peek(fiber.HeaderOrigin)) == 0 && isPage(c.Path())
}

// isPage reports whether a path is of the dashboard.
func isPage(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch first {
	case "", "gateways", "messages", "events", "config", "login":
		return strings.HasPrefix(path, "/")
	}
	return false
}

// leadBack ends a form: the browser goes to a page, which says what was done.
func leadBack(c *fiber.Ctx, path string, said ui.Said) error {
	path = localPath(path)
	mark := "?"
	if strings.Contains(path, "?") {
		mark = "&"
	}
	return goTo(c, path+mark+"said="+string(said))
}

// address is a path with the values that are not empty.
func address(path string, values ...string) string {
	query := url.Values{}
	for i := 0; i+1 < len(values); i += 2 {
		if values[i+1] != "" {
			query.Set(values[i], values[i+1])
		}
	}
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}

func newPages() (*ui.Pages, error) {
	pages, err := ui.New()
	if err != nil {
		return nil, fmt.Errorf("make the dashboard: %w", err)
	}
	return pages, nil
}
