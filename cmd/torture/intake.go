package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// intake attacks the program as a hostile client does, while others send as ever.
type intake struct {
	attack      choice
	connections int
	slow        time.Duration
	bodies      int
	health      time.Duration
}

func (m *intake) flags(f *pflag.FlagSet) {
	for _, a := range attacks() {
		m.attack.of = append(m.attack.of, a.name)
	}
	f.Var(&m.attack, "attack", "the one attack to make")
	f.IntVar(&m.connections, "connections", 5000, "connections of slow clients, and twice those of a flood")
	f.DurationVar(&m.slow, "slow", 20*time.Second, "how long slow clients go on; above 18s the program must have ended them")
	f.IntVar(&m.bodies, "bodies", 1_000_000, "bad bodies")
	f.DurationVar(&m.health, "health", 100*time.Millisecond, "within which 99 of 100 answers of /healthz must come")
}

func (m *intake) require() error {
	const others = 1024 // clients, gateways, the store
	return rig.Descriptors(uint64(m.connections) + others)
}

// attack is one way to be hostile. Its error says that it could not be carried out.
type attack struct {
	name string
	run  func(*siege, context.Context) error
}

// attacks are all of them, each in the file of its kind.
func attacks() []attack {
	return []attack{
		{"slowloris", (*siege).slowloris},
		{"slow-readers", (*siege).slowReaders},
		{"flood", (*siege).flood},
		{"hang-ups", (*siege).hangUps},
		{"smuggling", (*siege).smuggling},
		{"bodies", (*siege).badBodies},
	}
}

func (m *intake) round(ctx context.Context, r *round) error {
	p := draw(r.rand)
	p.Clients, p.Pause, p.Requests = 8, 40*time.Millisecond, 5
	p.Debug = false                   // a line for each bad body is too much
	p.Largest = min(p.Largest, 5_000) // it is the attacks that are large
	for kind := range p.Budget {
		p.Budget[kind] = 20
	}
	system, err := newSystem(ctx, r, p)
	if err != nil {
		return err
	}
	s := &siege{system: system, options: m}
	if s.child, err = s.start(ctx); err != nil {
		return err
	}
	if err := s.fill(ctx); err != nil {
		return err
	}
	if err := s.load.work(ctx, s.child); err != nil {
		return err
	}
	if err := s.look(&s.before); err != nil {
		return err
	}
	all := attacks()
	r.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, a := range all {
		if !m.attack.includes(a.name) {
			continue
		}
		if err := s.under(ctx, a); err != nil {
			return err
		}
	}
	if err := s.settled(ctx); err != nil {
		return err
	}
	return s.finish(ctx, s.child)
}

// siege is a round of this mode.
type siege struct {
	*system
	options *intake
	child   *rig.Child
	before  footprint
}

// footprint is what a process takes of the system.
type footprint struct{ anonymous, descriptors int64 }

func (s *siege) look(into *footprint) error {
	pid, err := s.child.Pid()
	if err != nil {
		return err
	}
	memory, err := s.child.Memory()
	if err != nil {
		return err
	}
	into.anonymous = memory.Anonymous
	into.descriptors, err = rig.DescriptorsOf(pid)
	return err
}

// Limits of what must be as before.
const (
	// recovered is how soon after an attack all is normal.
	recovered = 5 * time.Second
	// moreFiles is what normal clients and gateways may have open at one time more
	// than at another.
	moreFiles = 128
	// moreMemory is what the runtime may keep for next time, some seconds after the
	// last attack.
	moreMemory = 64 << 20
	// calm is how long that may take. With little to do the runtime looks for garbage
	// every two minutes, and gives memory back some time after that.
	calm = 3 * time.Minute
)

// under makes an attack while health is asked for and normal clients go on.
func (s *siege) under(ctx context.Context, a attack) error {
	s.round.say("%s", a.name)
	pid, err := s.child.Pid()
	if err != nil {
		return err
	}
	before, err := readProcessors(pid)
	if err != nil {
		return err
	}
	began := time.Now()
	p := newPulse(ctx, s.child)
	var over atomic.Bool
	normal := make(chan error, 1)
	go func() {
		for !over.Load() && ctx.Err() == nil && !s.child.Gone() {
			if err := s.load.work(ctx, s.child); err != nil {
				normal <- err
				return
			}
		}
		normal <- nil
	}()
	// One that is over at once is made again, or health was not asked for often
	// enough to be judged.
	for err = a.run(s, ctx); err == nil && time.Since(began) < enough; {
		err = a.run(s, ctx)
	}
	ended := time.Now()
	over.Store(true)
	beats := p.stop()
	if err := errors.Join(err, <-normal); err != nil || ctx.Err() != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	if s.child.Gone() {
		s.round.violate("%s: the program ended with %d; it said\n%s", a.name, s.child.Code(), s.child.Said())
		return errBroken
	}
	after, err := readProcessors(pid)
	if err != nil {
		return err
	}
	others := after.others(before)
	s.judgeHealth(a.name, beats, others)
	if err := s.back(ctx, a.name, ended); err != nil {
		return err
	}
	anonymous, descriptors, err := s.child.Peak()
	if err != nil {
		return err
	}
	s.round.peak("most memory, MiB, "+a.name, anonymous/rig.Mebibyte)
	s.round.say("%s took %s: health %v; others had %.0f %% of the machine; %s and %d descriptors at most",
		a.name, rig.Span(ended.Sub(began)), beats, 100*others, rig.Size(anonymous), descriptors)
	return nil
}

const (
	// few are too few answers of health to judge it: the slowest one would decide.
	few = 50
	// enough is how long an attack lasts at least.
	enough = 2 * few * heartbeat
)

// foreign is the part of the machine that others may have. Beyond it a late answer
// says nothing about the program.
const foreign = 0.2

// judgeHealth looks at how soon /healthz was answered during an attack, while
// others had a part of the machine.
func (s *siege) judgeHealth(attack string, b *beats, others float64) {
	for _, fault := range b.faults {
		s.round.violate("%s: /healthz: %s", attack, fault)
	}
	typical, longest := b.figures()
	s.round.count("health answers", len(b.took))
	s.round.peak("health, 99 %, ms, "+attack, typical.Milliseconds())
	s.round.peak("health, longest, ms, "+attack, longest.Milliseconds())
	switch {
	case typical <= s.options.health:
		return
	case len(b.took) < few:
		s.round.count("attacks with too few answers to judge health", 1)
		return
	case others > foreign:
		s.round.count("attacks during which others were too busy to judge health", 1)
		s.round.say("%s: not judged: 99 of 100 answers of /healthz came within %v, others had %.0f %% of the machine", attack, typical, 100*others)
		return
	}
	s.round.violate("%s: 99 of 100 answers of /healthz came within %v, want %v", attack, typical, s.options.health)
}

// back waits until all is normal after an attack that ended at a time.
func (s *siege) back(ctx context.Context, attack string, ended time.Time) error {
	var now footprint
	err := rig.Until(ctx, "normal again", recovered-time.Since(ended), 50*time.Millisecond, func() (bool, error) {
		if err := s.look(&now); err != nil {
			return false, err
		}
		if now.descriptors > s.before.descriptors+moreFiles {
			return false, nil
		}
		took, fault := beat(ctx, s.child, nil)
		if fault != "" || took > s.options.health {
			return false, nil
		}
		return s.allTaken(ctx)
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		s.round.violate("%s: %v; %d descriptors, %d before", attack, err, now.descriptors, s.before.descriptors)
		return nil
	}
	s.round.peak("normal again after an attack, ms", time.Since(ended).Milliseconds())
	return nil
}

// allTaken reports whether what normal clients send is taken.
func (s *siege) allTaken(ctx context.Context) (bool, error) {
	before := make([]int, len(s.load.clients))
	for i, c := range s.load.clients {
		before[i] = len(c.done)
	}
	if err := s.load.work(ctx, s.child); err != nil {
		return false, err
	}
	for i, c := range s.load.clients {
		for _, r := range c.done[before[i]:] {
			if r.ids() == nil {
				return false, nil
			}
		}
	}
	return true, nil
}

// settled waits until the memory of all attacks is given back. Clients go on
// meanwhile: the runtime of a program that does nothing does not tidy up.
func (s *siege) settled(ctx context.Context) error {
	began := time.Now()
	var now footprint
	err := rig.Until(ctx, "memory as before", calm, 100*time.Millisecond, func() (bool, error) {
		if err := s.look(&now); err != nil {
			return false, err
		}
		if now.anonymous <= s.before.anonymous+moreMemory {
			return true, nil
		}
		return false, s.load.work(ctx, s.child)
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		s.round.violate("%v: %s, %s before", err, rig.Size(now.anonymous), rig.Size(s.before.anonymous))
	}
	s.round.peak("memory as before, after ms", time.Since(began).Milliseconds())
	s.round.peak("memory after all, MiB", now.anonymous/rig.Mebibyte)
	s.round.peak("memory before, MiB", s.before.anonymous/rig.Mebibyte)
	return nil
}

// fill stores enough for large answers.
func (s *siege) fill(ctx context.Context) error {
	const arrays, events, size = 16, 64, 3 << 10
	guest := s.load.extra()
	for range arrays {
		texts := make([]string, events)
		for i := range texts {
			texts[i] = fmt.Sprintf("fill %d %0*d", i, size, i)
		}
		r := guest.events(texts...)
		if answered, err := guest.send(ctx, s.child, r); err != nil || !answered || r.ids() == nil {
			return fmt.Errorf("fill the lists: %+v, %w", r.Replies, err)
		}
	}
	return nil
}
