package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/http/ui"
)

const configPage = "/config"

const (
	// maxRoutesShown is how many routes the page has.
	maxRoutesShown = 200
	// maxConfigShown is how much of the configuration it has, in bytes: with ten
	// thousand gateways it is longer than anybody reads.
	maxConfigShown = 256 << 10
)

// showConfigPage shows the configuration in force.
func (s *Server) showConfigPage(c *fiber.Ctx) error { return s.configPage(c, nil) }

// configPage shows the configuration in force, and why another one was refused.
func (s *Server) configPage(c *fiber.Ctx, mistakes []ui.Mistake) error {
	o := s.opts.Overview.Summary().Config
	view := ui.Config{
		Frame:     s.frame(c, ui.SectionConfig, "Configuration"),
		AppliedAt: o.AppliedAt, RefusedAt: o.RefusedAt, MistakeCount: o.Mistakes, NeedsRestart: o.NeedsRestart,
		Mistakes: mistakes, Reloads: s.opts.Reloader != nil,
	}
	routes := s.opts.DeclaredRoutes()
	view.More = max(0, len(routes)-maxRoutesShown)
	for _, r := range routes[:len(routes)-view.More] {
		view.Routes = append(view.Routes, viewRoute(r))
	}
	if view.Operate && s.opts.Config != nil {
		var text bytes.Buffer
		if err := s.opts.Config(&text); err != nil {
			return fmt.Errorf("show the configuration: %w", err)
		}
		view.YAML = string(text.Bytes()[:min(text.Len(), maxConfigShown)])
		view.Cut = text.Len() > maxConfigShown
	}
	page, err := s.pages.Config(view)
	return answerPage(c, page, err)
}

// reloadPage is the form that has the configuration read again.
func (s *Server) reloadPage(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(s.life, reloadPatience)
	defer cancel()
	_, faults, err := s.opts.Reloader.Reload(ctx)
	if errors.Is(err, ErrUnreadable) {
		return s.configPage(c, []ui.Mistake{{Text: "The configuration cannot be read, or not in time; the log says why."}})
	}
	if err != nil {
		return fmt.Errorf("reload the configuration: %w", err)
	}
	if len(faults) == 0 {
		return leadBack(c, configPage, ui.SaidReloaded)
	}
	var mistakes []ui.Mistake
	for _, f := range faults[:min(len(faults), maxFindings)] {
		mistakes = append(mistakes, ui.Mistake{Key: f.Key, Text: f.Detail})
	}
	return s.configPage(c, mistakes)
}

func viewRoute(r Route) ui.Route {
	shown := ui.Route{Match: []ui.Field{{Name: "type", Value: r.EventType}}, Gateways: r.Gateways, Message: r.Message}
	if r.PayloadContains != "" {
		shown.Match = append(shown.Match, ui.Field{Name: "payload contains", Value: r.PayloadContains})
	}
	for _, pointer := range slices.Sorted(maps.Keys(r.Payload)) {
		shown.Match = append(shown.Match, ui.Field{Name: "payload " + pointer, Value: fmt.Sprint(r.Payload[pointer])})
	}
	return shown
}
