package httpapi

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/ui"
)

// Server answers HTTP requests. Make it with [New].
type Server struct {
	opts     Options
	pages    *ui.Pages
	app      *fiber.App
	router   fasthttp.RequestHandler
	inFlight inFlight
	lists    turns
	saves    turns
	tests    turns
	tails    turns
	backups  turns
	names    requestNames
	patience patience

	open      openConns
	unwritten unwritten
	summaries summaries

	admission atomic.Pointer[admission] // replaced by Admit
	failures  *failures
	sessions  *sessions
	profiling atomic.Bool // a profile over time is recorded

	life context.Context    //nolint:containedctx // until Shutdown: of tests and backups under way, and of tails
	end  context.CancelFunc // of life

	draining atomic.Bool // set by Shutdown, read by /readyz
	mu       sync.Mutex  // guards ln: Serve and Shutdown may meet
	ln       net.Listener
}

// New makes a server. It opens nothing.
func New(o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("make the HTTP server: %w", err)
	}
	pages, err := newPages()
	if err != nil {
		return nil, err
	}
	s := &Server{opts: o.withDefaults(), pages: pages, lists: newListTurns(), saves: newSaveTurns(), tests: newTestTurns(), tails: newTailTurns(), backups: newBackupTurns(), names: newRequestNames()}
	s.failures, s.sessions = newFailures(), newSessions()
	s.admission.Store(newAdmission(o.Keys, o.Hosts))
	s.patience.limit = s.opts.SaveTimeout
	s.unwritten.most = maxUnwritten
	s.life, s.end = context.WithCancel(context.Background())
	s.app = fiber.New(fiber.Config{
		AppName:               "postrider",
		BodyLimit:             s.opts.BodyLimit,
		CaseSensitive:         true,
		Concurrency:           s.opts.Connections,
		DisableStartupMessage: true,
		// Else a body that calls itself multipart is taken apart, partly into
		// files, before anybody asked for it.
		DisablePreParseMultipartForm: true,
		ErrorHandler:                 s.unreadable,
		IdleTimeout:                  s.opts.IdleTimeout,
		ReadBufferSize:               headLimit,
		ReadTimeout:                  s.opts.ReadTimeout,
		RequestMethods:               append(slices.Clone(fiber.DefaultMethods), methodOther),
		StrictRouting:                true,
		WriteTimeout:                 s.opts.WriteTimeout,
	})
	s.routes()
	s.router = s.app.Handler()
	below := s.app.Server()
	below.Handler = s.serve
	below.CloseOnShutdown = true
	return s, nil
}

// Serve answers what comes in on ln, which it owns from now on. It returns nil
// as soon as [Server.Shutdown] began: wait for that one, not for Serve.
func (s *Server) Serve(ln net.Listener) error {
	s.mu.Lock()
	s.ln = ln
	s.mu.Unlock()
	if s.draining.Load() {
		return ln.Close()
	}
	var taken net.Listener = &patientListener{Listener: ln, log: s.opts.Logger}
	if s.opts.TLS != nil {
		taken = &secureListener{Listener: taken, config: s.opts.TLS, log: s.opts.Logger}
	}
	if err := s.app.Listener(&calmListener{Listener: taken, slack: slackOf(s.opts), open: &s.open}); err != nil {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

// Shutdown stops taking connections, cuts off tails, a test of a gateway and a backup, and waits until
// every request under way is answered and its connection closed, at most until ctx
// ends. A request that is half there has a second to come in. When it returns nil no
// handler runs any more. When it returns an error some may still run; none begins
// after that.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	s.end()
	s.open.readUntil(time.Now().Add(readGrace))
	err := s.app.ShutdownWithContext(ctx)
	s.mu.Lock()
	if s.ln != nil {
		_ = s.ln.Close() // a second time as a rule; the first when Serve is only about to begin
	}
	s.mu.Unlock()
	// The server below counts connections. It gives up waiting when ctx ends and
	// then lets open connections go on, so requests are counted and refused here.
	n := s.inFlight.close(ctx)
	if n > 0 {
		return fmt.Errorf("shut down the HTTP server, %d requests under way: %w", n, ctx.Err())
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("shut down the HTTP server: %w", err)
	}
	return nil
}

// serve is what the server below us calls for every request that it could read.
func (s *Server) serve(rc *fasthttp.RequestCtx) {
	if !s.inFlight.enter() {
		s.turnAway(rc, data.ErrStopping)
		return
	}
	defer s.inFlight.leave()
	if !strictHead(&rc.Request.Header) {
		s.turnAway(rc, fiber.ErrBadRequest)
		return
	}
	// Fiber answers a method that it does not know by itself, past every rule of
	// ours. Under another name it ends as 404 or 405 as any wrong one does.
	if !slices.Contains(fiber.DefaultMethods, string(rc.Method())) {
		rc.Request.Header.SetMethod(methodOther)
	}
	s.router(rc)
}

// turnAway answers a request that gets no further, and ends its connection.
func (s *Server) turnAway(rc *fasthttp.RequestCtx, err error) {
	c := s.app.AcquireCtx(rc)
	defer s.app.ReleaseCtx(c)
	rc.SetConnectionClose()
	_ = s.unreadable(c, err) // has no error of its own
}

// methodOther stands for all methods that nobody knows.
const methodOther = "OTHER"
