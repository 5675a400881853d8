package egress

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/postrider/postrider/http/dialect"
)

// Bounds of an answer.
const (
	MaxHead = 64 << 10 // of status line and headers, interim answers included
	MaxBody = 64 << 10 // of the body that is kept

	// maxDrain is read beyond MaxBody, since a connection can be used again only
	// when its answer was read to the end.
	maxDrain = 64 << 10
)

// maxInline is the longest request that is written in one piece before the
// answer is read. It fits into what the system buffers for a connection, so the
// write does not wait for a gateway that answers before it has read.
const maxInline = 16 << 10

// lastWrite is what the end of a request may still take when its answer is
// there.
const lastWrite = 50 * time.Millisecond

var (
	errHeadTooLong = errors.New("head of the answer is too long")
	errUnfit       = errors.New("request cannot be written as HTTP")
)

// exchange is one request and its answer on one connection. Its buffers serve
// one exchange after the other; a connection that waits has none.
//
// compose, begin, answer, end, release is the order of a life. wait is called
// between end and release when the connection was closed.
type exchange struct {
	conn   *conn
	out    []byte        // the head of the request, and its body when that is short
	sent   chan bool     // gets whether all was written, when that is done beside; else nil
	in     *bufio.Reader // reads the exchange itself, which bounds and remembers the head
	inHead bool          // until the head is complete
	head   []byte        // what was read until then, maybe more than the head
	broke  error         // that ended the reading of the head
	whole  bool          // nothing is wrong with the connection so far
}

func newExchange() *exchange {
	x := &exchange{}
	x.in = bufio.NewReader(x)
	return x
}

// compose puts the head of the request together and says where it goes.
func (x *exchange) compose(r dialect.Request, agent string) (endpoint, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return endpoint{}, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || !printable(r.Method) || !printable(u.Host) || !printable(u.RequestURI()) {
		return endpoint{}, errUnfit
	}
	b := append(x.out[:0], r.Method...)
	b = append(b, ' ')
	b = append(b, u.RequestURI()...)
	b = append(b, " HTTP/1.1\r\n"...)
	b = appendField(b, "Host", u.Host)
	named := false
	for _, f := range r.Header {
		if !fits(f) {
			return endpoint{}, errUnfit
		}
		named = named || f.Name == "User-Agent"
		b = appendField(b, f.Name, f.Value)
	}
	if !named {
		b = appendField(b, "User-Agent", agent)
	}
	if hasLength(r) {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(r.Body)), 10)
		b = append(b, "\r\n"...)
	}
	x.out = append(b, "\r\n"...)
	return endpoint{secure: u.Scheme == "https", host: u.Host}, nil
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// printable reports whether s can stand between spaces in a request line.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return s != ""
}

// fits reports whether f is one line and stays one header.
func fits(f dialect.HeaderField) bool {
	for i := range len(f.Value) {
		if b := f.Value[i]; b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
	}
	return printable(f.Name) && !bytes.ContainsRune([]byte(f.Name), ':')
}

// begin sends the request. That it could not be sent shows when the answer is
// read: one who has hung up may have said why.
func (x *exchange) begin(c *conn, body []byte, deadline time.Time) {
	x.conn, x.inHead, x.broke, x.whole, x.sent = c, true, nil, true, nil
	x.in.Reset(x)
	_ = c.stream.SetDeadline(deadline)
	if len(x.out)+len(body) <= maxInline {
		x.out = append(x.out, body...)
		_, err := c.stream.Write(x.out)
		x.whole = err == nil
		return
	}
	x.sent = make(chan bool, 1)
	go func() {
		_, err := c.stream.Write(x.out)
		if err == nil {
			_, err = c.stream.Write(body)
		}
		x.sent <- err == nil
	}()
}

// Read gives the answer to the buffer that it is parsed from.
func (x *exchange) Read(p []byte) (int, error) {
	if !x.inHead {
		return x.conn.stream.Read(p)
	}
	left := MaxHead - len(x.head)
	if left == 0 {
		x.broke = errHeadTooLong
		return 0, x.broke
	}
	n, err := x.conn.stream.Read(p[:min(len(p), left)])
	x.head = append(x.head, p[:n]...)
	x.broke = err
	return n, err
}

// answer reads the answer. The error says why there is none; one whose body is
// not complete is an answer. A body that is not needed has bodyWait to come in.
func (x *exchange) answer(t terms, bodyWait time.Duration) (dialect.Answer, error) {
	resp, err := http.ReadResponse(x.in, nil)
	for err == nil && interim(resp.StatusCode) {
		resp, err = http.ReadResponse(x.in, nil)
	}
	if err != nil {
		x.whole = false
		// The parser takes what was read of a line for the line, and finds fault with
		// that instead.
		if x.broke != nil {
			err = x.broke
		}
		return dialect.Answer{}, err
	}
	x.inHead = false
	a := dialect.Answer{Status: resp.StatusCode, Header: resp.Header}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		// What follows is another protocol, and reading it has no end.
		a.Cut, x.whole = true, false
		return a, nil
	}
	ended := true
	if resp.Body != http.NoBody {
		// A body that drips in is waited for only where a rule needs it.
		needed := t.judge != nil && t.judge.NeedsBody(a.Status)
		if grace := time.Now().Add(bodyWait); !needed && grace.Before(t.deadline) {
			_ = x.conn.stream.SetReadDeadline(grace)
		}
		a.Body, a.Cut, ended = read(resp)
	}
	x.whole = x.whole && ended && lasts(resp) && !x.ambiguous(resp) && x.in.Buffered() == 0
	return a, nil
}

// interim reports whether another answer follows one with this status.
func interim(status int) bool {
	return status >= 100 && status <= 199 && status != http.StatusSwitchingProtocols
}

// lasts reports whether the gateway keeps the connection, as far as its answer
// can be believed.
func lasts(resp *http.Response) bool {
	return resp.ProtoMajor == 1 && resp.ProtoMinor == 1 && !resp.Close && resp.StatusCode >= 200 && resp.StatusCode <= 599
}

// ambiguous reports whether the answer has a length beside its chunks, of which
// the parser keeps no trace. Somebody on the way may have gone by the length.
func (x *exchange) ambiguous(resp *http.Response) bool {
	return len(resp.TransferEncoding) > 0 && bytes.Contains(bytes.ToLower(x.head), []byte("\ncontent-length"))
}

// end reports whether the connection is good for another exchange.
func (x *exchange) end() bool {
	if !x.whole || x.sent == nil {
		return x.whole
	}
	_ = x.conn.stream.SetWriteDeadline(time.Now().Add(lastWrite))
	all := <-x.sent
	x.sent = nil
	return all
}

// wait returns when nothing writes any more, which is soon on a connection
// that was closed.
func (x *exchange) wait() {
	if x.sent != nil {
		<-x.sent
	}
}

// release lets go of the connection, and of buffers that grew too large to keep.
func (x *exchange) release() {
	x.conn, x.sent, x.broke, x.head = nil, nil, nil, x.head[:0]
	if cap(x.head) > maxInline {
		x.head = nil
	}
	if cap(x.out) > 2*maxInline {
		x.out = nil
	}
}

// read returns the beginning of the body, whether there was more of it or it
// broke off, and whether it was read to its end all the same.
func read(resp *http.Response) (body []byte, cut, ended bool) {
	size := resp.ContentLength
	if size < 0 {
		size = 511
	}
	body = make([]byte, 0, min(size, MaxBody)+1)
	for len(body) < MaxBody {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		n, err := resp.Body.Read(body[len(body):min(cap(body), MaxBody)])
		body = body[:len(body)+n]
		if err != nil {
			return body, err != io.EOF, err == io.EOF
		}
	}
	if resp.ContentLength > MaxBody+maxDrain {
		return body, true, false
	}
	n, err := io.CopyN(io.Discard, resp.Body, maxDrain)
	return body, n > 0 || err != io.EOF, err == io.EOF //nolint:errorlint // CopyN passes on what Read returned
}
