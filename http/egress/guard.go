package egress

import (
	"net/netip"
	"net/url"
)

// Networks are those that guarded requests may go to beside the public ones.
type Networks []netip.Prefix

// special are the networks that are no places for an outside API, although some of
// them lie in what is public: what the registries of special-purpose addresses of
// IANA (RFC 6890) do not call globally reachable, as of 2026, multicast, and what
// stands for an address of another network.
var special = Networks{
	netip.MustParsePrefix("0.0.0.0/8"),        // this network (RFC 791)
	netip.MustParsePrefix("10.0.0.0/8"),       // private (RFC 1918)
	netip.MustParsePrefix("100.64.0.0/10"),    // behind a carrier's NAT (RFC 6598)
	netip.MustParsePrefix("127.0.0.0/8"),      // loopback (RFC 1122)
	netip.MustParsePrefix("168.63.129.16/32"), // public, but what Azure tells its machines their secrets at
	netip.MustParsePrefix("169.254.0.0/16"),   // link-local (RFC 3927), metadata of clouds
	netip.MustParsePrefix("172.16.0.0/12"),    // private (RFC 1918)
	netip.MustParsePrefix("192.0.0.0/24"),     // protocol assignments (RFC 6890)
	netip.MustParsePrefix("192.0.2.0/24"),     // documentation (RFC 5737)
	netip.MustParsePrefix("192.88.99.0/24"),   // relays of 6to4 (RFC 7526)
	netip.MustParsePrefix("192.168.0.0/16"),   // private (RFC 1918)
	netip.MustParsePrefix("198.18.0.0/15"),    // benchmarks (RFC 2544)
	netip.MustParsePrefix("198.51.100.0/24"),  // documentation (RFC 5737)
	netip.MustParsePrefix("203.0.113.0/24"),   // documentation (RFC 5737)
	netip.MustParsePrefix("224.0.0.0/4"),      // multicast (RFC 5771)
	netip.MustParsePrefix("240.0.0.0/4"),      // reserved, and broadcast (RFC 1112, RFC 919)

	netip.MustParsePrefix("2001::/23"),     // protocol assignments, with Teredo, ORCHID and benchmarks (RFC 2928)
	netip.MustParsePrefix("2001:db8::/32"), // documentation (RFC 3849)
	netip.MustParsePrefix("2002::/16"),     // 6to4, which stands for an IPv4 address (RFC 3056)
	netip.MustParsePrefix("3fff::/20"),     // documentation (RFC 9637)
}

var (
	// global is all of IPv6 that was given out as unicast (RFC 4291, IANA). What lies
	// outside is loopback, unspecified, mapped and compatible IPv4, unique-local,
	// link-local, site-local, multicast, discard-only, or nobody's.
	global = netip.MustParsePrefix("2000::/3")
	// nat64 has an IPv4 address in its last four bytes (RFC 6052). It is how machines
	// without IPv4 reach public ones, so what counts is that one.
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
)

// Permits reports whether guarded requests may go to an address.
func (n Networks) Permits(a netip.Addr) bool {
	if !a.IsValid() || a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	if n.contain(a) {
		return true
	}
	if a.Is4() {
		return !special.contain(a)
	}
	if nat64.Contains(a) {
		b := a.As16()
		return n.Permits(netip.AddrFrom4([4]byte(b[12:])))
	}
	return global.Contains(a) && !special.contain(a)
}

func (n Networks) contain(a netip.Addr) bool {
	for _, p := range n {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// PermitsHost reports whether guarded requests may go to the host of a URL, which
// may have a port. A name is permitted: what it comes to shows when it is dialled.
func (n Networks) PermitsHost(host string) bool {
	u := url.URL{Host: host}
	a, err := netip.ParseAddr(u.Hostname())
	return err != nil || n.Permits(a)
}

// permitsRemote is Permits for an address with its port, as connections have it.
func (n Networks) permitsRemote(address string) bool {
	a, err := netip.ParseAddrPort(address)
	return err == nil && n.Permits(a.Addr())
}

// Allow sets the networks that guarded requests may go to beside the public ones,
// from now on.
func (c *Client) Allow(n Networks) { c.dialer.allowed.Store(&n) }
