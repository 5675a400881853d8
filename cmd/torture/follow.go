package main

import (
	"slices"
	"sync"
	"time"
)

// follower is the oracle for a round that is too long to be judged at its end: the
// program deletes meanwhile what is over its time, and what clients were told fills
// no memory. It holds the same promises against the same knowledge, a piece at a
// time:
//
//   - Clients tell it what they send and what came of it, gateways what arrived.
//   - It reads both lists again and again, in sweeps: events from where it ended,
//     messages from the oldest whose end it has not seen.
//   - What was acknowledged before a sweep began is in it, as it was sent. What was
//     refused is not, nor half of what has no answer, nor what nobody sent.
//   - A message that was listed is listed until its end was looked at. A little later
//     than its end, when its arrivals must be known, both are compared and forgotten.
//
// So it holds what happened within the longest life of a message, and no more.
type follower struct {
	round    *round
	promised account // only what was promised
	gateways *gateways
	keep     time.Duration // retention of what ended

	mu       sync.Mutex // guards what clients use too
	requests map[*request]*tracked
	sent     map[sentRecord]piece
	newest   map[order]string
	progress string

	// What follows is for whoever sweeps.
	sweeps   int
	event    string // cursor behind the last event
	places   []place
	swept    string           // newest message that a complete sweep has listed
	lives    map[string]*life // of messages, by id
	strays   map[string][]arrival
	routings map[string]*routing
	dead     map[string]*life
}

// sentRecord is what is stored of a request, as it was sent to a path.
type sentRecord struct {
	path string
	kind string
	text digest
}

// piece is a record of a request that has not been listed.
type piece struct {
	of *tracked
	i  int
}

// order is what acknowledged ids rise in.
type order struct {
	client int
	path   string
}

// tracked is a request of which it is not clear yet that it is stored as it must be.
type tracked struct {
	client  int
	keyed   bool
	pieces  []sentRecord
	listed  []string // ids by record; "" while it was not listed
	acked   []string
	refused bool
	since   time.Time // of the newest answer; zero while none is there
}

// life is a message from its first listing on.
type life struct {
	gateway string
	text    digest
	state   string
	from    time.Time // listed first
	ended   time.Time // listed first with its end; zero before
	judged  bool
	late    bool // it was complained of
	resent  string
	seen    []arrival
	sweep   int // that listed it last
}

// place is where sweeps may begin: behind all ids up to one.
type place struct {
	cursor string
	id     string
}

// routing is a routed event of which the message was not listed, or the other way
// round.
type routing struct {
	event, message bool
	text           digest
	sweep          int
}

const (
	// settling is how long after a message's end its arrivals are all known: a request
	// may wait at its gateway when the program is killed.
	settling = 3 * time.Second
	// unsure is how long after an answer that says nothing a record may come to be
	// stored; a commit that takes longer ends the program. With a key the request is
	// sent again, by the next life of the program.
	unsure      = 75 * time.Second
	unsureKeyed = 5 * time.Minute
	// longestLife is how long a message may take to its end. It waits for a lane that is
	// paused or whose gateway is away, behind others.
	longestLife = 3 * time.Minute
	// lateness is how much later than a message ended that may have been seen: by a
	// sweep, or the next one if a kill broke it off.
	lateness = 30 * time.Second
	// sweepPace is the rest between two sweeps.
	sweepPace = 2 * time.Second
	// mostBroken ends a round that has gone wrong.
	mostBroken = 100
	// mostShown is how many violations are told at once.
	mostShown = 20
)

func newFollower(s *system, keep time.Duration) *follower {
	return &follower{
		round: s.round, promised: account{began: s.began, promised: promises{attempts: s.plan.Attempts, interval: s.plan.Interval}}, gateways: s.gateways, keep: keep,
		requests: map[*request]*tracked{}, sent: map[sentRecord]piece{}, newest: map[order]string{},
		places: []place{{}}, lives: map[string]*life{}, strays: map[string][]arrival{}, routings: map[string]*routing{}, dead: map[string]*life{},
	}
}

// complain notes a promise that was not kept, and tells it at once.
func (f *follower) complain(format string, args ...any) {
	f.round.violate(format, args...)
	if len(f.round.found()) <= mostShown {
		f.round.say("BROKEN: "+format, args...)
	}
}

// sending is told of a request before it is sent for the first time.
func (f *follower) sending(client int, r *request) {
	t := &tracked{client: client, keyed: r.Key != "", listed: make([]string, len(r.Payloads))}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, text := range r.Payloads {
		s := sentRecord{r.Path, r.Kind, digestOf(text)}
		t.pieces = append(t.pieces, s)
		f.sent[s] = piece{t, i}
	}
	f.requests[r] = t
}

// answered is told each time that a request was sent and something came of it.
func (f *follower) answered(client int, r *request) {
	first, newest := r.ids(), r.Replies[len(r.Replies)-1]
	if newest.IDs != nil && !slices.Equal(newest.IDs, first) {
		f.complain("client %d: repeated with its key %s, a request got %v, before %v", client, r.Key, newest.IDs, first)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.requests[r]
	if t == nil {
		return // it was acknowledged and found before
	}
	t.since, t.refused = time.Now(), r.refused()
	if first == nil || t.acked != nil {
		return
	}
	t.acked = first
	f.round.count(requestsAcknowledged, 1)
	at := order{client, r.Path}
	for _, id := range first {
		if id <= f.newest[at] {
			f.complain("client %d: %s was acknowledged after %s", client, id, f.newest[at])
		}
		f.newest[at] = id
	}
	f.compare(r, t)
}

// compare forgets a request all of whose records were acknowledged and listed.
func (f *follower) compare(r *request, t *tracked) {
	if t.acked == nil || slices.Contains(t.listed, "") {
		return
	}
	if !slices.Equal(t.acked, t.listed) {
		f.complain("client %d: a request to %s was acknowledged as %v, stored as %v", t.client, r.Path, t.acked, t.listed)
	}
	delete(f.requests, r)
}

// settle decides about a request after a sweep, if its time has come.
func (f *follower) settle(r *request, t *tracked, began time.Time) {
	there := 0
	for _, id := range t.listed {
		if id != "" {
			there++
		}
	}
	wait := time.Duration(0)
	if t.acked == nil && !t.refused {
		wait = unsure
		if t.keyed {
			wait = unsureKeyed
		}
	}
	switch {
	case t.acked != nil && there == len(t.listed):
		f.compare(r, t)
		return
	case t.since.IsZero() || !t.since.Add(wait).Before(began):
		return
	case t.acked != nil:
		f.complain("client %d: a request to %s was acknowledged as %v, stored as %q", t.client, r.Path, t.acked, t.listed)
	case t.refused && there > 0:
		f.complain("client %d: a request to %s was refused and is stored as %q", t.client, r.Path, t.listed)
	case there > 0 && there < len(t.listed):
		f.complain("client %d: %d of %d events of one request are stored", t.client, there, len(t.listed))
	}
	if t.acked == nil && !t.refused {
		f.round.count("requests without an answer", 1)
	}
	for i, s := range t.pieces {
		if t.listed[i] == "" {
			delete(f.sent, s)
		}
	}
	delete(f.requests, r)
}
