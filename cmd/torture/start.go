package main

import (
	"context"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// The cases of starting and ending.
const (
	caseRace   = "race"   // two programs for one directory
	caseTerm   = "term"   // asked to end, under load and while it starts
	caseSecond = "second" // asked to end twice
)

// start has the program start and end at the wrong moments. Rounds of its cases
// take turns.
type start struct {
	which choice
}

func (m *start) flags(f *pflag.FlagSet) {
	m.which.of = []string{caseRace, caseTerm, caseSecond}
	f.Var(&m.which, "case", "race, term or second; all of them take turns")
}

func (m *start) round(ctx context.Context, r *round) error {
	p := draw(r.rand)
	p.Pause /= 2 // a life is short
	// What hangs must not take longer than the end may.
	p.Attempts = min(p.Attempts, 3)
	drain := []time.Duration{0, 100 * time.Millisecond, 25 * time.Second}[r.rand.IntN(3)]
	which := m.which.forRound(r.number)
	if which == caseSecond {
		drain = 25 * time.Second // else the first signal might do
	}
	s, err := newSystem(ctx, r, p, func(c rig.Section) {
		h, _ := c["http"].(rig.Section)
		if h == nil {
			h = rig.Section{}
			c["http"] = h
		}
		h["drain"] = drain.String()
	})
	if err != nil {
		return err
	}
	e := &ending{system: s, drain: drain}
	r.say("%s, drain %v", which, drain)
	switch which {
	case caseRace:
		return e.race(ctx)
	case caseTerm:
		return e.term(ctx)
	}
	return e.second(ctx)
}

// Limits of what takes no time unless something is wrong, with room for a machine
// that has other things to do.
const (
	// unarmed is how much a process may have worked when a signal still ends it as
	// it ends any: the runtime has to start before the program can ask for signals.
	unarmed = 20 * time.Millisecond
	// closing is what the program takes at most to end after it has drained.
	closing = 5 * time.Second
	// atOnce is how soon it ends after a second signal.
	atOnce = 2 * time.Second
	// dispatch is how long ending may take beyond all that.
	dispatch = 3 * time.Second
)

// ending is a round of this mode.
type ending struct {
	*system
	drain time.Duration
}

// ended notes the end of a child, whose code the caller has judged.
func (e *ending) ended(c *rig.Child) {
	code := c.Code()
	e.exits = append(e.exits, exit{Code: code, Killed: code == -1, Want: code})
}

// await waits for a child to end and returns how long that took.
func (e *ending) await(ctx context.Context, c *rig.Child, limit time.Duration, what string) (time.Duration, error) {
	began := time.Now()
	ended, err := c.AwaitEnd(ctx, limit)
	if ended || err != nil {
		return time.Since(began), err
	}
	e.round.violate("%s: the program has not ended after %v; it said\n%s", what, limit, c.Said())
	return 0, errBroken
}
