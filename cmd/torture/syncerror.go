package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// syncError has the k-th flush of the program, of all or of one part of the store,
// return EIO without being carried out. From then on nothing may be acknowledged,
// and the program must end with 1 and without a panic; what it acknowledged before
// is there after the next start.
type syncError struct{}

func (*syncError) flags(*pflag.FlagSet) {}

func (*syncError) require() error { return canTap() }

// target is the flush that fails.
type target struct {
	kind    string // "" for every part of the store
	number  int    // among those of the kind
	closing bool   // count only from the signal to end
}

// drawTarget draws one. Parts that are flushed rarely are as likely as the others.
func drawTarget(luck *rand.Rand) target {
	most := []struct {
		kind   string
		number int
	}{
		{"", 300}, {"", 20}, {memtables, 200}, {valueLog, 200}, {acknowledged, 3}, {tables, 12}, {manifest, 10}, {directories, 10}, {stamps, 1},
	}
	if luck.IntN(10) == 0 {
		return target{number: 1 + luck.IntN(8), closing: true}
	}
	of := most[luck.IntN(len(most))]
	return target{kind: of.kind, number: 1 + luck.IntN(of.number)}
}

func (*syncError) round(ctx context.Context, r *round) error {
	p := short(draw(r.rand))
	at := drawTarget(r.rand)
	if at.kind == tables || at.kind == manifest {
		// So much that memtables become tables, and tables are merged.
		p.Memtable, p.Largest, p.Events, p.Requests = 8, 60_000, 0.9, 400
	}
	s, err := newSystem(ctx, r, p)
	if err != nil {
		return err
	}
	r.say("the flush that fails: %+v", at)
	if err := s.past(ctx); err != nil {
		return err
	}
	if err := lifeThatFails(ctx, s, at); err != nil {
		return err
	}
	c, err := s.start(ctx)
	if err != nil {
		return err
	}
	return s.lastly(ctx, c)
}

// lifeThatFails is a life in which a flush fails.
func lifeThatFails(ctx context.Context, s *system, at target) error {
	aim := &breaker{target: at}
	if at.closing {
		aim.number = 0
	}
	began := time.Since(s.began)
	c, t, err := s.tapped(ctx, aim.decide)
	if err != nil {
		return err
	}
	if err := s.under(ctx, c); err != nil {
		return err
	}
	ready := c.Ready > 0
	if !c.Gone() && !aim.broken() {
		// What was not flushed often enough fails while the store is closed.
		aim.aim(max(1, min(at.number, 8)))
		_ = c.Signal(syscall.SIGTERM)
	}
	ended, err := c.AwaitEnd(ctx, rig.StopsWithin)
	if err != nil {
		return err
	}
	if !ended {
		if aim.broken() {
			s.round.violate("a flush of %s failed, and the program runs on; it said\n%s", aim.hit.kind(), c.Said())
		} else {
			s.round.violate("asked to end, the program runs on; it said\n%s", c.Said())
		}
		return errBroken
	}
	if err := t.wait(); err != nil {
		return err
	}
	if !aim.broken() {
		return fmt.Errorf("no flush failed; the program ended with %d and said\n%s", c.Code(), c.Said())
	}
	s.exits = append(s.exits, exit{Code: c.Code(), Want: 1})
	when := " while it ran"
	switch {
	case !ready:
		when = " before it was ready"
	case aim.closing:
		when = " while it stopped"
	}
	s.round.count("failed: "+aim.hit.kind()+when, 1)
	for _, what := range troubles(c.Said()) {
		s.round.violate("a flush of %s failed%s: %s", aim.hit.kind(), when, what)
	}
	for _, what := range lateAcknowledgements(s.load.requests(), max(began, aim.settled())) {
		s.round.violate("a flush of %s failed%s, at %v: %s", aim.hit.kind(), when, aim.hit.At, what)
	}
	if aim.again != nil {
		s.round.count("files flushed again after a failure", 1)
	}
	return nil
}

// breaker has one flush fail. The tap asks it.
type breaker struct {
	mu sync.Mutex // guards what follows
	target
	seen     int
	last     time.Duration // when the last commit before the failure was flushed
	hit      flush
	isBroken bool
	again    *flush // of the same file, the first that was carried out after it
}

func (b *breaker) decide(f flush) (fate, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.isBroken && (b.kind == "" || f.kind() == b.kind) {
		b.seen++
		if b.seen == b.number {
			b.isBroken, b.hit = true, f
			return fails, 0
		}
	}
	if b.isBroken && b.again == nil && f.File != "" && f.File == b.hit.File {
		b.again = &f
	}
	if !b.isBroken && f.kind() == memtables {
		b.last = f.At
	}
	return passes, 0
}

// aim has the flush of a number from now on fail, whatever it is of.
func (b *breaker) aim(number int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.target, b.seen = target{number: number, closing: true}, 0
}

func (b *breaker) broken() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.isBroken
}

// grace is how long a failure that does not belong to a commit takes until it is
// known to all of the program.
const grace = 250 * time.Millisecond

// mergeGrace is the same for a table. One that a merge could not write is missed when
// the others are there; what is acknowledged until then is flushed, and not in it.
const mergeGrace = 5 * time.Second

// settled is the time after which nothing may be sent that is acknowledged. A
// commit whose flush fails is in nobody's answer, so it is when the flush of the
// one before began: what was sent later is not in that one. What was sent earlier may
// be in it, and its answer under way yet, even when the file is flushed again: that one
// proves nothing, since the system may have dropped what the failed one was for.
func (b *breaker) settled() time.Duration {
	switch b.hit.kind() {
	case memtables, valueLog:
		return b.last
	case tables:
		return b.hit.At + mergeGrace
	}
	return b.hit.At + grace
}

// lateAcknowledgements lists what was sent for the first time after a time and
// acknowledged. What was stored before may be answered again without a flush.
func lateAcknowledgements(requests [][]*request, settled time.Duration) (all []string) {
	for c, sent := range requests {
		for _, r := range sent {
			if len(r.Replies) == 0 {
				continue
			}
			if first := r.Replies[0]; first.IDs != nil && first.Sent > settled {
				all = append(all, fmt.Sprintf("client %d: %v was sent at %v and acknowledged at %v", c, first.IDs, first.Sent, first.Ended))
			}
		}
	}
	return all
}

// troubles finds in what a program said when it ended what nobody should see, and
// that nothing was said for people.
func troubles(said string) (all []string) {
	for _, text := range []string{"panic:", "goroutine ", "fatal error:", "SIGBUS", "SIGSEGV", "runtime error"} {
		if strings.Contains(said, text) {
			all = append(all, fmt.Sprintf("the program said %q:\n%s", text, said))
		}
	}
	if !strings.Contains(said, "postrider: ") {
		all = append(all, "the program did not say why it ended:\n"+said)
	}
	return all
}
