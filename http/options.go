package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/postrider/postrider/data"
)

// Saver has records on disk before it returns. It fills s.First and s.Repeated.
// Its errors are those of package data. After an error it may still hold s.
type Saver interface {
	Save(ctx context.Context, s *data.Save) error
}

// Canceller takes a message back and returns it as it is then.
type Canceller interface {
	Cancel(ctx context.Context, id data.ID) (data.Message, error)
}

// Resender sends dead letters again, at most [data.MaxResend], all in one commit,
// and says what became of each, in the order of ids. An error means that none
// was sent again, but for [data.ErrNoAnswer], after which it may still hold ids.
type Resender interface {
	Resend(ctx context.Context, ids []data.ID) ([]data.Resent, error)
}

// Pauser keeps the lane of a gateway from beginning attempts, or ends that.
type Pauser interface {
	Pause(ctx context.Context, gateway string, paused bool) error
}

// Reader answers questions about what is stored. What is not there is
// [data.ErrNotFound]; for Lane this means that the gateway never had a message.
//
// A query has the last word on its page: Enough is told each record once, and what
// it was told is the page.
type Reader interface {
	// Answered returns the first id that was given for an idempotency key and, where
	// there were no events, how many messages it began. It is false when the key is
	// not known, and the error may be [data.ErrKeyReused].
	Answered(key data.IdempotencyKey) (first data.ID, count int, found bool, err error)
	Event(id data.ID) (data.Event, error)
	Events(q data.EventQuery) (data.EventPage, error)
	// EventsBelow returns the events of a type below an id, the newest first, and below
	// which id to go on; 0 when these were the last. Below 0 means from the newest on, and
	// the type "" all. There may be fewer than limit, even none, while there are more.
	EventsBelow(id data.ID, kind string, limit int) (found []data.Event, next data.ID, err error)
	// Made returns the messages that routes made of an event, in the order of their ids,
	// and whether there may be more than those.
	Made(event data.ID, limit int) (found []data.Message, more bool, err error)
	Message(id data.ID) (data.Message, error)
	Messages(q data.MessageQuery) (data.MessagePage, error)
	// MessagesBelow is EventsBelow for messages.
	MessagesBelow(id data.ID, limit int) (found []data.Message, next data.ID, err error)
	Lane(gateway string) (data.Lane, error)
	Lanes() ([]data.Lane, error)
	// Oldest returns when the message was accepted that is first in line at a gateway;
	// zero when none has an attempt to come or under way.
	Oldest(gateway string) (time.Time, error)
	// Newest returns the newest id that an event or message has, 0 before the first. It
	// is asked often.
	Newest() data.ID
}

// Gateways knows the declared gateways. The list is sorted by name and not
// changed any more; the next one may differ, since declarations are read anew
// while the process runs.
type Gateways interface {
	Gateway(name string) (data.Gateway, bool)
	Gateways() []data.Gateway
}

// Fault is one reason why a message cannot go to its gateway. It quotes nothing of
// the message.
type Fault struct {
	Pointer string // a JSON pointer into what was submitted, such as /params/order; "" for all of it
	Code    string // required, too_long or unfit
	Detail  string // a sentence about it
}

// Router makes messages of the events of one request.
type Router interface {
	// Route returns the messages that the routes make of an event, which fit their
	// gateways, or [data.ErrTooLarge].
	Route(data.NewEvent) ([]data.NewMessage, error)
	// Stored is told when all of it is on disk. It is not told of a request that was
	// stored before.
	Stored()
}

// Options is what a [Server] is made of.
type Options struct {
	Saver     Saver
	Canceller Canceller
	Resender  Resender
	Pauser    Pauser
	Reader    Reader
	Gateways  Gateways
	Trier     Trier
	Declarer  Declarer // nil means that no gateways are declared over the API
	Reloader  Reloader // nil means that there is nothing to read again
	Overview  Overview
	Backuper  Backuper

	// Fit makes of a message what is stored for its gateway: most often itself, for
	// which it returns nil, else with fields cut off or as several, in order. With
	// faults the message is refused. nil means that all messages fit.
	Fit func(data.NewMessage) ([]data.NewMessage, []Fault)
	// Routes returns the routes in force. It is asked once for each request, so that
	// all events of one meet the same routes. nil means that there are none.
	Routes func() Router
	// DeclaredRoutes returns the same routes as they may be shown, in their order; nil
	// means that there are none.
	DeclaredRoutes func() []Route
	// Config writes the configuration in force as YAML, secrets masked; nil means that
	// there is no such path.
	Config func(io.Writer) error
	// Accepting returns why nothing new is taken now, asked before a body is
	// looked at; nil means always taken.
	Accepting func() error
	// Ready returns the reasons why the process is not ready; nil means always
	// ready.
	Ready func() []string
	// ConfigState says since when the configuration is in force; nil means that nobody
	// wants to know.
	ConfigState func() ConfigSummary
	// Observe is told each answer: route pattern, status, duration. nil means
	// that nobody wants to know.
	Observe func(route string, status int, took time.Duration)
	// Metrics answers GET /metrics; nil means that there is no such path.
	Metrics http.Handler

	Keys []Key // who is let in; empty means everybody
	// Hosts are names and addresses by which clients call the server, beside loopback
	// and the address that they are connected to.
	Hosts     []string
	TLS       *tls.Config // how connections are secured; nil means that they are not
	Demo      bool        // answer POST /gateway_1 and /gateway_2
	AccessLog bool        // one log line per request

	BodyLimit    int           // bytes of a body; 0 means DefaultBodyLimit
	Connections  int           // open at once; 0 means DefaultConnections
	ReadTimeout  time.Duration // for a whole request; 0 means 15 s
	WriteTimeout time.Duration // for an answer; 0 means 30 s
	IdleTimeout  time.Duration // between two requests; 0 means 60 s
	SaveTimeout  time.Duration // for the store to answer; 0 means 10 s

	Version string // of the program, shown to those who are let in
	Logger  *slog.Logger
	Now     func() time.Time // measures durations; nil means time.Now
}

// Defaults of [Options].
const (
	DefaultBodyLimit   = 256 << 10
	DefaultConnections = 16 << 10

	defaultReadTimeout  = 15 * time.Second
	defaultWriteTimeout = 30 * time.Second
	defaultIdleTimeout  = 60 * time.Second
	defaultSaveTimeout  = 10 * time.Second

	// headLimit bounds the head of a request; it is allocated per connection.
	headLimit = 8 << 10
)

// withDefaults gives every optional field a value, so that nobody has to ask.
func (o Options) withDefaults() Options {
	o.BodyLimit = orDefault(o.BodyLimit, DefaultBodyLimit)
	o.Connections = orDefault(o.Connections, DefaultConnections)
	o.ReadTimeout = orDefault(o.ReadTimeout, defaultReadTimeout)
	o.WriteTimeout = orDefault(o.WriteTimeout, defaultWriteTimeout)
	o.IdleTimeout = orDefault(o.IdleTimeout, defaultIdleTimeout)
	o.SaveTimeout = orDefault(o.SaveTimeout, defaultSaveTimeout)
	if o.Routes == nil {
		o.Routes = func() Router { return noRoutes{} }
	}
	if o.DeclaredRoutes == nil {
		o.DeclaredRoutes = func() []Route { return nil }
	}
	if o.Fit == nil {
		o.Fit = func(data.NewMessage) ([]data.NewMessage, []Fault) { return nil, nil }
	}
	if o.Accepting == nil {
		o.Accepting = func() error { return nil }
	}
	if o.Ready == nil {
		o.Ready = func() []string { return nil }
	}
	if o.Observe == nil {
		o.Observe = func(string, int, time.Duration) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func orDefault[T int | time.Duration](v, zero T) T {
	if v == 0 {
		return zero
	}
	return v
}

func (o Options) validate() error {
	var errs []error
	complain := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	complain(o.Saver == nil, "no Saver")
	complain(o.Canceller == nil, "no Canceller")
	complain(o.Resender == nil, "no Resender")
	complain(o.Pauser == nil, "no Pauser")
	complain(o.Reader == nil, "no Reader")
	complain(o.Gateways == nil, "no Gateways")
	complain(o.Trier == nil, "no Trier")
	complain(o.Overview == nil, "no Overview")
	complain(o.Backuper == nil, "no Backuper")
	complain(o.Logger == nil, "no Logger")
	complain(o.BodyLimit < 0, "negative BodyLimit")
	complain(o.Connections < 0, "negative Connections")
	complain(min(o.ReadTimeout, o.WriteTimeout, o.IdleTimeout, o.SaveTimeout) < 0, "negative timeout")
	errs = append(errs, validateKeys(o.Keys))
	return errors.Join(errs...)
}
