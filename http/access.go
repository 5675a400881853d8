package httpapi

import (
	"bytes"
	"strings"

	"github.com/valyala/fasthttp"
)

// strictHead reports whether the head of a request is written in the one way
// that everybody reads alike. The server below also takes bare line feeds, folded
// lines and spaces in names; a proxy before us that takes them differently would
// see other requests than we do.
func strictHead(h *fasthttp.RequestHeader) bool {
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
func crossOrigin(h *fasthttp.RequestHeader) bool {
	for _, site := range h.PeekAll("Sec-Fetch-Site") {
		if s := string(site); s == "cross-site" || s == "same-site" {
			return true
		}
	}
	for _, origin := range h.PeekAll("Origin") {
		if !sameHost(string(origin), string(h.Host())) {
			return true
		}
	}
	return false
}

// sameHost reports whether an Origin header names the host that the request was
// sent to. The scheme is not compared, since a proxy may have taken TLS off.
func sameHost(origin, host string) bool {
	scheme, from, found := strings.Cut(origin, "://")
	if !found {
		return false // "null" is what a sandboxed page says
	}
	port := ""
	switch scheme {
	case "http":
		port = ":80"
	case "https":
		port = ":443"
	default:
		return false
	}
	return strings.EqualFold(strings.TrimSuffix(from, port), strings.TrimSuffix(host, port))
}
