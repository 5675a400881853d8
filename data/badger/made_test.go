package badger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

func (k *kept) made(event data.ID, limit, most int) ([]data.ID, bool) {
	k.t.Helper()
	found, more, err := k.Store.made(event, limit, most)
	if err != nil {
		k.t.Fatalf("Made(%d): %v", event, err)
	}
	return idsOf(found, messageID), more
}

// routed is a save of events with so many messages for each.
func routed(events, each int, payload string) *data.Save {
	o := &data.Save{}
	for i := range events {
		o.Events = append(o.Events, data.NewEvent{Type: fmt.Sprint("type_", i), Payload: payload})
		for range each {
			o.Messages = append(o.Messages, data.NewMessage{Gateway: "gateway_1", Text: "x", Event: i + 1})
		}
	}
	return o
}

// What was made of an event is found however many events and messages came in the same
// commit, and in how many groups the events are.
func TestMadeInAGroup(t *testing.T) {
	k := newKept(t)
	before := routed(2, 2, "before") // in the same millisecond
	before.Messages = append(before.Messages, data.NewMessage{Gateway: "gateway_1", Text: "of no event"})
	k.save(before)
	b := &data.Batch{Saves: []*data.Save{
		routed(3, 90, ""),
		{Messages: []data.NewMessage{{Gateway: "gateway_2", Text: "of a client"}}},
		routed(5, 1, strings.Repeat("x", 100<<10)), routed(4, 0, ""), routed(100, 3, ""),
	}}
	k.apply(b)
	k.save(routed(2, 2, "after"))
	events := k.everyEvent(data.EventQuery{Limit: 1000})
	messages := k.every(data.MessageQuery{Limit: 1000})
	if last := events[len(events)-3]; last.ID-b.Saves[0].First != 111 {
		t.Fatalf("the events of the commit go from %d to %d; want 112", b.Saves[0].First, last.ID)
	}
	for _, e := range events {
		var want []data.ID
		for _, m := range messages {
			if m.Event == e.ID {
				want = append(want, m.ID)
			}
		}
		if got, more := k.made(e.ID, 1000, maxExamined); !slices.Equal(got, want) || more {
			t.Errorf("made of event %d are %v, more %v; want %v", e.ID, got, more, want)
		}
	}
	one := b.Saves[0].First
	for _, c := range []struct{ limit, most, want int }{{10, 1000, 10}, {90, 1000, 90}, {1000, 7, 7}} {
		if got, more := k.made(one, c.limit, c.most); len(got) != c.want || !more {
			t.Errorf("Made(%d, %d) looking at %d = %d, more %v; want %d and more", one, c.limit, c.most, len(got), more, c.want)
		}
	}
	if got, more := k.made(before.First, 10, len(before.Messages)); len(got) != 2 || more {
		t.Errorf("made of the first event are %v, more %v; want 2 and no look at what came with other events", got, more)
	}
	for _, id := range []data.ID{0, one + 112, data.FirstID(9)} { // which are no events
		if got, more := k.made(id, 10, 10); len(got) > 0 || more {
			t.Errorf("made of %d, which is no event, are %v, more %v", id, got, more)
		}
	}
}

// What was accepted later is not among it, be it sent again or deleted since, and is not
// looked at for long.
func TestMadeEndsWithItsCommit(t *testing.T) {
	k := newKept(t)
	o := routed(1, 3, "")
	k.save(o)
	event := o.First
	ids := idRange(event+1, 3)
	for i, r := range k.ready("gateway_1", 0, 3) {
		k.begin("gateway_1", r)
		k.settle("gateway_1", r.ID, 1, []data.Result{permanent, delivered, permanent}[i])
	}
	again := &data.Resend{IDs: ids[:1]}
	k.apply(&data.Batch{Resends: []*data.Resend{again}}) // in the same millisecond
	if m := k.message(again.Resent[0].New); m.Event != event || m.AcceptedAt != k.message(ids[0]).AcceptedAt {
		t.Fatalf("sent again it is %+v", m)
	}
	if got, more := k.made(event, 10, 4); !slices.Equal(got, ids) || more {
		t.Errorf("made are %v, more %v; want %v", got, more, ids)
	}
	k.machine().pass(time.Second)
	k.send("gateway_2", texts(50)...)
	if got, more := k.made(event, 10, 5); !slices.Equal(got, ids) || more {
		t.Errorf("made are %v, more %v; want %v and no look at what came a second later", got, more, ids)
	}
	k.machine().pass(day.Delivered)
	forever := day
	forever.Events = 0
	k.pruneAll(forever, 100)
	if got, more := k.made(event, 10, 5); !slices.Equal(got, []data.ID{ids[0], ids[2]}) || more {
		t.Errorf("made and left are %v, more %v; want the first and the last of %v", got, more, ids)
	}
	first := k.firstEvent.Load()
	k.firstEvent.Store(uint64(event + 1)) // the store says that it is gone: nothing is looked for
	if got, _ := k.made(event, 10, 5); len(got) > 0 {
		t.Errorf("made of an event before the first are %v", got)
	}
	k.firstEvent.Store(first)
	k.record(data.NewEvent{})
	k.pruneAll(day, 100)
	if got, more := k.made(event, 10, 5); len(got) > 0 || more {
		t.Errorf("made of an event that is gone are %v, more %v", got, more)
	}
}
