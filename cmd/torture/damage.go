package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
	"github.com/postrider/postrider/data"
)

// damage makes a store by some lives under load, and then spoils files of copies
// of it. The program must not start on such a copy, and say why, or serve all
// that was acknowledged; and go on with what is left when it is told to.
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
	for k := range m.copies {
		t := &trial{system: s, told: known, running: m.running, dir: filepath.Join(r.dir, fmt.Sprintf("copy-%d", k)), spoiler: &spoiler{luck: r.source(100 + k), files: files, olds: olds}}
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

// told is what the outside knows of a store before it is damaged.
type told struct {
	requests [][]*request
	given    map[string]record // what was acknowledged, by id
	// acknowledged is how many requests were.
	acknowledged int
	sent         map[record]bool
	sentTo       map[parcel]bool
	greatest     string         // id that was given
	attempts     map[string]int // greatest number that arrived, by message
	said2xx      map[string]bool
}

func newTold(s *system) *told {
	k := &told{requests: s.load.requests(), given: map[string]record{}, sent: map[record]bool{}, sentTo: map[parcel]bool{}, attempts: map[string]int{}, said2xx: map[string]bool{}}
	for _, requests := range k.requests {
		for _, r := range requests {
			ids := r.ids()
			if ids != nil {
				k.acknowledged++
			}
			for i, text := range r.Payloads {
				k.sent[record{r.Kind, text}] = true
				switch r.Kind {
				case routedType:
					k.sentTo[parcel{well, digestOf(text)}] = true
				case plainType:
				default:
					k.sentTo[parcel{r.Kind, digestOf(text)}] = true
				}
				if i < len(ids) {
					k.given[ids[i]] = record{r.Kind, text}
					k.greatest = max(k.greatest, ids[i])
				}
			}
		}
	}
	for _, one := range s.gateways.all() {
		k.attempts[one.Message] = max(k.attempts[one.Message], one.Number)
		k.said2xx[one.Message] = k.said2xx[one.Message] || one.Status/100 == 2
		k.greatest = max(k.greatest, one.Message)
	}
	return k
}

// parcel is a text that is for a gateway.
type parcel struct {
	gateway string
	text    digest
}

// with is what is known when more has arrived.
func (k *told) with(arrivals []arrival) *told {
	more := *k
	more.attempts, more.said2xx = maps.Clone(k.attempts), maps.Clone(k.said2xx)
	for _, one := range arrivals {
		more.attempts[one.Message] = max(more.attempts[one.Message], one.Number)
		more.said2xx[one.Message] = more.said2xx[one.Message] || one.Status/100 == 2
	}
	return &more
}

// arrived looks at what came to gateways from a store that was damaged: the right
// text, where it belongs, and if nothing was lost, no attempt again and none too many.
func (k *told) arrived(complain complainer, arrivals []arrival, most int, lost bool) {
	newest := maps.Clone(k.attempts)
	for _, one := range arrivals {
		if !one.Known {
			complain("message %s came to %s without its secrets", one.Message, one.Gateway)
		}
		if one.Text != cut {
			was, given := k.given[one.Message]
			if given && (parcel{was.kind, digestOf(was.text)}) != (parcel{one.Gateway, one.Text}) {
				complain("message %s came to %s, and not as %s %.60q, as which it was acknowledged", one.Message, one.Gateway, was.kind, was.text)
			}
			if !given && !k.sentTo[parcel{one.Gateway, one.Text}] {
				complain("message %s came to %s with a text that nobody sent there", one.Message, one.Gateway)
			}
		}
		if n := newest[one.Message]; !lost && (one.Number <= n || one.Number > most) {
			complain("message %s came to %s as attempt %d after %d, at most %d are allowed", one.Message, one.Gateway, one.Number, n, most)
		}
		newest[one.Message] = one.Number
	}
}

// whole compares what is served with all that must be there.
func (k *told) whole(complain complainer, events []rig.Event, messages []rig.Message) {
	a := &account{Requests: k.requests, Events: events, Messages: messages}
	listedEvents, listedMessages := a.listed(complain)
	a.checkStored(complain, eventPath, listedEvents)
	a.checkStored(complain, messagePath, listedMessages)
	a.checkRouted(complain)
	there := map[string]bool{}
	for _, m := range messages {
		there[m.ID] = true
		if n := k.attempts[m.ID]; n > len(m.Attempts) {
			complain("message %s arrived as attempt %d and is stored with %d", m.ID, n, len(m.Attempts))
		}
		if m.State == "delivered" && !k.said2xx[m.ID] {
			complain("message %s is delivered, and no gateway said so", m.ID)
		}
	}
	for id := range k.attempts {
		if !there[id] {
			complain("message %s arrived and is not stored: it was acknowledged, or made by a route", id)
		}
	}
}

// part compares what is served with what may be there after a loss.
func (k *told) part(complain complainer, events []rig.Event, messages []rig.Message) {
	a := &account{Events: events, Messages: messages}
	listedEvents, listedMessages := a.listed(complain)
	for _, list := range []map[string]record{listedEvents, listedMessages} {
		for id, r := range list {
			if was, ok := k.given[id]; ok && was != r {
				complain("%s is %s %.60q, it was acknowledged as %s %.60q", id, r.kind, r.text, was.kind, was.text)
			}
			if !k.sent[r] {
				complain("%s holds %s %.60q, which nobody sent", id, r.kind, r.text)
			}
		}
	}
	for _, m := range messages {
		if m.Event != "" && !k.sent[record{routedType, m.Text}] {
			complain("message %s holds %.60q, which nobody sent", m.ID, m.Text)
		}
	}
}

// trial is one damaged copy. What must be right about it is what the lists say, what
// is read by id, and what comes to gateways: in half of the trials lanes run, on what
// waits in the store, and gateways note what arrives.
type trial struct {
	*system
	*told
	*spoiler
	dir      string
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
	t.delivers = t.luck.IntN(2) == 0
	if t.program, err = rig.NewProgram(t.round.binary, t.dir, t.configuration(t.delivers)); err != nil {
		return err
	}
	t.program.Environ, t.program.Key, t.program.Heard = t.secrets.environ(), t.system.program.Key, t.secrets.heard
	t.program.Log = filepath.Join(t.dir, "log.jsonl")
	if err := copyStore(t.system.program.Store(), t.program.Store()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.readLog()) }()
	t.round.count("damages", 1)
	if t.delivers {
		t.round.count("damages: lanes run", 1)
	}
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

// carryOut waits until all that waits has ended.
func (t *trial) carryOut(ctx context.Context, c *rig.Child) error {
	before := len(t.outside.all())
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
	t.round.count("arrivals from damaged stores", len(t.outside.all())-before)
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
	select {
	case <-c.Ended():
	case <-ctx.Done():
		return byItself, context.Cause(ctx)
	case <-time.After(rig.Patience + 10*time.Second):
		c.Kill()
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

func (t *trial) stop(ctx context.Context, c *rig.Child) error {
	_ = c.Signal(syscall.SIGTERM) // how it ends is looked at
	select {
	case <-c.Ended():
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(rig.Patience + 10*time.Second):
		c.Kill()
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
