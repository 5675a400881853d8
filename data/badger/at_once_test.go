package badger

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

// atOnce is a store of one gateway that begins first attempts with their saves.
type atOnce struct {
	*kept
	allow  int // how many may begin
	asked  int
	policy data.Policy
}

const quick = "gateway_1"

// newAtOnce makes the store, with a queue that is known to be empty.
func newAtOnce(t *testing.T) *atOnce {
	k := &atOnce{kept: newKept(t), policy: minute}
	k.settleQueue()
	return k
}

// settleQueue sends one message the usual way.
func (k *atOnce) settleQueue() {
	k.t.Helper()
	k.send(quick, "first")
	for _, g := range k.begin(quick, k.ready(quick, 0, 100)...) {
		k.settle(quick, g.Message.ID, 1, delivered)
	}
}

// batch is a batch of saves, each of some texts, under the allowances.
func (k *atOnce) batch(saves ...[]string) *data.Batch {
	b := &data.Batch{Allow: func(gateway string) *data.Allowance {
		k.asked++
		if gateway != quick || k.allow == 0 {
			return nil
		}
		k.allow--
		return &data.Allowance{Policy: k.policy, Timeout: 7 * time.Second}
	}}
	for _, texts := range saves {
		o := &data.Save{}
		for _, text := range texts {
			o.Messages = append(o.Messages, data.NewMessage{Gateway: quick, Text: text})
		}
		b.Saves = append(b.Saves, o)
	}
	return b
}

// enter applies a batch and returns what began and what was queued.
func (k *atOnce) enter(b *data.Batch) (begun, queued []data.ID) {
	k.t.Helper()
	k.apply(b)
	for _, a := range b.Arrived {
		for _, g := range a.Begun {
			begun = append(begun, g.Message.ID)
		}
		queued = append(queued, idsOf(a.Refs, refID)...)
	}
	return begun, queued
}

func (k *atOnce) want(what string, b *data.Batch, begun, queued int) {
	k.t.Helper()
	first := k.newest.next
	gotBegun, gotQueued := k.enter(b)
	if !slices.Equal(gotBegun, idRange(first, begun)) || !slices.Equal(gotQueued, idRange(first+data.ID(begun), queued)) {
		k.t.Errorf("%s: %v began and %v were queued; want %d and %d", what, gotBegun, gotQueued, begun, queued)
	}
}

// TestBeginsAtOnce: the attempt is under way as if it had been claimed, in the order of
// acceptance and within what is allowed, and what is left is queued.
func TestBeginsAtOnce(t *testing.T) {
	k := newAtOnce(t)
	k.allow = 3
	long := strings.Repeat("long ", 500)
	b := k.batch([]string{"a", long}, []string{"c", "d", "e"}, []string{"f"})
	before := k.newest.commit
	k.want("six messages", b, 3, 3)
	if n := k.newest.commit - before; n != 1 {
		t.Errorf("it took %d commits; want 1", n)
	}
	l := k.lane(quick)
	if n := l.Counts; n[data.Sending] != 3 || n[data.Queued] != 3 || l.Began != k.newest.time {
		t.Errorf("the lane is %+v; want 3 sending and 3 queued", l)
	}
	for i, g := range b.Arrived[0].Begun {
		f := l.InFlight[i]
		want := data.InFlight{ID: g.Message.ID, Number: 1, Began: g.Began, BeganAt: f.BeganAt, Policy: minute, Timeout: 7 * time.Second}
		if f != want || g.Number != 1 || g.Message.Text != []string{"a", long, "c"}[i] || g.Message.Gateway != quick || g.Message.State != data.Sending {
			t.Errorf("%+v began as %+v; want %+v", g, f, want)
		}
		k.state(f.ID, data.Sending)
	}
	if m := k.flights[l.InFlight[1].ID]; m.Text != "" {
		t.Errorf("a long text is kept in memory while its attempt is under way")
	}
	if got := idsOf(k.ready(quick, 0, 100), refID); !slices.Equal(got, idRange(l.InFlight[2].ID+1, 3)) {
		t.Errorf("%v are queued; want what did not begin", got)
	}
	k.verify()
	for i, r := range []data.Result{delivered, refused, withdrawn} {
		if o := k.settle(quick, l.InFlight[i].ID, 1, r); o.Err != nil {
			t.Error(o.Err)
		}
		k.state(l.InFlight[i].ID, []data.State{data.Delivered, data.Waiting, data.Waiting}[i])
	}
	if got := k.message(l.InFlight[1].ID).Text; got != long {
		t.Errorf("the long text is %d bytes long", len(got))
	}
	if n := len(k.message(l.InFlight[2].ID).Attempts); n != 0 {
		t.Errorf("what was withdrawn has %d attempts", n)
	}
	k.verify()
}

// What may not begin is queued, and nobody is asked: an allowance that is taken is used.
func TestNothingBeginsAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		before        func(*atOnce)
		batch         func(*atOnce, *data.Batch)
		begun, queued int
	}{
		"behind what is queued":                    {before: func(k *atOnce) { k.send(quick, "queued") }, queued: 1},
		"behind what is cancelled and still named": {before: func(k *atOnce) { k.cancel(k.send(quick, "queued")) }, queued: 1},
		"behind what is sent again beside it": {
			batch: func(k *atOnce, b *data.Batch) {
				id := k.send(quick, "dead")
				k.try(quick, id, permanent)
				b.Resends = []*data.Resend{{IDs: []data.ID{id}}}
			}, queued: 2,
		},
		"in a lane that is paused": {
			before: func(k *atOnce) { k.apply(&data.Batch{Pauses: []*data.Pause{{Gateway: quick, Paused: true}}}) }, queued: 1,
		},
		"in a lane that is paused beside it": {
			batch:  func(_ *atOnce, b *data.Batch) { b.Pauses = []*data.Pause{{Gateway: quick, Paused: true}} },
			queued: 1,
		},
		"in a lane that is held beside it": {
			batch: func(k *atOnce, b *data.Batch) {
				id := k.send(quick, "held")
				k.begin(quick, k.ready(quick, 0, 1)...)
				b.Settles = []*data.Settle{{Gateway: quick, ID: id, Number: 1, Ended: k.Now(), Result: throttled(time.Minute)}}
			}, queued: 1,
		},
		"before the store knows the queue": {before: func(k *atOnce) { k.reopen() }, queued: 1},
		"as it is refused": {
			batch: func(_ *atOnce, b *data.Batch) {
				b.Saves[0].Messages = append(b.Saves[0].Messages, data.NewMessage{Gateway: quick, MaxQueue: 1})
			},
		},
		"as it is a repeat": {
			batch: func(k *atOnce, b *data.Batch) {
				key := &data.IdempotencyKey{Key: [32]byte{1}}
				k.save(&data.Save{Messages: []data.NewMessage{{Gateway: quick}}, Key: key})
				k.begin(quick, k.ready(quick, 0, 1)...)
				b.Saves[0].Key = key
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := newAtOnce(t)
			k.allow = 10
			if c.before != nil {
				c.before(k)
			}
			b := k.batch([]string{"text"})
			if c.batch != nil {
				c.batch(k, b)
			}
			k.want(name, b, c.begun, c.queued)
			if k.asked > 0 {
				t.Errorf("%d allowances were taken", k.asked)
			}
			k.verify()
		})
	}
}

// A begin of the last that is queued makes room for what is saved beside it.
func TestBeginsAtOnceBehindABegin(t *testing.T) {
	k := newAtOnce(t)
	k.allow = 1
	k.send(quick, "queued")
	b := k.batch([]string{"text"})
	b.Begins = []*data.Begin{{Gateway: quick, Claims: []data.Claim{{Ref: k.ready(quick, 0, 1)[0], Policy: minute}}}}
	k.want("beside a begin", b, 1, 0)
}

// What began at once and was cut off is used up, as after any begin.
func TestCutOffAtOnce(t *testing.T) {
	for most, want := range map[int]data.State{1: data.Unknown, 3: data.Waiting} {
		k := newAtOnce(t)
		k.allow, k.policy.MaxAttempts = 1, most
		begun, _ := k.enter(k.batch([]string{"text"}))
		dir := copyStore(t, k.options.Path) // as a kill leaves it
		k.close()
		k.options.Path = dir
		k.machine().pass(time.Second)
		k.open()
		k.state(begun[0], want)
		m := k.message(begun[0])
		if len(m.Attempts) != 1 || m.Attempts[0].Outcome != data.OutcomeUnknown || m.Attempts[0].Cause != data.CauseCutOff {
			t.Errorf("with %d attempts it has %+v", most, m.Attempts)
		}
		if at, _ := k.Resumed(); want == data.Waiting && k.waiting(quick, data.Ref{}, 1)[0].Due < at.Add(minute.Interval) {
			t.Errorf("it is due at %v; the store was opened at %v", k.waiting(quick, data.Ref{}, 1), at)
		}
		k.verify()
	}
}

// What began at once counts for the length of the queue.
func TestMaxQueueAtOnce(t *testing.T) {
	k := newAtOnce(t)
	k.allow = 10
	b := k.batch([]string{"a"}, []string{"b"}, []string{"c"})
	for _, o := range b.Saves {
		o.Messages[0].MaxQueue = 2
	}
	k.want("three for a queue of two", b, 2, 0)
	wantErr(t, "the third", b.Saves[2].Err, data.ErrBacklog)
}

// The queue does not name what began at once, so its time is not longer.
func TestPruneWhatBeganAtOnce(t *testing.T) {
	k := newAtOnce(t)
	k.allow = 1
	begun, _ := k.enter(k.batch([]string{"a", "b"}))
	k.settle(quick, begun[0], 1, delivered)
	k.machine().pass(day.Delivered + time.Second)
	k.pruneAll(day, 100)
	if _, err := k.Message(begun[0]); err == nil {
		t.Errorf("message %s is kept, as if the queue named it", begun[0])
	}
	k.verify()
}

// The price of a save has nothing for attempts: they begin while there is room, in the
// transaction and in the lane's record.
func TestRoomAtOnce(t *testing.T) {
	k := newAtOnce(t)
	k.allow = 1 << 30
	for _, c := range []struct{ messages, under int }{{1, 1}, {100, 101}, {5000, 5101}, {2500, 7601}, {1000, maxFlying}} {
		b := k.batch(slices.Repeat([]string{""}, c.messages))
		k.priced("a save", b)
		if err, n := b.Saves[0].Err, len(k.lane(quick).InFlight); err != nil || n != c.under {
			t.Fatalf("after %d more messages %d attempts are under way, %v; want %d", c.messages, n, err, c.under)
		}
	}
	k.verify()

	k = newAtOnce(t)
	k.allow = 1 << 30
	b := k.batch(slices.Repeat([]string{""}, 8000))
	k.priced("a save that leaves little room", b)
	if err, n := b.Saves[0].Err, len(k.lane(quick).InFlight); err != nil || n < 1000 || n > 7000 {
		t.Errorf("%d attempts of 8000 are under way, %v; want those there is room for", n, err)
	}
	k.verify()
}
