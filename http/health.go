package httpapi

import (
	"slices"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp/fasthttpadaptor"
)

// healthAnswer says that the process answers, and to those who are let in, which
// version of the program it is.
type healthAnswer struct {
	Status  string `json:"status"`
	Version string `json:"version,omitzero"`
}

// readyAnswer says that requests may be sent here.
type readyAnswer struct {
	Status string             `json:"status"`
	Config *configStateAnswer `json:"config,omitzero"`
}

func (s *Server) showHealth(c *fiber.Ctx) error {
	shown := healthAnswer{Status: "ok"}
	if who, err := s.identify(c); who != nil && err == nil {
		shown.Version = s.opts.Version
	}
	return answer(c, shown)
}

// showReady tells a load balancer whether to send requests here.
func (s *Server) showReady(c *fiber.Ctx) error {
	reasons := s.opts.Ready()
	if s.draining.Load() {
		reasons = append(slices.Clip(reasons), "draining")
	}
	if len(reasons) > 0 {
		return &rejection{kind: errNotReady, reasons: reasons}
	}
	return answer(c, readyAnswer{Status: "ready", Config: s.config()})
}

func (s *Server) showMetrics() fiber.Handler {
	write := fasthttpadaptor.NewFastHTTPHandler(s.opts.Metrics)
	return func(c *fiber.Ctx) error {
		write(c.Context())
		return nil
	}
}
