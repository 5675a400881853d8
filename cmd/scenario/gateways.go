package main

import (
	"io"
	"maps"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// at is a gateway at a URL; more are other keys of it.
func at(url string, more ...rig.Section) rig.Section {
	g := rig.Section{"url": url}
	for _, m := range more {
		maps.Copy(g, m)
	}
	return g
}

// counter is a gateway that counts requests and answers each after a delay,
// which may be changed for those to come.
type counter struct {
	delay    atomic.Int64
	requests atomic.Int64
	first    atomic.Int64 // when the first one came, in nanoseconds since 1970; 0 when none did
}

func (g *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.first.CompareAndSwap(0, time.Now().UnixNano())
	g.requests.Add(1)
	_, _ = io.Copy(io.Discard, r.Body) // what is missing is nobody's concern
	if d := time.Duration(g.delay.Load()); d > 0 && rig.Wait(r.Context(), d) != nil {
		return
	}
	w.WriteHeader(http.StatusOK)
}
