package badger

import (
	"reflect"
	"testing"

	"github.com/postrider/postrider/data"
)

// TestArrived tells what came to the end of each queue, as reading the queue would:
// with that, and what came before, a lane need not read it.
func TestArrived(t *testing.T) {
	k := newKept(t)
	save := func(gateways ...string) *data.Batch {
		o := &data.Save{}
		for _, g := range gateways {
			o.Messages = append(o.Messages, data.NewMessage{Gateway: g, Text: g})
		}
		b := &data.Batch{Saves: []*data.Save{o}}
		k.apply(b)
		return b
	}
	queue := make(map[string][]data.Ref)
	arrive := func(b *data.Batch) {
		t.Helper()
		for _, a := range b.Arrived {
			if old := queue[a.Gateway]; len(old) > 0 && a.Refs[0].Prior != old[len(old)-1].ID {
				t.Errorf("what came to %s says that %v came before it; want %v", a.Gateway, a.Refs[0].Prior, old[len(old)-1].ID)
			}
			queue[a.Gateway] = append(queue[a.Gateway], a.Refs...)
		}
	}
	arrive(save("a", "b", "a"))
	arrive(save("b"))
	arrive(save("a", "a"))
	for _, g := range []string{"a", "b"} {
		if want := k.ready(g, 0, 100); !reflect.DeepEqual(queue[g], want) {
			t.Errorf("what came to %s is %+v; the queue is %+v", g, queue[g], want)
		}
	}
	key := &data.IdempotencyKey{Key: [32]byte{1}}
	again := func() *data.Batch {
		b := &data.Batch{Saves: []*data.Save{{Messages: []data.NewMessage{{Gateway: "a", Text: "x"}}, Key: key}}}
		k.apply(b)
		return b
	}
	arrive(again())
	if b := again(); len(b.Arrived) > 0 {
		t.Errorf("a repeated save brings %+v", b.Arrived)
	}
	id := queue["a"][0].ID
	k.try("a", id, data.Result{Outcome: data.OutcomePermanent, Cause: data.CauseStatus, Status: 400})
	b := &data.Batch{Resends: []*data.Resend{{IDs: []data.ID{id, id}}}}
	k.apply(b)
	arrive(b)
	if n := len(queue["a"]); n != 6 {
		t.Errorf("%d messages came to a; want 6", n)
	}
	k.reopen()
	if b := save("a"); len(b.Arrived) != 1 || b.Arrived[0].Refs[0].Prior != 0 {
		t.Errorf("after a restart %+v came; want it not to say what came before", b.Arrived)
	}
}

// TestFresh keeps the newest messages as they are stored, up to a number.
func TestFresh(t *testing.T) {
	f := newFresh()
	for id := data.ID(1); id <= maxFresh+1; id++ {
		m := &message{Message: data.Message{ID: id}}
		if id == 2 {
			m.long = longText
		}
		f.put(m)
	}
	for id, want := range map[data.ID]bool{1: true, 2: false, 3: true, maxFresh + 1: true} {
		if got := f.take(id) != nil; got != want {
			t.Errorf("take(%d) is there: %v; want %v", id, got, want)
		}
		if f.take(id) != nil {
			t.Errorf("take(%d) gives it twice", id)
		}
	}
	f.put(&message{Message: data.Message{ID: 1 << 20}})
	f.put(&message{Message: data.Message{ID: 1<<20 + 1}})
	if len(f.messages) > maxFresh || f.take(5) == nil {
		t.Errorf("%d are kept; want at most %d, the oldest first to go", len(f.messages), maxFresh)
	}
	k := newKept(t)
	first := k.send("a", "one", "two")
	for i, text := range []string{"one", "two"} {
		id := first + data.ID(i)
		m, err := readOne(k, id)
		if kept := k.fresh.messages[id]; err != nil || !reflect.DeepEqual(kept, m) {
			t.Errorf("%s is kept as %+v; stored is %+v, %v", text, kept, m, err)
		}
	}
	k.cancel(first)
	if k.fresh.messages[first] != nil {
		t.Error("a message that was cancelled is kept")
	}
}

func readOne(k *kept, id data.ID) (m *message, err error) {
	txn := k.db.NewTransactionAt(k.versions.current(), false)
	defer txn.Discard()
	return readMessage(txn, id)
}
