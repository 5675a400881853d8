package egress

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
)

// idleTimeout is less than the five seconds after which common servers close a
// connection that nobody uses, so that few requests meet one being closed.
const idleTimeout = 4 * time.Second

// Options of a [Client].
type Options struct {
	Version  string         // what the User-Agent says; "" means dev
	RootCAs  *x509.CertPool // who may vouch for gateways; nil means the system's
	BodyWait time.Duration  // how long a body that no rule needs may take once the head is complete; 0 means one second

	// MaxConns is how many connections are open at once, those in use and those
	// kept for later; 0 means no bound. Beyond it the oldest that is kept is closed
	// for a new one, and where all are in use an attempt waits for one to end, at
	// most until its deadline: callers keep their attempts below it. A name with
	// addresses of both kinds may take one descriptor more while it is dialled.
	MaxConns int
	// MaxIdle is how many connections are kept for later; 0 means half of MaxConns,
	// or 1024 where that has no bound.
	MaxIdle int

	// Control is asked before each connection is made, with the address that the
	// name came to. An error that is [ErrForbidden] keeps it from being made.
	// nil allows all.
	Control func(network, address string, c syscall.RawConn) error
	// Allowed are the networks that guarded requests may go to beside the public
	// ones, until [Client.Allow] is called.
	Allowed Networks
	// Resolver looks names up; nil means the system's.
	Resolver *net.Resolver
}

// Client sends requests to gateways. Any number of goroutines may use it.
type Client struct {
	dialer    *dialer
	idle      *pool
	exchanges sync.Pool
	agent     string
	bodyWait  time.Duration

	sources    *recent[sourceKey, *source]  // of access tokens
	identities *recent[[32]byte, *identity] // by the sums of what was declared

	life context.Context // until Close: of what is done for more than one attempt
	end  context.CancelFunc
}

// New returns a client. It keeps no connection before the first request.
func New(o Options) *Client {
	if o.Version == "" {
		o.Version = "dev"
	}
	switch {
	case o.MaxIdle > 0:
	case o.MaxConns > 0:
		o.MaxIdle = max(1, o.MaxConns/2)
	default:
		o.MaxIdle = 1024
	}
	if o.BodyWait == 0 {
		o.BodyWait = time.Second
	}
	c := &Client{
		dialer:    newDialer(o),
		idle:      newPool(o.MaxIdle, o.MaxConns, idleTimeout),
		exchanges: sync.Pool{New: func() any { return newExchange() }},
		agent:     "postrider/" + o.Version,
		bodyWait:  o.BodyWait,

		sources:    newRecent[sourceKey, *source](maxSources),
		identities: newRecent[[32]byte, *identity](maxIdentities),
	}
	c.life, c.end = context.WithCancel(context.Background())
	return c
}

// Close drops the connections that are not in use, and ends requests for access
// tokens. Connections that are in use go with their attempts.
func (c *Client) Close() {
	c.end()
	c.idle.close()
}

// Deliver makes one attempt: it renders the message, sends the request and has
// the answer judged. Where the request carries an access token, that is fetched
// before, if there is none: then this is a request too, to another address. It
// returns within timeout. When ctx ends first nobody knows what the gateway has,
// and the outcome says so.
func (c *Client) Deliver(ctx context.Context, d *dialect.Dialect, m data.Message, number int, timeout time.Duration) data.Result {
	return c.Try(ctx, d, dialect.Input{
		ID: m.ID, Gateway: m.Gateway, To: m.To, Title: m.Title, Text: m.Text, Params: m.Params,
		AcceptedAt: m.AcceptedAt, Attempt: number, Now: time.Now(),
	}, timeout)
}

// Try is [Client.Deliver] for what no message says.
func (c *Client) Try(ctx context.Context, d *dialect.Dialect, in dialect.Input, timeout time.Duration) data.Result {
	r, err := d.Render(in)
	if err != nil {
		// The same message never renders to anything else.
		return data.Result{Outcome: data.OutcomePermanent, Cause: data.CauseRendering}
	}
	answer, cause := c.send(ctx, d, r, time.Now().Add(timeout))
	switch cause {
	case data.CauseNone:
		return judged(ctx, d, answer)
	case data.CauseRendering:
		return data.Result{Outcome: data.OutcomePermanent, Cause: cause}
	case data.CauseCutOff:
		return data.Result{Outcome: data.OutcomeUnknown, Cause: cause}
	}
	return data.Result{Outcome: data.OutcomeTemporary, Cause: cause}
}

// send sends a request of a dialect, with an access token where it carries one.
func (c *Client) send(ctx context.Context, d *dialect.Dialect, r dialect.Request, deadline time.Time) (dialect.Answer, data.Cause) {
	t := terms{deadline: deadline, judge: d, as: d.Identity(), guarded: d.Guarded()}
	s := c.source(d)
	if s == nil {
		return c.do(ctx, r, t)
	}
	token, cause := s.get(ctx, c.life, deadline)
	if cause != data.CauseNone {
		return dialect.Answer{}, cause
	}
	r.Header = append(r.Header, dialect.Token{Value: token}.Bearer())
	a, cause := c.do(ctx, r, t)
	a.Secrets = []string{token}
	s.heard(token, a.Status)
	return a, cause
}

// judged has an answer judged. When its body counts and ctx ended while it came in,
// nobody knows what the gateway has, as if there were no answer.
func judged(ctx context.Context, d *dialect.Dialect, a dialect.Answer) data.Result {
	r := d.Judge(a, time.Now())
	if r.Cause == data.CauseBody && a.Cut && ctx.Err() != nil {
		r.Outcome, r.Cause = data.OutcomeUnknown, data.CauseCutOff
	}
	return r
}

// terms are what is agreed on about one request.
type terms struct {
	deadline time.Time
	judge    judge             // nil for one that needs no bodies
	as       *dialect.Identity // how its connection is secured beyond the usual; nil for no such thing
	guarded  bool              // it may go only to addresses that [Networks] permits
}

// judge says of which answers it needs the whole body.
type judge interface {
	NeedsBody(status int) bool
}

// Do sends one request, once, and returns the answer as soon as its head is
// complete and its body was read as far as it is wanted. The cause is
// [data.CauseNone] when there is an answer, whatever its status, and
// [data.CauseCutOff] when ctx ended before there was one.
func (c *Client) Do(ctx context.Context, r dialect.Request, timeout time.Duration) (dialect.Answer, data.Cause) {
	return c.do(ctx, r, terms{deadline: time.Now().Add(timeout)})
}

func (c *Client) do(ctx context.Context, r dialect.Request, t terms) (dialect.Answer, data.Cause) {
	x := c.exchanges.Get().(*exchange)
	defer func() { x.release(); c.exchanges.Put(x) }()
	to, err := x.compose(r, c.agent)
	if err != nil {
		return dialect.Answer{}, data.CauseRendering
	}
	to.as, to.guarded = c.identity(t.as), t.guarded
	conn, err := c.connect(ctx, to, t.deadline)
	if err != nil {
		return dialect.Answer{}, unconnected(ctx, err)
	}
	// Only closing ends what is under way for good: a deadline could be set anew
	// at the same moment.
	stop := context.AfterFunc(ctx, conn.close)
	x.begin(conn, r.Body, t.deadline)
	a, err := x.answer(t, c.bodyWait)
	good := x.end()
	if stop() && good {
		c.idle.put(conn)
	} else {
		conn.close()
		x.wait()
	}
	if err != nil {
		return dialect.Answer{}, unanswered(ctx, t.deadline, err)
	}
	return a, data.CauseNone
}

// Probe finds out whether the gateway of d can be reached: it connects, and
// shakes hands where that is secure, within timeout. It sends no request, so it
// is no attempt; but where requests carry an access token it sees to it that there
// is one. The cause is [data.CauseNone] when there was a connection, which
// is kept for the next request, and [data.CauseCutOff] when ctx ended first.
func (c *Client) Probe(ctx context.Context, d *dialect.Dialect, timeout time.Duration) data.Cause {
	deadline := time.Now().Add(timeout)
	if s := c.source(d); s != nil {
		if _, cause := s.get(ctx, c.life, deadline); cause != data.CauseNone {
			return cause
		}
	}
	secure, host := d.Endpoint()
	conn, err := c.dial(ctx, endpoint{secure: secure, guarded: d.Guarded(), host: host, as: c.identity(d.Identity())}, deadline)
	if err != nil {
		return unconnected(ctx, err)
	}
	c.idle.put(conn)
	return data.CauseNone
}

// connect returns a connection on which nothing has come since the last answer.
// Whatever has is no answer to the next request. What comes between that look and
// the request cannot be told from an answer, so a gateway that was caught once gets
// no second request on a connection for a while.
func (c *Client) connect(ctx context.Context, to endpoint, deadline time.Time) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for conn := c.idle.take(to); conn != nil; conn = c.idle.take(to) {
		// What is permitted may have changed since it was dialled.
		if conn.quiet() && (!to.guarded || c.dialer.permits(conn.raw.RemoteAddr().String())) {
			return conn, nil
		}
		if conn.spoke {
			c.idle.distrust(to)
		}
		conn.close()
	}
	return c.dial(ctx, to, deadline)
}

// dial makes a new connection.
func (c *Client) dial(ctx context.Context, to endpoint, deadline time.Time) (*conn, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if err := c.idle.reserve(ctx); err != nil {
		return nil, err
	}
	conn, err := c.dialer.dial(ctx, to)
	if err != nil {
		c.idle.release()
		return nil, err
	}
	conn.of = c.idle
	return conn, nil
}

// hasLength reports whether a request says how long its body is, since
// receivers expect it of the methods that are for bodies.
func hasLength(r dialect.Request) bool {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		return true
	}
	return len(r.Body) > 0
}
