package httpapi

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

func TestFailures(t *testing.T) {
	right := sumOf([]byte("right"))
	wrong := func(i int) keySum { return sumOf([]byte{byte(i)}) }
	looked := 0
	find := func(sum keySum) *caller {
		looked++
		if sum == right {
			return &caller{}
		}
		return nil
	}
	f := newFailures()
	f.most = 3
	here, there := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
	at := noon
	refused := func(step string, from netip.Prefix, sum keySum, want time.Duration) {
		t.Helper()
		before := looked
		v := f.judge(from, sum, at, find)
		if v.caller != nil || v.wait != want || (looked > before) != (want == 0) {
			t.Errorf("%s: judge(%v) = %+v, looked up %d; want to wait %v", step, from, v, looked-before, want)
		}
	}
	let := func(step string, from netip.Prefix) {
		t.Helper()
		if v := f.judge(from, right, at, find); v.caller == nil {
			t.Errorf("%s: judge(%v, right) = %+v, want it let in", step, from, v)
		}
	}
	for i := range maxFailures {
		refused("the first ten", here, wrong(i), 0)
	}
	refused("the eleventh", here, wrong(99), failureBack)
	refused("the right one, unknown so far", here, right, failureBack)
	let("from elsewhere", there)
	at = at.Add(failureBack - 1)
	refused("1 ns before one comes back", here, right, 1)
	at = at.Add(1)
	refused("when one comes back", here, wrong(99), 0)
	refused("after that", here, right, failureBack)
	at = at.Add(failureBack)
	let("when one comes back", here)
	let("and again, since it cost none", here)
	refused("a wrong one", here, wrong(1), 0)
	refused("another wrong one", here, wrong(1), failureBack)
	let("the one that was right before, locked out", here)
	at = at.Add(time.Hour)
	for i := range maxFailures {
		refused("ten again after an hour, and no more", here, wrong(i), 0)
	}
	refused("the eleventh after an hour", here, wrong(99), failureBack)

	// When the key is taken away, it is one wrong key more, once.
	gone := func(keySum) *caller { looked++; return nil }
	if v := f.judge(here, right, at, gone); v.caller != nil || v.wait != 0 {
		t.Errorf("judge(a key taken away) = %+v, want it looked up and refused", v)
	}
	if v := f.judge(here, right, at, gone); v.wait == 0 {
		t.Errorf("judge(a key taken away, again) = %+v, want it to wait", v)
	}

	for i := range 5 {
		refused("many", netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 32), wrong(1), 0)
	}
	if len(f.known) != 3 || f.recent.Len() != 3 {
		t.Errorf("%d and %d addresses are remembered, want 3", len(f.known), f.recent.Len())
	}
	refused("forgotten as the oldest", here, wrong(1), 0)
}

func TestAddresses(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:80": "192.0.2.7/32", "[::ffff:192.0.2.7]:80": "192.0.2.7/32",
		"[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::/64", "[2001:db8:1:2::9]:80": "2001:db8:1:2::/64", "[fe80::1%lo]:80": "fe80::/64",
	} {
		addr := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(remote))
		if got := addressOf(addr).String(); got != want {
			t.Errorf("addressOf(%s) = %s, want %s", remote, got, want)
		}
	}
	if got := addressOf(&net.UnixAddr{}); got.IsValid() {
		t.Errorf("addressOf(a Unix socket) = %v", got)
	}
}

// from sends a request as if from an address.
func from(t *testing.T, s *Server, remote, method, target string, headers ...string) *fasthttp.Response {
	t.Helper()
	var rc fasthttp.RequestCtx
	var r fasthttp.Request
	r.Header.SetMethod(method)
	r.SetRequestURI(target)
	r.Header.SetHost("example.com")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	rc.Init(&r, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(remote)), nil)
	s.serve(&rc)
	return &rc.Response
}

func TestLockout(t *testing.T) {
	lines := &logLines{}
	server, _, at := browser(t, func(o *Options) { o.Logger = lines.logger(); o.Demo = true })
	const here = "192.0.2.1:1234"
	ask := func(remote, target string, headers ...string) int {
		return from(t, server, remote, "GET", target, headers...).StatusCode()
	}
	ops, watch, wrong := "Authorization: Bearer "+opsSecret, "Authorization: Bearer "+watchSecret, "Authorization: Bearer "+wrongSecret
	if got := ask(here, "/api/v1/events", watch); got != 200 {
		t.Fatalf("with a right key = %d, want 200", got)
	}
	_, cookie := logIn(t, server, withKey(opsSecret))
	for i := range 2 * maxFailures {
		want := 401
		if i >= maxFailures {
			want = 429
		}
		// What a client writes about where it comes from changes nothing.
		spoofed := []string{wrong, "X-Forwarded-For: 203.0.113." + string(rune('0'+i%10)), "Forwarded: for=203.0.113.1", "X-Real-Ip: 203.0.113.2"}
		if got := ask(here, []string{"/api/v1/events", "/nothing", "/metrics"}[i%3], spoofed...); got != want {
			t.Errorf("wrong key %d = %d, want %d", i+1, got, want)
		}
	}
	for _, c := range []struct {
		name, remote, target string
		headers              []string
		want                 int
	}{
		{"a right key that was not seen here", here, "/api/v1/events", []string{ops}, 429},
		{"the key that was right before", here, "/api/v1/events", []string{watch}, 200},
		{"from another port", "192.0.2.1:1", "/api/v1/events", []string{ops}, 429},
		{"from another address", "192.0.2.2:1", "/api/v1/events", []string{ops}, 200},
		{"no key", here, "/api/v1/events", nil, 401},
		{"a cookie", here, "/api/v1/events", []string{"Cookie: " + cookie}, 200},
		{"a wrong cookie", here, "/api/v1/events", []string{"Cookie: postrider_session=x"}, 401},
		{"health", here, "/healthz", nil, 200},
		{"health with a key", here, "/healthz", []string{ops}, 200},
		{"the page to log in at", here, "/login", []string{ops}, 200},
	} {
		if got := ask(c.remote, c.target, c.headers...); got != c.want {
			t.Errorf("locked out, %s = %d, want %d", c.name, got, c.want)
		}
	}
	answer := from(t, server, here, "GET", "/api/v1/events", wrong)
	if retry := string(answer.Header.Peek("Retry-After")); retry != "6" {
		t.Errorf("Retry-After is %q, want 6", retry)
	}
	if got := strings.Count(lines.String(), "too many wrong keys"); got != 1 {
		t.Errorf("a lockout was logged %d times, want once:\n%s", got, lines)
	}
	at.advance(failureBack)
	_ = ask(here, "/api/v1/events", wrong)
	if got := strings.Count(lines.String(), "too many wrong keys"); got != 1 {
		t.Errorf("a lockout that goes on was logged %d times, want once:\n%s", got, lines)
	}
	at.advance(time.Hour)
	for range 2 * maxFailures {
		_ = ask(here, "/api/v1/events", wrong)
	}
	if got := strings.Count(lines.String(), "too many wrong keys"); got != 2 {
		t.Errorf("two lockouts were logged %d times:\n%s", got, lines)
	}
	// A demonstration gateway is sent what is meant for others: that is no try.
	for range 2 * maxFailures {
		if got := from(t, server, "192.0.2.3:1", "POST", "/gateway_1", wrong).StatusCode(); got != 200 {
			t.Fatalf("a demonstration gateway with a foreign key = %d, want 200", got)
		}
	}
	if got := ask("192.0.2.3:1", "/api/v1/events", ops); got != 200 {
		t.Errorf("after foreign keys at a demonstration gateway = %d, want 200", got)
	}
}
