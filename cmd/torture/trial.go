package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
	"github.com/postrider/postrider/data"
)

// trial is one damaged copy. What must be right about it is what the lists say, what
// is read by id, and what comes to gateways: in half of the trials lanes run, on what
// waits in the store and on a message more, and gateways note what arrives.
type trial struct {
	*system
	*told
	*spoiler
	dir      string
	intact   bool   // nothing is done to it
	running  bool   // it may be damaged while it is open
	what     string // happened to it
	program  *rig.Program
	outside  *gateways // all of which take everything
	delivers bool
	lost     bool // the loss was accepted
	broken   bool
}

// complain notes a promise that was not kept, with what was done to the store.
func (t *trial) complain(format string, args ...any) {
	t.broken = true
	t.round.violate("%s (%s): %s", filepath.Base(t.dir), t.what, fmt.Sprintf(format, args...))
}

func (t *trial) run(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t.outside, err = newGateways(ctx, &gateways{began: t.began, timeout: t.plan.Timeout, secrets: t.secrets, luck: t.luck, calm: true})
	if err != nil {
		return err
	}
	t.delivers = t.intact || t.luck.IntN(2) == 0
	if t.program, err = rig.NewProgram(t.round.binary, t.dir, t.configuration(t.delivers)); err != nil {
		return err
	}
	t.program.Environ, t.program.Key, t.program.Heard = t.secrets.environ(), t.system.program.Key, t.secrets.heard
	t.program.Log = filepath.Join(t.dir, "log.jsonl")
	if err := copyStore(t.system.program.Store(), t.program.Store()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.readLog()) }()
	defer func() { t.round.count("arrivals from damaged stores", len(t.outside.all())) }()
	if t.delivers {
		t.round.count("damages: lanes run", 1)
	}
	if t.intact {
		return t.untouched(ctx)
	}
	t.round.count("damages", 1)
	if t.luck.IntN(6) == 0 && t.running {
		if one, ok := t.live(); ok {
			return t.underfoot(ctx, one)
		}
	}
	all := t.draw(1 + t.luck.IntN(5)/2)
	t.what = fmt.Sprint(all)
	for _, one := range all {
		t.round.count("damages: "+one.how, 1)
		if err := one.apply(t.program.Store()); err != nil {
			return err
		}
	}
	c, err := t.open(ctx)
	if err != nil {
		return err
	}
	refused := c == nil
	if !refused {
		clean, err := t.served(ctx, c)
		if err != nil {
			return err
		}
		if clean {
			t.round.count("damages that do no harm", 1)
		}
	} else {
		t.round.count("damages refused", 1)
	}
	if refused && t.luck.IntN(2) == 0 || t.luck.IntN(20) == 0 {
		return t.accept(ctx)
	}
	return nil
}

// untouched serves the copy as it was.
func (t *trial) untouched(ctx context.Context) error {
	t.what = "nothing"
	c, err := t.open(ctx)
	if err != nil {
		return err
	}
	if c == nil {
		t.complain("it does not start")
		return errBroken
	}
	clean, err := t.served(ctx, c)
	if err == nil && !clean {
		t.complain("it found damage")
	}
	return err
}

// configuration is that of a copy. Gateways that are not declared get nothing.
func (t *trial) configuration(declared bool) rig.Section {
	p := t.plan
	p.Rate, p.HoldAfter = 0, 0
	c := p.configuration(t.outside.url, t.secrets)
	delete(c, "routes")
	if !declared {
		delete(c, "gateways")
	}
	return c
}

// readLog looks for what nobody should have to read.
func (t *trial) readLog() error {
	b, err := os.ReadFile(t.program.Log)
	if err != nil {
		return ifThere(err)
	}
	t.secrets.logged(b)
	for _, bad := range []string{"panic", "goroutine ", "runtime error", "fatal error", "SIGBUS", "SIGSEGV", "out of range", "nil pointer"} {
		at := strings.Index(string(b), bad)
		if at < 0 {
			continue
		}
		t.complain("it panicked: …%s…", b[max(0, at-200):min(len(b), at+800)])
		break
	}
	return nil
}

// mostStarts is how often a start is tried that ends while the program runs.
const mostStarts = 3

// open starts the program, which becomes ready or says why it does not: then c is
// nil. It may find out only later, but then the next start must know.
func (t *trial) open(ctx context.Context, args ...string) (c *rig.Child, err error) {
	t.program.Args = args
	for range mostStarts {
		if c, err = t.program.Launch(ctx); err != nil {
			return nil, err
		}
		t.round.own(c)
		err = c.AwaitReady(ctx, rig.Patience)
		switch {
		case err == nil:
			return c, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !c.Gone():
			c.Kill()
			t.complain("it neither starts %v nor ends; it said\n%s", args, c.Said())
			return nil, errBroken
		case c.Code() == 1 && c.URL != "":
			t.round.count("damages found while running", 1)
			continue
		}
		t.refused(c)
		return nil, nil
	}
	t.complain("%d starts ended while running; the last said\n%s", mostStarts, c.Said())
	return nil, errBroken
}

// refused looks at how the program says that it does not start, whether the loss
// was accepted or not.
func (t *trial) refused(c *rig.Child) {
	if fault := refusal(c.Code(), c.Said(), t.program.Store()); fault != "" {
		t.complain("%s; it said\n%s", fault, c.Said())
	}
}

// refusal finds fault with how a program ended that does not start on a damaged
// store.
func refusal(code int, said, store string) string {
	switch {
	case code != damagedCode:
		return fmt.Sprintf("it ended with %d, want %d", code, damagedCode)
	case !strings.Contains(said, data.ErrDamaged.Error()):
		return "it does not say that the store is damaged"
	case !strings.Contains(said, store) || !strings.Contains(said, "backup"):
		return "it does not say where the damage is and what to do"
	}
	return ""
}

func (t *trial) stop(ctx context.Context, c *rig.Child) error {
	_ = c.Signal(syscall.SIGTERM) // how it ends is looked at
	if _, err := c.AwaitEnd(ctx, rig.StopsWithin); err != nil {
		return err
	}
	switch c.Code() {
	case 0:
	case 4:
		t.round.count("damages found while stopping", 1) // by a merge that was under way
	default:
		t.complain("told to stop it ended with %d, want 0, or 4 for damage; it said\n%s", c.Code(), c.Said())
		return errBroken
	}
	return nil
}

// underfoot damages a table that the program has open. It may go unseen, but not
// by the next start.
func (t *trial) underfoot(ctx context.Context, one spoiling) error {
	t.what = fmt.Sprintf("%v, while it is open", one)
	t.round.count("damages: to a table in use", 1)
	if err := t.program.Configure(t.configuration(false)); err != nil {
		return err
	}
	c, err := t.open(ctx)
	if err != nil {
		return err
	}
	if c == nil {
		return errBroken // it was not damaged yet
	}
	if err := one.apply(t.program.Store()); err != nil {
		return err
	}
	// Lanes begin only now, so that they read what is damaged.
	if t.delivers {
		if err := t.program.Configure(t.configuration(true)); err != nil {
			return err
		}
		_ = c.Signal(syscall.SIGHUP) // it may have ended
		// What it does not come to is looked at when it serves.
		_ = rig.Until(ctx, "lanes run", rig.Patience, 10*time.Millisecond, func() (bool, error) {
			lanes, err := c.Lanes(ctx)
			return err != nil || slices.ContainsFunc(lanes, func(l rig.Lane) bool { return l.Name == well && l.Declared }), nil
		})
	}
	if clean, err := t.served(ctx, c); err != nil || !clean {
		return err
	}
	if c, err = t.open(ctx); err != nil || c == nil {
		return err
	}
	_, err = t.served(ctx, c)
	return err
}

// accept starts the program with what is left, and looks at that, and at what it
// gives to what comes in then.
func (t *trial) accept(ctx context.Context) error {
	t.what += ", loss accepted"
	c, err := t.open(ctx, "--accept-data-loss")
	if err != nil {
		return err
	}
	if c == nil {
		t.round.count("losses not accepted", 1)
		return nil
	}
	t.round.count("losses accepted", 1)
	t.lost = true
	if err := t.look(ctx, c); err != nil {
		return t.found(ctx, c, err)
	}
	events, messages, err := t.list(ctx, c)
	if err != nil {
		return t.found(ctx, c, err)
	}
	ids := map[string]bool{}
	for k := range 3 {
		answer, err := c.Post(ctx, eventPath, map[string]string{"event_type": plainType, "event_payload": fmt.Sprintf("after the loss, %d", k)})
		var given struct{ ID string }
		if err == nil {
			err = json.Unmarshal(answer, &given)
		}
		if err != nil {
			return t.found(ctx, c, err)
		}
		if given.ID <= t.greatest || ids[given.ID] {
			t.complain("an event got the id %s after the loss, before it %s was given", given.ID, t.greatest)
		}
		ids[given.ID] = true
	}
	if t.luck.IntN(2) == 0 {
		c.Kill()
	} else if err := t.stop(ctx, c); err != nil {
		return err
	}
	// From now on the store is whole again.
	if c, err = t.open(ctx); err != nil {
		return err
	}
	if c == nil {
		t.complain("it does not start again after the loss was accepted")
		return errBroken
	}
	again, same, err := t.list(ctx, c)
	if err != nil {
		return t.found(ctx, c, err)
	}
	if len(again) != len(events)+len(ids) || len(same) != len(messages) {
		t.complain("it had %d events and %d messages and got %d events, and has %d and %d at the next start",
			len(events), len(messages), len(ids), len(again), len(same))
	}
	for _, e := range again {
		delete(ids, e.ID)
	}
	for id := range ids {
		t.complain("event %s was acknowledged after the loss and is not stored", id)
	}
	return t.stop(ctx, c)
}
