package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/postrider/postrider/actors"
	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/data/badger"
	httpapi "github.com/postrider/postrider/http"
	"github.com/postrider/postrider/http/egress"
)

func serveCommand() *cobra.Command {
	var acceptLoss bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run everything that the configuration enables",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			// As early as can be, and to the last moment: a signal to reload must not end
			// a process that is not up yet, or one that stops. Only in its first
			// milliseconds, before it gets here, it still does.
			hangups := make(chan os.Signal, 1)
			signal.Notify(hangups, syscall.SIGHUP)
			cfg, err := loadConfig(c, perhaps)
			switch {
			case errors.Is(err, errInterrupted):
				return nil
			case err != nil:
				return err
			}
			return run(c.Context(), cfg, runOptions{
				errs:       c.ErrOrStderr(),
				acceptLoss: acceptLoss,
				hangups:    hangups,
				// At start an empty file means that all is as by default. Later it would
				// remove every gateway, and is more likely one about to be written.
				load: func() (*config.Config, error) { return readConfig(c, true, perhaps) },
			})
		},
	}
	configFlags(c)
	c.Flags().BoolVar(&acceptLoss, "accept-data-loss", false, "open a damaged store and go on with what is left")
	return c
}

// runOptions are what run needs beside the configuration.
type runOptions struct {
	errs       io.Writer
	acceptLoss bool
	hangups    <-chan os.Signal // each asks for a reload; nil for none
	load       func() (*config.Config, error)
	loadLimit  time.Duration  // for load and what follows from it; 0 means reloadLimit
	clock      badger.Clock   // nil means the system's
	listening  func(net.Addr) // told where; nil for nobody
	running    func(*process) // told what, before that; nil for nobody
	fault      func(actor string, message any)
}

// closing bounds the end of the HTTP server once nothing is under way.
const closing = 5 * time.Second

// run opens the store, spawns the tree and serves until ctx ends or something
// fails for good; then it stops all of it in reverse order.
func run(ctx context.Context, cfg *config.Config, o runOptions) error {
	syscall.Umask(0o077)
	if err := checkParts(cfg, cfg.Propagator.Enabled); err != nil {
		return err
	}
	if o.clock == nil {
		o.clock = badger.SystemClock()
	}
	if o.loadLimit == 0 {
		o.loadLimit = reloadLimit
	}
	log := newLogger(cfg.Log, o.errs)
	hearEngine(log)
	m := newMetrics()
	store, err := badger.Open(badger.Options{
		Path:       cfg.Storage.Path,
		MinFree:    int64(cfg.Storage.MinFree),
		Memtable:   int64(cfg.Storage.Memtable),
		AcceptLoss: o.acceptLoss,
		Clock:      o.clock,
		Logger:     log,
		Committed:  m.committed,
	})
	if err != nil {
		return err
	}
	p := &process{cfg: cfg, log: log, metrics: m, store: store, failed: make(chan error, 1)}
	p.overview = overview{process: p, began: time.Now(), rates: newRates()}
	p.reloads = newReloader(ctx, p, o.load, o.loadLimit)
	if err := p.start(o); err != nil {
		return errors.Join(err, store.Close())
	}
	notify(notifyReady)
	if o.running != nil {
		o.running(p)
	}
	if o.listening != nil {
		o.listening(p.listener.Addr())
	}
	go tidy(ctx)
	followed := make(chan struct{})
	go func() {
		p.reloads.follow(o.hangups)
		close(followed)
	}()
	if err := p.wait(ctx.Done()); err != nil {
		return err
	}
	<-followed
	stopped := make(chan struct{})
	go func() {
		err = p.stop()
		close(stopped)
	}()
	if failure := p.wait(stopped); failure != nil {
		return failure
	}
	return err
}

// process is what is running.
type process struct {
	cfg      *config.Config
	log      *slog.Logger
	metrics  *metrics
	store    *badger.Store
	listener net.Listener
	base     string // where this process reaches itself
	overview overview
	declared inForce // gateways and routes, which a reload changes, as it does who is let in; all else is cfg's
	made     *made   // the gateways that are declared over the API
	declarer *declarer
	reloads  *reloader
	memory   memoryLimit
	client   *egress.Client
	tree     *actors.Tree
	server   *httpapi.Server
	draining atomic.Bool
	failed   chan error

	certificate *httpapi.Certificate // nil without TLS
}

func (p *process) start(o runOptions) (err error) {
	address := net.JoinHostPort(p.cfg.HTTP.Host, strconv.Itoa(p.cfg.HTTP.Port))
	if p.listener, err = net.Listen("tcp", address); err != nil {
		return fmt.Errorf("listen on %s: %w; set http.host and http.port to an address of this machine that is free", address, err)
	}
	defer func() {
		if err != nil {
			_ = p.listener.Close()
		}
	}()
	if err := p.checkAudience(p.cfg.HTTP); err != nil {
		return err
	}
	if err := p.openCertificate(); err != nil {
		return err
	}
	p.base = ownAddress(p.cfg.HTTP, p.listener.Addr().(*net.TCPAddr).Port)
	if err := p.declare(); err != nil {
		return err
	}
	// One more than for attempts: that of a test.
	p.client = egress.New(egress.Options{
		Version: version, MaxConns: p.cfg.Delivery.MaxInFlight + 1,
		Allowed: p.cfg.Delivery.APINetworks, Now: p.store.Now,
	})
	options := actors.Options{
		Store:       countedStore{Store: p.store, rates: p.overview.rates, began: p.overview.began},
		Define:      p.declared.define(p.client),
		MaxInFlight: p.cfg.Delivery.MaxInFlight,
		Retention:   data.Retention(p.cfg.Storage.Retention),
		Failed:      tell(p.failed),
		Logger:      p.log,
		Access:      p.cfg.Log.Access,
		Began:       p.metrics.began,
		Attempted:   p.metrics.attempted,
		Ended:       p.metrics.ended,
		Pruned:      p.metrics.deleted,
		Restarted:   p.metrics.restarted,
		Fault:       o.fault,
	}
	if p.cfg.Propagator.Enabled {
		if options.Ticker, err = tickerOptions(p.cfg, p.base, p.log, p.metrics.propagated); err != nil {
			return err
		}
	}
	p.metrics.watch(p)
	// The tree's client does not exist before the tree, and the tree's lanes and
	// ticker reach our own server, which waits in the listener's queue till then.
	p.tree = actors.Start(options)
	p.declarer = &declarer{
		declared: &p.declared, made: p.made, log: p.log,
		keep: p.tree.Persister.Declare,
		changed: func(gateway string) {
			p.limitMemory()
			p.tree.RedefineOne(gateway)
		},
	}
	if p.server, err = httpapi.New(p.httpOptions()); err != nil {
		p.tree.Stop()
		return err
	}
	p.announce()
	p.metrics.applied()
	// What a reload replaces is in declared, and need not be kept for longer. From here
	// on clients may ask for one.
	own := *p.cfg
	own.Gateways, own.Routes = nil, nil
	p.cfg = &own
	go func() {
		if err := p.server.Serve(p.listener); err != nil {
			tell(p.failed)(fmt.Errorf("serve: %w", err))
		}
	}()
	return nil
}

func (p *process) httpOptions() httpapi.Options {
	var secured *tls.Config
	if p.certificate != nil {
		secured = p.certificate.TLS()
	}
	// What a reload replaces is in declared; the rest stays as it is.
	started := *p.cfg
	started.Gateways, started.Routes = nil, nil
	return httpapi.Options{
		Saver:       p.tree.Persister,
		Canceller:   p.tree.Persister,
		Resender:    p.tree.Persister,
		Pauser:      p.tree.Persister,
		Reader:      p.store,
		Gateways:    &p.declared,
		Backuper:    p.store,
		Trier:       &trier{declared: &p.declared, client: p.client, log: p.log, stopping: p.draining.Load},
		Declarer:    p.declarer,
		Reloader:    p.reloads,
		ConfigState: p.reloads.current,
		Overview:    &p.overview,
		Fit:         p.declared.fit,
		Routes:      p.declared.route,

		DeclaredRoutes: p.declared.shownRoutes,
		Config:         func(w io.Writer) error { return config.Print(w, p.declared.config(started)) },

		Accepting: p.accepting,
		Ready:     p.ready,
		Observe:   p.metrics.answered,
		Metrics:   p.metrics.handler(),
		Keys:      keysOf(p.cfg.HTTP),
		Hosts:     p.hostsOf(p.cfg.HTTP),
		TLS:       secured,
		Demo:      p.cfg.Demo.Gateways,
		AccessLog: p.cfg.Log.Access,
		BodyLimit: int(p.cfg.HTTP.BodyLimit),
		Version:   version,
		Logger:    p.log,
	}
}

// accepting returns why nothing new is taken now, or nil.
func (p *process) accepting() error {
	if p.draining.Load() {
		return data.ErrStopping
	}
	if err := p.store.Accepting(); err != nil {
		return err
	}
	return p.tree.Persister.Accepting()
}

// misfit notes that routes made messages which their gateway does not take. What
// they say stays out of the log.
func (p *process) misfit(m misfits) {
	p.metrics.unfit(m.gateway, m.count)
	p.log.Warn("a route made messages that do not fit their gateway: they are left out",
		"gateway", m.gateway, "messages", m.count, "field", m.fault.Pointer, "problem", m.fault.Code)
}

// ready lists what keeps the process from being ready, in words for people.
func (p *process) ready() []string {
	err := p.accepting()
	if err == nil {
		return nil
	}
	for _, known := range []error{data.ErrStopping, data.ErrNoSpace, data.ErrOverloaded} {
		if errors.Is(err, known) {
			return []string{known.Error()}
		}
	}
	return []string{data.ErrStorage.Error()}
}

func (p *process) announce() {
	p.log.Info("listening", "url", p.base,
		"store", p.cfg.Storage.Path, "gateways", len(p.cfg.Gateways), "over_the_api", p.made.len(), "routes", len(p.cfg.Routes), "version", version)
	p.checkDescriptors()
	p.warnOfAnybody(p.cfg.HTTP)
}

// wait returns nil when done is closed and nothing has failed, and an error as
// soon as something has. After that error nothing is stopped in order: what a
// half-done commit left behind is for the next start to find out.
func (p *process) wait(done <-chan struct{}) error {
	select {
	case <-done:
	case err := <-p.failed:
		return err
	case <-p.store.Failed():
		return p.store.Err()
	}
	select {
	case err := <-p.failed:
		return err
	default:
		return p.store.Err()
	}
}

// stop ends everything in reverse order. While attempts finish, the server goes
// on answering: readers are served, writers are told that the process stops.
func (p *process) stop() error {
	p.draining.Store(true)
	notify(notifyStopping)
	p.log.Info("stopping: nothing new is accepted, attempts under way may finish", "within", p.cfg.HTTP.Drain)
	drain, cancel := context.WithTimeout(context.Background(), p.cfg.HTTP.Drain)
	defer cancel()
	p.tree.Drain(drain)
	end, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	// The store must not be closed under somebody who reads: then the process
	// ends as after a crash, and the next start recovers.
	if err := p.server.Shutdown(end); err != nil {
		return fmt.Errorf("stop: some requests did not end in time, the store is left for the next start to recover: %w", err)
	}
	p.client.Close()
	if !p.tree.Stop() {
		return errors.New("stop: some actors did not end in time, the store is left for the next start to recover")
	}
	if err := p.store.Close(); err != nil {
		return err
	}
	p.log.Info("stopped")
	return nil
}
