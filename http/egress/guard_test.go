package egress_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/egress"
)

func TestNetworksPermit(t *testing.T) {
	forbidden := []string{
		// The first and last of each special network of IPv4.
		"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.100.100.200", "100.127.255.255",
		"127.0.0.0", "127.0.0.1", "127.255.255.255", "168.63.129.16", "169.254.0.0", "169.254.169.254", "169.254.255.255",
		"172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.192", "192.0.0.255", "192.0.2.0", "192.0.2.255",
		"192.88.99.0", "192.88.99.255", "192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255",
		"198.51.100.0", "198.51.100.255", "203.0.113.0", "203.0.113.255", "224.0.0.0", "239.255.255.255",
		"240.0.0.0", "255.255.255.255",
		// The same in IPv6: mapped, compatible, translated, and by tunnels.
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::8.8.8.8", "::ffff:0:8.8.8.8",
		"64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::255.255.255.255",
		"64:ff9b:1::1", "64:ff9b:1:ffff::8.8.8.8", "64:ff9b:0:0:1::8.8.8.8",
		"2002:7f00:1::", "2002:808:808::1", "2001::1", "2001:0:a00:1::", "2001:2::1", "2001:10::1", "2001:20::1", "2001:1ff:ffff::1",
		// IPv6 of its own.
		"::", "::1", "100::1", "100:0:0:1::1", "2001:db8::1", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "3fff::1", "3fff:fff::1",
		"5f00::1", "fc00::", "fd00:ec2::254", "fdff:ffff::1", "fe80::1", "fe80::1%lo", "febf::1", "fec0::1", "ff02::1", "ff0e::1",
		"4000::1", "1fff::1", "8000::1", "2606:4700::1111%eth0",
	}
	public := []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
		"168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255",
		"192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
		"198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
		"::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2000::1", "2001:200::1", "2001:4860:4860::8888", "2001:db7::1", "2001:db9::1",
		"2003::1", "2606:4700::1111", "2a00:1450::1", "3ffe::1", "3fff:1000::1",
	}
	for _, a := range forbidden {
		if egress.Networks(nil).Permits(netip.MustParseAddr(a)) {
			t.Errorf("Permits(%s) = true", a)
		}
	}
	for _, a := range public {
		if !egress.Networks(nil).Permits(netip.MustParseAddr(a)) {
			t.Errorf("Permits(%s) = false", a)
		}
	}
	if egress.Networks(nil).Permits(netip.Addr{}) {
		t.Error("Permits of no address = true")
	}
	allowed := egress.Networks{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/64")}
	for a, want := range map[string]bool{
		"10.1.2.3": true, "10.2.0.0": false, "::ffff:10.1.2.3": true, "64:ff9b::10.1.2.3": true, "64:ff9b::10.2.0.0": false,
		"fd00::1": true, "fd00:0:0:1::1": false, "fd00::1%eth0": false, "8.8.8.8": true,
	} {
		if got := allowed.Permits(netip.MustParseAddr(a)); got != want {
			t.Errorf("Permits(%s) = %v with %v; want %v", a, got, allowed, want)
		}
	}
}

func TestNetworksPermitHosts(t *testing.T) {
	for host, want := range map[string]bool{
		"example.org": true, "example.org:80": true, "localhost": true, "127.1": true, // names show when they are dialled
		"127.0.0.1": false, "127.0.0.1:8080": false, "[::1]": false, "[::1]:80": false, "[::ffff:10.0.0.1]": false,
		"8.8.8.8": true, "[2606:4700::1111]:443": true,
	} {
		if got := egress.Networks(nil).PermitsHost(host); got != want {
			t.Errorf("PermitsHost(%s) = %v; want %v", host, got, want)
		}
	}
}

// guarded is a declaration of somebody who may not choose any address.
func guarded(url string) dialect.Declaration { return dialect.Declaration{URL: url, Guarded: true} }

// loopback allows one address of loopback, which stands for a public one.
func loopback(address string) egress.Networks {
	return egress.Networks{netip.MustParsePrefix(address + "/32")}
}

func TestGuardedRequests(t *testing.T) {
	g := serve(t, func(_ *fakeGateway, c *conn, _ int) {
		for c.request() != nil && c.send(ok) {
			continue
		}
	})
	c := newClient(t, egress.Options{})
	forbidden := temporary(data.CauseForbidden, 0)
	for range 2 {
		// The second time there is a connection, of one who may have it.
		if got := deliver(t.Context(), t, c, guarded(g.url), "test", long); got != forbidden {
			t.Errorf("Deliver() = %+v; want %+v", got, forbidden)
		}
		if got := c.Probe(t.Context(), declared(t, guarded(g.url)), long); got != data.CauseForbidden {
			t.Errorf("Probe() = %q; want %q", got, data.CauseForbidden)
		}
		if got := deliver(t.Context(), t, c, dialect.Declaration{URL: g.url}, "test", long); got != delivered(200) {
			t.Errorf("Deliver() of one who is not guarded = %+v", got)
		}
	}
	if n := g.conns.Load(); n != 1 {
		t.Errorf("there were %d connections; want 1", n)
	}
	c.Allow(loopback("127.0.0.1"))
	if got := deliver(t.Context(), t, c, guarded(g.url), "test", long); got != delivered(200) {
		t.Errorf("Deliver() = %+v where it is allowed", got)
	}
	// Also a connection that is kept is of no use any more.
	c.Allow(nil)
	if got := deliver(t.Context(), t, c, guarded(g.url), "test", long); got != forbidden {
		t.Errorf("Deliver() = %+v where it is allowed no more; want %+v", got, forbidden)
	}
}

// A token endpoint is an address like any other, also one that a gateway which is not
// guarded has in common.
func TestGuardedTokens(t *testing.T) {
	p := newProvider(t)
	c := newClient(t, egress.Options{})
	decl := p.declaration()
	if got := deliver(t.Context(), t, c, decl, "test", long); got.Outcome != data.OutcomeDelivered {
		t.Fatalf("Deliver() = %+v", got)
	}
	decl.Guarded, decl.URL = true, "http://203.0.113.1/"
	if got, want := deliver(t.Context(), t, c, decl, "test", long), temporary(data.CauseToken, 0); got != want {
		t.Errorf("Deliver() = %+v; want %+v", got, want)
	}
	if n := p.fetches.Load(); n != 1 {
		t.Errorf("%d fetches; want the first one", n)
	}
}

// A name that comes to a public address when somebody looks, and to another one when
// it is dialled, is of no use: there is one look, and it is the dialling.
func TestGuardedNames(t *testing.T) {
	// Of the same port on two addresses, one stands for a public one.
	inside := serve(t, answers(func(c *conn) { c.send(ok) }))
	_, port, _ := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(inside.url, "http://"), "/x"))
	port, _, _ = strings.Cut(port, "/")
	ln, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Skip("there is no second address of loopback:", err)
	}
	defer func() { _ = ln.Close() }()
	var outside atomic.Int32
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			outside.Add(1)
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
			_ = conn.Close()
		}
	}()
	var answers atomic.Pointer[[]string]
	c := newClient(t, egress.Options{Allowed: loopback("127.0.0.2"), Resolver: resolver(t, &answers)})
	for i, step := range []struct {
		addresses []string
		want      data.Result
		outside   int32
	}{
		{[]string{"127.0.0.2"}, delivered(200), 1},
		{[]string{"127.0.0.1"}, temporary(data.CauseForbidden, 0), 1},
		{[]string{"127.0.0.1", "127.0.0.2"}, delivered(200), 2},
		{[]string{"127.0.0.1", "10.0.0.1"}, temporary(data.CauseForbidden, 0), 2},
	} {
		answers.Store(&step.addresses)
		if got := deliver(t.Context(), t, c, guarded("http://rebinding.example:"+port+"/"), "test", long); got != step.want {
			t.Errorf("step %d: Deliver() = %+v; want %+v", i, got, step.want)
		}
		if n := outside.Load(); n != step.outside || inside.conns.Load() != 0 {
			t.Errorf("step %d: %d connections to the allowed address, %d to the other; want %d, 0", i, n, inside.conns.Load(), step.outside)
		}
	}
}

// resolver asks a name server of ours, which answers every name with addresses of IPv4.
func resolver(t *testing.T, addresses *atomic.Pointer[[]string]) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(dnsAnswer(b[:n], *addresses.Load()), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// dnsAnswer answers a query (RFC 1035, 4): with these addresses if it asks for such.
func dnsAnswer(query []byte, addresses []string) []byte {
	end := 12
	for query[end] != 0 {
		end += 1 + int(query[end])
	}
	end++
	kind := binary.BigEndian.Uint16(query[end:])
	answer := append([]byte(nil), query[:end+4]...)
	binary.BigEndian.PutUint16(answer[2:], 0x8180)
	clear(answer[6:12])
	if kind != 1 {
		return answer
	}
	binary.BigEndian.PutUint16(answer[6:], uint16(len(addresses)))
	for _, a := range addresses {
		four := netip.MustParseAddr(a).As4()
		answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		answer = append(answer, four[:]...)
	}
	return answer
}

func ExampleNetworks_Permits() {
	var none egress.Networks
	fmt.Println(none.Permits(netip.MustParseAddr("1.1.1.1")), none.Permits(netip.MustParseAddr("169.254.169.254")))
	// Output: true false
}
