package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/postrider/postrider/config"
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
	errTooManyReadings = errors.New("earlier readings of the configuration have not ended; restart the process once its files can be read")
)

// reloader puts the gateways and routes of the configuration in force anew while
// the process runs, and who is let in: all of it, or when there is any mistake nothing.
type reloader struct {
	process  *process
	load     func() (*config.Config, error)
	limit    time.Duration
	readings chan struct{} // has room for maxReadings
}

// follow reloads whenever somebody asks, one at a time, until ctx ends. Who asks
// meanwhile is served afterwards, all of them with one reload: asked has room for
// one.
func (r *reloader) follow(ctx context.Context, asked <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
			r.reload(ctx)
		}
	}
}

// candidate is a configuration that was read and found right.
type candidate struct {
	cfg      *config.Config
	snapshot *snapshot
}

func (r *reloader) reload(ctx context.Context) {
	p := r.process
	reading, cancel := context.WithTimeoutCause(ctx, r.limit, errSlowReading)
	defer cancel()
	next, err := r.read(reading)
	if ctx.Err() != nil {
		return // what is about to end needs no other gateways
	}
	if err == nil {
		err = p.admit(next.cfg.HTTP)
	}
	p.metrics.reloaded(err == nil)
	if err != nil {
		p.overview.config.refused(time.Now(), max(1, len(mistakesOf(err))))
		p.log.Error("the configuration is not reloaded, nothing changes", refusal(err)...)
		return
	}
	limitMemory(p.store.Memtable(), len(next.cfg.Gateways))
	before := p.declared.Swap(next.snapshot)
	p.tree.Redefine()
	added, changed, removed := next.snapshot.gateways.since(before.gateways)
	p.log.Info("the configuration is reloaded", "added", added, "changed", changed, "removed", removed,
		"gateways", len(next.cfg.Gateways), "routes", len(next.cfg.Routes))
	// What the process started with is what it has, however often it was reloaded.
	keys := p.cfg.NeedsRestart(next.cfg)
	p.overview.config.applied(time.Now(), keys)
	if len(keys) > 0 {
		p.log.Warn("some changes of the configuration need a restart", "keys", keys)
	}
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
		return candidate{cfg, s}, err
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
