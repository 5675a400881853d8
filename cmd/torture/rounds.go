package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// options are the flags that all modes have.
type options struct {
	binary   string
	dir      string
	seed     uint64
	only     int // the one round to run; -1 for all
	parallel int
	keep     bool
	journal  string
	control  string   // name of a program to build and torture instead; "" for none
	source   string   // of the program
	maySkip  []string // modes that are no error when they cannot run here

	out io.Writer // of the table
	log io.Writer
}

// run runs the rounds of a mode, or says why that cannot be here.
func run(ctx context.Context, m named, o options, flags *pflag.FlagSet) error {
	_, err := conduct(ctx, m, o, flags)
	return err
}

// conduct is run that also says what it came to, as a line of a table.
func conduct(ctx context.Context, m named, o options, flags *pflag.FlagSet) (_ line, err error) {
	l := line{mode: m.name, options: changed(flags)}
	if o.parallel < 1 || m.rounds < 1 {
		return l, errors.New("--parallel, --rounds: expected more than 0")
	}
	if r, ok := m.mode.(requirer); ok {
		if l.skipped = r.require(); l.skipped != nil {
			_, err = fmt.Fprintf(o.out, "%s: SKIPPED: %v\n", m.name, l.skipped)
			return l, errors.Join(err, o.excuse(m.name, l.skipped))
		}
	}
	// Builds and programs have directories of their own to stand in.
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return l, err
	}
	s := &session{named: m, options: o, flags: l.options}
	if o.control != "" {
		c, err := controlOf(o.control)
		if err != nil {
			return l, err
		}
		dir, err := os.MkdirTemp(o.dir, "postrider-control-")
		if err != nil {
			return l, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if o.binary, err = c.build(ctx, o.source, dir); err != nil {
			return l, err
		}
		s.breaks = &c
	}
	if s.binary, s.version, err = rig.Find(ctx, o.binary); err != nil {
		return l, err
	}
	s.began = time.Now()
	s.say("%s: %s; --seed %d; %s", m.name, m.short, o.seed, s.version)
	s.all(ctx)
	err = errors.Join(s.finish(), context.Cause(ctx))
	l.tally, l.red, l.took = s.tally, s.red, time.Since(s.began)
	return l, err
}

// excuse returns why a mode that was to run and was skipped is an error, or nil.
func (o options) excuse(mode string, why error) error {
	if slices.Contains(o.maySkip, mode) {
		return nil
	}
	return fmt.Errorf("it was skipped: %w; --may-skip %s allows that", why, mode)
}

// checkSkips returns what is wrong with the names of modes that may be skipped.
func (o options) checkSkips() error {
	for _, name := range o.maySkip {
		if !slices.ContainsFunc(modes(), func(m named) bool { return m.name == name }) {
			return fmt.Errorf("--may-skip: there is no mode %q", name)
		}
	}
	return nil
}

// changed returns the options of a mode that are not at their defaults, as they
// stand on a command line.
func changed(flags *pflag.FlagSet) (all []string) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed && f.Name != "rounds" {
			all = append(all, fmt.Sprintf("--%s=%s", f.Name, f.Value))
		}
	})
	return all
}

// session is the rounds of one mode.
type session struct {
	named
	options
	began   time.Time
	version string
	flags   []string
	breaks  *culprit // what the program is a control for; nil for the one we ship

	mu    sync.Mutex // guards what follows, and log
	tally tally
	red   string // of a control, the violation that it was made for
}

// all runs the rounds.
func (s *session) all(ctx context.Context) {
	numbers := make(chan int)
	var working sync.WaitGroup
	for range s.parallel {
		working.Go(func() {
			for k := range numbers {
				s.one(ctx, k)
			}
		})
	}
	first, last := 0, s.rounds-1
	if s.only >= 0 {
		first, last = s.only, s.only
	}
	for k := first; k <= last && ctx.Err() == nil && !s.shown(); k++ {
		select {
		case numbers <- k:
		case <-ctx.Done():
		}
	}
	close(numbers)
	working.Wait()
}

// shown reports whether a control has done what it is for.
func (s *session) shown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.red != ""
}

// one runs one round and tells what it came to.
func (s *session) one(ctx context.Context, number int) {
	r, err := s.round(number)
	if err == nil {
		err = r.run(ctx, s.named)
	}
	found := r.found()
	if ctx.Err() != nil && len(found) == 0 {
		_ = os.RemoveAll(r.dir) // it says nothing
		return
	}
	s.mu.Lock()
	s.tally.add(r, found, err)
	if s.breaks != nil && s.red == "" {
		s.red = s.breaks.red(found)
	}
	s.mu.Unlock()
	if err == nil && len(found) == 0 || s.breaks != nil && len(found) > 0 {
		if s.keep {
			s.say("round %d is in %s", number, r.dir)
			return
		}
		if err := os.RemoveAll(r.dir); err != nil {
			s.say("round %d: %v", number, err)
		}
		return
	}
	if err != nil {
		s.say("round %d could not be carried out: %v", number, err)
	}
	const most = 20
	for i, v := range found {
		if i == most {
			s.say("round %d: and %d more", number, len(found)-most)
			break
		}
		s.say("BROKEN: round %d: %s", number, v)
	}
	s.say("round %d is in %s; again: %s", number, r.dir, s.again(number))
}

// round makes a round. Two rounds have nothing in common.
func (s *session) round(number int) (*round, error) {
	luck := rand.New(rand.NewPCG(s.seed, uint64(number)))
	r := &round{number: number, seed: luck.Uint64(), rand: luck, binary: s.binary, counts: map[string]int64{}, peaks: map[string]int64{}}
	r.log = func(text string) { s.say("round %d: %s", number, text) }
	var err error
	r.dir, err = os.MkdirTemp(s.dir, fmt.Sprintf("postrider-%s-%d-", s.name, number))
	return r, err
}

// again is the command that repeats a round.
func (s *session) again(number int) string {
	words := []string{"torture", s.name, fmt.Sprintf("--seed=%d --round=%d", s.seed, number)}
	if s.breaks != nil {
		words = append(words, "--control="+s.breaks.name)
	}
	return strings.Join(append(words, s.flags...), " ")
}

// say tells people how far it is.
func (s *session) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(s.log, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...)) // nobody else would hear of the error
}

// round is what a mode has for one round. Its methods are for any goroutine.
type round struct {
	number int        // from 0
	seed   uint64     // its own
	rand   *rand.Rand // for one goroutine; others have theirs of source
	dir    string     // kept when the round fails
	binary string

	log func(text string)

	mu       sync.Mutex // guards what follows
	broken   []string
	counts   map[string]int64
	peaks    map[string]int64
	children []*rig.Child
	undo     []func() error
}

func (r *round) run(ctx context.Context, m named) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	over := fmt.Errorf("not within %v: the round", m.limit)
	starved := watchTurns(ctx)
	watch := time.AfterFunc(m.limit, func() {
		r.hung(m.limit, starved())
		cancel(over)
	})
	defer func() {
		watch.Stop()
		cancel(context.Canceled) // ends all that was started
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, c := range r.children {
			<-c.Ended()
		}
		for _, undo := range slices.Backward(r.undo) {
			err = errors.Join(err, undo())
		}
	}()
	if err := m.round(ctx, r); err != nil {
		return err
	}
	return r.tried()
}

// mostStarved is the part of a round in which we may have had no turn ourselves for
// its program to be blamed for the time that it took.
const mostStarved = 0.1

// hung finds fault with the programs that run though the round should have ended
// long ago, unless the machine is to blame: the limits of rounds are many times what
// rounds take.
func (r *round) hung(limit, starved time.Duration) {
	if float64(starved) > mostStarved*float64(limit) {
		r.say("of %v we ourselves had no turn for %v", limit, rig.Span(starved))
		return
	}
	r.mu.Lock()
	children := slices.Clone(r.children)
	r.mu.Unlock()
	for _, c := range children {
		if !c.Gone() {
			r.violate("the program hangs: its round has not ended within %v, and it runs on after %v; it said\n%s", limit, rig.Span(time.Since(c.Started)), c.Said())
		}
	}
}

// turn is how often we look whether the machine gives us a turn.
const turn = 100 * time.Millisecond

// watchTurns adds up until ctx ends how long we waited for a turn of the processor
// beyond the moment at which we wanted one.
func watchTurns(ctx context.Context) (starved func() time.Duration) {
	var sum atomic.Int64
	go func() {
		for {
			due := time.Now().Add(turn)
			if rig.Wait(ctx, turn) != nil {
				return
			}
			if late := time.Since(due); late > turn {
				sum.Add(int64(late))
			}
		}
	}()
	return func() time.Duration { return time.Duration(sum.Load()) }
}

// requestsAcknowledged is the line of the table for what every promise is about.
const requestsAcknowledged = "requests acknowledged"

// tried is the error of a round that found nothing, since nothing was acknowledged
// in it: it says as little about the program as one that did not take place.
func (r *round) tried() error {
	if len(r.found()) > 0 || r.counted(requestsAcknowledged) > 0 {
		return nil
	}
	return errors.New("nothing was acknowledged, so nothing could be lost")
}

// source is chance of its own for one goroutine; streams have numbers.
func (r *round) source(stream int) *rand.Rand {
	return rand.New(rand.NewPCG(r.seed, uint64(stream)))
}

// say tells people how far it is.
func (r *round) say(format string, args ...any) { r.log(fmt.Sprintf(format, args...)) }

// violate notes a promise that was not kept.
func (r *round) violate(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = append(r.broken, fmt.Sprintf(format, args...))
}

// count adds to a line of the table at the end.
func (r *round) count(what string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[what] += int64(n)
}

// peak is a line of the table of which the largest counts, over all rounds.
func (r *round) peak(what string, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.peaks[what] = max(r.peaks[what], n)
}

// counted is how much was counted so far.
func (r *round) counted(what string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[what]
}

// own has the round wait for a child that ends with its context.
func (r *round) own(c *rig.Child) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.children = append(r.children, c)
}

// finally has the round do something when all its children have ended, however it
// ends itself; what was asked for last is done first.
func (r *round) finally(undo func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.undo = append(r.undo, undo)
}

func (r *round) found() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.broken
}
