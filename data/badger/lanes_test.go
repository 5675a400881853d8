package badger

import (
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

func throttled(hint time.Duration) data.Result {
	return data.Result{Outcome: data.OutcomeThrottled, Cause: data.CauseThrottled, Status: 429, Hint: hint}
}

var withdrawn = data.Result{Outcome: data.OutcomeWithdrawn}

func (k *kept) pause(gateway string, paused bool) {
	k.t.Helper()
	k.apply(&data.Batch{Pauses: []*data.Pause{{Gateway: gateway, Paused: paused}}})
}

// granted is how many of what is ready and due a gateway may begin now.
func (k *kept) granted(gateway string) int {
	k.t.Helper()
	return len(k.begin(gateway, append(k.ready(gateway, 0, 10), k.waiting(gateway, data.Ref{}, 10)...)...))
}

func TestThrottledAttemptHoldsItsLane(t *testing.T) {
	k := newKept(t)
	first := k.send("gateway_1", texts(4)...)
	k.send("gateway_2", "not held")
	refs := k.ready("gateway_1", 0, 4)
	k.begin("gateway_1", refs[0], refs[1], refs[2])
	// What a settle says about its lane counts for the begins beside it.
	settle := &data.Settle{Gateway: "gateway_1", ID: first, Number: 1, Ended: k.Now(), Result: throttled(5 * time.Minute)}
	begin := &data.Begin{Gateway: "gateway_1", Claims: []data.Claim{{Ref: refs[3], Policy: minute}}}
	k.apply(&data.Batch{Settles: []*data.Settle{settle}, Begins: []*data.Begin{begin}})
	if len(begin.Granted) != 0 {
		t.Errorf("granted is %+v beside the answer that holds the lane", begin.Granted)
	}
	held := settle.Ended.Add(5 * time.Minute)
	if want := (data.Closed{Held: held}); begin.Closed != want {
		t.Errorf("the lane is closed by %+v; want %+v", begin.Closed, want)
	}
	k.settle("gateway_1", first+1, 1, throttled(0)) // does not shorten it
	k.settle("gateway_1", first+2, 1, delivered)
	for _, reopen := range []bool{false, true} {
		if reopen {
			k.reopen()
		}
		l := k.lane("gateway_1")
		if l.Held != held || !l.HeldAt.Equal(k.machine().Wall().Add(held.Sub(k.Now()))) {
			t.Errorf("the lane is held until %v, %v; want %v", l.Held, l.HeldAt, held)
		}
		k.machine().pass(held.Sub(k.Now()) - time.Microsecond)
		if n := k.granted("gateway_1"); n != 0 {
			t.Errorf("%d attempts are granted while the lane is held", n)
		}
		if n := k.granted("gateway_2"); !reopen && n != 1 {
			t.Errorf("%d attempts of another lane are granted; want 1", n)
		}
		k.machine().up -= held.Sub(k.Now()) - 2*time.Microsecond // closing takes no time
	}
	k.machine().pass(time.Hour)
	if n := k.granted("gateway_1"); n != 3 {
		t.Errorf("%d attempts are granted after the hold; want 3", n)
	}
	if l := k.lane("gateway_1"); !l.HeldAt.IsZero() {
		t.Errorf("the lane is shown as held until %v", l.HeldAt)
	}
	k.verify()
}

func TestPausedLane(t *testing.T) {
	k := newKept(t)
	first := k.send("gateway_1", texts(3)...)
	k.begin("gateway_1", k.ready("gateway_1", 0, 1)...)
	k.pause("gateway_1", true)
	commit := k.newest.commit
	k.pause("gateway_1", true)
	k.pause("gateway_9", false)
	if k.newest.commit != commit {
		t.Error("a pause that changes nothing is a commit")
	}
	_, err := k.Lane("gateway_9")
	wantErr(t, "Lane of a gateway that was never paused", err, data.ErrNotFound)
	k.reopen()
	if n := k.granted("gateway_1"); n != 0 || !k.lane("gateway_1").Paused {
		t.Errorf("%d attempts are granted while the lane is paused", n)
	}
	begin := &data.Begin{Gateway: "gateway_1"}
	if k.apply(&data.Batch{Begins: []*data.Begin{begin}}); !begin.Closed.Paused {
		t.Errorf("the lane is closed by %+v; want a pause", begin.Closed)
	}
	k.state(first, data.Waiting) // the attempt under way was cut off as ever
	k.send("gateway_1", "more")
	k.cancel(first + 1)
	k.verify()
	k.machine().pass(time.Hour)
	k.pause("gateway_1", false)
	if n := k.granted("gateway_1"); n != 3 {
		t.Errorf("%d attempts are granted after the pause; want 3", n)
	}
}

func TestPauseBeforeTheFirstMessage(t *testing.T) {
	k := newKept(t)
	k.pause("gateway_1", true)
	k.reopen()
	k.send("gateway_1", "hello")
	if n := k.granted("gateway_1"); n != 0 {
		t.Errorf("%d attempts are granted while the lane is paused", n)
	}
	k.verify()
}

// TestPauseOutlivesALoss makes the lanes anew.
func TestPauseOutlivesALoss(t *testing.T) {
	k := newKept(t)
	first := k.send("gateway_1", "a", "b")
	k.try("gateway_1", first, throttled(time.Hour))
	k.pause("gateway_1", true)
	want := k.lane("gateway_1")
	k.options.AcceptLoss = true
	k.reopen()
	if l := k.lane("gateway_1"); !l.Paused || l.Held != want.Held || l.Began != want.Began || l.Counts != want.Counts {
		t.Errorf("after a loss the lane is %+v; it was %+v", l, want)
	}
	k.verify()
}

func TestUnreachedInARow(t *testing.T) {
	k := newKept(t)
	first := k.send("gateway_1", texts(8)...)
	for i, c := range []struct {
		result data.Result
		want   int
	}{
		{unreached, 1},
		{data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseDNS}, 2},
		{withdrawn, 2},
		{data.Result{Outcome: data.OutcomePermanent, Cause: data.CauseTLS}, 3},
		{refused, 0},
		{unreached, 1},
		{delivered, 0},
		{unreached, 1},
	} {
		k.try("gateway_1", first+data.ID(i), c.result)
		if got := k.lane("gateway_1").Unreached; got != c.want {
			t.Errorf("after %d attempts %d ended without a connection in a row; want %d", i+1, got, c.want)
		}
	}
	k.reopen()
	if got := k.lane("gateway_1").Unreached; got != 1 {
		t.Errorf("after a restart it is %d; want 1", got)
	}
}

// TestWithdrawnAttempt takes an attempt back: it leaves no trace, and its number is
// used again at once.
func TestWithdrawnAttempt(t *testing.T) {
	k := newKept(t)
	first := k.send("gateway_1", "hello")
	for number := 1; number <= 3; number++ {
		before := k.message(first)
		last := k.lane("gateway_1").Last
		var began data.StoreTime
		for range 3 {
			ref := data.Ref{ID: first, Number: number, Due: k.message(first).Due}
			g := k.begin("gateway_1", ref)
			if len(g) != 1 || g[0].Number != number {
				t.Fatalf("attempt %d: granted %+v", number, g)
			}
			began = g[0].Began
			k.machine().pass(time.Second)
			o := k.settle("gateway_1", first, number, withdrawn)
			if want := (data.Next{State: data.Waiting, Due: began}); o.Err != nil || o.Next != want {
				t.Fatalf("withdraw attempt %d = %v, %v; want %v", number, o.Next, o.Err, want)
			}
			wantErr(t, "withdraw it again", k.settle("gateway_1", first, number, withdrawn).Err, data.ErrConflict)
			k.verify()
		}
		m, l := k.message(first), k.lane("gateway_1")
		if m.State != data.Waiting || m.Due != began || len(m.Attempts) != len(before.Attempts) {
			t.Errorf("the message is %+v; it was %+v", m, before)
		}
		if l.Last != last || l.Began != began || l.Held != 0 {
			t.Errorf("the lane is %+v; its last attempt was %+v", l, last)
		}
		refs := k.waiting("gateway_1", data.Ref{}, 2)
		if want := (data.Ref{ID: first, Number: number, Due: began}); len(refs) != 1 || refs[0] != want {
			t.Errorf("the waiting queue is %+v; want %+v", refs, want)
		}
		k.try("gateway_1", first, refused)
		k.machine().pass(time.Hour)
	}
	k.state(first, data.Failed)
	k.verify()
}

// TestCrashBeforeTheWithdrawal is an ordinary cut-off.
func TestCrashBeforeTheWithdrawal(t *testing.T) {
	k := newKept(t)
	first := k.send("gateway_1", "hello")
	k.begin("gateway_1", k.ready("gateway_1", 0, 1)...)
	k.reopen()
	m := k.message(first)
	if len(m.Attempts) != 1 || m.State != data.Waiting || m.Attempts[0].Cause != data.CauseCutOff {
		t.Errorf("the message is %+v", m)
	}
}

func TestFullLane(t *testing.T) {
	k := newKept(t)
	three := func(gateway string) data.NewMessage { return data.NewMessage{Gateway: gateway, MaxQueue: 3} }
	save := func(key byte, messages ...data.NewMessage) *data.Save {
		o := &data.Save{Messages: messages, Events: []data.NewEvent{{Type: "a"}}}
		if key > 0 {
			o.Key = &data.IdempotencyKey{Key: [32]byte{key}}
		}
		return o
	}
	a, b := three("gateway_1"), three("gateway_2")
	first := save(1, a, a)
	k.save(first)
	saves := []*data.Save{
		save(0, a, a),    // one too many by itself
		save(2, b, a, a), // refused whole
		save(1, a, a),    // a repeat, however full the lane is
		save(0, a),       // takes the last place
		save(2, a),       // the lane is full within the same transaction
		save(0, b),
		save(2, b, b), // its key was not taken
		save(2, b, b), // a repeat of that
	}
	k.apply(&data.Batch{Saves: saves})
	for i, want := range []error{data.ErrBacklog, data.ErrBacklog, nil, nil, data.ErrBacklog, nil, nil, nil} {
		wantErr(t, "save", saves[i].Err, want)
		if repeated := i == 2 || i == 7; saves[i].Repeated != repeated {
			t.Errorf("save %d is repeated: %v", i, saves[i].Repeated)
		}
	}
	if saves[2].First != first.First {
		t.Errorf("the repeat is answered %v; want %v", saves[2].First, first.First)
	}
	if n := len(k.everyEvent(data.EventQuery{Limit: 9})); n != 4 {
		t.Errorf("%d events are stored; want 4", n)
	}
	if n := len(k.every(data.MessageQuery{Limit: 9})); n != 6 {
		t.Errorf("%d messages are stored; want 6", n)
	}
	k.verify()
	// Those that wait or are being sent count, those that ended do not.
	refs := k.ready("gateway_1", 0, 9)
	k.begin("gateway_1", refs...)
	k.settle("gateway_1", refs[0].ID, 1, refused)
	again := save(0, a)
	k.apply(&data.Batch{Saves: []*data.Save{again}})
	wantErr(t, "save while one waits and two are being sent", again.Err, data.ErrBacklog)
	k.settle("gateway_1", refs[1].ID, 1, delivered)
	k.save(save(0, a))
	k.save(save(0, data.NewMessage{Gateway: "gateway_1"})) // no limit of its own
}

// TestRefusedSaveMakesNoLane restarts: numbers of lanes must have no gaps.
func TestRefusedSaveMakesNoLane(t *testing.T) {
	k := newKept(t)
	m := data.NewMessage{Gateway: "gateway_1", MaxQueue: 1}
	o := &data.Save{Messages: []data.NewMessage{m, m}}
	k.apply(&data.Batch{Saves: []*data.Save{o}})
	wantErr(t, "save", o.Err, data.ErrBacklog)
	k.send("gateway_2", "hello")
	k.reopen()
	if l := k.laneNumbered(1); l.gateway != "gateway_2" {
		t.Errorf("the first lane is of %s", l.gateway)
	}
}
