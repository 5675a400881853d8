package httpapi

import (
	"fmt"
	"runtime"
	"time"

	"github.com/gofiber/fiber/v2"
)

// turns lets as many lists be read and written at a time as there are processors.
// Each may keep one busy for tens of milliseconds, and what is quick, such as
// health, would wait behind all that were asked for at once.
type turns chan struct{}

func newTurns() turns { return make(turns, runtime.GOMAXPROCS(0)) }

// take waits for a turn, which the caller ends with the func that it gets, for
// limit at most.
func (t turns) take(limit time.Duration) (end func(), err error) {
	end = func() { <-t }
	select {
	case t <- struct{}{}:
		return end, nil
	default:
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case t <- struct{}{}:
		return end, nil
	case <-late.C:
		return nil, errUnread
	}
}

// inTurn is a handler of a list.
func (s *Server) inTurn(list fiber.Handler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		end, err := s.turns.take(s.opts.SaveTimeout)
		if err != nil {
			return fmt.Errorf("read a list: %w", err)
		}
		defer end()
		return list(c)
	}
}
