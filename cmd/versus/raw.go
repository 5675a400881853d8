package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/egress"
)

// raw is a ceiling: a process that does nothing but post the same message to the
// sink, with as many requests under way as others have workers.
type raw struct {
	name    string
	process *process
}

func rawLoop(name string) func() contestant { return func() contestant { return &raw{name: name} } }

func (r *raw) start(ctx context.Context, at site) (url string, err error) {
	r.process, _, err = spawnReady(ctx, "loop", r.name, "--sink", at.sink, "--workers", strconv.Itoa(at.workers))
	return "", err
}

func (r *raw) durability(context.Context) (string, error) { return "none: nothing is stored", nil }

func (r *raw) open(context.Context) (int64, error) { return 0, nil }

func (r *raw) stop() error { return r.process.stop() }

// serveLoop posts until in ends.
func serveLoop(ctx context.Context, in io.Reader, out io.Writer, name string, at site) error {
	post, err := loopPoster(name, at)
	if err != nil {
		return err
	}
	if err := announce(out, ready{}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ends(ctx, in))
	defer cancel(nil)
	var working sync.WaitGroup
	var failure error
	var once sync.Once
	for range at.workers {
		working.Go(func() {
			for ctx.Err() == nil {
				if err := post(ctx); err != nil && ctx.Err() == nil {
					once.Do(func() { failure = err })
					cancel(err)
				}
			}
		})
	}
	working.Wait()
	return failure
}

// loopPoster returns one attempt with the client of that name.
func loopPoster(name string, at site) (func(context.Context) error, error) {
	switch name {
	case rawFastName:
		post := poster(at.sink, at.workers)
		return func(context.Context) error { return post(text()) }, nil
	case rawNetName:
		return netPoster(at), nil
	case rawOurName:
		return ourPoster(at)
	}
	return nil, fmt.Errorf("there is no loop %q", name)
}

func netPoster(at site) func(context.Context) error {
	client := &http.Client{Transport: &http.Transport{
		MaxConnsPerHost: at.workers, MaxIdleConnsPerHost: at.workers, MaxIdleConns: at.workers, DisableCompression: true,
	}}
	body := []byte(`{"message":"` + text() + `"}`)
	return func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, at.sink, bytes.NewReader(body))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		return err
	}
}

// ourPoster renders and judges too, as each attempt of the program does.
func ourPoster(at site) (func(context.Context) error, error) {
	d, err := dialect.Compile(dialect.Declaration{URL: at.sink})
	if err != nil {
		return nil, err
	}
	client := egress.New(egress.Options{MaxConns: at.workers, MaxIdle: at.workers})
	m := data.Message{ID: firstID, Text: text()}
	return func(ctx context.Context) error {
		if r := client.Deliver(ctx, d, m, 1, 10*time.Second); r.Outcome != data.OutcomeDelivered {
			return fmt.Errorf("an attempt ended as %v, %v", r.Outcome, r.Cause)
		}
		return nil
	}, nil
}
