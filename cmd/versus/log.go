package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/postrider/postrider/data"
)

// growing is a log that a machine's best effort looks like: one file that only
// grows, written once and synced once for all that wait. It cannot be read, is
// never cleaned up, and checks nothing.
type growing struct {
	file    *os.File
	waiting chan entryOfLog
}

// entryOfLog is what one caller wants written.
type entryOfLog struct {
	bytes []byte
	done  chan error // with room for one
}

// mostGroup is how many callers a sync serves at most: more than there are.
const mostGroup = 4096

func openLog(ctx context.Context, at site, _ string) (*back, error) {
	f, err := os.OpenFile(filepath.Join(at.dir, "events.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	g := &growing{file: f, waiting: make(chan entryOfLog, mostGroup)}
	go g.run(ctx)
	return &back{
		events:     g.append,
		durability: func(context.Context) (string, error) { return "write and fsync per group, file grows", nil },
	}, nil
}

// append returns when the events are in the file and synced.
func (g *growing) append(_ context.Context, events []data.NewEvent) error {
	var b []byte
	for _, e := range events {
		b = fmt.Appendf(b, "%d %d %s%s\n", len(e.Type), len(e.Payload), e.Type, e.Payload)
	}
	done := make(chan error, 1)
	g.waiting <- entryOfLog{b, done}
	return <-done
}

// run writes groups: while one is synced the next one gathers.
func (g *growing) run(ctx context.Context) {
	var group []entryOfLog
	var b []byte
	for {
		group, b = group[:0], b[:0]
		select {
		case <-ctx.Done():
			return
		case first := <-g.waiting:
			group = append(group, first)
		}
		for len(g.waiting) > 0 && len(group) < mostGroup {
			group = append(group, <-g.waiting)
		}
		for _, e := range group {
			b = append(b, e.bytes...)
		}
		_, err := g.file.Write(b)
		if err == nil {
			err = g.file.Sync()
		}
		for _, e := range group {
			e.done <- err
		}
	}
}
