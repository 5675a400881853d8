package badger

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/postrider/postrider/data"
)

func eventID(e data.Event) data.ID { return e.ID }

func TestEventsComeBackInOrder(t *testing.T) {
	k := newKept(t)
	var want []data.Event
	for group := range 40 {
		b := &data.Batch{}
		for n := range group%4 + 1 {
			o := &data.Save{Messages: []data.NewMessage{{Gateway: "gateway_1", Text: "x"}}} // takes an id between groups
			for i := range n % 3 {
				o.Events = append(o.Events, data.NewEvent{Type: fmt.Sprintf("type_%d", i), Payload: fmt.Sprintf("%d/%d", group, n)})
			}
			b.Saves = append(b.Saves, o)
		}
		k.apply(b)
		for _, o := range b.Saves {
			for i, e := range o.Events {
				want = append(want, data.Event{
					ID: o.First + data.ID(i), Type: e.Type, Payload: e.Payload, ReceivedAt: k.machine().Wall(),
				})
			}
		}
	}
	for _, limit := range []int{1, 2, 3, 7, 1000} {
		if got := k.everyEvent(data.EventQuery{Limit: limit}); !slices.Equal(got, want) {
			t.Errorf("by pages of %d there are %d events, other than the %d accepted", limit, len(got), len(want))
		}
		ofType := slices.DeleteFunc(slices.Clone(want), func(e data.Event) bool { return e.Type != "type_1" })
		if got := k.everyEvent(data.EventQuery{Type: "type_1", Limit: limit}); !slices.Equal(got, ofType) {
			t.Errorf("of one type by pages of %d there are %d events; want %d", limit, len(got), len(ofType))
		}
	}
	for id := range want[len(want)-1].ID + 20 {
		i := slices.IndexFunc(want, func(e data.Event) bool { return e.ID == id })
		got, err := k.Event(id)
		if i < 0 {
			wantErr(t, fmt.Sprintf("Event(%d)", id), err, data.ErrNotFound)
		} else if err != nil || got != want[i] {
			t.Errorf("Event(%d) = %+v, %v; want %+v", id, got, err, want[i])
		}
	}
	k.verify()
}

// No event is looked for where there is none any more: not to find one that is
// there, though the store says otherwise, shows that nothing is scanned.
func TestEventBeforeTheFirst(t *testing.T) {
	k := newKept(t)
	first := k.record(data.NewEvent{Type: "a"}, data.NewEvent{Type: "b"})
	k.firstEvent.Store(uint64(first + 1))
	_, err := k.Event(first)
	wantErr(t, "Event before the first", err, data.ErrNotFound)
	if e, err := k.Event(first + 1); err != nil || e.Type != "b" {
		t.Errorf("Event(%d) = %+v, %v; want the first", first+1, e, err)
	}
}

func TestEventsAfterTheLast(t *testing.T) {
	k := newKept(t)
	if page, err := k.Events(data.EventQuery{Limit: 5}); err != nil || len(page.Events) != 0 || page.More || page.Next != 0 {
		t.Errorf("Events of an empty store = %+v, %v", page, err)
	}
	first := k.record(data.NewEvent{Type: "a"}, data.NewEvent{Type: "b"})
	for _, after := range []data.ID{first + 1, first + 99, data.FirstID(9), math.MaxUint64} {
		page, err := k.Events(data.EventQuery{After: after, Limit: 5})
		if err != nil || len(page.Events) != 0 || page.More || page.Next != after {
			t.Errorf("Events after %d = %+v, %v; want none", after, page, err)
		}
	}
	page, err := k.Events(data.EventQuery{Limit: 2})
	if err != nil || page.More || page.Next != first+1 {
		t.Errorf("Events = %+v, %v; want the last page", page, err)
	}
	later := k.record(data.NewEvent{Type: "c"})
	page, err = k.Events(data.EventQuery{After: page.Next, Limit: 2})
	if err != nil || !slices.Equal(idsOf(page.Events, eventID), []data.ID{later}) {
		t.Errorf("Events after the last page = %+v, %v; want %d", page, err, later)
	}
}

func TestLargeEventsAreSplit(t *testing.T) {
	k := newKept(t)
	o := &data.Save{}
	for i, size := range []int{0, 200 << 10, 100 << 10, 156 << 10, 1, 300 << 10, 0, 0, 200 << 10} {
		o.Events = append(o.Events, data.NewEvent{Type: fmt.Sprint(i), Payload: strings.Repeat("x", size)})
	}
	k.save(o)
	groups := 0
	err := k.scan([]byte{prefixEvents}, nil, func(_, v []byte) error {
		groups++
		if len(v) >= valueThreshold {
			t.Errorf("a value has %d bytes", len(v))
		}
		return nil
	})
	if err != nil || groups != 5 {
		t.Errorf("there are %d groups, %v; want 5", groups, err)
	}
	got := k.everyEvent(data.EventQuery{Limit: 2})
	if !slices.Equal(idsOf(got, eventID), idRange(o.First, len(o.Events))) {
		t.Errorf("ids are %v", idsOf(got, eventID))
	}
	for i, e := range got {
		if e.Type != o.Events[i].Type || e.Payload != o.Events[i].Payload {
			t.Errorf("event %d is not what was accepted", i)
		}
		if one, err := k.Event(e.ID); err != nil || one != e {
			t.Errorf("Event(%d) is another one, %v", e.ID, err)
		}
	}
	k.verify()
}

func TestFilterThatMatchesLittleGivesShortPages(t *testing.T) {
	k := newKept(t)
	b := &data.Batch{}
	for range 50 {
		o := &data.Save{}
		for range 1000 {
			o.Events = append(o.Events, data.NewEvent{Type: "a"})
		}
		b.Saves = append(b.Saves, o)
	}
	b.Saves[49].Events[999].Type = "b"
	k.apply(b)
	q := data.EventQuery{Type: "b", Limit: 10}
	for _, wantMore := range []bool{true, true, false} {
		page, err := k.Events(q)
		if err != nil || page.More != wantMore || page.More && len(page.Events) != 0 {
			t.Fatalf("Events after %d = %d events, more %v, %v", q.After, len(page.Events), page.More, err)
		}
		if !page.More && len(page.Events) != 1 {
			t.Errorf("the only match is not found")
		}
		q.After = page.Next
	}
}

func TestPagesAreBoundedInBytes(t *testing.T) {
	k := newKept(t)
	for range 12 {
		k.save(&data.Save{
			Events: []data.NewEvent{{Payload: strings.Repeat("e", 900<<10)}},
		})
		k.send("gateway_1", strings.Repeat("m", 900<<10))
	}
	page, err := k.Events(data.EventQuery{Limit: 100})
	if err != nil || len(page.Events) != 5 || !page.More {
		t.Errorf("a page has %d large events, more %v, %v; want 5", len(page.Events), page.More, err)
	}
	if got := k.everyEvent(data.EventQuery{Limit: 100}); len(got) != 12 {
		t.Errorf("there are %d events; want 12", len(got))
	}
	for _, q := range []data.MessageQuery{{}, {Gateway: "gateway_1"}} {
		q.Limit = 100
		if page, err := k.Messages(q); err != nil || len(page.Messages) != 5 || page.Next == "" {
			t.Errorf("a page has %d large messages, next %q, %v; want 5", len(page.Messages), page.Next, err)
		}
		if got := k.every(q); len(got) != 12 {
			t.Errorf("there are %d messages; want 12", len(got))
		}
	}
}

// Who asks can end a page with any record, and the next one goes on behind it.
func TestPagesEndWithWhatIsEnough(t *testing.T) {
	k := newKept(t)
	zoo(k)
	for i := range 20 {
		k.record(data.NewEvent{Type: fmt.Sprintf("type_%d", i%2), Payload: fmt.Sprint(i)})
	}
	for n := range 4 { // records to a page, 0 as 1
		told := 0
		enough := func() bool {
			told++
			return n == 0 || told%n == 0
		}
		for _, kind := range []string{"", "type_1"} {
			q := data.EventQuery{Type: kind, Limit: 100}
			want := k.everyEvent(q)
			q.Enough = func(data.Event) bool { return enough() }
			told = 0
			if got := k.everyEvent(q); !slices.Equal(got, want) || told != len(want) {
				t.Errorf("events of type %q in pages of %d: %d, told of %d; want %d", kind, max(n, 1), len(got), told, len(want))
			}
			if page, err := k.Events(q); err != nil || len(page.Events) > max(n, 1) {
				t.Errorf("a page has %d events, %v; want %d", len(page.Events), err, max(n, 1))
			}
		}
		for _, q := range []data.MessageQuery{{}, {Gateway: "gateway_1"}, {States: data.AllStates()}, {States: data.DeadStates()}} {
			q.Limit = 100
			want := idsOf(k.every(q), messageID)
			q.Enough = func(data.Message) bool { return enough() }
			told = 0
			if got := idsOf(k.every(q), messageID); !slices.Equal(got, want) || told != len(want) {
				t.Errorf("messages of %+v in pages of %d: %d, told of %d; want %d", q, max(n, 1), len(got), told, len(want))
			}
			if page, err := k.Messages(q); err != nil || len(page.Messages) > max(n, 1) {
				t.Errorf("a page has %d messages, %v; want %d", len(page.Messages), err, max(n, 1))
			}
		}
	}
}
