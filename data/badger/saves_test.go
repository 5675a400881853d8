package badger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

func withKey(key, request byte, o data.Save) *data.Save {
	o.Key = &data.IdempotencyKey{Key: [32]byte{key}, Request: [32]byte{request}}
	return &o
}

func TestIdempotencyKeys(t *testing.T) {
	k := newKept(t)
	message := data.Save{Messages: []data.NewMessage{{Gateway: "gateway_1", Text: "once"}}}
	events := data.Save{Events: []data.NewEvent{{Type: "a"}, {Type: "b"}}, Messages: []data.NewMessage{{Gateway: "gateway_1", Event: 2}}}
	first, again, other := withKey(1, 1, message), withKey(1, 1, message), withKey(1, 2, message)
	second := withKey(2, 1, events)
	k.apply(&data.Batch{Saves: []*data.Save{first, again, other, second, withKey(2, 1, events)}})
	check := func(when string, again, other, second2 *data.Save) {
		t.Helper()
		if first.Repeated || again.Err != nil || !again.Repeated || again.First != first.First {
			t.Errorf("%s the repeat is %+v; want the answer %d", when, again, first.First)
		}
		wantErr(t, when+" another request with the key", other.Err, data.ErrKeyReused)
		if !second2.Repeated || second2.First != second.First {
			t.Errorf("%s the second repeat is %+v; want the answer %d", when, second2, second.First)
		}
		if n := len(k.every(data.MessageQuery{Limit: 100})); n != 2 {
			t.Errorf("%s there are %d messages; want 2", when, n)
		}
		if n := len(k.everyEvent(data.EventQuery{Limit: 100})); n != 2 {
			t.Errorf("%s there are %d events; want 2", when, n)
		}
	}
	check("in the same batch", again, other, withKeyAnswer(k, 2, 1, events))
	check("in a later batch", withKeyAnswer(k, 1, 1, message), withKeyAnswer(k, 1, 2, message), withKeyAnswer(k, 2, 1, events))
	k.reopen()
	check("after a restart", withKeyAnswer(k, 1, 1, message), withKeyAnswer(k, 1, 2, message), withKeyAnswer(k, 2, 1, events))
	if all := k.every(data.MessageQuery{Limit: 9}); all[0].Event != 0 || all[1].Event != second.First+1 {
		t.Errorf("the messages name events %d and %d; want 0 and %d", all[0].Event, all[1].Event, second.First+1)
	}
	k.verify()
}

func TestAnswered(t *testing.T) {
	k := newKept(t)
	o := withKey(1, 1, data.Save{Messages: []data.NewMessage{{Gateway: "gateway_1"}}})
	k.save(o)
	for _, when := range []string{"at once", "after a restart"} {
		if first, _, found, err := k.Answered(*o.Key); err != nil || !found || first != o.First {
			t.Errorf("%s Answered = %d, %v, %v; want %d", when, first, found, err, o.First)
		}
		_, _, found, err := k.Answered(*withKey(1, 2, data.Save{}).Key)
		wantErr(t, when+" Answered for another request", err, data.ErrKeyReused)
		if found {
			t.Errorf("%s another request is found", when)
		}
		if first, _, found, err := k.Answered(*withKey(2, 1, data.Save{}).Key); err != nil || found || first != 0 {
			t.Errorf("%s Answered for another key = %d, %v, %v; want nothing", when, first, found, err)
		}
		k.reopen()
	}
}

func withKeyAnswer(k *kept, key, request byte, o data.Save) *data.Save {
	s := withKey(key, request, o)
	k.apply(&data.Batch{Saves: []*data.Save{s}})
	return s
}

func TestIdempotencyKeyOfARefusedSave(t *testing.T) {
	k := newKept(t)
	huge := data.Save{Messages: []data.NewMessage{{Gateway: "gateway_1", Text: strings.Repeat("x", valueThreshold)}}}
	o := withKeyAnswer(k, 1, 1, huge)
	wantErr(t, "a huge save", o.Err, data.ErrTooLarge)
	small := withKeyAnswer(k, 1, 2, data.Save{Messages: []data.NewMessage{{Gateway: "gateway_1"}}})
	if small.Err != nil || small.Repeated {
		t.Errorf("a key that was never used: %+v", small)
	}
}

// TestBatchOfManyTransactions has more in it than one transaction takes, with
// keys that are repeated across the borders between them.
func TestBatchOfManyTransactions(t *testing.T) {
	o := optionsIn(t.TempDir(), newMachine())
	commits := 0
	o.Committed = func(int, int, time.Duration) { commits++ }
	k := newKeptWith(t, o)
	b := &data.Batch{}
	const saves = 10_000
	for i := range saves {
		save := data.Save{Messages: []data.NewMessage{{Gateway: fmt.Sprintf("gateway_%d", i%7), Text: fmt.Sprintf("%200d", i)}}}
		b.Saves = append(b.Saves, &save)
	}
	for _, i := range []int{0, 5000, 9999} {
		b.Saves[i].Key = &data.IdempotencyKey{Key: [32]byte{1}, Request: [32]byte{1}}
	}
	k.apply(b)
	if commits < 2 {
		t.Errorf("%d commits; want several", commits)
	}
	next := data.FirstID(0)
	for i, save := range b.Saves {
		if i == 5000 || i == 9999 {
			if !save.Repeated || save.First != b.Saves[0].First {
				t.Fatalf("repeat %d is %+v", i, save)
			}
			continue
		}
		if save.Err != nil || save.Repeated || save.First != next {
			t.Fatalf("save %d is %+v; want id %d", i, save, next)
		}
		next++
	}
	all := k.every(data.MessageQuery{Limit: 1000})
	if !slices.Equal(idsOf(all, messageID), idRange(data.FirstID(0), saves-2)) {
		t.Errorf("%d messages are stored; want %d", len(all), saves-2)
	}
	if m := k.message(b.Saves[9998].First); m.Text != fmt.Sprintf("%200d", 9998) || m.Gateway != fmt.Sprintf("gateway_%d", 9998%7) {
		t.Errorf("save 9998 became %+v", m)
	}
	var queued uint64
	lanes, err := k.Lanes()
	for _, l := range lanes {
		queued += l.Counts[data.Queued]
	}
	if err != nil || len(lanes) != 7 || queued != saves-2 {
		t.Errorf("%d lanes count %d messages, %v; want 7 and %d", len(lanes), queued, err, saves-2)
	}
	k.reopen()
	k.verify()
}

// TestNothingIsTooBigForBadger drives every kind of operation to where its
// price says that it fits, and beyond.
func TestNothingIsTooBigForBadger(t *testing.T) {
	long, half := strings.Repeat("x", inlineText+1), strings.Repeat("x", maxEventsValue/2+1)
	tests := map[string]func(n int) *data.Save{
		"empty messages for one gateway": func(n int) *data.Save {
			return &data.Save{Messages: make([]data.NewMessage, n)}
		},
		"messages for as many gateways": func(n int) *data.Save {
			o := &data.Save{}
			for i := range n {
				o.Messages = append(o.Messages, data.NewMessage{Gateway: fmt.Sprintf("%064d", i)})
			}
			return o
		},
		"long texts": func(n int) *data.Save {
			o := &data.Save{}
			for i := range n {
				o.Messages = append(o.Messages, data.NewMessage{Gateway: fmt.Sprint(i % 3), Text: long})
			}
			return o
		},
		"empty events": func(n int) *data.Save { return &data.Save{Events: make([]data.NewEvent, n)} },
		"events that fill half a value": func(n int) *data.Save {
			o := &data.Save{}
			for range n {
				o.Events = append(o.Events, data.NewEvent{Payload: half})
			}
			return o
		},
	}
	for name, make := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKept(t)
			fits, fails := 0, 80_000
			for fails-fits > 1+fits/64 {
				n := (fits + fails) / 2
				o := make(n)
				k.apply(&data.Batch{Saves: []*data.Save{o, {Messages: []data.NewMessage{{Gateway: "after"}}}}})
				if o.Err == nil {
					fits = n
				} else {
					wantErr(t, fmt.Sprintf("save of %d", n), o.Err, data.ErrTooLarge)
					fails = n
				}
			}
			if fits == 0 {
				t.Error("nothing fits")
			}
			k.verify()
		})
	}
}

func TestLargestTexts(t *testing.T) {
	k := newKept(t)
	for _, size := range []int{valueThreshold - 1024, valueThreshold - 1023} {
		text := strings.Repeat("x", size)
		for _, o := range []*data.Save{
			{Messages: []data.NewMessage{{Gateway: "gateway_1", Text: text}}},
			{Events: []data.NewEvent{{Type: text[:5], Payload: text[5:]}}},
		} {
			k.apply(&data.Batch{Saves: []*data.Save{o}})
			if fits := size == valueThreshold-1024; fits != (o.Err == nil) || !fits && !errors.Is(o.Err, data.ErrTooLarge) {
				t.Errorf("a text of %d bytes: %v", size, o.Err)
			}
		}
	}
	k.verify()
}

// TestBusyLaneTakesSaves keeps the price of a save apart from what is under way
// in its lane: that is written once per transaction.
func TestBusyLaneTakesSaves(t *testing.T) {
	o := optionsIn(t.TempDir(), newMachine())
	commits := 0
	o.Committed = func(int, int, time.Duration) { commits++ }
	k := newKeptWith(t, o)
	const busy = 5000
	k.send("gateway_1", make([]string, busy)...)
	if n := len(k.begin("gateway_1", k.ready("gateway_1", 0, busy)...)); n != busy {
		t.Fatalf("%d claims are granted; want %d", n, busy)
	}
	commits = 0
	k.send("gateway_1", texts(1000)...)
	b := &data.Batch{}
	for range 1000 {
		b.Saves = append(b.Saves, &data.Save{Messages: []data.NewMessage{{Gateway: "gateway_1", Text: "x"}}})
	}
	k.apply(b)
	if commits != 2 {
		t.Errorf("two batches took %d commits", commits)
	}
	k.verify()
}
