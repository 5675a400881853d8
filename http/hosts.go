package httpapi

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// The probes are answered under any name: load balancers call them by address, and
// there is nothing in them that a page of somebody else could use.
var probes = []string{"/healthz", "/readyz"}

// hostNames are names by which the server may be called, beside those that always
// lead to it. Where any name were right, a page of somebody else could call us under
// its own, which its owner lets lead here (DNS rebinding): to the browser that would
// be no other origin.
type hostNames map[string]bool

func newHostNames(names []string) hostNames {
	known := make(hostNames, len(names))
	for _, name := range names {
		if addr, err := netip.ParseAddr(name); err == nil {
			name = addr.Unmap().WithZone("").String()
		}
		known[strings.ToLower(strings.TrimSuffix(name, "."))] = true
	}
	return known
}

// checkHost refuses a request that was sent to another name than ours, or to none.
// A target that is a whole URL names a host as well, and both have to be right.
func (s *Server) checkHost(rc *fasthttp.RequestCtx, path string) error {
	if slices.Contains(probes, path) {
		return nil
	}
	known := s.admission.Load().hosts
	header, target := string(rc.Request.Header.Host()), string(rc.URI().Host())
	if err := known.judge(header, rc.LocalAddr()); err != nil || strings.EqualFold(header, target) {
		return err
	}
	return known.judge(target, rc.LocalAddr())
}

// judge says whether a Host header is one of ours, where a connection came in at
// local.
func (h hostNames) judge(header string, local net.Addr) error {
	name, ok := withoutPort(header)
	if !ok {
		return fiber.ErrBadRequest
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		addr = addr.Unmap().WithZone("")
		if addr.IsLoopback() || addr.IsUnspecified() || h[addr.String()] {
			return nil
		}
		if tcp, ok := local.(*net.TCPAddr); ok && tcp.AddrPort().Addr().Unmap().WithZone("") == addr {
			return nil
		}
		return errWrongHost
	}
	if !plainHost(name) {
		return fiber.ErrBadRequest
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || h[name] {
		return nil
	}
	return errWrongHost
}

// withoutPort returns the name or address of a Host header, without the brackets of
// an IPv6 address. It is false for what cannot be one.
func withoutPort(header string) (name string, ok bool) {
	rest, inBrackets := strings.CutPrefix(header, "[")
	end := ":"
	if inBrackets {
		end = "]"
	}
	name, port, ended := strings.Cut(rest, end)
	if inBrackets {
		addr, err := netip.ParseAddr(name)
		if !ended || err != nil || !addr.Is6() {
			return "", false
		}
		if port == "" {
			return name, true
		}
		if port, ended = strings.CutPrefix(port, ":"); !ended {
			return "", false
		}
	}
	if port == "" {
		return name, true // as in "host:", which is allowed
	}
	if strings.Trim(port, "0123456789") != "" {
		return "", false
	}
	_, err := strconv.ParseUint(port, 10, 16)
	return name, err == nil
}

// plainHost reports whether a name is written as names of hosts are.
func plainHost(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, b := range []byte(label) {
			if (b|0x20 < 'a' || b|0x20 > 'z') && (b < '0' || b > '9') && b != '-' && b != '_' {
				return false
			}
		}
	}
	return true
}
