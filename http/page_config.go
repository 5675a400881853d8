package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/http/ui"
)

const configPage = "/config"

// showConfigPage shows the configuration in force.
func (s *Server) showConfigPage(c *fiber.Ctx) error {
	o := s.opts.Overview.Summary().Config
	view := ui.Config{
		Frame:     s.frame(c, ui.SectionConfig, "Configuration"),
		AppliedAt: o.AppliedAt, RefusedAt: o.RefusedAt, MistakeCount: o.Mistakes, NeedsRestart: o.NeedsRestart,
	}
	page, err := s.pages.Config(view)
	return answerPage(c, page, err)
}
