package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
	"github.com/postrider/postrider/data"
)

// served has the program carry out what waits, if lanes run, reads all that is
// there, which must be all that was acknowledged unless the loss was accepted, and
// stops the program. It is not clean if damage was found meanwhile, which the next
// start was looked at for.
func (t *trial) served(ctx context.Context, c *rig.Child) (clean bool, err error) {
	if err := t.look(ctx, c); err != nil {
		return false, t.found(ctx, c, err)
	}
	return true, t.stop(ctx, c)
}

// look is what is looked at while the program serves. The error is one of a read.
func (t *trial) look(ctx context.Context, c *rig.Child) error {
	if t.delivers {
		if err := t.carryOut(ctx, c); err != nil {
			return err
		}
	}
	events, messages, err := t.list(ctx, c)
	if err != nil {
		return err
	}
	arrivals := t.outside.all()
	t.arrived(t.complain, arrivals, t.plan.Attempts, t.lost)
	if t.lost {
		t.part(t.complain, events, messages)
	} else {
		t.with(arrivals).whole(t.complain, events, messages)
	}
	return t.each(ctx, c)
}

// carryOut hands in a message and waits until all that waits has ended.
func (t *trial) carryOut(ctx context.Context, c *rig.Child) error {
	more := &request{Path: messagePath, Kind: well, Payloads: []string{fmt.Sprintf("after the damage, %d", len(t.requests))}}
	id, err := c.Send(ctx, more.Kind, more.Payloads[0])
	if err != nil {
		return err
	}
	more.Replies = []reply{{Status: http.StatusCreated, IDs: []string{id}}}
	t.took(more)
	if err := awaitEnds(ctx, c, t.plan); err != nil {
		return err
	}
	open, err := c.Open(ctx)
	if err != nil {
		return err
	}
	if open > 0 {
		t.complain("%d messages do not end, though their gateways take everything", open)
	}
	if !slices.ContainsFunc(t.outside.all(), func(one arrival) bool { return one.Message == id }) {
		t.complain("message %s was taken and does not arrive", id)
	}
	return nil
}

func (t *trial) list(ctx context.Context, c *rig.Child) (events []rig.Event, messages []rig.Message, err error) {
	if events, err = c.Events(ctx); err != nil {
		return nil, nil, err
	}
	messages, err = c.Messages(ctx)
	return events, messages, err
}

// mostReads is how many records are read one by one.
const mostReads = 50

// each reads some of what was acknowledged by its id. It may be refused with a
// 5xx, which is the error.
func (t *trial) each(ctx context.Context, c *rig.Child) error {
	ids := make([]string, 0, len(t.given))
	for id := range t.given {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for range min(mostReads, len(ids)) {
		id := ids[t.luck.IntN(len(ids))]
		want := t.given[id]
		path := want.path(id)
		a, err := c.Do(ctx, http.MethodGet, path, nil)
		if err == nil && a.Status >= 500 {
			err = fmt.Errorf("GET %s = %d %.200s", path, a.Status, a.Body)
		}
		if err != nil {
			return err
		}
		if t.lost && a.Status == http.StatusNotFound {
			continue
		}
		if !want.in(a) {
			t.complain("%s %.60q was acknowledged as %s; GET %s = %d %.200s", want.kind, want.text, id, path, a.Status, a.Body)
			return nil
		}
	}
	return nil
}

// endsWithin is how long a program that has failed needs to say so, and to end.
const endsWithin = 5 * time.Second

// saysDamage reports whether a program says of its store that it is not to be
// relied on.
func saysDamage(said string) bool {
	return strings.Contains(said, data.ErrDamaged.Error()) || strings.Contains(said, data.ErrStorage.Error())
}

// found is called when a read has failed, which is how damage may show while the
// program runs: it must say that it is damage, whatever the answer was, and may end
// for it. The next start must know of it, or be whole, or meet it again as loudly.
func (t *trial) found(ctx context.Context, c *rig.Child, err error) error {
	byItself, endErr := t.detected(ctx, c, err)
	if endErr != nil {
		return endErr
	}
	if c, err = t.open(ctx); err != nil {
		return err
	}
	if c == nil {
		t.round.count("damages found while running, refused by the next start", 1)
		return nil
	}
	if err := t.look(ctx, c); err != nil {
		if byItself && ctx.Err() == nil {
			t.complain("it ended for damage, started again and met it again: %v; it said\n%s", err, c.Said())
		}
		_, endErr := t.detected(ctx, c, err)
		return endErr
	}
	return t.stop(ctx, c)
}

// detected looks at how a program takes it that a read has failed, and whether it
// ends for that by itself.
func (t *trial) detected(ctx context.Context, c *rig.Child, err error) (byItself bool, _ error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	t.round.count("damages found while running", 1)
	_ = rig.Until(ctx, "it says so", endsWithin, 10*time.Millisecond, func() (bool, error) { return c.Gone() || saysDamage(c.Said()), nil })
	_ = rig.Until(ctx, "it ends", time.Second, 10*time.Millisecond, func() (bool, error) { return c.Gone(), nil })
	byItself = c.Gone()
	_ = c.Signal(syscall.SIGTERM) // it may have ended, and how it ends is looked at
	ended, over := c.AwaitEnd(ctx, rig.StopsWithin)
	if over != nil {
		return byItself, over
	}
	if !ended {
		t.complain("a read failed (%v) and it runs on after SIGTERM; it said\n%s", err, c.Said())
		return byItself, nil
	}
	if !saysDamage(c.Said()) {
		t.complain("a read failed (%v), and it does not say that there is damage, but\n%s", err, c.Said())
	}
	if code := c.Code(); code != 1 && code != damagedCode && (byItself || code != 0) {
		t.complain("a read failed (%v) and it ended with %d; it said\n%s", err, code, c.Said())
	}
	return byItself, nil
}
