package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

// damage makes a store by some lives under load, and then spoils files of copies
// of it. The program must not start on such a copy, and say why, or serve all
// that was acknowledged; and go on with what is left when it is told to. The first
// copy is left as it was: what is held against that one is no damage.
type damage struct {
	copies  int
	running bool
}

func (m *damage) flags(f *pflag.FlagSet) {
	f.IntVar(&m.copies, "copies", 10, "copies of a round's store to damage")
	f.BoolVar(&m.running, "running", true, "damage one copy in six while the program runs on it")
}

func (m *damage) round(ctx context.Context, r *round) error {
	p := draw(r.rand)
	p.Requests, p.Debug = 60, false
	s, err := newSystem(ctx, r, p)
	if err != nil {
		return err
	}
	olds, err := m.make(ctx, s)
	if err != nil {
		return err
	}
	files, err := filesOf(s.program.Store())
	if err != nil {
		return err
	}
	known := newTold(s)
	r.count(requestsAcknowledged, known.acknowledged)
	for k := range m.copies + 1 {
		t := &trial{
			system: s, told: known.clone(), running: m.running, intact: k == 0, dir: filepath.Join(r.dir, fmt.Sprintf("copy-%d", k)),
			spoiler: &spoiler{luck: r.source(100 + k), files: files, olds: olds},
		}
		if err := t.run(ctx); err != nil && !errors.Is(err, errBroken) {
			return fmt.Errorf("copy %d: %w", k, err)
		}
		if !t.broken {
			if err := os.RemoveAll(t.dir); err != nil {
				return err
			}
		}
	}
	log, err := os.ReadFile(s.logFile()) // of the lives that made the store
	if err != nil {
		return err
	}
	s.secrets.logged(log)
	for _, where := range s.secrets.seen() {
		r.violate("%s", where)
	}
	return s.load.ledger.close()
}

// make has the program make the store, in some lives, and keeps copies of it as
// it was between them.
func (m *damage) make(ctx context.Context, s *system) (olds []string, err error) {
	luck := s.round.rand
	for lives := 2 + luck.IntN(5); lives > 0; lives-- {
		c, err := s.start(ctx)
		if err != nil {
			return nil, err
		}
		wait := s.working(ctx, c)
		err = s.rest(ctx, 50*time.Millisecond, 500*time.Millisecond)
		if luck.IntN(2) == 0 {
			s.kill(c)
		} else {
			_ = c.Signal(syscall.SIGTERM) // how it ends is looked at
			err = errors.Join(err, s.expect(ctx, c, 0))
		}
		if err := errors.Join(err, wait()); err != nil {
			return nil, err
		}
		if lives > 1 {
			old := filepath.Join(s.round.dir, fmt.Sprintf("older-%d", lives))
			if err := copyStore(s.program.Store(), old); err != nil {
				return nil, err
			}
			olds = append(olds, old)
		}
	}
	(&account{Exits: s.exits}).checkExits(s.round.violate)
	return olds, nil
}
