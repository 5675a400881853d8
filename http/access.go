package httpapi

import (
	"bytes"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// strictHead reports whether the head of a request is written in the one way
// that everybody reads alike. The server below also takes bare line feeds, folded
// lines and spaces in names; a proxy before us that takes them differently would
// see other requests than we do.
func strictHead(h *fasthttp.RequestHeader) bool {
	if bytes.IndexByte(h.RequestURI(), '#') >= 0 {
		return false // where a target ends there for us, it need not for others
	}
	if version := h.Protocol(); string(version) != "HTTP/1.1" && string(version) != "HTTP/1.0" {
		return false
	}
	for head := h.RawHeaders(); len(head) > 0; {
		end := bytes.IndexByte(head, '\n')
		if end < 1 || head[end-1] != '\r' {
			return false
		}
		line := head[:end-1]
		head = head[end+1:]
		name, _, _ := bytes.Cut(line, []byte(":"))
		if bytes.IndexByte(name, ' ') >= 0 || bytes.IndexByte(name, '\t') >= 0 {
			return false
		}
	}
	return true
}

// crossOrigin reports whether a browser sent the request from a page of another
// origin, which may be a page that its user knows nothing about.
func (s *Server) crossOrigin(c *fiber.Ctx) bool {
	h := &c.Request().Header
	for _, site := range h.PeekAll("Sec-Fetch-Site") {
		if from := string(site); from == "cross-site" || from == "same-site" {
			return true
		}
	}
	for _, origin := range h.PeekAll("Origin") {
		if !sameOrigin(string(origin), string(h.Host()), s.opts.TLS != nil) {
			return true
		}
	}
	return false
}

// sameOrigin reports whether an Origin header names the host that the request was
// sent to, and how that is spoken to. Without TLS of our own https is right as well,
// since a proxy may have taken it off; with it http is not, since nobody adds it.
func sameOrigin(origin, host string, secured bool) bool {
	scheme, from, found := strings.Cut(origin, "://")
	if !found {
		return false // "null" is what a sandboxed page says
	}
	port := ""
	switch {
	case scheme == "http" && !secured:
		port = ":80"
	case scheme == "https":
		port = ":443"
	default:
		return false
	}
	return strings.EqualFold(strings.TrimSuffix(from, port), strings.TrimSuffix(host, port))
}
