package badger

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

func TestLifeOfAMessage(t *testing.T) {
	k := newKept(t)
	first := k.send("gateway_1", "hello")
	k.state(first, data.Queued)
	for number := 1; number <= 3; number++ {
		m := k.message(first)
		ref := data.Ref{ID: first, Number: number, Due: m.Due}
		if number > 1 {
			k.machine().pass(m.Due.Sub(k.Now()) - time.Microsecond)
			if granted := k.begin("gateway_1", ref); len(granted) != 0 {
				t.Fatalf("attempt %d was granted before it was due", number)
			}
			k.machine().pass(time.Microsecond)
		}
		granted := k.begin("gateway_1", ref)
		if len(granted) != 1 || granted[0].Number != number || granted[0].Message.Text != "hello" {
			t.Fatalf("attempt %d: granted %+v", number, granted)
		}
		m = k.message(first)
		if m.State != data.Sending || len(m.Attempts) != number || m.Attempts[number-1].Outcome != 0 || m.Attempts[number-1].Began != granted[0].Began {
			t.Errorf("during attempt %d the message is %+v", number, m)
		}
		k.machine().pass(time.Second)
		o := k.settle("gateway_1", first, number, refused)
		if o.Err != nil {
			t.Fatalf("settle attempt %d: %v", number, o.Err)
		}
		want := data.Next{State: data.Waiting, Due: o.Ended.Add(time.Minute)}
		if number == 3 {
			want = data.Next{State: data.Failed}
		}
		if o.Next != want {
			t.Errorf("after attempt %d comes %+v; want %+v", number, o.Next, want)
		}
		if m = k.message(first); m.State != want.State || m.Due != want.Due || m.DueAt.IsZero() == (want.State == data.Waiting) {
			t.Errorf("after attempt %d the message is %+v", number, m)
		}
		k.verify()
	}
	l := k.lane("gateway_1")
	if want := [data.States]uint64{data.Failed: 1}; l.Counts != want || l.Last.Number != 3 || len(l.InFlight) != 0 {
		t.Errorf("the lane is %+v", l)
	}
}

func TestClaimsThatAreNotGranted(t *testing.T) {
	k := newKept(t)
	first := k.send("gateway_1", texts(6)...)
	other := k.send("gateway_2", "theirs")
	refs := k.ready("gateway_1", 0, 10)
	k.cancel(refs[1].ID)
	stale := refs[2]
	stale.Number = 2
	theirs := k.ready("gateway_2", 0, 1)[0]
	granted := k.begin("gateway_1", refs[0], refs[0], refs[1], stale, theirs)
	if got := idsOf(granted, grantedID); !slices.Equal(got, []data.ID{first}) {
		t.Errorf("granted is %v; want %d only, once", got, first)
	}
	if granted := k.begin("gateway_9", refs[3]); len(granted) != 0 {
		t.Errorf("granted of a gateway without a lane is %+v", granted)
	}
	if got := idsOf(k.ready("gateway_2", 0, 9), refID); !slices.Equal(got, []data.ID{other}) {
		t.Errorf("a claim of another lane's message leaves that with %v", got)
	}
	if got := k.begin("gateway_1", refs[2:]...); len(got) != 4 {
		t.Errorf("%d of the others are granted; want 4", len(got))
	}
	if got := k.ready("gateway_1", 0, 9); len(got) != 0 {
		t.Errorf("ready is %v; want none", got)
	}
	k.verify()
}

func TestSettleRaces(t *testing.T) {
	k := newKept(t)
	first := k.send("gateway_1", "a", "b")
	wantErr(t, "settle before the attempt", k.settle("gateway_1", first, 1, delivered).Err, data.ErrConflict)
	k.begin("gateway_1", k.ready("gateway_1", 0, 1)...)
	wantErr(t, "settle of another number", k.settle("gateway_1", first, 2, delivered).Err, data.ErrConflict)
	wantErr(t, "settle for another gateway", k.settle("gateway_2", first, 1, delivered).Err, data.ErrConflict)
	wantErr(t, "cancel while sending", k.cancel(first).Err, data.ErrSending)
	one := &data.Settle{Gateway: "gateway_1", ID: first, Number: 1, Ended: k.Now(), Result: refused}
	two := &data.Settle{Gateway: "gateway_1", ID: first, Number: 1, Ended: k.Now(), Result: delivered}
	k.apply(&data.Batch{Settles: []*data.Settle{one, two}})
	if one.Err != nil {
		t.Errorf("settle = %v", one.Err)
	}
	wantErr(t, "settle a second time", two.Err, data.ErrConflict)
	k.state(first, data.Waiting)
	if o := k.cancel(first); o.Err != nil || o.Message.State != data.Cancelled || len(o.Message.Attempts) != 1 {
		t.Errorf("cancel of a waiting message = %+v", o)
	}
	wantErr(t, "cancel twice", k.cancel(first).Err, data.ErrEnded)
	wantErr(t, "cancel of nothing", k.cancel(data.FirstID(3)).Err, data.ErrNotFound)
	k.machine().pass(time.Hour)
	if granted := k.begin("gateway_1", data.Ref{ID: first, Number: 2, Due: one.Next.Due}); len(granted) != 0 {
		t.Error("a cancelled message was granted")
	}
	k.verify()
}

// TestOneBatchDoesAll settles, begins, cancels and saves the same lane's
// messages in one transaction.
func TestOneBatchDoesAll(t *testing.T) {
	k := newKept(t)
	first := k.send("gateway_1", texts(5)...)
	k.begin("gateway_1", k.ready("gateway_1", 0, 2)...)
	b := &data.Batch{
		Settles: []*data.Settle{
			{Gateway: "gateway_1", ID: first, Number: 1, Ended: k.Now(), Result: refused},
			{Gateway: "gateway_1", ID: first + 1, Number: 1, Ended: k.Now(), Result: delivered},
		},
		Begins: []*data.Begin{{Gateway: "gateway_1", Claims: []data.Claim{
			{Ref: k.ready("gateway_1", 0, 1)[0], Policy: minute},
			{Ref: data.Ref{ID: first, Number: 2}, Policy: minute},
		}}},
		Cancels: []*data.Cancel{{ID: first}, {ID: first}, {ID: first + 2}, {ID: first + 4}},
		Saves:   []*data.Save{{Messages: []data.NewMessage{{Gateway: "gateway_1", Text: "new"}}}},
	}
	k.apply(b)
	if got := idsOf(b.Begins[0].Granted, grantedID); !slices.Equal(got, []data.ID{first + 2}) {
		t.Errorf("granted is %v; want %d", got, first+2)
	}
	for i, want := range []error{nil, data.ErrEnded, data.ErrSending, nil} {
		wantErr(t, fmt.Sprintf("cancel %d", i), b.Cancels[i].Err, want)
	}
	want := [data.States]uint64{data.Queued: 2, data.Sending: 1, data.Delivered: 1, data.Cancelled: 2}
	if got := k.lane("gateway_1").Counts; got != want {
		t.Errorf("counts are %v; want %v", got, want)
	}
	k.verify()
}

func TestReadyWindows(t *testing.T) {
	k := newKept(t)
	var want []data.ID
	for i := range 12 {
		want = append(want, idRange(k.send("gateway_1", texts(i%5+1)...), i%5+1)...)
		k.send("gateway_10", "between")
	}
	for _, limit := range []int{1, 2, 7, 100} {
		var got []data.ID
		var after data.ID
		for more := true; more; {
			refs, m, err := k.Ready("gateway_1", after, limit)
			if err != nil || len(refs) == 0 || len(refs) > limit {
				t.Fatalf("Ready(%d, %d) = %v, %v, %v", after, limit, refs, m, err)
			}
			got = append(got, idsOf(refs, refID)...)
			after, more = refs[len(refs)-1].ID, m
		}
		if !slices.Equal(got, want) {
			t.Errorf("by windows of %d the queue is %v; want %v", limit, got, want)
		}
	}
	for len(want) > 0 {
		refs := k.ready("gateway_1", 0, 4)
		if got := idsOf(refs, refID); !slices.Equal(got, want[:len(got)]) {
			t.Fatalf("the queue begins with %v; want %v", got, want)
		}
		k.begin("gateway_1", refs[:min(3, len(refs))]...)
		want = want[min(3, len(refs)):]
		k.verify()
	}
	if refs, more, err := k.Ready("gateway_1", 0, 4); err != nil || len(refs) != 0 || more {
		t.Errorf("the queue at the end is %v, more %v, %v", refs, more, err)
	}
	runs := 0
	if err := k.scan(runPrefix(1), nil, func(_, _ []byte) error { runs++; return nil }); err != nil || runs != 0 {
		t.Errorf("%d runs are left, %v; want none", runs, err)
	}
	if refs, more, err := k.Ready("gateway_9", 0, 4); err != nil || len(refs) != 0 || more {
		t.Errorf("the queue of a gateway without a lane is %v, more %v, %v", refs, more, err)
	}
}

// TestNothingIsStrandedByOrder claims messages in any order but that of the
// queues: those that are queued stand until it is their turn, those that wait are
// taken, and what was passed over must still be found from the heads on.
func TestNothingIsStrandedByOrder(t *testing.T) {
	k := newKept(t)
	first := k.send("gateway_1", texts(8)...)
	refs := k.ready("gateway_1", 0, 10)
	for _, i := range []int{5, 2, 7, 1} {
		o := k.claim("gateway_1", refs[i])
		if len(o.Granted) != 0 || !slices.Equal(o.Standing, refs[i:i+1]) {
			t.Fatalf("message %d is answered with %+v; want it to stand", i, o)
		}
	}
	if o := k.claim("gateway_1", refs[2], refs[0], refs[1], refs[4], refs[2], refs[3]); len(o.Granted) != 4 || len(o.Standing) != 2 {
		t.Fatalf("out of turn %v stand and %d are granted; want 2 and 4", o.Standing, len(o.Granted))
	}
	left := func() (ids []data.ID) {
		for _, r := range k.ready("gateway_1", 0, 10) {
			if k.message(r.ID).State == data.Queued {
				ids = append(ids, r.ID)
			}
		}
		return ids
	}
	k.verify()
	k.reopen()
	k.verify()
	if got, want := left(), []data.ID{first + 4, first + 5, first + 6, first + 7}; !slices.Equal(got, want) {
		t.Errorf("the ready queue is %v; want %v", got, want)
	}
	if got := len(k.begin("gateway_1", k.ready("gateway_1", 0, 10)...)); got != 4 || len(k.ready("gateway_1", 0, 10)) != 0 {
		t.Errorf("%d of the others are granted and %v left; want 4 and none", got, k.ready("gateway_1", 0, 10))
	}
	// The waiting queue: four from the crash, then four with their own due times.
	for i, id := range []data.ID{first + 4, first + 5, first + 6, first + 7} {
		k.machine().pass(time.Second)
		r := refused
		if i%2 == 0 {
			r = data.Result{Outcome: data.OutcomeThrottled, Hint: 10 * time.Minute}
		}
		k.settle("gateway_1", id, 1, r)
	}
	k.machine().pass(time.Hour)
	refs = k.waiting("gateway_1", data.Ref{}, 10)
	if len(refs) != 8 || !slices.IsSortedFunc(refs, func(a, b data.Ref) int { return int(a.Due - b.Due) }) {
		t.Fatalf("the waiting queue is %v", refs)
	}
	for n, i := range []int{6, 3, 0, 1, 7, 2} {
		if len(k.begin("gateway_1", refs[i])) != 1 {
			t.Fatalf("waiting message %d is not granted", i)
		}
		k.verify()
		if got := k.waiting("gateway_1", data.Ref{}, 10); len(got) != 7-n {
			t.Fatalf("the waiting queue is %v; want %d", got, 7-n)
		}
	}
	k.cancel(refs[4].ID)
	if got := k.waiting("gateway_1", data.Ref{}, 10); len(got) != 1 || got[0].ID != refs[5].ID {
		t.Errorf("the waiting queue is %v; want %v", got, refs[5])
	}
	k.verify()
}

func TestWaitingWindows(t *testing.T) {
	k := newKept(t)
	first := k.send("gateway_1", texts(20)...)
	k.begin("gateway_1", k.ready("gateway_1", 0, 20)...)
	b := &data.Batch{}
	for i, id := range idRange(first, 20) {
		hint := time.Duration(i*7%20/2) * 10 * time.Minute // pairs are due at the same time
		b.Settles = append(b.Settles, &data.Settle{
			Gateway: "gateway_1", ID: id, Number: 1, Ended: k.Now(), Result: data.Result{Outcome: data.OutcomeThrottled, Hint: hint},
		})
	}
	k.apply(b)
	whole := k.waiting("gateway_1", data.Ref{}, 100)
	if len(whole) != 20 {
		t.Fatalf("%d messages wait; want 20", len(whole))
	}
	for _, limit := range []int{1, 3, 20} {
		var got []data.Ref
		var after data.Ref
		for more := true; more; {
			refs, m, err := k.Waiting("gateway_1", after, limit)
			if err != nil || len(refs) == 0 || len(refs) > limit {
				t.Fatalf("Waiting(%v, %d) = %v, %v, %v", after, limit, refs, m, err)
			}
			got = append(got, refs...)
			after, more = refs[len(refs)-1], m
		}
		if !slices.Equal(got, whole) {
			t.Errorf("by windows of %d the queue is %v; want %v", limit, got, whole)
		}
	}
	for _, r := range whole {
		m := k.message(r.ID)
		if r.Number != 2 || r.Due != m.Due || r.Run != 0 {
			t.Errorf("%+v refers to %+v", r, m)
		}
	}
}

// TestCancelledInARun keeps a queue going whose messages were cancelled, the
// last one of a run as well.
func TestCancelledInARun(t *testing.T) {
	k := newKept(t)
	first := k.send("gateway_1", texts(3)...)
	k.cancel(first + 1)
	k.cancel(first + 2)
	next := k.send("gateway_1", "next")
	refs := k.ready("gateway_1", 0, 10)
	if got := idsOf(k.begin("gateway_1", refs...), grantedID); !slices.Equal(got, []data.ID{first, next}) {
		t.Errorf("granted is %v; want %v", got, []data.ID{first, next})
	}
	if left := k.ready("gateway_1", 0, 10); len(left) != 0 {
		t.Errorf("the queue is %v; want none", left)
	}
	k.verify()
}

// TestLanesWithAlikeNames keeps gateway_1 and gateway_10 apart.
func TestLanesWithAlikeNames(t *testing.T) {
	k := newKept(t)
	want := make(map[string][]data.ID)
	for i := range 30 {
		g := fmt.Sprintf("gateway_%d", []int{1, 10, 100}[i%3])
		want[g] = append(want[g], k.send(g, "x"))
	}
	for g, ids := range want {
		if got := idsOf(k.ready(g, 0, 100), refID); !slices.Equal(got, ids) {
			t.Errorf("the queue of %s is %v; want %v", g, got, ids)
		}
		if got := idsOf(k.every(data.MessageQuery{Gateway: g, States: []data.State{data.Queued}, Limit: 3}), messageID); !slices.Equal(got, ids) {
			t.Errorf("the messages of %s are %v; want %v", g, got, ids)
		}
		if l := k.lane(g); l.Counts[data.Queued] != 10 || l.Open() != 10 || l.Gateway != g {
			t.Errorf("the lane of %s is %+v", g, l)
		}
	}
}

func TestTooManyUnderWay(t *testing.T) {
	k := newKept(t)
	k.send("gateway_1", make([]string, maxFlying+3)...)
	refs := k.ready("gateway_1", 0, maxFlying+10)
	if n := len(k.begin("gateway_1", refs...)); n != maxFlying {
		t.Fatalf("%d claims are granted; want %d", n, maxFlying)
	}
	k.settle("gateway_1", refs[0].ID, 1, delivered)
	left := k.ready("gateway_1", 0, 10)
	if n := len(k.begin("gateway_1", left...)); len(left) != 3 || n != 1 {
		t.Errorf("%d are left and %d granted; want 3 and 1", len(left), n)
	}
	k.reopen()
	if got := k.lane("gateway_1").Counts; got[data.Waiting] != maxFlying || got[data.Queued] != 2 {
		t.Errorf("after a restart the counts are %v", got)
	}
	k.verify()
}

// TestGrantedIsTheCallers changes what was granted: the store must not see it.
func TestGrantedIsTheCallers(t *testing.T) {
	k := newKept(t)
	first := k.send("gateway_1", "a")
	for range 2 {
		k.try("gateway_1", first, refused)
		k.machine().pass(time.Hour)
	}
	m := k.message(first)
	g := k.begin("gateway_1", data.Ref{ID: first, Number: 3, Due: m.Due})[0]
	_ = append(g.Message.Attempts, data.Attempt{Number: 99})
	k.settle("gateway_1", first, 3, delivered)
	if got := k.message(first).Attempts[2].Number; got != 3 {
		t.Errorf("the third attempt has number %d", got)
	}
	if cap(g.Message.Attempts) != len(g.Message.Attempts) {
		t.Error("the caller can append into the store's attempts")
	}
}

// TestFewerAttemptsThanBefore lowers what a gateway allows while a message waits.
func TestFewerAttemptsThanBefore(t *testing.T) {
	k := newKept(t)
	first := k.send("gateway_1", "hello")
	k.begin("gateway_1", k.ready("gateway_1", 0, 1)...)
	due := k.settle("gateway_1", first, 1, refused).Next.Due
	k.machine().pass(time.Hour)
	b := &data.Begin{Gateway: "gateway_1", Claims: []data.Claim{{
		Ref: data.Ref{ID: first, Number: 2, Due: due}, Policy: data.Policy{MaxAttempts: 1, Interval: time.Minute},
	}}}
	k.apply(&data.Batch{Begins: []*data.Begin{b}})
	if len(b.Granted) != 0 {
		t.Errorf("granted is %+v; want none beyond one attempt", b.Granted)
	}
	k.state(first, data.Failed)
	k.verify()
}

// TestMissingMessageIsDamage takes away a message that a queue names: what is
// lost while the store is open must not be passed over.
func TestMissingMessageIsDamage(t *testing.T) {
	k := newKept(t)
	first := k.send("gateway_1", texts(3)...)
	refs := k.ready("gateway_1", 0, 3)
	if err := k.change(func(txn *badger.Txn) error { return txn.Delete(messageKey(first + 1)) }); err != nil {
		t.Fatal(err)
	}
	k.fresh = newFresh()
	_, err := k.Messages(data.MessageQuery{Gateway: "gateway_1", Limit: 9})
	wantErr(t, "Messages", err, data.ErrDamaged)
	err = k.Apply(&data.Batch{Begins: []*data.Begin{{Gateway: "gateway_1", Claims: []data.Claim{{Ref: refs[1]}}}}})
	wantErr(t, "Apply", err, data.ErrDamaged)
	wantErr(t, "Err", k.Err(), data.ErrStorage)
}

// TestGivenUpInItsOwnLaneOnly claims a message that waits for more attempts than
// its gateway allows by now: first for another gateway, then for its own.
func TestGivenUpInItsOwnLaneOnly(t *testing.T) {
	k := newKept(t)
	id := k.send("gateway_1", "a")
	k.send("gateway_2", "b")
	due := k.try("gateway_1", id, refused).Next.Due
	once := data.Policy{MaxAttempts: 1, Interval: time.Minute}
	claim := func(gateway string, want data.State) {
		t.Helper()
		o := &data.Begin{Gateway: gateway, Claims: []data.Claim{{Ref: data.Ref{ID: id, Number: 2, Due: due}, Policy: once}}}
		k.apply(&data.Batch{Begins: []*data.Begin{o}})
		if len(o.Granted) != 0 {
			t.Errorf("granted for %s is %+v", gateway, o.Granted)
		}
		if said := slices.Contains(o.GivenUp, id); said != (want == data.Failed) {
			t.Errorf("given up for %s is %v; the message is %s", gateway, o.GivenUp, want)
		}
		k.state(id, want)
		k.verify()
	}
	claim("gateway_2", data.Waiting)
	claim("gateway_1", data.Failed)
}

// TestBeginOfAWindowIsOneCommit keeps the price of a claim near what it costs.
func TestBeginOfAWindowIsOneCommit(t *testing.T) {
	o := optionsIn(t.TempDir(), newMachine())
	commits := 0
	o.Committed = func(int, int, time.Duration) { commits++ }
	k := newKeptWith(t, o)
	k.send("gateway_1", texts(4096)...)
	refs := k.ready("gateway_1", 0, 4096)
	commits = 0
	if n := len(k.begin("gateway_1", refs...)); n != 4096 || commits != 1 {
		t.Errorf("%d claims are granted in %d commits; want 4096 in one", n, commits)
	}
}
