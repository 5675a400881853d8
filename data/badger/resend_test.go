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

func (k *kept) resend(ids ...data.ID) *data.Resend {
	k.t.Helper()
	o := &data.Resend{IDs: ids}
	k.apply(&data.Batch{Resends: []*data.Resend{o}})
	return o
}

// fail sends texts for a gateway and lets each of them end as failed.
func (k *kept) fail(gateway string, texts ...string) []data.ID {
	k.t.Helper()
	first := k.send(gateway, texts...)
	for refs := k.ready(gateway, 0, 1000); len(refs) > 0; refs = k.ready(gateway, 0, 1000) {
		b := &data.Batch{}
		for _, g := range k.begin(gateway, refs...) {
			b.Settles = append(b.Settles, &data.Settle{Gateway: gateway, ID: g.Message.ID, Number: g.Number, Ended: k.Now(), Result: permanent})
		}
		k.apply(b)
	}
	return idRange(first, len(texts))
}

// keysUnder counts the records under a prefix.
func (k *kept) keysUnder(prefix byte) (n int) {
	k.t.Helper()
	if err := k.scan([]byte{prefix}, nil, func(_, _ []byte) error { n++; return nil }); err != nil {
		k.t.Fatal(err)
	}
	return n
}

func TestResend(t *testing.T) {
	k := newKept(t)
	long := strings.Repeat("long ", 1000)
	o := &data.Save{
		Events:   []data.NewEvent{{Type: "a"}},
		Messages: []data.NewMessage{{Gateway: "gateway_1", Text: "short", Event: 1}, {Gateway: "gateway_1", Text: long}},
	}
	k.save(o)
	short, other := o.First+1, o.First+2
	k.fail("gateway_1")
	queued := k.send("gateway_2", "queued")
	missing := data.FirstID(9)
	r := k.resend(other, queued, short, missing, other)
	if r.Err != nil || len(r.Resent) != 5 {
		t.Fatalf("resend = %+v, %v", r.Resent, r.Err)
	}
	first, second := r.Resent[0].New, r.Resent[2].New
	want := []data.Resent{
		{Old: other, New: first, Gateway: "gateway_1"},
		{Old: queued, Gateway: "gateway_2", Err: data.ErrNotDead},
		{Old: short, New: second, Gateway: "gateway_1"},
		{Old: missing, Err: data.ErrNotFound},
		{Old: other, New: first, Gateway: "gateway_1", Err: data.ErrResent},
	}
	if !slices.Equal(r.Resent, want) {
		t.Errorf("resent is %+v; want %+v", r.Resent, want)
	}
	k.verify()
	k.reopen()
	for _, c := range []struct{ old, now data.ID }{{short, second}, {other, first}} {
		old, now := k.message(c.old), k.message(c.now)
		if old.ResentAs != c.now || old.State != data.Failed || len(old.Attempts) != 1 {
			t.Errorf("the dead letter is %+v; want it sent again as %s", old, c.now)
		}
		if now.ResendOf != c.old || now.Text != old.Text || now.Event != old.Event || now.State != data.Queued || now.AcceptedAt.IsZero() || now.ResentAs != 0 {
			t.Errorf("the new message is %+v", now)
		}
	}
	if r := k.resend(short).Resent[0]; r.Err != data.ErrResent || r.New != second { //nolint:errorlint // it is the very value
		t.Errorf("the second time it is %+v", r)
	}
	if got := idsOf(k.ready("gateway_1", 0, 9), refID); !slices.Equal(got, []data.ID{first, second}) {
		t.Errorf("the queue is %v; want %v and %v", got, first, second)
	}
	// A resent message may fail and be sent again as well.
	k.fail("gateway_1")
	if r := k.resend(first).Resent[0]; r.Err != nil || k.message(r.New).ResendOf != first {
		t.Errorf("a resent message is sent again as %+v", r)
	}
	k.verify()
}

// TestResendIsOneCommit sends a full page again, with texts as long as may be in a
// message's own record: all of it is one commit, with the smallest memtable as well.
func TestResendIsOneCommit(t *testing.T) {
	k := newKept(t)
	all := slices.Repeat([]string{strings.Repeat("x", inlineText-1)}, data.MaxResend)
	ids := k.fail("gateway_1", all...)
	commit := k.newest.commit
	r := k.resend(ids...)
	if r.Err != nil || k.newest.commit != commit+1 {
		t.Fatalf("resend takes %d commits, %v; want 1", k.newest.commit-commit, r.Err)
	}
	if n := k.lane("gateway_1").Counts[data.Queued]; n != data.MaxResend {
		t.Errorf("%d messages are queued; want %d", n, data.MaxResend)
	}
	if got := k.every(data.MessageQuery{Gateway: "gateway_1", States: data.DeadStates(), Unsent: true, Limit: 100}); len(got) != 0 {
		t.Errorf("%d were not sent again", len(got))
	}
	k.verify()
}

func TestResendTooLarge(t *testing.T) {
	k := newKept(t)
	var ids []data.ID
	for range 4 {
		ids = append(ids, k.fail("gateway_1", slices.Repeat([]string{strings.Repeat("x", 100<<10)}, 5)...)...)
	}
	large, many, fits := &data.Resend{IDs: ids}, &data.Resend{IDs: make([]data.ID, data.MaxResend+1)}, &data.Resend{IDs: ids[:2]}
	b := &data.Batch{Resends: []*data.Resend{large, many, fits}, Saves: []*data.Save{{Events: []data.NewEvent{{}}}}}
	k.apply(b)
	wantErr(t, "resend of 2 MB", large.Err, data.ErrTooLarge)
	wantErr(t, "resend of 1001", many.Err, data.ErrTooLarge)
	if large.Resent != nil || many.Resent != nil || fits.Err != nil || b.Saves[0].Err != nil {
		t.Errorf("resent is %v, %v and %v, %v; the save %v", large.Resent, many.Resent, fits.Resent, fits.Err, b.Saves[0].Err)
	}
	if n := k.lane("gateway_1").Counts[data.Queued]; n != 2 {
		t.Errorf("%d messages are queued; want 2", n)
	}
	k.verify()
}

func TestResendWithoutSpace(t *testing.T) {
	k := newKept(t)
	ids := k.fail("gateway_1", "a")
	k.low.Store(true)
	k.looked = time.Now().Add(time.Hour) // so that it does not look again
	r := k.resend(ids...)
	wantErr(t, "resend", r.Err, data.ErrNoSpace)
	if r.Resent != nil || k.message(ids[0]).ResentAs != 0 {
		t.Errorf("resent is %v", r.Resent)
	}
}

// TestResendIntoAFullLane is an operator's word: max_queue does not bind it.
func TestResendIntoAFullLane(t *testing.T) {
	k := newKept(t)
	ids := k.fail("gateway_1", "a", "b")
	full := data.NewMessage{Gateway: "gateway_1", MaxQueue: 2}
	b := &data.Batch{Resends: []*data.Resend{{IDs: ids}}, Saves: []*data.Save{{Messages: []data.NewMessage{full}}}}
	k.apply(b)
	wantErr(t, "a save beside it", b.Saves[0].Err, data.ErrBacklog)
	if n := k.lane("gateway_1").Counts[data.Queued]; n != 2 {
		t.Errorf("%d messages are queued; want 2", n)
	}
}

// TestResendBesideSaves gives ids to both in one commit.
func TestResendBesideSaves(t *testing.T) {
	k := newKept(t)
	ids := k.fail("gateway_1", "a")
	save := &data.Save{Events: []data.NewEvent{{Type: "e"}}, Messages: []data.NewMessage{{Gateway: "gateway_1", Text: "new", Event: 1}}}
	r := &data.Resend{IDs: ids}
	k.apply(&data.Batch{Resends: []*data.Resend{r}, Saves: []*data.Save{save}})
	e, err := k.Event(save.First)
	if m := k.message(save.First + 1); err != nil || e.Type != "e" || m.Event != e.ID || m.Text != "new" {
		t.Errorf("the event is %+v, %v, the message %+v", e, err, m)
	}
	if m := k.message(r.Resent[0].New); m.Text != "a" {
		t.Errorf("the message sent again is %+v", m)
	}
	if n := len(k.ready("gateway_1", 0, 9)); n != 2 {
		t.Errorf("%d messages are ready; want 2", n)
	}
	k.verify()
}

// TestResentOfALostMessage loses what a dead letter was: what tells that it was sent
// again must not outlive it.
func TestResentOfALostMessage(t *testing.T) {
	k := newKept(t)
	ids := k.fail("gateway_1", "a", "b")
	k.resend(ids...)
	err := k.change(func(txn *badger.Txn) error { return txn.Delete(messageKey(ids[0])) })
	if err != nil || k.Verify() == nil {
		t.Fatalf("delete a message: %v, Verify() = nil", err)
	}
	k.options.AcceptLoss = true
	k.reopen()
	k.verify()
	if k.message(ids[1]).ResentAs == 0 || k.keysUnder(prefixResent) != 1 {
		t.Error("the other dead letter does not know that it was sent again")
	}
}

func TestFilters(t *testing.T) {
	k := newKept(t)
	k.fail("gateway_1", "a") // cause status
	refusedIDs := make([]data.ID, 0, 5)
	for i := range 5 {
		id := k.send("gateway_1", fmt.Sprint(i))
		for range 3 {
			k.try("gateway_1", id, unreached)
			k.machine().pass(time.Hour)
		}
		refusedIDs = append(refusedIDs, id)
	}
	k.resend(refusedIDs[0], refusedIDs[3])
	waiting := k.send("gateway_1", "waits")
	k.try("gateway_1", waiting, unreached)
	dead := data.MessageQuery{Gateway: "gateway_1", States: data.DeadStates()}
	for _, c := range []struct {
		about string
		query func(q data.MessageQuery) data.MessageQuery
		want  []data.ID
	}{
		{"cause", func(q data.MessageQuery) data.MessageQuery { q.Cause = data.CauseRefused; return q }, refusedIDs},
		{"cause and unsent", func(q data.MessageQuery) data.MessageQuery {
			q.Cause, q.Unsent = data.CauseRefused, true
			return q
		}, []data.ID{refusedIDs[1], refusedIDs[2], refusedIDs[4]}},
		{"a cause of nothing", func(q data.MessageQuery) data.MessageQuery { q.Cause = data.CauseTLS; return q }, nil},
		{"cause in all states", func(data.MessageQuery) data.MessageQuery {
			return data.MessageQuery{Cause: data.CauseRefused, Unsent: true}
		}, []data.ID{refusedIDs[1], refusedIDs[2], refusedIDs[4], waiting}},
		{"two states", func(q data.MessageQuery) data.MessageQuery {
			q.States, q.Cause = []data.State{data.Failed, data.Waiting}, data.CauseRefused
			return q
		}, append([]data.ID{waiting}, refusedIDs...)},
	} {
		for limit := 1; limit < 9; limit++ {
			q := c.query(dead)
			q.Limit = limit
			if got := idsOf(k.every(q), messageID); !slices.Equal(got, c.want) && len(got)+len(c.want) > 0 {
				t.Errorf("%s by pages of %d: %v; want %v", c.about, limit, got, c.want)
			}
		}
	}
}

// TestFilterLooksAtABoundedStretch matches nothing: the page is empty, and goes on.
func TestFilterLooksAtABoundedStretch(t *testing.T) {
	k := newKept(t)
	for range maxExamined/1000 + 1 {
		k.fail("gateway_1", make([]string, 1000)...)
	}
	for _, q := range []data.MessageQuery{
		{Gateway: "gateway_1", States: data.DeadStates(), Cause: data.CauseTLS, Limit: 10},
		{Unsent: true, Cause: data.CauseTLS, Limit: 10},
	} {
		page, err := k.Messages(q)
		if err != nil || len(page.Messages) != 0 || page.Next == "" {
			t.Errorf("Messages(%+v) = %d, next %q, %v; want none and a next", q, len(page.Messages), page.Next, err)
		}
		if got := k.every(q); len(got) != 0 {
			t.Errorf("Messages(%+v) gave %d in all", q, len(got))
		}
	}
}
