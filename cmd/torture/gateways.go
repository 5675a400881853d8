package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// The gateways, by what they do.
const (
	well     = "well"     // takes everything at once
	slowly   = "slow"     // takes everything, later
	failing  = "failing"  // answers 500, as a rule
	hanging  = "hanging"  // says nothing, as a rule
	breaking = "breaking" // breaks the connection, as a rule
)

func kinds() []string { return []string{well, slowly, failing, hanging, breaking} }

// slowest is the longest that the slow gateway takes.
const slowest = 80 * time.Millisecond

// arrival is a request as a gateway saw it.
type arrival struct {
	Gateway string
	Message string // the id that it names
	Number  int    // of the attempt; 0 when there is none
	Text    digest // of the message; zero when the body is not what it should be
	At      time.Duration
	// End is just before the answer or the end of the connection, or when the
	// program gave up at the latest. All times are since the round began.
	End    time.Duration
	Status int  // of the answer; 0 when there was none
	Known  bool // it came with the secrets of its gateway

	late time.Duration // how long after At the gateway turned to it
}

// givenUp reports whether the gateway turned to it when it may have been given up.
func (a *arrival) givenUp() bool { return a.late > tolerance/2 }

// digest is a SHA-256.
type digest [sha256.Size]byte

func digestOf(text string) digest { return sha256.Sum256([]byte(text)) }

// gateways are all of them, on one port, each at the path of its name.
type gateways struct {
	url     string
	began   time.Time
	timeout time.Duration // of the program
	secrets *secrets
	calm    bool // all of them take everything at once

	mu       sync.Mutex // guards what follows
	luck     *rand.Rand
	arrivals []*arrival
}

// newGateways starts them. They end with ctx.
func newGateways(ctx context.Context, g *gateways) (*gateways, error) {
	url, err := rig.Serve(ctx, g)
	g.url = url
	return g, err
}

func (g *gateways) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := g.enter(r)
	status, delay := g.draw(a.Gateway)
	if delay > 0 {
		// It waits until the program gives up, if that is earlier.
		_ = rig.Wait(r.Context(), delay)
	}
	if r.Context().Err() != nil {
		status = 0
		g.lose(a)
	}
	g.leave(a, status)
	if status == 0 {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
}

// enter notes what has come. The time is that before the body is read, or when the
// request came if that is long ago.
func (g *gateways) enter(r *http.Request) *arrival {
	a := g.announced(r)
	a.Gateway = r.URL.Path[1:]
	a.Known = a.Known && r.URL.Query().Get("token") == g.secrets.url
	a.Text = textOf(r)
	g.add(a)
	return a
}

// announced is what the head of a request says.
func (g *gateways) announced(r *http.Request) *arrival {
	lateness := rig.Lateness(r)
	a := &arrival{Message: r.Header.Get("Postrider-Message-Id"), At: time.Since(g.began) - lateness, late: lateness}
	a.Number, _ = strconv.Atoi(r.Header.Get("Postrider-Attempt")) // 0 is a violation
	a.Known = r.Header.Get("Authorization") == g.secrets.header && r.Header.Get("X-Token") == g.secrets.token
	return a
}

// textOf reads the body of a request and returns what it says of its message.
func textOf(r *http.Request) (text digest) {
	var body map[string]string
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return cut
	}
	if json.Unmarshal(b, &body) == nil && len(body) == 1 {
		if said, ok := body["message"]; ok {
			return digestOf(said)
		}
	}
	return text
}

func (g *gateways) add(a *arrival) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.arrivals = append(g.arrivals, a)
}

// cut marks an arrival whose body broke off, as it does when the program dies or
// gives up, or when the gateway did not read it.
var cut = digestOf("a body that broke off")

// draw decides what happens to a request.
func (g *gateways) draw(kind string) (status int, delay time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.calm {
		return http.StatusOK, 0
	}
	rarely := g.luck.IntN(4) == 0
	switch kind {
	case slowly:
		return http.StatusOK, time.Duration(g.luck.Int64N(int64(slowest)))
	case failing:
		if rarely {
			return http.StatusAccepted, 0
		}
		return http.StatusInternalServerError, 0
	case hanging:
		if rarely {
			return http.StatusOK, g.timeout / 2
		}
		return 0, rig.Patience
	case breaking:
		if rarely {
			return http.StatusOK, 0
		}
		return 0, 0
	}
	return http.StatusOK, 0
}

// heardLate is how much later a gateway may hear that it was given up on, and of
// the request, when the machine is busy.
const heardLate = 200 * time.Millisecond

// lose notes that the program gave up on one some time ago.
func (g *gateways) lose(a *arrival) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a.End = max(a.At, min(time.Since(g.began), a.At+g.timeout)-heardLate)
}

// leave notes that one ends now, if it has not ended, with 0 for a connection that
// breaks.
func (g *gateways) leave(a *arrival, status int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if a.End != 0 {
		return
	}
	// That the program has given up is heard of later, or not at all.
	a.End, a.Status = min(time.Since(g.began), a.At+g.timeout), status
	if a.givenUp() {
		a.End = a.At // it may have ended at once
	}
}

// take returns the arrivals that have ended, and forgets them.
func (g *gateways) take() (ended []arrival) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.arrivals = slices.DeleteFunc(g.arrivals, func(a *arrival) bool {
		if a.End > 0 {
			ended = append(ended, *a)
		}
		return a.End > 0
	})
	return ended
}

// all returns copies, in the order in which they came. Those that have not ended
// end with their arrival.
func (g *gateways) all() []arrival {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]arrival, len(g.arrivals))
	for i, a := range g.arrivals {
		all[i] = *a
		all[i].End = max(a.End, a.At)
	}
	return all
}
