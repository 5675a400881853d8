package badger

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

// page is what a reader below an id returns.
type page[T any] func(below data.ID) (found []T, next data.ID, err error)

// down walks through the pages below an id and returns all of it, and how many of the
// pages were empty.
func down[T any](t testing.TB, read page[T], id func(T) data.ID, below data.ID) (all []T, empty int) {
	t.Helper()
	for range 100_000 {
		found, next, err := read(below)
		if err != nil {
			t.Fatalf("read below %d: %v", below, err)
		}
		all = append(all, found...)
		if next == 0 {
			return all, empty
		}
		if len(found) == 0 {
			empty++
		}
		if below != 0 && next >= below || len(found) > 0 && next > id(found[len(found)-1]) {
			t.Fatalf("below %d comes %v, and then what is below %d", below, idsOf(found, id), next)
		}
		below = next
	}
	t.Fatalf("what is below %d does not end", below)
	return nil, 0
}

// messagesOf reads pages of so many messages, each looking at most at so many.
func (k *kept) messagesOf(limit, most int) page[data.Message] {
	return func(below data.ID) ([]data.Message, data.ID, error) { return k.messagesBelow(below, limit, most) }
}

func (k *kept) eventsOf(kind string, limit, most int) page[data.Event] {
	return func(below data.ID) ([]data.Event, data.ID, error) { return k.eventsBelow(below, kind, limit, most) }
}

// wantNewestFirst compares what comes the newest first with what comes in order.
func (k *kept) wantNewestFirst(when string) {
	k.t.Helper()
	messages := k.every(data.MessageQuery{Limit: 1000})
	events := k.everyEvent(data.EventQuery{Limit: 1000})
	slices.Reverse(messages)
	slices.Reverse(events)
	for _, c := range []struct{ limit, most int }{{1, 1}, {1, 1000}, {3, 2}, {7, 1000}, {1000, 5}, {1000, 1000}} {
		got, _ := down(k.t, k.messagesOf(c.limit, c.most), messageID, 0)
		if fmt.Sprint(got) != fmt.Sprint(messages) {
			k.t.Errorf("%s, by pages of %+v messages come as %v; want %v", when, c, idsOf(got, messageID), idsOf(messages, messageID))
		}
		for _, kind := range []string{"", "type_1"} {
			want := slices.DeleteFunc(slices.Clone(events), func(e data.Event) bool { return kind != "" && e.Type != kind })
			if got, _ := down(k.t, k.eventsOf(kind, c.limit, c.most), eventID, 0); !slices.Equal(got, want) {
				k.t.Errorf("%s, by pages of %+v events of type %q come as %v; want %v", when, c, kind, idsOf(got, eventID), idsOf(want, eventID))
			}
		}
	}
}

// crowd fills a store with groups of events and with messages between them.
func crowd(k *kept) {
	k.t.Helper()
	for group := range 20 {
		b := &data.Batch{}
		for n := range group%3 + 1 {
			o := &data.Save{}
			for i := range group % 5 {
				o.Events = append(o.Events, data.NewEvent{Type: fmt.Sprint("type_", (n+i)%2), Payload: fmt.Sprint(group, n, i)})
			}
			for i := range n {
				o.Messages = append(o.Messages, data.NewMessage{Gateway: "gateway_1", Text: fmt.Sprint(i), Event: min(i, len(o.Events))})
			}
			b.Saves = append(b.Saves, o)
		}
		k.apply(b)
		k.send("gateway_2", strings.Repeat("long ", 300*(group%2)))
	}
}

func TestNewestFirst(t *testing.T) {
	k := newKept(t)
	if found, next, err := k.MessagesBelow(0, 5); len(found) != 0 || next != 0 || err != nil {
		t.Errorf("messages of an empty store = %v, %v, %v", found, next, err)
	}
	if found, next, err := k.EventsBelow(0, "", 5); len(found) != 0 || next != 0 || err != nil {
		t.Errorf("events of an empty store = %v, %v, %v", found, next, err)
	}
	zoo(k) // whose messages have several versions
	crowd(k)
	k.wantNewestFirst("accepted")
	k.reopen()
	k.wantNewestFirst("opened again")
	k.verify()
}

// Whatever id is asked for, of an event in the middle of its group or of none, what is
// below comes from the next one down.
func TestBelowEachID(t *testing.T) {
	k := newKept(t)
	crowd(k)
	first, last := data.FirstID(0), k.Newest()
	events, messages := k.everyEvent(data.EventQuery{Limit: 1000}), k.every(data.MessageQuery{Limit: 1000})
	for id := first; id <= last+3; id++ {
		at, _ := slices.BinarySearchFunc(events, id, func(e data.Event, id data.ID) int { return cmp.Compare(e.ID, id) })
		want := slices.Clone(events[max(0, at-3):at])
		slices.Reverse(want)
		if got, _, err := k.EventsBelow(id, "", 3); err != nil || !slices.Equal(got, want) {
			t.Errorf("events below %d = %v, %v; want %v", id, idsOf(got, eventID), err, idsOf(want, eventID))
		}
		at, _ = slices.BinarySearchFunc(messages, id, func(m data.Message, id data.ID) int { return cmp.Compare(m.ID, id) })
		wanted := slices.Clone(messages[max(0, at-3):at])
		slices.Reverse(wanted)
		if got, _, err := k.MessagesBelow(id, 3); err != nil || fmt.Sprint(got) != fmt.Sprint(wanted) {
			t.Errorf("messages below %d = %v, %v; want %v", id, idsOf(got, messageID), err, idsOf(wanted, messageID))
		}
	}
	if got, next, err := k.EventsBelow(math.MaxUint64, "", 1000); err != nil || next != 0 || len(got) != len(events) {
		t.Errorf("below the greatest id are %d events, next %d, %v; want %d", len(got), next, err, len(events))
	}
}

// After a restore ids begin far above those of before, and after a loss that was
// accepted in a new epoch. Neither hides what is older.
func TestNewestFirstOverEpochs(t *testing.T) {
	k := newKept(t)
	crowd(k)
	epoch := k.Newest().Epoch()
	b := k.backup()
	k.close()
	k.options = restoreOptions(t, k.machine())
	if _, err := Restore(t.Context(), k.options, bytes.NewReader(b), nil); err != nil {
		t.Fatal(err)
	}
	k.open()
	k.wantNewestFirst("restored")
	crowd(k)
	k.wantNewestFirst("restored and used")
	k.options.AcceptLoss = true
	k.reopen()
	k.options.AcceptLoss = false
	crowd(k)
	if got := k.Newest().Epoch(); got != epoch+2 {
		t.Fatalf("the epoch is %d; want %d", got, epoch+2)
	}
	k.wantNewestFirst("in a third epoch")
}

// thin sends messages, the first of which it names, and has all of them deleted but a few
// in a row here and there, which it returns in order.
func (k *kept) thin(sent int) (first data.ID, left []data.ID) {
	k.t.Helper()
	first = k.send("gateway_1", texts(sent)...)
	k.begin("gateway_1", k.ready("gateway_1", 0, sent)...)
	for i, id := range idRange(first, sent) {
		result := delivered
		if i/3%20 == 1 {
			result = permanent
			left = append(left, id)
		}
		k.settle("gateway_1", id, 1, result)
	}
	k.machine().pass(day.Delivered + time.Second)
	if got := k.pruneAll(day, sent); got != sent-len(left) {
		k.t.Fatalf("%d are deleted; want all but %d", got, len(left))
	}
	return first, left
}

// A page of the newest looks at so many messages, deleted ones too, and the next goes on
// there.
func TestNewestFirstOverDeletedMessages(t *testing.T) {
	k := newKept(t)
	const sent, most = 200, 10
	first, want := k.thin(sent)
	slices.Reverse(want)
	for _, when := range []string{"pruned", "opened again"} {
		for _, limit := range []int{1, 2, 100} {
			bounded := func(below data.ID) ([]data.Message, data.ID, error) {
				found, next, err := k.messagesBelow(below, limit, most)
				if from := cmp.Or(below, first+sent); next != 0 && next+most < from {
					t.Errorf("below %d a page looks down to %d; want %d messages at most", from, next, most)
				}
				return found, next, err
			}
			got, empty := down(t, bounded, messageID, 0)
			if !slices.Equal(idsOf(got, messageID), want) {
				t.Errorf("%s, by pages of %d, messages come as %v; want %v", when, limit, idsOf(got, messageID), want)
			}
			if empty < sent/most/2 {
				t.Errorf("%s, by pages of %d, %d pages are empty; want those of deleted messages", when, limit, empty)
			}
		}
		k.reopen()
	}
}

// Nothing is looked for before the first event, of which all is deleted. Where the store
// does not know which is the first, as after a loss, what is deleted is looked at within
// the bound of a page.
func TestNewestFirstOverDeletedEvents(t *testing.T) {
	k := newKept(t)
	const groups, most = 100, 10
	var first data.ID
	for range groups {
		first = k.record(data.NewEvent{Type: "a"}, data.NewEvent{Type: "b"})
		k.send("gateway_1", "x")
	}
	k.machine().pass(day.Events + time.Second)
	k.pruneAll(day, 1000)
	if found, next, err := k.eventsBelow(0, "", 5, most); len(found) != 0 || next != 0 || err != nil {
		t.Errorf("when all are deleted the newest are %v, next %d, %v", found, next, err)
	}
	kept := idRange(k.record(data.NewEvent{Type: "a"}, data.NewEvent{Type: "b"}), 2)
	slices.Reverse(kept)
	check := func(when string, least, greatest int) {
		t.Helper()
		for _, below := range []data.ID{0, kept[0]} {
			got, empty := down(t, k.eventsOf("", 5, most), eventID, below)
			want := kept
			if below != 0 {
				want = kept[1:]
			}
			if !slices.Equal(idsOf(got, eventID), want) || empty < least || empty > greatest {
				t.Errorf("%s, below %d are %v over %d empty pages; want %v over %d to %d", when, below, idsOf(got, eventID), empty, want, least, greatest)
			}
		}
		if found, _, err := k.eventsBelow(first, "", 5, most); len(found) != 0 || err != nil {
			t.Errorf("%s, below %d, which is deleted, are %v, %v", when, first, found, err)
		}
	}
	check("pruned", 0, 0)
	k.firstEvent.Store(0)
	check("without the first", groups/most-2, groups/most)
	k.reopen()
	check("opened again", 0, 0)
}

// What is large, or does not match and has to be read to be passed, ends a page as well.
func TestPagesOfTheNewestAreBoundedInBytes(t *testing.T) {
	k := newKept(t)
	const large, size = 40, 900 << 10
	first := k.record(data.NewEvent{Type: "small"})
	for range large {
		k.record(data.NewEvent{Payload: strings.Repeat("e", size)})
	}
	k.send("gateway_1", strings.Repeat("m", size))
	for range 6 {
		k.send("gateway_1", strings.Repeat("m", size))
	}
	if found, next, err := k.MessagesBelow(0, 100); len(found) != 5 || next == 0 || err != nil {
		t.Errorf("a page has %d large messages, next %d, %v; want 5", len(found), next, err)
	}
	if found, next, err := k.EventsBelow(0, "", 100); len(found) != 5 || next == 0 || err != nil {
		t.Errorf("a page has %d large events, next %d, %v; want 5", len(found), next, err)
	}
	last := first + large
	page, err := k.Events(data.EventQuery{Type: "none", Limit: 5})
	if err != nil || !page.More || page.Next >= last {
		t.Errorf("a page that matches nothing goes on after %d of %d, %v; want no more than %d bytes read", page.Next-first, large, err, maxReadBytes)
	}
	if got := k.everyEvent(data.EventQuery{Type: "small", Limit: 5}); len(got) != 1 {
		t.Errorf("of one type there are %d events; want 1", len(got))
	}
	got, empty := down(t, k.eventsOf("small", 5, maxExamined), eventID, 0)
	if !slices.Equal(idsOf(got, eventID), []data.ID{first}) || empty != 1 {
		t.Errorf("of one type come %v over %d empty pages; want %d over 1", idsOf(got, eventID), empty, first)
	}
}
