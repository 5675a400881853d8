package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/data/badger"
)

// restore takes backups under load, and when the program has come to its end restores
// each of them elsewhere: what is in it must be the state of one moment, from which
// another program goes on.
type restore struct{ most int }

func (m *restore) flags(f *pflag.FlagSet) {
	f.IntVar(&m.most, "backups", 3, "backups in a round, at most")
}

// backupTaken is a backup.
type backupTaken struct {
	file         string
	began, ended time.Duration // since the round began
	info         badger.Backup
}

func (m *restore) round(ctx context.Context, r *round) error {
	p := draw(r.rand)
	p.Requests = 60
	s, err := newSystem(ctx, r, p)
	if err != nil {
		return err
	}
	var original *account
	s.checks = append(s.checks, func(a *account, _ complainer) { original = a })
	c, err := s.start(ctx)
	if err != nil {
		return err
	}
	wait := s.working(ctx, c)
	var all []backupTaken
	for k := range 1 + r.rand.IntN(m.most) {
		err := s.rest(ctx, 50*time.Millisecond, 800*time.Millisecond)
		if err == nil {
			var one backupTaken
			one, err = s.backUp(ctx, c, k)
			all = append(all, one)
		}
		if err != nil {
			return err
		}
	}
	if err := wait(); err != nil {
		return err
	}
	if err := s.finish(ctx, c); err != nil {
		return err
	}
	for k, one := range all {
		if err := s.restored(ctx, original, one, k); err != nil {
			return err
		}
	}
	return nil
}

// command runs a command of the program, which must end well.
func (s *system) command(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, s.program.Binary, args...)
	cmd.Dir = s.round.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.round.dir, "POSTRIDER_KEY=" + s.program.Key}, s.secrets.environ()...)
	said, err := cmd.CombinedOutput()
	s.secrets.logged(said)
	if err != nil && ctx.Err() == nil {
		s.round.violate("postrider %s: %v; it said\n%s", args[0], err, said)
		return errBroken
	}
	return context.Cause(ctx)
}

// backUp takes a backup of the program, with its own command.
func (s *system) backUp(ctx context.Context, c *rig.Child, k int) (t backupTaken, err error) {
	t = backupTaken{file: filepath.Join(s.round.dir, fmt.Sprintf("%d.backup", k)), began: time.Since(s.began)}
	if err := s.command(ctx, "backup", "--server", c.URL, t.file); err != nil {
		return t, err
	}
	t.ended = time.Since(s.began)
	s.round.count("backups", 1)
	f, err := os.Open(t.file)
	if err != nil {
		return t, err
	}
	t.info, err = badger.CheckBackup(f, nil)
	if err != nil {
		s.round.violate("the backup is whole to the program, and not to us: %v", err)
		err = errBroken
	}
	return t, errors.Join(err, f.Close())
}

// restored restores a backup twice: once to look at what is there, and once to have a
// program go on from it.
func (s *system) restored(ctx context.Context, original *account, t backupTaken, k int) error {
	others, err := newGateways(ctx, &gateways{began: s.began, timeout: s.plan.Timeout, secrets: s.secrets, luck: s.round.source(100 + k), calm: true})
	if err != nil {
		return err
	}
	var programs [2]*rig.Program
	for i := range programs {
		dir := filepath.Join(s.round.dir, fmt.Sprintf("restored-%d-%d", k, i))
		programs[i], err = rig.NewProgram(s.round.binary, dir, s.plan.configuration(others.url, s.secrets))
		if err != nil {
			return err
		}
		p := programs[i]
		p.Environ, p.Log, p.Heard, p.Key = s.program.Environ, s.program.Log, s.program.Heard, s.program.Key
		if err := s.command(ctx, "restore", t.file, "--config", p.File()); err != nil {
			return err
		}
	}
	found, err := readCopy(programs[0].Store(), s.round.violate)
	if err != nil {
		s.round.violate("backup %d was restored and cannot be read: %v", k, err)
		return errBroken
	}
	found.compare(original, t, s.round.violate)
	return s.goOn(ctx, programs[1], others, original, found)
}

// copied is what a restored store holds.
type copied struct {
	records  map[string]record
	attempts map[string][]data.Attempt
	last     string // id
}

// readCopy reads a restored store that no program was started on.
func readCopy(path string, complain complainer) (c *copied, err error) {
	store, err := badger.Open(badger.Options{Path: path, Clock: badger.SystemClock(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := store.Verify(); err != nil { // the exact counts are a part of that
		complain("what was restored does not fit together: %v", err)
	}
	c = &copied{records: map[string]record{}, attempts: map[string][]data.Attempt{}}
	for q := (data.EventQuery{Limit: 1000}); ; {
		page, err := store.Events(q)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Events {
			c.records[e.ID.String()] = record{e.Type, e.Payload}
			c.last = max(c.last, e.ID.String())
		}
		if !page.More {
			break
		}
		q.After = page.Next
	}
	for q := (data.MessageQuery{Limit: 1000}); ; {
		page, err := store.Messages(q)
		if err != nil {
			return nil, err
		}
		for _, m := range page.Messages {
			c.records[m.ID.String()] = record{m.Gateway, m.Text}
			c.attempts[m.ID.String()] = m.Attempts
			c.last = max(c.last, m.ID.String())
		}
		if page.Next == "" {
			return c, nil
		}
		q.After = page.Next
	}
}

// compare holds a backup against what its original came to: all that was accepted up to
// one moment is in it, and nothing else, and so is every attempt that had begun by then.
func (c *copied) compare(original *account, t backupTaken, complain complainer) {
	stored := map[string]record{}
	for _, e := range original.Events {
		stored[e.ID] = record{e.Type, e.Payload}
	}
	for _, m := range original.Messages {
		stored[m.ID] = record{m.Gateway, m.Text}
	}
	for id, r := range stored {
		if got, ok := c.records[id]; id <= c.last && (!ok || got != r) {
			complain("%s is not in the backup as it is stored, which has %s", id, c.last)
		}
	}
	for id := range c.records {
		if _, ok := stored[id]; !ok {
			complain("%s is in the backup, and never was in the store", id)
		}
	}
	for _, requests := range original.Requests {
		for _, r := range requests {
			c.compareRequest(r, t, complain)
		}
	}
	for id, attempts := range c.attempts {
		c.compareAttempts(id, attempts, original.Lives[id], t, complain)
	}
}

// compareRequest looks whether a request is on the right side of the moment.
func (c *copied) compareRequest(r *request, t backupTaken, complain complainer) {
	for _, a := range r.Replies {
		for _, id := range a.IDs {
			if _, ok := c.records[id]; !ok && a.Ended < t.began {
				complain("%s was acknowledged before the backup began, and is not in it", id)
			}
			if _, ok := c.records[id]; ok && r.Replies[0].Sent > t.ended {
				complain("%s was sent when the backup had ended, and is in it", id)
			}
		}
	}
}

// compareAttempts holds the attempts at a message against those of the original, in store
// time, in which the moment is known exactly. One that was under way is settled as cut off
// in the copy, and the original may have withdrawn it.
func (c *copied) compareAttempts(id string, got []data.Attempt, lives []lived, t backupTaken, complain complainer) {
	var want []lived
	for _, one := range lives {
		if one.Began <= time.Duration(t.info.Time) {
			want = append(want, one)
		}
	}
	if n := len(got); n == len(want)+1 && got[n-1].Cause == data.CauseCutOff {
		got = got[:n-1]
	}
	same := slices.EqualFunc(got, want, func(a data.Attempt, w lived) bool {
		return time.Duration(a.Began) == w.Began && (a.Cause == data.CauseCutOff || time.Duration(a.Ended) == w.Ended)
	})
	if !same {
		complain("message %s has %d attempts in the backup and had %d, or others: they are of another moment", id, len(got), len(want))
	}
}

// goOn has a program go on from a restored store until no message has an attempt to come.
// Its gateways are others than those of the original, so what it repeats of that is told
// apart: a message has at most so many attempts by the record of either program, and what
// came to gateways until the backup, with what came after the restore, is what the restored
// one's record says.
func (s *system) goOn(ctx context.Context, p *rig.Program, others *gateways, original *account, found *copied) error {
	c, err := p.Launch(ctx)
	if err != nil {
		return err
	}
	s.round.own(c)
	a := &account{began: s.began, promised: original.promised}
	err = c.AwaitReady(ctx, rig.Patience)
	if err == nil {
		err = awaitEnds(ctx, c, s.plan)
	}
	if err == nil {
		a.Events, a.Messages, err = readAll(ctx, c)
	}
	var id string
	if err == nil {
		id, err = c.Send(ctx, well, "after the restore")
	}
	if err == nil {
		err = c.Stop()
	}
	if err == nil {
		a.Lives, err = readLives(p.Store())
	}
	if err != nil && ctx.Err() == nil {
		s.round.violate("a restored store is not served: %v; the program said\n%s", err, c.Said())
		return errBroken
	}
	for _, one := range original.Arrivals {
		if attempts := found.attempts[one.Message]; one.Number <= len(attempts) {
			a.Arrivals = append(a.Arrivals, one)
		}
	}
	for _, one := range others.all() {
		if one.Message == id {
			continue
		}
		if one.Number <= len(found.attempts[one.Message]) {
			s.round.violate("message %s arrived as attempt %d after a restore, its backup has that one", one.Message, one.Number)
		}
		a.Arrivals = append(a.Arrivals, one)
		s.round.count("arrivals after a restore", 1)
	}
	for _, old := range original.Messages {
		if id <= old.ID {
			s.round.violate("after the restore id %s was given, the original gave %s", id, old.ID)
		}
	}
	a.checkRouted(s.round.violate)
	a.checkLives(s.round.violate)
	s.round.count("restores that went on", 1)
	return context.Cause(ctx)
}
