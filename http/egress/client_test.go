package egress_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/egress"
)

func TestDeliverSurvivesAnswers(t *testing.T) {
	say := func(text string) func(*conn) { return func(c *conn) { c.send(text) } }
	sayAndHold := func(text string) func(*conn) { return func(c *conn) { c.send(text); c.hold() } }
	flood := func(head, more string) func(*conn) {
		return func(c *conn) {
			c.send(head)
			for c.send(more) {
				continue
			}
		}
	}
	throttled := data.Result{Outcome: data.OutcomeThrottled, Cause: data.CauseThrottled, Status: 429}
	month := throttled
	month.Hint = 30 * 24 * time.Hour
	kilobyte := strings.Repeat("x", 1024)

	tests := map[string]struct {
		then    func(*conn)
		timeout time.Duration
		want    data.Result
	}{
		"plain success":               {sayAndHold("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), long, delivered(200)},
		"no content":                  {sayAndHold("HTTP/1.1 204 No Content\r\n\r\n"), long, delivered(204)},
		"HTTP/1.0, ended by close":    {say("HTTP/1.0 200 OK\r\n\r\nok"), long, delivered(200)},
		"chunked":                     {sayAndHold("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), long, delivered(200)},
		"early hints, then success":   {sayAndHold("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), long, delivered(200)},
		"100, then success":           {sayAndHold("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), long, delivered(200)},
		"gzip that is none":           {sayAndHold("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok"), long, delivered(200)},
		"body cut":                    {say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok"), long, delivered(200)},
		"body never comes":            {sayAndHold("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"), long, delivered(200)},
		"length too large":            {sayAndHold("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\nok"), long, delivered(200)},
		"chunks cut":                  {say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nok"), long, delivered(200)},
		"chunks broken":               {sayAndHold("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok"), long, delivered(200)},
		"endless body":                {flood("HTTP/1.1 200 OK\r\n\r\n", kilobyte), long, delivered(200)},
		"endless chunks":              {flood("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"), long, delivered(200)},
		"endless trailers":            {flood("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n"), long, delivered(200)},
		"body drips":                  {func(c *conn) { c.send("HTTP/1.1 200 OK\r\n\r\n"); c.drip("x") }, long, delivered(200)},
		"failure, body drips":         {func(c *conn) { c.send("HTTP/1.1 500 No\r\n\r\n"); c.drip("x") }, long, temporary(data.CauseStatus, 500)},
		"client error":                {sayAndHold("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), long, temporary(data.CauseStatus, 404)},
		"redirect to itself":          {sayAndHold("HTTP/1.1 307 Again\r\nLocation: /in\r\nContent-Length: 0\r\n\r\n"), long, temporary(data.CauseStatus, 307)},
		"redirect elsewhere":          {sayAndHold("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"), long, temporary(data.CauseStatus, 302)},
		"throttled without a hint":    {sayAndHold("HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n"), long, temporary(data.CauseStatus, 429)},
		"throttled with a huge hint":  {sayAndHold("HTTP/1.1 429 No\r\nRetry-After: 999999999999999999999\r\nContent-Length: 0\r\n\r\n"), long, month},
		"throttled until the past":    {sayAndHold("HTTP/1.1 429 No\r\nRetry-After: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n"), long, throttled},
		"switching protocols":         {sayAndHold("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), long, temporary(data.CauseMalformed, 101)},
		"status 000":                  {sayAndHold("HTTP/1.1 000 Zero\r\nContent-Length: 0\r\n\r\n"), long, temporary(data.CauseMalformed, 0)},
		"status 999":                  {sayAndHold("HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n"), long, temporary(data.CauseMalformed, 999)},
		"status of four digits":       {sayAndHold("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"), long, temporary(data.CauseMalformed, 0)},
		"status negative":             {sayAndHold("HTTP/1.1 -20 OK\r\nContent-Length: 0\r\n\r\n"), long, temporary(data.CauseMalformed, 0)},
		"not HTTP":                    {say("220 mail.example.org ESMTP\r\n"), long, temporary(data.CauseMalformed, 0)},
		"HTTP/2.0 by name":            {sayAndHold("HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"), long, delivered(200)},
		"bad length":                  {sayAndHold("HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"), long, temporary(data.CauseMalformed, 0)},
		"two lengths":                 {sayAndHold("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"), long, temporary(data.CauseMalformed, 0)},
		"unknown transfer encoding":   {sayAndHold("HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nok"), long, temporary(data.CauseMalformed, 0)},
		"header without a colon":      {sayAndHold("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"), long, temporary(data.CauseMalformed, 0)},
		"closed without a word":       {func(*conn) {}, long, temporary(data.CauseReset, 0)},
		"reset":                       {func(c *conn) { _ = c.Conn.(*net.TCPConn).SetLinger(0) }, long, temporary(data.CauseReset, 0)},
		"status line cut":             {say("HTTP/1.1 20"), long, temporary(data.CauseReset, 0)},
		"headers cut":                 {say("HTTP/1.1 200 OK\r\nContent-Le"), long, temporary(data.CauseReset, 0)},
		"last line end cut":           {say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r"), long, temporary(data.CauseReset, 0)},
		"headers not ended":           {say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"), long, temporary(data.CauseReset, 0)},
		"headers never ended":         {sayAndHold("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"), short, temporary(data.CauseTimeout, 0)},
		"headers drip":                {func(c *conn) { c.send("HTTP/1.1 200 OK\r\n"); c.drip("X: y\r\n") }, short, temporary(data.CauseTimeout, 0)},
		"status line drips":           {func(c *conn) { c.send("HTTP/1.1 200 "); c.drip("O") }, short, temporary(data.CauseTimeout, 0)},
		"interim answers drip":        {func(c *conn) { c.drip("HTTP/1.1 102 Processing\r\n\r\n") }, short, temporary(data.CauseTimeout, 0)},
		"silence":                     {func(c *conn) { c.hold() }, short, temporary(data.CauseTimeout, 0)},
		"endless headers":             {flood("HTTP/1.1 200 OK\r\n", "X: "+kilobyte+"\r\n"), long, temporary(data.CauseMalformed, 0)},
		"endless header line":         {flood("HTTP/1.1 200 OK\r\nX: ", kilobyte), long, temporary(data.CauseMalformed, 0)},
		"endless status line":         {flood("HTTP/1.1 200 ", kilobyte), long, temporary(data.CauseMalformed, 0)},
		"flood of interim answers":    {flood("", "HTTP/1.1 102 Processing\r\n\r\n"), long, temporary(data.CauseMalformed, 0)},
		"answer to another request":   {say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 500 No\r\n\r\n"), long, delivered(200)},
		"408 before it is closed":     {say("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"), long, temporary(data.CauseStatus, 408)},
		"headers as long as may be":   {sayAndHold("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + strings.Repeat("X: "+kilobyte+"\r\n", 62) + "\r\n"), long, delivered(200)},
		"headers too long":            {sayAndHold("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + strings.Repeat("X: "+kilobyte+"\r\n", 70) + "\r\n"), long, temporary(data.CauseMalformed, 0)},
		"ten megabytes, then nothing": {sayAndHold("HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+kilobyte+"\r\n", 10<<10) + "\r\n"), long, temporary(data.CauseMalformed, 0)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := serve(t, answers(tt.then))
			c := newClient(t, egress.Options{})
			if got := deliver(t.Context(), t, c, dialect.Declaration{URL: g.url}, "test", tt.timeout); got != tt.want {
				t.Errorf("Deliver() = %+v; want %+v", got, tt.want)
			}
			if n := g.requests.Load(); n != 1 {
				t.Errorf("Deliver() sent %d requests; want 1", n)
			}
			c.Close()
			g.awaitClosed(t)
		})
	}
}

func TestDoKeepsTheBeginningOfTheBody(t *testing.T) {
	tests := []struct {
		size, kept int
		cut        bool
	}{
		{0, 0, false},
		{1, 1, false},
		{1000, 1000, false},
		{egress.MaxBody, egress.MaxBody, false},
		{egress.MaxBody + 1, egress.MaxBody, true},
		{1 << 20, egress.MaxBody, true},
	}
	for _, tt := range tests {
		for _, framed := range []string{"", "Content-Length", "chunked"} {
			g := serve(t, answers(func(c *conn) {
				body := strings.Repeat("x", tt.size)
				resp := http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1, Body: io.NopCloser(strings.NewReader(body)), Close: framed == ""}
				switch framed {
				case "Content-Length":
					resp.ContentLength = int64(tt.size)
				case "chunked":
					resp.TransferEncoding = []string{"chunked"}
				}
				_ = resp.Write(c.Conn)
			}))
			c := newClient(t, egress.Options{BodyWait: long})
			a, cause := c.Do(t.Context(), dialect.Request{Method: "POST", URL: g.url, Body: []byte("x")}, long)
			if cause != data.CauseNone || a.Status != 200 || len(a.Body) != tt.kept || a.Cut != tt.cut {
				t.Errorf("Do() with %d bytes by %q = %d, %d bytes, cut %v, %q; want %d bytes, cut %v", tt.size, framed, a.Status, len(a.Body), a.Cut, cause, tt.kept, tt.cut)
			}
		}
	}
}

func TestDeliverReusesConnections(t *testing.T) {
	g := serve(t, func(_ *fakeGateway, c *conn, _ int) {
		for c.request() != nil && c.send("HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n"+strings.Repeat("x", 70000)) {
			continue
		}
	})
	c := newClient(t, egress.Options{BodyWait: long})
	for range 5 {
		if got := deliver(t.Context(), t, c, dialect.Declaration{URL: g.url}, "test", long); got != delivered(200) {
			t.Fatalf("Deliver() = %+v", got)
		}
	}
	if conns, requests := g.conns.Load(), g.requests.Load(); conns != 1 || requests != 5 {
		t.Errorf("5 messages took %d connections and %d requests; want 1 and 5", conns, requests)
	}
}

// A connection that dies with a request on it is where an HTTP client repeats
// the request by itself. What is counted here is what the gateway has read.
func TestDeliverNeverRepeats(t *testing.T) {
	empty := ""
	keys := map[string]string{"Idempotency-Key": "{{id}}", "X-Idempotency-Key": "{{id}}"}
	declarations := map[string]dialect.Declaration{
		"POST":            {},
		"with keys":       {Headers: keys},
		"without a body":  {Body: dialect.Body{Text: &empty}},
		"neither, keys":   {Headers: keys, Body: dialect.Body{Text: &empty}},
		"PUT, keys":       {Method: "PUT", Headers: keys, Body: dialect.Body{Text: &empty}},
		"GET":             {Method: "GET"},
		"GET, with a key": {Method: "GET", Headers: keys},
	}
	deaths := map[string]func(c *conn){
		"closed":  func(*conn) {},
		"reset":   func(c *conn) { _ = c.Conn.(*net.TCPConn).SetLinger(0) },
		"in head": func(c *conn) { c.send("HTTP/1.1 200 OK\r\n") },
	}
	for name, decl := range declarations {
		for death, die := range deaths {
			t.Run(name+", "+death, func(t *testing.T) {
				t.Parallel()
				seen := make(chan *http.Request, 10)
				g := serve(t, func(_ *fakeGateway, c *conn, _ int) {
					seen <- c.request()
					c.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					if r := c.request(); r != nil {
						seen <- r
						die(c)
					}
				})
				decl := decl // its subtests run at once
				decl.URL = g.url
				c := newClient(t, egress.Options{})
				if got := deliver(t.Context(), t, c, decl, "test", long); got != delivered(200) {
					t.Fatalf("first Deliver() = %+v", got)
				}
				if got := deliver(t.Context(), t, c, decl, "test", long); got != temporary(data.CauseReset, 0) {
					t.Errorf("second Deliver() = %+v; want %+v", got, temporary(data.CauseReset, 0))
				}
				if conns, requests := g.conns.Load(), g.requests.Load(); conns != 1 || requests != 2 {
					t.Errorf("2 messages took %d connections and %d requests; want 1 and 2", conns, requests)
				}
				for range g.requests.Load() {
					r := <-seen
					if decl.Headers != nil && (r.Header.Get("Idempotency-Key") == "" || r.Header.Get("X-Idempotency-Key") == "") {
						t.Errorf("request has the headers %v; want the keys", r.Header)
					}
					if decl.Method == "GET" && (r.Header["Content-Length"] != nil || r.TransferEncoding != nil) {
						t.Errorf("GET request has a body: %v %v", r.Header, r.TransferEncoding)
					}
				}
			})
		}
	}
}

// A gateway that closes idle connections costs no message an attempt.
func TestDeliverSurvivesIdleClose(t *testing.T) {
	g := serve(t, func(_ *fakeGateway, c *conn, _ int) {
		if c.request() != nil {
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	c := newClient(t, egress.Options{})
	const messages = 20
	lost := 0
	for range messages {
		got := deliver(t.Context(), t, c, dialect.Declaration{URL: g.url, Headers: map[string]string{"Idempotency-Key": "x"}}, "test", long)
		switch got {
		case delivered(200):
			g.awaitClosed(t)
		case temporary(data.CauseReset, 0):
			lost++ // it took the connection before the client saw it closed
		default:
			t.Errorf("Deliver() = %+v", got)
		}
	}
	if n := int(g.requests.Load()); n+lost != messages {
		t.Errorf("%d messages, %d of them lost, made %d requests", messages, lost, n)
	}
}

func TestDeliverWithoutAGateway(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	closed := "http://" + ln.Addr().String() + "/"
	c := newClient(t, egress.Options{})
	if got := deliver(t.Context(), t, c, dialect.Declaration{URL: closed}, "test", long); got != temporary(data.CauseRefused, 0) {
		t.Errorf("Deliver() to a closed port = %+v", got)
	}
	guarded := newClient(t, egress.Options{Control: func(string, string, syscall.RawConn) error { return egress.ErrForbidden }})
	if got := deliver(t.Context(), t, guarded, dialect.Declaration{URL: closed}, "test", long); got != temporary(data.CauseForbidden, 0) {
		t.Errorf("Deliver() to a forbidden address = %+v", got)
	}
	unreachable := newClient(t, egress.Options{Control: func(string, string, syscall.RawConn) error { return syscall.EHOSTUNREACH }})
	if got := deliver(t.Context(), t, unreachable, dialect.Declaration{URL: closed}, "test", long); got != temporary(data.CauseUnreached, 0) {
		t.Errorf("Deliver() to an unreachable address = %+v", got)
	}
}

func TestDeliverDoesNotSendWhatDoesNotFit(t *testing.T) {
	g := serve(t, answers(func(c *conn) { c.send("HTTP/1.1 200 OK\r\n\r\n") }))
	decl := dialect.Declaration{URL: g.url, Headers: map[string]string{"X-Title": "{{message}}"}}
	want := data.Result{Outcome: data.OutcomePermanent, Cause: data.CauseRendering}
	if got := deliver(t.Context(), t, newClient(t, egress.Options{}), decl, "a\r\nX-B: c", long); got != want {
		t.Errorf("Deliver() = %+v; want %+v", got, want)
	}
	if n := g.conns.Load(); n != 0 {
		t.Errorf("Deliver() made %d connections; want none", n)
	}
}

func TestDeliverToOneWhoReadsNothing(t *testing.T) {
	release := make(chan struct{})
	g := serve(t, func(*fakeGateway, *conn, int) { <-release })
	defer close(release)
	c := newClient(t, egress.Options{})
	got := deliver(t.Context(), t, c, dialect.Declaration{URL: g.url}, strings.Repeat("x", 8<<20-1000), short)
	if got != temporary(data.CauseTimeout, 0) {
		t.Errorf("Deliver() = %+v; want a timeout", got)
	}
}

func TestDeliverCutOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g := serve(t, answers(func(c *conn) { cancel(); c.hold() }))
	want := data.Result{Outcome: data.OutcomeUnknown, Cause: data.CauseCutOff}
	c := newClient(t, egress.Options{})
	if got := deliver(ctx, t, c, dialect.Declaration{URL: g.url}, "test", long); got != want {
		t.Errorf("Deliver() = %+v; want %+v", got, want)
	}
	g.awaitClosed(t)
	if got := deliver(ctx, t, c, dialect.Declaration{URL: g.url}, "test", long); got != withdrawn {
		t.Errorf("Deliver() after the end = %+v; want %+v", got, withdrawn)
	}
	if n := g.conns.Load(); n != 1 {
		t.Errorf("%d connections were made; want 1", n)
	}
}

// The head of the answer decides, so the end of the process while the body
// comes in takes nothing back.
func TestDeliveredBeforeCutOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g := serve(t, answers(func(c *conn) {
		c.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok")
		c.hold()
	}))
	c := newClient(t, egress.Options{BodyWait: long})
	context.AfterFunc(t.Context(), cancel)
	timer := time.AfterFunc(short, cancel)
	defer timer.Stop()
	if got := deliver(ctx, t, c, dialect.Declaration{URL: g.url}, "test", long); got != delivered(200) {
		t.Errorf("Deliver() = %+v; want %+v", got, delivered(200))
	}
}

func TestRequestOnTheWire(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	text := "{{message}}"
	tests := []struct {
		decl dialect.Declaration
		want string // after the request line, host left out
	}{
		{dialect.Declaration{}, "POST /in\nContent-Length: 19\nContent-Type: application/json\nPostrider-Attempt: 1\nPostrider-Message-Id: 000g000000002\nUser-Agent: postrider/1.2.3\n\n{\"message\": \"test\"}"},
		{dialect.Declaration{Body: dialect.Body{Form: map[string]string{"m": "{{message}}!"}}}, "POST /in\nContent-Length: 9\nContent-Type: application/x-www-form-urlencoded\nPostrider-Attempt: 1\nPostrider-Message-Id: 000g000000002\nUser-Agent: postrider/1.2.3\n\nm=test%21"},
		{dialect.Declaration{Method: "PATCH", Headers: map[string]string{"user-agent": "mine"}, Body: dialect.Body{Text: &text}}, "PATCH /in\nContent-Length: 4\nContent-Type: text/plain; charset=utf-8\nPostrider-Attempt: 1\nPostrider-Message-Id: 000g000000002\nUser-Agent: mine\n\ntest"},
		{dialect.Declaration{Method: "GET"}, "GET /in\nPostrider-Attempt: 1\nPostrider-Message-Id: 000g000000002\nUser-Agent: postrider/1.2.3\n\n"},
	}
	for _, tt := range tests {
		got := make(chan string, 1)
		g := serve(t, func(_ *fakeGateway, c *conn, _ int) {
			r, err := http.ReadRequest(c.r)
			if err != nil {
				got <- err.Error()
				return
			}
			body, _ := io.ReadAll(r.Body)
			var b bytes.Buffer
			b.WriteString(r.Method + " " + r.RequestURI + "\n")
			_ = r.Header.Write(&b)
			got <- strings.ReplaceAll(b.String(), "\r\n", "\n") + "\n" + string(body)
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		})
		tt.decl.URL = g.url
		c := newClient(t, egress.Options{Version: "1.2.3"})
		if r := deliver(t.Context(), t, c, tt.decl, "test", long); r != delivered(200) {
			t.Errorf("Deliver() = %+v", r)
		}
		if got := <-got; got != tt.want {
			t.Errorf("request =\n%s\nwant\n%s", got, tt.want)
		}
	}
}

// What a gateway sends beyond its answer may hold a secret. Not parallel: it
// listens to the standard logger.
func TestDeliverLogsNothing(t *testing.T) {
	var lines bytes.Buffer
	before := log.Writer()
	log.SetOutput(&lines)
	t.Cleanup(func() { log.SetOutput(before) })
	g := serve(t, answers(func(c *conn) {
		c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, s3cret")
		c.hold()
	}))
	c := newClient(t, egress.Options{})
	if got := deliver(t.Context(), t, c, dialect.Declaration{URL: g.url}, "test", long); got != delivered(200) {
		t.Errorf("Deliver() = %+v", got)
	}
	g.awaitClosed(t)
	if got := lines.String(); got != "" {
		t.Errorf("the standard logger wrote %q", got)
	}
}

func BenchmarkDeliver(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusOK)
	}), ReadHeaderTimeout: long}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(ln) }()
	b.Cleanup(func() { _ = server.Close(); <-done })
	d, err := dialect.Compile(dialect.Declaration{URL: "http://" + ln.Addr().String() + "/in"})
	if err != nil {
		b.Fatal(err)
	}
	c := newClient(b, egress.Options{})
	m := data.Message{ID: data.FirstID(1), Text: strings.Repeat("x", 200)}
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if r := c.Deliver(context.Background(), d, m, 1, long); r.Outcome != data.OutcomeDelivered {
				b.Errorf("Deliver() = %+v", r)
			}
		}
	})
}
