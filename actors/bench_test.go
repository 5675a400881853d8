package actors

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postrider/postrider/actors/gateway"
	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/data/badger"
)

// onDisk is a whole tree on a real store, with gateways that take everything at
// once and tell it.
func onDisk(b *testing.B, taken func()) *Tree {
	quiet := slog.New(slog.DiscardHandler)
	var commits atomic.Int64
	store, err := badger.Open(badger.Options{
		Path: b.TempDir(), Clock: badger.SystemClock(), Logger: quiet,
		Committed: func(int, int, time.Duration) { commits.Add(1) },
	})
	if err != nil {
		b.Fatal(err)
	}
	tree := Start(Options{
		Store: store,
		Define: func(name string) (gateway.Definition, bool) {
			return gateway.Definition{
				Name:        name,
				Policy:      data.Policy{MaxAttempts: 3, Interval: time.Minute, MaxHint: time.Hour},
				Timeout:     10 * time.Second,
				Concurrency: 256,
				Deliver: func(context.Context, data.Message, int) data.Result {
					taken()
					return data.Result{Outcome: data.OutcomeDelivered, Status: 200}
				},
			}, true
		},
		Failed: func(err error) { b.Error(err) },
		Logger: quiet,
	})
	b.Cleanup(func() {
		b.ReportMetric(float64(commits.Load())/float64(max(1, b.N)), "commits/op")
		if !tree.Stop() {
			b.Error("the tree did not end in order")
		}
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	return tree
}

// saveFrom has so many callers save something at a time.
func saveFrom(b *testing.B, tree *Tree, callers int, records func() *data.Save) {
	b.ReportAllocs()
	b.SetParallelism(max(1, callers/2)) // for each of two processors
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := tree.Persister.Save(context.Background(), records()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkGroupCommit is an event from the caller to the disk and back.
func BenchmarkGroupCommit(b *testing.B) {
	payload := strings.Repeat("x", 200)
	for _, callers := range []int{64, 256, 1024} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			saveFrom(b, onDisk(b, func() {}), callers, func() *data.Save {
				return &data.Save{Events: []data.NewEvent{{Type: "user_joined", Payload: payload}}}
			})
		})
	}
}

// BenchmarkLife is a message from the caller to where it is delivered.
func BenchmarkLife(b *testing.B) {
	text := strings.Repeat("x", 200)
	var taken atomic.Int64
	all := make(chan struct{})
	tree := onDisk(b, func() {
		if taken.Add(1) == int64(b.N) {
			close(all)
		}
	})
	saveFrom(b, tree, 256, func() *data.Save {
		return &data.Save{Messages: []data.NewMessage{{Gateway: "gateway_1", Text: text}}}
	})
	<-all
}
