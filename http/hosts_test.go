package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestHosts(t *testing.T) {
	known := newHostNames([]string{"Post.Example.com", "dotted.example.com.", "10.0.0.9", "2001:DB8::9", "0.0.0.0"})
	v4 := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5000}
	v6 := &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 5000, Zone: "lo"}
	for _, c := range []struct {
		host  string
		local net.Addr
		want  int // 0 is right
	}{
		{host: "localhost"},
		{host: "LocalHost:5000"},
		{host: "localhost."},
		{host: "a.localhost:80"},
		{host: "a.b.LOCALHOST."},
		{host: "127.0.0.1"},
		{host: "127.9.9.9:1"},
		{host: "[::1]:5000"},
		{host: "[::1]"},
		{host: "[0:0::1]:80"},
		{host: "[::ffff:127.0.0.1]"},
		{host: "0.0.0.0:5000"},
		{host: "[::]:5000"},
		{host: "localhost:"},
		{host: "localhost:65535"},
		{host: "192.0.2.1:5000", local: v4},
		{host: "192.0.2.1", local: v4},
		{host: "[::ffff:192.0.2.1]:9", local: v4},
		{host: "[2001:db8::1]", local: v6},
		{host: "post.example.com"},
		{host: "POST.example.COM:443"},
		{host: "post.example.com."},
		{host: "dotted.example.com"},
		{host: "10.0.0.9:80"},
		{host: "[2001:db8::9]"},

		{host: "evil.example", want: 421},
		{host: "post.example.com.evil.example", want: 421},
		{host: "evilpost.example.com", want: 421},
		{host: "example.com", want: 421},
		{host: "a.post.example.com", want: 421},
		{host: "localhost.evil.example", want: 421},
		{host: "evillocalhost", want: 421},
		{host: "127.0.0.1.evil.example", want: 421},
		{host: "127.1", want: 421},
		{host: "0x7f000001", want: 421},
		{host: "2130706433", want: 421},
		{host: "127.000.000.001", want: 421},
		{host: "1.2.3.4", want: 421},
		{host: "192.0.2.2", local: v4, want: 421},
		{host: "[2001:db8::2]", local: v6, want: 421},
		{host: "192.0.2.1", local: v6, want: 421},
		{host: "192.0.2.1", local: &net.UnixAddr{}, want: 421},

		{host: "", want: 400},
		{host: ".", want: 400},
		{host: ":5000", want: 400},
		{host: "a..b", want: 400},
		{host: ".localhost", want: 400},
		{host: "localhost..", want: 400},
		{host: "localhost:x", want: 400},
		{host: "localhost:65536", want: 400},
		{host: "localhost:-1", want: 400},
		{host: "localhost:+80", want: 400},
		{host: "localhost:80:80", want: 400},
		{host: "::1", want: 400},
		{host: "[::1", want: 400},
		{host: "[::1]5000", want: 400},
		{host: "[::1]x:80", want: 400},
		{host: "[localhost]", want: 400},
		{host: "[127.0.0.1]", want: 400},
		{host: "user@localhost", want: 400},
		{host: "localhost/x", want: 400},
		{host: "localhost#", want: 400},
		{host: "local host", want: 400},
		{host: "lo\x00calhost", want: 400},
		{host: "l\u00f6calhost", want: 400},
		{host: "localhost,evil", want: 400},
		{host: "%6cocalhost", want: 400},
		{host: strings.Repeat("a", 64), want: 400},
		{host: strings.Repeat("a.", 130), want: 400},
	} {
		got := 0
		if err := known.judge(c.host, c.local); err != nil {
			got = problemOf(err).Status
		}
		if got != c.want {
			t.Errorf("judge(%q, %v) = %d, want %d", c.host, c.local, got, c.want)
		}
	}
}

// What is said to be the host in other headers counts for nothing.
func TestWrongHost(t *testing.T) {
	server := newServer(t, newStore(), func(o *Options) { o.Hosts, o.Demo = []string{"post.example.com"}, true })
	for _, c := range []struct {
		method, path, host string
		want               int
	}{
		{"GET", "/api/v1/events", "post.example.com", 200},
		{"GET", "/api/v1/events", "evil.example", 421},
		{"POST", "/gateway_1", "evil.example", 421},
		{"POST", "/login", "evil.example", 421},
		{"GET", "/nothing", "evil.example", 421},
		{"GET", "/healthz", "evil.example", 200},
		{"HEAD", "/readyz", "10.1.2.3:8080", 200},
		{"GET", "/healthz/", "evil.example", 421},
		{"GET", "/healthz/../event", "evil.example", 421},
		{"GET", "/%68ealthz", "evil.example", 421},
	} {
		headers := []string{"Host: " + c.host, "X-Forwarded-Host: post.example.com", "Forwarded: host=post.example.com", "X-Host: post.example.com"}
		got := do(t, server, c.method, c.path, "", headers...)
		if got.status != c.want {
			t.Errorf("%s %s to %s = %d, want %d", c.method, c.path, c.host, got.status, c.want)
		}
		if c.want == 421 && (!strings.Contains(got.body, "urn:postrider:problem:wrong-host") || !strings.Contains(got.body, "http.hosts") || strings.Contains(got.body, "evil")) {
			t.Errorf("the refusal is %s, want it to name http.hosts and nothing that was sent", got.body)
		}
	}
	if err := server.Admit(nil, []string{"evil.example"}); err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{"evil.example": 200, "post.example.com": 421} {
		if got := do(t, server, "GET", "/api/v1/events", "", "Host: "+host).status; got != want {
			t.Errorf("after Admit a request to %s = %d, want %d", host, got, want)
		}
	}
}

func TestHostsOnASocket(t *testing.T) {
	addr := listen(t, newServer(t, newStore(), func(o *Options) { o.Hosts = nil }))
	for _, c := range []struct {
		raw  string
		want int
	}{
		{"GET /api/v1/events HTTP/1.1\r\nHost: " + addr + "\r\n\r\n", 200},
		{"GET /api/v1/events HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421},
		{"GET /api/v1/events HTTP/1.1\r\n\r\n", 400},
		{"GET /api/v1/events HTTP/1.0\r\n\r\n", 400},
		{"GET /api/v1/events HTTP/1.1\r\nHost:\r\n\r\n", 400},
		{"GET /api/v1/events HTTP/1.1\r\nHost: " + addr + "\r\nHost: " + addr + "\r\n\r\n", 400},
		{"GET /api/v1/events HTTP/1.1\r\nHost: " + addr + "\r\nHost: evil.example\r\n\r\n", 400},
		{"GET http://evil.example/api/v1/events HTTP/1.1\r\nHost: " + addr + "\r\n\r\n", 421},
		{"GET http://" + addr + "/api/v1/events HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421},
		{"GET http://" + addr + "/api/v1/events HTTP/1.1\r\nHost: " + addr + "\r\n\r\n", 200},
		{"GET http://x@evil.example/api/v1/events HTTP/1.1\r\nHost: " + addr + "\r\n\r\n", 421},
	} {
		conn := dial(t, addr)
		if _, err := io.WriteString(conn, c.raw); err != nil {
			t.Fatal(err)
		}
		status, body := readAnswer(t, bufio.NewReader(conn))
		if status != c.want {
			t.Errorf("%q = %d %s, want %d", c.raw, status, body, c.want)
		}
	}
}

func BenchmarkCheckHost(b *testing.B) {
	server := newServer(b, newStore())
	var rc fasthttp.RequestCtx
	var r fasthttp.Request
	r.SetRequestURI("/event")
	r.Header.SetHost(fmt.Sprint("127.0.0.1:", 5000))
	rc.Init(&r, nil, nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := server.checkHost(&rc, "/event"); err != nil {
			b.Fatal(err)
		}
	}
}
