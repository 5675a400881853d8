package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/http/openapi"
)

// generatedPerOperation is how many requests each operation gets; make generated
// sends 2,000.
var generatedPerOperation = flag.Int("generated", 300, "generated requests per operation")

// TestGeneratedRequests sends every operation many requests, all operations at once, to
// the whole program with a store that an earlier process left behind, and with messages
// of every state. None may fail for a reason of ours, and every answer is as documented.
func TestGeneratedRequests(t *testing.T) {
	moods := newMoods(t)
	cfg := withAllMoods(t, moods)
	p := start(t, cfg, nil)
	p.fill(t, moods)
	if err := p.stop(t); err != nil {
		t.Fatalf("the first process ended with %v", err)
	}
	cfg = withHTTP(cfg, func(h *config.HTTP) { h.Keys = oneOfEachScope() })
	p = startWith(t, cfg, runOptions{load: reloading(cfg)})
	p.wantEveryState(t)

	doc, err := openapi.Read([]byte(ask(t, http.MethodGet, p.url+"/openapi.yaml", "").body))
	if err != nil {
		t.Fatal(err)
	}
	stock := stockOf(cfg, moods, p.ids(t))
	var all sync.WaitGroup
	for i, o := range doc.Operations() {
		all.Go(func() {
			c := &client{address: strings.TrimPrefix(p.url, "http://"), number: byte(i)}
			defer c.hangUp()
			c.generate(t, doc, openapi.NewGenerator(doc, stock, uint64(i)), stock, o)
		})
	}
	all.Wait()
	expected := []string{
		"message ", // and what became of it
		"a gateway cannot be used, its messages are parked",
		"the configuration is not reloaded, nothing changes",
	}
	for text := range strings.Lines(p.log.String()) {
		if strings.Contains(text, `"level":"ERROR"`) && !slices.ContainsFunc(expected, func(msg string) bool { return strings.Contains(text, `"msg":"`+msg) }) {
			t.Errorf("the log says %s", text)
		}
	}
	if err := p.stop(t); err != nil {
		t.Errorf("the process ended with %v", err)
	}
}

// generate sends requests of an operation, until one is answered wrongly.
func (c *client) generate(t *testing.T, doc *openapi.Document, g openapi.Generator, stock *openapi.Stock, o openapi.Operation) {
	statuses := make(map[int]int)
	for range *generatedPerOperation {
		var r fasthttp.Request
		g.Fill(&r, o)
		verb, target := string(r.Header.Method()), string(r.Header.RequestURI())
		path, _, _ := strings.Cut(target, "?")
		got, err := c.ask(&r)
		said := fmt.Sprintf("%s %.300s %.600s = %d %.600s", verb, target, r.Body(), got.Status, got.Body)
		switch {
		case err != nil:
			t.Errorf("%s: %v", said, err)
			return
		case got.Status >= 500 && !full(o, got):
			t.Errorf("%s", said)
			return
		}
		if err := doc.Check(verb, path, got); err != nil {
			t.Errorf("%s is not as documented: %v", said, err)
			return
		}
		stock.Learn(got)
		if verb == o.Method {
			statuses[got.Status]++
		}
	}
	t.Logf("%s %s: %v", o.Method, o.Path, statuses)
	right := statuses[200] + statuses[201] + statuses[204]
	if o.Path == "/api/v1/messages/{id}/resend" {
		right += statuses[409] // most dead letters were sent again before
	}
	if right == 0 {
		t.Errorf("%s %s: no request was right: %v", o.Method, o.Path, statuses)
	}
}

// full reports whether a tail is refused since there are as many as there may be: who
// reads none any more is found out when there is something to tell.
func full(o openapi.Operation, got openapi.Answer) bool {
	return o.Path == "/api/v1/events/tail" && got.Status == http.StatusServiceUnavailable && strings.Contains(got.Body, "too-many-readers")
}

// client has one connection, which may be used for what a library would not send.
type client struct {
	address string
	number  byte // its part of the addresses that it calls from
	calls   int
	strange int // answers of 401 over this connection
	conn    net.Conn
	in      *bufio.Reader
	whole   int // streams that were read to their end
}

// call opens a connection. Each comes from an address of its own, since one that sends
// wrong keys is not listened to for a while.
func (c *client) call() (err error) {
	d := net.Dialer{Timeout: patience}
	if runtime.GOOS == "linux" {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 1+c.number, byte(c.calls>>8), byte(c.calls))}
	}
	c.calls, c.strange = c.calls+1, 0
	if c.conn, err = d.Dial("tcp", c.address); err == nil {
		c.in = bufio.NewReader(c.conn)
	}
	return err
}

func (c *client) hangUp() {
	if c.conn != nil {
		_ = c.conn.Close() // what was sent over it was answered
		c.conn = nil
	}
}

// ask sends a request and reads the answer, of a stream its beginning.
func (c *client) ask(r *fasthttp.Request) (got openapi.Answer, err error) {
	if c.conn == nil {
		if err := c.call(); err != nil {
			return got, err
		}
	}
	_ = c.conn.SetDeadline(time.Now().Add(patience)) // an open connection always has one
	out := bufio.NewWriter(c.conn)
	// A refusal may come before all is sent: then it is what counts.
	writeErr := errors.Join(r.Write(out), out.Flush())
	response, err := http.ReadResponse(c.in, &http.Request{Method: string(r.Header.Method())})
	if err != nil {
		return got, errors.Join(writeErr, err)
	}
	got = openapi.Answer{Status: response.StatusCode, Header: response.Header}
	ends := response.Close
	switch kind := response.Header.Get("Content-Type"); kind {
	case "text/event-stream":
		got.Body, err, ends = c.tail(response.Body), nil, true
	case "application/octet-stream":
		most := int64(64 << 10)
		if c.whole++; c.whole <= 3 {
			most = 1 << 30
		}
		var text []byte
		text, err = io.ReadAll(io.LimitReader(response.Body, most))
		got.Body, ends = string(text), true
	default:
		var text []byte
		text, err = io.ReadAll(response.Body)
		got.Body = string(text)
	}
	if got.Status == http.StatusUnauthorized {
		c.strange++
	}
	if ends || c.strange == 5 {
		c.hangUp()
	}
	return got, err
}

// tail reads what a tail says at once, and a little longer.
func (c *client) tail(body io.Reader) string {
	var said strings.Builder
	piece := make([]byte, 8<<10)
	for said.Len() < 64<<10 {
		n, err := body.Read(piece)
		said.Write(piece[:n])
		if err != nil {
			break
		}
		if strings.Contains(said.String(), "\n\n") {
			_ = c.conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		}
	}
	return said.String()
}
