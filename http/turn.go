package httpapi

import (
	"fmt"
	"runtime"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/data"
)

// turns let so many requests of a kind go on at a time; the others wait, in the
// order in which they came. What is quick, such as health, has none of its own and
// never waits behind all that were asked for at once.
type turns struct {
	taken chan struct{}
	late  error // what a request ends with that waited for too long
}

// maxSaving is how many requests may be about to save, or wait for the disk, at a
// time. They share a commit, and are all answered when it ends: more of them
// are a burst that keeps every processor busy for as long as it takes to write so
// many answers, and fewer would make commits of less than they could hold.
const maxSaving = 1024

// newListTurns let as many lists be read and written at a time as there are
// processors. Each may keep one busy for tens of milliseconds.
func newListTurns() turns { return newTurns(min(runtime.NumCPU(), runtime.GOMAXPROCS(0)), errUnread) }

func newSaveTurns() turns { return newTurns(maxSaving, data.ErrOverloaded) }

// newTestTurns lets one gateway be tested at a time. Nobody waits for that turn:
// a test may take as long as its gateway likes to.
func newTestTurns() turns { return newTurns(1, errTesting) }

// newTailTurns lets so many clients be told of events as they come. Nobody waits for
// that turn: it may last for ever.
func newTailTurns() turns { return newTurns(maxTails, errUnread) }

func newTurns(n int, late error) turns { return turns{taken: make(chan struct{}, n), late: late} }

// take waits for a turn, which the caller must end, for limit at most.
func (t turns) take(limit time.Duration) error {
	select {
	case t.taken <- struct{}{}:
		return nil
	default:
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case t.taken <- struct{}{}:
		return nil
	case <-late.C:
		return t.late
	}
}

func (t turns) end() { <-t.taken }

// inTurn is a handler that waits for its turn.
func (s *Server) inTurn(t turns, handle fiber.Handler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if err := t.take(s.opts.SaveTimeout); err != nil {
			return fmt.Errorf("wait for a turn: %w", err)
		}
		defer t.end()
		return handle(c)
	}
}
