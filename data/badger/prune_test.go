package badger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

var day = data.Retention{Events: 3 * time.Hour, Delivered: 24 * time.Hour, Dead: 720 * time.Hour}

func (k *kept) prune(keep data.Retention, limit int) *data.Prune {
	k.t.Helper()
	o := &data.Prune{Keep: keep, Limit: limit}
	k.apply(&data.Batch{Prune: o})
	return o
}

// pruneAll prunes until nothing more is over its time, and verifies after each step.
func (k *kept) pruneAll(keep data.Retention, limit int) (deleted int) {
	k.t.Helper()
	for range 10_000 {
		o := k.prune(keep, limit)
		k.verify()
		deleted += o.Deleted
		if o.Next > k.Now() {
			return deleted
		}
	}
	k.t.Fatal("pruning does not end")
	return 0
}

func (k *kept) gone(what string, id data.ID) {
	k.t.Helper()
	_, err := k.Message(id)
	wantErr(k.t, what, err, data.ErrNotFound)
}

// deliver begins and delivers whatever is ready.
func (k *kept) deliver(gateway string) {
	k.t.Helper()
	for refs := k.ready(gateway, 0, 1000); len(refs) > 0; refs = k.ready(gateway, 0, 1000) {
		b := &data.Batch{}
		for _, g := range k.begin(gateway, refs...) {
			b.Settles = append(b.Settles, &data.Settle{Gateway: gateway, ID: g.Message.ID, Number: g.Number, Ended: k.Now(), Result: delivered})
		}
		k.apply(b)
	}
}

// TestRetention keeps each kind of record for its own time, to the nanosecond.
func TestRetention(t *testing.T) {
	k := newKept(t)
	k.save(&data.Save{
		Events:   []data.NewEvent{{Type: "a"}, {Type: "b"}},
		Messages: []data.NewMessage{{Gateway: "gateway_1", Event: 1}, {Gateway: "gateway_1", Event: 2}, {Gateway: "gateway_1"}},
	})
	event, first := data.FirstID(0), data.FirstID(0)+2
	accepted := k.newest.time
	k.cancel(first + 2)
	cancelled := k.newest.time
	refs := k.ready("gateway_1", 0, 9)
	k.begin("gateway_1", refs...)
	k.machine().pass(time.Hour)
	k.settle("gateway_1", first, 1, delivered)
	ended := k.newest.time
	k.settle("gateway_1", first+1, 1, permanent)
	died := k.newest.time
	over := func(at data.StoreTime, deleted int) {
		t.Helper()
		k.passTo(at - 2)
		if o := k.prune(day, 100); o.Deleted != 0 || o.Next != at {
			t.Errorf("a nanosecond early %d records are deleted, the next at %v; want none until %v", o.Deleted, o.Next, at)
		}
		if o := k.prune(day, 100); o.Deleted != deleted || o.Next <= at {
			t.Errorf("at %v %d records are deleted, the next at %v; want %d", at, o.Deleted, o.Next, deleted)
		}
		k.verify()
	}
	over(accepted.Add(day.Events), 2)
	_, err := k.Event(event)
	wantErr(t, "Event", err, data.ErrNotFound)
	if m := k.message(first); m.Event != event {
		t.Errorf("the message is %+v", m)
	}
	over(cancelled.Add(day.Delivered), 1)
	k.gone("the cancelled one", first+2)
	over(ended.Add(day.Delivered), 1)
	k.gone("the delivered one", first)
	k.state(first+1, data.Failed)
	k.reopen()
	over(died.Add(day.Dead), 1)
	k.gone("the dead letter", first+1)
	if l := k.lane("gateway_1"); l.Counts != [data.States]uint64{} {
		t.Errorf("the lane counts %v", l.Counts)
	}
}

// passTo lets time go by until the store's clock shows t: the next commit is a
// nanosecond later.
func (k *kept) passTo(t data.StoreTime) {
	k.t.Helper()
	for range 2 { // commits may have gone ahead of the machine's clock
		k.machine().pass(t.Sub(k.Now()))
	}
	if now := k.Now(); now != t {
		k.t.Fatalf("it is %v; want %v", now, t)
	}
}

// TestKeepForEver prunes nothing where no time is set.
func TestKeepForEver(t *testing.T) {
	k := newKept(t)
	k.record(data.NewEvent{Type: "a"})
	k.fail("gateway_1", "dead")
	k.send("gateway_1", "delivered")
	k.deliver("gateway_1")
	k.machine().pass(100 * 365 * 24 * time.Hour)
	if o := k.prune(data.Retention{}, 100); o.Deleted != 0 || o.Next != data.Never {
		t.Errorf("%d are deleted, the next at %v; want none, never", o.Deleted, o.Next)
	}
	for _, c := range []struct {
		keep data.Retention
		want int
	}{{data.Retention{Dead: time.Hour}, 1}, {data.Retention{Delivered: time.Hour}, 1}, {data.Retention{Events: time.Hour}, 1}} {
		if got := k.pruneAll(c.keep, 100); got != c.want {
			t.Errorf("with %+v %d are deleted; want %d", c.keep, got, c.want)
		}
	}
}

// TestPruneInParts deletes the oldest first, also from groups that are larger than
// the limit, and what belongs to a message goes along.
func TestPruneInParts(t *testing.T) {
	k := newKept(t)
	long := strings.Repeat("long ", 500)
	var want []data.ID
	for i := range 6 {
		gateway := fmt.Sprint("gateway_", i%2)
		want = append(want, k.fail(gateway, slices.Repeat([]string{"short", long}, 5)...)...)
		k.machine().pass(time.Second)
	}
	for chunk := range slices.Chunk(want[:40], 10) {
		k.resend(chunk[:5]...)
	}
	resent := k.keysUnder(prefixResent)
	k.machine().pass(day.Dead + time.Second)
	for len(want) > 0 {
		o := k.prune(day, 7)
		n := o.Deleted
		if n == 0 || n > min(7, len(want)) { // a step may end early, at the end of a group
			t.Fatalf("%d are deleted of %d; want 7 at most", n, len(want))
		}
		for _, id := range want[:n] {
			k.gone("the oldest", id)
		}
		want = want[n:]
		if len(want) > 0 {
			k.state(want[0], data.Failed)
		}
		if more := o.Next <= k.Now(); !more && len(want) > 0 {
			t.Errorf("with %d left the next are said to end at %v", len(want), o.Next)
		}
		k.verify()
		if len(want)%4 == 0 {
			k.reopen()
		}
	}
	if n := k.keysUnder(prefixResent); n != 0 || resent != 20 {
		t.Errorf("of %d dead letters that were sent again %d tell so and are gone", resent, n)
	}
	if n, queued := k.keysUnder(prefixText), 8; n != queued {
		t.Errorf("%d long texts are left; want %d, of the new messages", n, queued)
	}
	for _, m := range k.every(data.MessageQuery{Limit: 100}) {
		if m.State != data.Queued || m.ResendOf == 0 {
			t.Errorf("message %+v is left", m)
		}
	}
}

// TestPruneEventsByGroups deletes a commit's events together.
func TestPruneEventsByGroups(t *testing.T) {
	k := newKept(t)
	var first []data.ID
	for range 4 {
		first = append(first, k.record(slices.Repeat([]data.NewEvent{{Type: "a"}}, 100)...))
		k.machine().pass(time.Minute)
	}
	k.passTo(data.StoreTime(day.Events + 2*time.Minute))
	if o := k.prune(day, 10); o.Deleted != 100 || o.Next > k.Now() {
		t.Errorf("%d are deleted, the next at %v; want 100 and more at once", o.Deleted, o.Next)
	}
	if o := k.prune(day, 1000); o.Deleted != 200 {
		t.Errorf("%d are deleted; want 200", o.Deleted)
	}
	k.verify()
	k.reopen()
	page, err := k.Events(data.EventQuery{Limit: 1000})
	if err != nil || len(page.Events) != 100 || page.Events[0].ID != first[3] {
		t.Errorf("%d events are left, %v; want 100", len(page.Events), err)
	}
	k.machine().pass(day.Events + time.Second)
	if got := k.pruneAll(day, 10); got != 100 {
		t.Errorf("%d are deleted in the end; want 100", got)
	}
	k.record(data.NewEvent{Type: "new"})
	if n := len(k.everyEvent(data.EventQuery{Limit: 9})); n != 1 {
		t.Errorf("%d events are there; want the new one", n)
	}
	k.verify()
}

// TestPruneWhatAQueueNames cancels messages in the middle of a run: they stay until
// the lane's head has passed them, for its window may lead there.
func TestPruneWhatAQueueNames(t *testing.T) {
	k := newKept(t)
	first := k.send("gateway_1", texts(4)...)
	window := k.ready("gateway_1", 0, 9)
	k.cancel(first + 1)
	k.cancel(first + 3)
	k.machine().pass(day.Delivered + time.Second)
	if n := k.pruneAll(day, 100); n != 0 {
		t.Errorf("%d are deleted that a queue names", n)
	}
	k.reopen()
	if got := idsOf(k.begin("gateway_1", window...), grantedID); !slices.Equal(got, []data.ID{first, first + 2}) {
		t.Errorf("granted is %v; want %v and %v", got, first, first+2)
	}
	k.machine().pass(day.Delivered + time.Second)
	if n := k.pruneAll(day, 100); n != 2 {
		t.Errorf("%d are deleted after the head has passed them; want 2", n)
	}
}

// TestPruneOfAParkedLane cancels all that is queued: no lane comes to pass it.
func TestPruneOfAParkedLane(t *testing.T) {
	for _, loss := range []bool{false, true} {
		k := newKept(t)
		var ids []data.ID
		for range 20 {
			ids = append(ids, k.send("gateway_1", "a"))
		}
		window := k.ready("gateway_1", 0, 100)
		for _, id := range ids {
			k.cancel(id)
		}
		if loss {
			k.options.AcceptLoss = true
			k.reopen()
		}
		k.machine().pass(day.Delivered + time.Second)
		if n := k.pruneAll(day, 3); n != 20 || k.keysUnder(prefixRun) != 0 {
			t.Errorf("%d are deleted and %d runs left; want 20 and none", n, k.keysUnder(prefixRun))
		}
		// A lane may still hold references, and messages come again.
		if got := k.begin("gateway_1", window...); len(got) != 0 {
			t.Errorf("granted is %+v of what is not there", got)
		}
		next := k.send("gateway_1", "next")
		if got := idsOf(k.begin("gateway_1", k.ready("gateway_1", 0, 9)...), grantedID); !slices.Equal(got, []data.ID{next}) {
			t.Errorf("granted is %v; want %v", got, next)
		}
		k.verify()
		k.close()
	}
}

// TestClaimOfAPrunedMessage holds a reference to a message that waited, was
// cancelled, and is gone.
func TestClaimOfAPrunedMessage(t *testing.T) {
	k := newKept(t)
	first := k.send("gateway_1", "a", "b")
	for i := range data.ID(2) {
		k.try("gateway_1", first+i, refused)
	}
	window := k.waiting("gateway_1", data.Ref{}, 9)
	k.cancel(first)
	k.machine().pass(day.Delivered + time.Second)
	if n := k.pruneAll(day, 100); n != 1 {
		t.Fatalf("%d are deleted; want 1", n)
	}
	if got := idsOf(k.begin("gateway_1", window...), grantedID); !slices.Equal(got, []data.ID{first + 1}) {
		t.Errorf("granted is %v; want %v", got, first+1)
	}
	k.verify()
}

// TestPruneAndCrash leaves the store as a kill would after each step.
func TestPruneAndCrash(t *testing.T) {
	k := newKept(t)
	for i := range 6 {
		k.fail("gateway_1", slices.Repeat([]string{strings.Repeat("x", 300*i)}, 5)...)
		k.send("gateway_2", texts(5)...)
		k.deliver("gateway_2")
		k.record(data.NewEvent{Type: "a"})
	}
	k.machine().pass(day.Dead + time.Second)
	for k.prune(day, 9).Next <= k.Now() {
		dir := copyStore(t, k.options.Path)
		want, err := contentOf(k.Store)
		if got := found(dir); err != nil || got != want {
			t.Fatalf("after a kill there are %s; want %s, %v", got, want, err)
		}
		crashed := newKeptWith(t, optionsIn(copyStore(t, k.options.Path), k.machine()))
		crashed.pruneAll(day, 9)
		if n := crashed.keysUnder(prefixMessage) + crashed.keysUnder(prefixEvents) + crashed.keysUnder(prefixDone); n != 0 {
			t.Errorf("%d records are left after a kill and pruning", n)
		}
	}
}

// TestPruneAfterALoss makes the queues anew: what ended is kept from then on.
func TestPruneAfterALoss(t *testing.T) {
	k := newKept(t)
	k.record(data.NewEvent{Type: "a"})
	k.fail("gateway_1", texts(5)...)
	k.send("gateway_1", texts(5)...)
	k.deliver("gateway_1")
	k.machine().pass(day.Delivered - time.Minute)
	k.options.AcceptLoss = true
	k.reopen()
	k.options.AcceptLoss = false
	k.machine().pass(time.Hour)
	if n := k.pruneAll(day, 100); n != 1 {
		t.Errorf("%d are deleted at once; want 1, the event", n)
	}
	k.machine().pass(day.Dead + time.Second)
	if n := k.pruneAll(day, 100); n != 10 {
		t.Errorf("%d are deleted in the end; want 10", n)
	}
}

// TestEventsThatCameBack loses that events were deleted: they are there again, and
// deleted again.
func TestEventsThatCameBack(t *testing.T) {
	k := newKept(t)
	first := k.record(data.NewEvent{Type: "a"})
	var value []byte
	key := eventsKey(first)
	if err := k.scan(key, nil, func(_, v []byte) error { value = slices.Clone(v); return nil }); err != nil {
		t.Fatal(err)
	}
	k.machine().pass(day.Events + time.Second)
	if n := k.pruneAll(day, 100); n != 1 {
		t.Fatalf("%d are deleted; want 1", n)
	}
	if err := k.change(func(txn *badger.Txn) error { return txn.Set(key, value) }); err != nil {
		t.Fatal(err)
	}
	k.options.AcceptLoss = true
	k.reopen()
	k.verify()
	if n := len(k.everyEvent(data.EventQuery{Limit: 9})); n != 1 {
		t.Errorf("%d events are there; want 1", n)
	}
	if n := k.pruneAll(day, 100); n != 1 {
		t.Errorf("%d are deleted again; want 1", n)
	}
}

// TestPruneOfAStoreWithoutHeads opens a lane's record that does not say where the
// first group of what ended is.
func TestPruneOfAStoreWithoutHeads(t *testing.T) {
	k := newKept(t)
	k.fail("gateway_1", texts(5)...)
	l := k.laneNumbered(1)
	clear(l.oldest[:])
	k.pause("gateway_1", true)
	k.reopen()
	k.pause("gateway_1", false)
	k.fail("gateway_1", texts(3)...)
	k.machine().pass(day.Dead + time.Second)
	if n := k.pruneAll(day, 2); n != 8 {
		t.Errorf("%d are deleted; want 8", n)
	}
}

// TestPruneBesideEverything settles, resends and prunes the same lane in one batch.
func TestPruneBesideEverything(t *testing.T) {
	k := newKept(t)
	dead := k.fail("gateway_1", texts(3)...)
	first := k.send("gateway_1", "a", "b")
	k.begin("gateway_1", k.ready("gateway_1", 0, 1)...)
	k.machine().pass(day.Dead + time.Second)
	b := &data.Batch{
		Settles: []*data.Settle{{Gateway: "gateway_1", ID: first, Number: 1, Ended: k.Now(), Result: permanent}},
		Cancels: []*data.Cancel{{ID: first + 1}},
		Resends: []*data.Resend{{IDs: dead[:2]}},
		Prune:   &data.Prune{Keep: day, Limit: 100},
	}
	k.apply(b)
	if b.Prune.Deleted != 3 {
		t.Errorf("%d are deleted; want 3, those that were sent again too", b.Prune.Deleted)
	}
	want := [data.States]uint64{data.Queued: 2, data.Failed: 1, data.Cancelled: 1}
	if got := k.lane("gateway_1").Counts; got != want {
		t.Errorf("counts are %v; want %v", got, want)
	}
	k.verify()
}
