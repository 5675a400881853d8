package httpapi

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/data"
)

// pauseGateway keeps a gateway from being sent to, or ends that. It needs no body
// and works while nothing new is taken. One that is not declared can be paused as
// long as it has a lane, so that its messages stay where they are when it comes
// back.
func (s *Server) pauseGateway(paused bool) fiber.Handler {
	return func(c *fiber.Ctx) error {
		name := strings.Clone(c.Params("name"))
		gateway, err := s.gateway(name)
		if err != nil {
			return err
		}
		ctx := s.patience.context()
		if err := s.opts.Pauser.Pause(ctx, name, paused); err != nil {
			return fmt.Errorf("pause a gateway: %w", err)
		}
		gateway.lane, err = s.opts.Reader.Lane(name)
		if err != nil && !errors.Is(err, data.ErrNotFound) {
			return fmt.Errorf("read a lane: %w", err)
		}
		return s.answerGateway(c, gateway)
	}
}
