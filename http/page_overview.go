package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/http/ui"
)

// showOverviewPage says whether anything is stuck.
func (s *Server) showOverviewPage(c *fiber.Ctx) error {
	lanes, _, err := s.laneSummary()
	if err != nil {
		return err
	}
	o := s.opts.Overview.Summary()
	view := ui.Overview{
		Frame: s.frame(c, ui.SectionOverview, "Overview"), Totals: lanes.counts, Gateways: lanes.gateways.Total,
		Rates: ui.Rates(o.Rates), History: viewHistory(o.History),
		Store:   ui.Store{Accepting: len(o.Store.Reasons) == 0, Reasons: o.Store.Reasons, Free: uint64(o.Store.Free), Size: uint64(o.Store.Size)},
		Reloads: s.opts.Reloader != nil, Started: o.StartedAt, Applied: o.Config.AppliedAt, Refused: o.Config.RefusedAt,
		Mistakes: o.Config.Mistakes, Restart: o.Config.NeedsRestart,
	}
	for _, a := range lanes.attention {
		g, err := s.viewGateway(a.Gateway)
		if err != nil {
			return err
		}
		view.Attention = append(view.Attention, ui.Attention{Gateway: g, Reason: ui.Reason(a.Reason)})
	}
	for _, lane := range lanes.backlogs {
		g, err := s.viewGateway(lane.Gateway)
		if err != nil {
			return err
		}
		view.Backlogs = append(view.Backlogs, g)
	}
	page, err := s.pages.Overview(view)
	return answerPage(c, page, err)
}

func viewHistory(h History) ui.History {
	return ui.History{Step: h.Step, Events: floats(h.Events), Messages: floats(h.Messages), Delivered: floats(h.Delivered), Failed: floats(h.Failed)}
}

func floats(counts []uint32) []float64 {
	values := make([]float64, len(counts))
	for i, n := range counts {
		values[i] = float64(n)
	}
	return values
}
