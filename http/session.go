package httpapi

import (
	"container/list"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

const (
	// sessionLife is how long a browser stays logged in, whatever it does.
	sessionLife = 12 * time.Hour
	// maxSessions bounds the sessions; a new one beyond it ends the oldest.
	maxSessions = 1000
	// sessionCookie is the name of the cookie. With TLS it has a prefix that keeps
	// other servers, of the same host or of a domain above it, from setting it.
	sessionCookie       = "postrider_session"
	secureSessionCookie = "__Host-" + sessionCookie
)

// sessions are the browsers that are logged in. They are kept by the hash of the
// token that is in the cookie, and each names the hash of the key that it was begun
// with: what that key may do, and whether it is still there, is asked at each
// request. They do not outlive the process.
type sessions struct {
	mu      sync.Mutex
	byToken map[[sha256.Size]byte]*list.Element // of session
	oldest  *list.List                          // the oldest first
	most    int
}

type session struct {
	token [sha256.Size]byte // its hash
	key   keySum
	until time.Time
}

func newSessions() *sessions {
	return &sessions{byToken: make(map[[sha256.Size]byte]*list.Element), oldest: list.New(), most: maxSessions}
}

// begin makes a session and returns its token, which nobody else knows. It makes none
// for a key that is not known any more: of those that keep drops, none comes later.
func (s *sessions) begin(key keySum, now time.Time, known func(keySum) bool) (string, bool) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	token := base64.RawURLEncoding.EncodeToString(random[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if !known(key) {
		return "", false
	}
	for first := s.oldest.Front(); first != nil; first = s.oldest.Front() {
		if s.oldest.Len() < s.most && now.Before(first.Value.(session).until) {
			break
		}
		s.remove(first)
	}
	made := session{token: sha256.Sum256([]byte(token)), key: key, until: now.Add(sessionLife)}
	s.byToken[made.token] = s.oldest.PushBack(made)
	return token, true
}

// key returns the key of a session, false when there is no such session any more.
func (s *sessions) key(token []byte, now time.Time) (keySum, bool) {
	return s.keyOf(sha256.Sum256(token), now)
}

// keyOf is key for the hash of a token.
func (s *sessions) keyOf(token [sha256.Size]byte, now time.Time) (keySum, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.byToken[token]
	if !ok {
		return keySum{}, false
	}
	if its := found.Value.(session); now.Before(its.until) {
		return its.key, true
	}
	s.remove(found)
	return keySum{}, false
}

// end ends a session, if it is one.
func (s *sessions) end(token []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.byToken[sha256.Sum256(token)]; ok {
		s.remove(found)
	}
}

// keep ends the sessions whose keys are not known any more, so that none comes back to
// life with its key.
func (s *sessions) keep(known func(keySum) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var next *list.Element
	for e := s.oldest.Front(); e != nil; e = next {
		next = e.Next()
		if !known(e.Value.(session).key) {
			s.remove(e)
		}
	}
}

func (s *sessions) remove(e *list.Element) {
	delete(s.byToken, s.oldest.Remove(e).(session).token)
}

// cookieName is the name of the cookie of this server.
func (s *Server) cookieName() string {
	if s.opts.TLS != nil {
		return secureSessionCookie
	}
	return sessionCookie
}

// sessionToken returns what the request has in the cookie, nil when it has none,
// or several, of which another server may have set one.
func (s *Server) sessionToken(h *fasthttp.RequestHeader) (token []byte) {
	n := 0
	for name, value := range h.Cookies() {
		if string(name) == s.cookieName() {
			token = value
			n++
		}
	}
	if n != 1 {
		return nil
	}
	return token
}

// setSession gives the browser a token, or with "" takes it away.
func (s *Server) setSession(c *fiber.Ctx, token string) {
	cookie := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(cookie)
	cookie.SetKey(s.cookieName())
	cookie.SetValue(token)
	cookie.SetPath("/")
	cookie.SetHTTPOnly(true)
	cookie.SetSameSite(fasthttp.CookieSameSiteStrictMode)
	cookie.SetSecure(s.opts.TLS != nil)
	if token == "" {
		cookie.SetExpire(fasthttp.CookieExpireDelete)
	} else {
		cookie.SetMaxAge(int(sessionLife / time.Second))
	}
	c.Response().Header.SetCookie(cookie)
}
