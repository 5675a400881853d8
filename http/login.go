package httpapi

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// maxLogin is how many bytes the form of a login may have.
const maxLogin = 4 << 10

// Where a browser logs in and out.
const (
	loginRoute  = "/login"
	logoutRoute = "/logout"
)

// showLogin is the page to log in at. Where nothing is left to do it goes on.
func (s *Server) showLogin(c *fiber.Ctx) error {
	next := localPath(c.Query("next"))
	if who, err := s.identify(c); who != nil && err == nil {
		return goTo(c, next)
	}
	return s.loginPage(c, loginView{Next: next})
}

// login takes a key from a form and gives the browser a session for it. The key is
// never taken from anywhere else, least of all from the query, which gets into logs.
func (s *Server) login(c *fiber.Ctx) error {
	sent, err := form(c, maxLogin)
	if err != nil {
		return err
	}
	next := localPath(string(sent.Peek("next")))
	if s.admission.Load().keys.everyone != nil {
		return goTo(c, next)
	}
	var key []byte
	if given := sent.PeekMulti("key"); len(given) == 1 {
		key = bytes.TrimSpace(given[0])
	}
	who, err := s.tryKey(c.Context(), key)
	if err != nil || who == nil {
		if err == nil {
			err = errUnauthorized
		}
		return s.loginPage(c, loginView{Next: next, Problem: problemOf(err)})
	}
	// A token that the browser came with is never taken on: it may be known to others.
	s.sessions.end(s.sessionToken(&c.Request().Header))
	token, begun := s.sessions.begin(sumOf(key), s.opts.Now(), s.knows)
	if !begun { // its key was taken away a moment ago
		return s.loginPage(c, loginView{Next: next, Problem: problemOf(errUnauthorized)})
	}
	s.setSession(c, token)
	return goTo(c, next)
}

// logout ends the session of the browser. What is no page of ours cannot do that.
func (s *Server) logout(c *fiber.Ctx) error {
	if h := &c.Request().Header; deliberate(h) {
		s.sessions.end(s.sessionToken(h))
		s.setSession(c, "")
	}
	return goTo(c, loginRoute)
}

// goTo sends the browser to a path of ours.
func goTo(c *fiber.Ctx, path string) error {
	c.Response().Header.Set(fiber.HeaderLocation, path)
	c.Status(http.StatusSeeOther)
	return nil
}

// localPath returns where to go after a login: path, if it surely leads to us.
func localPath(path string) string {
	const home = "/"
	odd := func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") || strings.ContainsFunc(path, odd) {
		return home
	}
	switch page, _, _ := strings.Cut(strings.Replace(path, "#", "?", 1), "?"); page {
	case loginRoute, logoutRoute: // the one leads here again, the other is no page
		return home
	}
	return strings.Clone(path) // it may belong to the connection
}
