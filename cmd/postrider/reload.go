package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
	httpapi "github.com/postrider/postrider/http"
)

const (
	// reloadLimit bounds the reading of the configuration while the process runs.
	reloadLimit = 10 * time.Second
	// maxReadings bounds the readings that did not end within their limit. Each
	// keeps a thread, and whoever asks for reloads may be a timer.
	maxReadings = 8
	// maxReported bounds the mistakes that the log line of a refusal lists.
	maxReported = 20
)

var (
	errSlowReading     = errors.New("the configuration was not read in time; is a file of it a pipe that nobody writes to?")
	errSlowChanges     = errors.New("gateways that are declared over the API were not compiled in time, or changes of them did not end")
	errTooManyReadings = errors.New("earlier readings of the configuration have not ended; restart the process once its files can be read")
)

// reloader puts the gateways and routes of the configuration in force anew while
// the process runs, and who is let in: all of it, or when there is any mistake nothing.
// Signals ask it for that, and the API.
type reloader struct {
	process  *process
	load     func() (*config.Config, error)
	limit    time.Duration
	readings chan struct{}   // has room for maxReadings
	turn     chan struct{}   // has room for the one that goes on
	life     context.Context //nolint:containedctx // of the process: no reload ends after it

	mu    sync.Mutex // guards state, which anybody reads
	state httpapi.ConfigSummary
}

func newReloader(ctx context.Context, p *process, load func() (*config.Config, error), limit time.Duration) *reloader {
	return &reloader{
		process: p, load: load, limit: limit, life: ctx, readings: make(chan struct{}, maxReadings), turn: make(chan struct{}, 1),
		state: httpapi.ConfigSummary{AppliedAt: time.Now()},
	}
}

// current returns what came of the reloads until now.
func (r *reloader) current() httpapi.ConfigSummary {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// note remembers what came of a reload.
func (r *reloader) note(err error, needsRestart []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.state = httpapi.ConfigSummary{AppliedAt: time.Now(), NeedsRestart: needsRestart}
		return
	}
	r.state.RefusedAt, r.state.Mistakes = time.Now(), max(1, len(mistakesOf(err)))
}

// follow reloads whenever a signal asks for it, until the process is to end. Those that
// ask meanwhile are served afterwards, all of them with one reload: asked has room for
// one.
func (r *reloader) follow(asked <-chan os.Signal) {
	for {
		select {
		case <-r.life.Done():
			return
		case <-asked:
			_, _ = r.reload(r.life) // the log has it
		}
	}
}

// Reload is what a client asks for, for httpapi.Options.
func (r *reloader) Reload(ctx context.Context) (httpapi.Reloaded, []httpapi.KeyFault, error) {
	came, err := r.reload(ctx)
	mistakes, ok := errors.AsType[config.Mistakes](err)
	if !ok {
		return came, nil, err
	}
	faults := make([]httpapi.KeyFault, len(mistakes))
	for i, m := range mistakes {
		faults[i] = httpapi.KeyFault{Key: m.Path, Detail: sentence(m.Problem)}
	}
	return came, faults, nil
}

// candidate is a configuration that was read and found right.
type candidate struct {
	cfg      *config.Config
	snapshot *snapshot
	shown    *httpapi.Pair // nil where the certificate stays
}

// reload waits for its turn, until ctx ends, and then puts the configuration in force
// as it is now. Why it did not is a config.Mistakes or an error of package httpapi.
func (r *reloader) reload(ctx context.Context) (came httpapi.Reloaded, err error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-r.life.Done():
		return came, data.ErrStopping
	case <-ctx.Done():
		return came, httpapi.ErrReloading
	}
	p := r.process
	reading, cancel := context.WithTimeoutCause(r.life, r.limit, errSlowReading)
	defer cancel()
	next, err := r.read(reading)
	if r.life.Err() != nil {
		return came, data.ErrStopping // what is about to end needs no other gateways
	}
	if err == nil {
		came, err = r.apply(ctx, next)
	}
	if errors.Is(err, data.ErrStopping) {
		return came, err
	}
	p.metrics.reloaded(err == nil)
	r.note(err, came.NeedsRestart)
	if err != nil {
		p.log.Error("the configuration is not reloaded, nothing changes", refusal(err)...)
		if mistakesOf(err) == nil && !errors.Is(err, httpapi.ErrReloading) {
			err = fmt.Errorf("%w: %w", httpapi.ErrUnreadable, err)
		}
		return came, err
	}
	p.log.Info("the configuration is reloaded", "added", came.Added, "changed", came.Changed, "removed", came.Removed,
		"gateways", came.Gateways, "routes", came.Routes)
	if len(came.NeedsRestart) > 0 {
		p.log.Warn("some changes of the configuration need a restart", "keys", came.NeedsRestart)
	}
	return came, nil
}

// apply puts a configuration in force, unless its routes name gateways that are
// declared nowhere. No gateway is declared over the API meanwhile; what takes long is
// done before. It waits until ctx ends.
func (r *reloader) apply(ctx context.Context, next candidate) (came httpapi.Reloaded, err error) {
	p := r.process
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.life, cancel)()
	renewal, err := r.prepare(ctx, next.cfg.Delivery)
	if err != nil {
		return came, r.late()
	}
	if p.declarer.changes.shut(ctx) != nil {
		return came, r.late()
	}
	defer p.declarer.changes.open()
	if renewal != nil && p.made.catchUp(ctx, renewal) != nil {
		return came, r.late()
	}
	if err := next.cfg.CheckTargets(p.declared.isMade); err != nil {
		return came, err
	}
	if err := p.admit(next); err != nil {
		return came, err
	}
	next.snapshot.made = p.made
	if renewal != nil {
		p.reportUnusable(p.made.renew(renewal))
	}
	p.client.Allow(next.cfg.Delivery.APINetworks)
	before := p.declared.Swap(next.snapshot)
	p.reportHidden(before, next.snapshot)
	p.limitMemory()
	p.tree.Redefine()
	came = httpapi.Reloaded{Gateways: len(next.cfg.Gateways), Routes: len(next.cfg.Routes)}
	came.Added, came.Changed, came.Removed = next.snapshot.gateways.since(before.gateways)
	// What the process started with is what it has, however often it was reloaded.
	came.NeedsRestart = p.cfg.NeedsRestart(next.cfg)
	return came, nil
}

// prepare compiles the gateways that are declared over the API for other defaults,
// while they may change. It returns nil where they come to the same.
func (r *reloader) prepare(ctx context.Context, is config.Delivery) (*renewal, error) {
	if alike(r.process.declared.Load().delivery(), is) {
		return nil, nil //nolint:nilnil // nothing to do is no error
	}
	renewal := newRenewal(is)
	for range 2 { // while the first one goes on, many may change
		if err := r.process.made.catchUp(ctx, renewal); err != nil {
			return nil, err
		}
	}
	return renewal, nil
}

// late says why a configuration that is right was not put in force.
func (r *reloader) late() error {
	if r.life.Err() != nil {
		return data.ErrStopping
	}
	return fmt.Errorf("%w: %w", httpapi.ErrReloading, errSlowChanges)
}

// alike reports whether gateways that are declared over the API come to the same by
// either.
func alike(a, b config.Delivery) bool {
	a.APINetworks, b.APINetworks = nil, nil
	a.MaxInFlight, b.MaxInFlight = 0, 0
	a.BaseURL, b.BaseURL = config.Text{}, config.Text{}
	return reflect.DeepEqual(a, b)
}

// read reads and compiles the configuration, until ctx ends at the latest.
func (r *reloader) read(ctx context.Context) (candidate, error) {
	select {
	case r.readings <- struct{}{}:
	default:
		return candidate{}, errTooManyReadings
	}
	return aside(ctx, func() (candidate, error) {
		defer func() { <-r.readings }()
		cfg, err := r.load()
		if err != nil {
			return candidate{}, err
		}
		if err := r.process.checkAudience(cfg.HTTP); err != nil {
			return candidate{}, err
		}
		s, err := checkAll(cfg, r.process.base, r.process.declared.Load().gateways, cfg.Propagator.Enabled)
		if err != nil {
			return candidate{}, err
		}
		shown, err := r.process.readCertificate(cfg.HTTP.TLS)
		return candidate{cfg, s, shown}, err
	})
}

// mistakesOf returns what is wrong with a configuration, nil when that is not why it
// was refused.
func mistakesOf(err error) config.Mistakes {
	mistakes, _ := errors.AsType[config.Mistakes](err)
	return mistakes
}

// refusal says for the log why a configuration is not taken.
func refusal(err error) []any {
	mistakes := mistakesOf(err)
	if mistakes == nil {
		return []any{"err", err}
	}
	lines := make([]string, 0, min(len(mistakes), maxReported+1))
	for _, m := range mistakes[:min(len(mistakes), maxReported)] {
		lines = append(lines, m.Path+": "+m.Problem)
	}
	if more := len(mistakes) - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return []any{"mistakes", lines}
}
