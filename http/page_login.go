package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/http/ui"
)

// loginView is what the page to log in at shows.
type loginView struct {
	Next    string  // where to go afterwards, a path of ours
	Problem problem // why the last try was refused; no status means that there was none
}

// loginPage answers with the page to log in at.
func (s *Server) loginPage(c *fiber.Ctx, v loginView) error {
	view := ui.Login{Frame: ui.Frame{Title: "Log in", Now: s.opts.Now()}, Next: v.Next}
	if v.Problem.Status != 0 {
		v.Problem.writeHeaders(&c.Response().Header)
		c.Status(v.Problem.Status)
		view.Refuse = v.Problem.Detail
		if v.Problem.Status == fiber.StatusUnauthorized {
			view.Refuse = "This is not a key that the server knows."
		}
	}
	page, err := s.pages.Login(view)
	return answerPage(c, page, err)
}
