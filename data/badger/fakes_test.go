package badger

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// machine is a Clock whose hands are moved by the test.
type machine struct {
	mu   sync.Mutex
	boot string // "" when it is not known
	up   time.Duration
	wall time.Time
}

func newMachine() *machine {
	return &machine{boot: "boot-1", up: time.Hour, wall: time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)}
}

func (m *machine) Boot() ([]byte, time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.boot == "" {
		return nil, m.up
	}
	return []byte(m.boot), m.up
}

func (m *machine) Wall() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wall
}

// pass lets time go by.
func (m *machine) pass(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.up += d
	m.wall = m.wall.Add(d)
}

// reboot starts the machine anew, with its boot clock near zero.
func (m *machine) reboot(boot string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.boot, m.up = boot, 10*time.Second
}

func optionsIn(dir string, c Clock) Options {
	return Options{Path: dir, Memtable: MinMemtable, Clock: c, Logger: slog.New(slog.DiscardHandler)}
}

// kept is a store that the test may close and open again.
type kept struct {
	*Store
	t       testing.TB
	options Options
}

func newKept(t testing.TB) *kept { return newKeptWith(t, optionsIn(t.TempDir(), newMachine())) }

func newKeptWith(t testing.TB, o Options) *kept {
	t.Helper()
	k := &kept{t: t, options: o}
	k.open()
	t.Cleanup(k.close)
	return k
}

func (k *kept) machine() *machine { return k.options.Clock.(*machine) }

func (k *kept) open() {
	k.t.Helper()
	s, err := Open(k.options)
	if err != nil {
		k.t.Fatal(err)
	}
	k.Store = s
}

func (k *kept) close() {
	k.t.Helper()
	if k.Store == nil {
		return
	}
	if err := k.Close(); err != nil {
		k.t.Error(err)
	}
	k.Store = nil
}

func (k *kept) reopen() {
	k.t.Helper()
	k.close()
	k.open()
}

func (k *kept) verify() {
	k.t.Helper()
	if err := k.Verify(); err != nil {
		k.t.Errorf("Verify() = %v", err)
	}
}

// change writes to the store what it would not write itself.
func (k *kept) change(change func(*badger.Txn) error) error {
	txn := k.db.NewTransactionAt(k.versions.current(), true)
	defer txn.Discard()
	if err := change(txn); err != nil {
		return err
	}
	return k.commitTxn(txn)
}

// everyDeclared returns all declarations that are kept.
func (k *kept) everyDeclared() map[string]string {
	k.t.Helper()
	all, last := make(map[string]string), ""
	err := k.Declared(func(d data.Declared) error {
		if d.Gateway <= last {
			k.t.Errorf("declaration of %s behind %s", d.Gateway, last)
		}
		last, all[d.Gateway] = d.Gateway, string(d.Declaration)
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return all
}

func (k *kept) apply(b *data.Batch) {
	k.t.Helper()
	if err := k.Apply(b); err != nil {
		k.t.Fatalf("Apply: %v", err)
	}
}

// send accepts texts for a gateway in one save and returns the first id.
func (k *kept) send(gateway string, texts ...string) data.ID {
	k.t.Helper()
	o := &data.Save{}
	for _, text := range texts {
		o.Messages = append(o.Messages, data.NewMessage{Gateway: gateway, Text: text})
	}
	k.save(o)
	return o.First
}

// record accepts events in one save and returns the first id.
func (k *kept) record(events ...data.NewEvent) data.ID {
	k.t.Helper()
	o := &data.Save{Events: events}
	k.save(o)
	return o.First
}

func (k *kept) save(o *data.Save) {
	k.t.Helper()
	k.apply(&data.Batch{Saves: []*data.Save{o}})
	if o.Err != nil {
		k.t.Fatalf("save: %v", o.Err)
	}
}

var minute = data.Policy{MaxAttempts: 3, Interval: time.Minute, MaxHint: time.Hour}

// begin claims references and returns what was granted.
func (k *kept) begin(gateway string, refs ...data.Ref) []data.Granted {
	k.t.Helper()
	return k.claim(gateway, refs...).Granted
}

func (k *kept) claim(gateway string, refs ...data.Ref) *data.Begin {
	k.t.Helper()
	o := &data.Begin{Gateway: gateway}
	for _, r := range refs {
		o.Claims = append(o.Claims, data.Claim{Ref: r, Policy: minute})
	}
	k.apply(&data.Batch{Begins: []*data.Begin{o}})
	return o
}

func (k *kept) settle(gateway string, id data.ID, number int, r data.Result) *data.Settle {
	k.t.Helper()
	o := &data.Settle{Gateway: gateway, ID: id, Number: number, Ended: k.Now(), Result: r}
	k.apply(&data.Batch{Settles: []*data.Settle{o}})
	return o
}

func (k *kept) cancel(id data.ID) *data.Cancel {
	k.t.Helper()
	o := &data.Cancel{ID: id}
	k.apply(&data.Batch{Cancels: []*data.Cancel{o}})
	return o
}

var (
	delivered = data.Result{Outcome: data.OutcomeDelivered, Status: 200}
	refused   = data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseStatus, Status: 503}
	unreached = data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseRefused}
	permanent = data.Result{Outcome: data.OutcomePermanent, Cause: data.CauseStatus, Status: 410}
)

func (k *kept) ready(gateway string, after data.ID, limit int) []data.Ref {
	k.t.Helper()
	refs, _, err := k.Ready(gateway, after, limit)
	if err != nil {
		k.t.Fatal(err)
	}
	return refs
}

func (k *kept) waiting(gateway string, after data.Ref, limit int) []data.Ref {
	k.t.Helper()
	refs, _, err := k.Waiting(gateway, after, limit)
	if err != nil {
		k.t.Fatal(err)
	}
	return refs
}

func (k *kept) message(id data.ID) data.Message {
	k.t.Helper()
	m, err := k.Message(id)
	if err != nil {
		k.t.Fatalf("Message(%s): %v", id, err)
	}
	return m
}

func (k *kept) lane(gateway string) data.Lane {
	k.t.Helper()
	l, err := k.Lane(gateway)
	if err != nil {
		k.t.Fatalf("Lane(%s): %v", gateway, err)
	}
	return l
}

func (k *kept) state(id data.ID, want data.State) {
	k.t.Helper()
	if got := k.message(id).State; got != want {
		k.t.Errorf("message %s is %v; want %v", id, got, want)
	}
}

// try begins and settles the next attempt of a message.
func (k *kept) try(gateway string, id data.ID, r data.Result) *data.Settle {
	k.t.Helper()
	m := k.message(id)
	ref := data.Ref{ID: id, Number: m.NextNumber(), Due: m.Due}
	if granted := k.begin(gateway, ref); len(granted) != 1 {
		k.t.Fatalf("attempt %d of message %s was not granted", ref.Number, id)
	}
	o := k.settle(gateway, id, ref.Number, r)
	if o.Err != nil {
		k.t.Fatalf("settle attempt %d of message %s: %v", ref.Number, id, o.Err)
	}
	return o
}

// every walks through the pages of a query and returns all of it.
func (k *kept) every(q data.MessageQuery) []data.Message {
	k.t.Helper()
	var found []data.Message
	for range 10_000 {
		page, err := k.Messages(q)
		if err != nil {
			k.t.Fatalf("Messages(%+v): %v", q, err)
		}
		if len(page.Messages) > q.Limit {
			k.t.Fatalf("Messages(%+v) gave %d", q, len(page.Messages))
		}
		found = append(found, page.Messages...)
		if page.Next == "" {
			return found
		}
		q.After = page.Next
	}
	k.t.Fatalf("Messages(%+v) does not end", q)
	return nil
}

func (k *kept) everyEvent(q data.EventQuery) []data.Event {
	k.t.Helper()
	var found []data.Event
	for range 100_000 {
		page, err := k.Events(q)
		if err != nil {
			k.t.Fatalf("Events(%+v): %v", q, err)
		}
		found = append(found, page.Events...)
		if !page.More {
			return found
		}
		q.After = page.Next
	}
	k.t.Fatalf("Events(%+v) does not end", q)
	return nil
}

func idsOf[T any](all []T, id func(T) data.ID) []data.ID {
	ids := make([]data.ID, 0, len(all))
	for _, one := range all {
		ids = append(ids, id(one))
	}
	return ids
}

func messageID(m data.Message) data.ID { return m.ID }

func refID(r data.Ref) data.ID { return r.ID }

func grantedID(g data.Granted) data.ID { return g.Message.ID }

// idRange is n ids from first on.
func idRange(first data.ID, n int) []data.ID {
	ids := make([]data.ID, n)
	for i := range ids {
		ids[i] = first + data.ID(i)
	}
	return ids
}

func texts(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("text %d", i)
	}
	return all
}

func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s = %v; want %v", what, err, want)
	}
}
