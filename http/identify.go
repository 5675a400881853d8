package httpapi

import (
	"bytes"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// admission is who is let in, and under which names the server may be called. It
// is not changed any more, and replaced as a whole by [Server.Admit].
type admission struct {
	keys  keyring
	hosts hostNames
}

// Admit replaces the keys that let clients in, and the names by which they may call
// the server. A session ends with its key, for good. An error changes nothing.
func (s *Server) Admit(keys []Key, hosts []string) error {
	if err := validateKeys(keys); err != nil {
		return err
	}
	s.admission.Store(newAdmission(keys, hosts))
	s.sessions.keep(s.knows)
	return nil
}

func newAdmission(keys []Key, hosts []string) *admission {
	a := &admission{keys: newKeyring(keys), hosts: newHostNames(hosts)}
	for _, who := range a.keys.callers() {
		who.by = a
	}
	return a
}

// knows reports whether there is a key now.
func (s *Server) knows(key keySum) bool { return s.admission.Load().keys.find(key) != nil }

// identify finds out who sent the request, and has [callerOf] say so from then on.
// It is nil for somebody without a key; the error says that there are credentials
// and nobody will look at them now. [Server.allowed] calls it, and so does a route
// that needs nothing and wants to know.
func (s *Server) identify(c *fiber.Ctx) (*caller, error) {
	who, err := s.callerFrom(c.Context())
	if who != nil {
		c.Context().SetUserValue(callerKey, who)
	}
	return who, err
}

func (s *Server) callerFrom(rc *fasthttp.RequestCtx) (*caller, error) {
	keys := s.admission.Load().keys
	if keys.everyone != nil {
		return keys.everyone, nil
	}
	h := &rc.Request.Header
	if given := h.PeekAll("Authorization"); len(given) > 0 {
		return s.tryKey(rc, bearer(given))
	}
	token := s.sessionToken(h)
	if token == nil || !deliberate(h) {
		return nil, nil //nolint:nilnil // nobody is no error
	}
	sum, ok := s.sessions.key(token, s.opts.Now())
	if !ok {
		return nil, nil //nolint:nilnil // as above
	}
	return keys.find(sum), nil // nil when the key was taken away
}

// inSession reports whether the caller was let in by the cookie of a session.
func inSession(c *fiber.Ctx) bool {
	who := callerOf(c)
	return who != nil && who.name != "" && len(c.Request().Header.Peek(fiber.HeaderAuthorization)) == 0
}

// tryKey looks up a key that a client has sent, in a header or a form.
func (s *Server) tryKey(rc *fasthttp.RequestCtx, secret []byte) (*caller, error) {
	from := addressOf(rc.RemoteAddr())
	v := s.failures.judge(from, sumOf(secret), s.opts.Now(), s.admission.Load().keys.find)
	if v.locked {
		s.opts.Logger.Warn("too many wrong keys from one address: it has to wait", "remote", from.String())
	}
	if v.wait > 0 {
		return nil, &rejection{kind: errLockedOut, retry: int((v.wait + time.Second - 1) / time.Second)}
	}
	return v.caller, nil
}

// bearer returns the key of Authorization headers, nil for what is not one header
// with a key. No key is empty, so that is a wrong one.
func bearer(given [][]byte) []byte {
	if len(given) != 1 {
		return nil
	}
	scheme, secret, found := bytes.Cut(given[0], []byte(" "))
	if !found || !bytes.EqualFold(scheme, []byte("Bearer")) {
		return nil
	}
	return bytes.TrimLeft(secret, " ")
}

// deliberate reports whether a request that a browser adds its cookie to by itself
// is one that a page of ours made. crossOrigin has refused what is from elsewhere;
// here what changes something has to say that it is not.
func deliberate(h *fasthttp.RequestHeader) bool {
	if h.IsGet() || h.IsHead() {
		return true
	}
	return len(h.Peek("Origin")) > 0 || string(h.Peek("Sec-Fetch-Site")) == "same-origin"
}
