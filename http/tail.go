package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/data"
)

const (
	// maxTails is how many tails there may be at a time. Each looks for new events by
	// itself, which is a look at a number in memory.
	maxTails = 64
	// tailPause is how long what was stored may go unseen.
	tailPause = 200 * time.Millisecond
	// tailBeat is how often something is written when there is nothing to tell: only a
	// write finds out that nobody reads any more.
	tailBeat = 15 * time.Second
	// tailGrace is what the end of the server leaves to one that does not read.
	tailGrace = time.Second

	// What a tail reads at a time, and so has in memory.
	tailEvents = 100
	tailBytes  = 64 << 10
)

const (
	tailRoute   = "/api/v1/events/tail"
	lastEventID = "Last-Event-ID"
)

// tailEvents answers with the events as they come, until the client goes, does not
// read, or the server stops.
func (s *Server) tailEvents(c *fiber.Ctx) error {
	t, err := s.newTail(c)
	if err != nil {
		return err
	}
	c.Response().Header.SetContentType("text/event-stream")
	if c.Method() == fiber.MethodHead {
		return nil
	}
	if !c.Request().Header.IsHTTP11() {
		return fiber.ErrBadRequest // there the length of an answer comes first
	}
	if err := s.tails.take(0); err != nil {
		return err
	}
	// The request is over when this returns, the tail is not.
	if !s.inFlight.enter() {
		s.tails.end()
		return data.ErrStopping
	}
	conn := c.Context().Conn()
	calmBelow(conn).keepPace(pacePiece, s.opts.WriteTimeout)
	// Who does not read keeps a write, which no context ends.
	t.spare = context.AfterFunc(s.life, func() { time.AfterFunc(tailGrace, func() { _ = conn.Close() }) })
	t.look, t.beat = time.NewTicker(tailPause), time.NewTicker(tailBeat)
	c.Context().SetConnectionClose()
	c.Context().SetBodyStream(t, -1)
	return nil
}

// tail is the body of an answer that goes on: what one client is told. The server below
// reads it when what it read before is written, and closes it when the client is gone or
// does not read. It holds nothing of its request.
type tail struct {
	server     *Server
	query      data.EventQuery // After is where a client that comes back goes on
	content    bool
	admitted   *admission        // by which it was let in; it ends with that
	session    [sha256.Size]byte // by which it was let in, its token's hash; it ends with that
	inSession  bool              // whether there is one
	seen       data.ID           // the newest id when it last found nothing more
	begun      bool
	text       bytes.Buffer // not read yet
	look, beat *time.Ticker
	spare      func() bool // keeps the end of the server from cutting off the connection
}

// newTail reads what a client wants to be told. A browser that comes back says in a
// header where it was, whatever its address says.
func (s *Server) newTail(c *fiber.Ctx) (*tail, error) {
	given, err := parameters(c, "event_type", "after")
	if err != nil {
		return nil, err
	}
	t := &tail{server: s, content: seesContent(c), admitted: callerOf(c).by}
	if t.inSession = inSession(c); t.inSession {
		t.session = sha256.Sum256(s.sessionToken(&c.Request().Header))
	}
	t.query = data.EventQuery{Type: strings.Clone(given.text("event_type")), After: given.eventCursor(), Limit: tailEvents}
	last := c.Get(lastEventID)
	if last != "" {
		if t.query.After, err = parsePosition(strings.Clone(last)); err != nil {
			given.note(lastEventID, codeInvalid, "The header must be the id of an event.")
		}
	}
	if last == "" && given.values["after"] == "" {
		t.query.After = s.opts.Reader.Newest()
		t.seen = t.query.After
	}
	return t, given.err()
}

// over reports whether the tail has to end: with the server, or with what let its
// client in. Who comes back is asked for the key again.
func (t *tail) over() bool {
	s := t.server
	if s.life.Err() != nil || s.admission.Load() != t.admitted {
		return true
	}
	if !t.inSession {
		return false
	}
	_, lasts := s.sessions.keyOf(t.session, s.opts.Now())
	return !lasts
}

// say adds a comment, and where to go on: clients take an id also without an event, and
// so can come back to where they were before they were told any.
func (t *tail) say(comment string) {
	fmt.Fprintf(&t.text, ": %s\nid: %s\n\n", comment, t.query.After)
}

// Read waits for something to tell. It ends when the server does.
func (t *tail) Read(p []byte) (n int, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			t.server.opts.Logger.Error("a tail panicked", "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
			err = io.ErrUnexpectedEOF
		}
	}()
	for t.text.Len() == 0 {
		if !t.begun {
			t.begun = true
			t.say("from here on")
			break
		}
		if err := t.next(); err != nil {
			return 0, err
		}
	}
	return t.text.Read(p)
}

// Close gives back what a tail takes.
func (t *tail) Close() error {
	t.spare()
	t.look.Stop()
	t.beat.Stop()
	t.server.inFlight.leave()
	t.server.tails.end()
	return nil
}

// next adds what is new, or waits until there may be something.
func (t *tail) next() error {
	s := t.server
	newest := s.opts.Reader.Newest()
	more, err := newest != t.seen, error(nil)
	if more {
		if more, err = t.tell(); err != nil {
			s.opts.Logger.Warn("a tail ended", "err", err)
			return io.ErrUnexpectedEOF
		}
	}
	if !more {
		t.seen = newest
	}
	if t.over() {
		return io.EOF
	}
	select {
	case <-t.beat.C: // also while a filter has to look far
		t.say("still here")
		return nil
	default:
	}
	if more || t.text.Len() > 0 {
		return nil
	}
	select {
	case <-s.life.Done():
		return io.EOF
	case <-t.beat.C:
		t.say("still here")
	case <-t.look.C:
	}
	return nil
}

// tell adds the next events, of which there may be more.
func (t *tail) tell() (more bool, err error) {
	s := t.server
	if err := s.lists.take(s.opts.SaveTimeout); err != nil {
		return false, err
	}
	defer s.lists.end()
	t.text = bytes.Buffer{} // one long event need not be remembered for ever
	t.query.Enough = func(e data.Event) bool {
		var text []byte
		if text, err = json.Marshal(showAsEvent(e, t.content), asStored()); err != nil {
			return true
		}
		fmt.Fprintf(&t.text, "id: %s\nevent: event\ndata: %s\n\n", e.ID, text)
		return t.text.Len() >= tailBytes
	}
	page, readErr := s.opts.Reader.Events(t.query)
	if err = errors.Join(err, readErr); err != nil {
		return false, fmt.Errorf("read events: %w", err)
	}
	t.query.After = page.Next
	return page.More, nil
}
