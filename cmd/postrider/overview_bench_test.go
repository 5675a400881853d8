package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/data/badger"
	httpapi "github.com/postrider/postrider/http"
)

// many is so many gateways, declared in the simplest way.
type many []data.Gateway

func (m many) Gateways() []data.Gateway            { return m }
func (m many) Gateway(string) (data.Gateway, bool) { return data.Gateway{}, false }

// rest is what a summary does not need.
type rest struct {
	httpapi.Saver
	httpapi.Canceller
	httpapi.Resender
	httpapi.Pauser
	httpapi.Trier
}

// still is a process that tells nothing.
type still struct{}

func (still) Summary() httpapi.Summary               { return httpapi.Summary{} }
func (still) History(string) (httpapi.History, bool) { return httpapi.History{}, false }

// BenchmarkSummary is what a summary of 100,000 gateways takes, each with one message
// that waits. Most of them are answered with what was found out within a second before.
func BenchmarkSummary(b *testing.B) {
	const lanes, step = 100_000, 1000
	store, err := badger.Open(badger.Options{Path: b.TempDir(), Clock: badger.SystemClock(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	declared := make(many, lanes)
	for i := range declared {
		declared[i].Name = fmt.Sprintf("gateway_%06d", i)
	}
	for from := 0; from < lanes; from += step {
		s := &data.Save{}
		for _, g := range declared[from : from+step] {
			s.Messages = append(s.Messages, data.NewMessage{Gateway: g.Name, Text: "hello"})
		}
		if err := store.Apply(&data.Batch{Saves: []*data.Save{s}}); err != nil || s.Err != nil {
			b.Fatal(err, s.Err)
		}
	}
	r := rest{}
	server, err := httpapi.New(httpapi.Options{
		Saver: r, Canceller: r, Resender: r, Pauser: r, Trier: r, Reader: store, Gateways: declared, Overview: still{},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = server.Serve(ln) }()
	defer func() { _ = server.Shutdown(context.Background()) }()
	url := "http://" + ln.Addr().String() + "/api/v1/summary"
	if _, err := request(b.Context(), http.MethodGet, url, ""); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		a, err := request(b.Context(), http.MethodGet, url, "")
		if err != nil || a.status != http.StatusOK {
			b.Fatal(a, err)
		}
	}
}
