package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/postrider/postrider/data"
)

const requestIDHeader = "X-Request-Id"

// Routes that have no pattern, for the log and the observer.
const (
	routeUnmatched  = "unmatched"  // refused before a route was found, or none found
	routeUnreadable = "unreadable" // not a request
)

// handle runs around every route: it names the request, lets it in, keeps a
// panic from ending the process, turns an error into a problem, and reports.
func (s *Server) handle(c *fiber.Ctx) error {
	began := s.opts.Now()
	s.prepare(c)
	own := c.Route()
	err := s.next(c)
	if err == nil {
		err = s.unwritten.hold(c)
	}
	route := routeUnmatched
	if found := c.Route(); found != own {
		route = found.Path
	}
	if err != nil {
		s.refuse(c, route, err)
	}
	s.report(c, c.Method(), route, began)
	return nil
}

// unreadable answers what the server below could not read as a request, which
// is why no route saw it. Its connection ends with that.
func (s *Server) unreadable(c *fiber.Ctx, err error) error {
	began := s.opts.Now()
	calmBelow(c.Context().Conn()).lingerAtEnd()
	if s.draining.Load() && errors.Is(err, fiber.ErrRequestTimeout) {
		err = data.ErrStopping // no time is left for what is missing
	}
	s.prepare(c)
	s.refuse(c, routeUnreadable, err)
	s.report(c, "", routeUnreadable, began)
	return nil
}

// prepare sets what every answer carries.
func (s *Server) prepare(c *fiber.Ctx) {
	h := &c.Response().Header
	h.SetCanonical([]byte(fiber.HeaderXContentTypeOptions), []byte("nosniff"))
	h.SetCanonical([]byte(fiber.HeaderCacheControl), []byte("no-store"))
	if given := c.Request().Header.Peek(requestIDHeader); validRequestID(given) {
		setHeader(h, requestIDHeader, given)
		return
	}
	var name [maxRequestName]byte
	setHeader(h, requestIDHeader, s.names.append(name[:0]))
}

// setHeader sets a header whose name is in canonical form already.
func setHeader(h *fasthttp.ResponseHeader, name string, value []byte) {
	h.SetCanonical([]byte(name), value)
}

// validRequestID reports whether a client's name for its request may appear in
// our log: 1 to 64 of [A-Za-z0-9._-].
func validRequestID(id []byte) bool {
	if len(id) == 0 || len(id) > 64 {
		return false
	}
	for _, b := range id {
		switch {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', b == '.', b == '_', b == '-':
		default:
			return false
		}
	}
	return true
}

// next lets the request in and runs its route. A panic ends the request and not
// the process.
func (s *Server) next(c *fiber.Ctx) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			s.opts.Logger.Error("handler panicked", "route", c.Route().Path, "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	if err := s.checkHost(c.Context(), c.Path()); err != nil {
		return err
	}
	if s.crossOrigin(c) && !navigates(c) {
		return errCrossOrigin
	}
	own := c.Route()
	err = c.Next()
	if c.Route() != own {
		return err
	}
	// Which paths there are is nobody's business.
	who, locked := s.identify(c)
	if who != nil {
		return err
	}
	c.Response().Header.Del(fiber.HeaderAllow)
	return cmp.Or(locked, errUnauthorized)
}

// refuse answers with the problem that err is.
func (s *Server) refuse(c *fiber.Ctx, route string, err error) {
	p := problemOf(err)
	if p.Status == fiber.StatusInternalServerError && !errors.Is(err, errPanic) {
		s.opts.Logger.Error("request failed", "route", route, "err", err)
	}
	if s.maySeePage(c, route, p) {
		if err := s.refusePage(c, p); err == nil {
			return
		}
	}
	p.write(c.Context())
}

// maySeePage reports whether a refusal is shown as a page. Of what could not be read
// that takes a head that could: it is when the body is too large, or the end of the
// server left no time.
func (s *Server) maySeePage(c *fiber.Ctx, route string, p problem) bool {
	if route != routeUnreadable {
		return wantsPage(c)
	}
	if p.Status != fiber.StatusRequestEntityTooLarge && p.Status != fiber.StatusServiceUnavailable || !wantsPage(c) {
		return false
	}
	if s.checkHost(c.Context(), c.Path()) == nil && !s.crossOrigin(c) {
		_, _ = s.identify(c) // the page leads on for those who are let in
	}
	return true
}

// report tells the observer and the access log. The log never holds a query or
// a body: both may be secrets.
func (s *Server) report(c *fiber.Ctx, method, route string, began time.Time) {
	took := s.opts.Now().Sub(began)
	status := c.Response().StatusCode()
	s.opts.Observe(route, status, took)
	if !s.opts.AccessLog {
		return
	}
	size := c.Response().Header.ContentLength() // of a stream, -1 when it is not known
	if !c.Response().IsBodyStream() {
		size = len(c.Response().Body())
	}
	s.opts.Logger.LogAttrs(context.Background(), slog.LevelInfo, "request",
		slog.String("method", strings.Clone(method)),
		slog.String("route", route),
		slog.Int("status", status),
		slog.Duration("took", took),
		slog.Int("bytes", size),
		slog.String("request", string(c.Response().Header.Peek(requestIDHeader))),
		slog.String("remote", c.Context().RemoteIP().String()),
	)
}
