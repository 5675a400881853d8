package main

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// digits is how many a message's number has in its text.
const digits = 9

// request is what a connection sends: always the same, but for a number.
type request struct {
	URL      string
	Body     []byte
	NumberAt int // where the body has the number, of so many digits; -1 for none
}

// conn is a connection that sends one request after another and waits for each
// answer. Requests are bytes made beforehand, and answers are read by fasthttp:
// next to what is measured it costs little.
type conn struct {
	net.Conn
	r        *bufio.Reader
	bytes    []byte // the request
	numberAt int
	answer   fasthttp.Response
}

// patience bounds the wait for an answer; more is a contestant that hangs.
const patience = 30 * time.Second

func dial(r request) (*conn, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, err
	}
	c, err := net.DialTimeout("tcp", u.Host, patience)
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", u.RequestURI(), u.Host, len(r.Body))
	k := &conn{Conn: c, r: bufio.NewReaderSize(c, 4<<10), bytes: append([]byte(head), r.Body...), numberAt: -1}
	if r.NumberAt >= 0 {
		k.numberAt = len(head) + r.NumberAt
	}
	return k, nil
}

// dialAll opens that many connections, or none.
func dialAll(r request, n int) (all []*conn, err error) {
	for range n {
		c, err := dial(r)
		if err != nil {
			closeAll(all)
			return nil, fmt.Errorf("connection %d: %w", len(all)+1, err)
		}
		all = append(all, c)
	}
	return all, nil
}

func closeAll(all []*conn) {
	for _, c := range all {
		_ = c.Close()
	}
}

// send sends the request with a number, and reads the answer, which must be a 2xx.
func (c *conn) send(number int64) error {
	if c.numberAt >= 0 {
		putNumber(c.bytes[c.numberAt:], number)
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.Write(c.bytes); err != nil {
		return err
	}
	if err := c.answer.Read(c.r); err != nil {
		return err
	}
	if status := c.answer.StatusCode(); status/100 != 2 {
		return fmt.Errorf("answer %d %.200s", status, c.answer.Body())
	}
	return nil
}

// putNumber writes a number of fixed length.
func putNumber(b []byte, n int64) {
	for i := digits - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}

// takeNumber reads it.
func takeNumber(b []byte) (n int64, ok bool) {
	if len(b) < digits {
		return 0, false
	}
	for _, c := range b[:digits] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// textSize is the length of a payload and of a message's text.
const textSize = 200

// text begins with a number, which is zero here.
func text() string {
	zero := strings.Repeat("0", digits) + " "
	return zero + strings.Repeat("x", textSize-len(zero))
}

// numbered finds where the body has the number.
func numbered(url, body string) request {
	return request{URL: url, Body: []byte(body), NumberAt: strings.Index(body, text())}
}

const oneEvent = `{"event_type":"user_joined","event_payload":"%s"}`

// postEvent is one event.
func postEvent(base string) request { return numbered(base+"/event", fmt.Sprintf(oneEvent, text())) }

// arraySize is how many events an array has.
const arraySize = 100

// postEvents is an array of events.
func postEvents(base string) request {
	one := fmt.Sprintf(oneEvent, text())
	return numbered(base+"/event", "["+strings.Repeat(one+",", arraySize-1)+one+"]")
}

// gatewayName is the one gateway of every contestant.
const gatewayName = "sink"

// postMessage is one message for the gateway.
func postMessage(base string) request {
	return numbered(base+"/send_message", fmt.Sprintf(`{"gateway":%q,"message":"%s"}`, gatewayName, text()))
}
