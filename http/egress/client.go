package egress

import (
	"bytes"
	"context"
	"crypto/x509"
	"io"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/postrider/postrider/data"
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

// idleTimeout is less than the five seconds after which common servers close a
// connection that nobody uses, so that few requests meet one being closed.
const idleTimeout = 4 * time.Second

// Options of a [Client].
type Options struct {
	Version  string         // what the User-Agent says; "" means dev
	RootCAs  *x509.CertPool // who may vouch for gateways; nil means the system's
	MaxIdle  int            // connections kept for later; 0 means 1024
	BodyWait time.Duration  // how long a body may take once the head is complete; 0 means one second

	// Control is asked before each connection is made, with the address that the
	// name came to. An error that is [ErrForbidden] keeps it from being made.
	// nil allows all.
	Control func(network, address string, c syscall.RawConn) error
}

// Client sends requests to gateways. Any number of goroutines may use it.
type Client struct {
	transport *http.Transport
	agent     string
	bodyWait  time.Duration
}

// New returns a client. It keeps no connection before the first request.
func New(o Options) *Client {
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.MaxIdle == 0 {
		o.MaxIdle = 1024
	}
	if o.BodyWait == 0 {
		o.BodyWait = time.Second
	}
	d := newDialer(o)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &Client{
		agent:    "postrider/" + o.Version,
		bodyWait: o.BodyWait,
		transport: &http.Transport{
			DialContext:            d.dial,
			DialTLSContext:         d.dialTLS,
			DisableCompression:     true,
			IdleConnTimeout:        idleTimeout,
			MaxIdleConns:           o.MaxIdle,
			MaxIdleConnsPerHost:    o.MaxIdle,
			MaxResponseHeaderBytes: MaxHead,
			Protocols:              protocols,
		},
	}
}

// Close drops the connections that are not in use.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Deliver makes one attempt: it renders the message, sends the request and has
// the answer judged. It returns within timeout. When ctx ends first nobody
// knows what the gateway has, and the outcome says so.
func (c *Client) Deliver(ctx context.Context, d *dialect.Dialect, m data.Message, number int, timeout time.Duration) data.Result {
	r, err := d.Render(dialect.Input{ID: m.ID, Gateway: m.Gateway, Text: m.Text, Attempt: number})
	if err != nil {
		// The same message never renders to anything else.
		return data.Result{Outcome: data.OutcomePermanent, Cause: data.CauseRendering}
	}
	answer, cause := c.Do(ctx, r, timeout)
	switch cause {
	case data.CauseNone:
		return d.Judge(answer, time.Now())
	case data.CauseRendering:
		return data.Result{Outcome: data.OutcomePermanent, Cause: cause}
	case data.CauseCutOff:
		return data.Result{Outcome: data.OutcomeUnknown, Cause: cause}
	}
	return data.Result{Outcome: data.OutcomeTemporary, Cause: cause}
}

// Do sends one request, once, and returns the answer as soon as its head is
// complete and its body was read as far as it is wanted. The cause is
// [data.CauseNone] when there is an answer, whatever its status, and
// [data.CauseCutOff] when ctx ended before there was one.
func (c *Client) Do(ctx context.Context, r dialect.Request, timeout time.Duration) (dialect.Answer, data.Cause) {
	attempt, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := c.request(attempt, r)
	if err != nil {
		return dialect.Answer{}, data.CauseRendering
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return dialect.Answer{}, classify(ctx, attempt, err)
	}
	a := dialect.Answer{Status: resp.StatusCode, Header: resp.Header}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		// What follows is another protocol, and reading it has no end.
		a.Cut = true
	} else {
		// No rule of a dialect needs the body of an answer that drips in.
		grace := time.AfterFunc(c.bodyWait, cancel)
		a.Body, a.Cut = read(resp)
		grace.Stop()
	}
	// A body that was not read to its end takes its connection with it.
	_ = resp.Body.Close()
	return a, data.CauseNone
}

// request makes r one that the transport sends at most once. The transport
// repeats by itself what has no body, or can make its body anew, and is a GET or
// has an idempotency key. Repeating is the retry rule's business.
func (c *Client) request(ctx context.Context, r dialect.Request) (*http.Request, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, err
	}
	header := make(http.Header, len(r.Header)+1)
	header["User-Agent"] = []string{c.agent}
	for _, f := range r.Header {
		header[onWire(f.Name)] = []string{f.Value}
	}
	req := &http.Request{Method: r.Method, URL: u, Header: header, Host: u.Host}
	req = req.WithContext(context.WithValue(ctx, attemptKey{}, ctx))
	switch {
	case len(r.Body) > 0:
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(r.Body)), int64(len(r.Body))
	case r.Method == http.MethodGet:
		// Of unknown length, so that nobody can tell it from one that is lost when
		// it was read. The transport finds it empty and sends none.
		req.Body = io.NopCloser(bytes.NewReader(nil))
	}
	return req, nil
}

// onWire spells the headers by which the transport knows a request that it may
// repeat in a way that only receivers understand.
func onWire(name string) string {
	switch name {
	case "Idempotency-Key":
		return "idempotency-key"
	case "X-Idempotency-Key":
		return "x-idempotency-key"
	}
	return name
}

// read returns the beginning of the body, and whether there was more of it or
// it broke off.
func read(resp *http.Response) (body []byte, cut bool) {
	switch n := resp.ContentLength; {
	case n == 0:
		return nil, false
	case n > 0:
		body = make([]byte, 0, min(n, MaxBody)+1)
	default:
		body = make([]byte, 0, 512)
	}
	for len(body) < MaxBody {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		n, err := resp.Body.Read(body[len(body):min(cap(body), MaxBody)])
		body = body[:len(body)+n]
		if err != nil {
			return body, err != io.EOF
		}
	}
	if resp.ContentLength > MaxBody+maxDrain {
		return body, true
	}
	n, err := io.CopyN(io.Discard, resp.Body, maxDrain)
	return body, n > 0 || err != io.EOF //nolint:errorlint // CopyN passes on what Read returned
}
