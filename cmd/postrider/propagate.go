package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"

	"github.com/spf13/cobra"

	"github.com/postrider/postrider/actors"
	"github.com/postrider/postrider/actors/ticker"
	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
)

func propagateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "propagate",
		Short: "Run only the propagator: post a random event every interval",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			switch {
			case errors.Is(err, errInterrupted):
				return nil
			case err != nil:
				return err
			}
			return propagate(c.Context(), cfg, c.ErrOrStderr())
		},
	}
	configFlags(c)
	return c
}

// propagate runs the ticker until ctx ends. No store is opened.
func propagate(ctx context.Context, cfg *config.Config, errs io.Writer) error {
	log := newLogger(cfg.Log, errs)
	if cfg.Propagator.URL.Value() == "" && cfg.HTTP.Port == 0 {
		return config.Mistakes{{Path: "propagator.url", Problem: "expected where to post, since http.port 0 is no address of a server"}}
	}
	if cfg.Propagator.URL.Value() == "" && cfg.HTTP.TLS.On() {
		return config.Mistakes{{Path: "propagator.url", Problem: "expected where to post, by a name that the certificate of http.tls is for"}}
	}
	options, err := tickerOptions(cfg, ownAddress(cfg.HTTP, cfg.HTTP.Port), log, func(int) {})
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	log.Info("propagating", "url", shownURL(cfg), "interval", cfg.Propagator.Interval, "events", len(options.Events))
	tree := actors.Start(actors.Options{Ticker: options, Failed: tell(failed), Logger: log})
	select {
	case <-ctx.Done():
	case err := <-failed:
		return err
	}
	tree.Drain(ctx)
	tree.Stop()
	return nil
}

// tickerOptions are the propagator's, sending to base/event unless it has a URL
// of its own. The error is a config.Mistakes.
func tickerOptions(cfg *config.Config, base string, log *slog.Logger, sent func(status int)) (*ticker.Options, error) {
	p := cfg.Propagator
	events, err := sampleEvents(p.EventsFile)
	if err != nil {
		return nil, err
	}
	url := p.URL.Value()
	if url == "" {
		url = base + "/event"
	}
	sender := newPoster(url, p.Key.Value())
	return &ticker.Options{
		Interval: p.Interval,
		Timeout:  p.Timeout,
		Events:   events,
		Draw:     rand.IntN,
		Post: func(ctx context.Context, event json.RawMessage) (ticker.Answer, error) {
			status, answer, err := sender.post(ctx, event)
			return ticker.Answer{Status: status, Text: summary(answer)}, err
		},
		Sent:   sent,
		Logger: log,
	}, nil
}

// maxEventsFile bounds the file of events.
const maxEventsFile = 16 << 20

// sampleEvents returns what the propagator draws from. The error is a
// config.Mistakes.
func sampleEvents(path string) ([]json.RawMessage, error) {
	if path == "" {
		return data.Samples(), nil
	}
	events, err := readEvents(path)
	if err != nil {
		return nil, config.Mistakes{{Path: "propagator.events_file", Problem: "expected a file with a JSON array of events: " + err.Error()}}
	}
	return events, nil
}

func readEvents(path string) ([]json.RawMessage, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxEventsFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxEventsFile {
		return nil, fmt.Errorf("it is larger than %d MiB", maxEventsFile>>20)
	}
	return data.ParseSamples(b)
}

func shownURL(cfg *config.Config) string {
	if cfg.Propagator.URL.Value() == "" {
		return ownAddress(cfg.HTTP, cfg.HTTP.Port) + "/event"
	}
	return cfg.Propagator.URL.Address()
}

// tell returns a func that passes the first error on and drops the rest.
func tell(failed chan error) func(error) {
	return func(err error) {
		select {
		case failed <- err:
		default:
		}
	}
}
