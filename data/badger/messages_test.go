package badger

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

// zoo fills a store with messages in every state for three gateways and returns
// what every message must look like.
func zoo(k *kept) map[data.ID]data.Message {
	k.t.Helper()
	for round := range 3 {
		for _, g := range []string{"gateway_1", "gateway_10", "gateway_2"} {
			k.send(g, append(texts(9), strings.Repeat("long ", 400))...)
			refs := k.ready(g, 0, 10) // what the rounds before have left comes first
			k.cancel(refs[3].ID)
			k.cancel(refs[9].ID) // at the place of refs[3] in the next round
			granted := k.begin(g, refs[:6]...)
			if len(granted) != 5 {
				k.t.Fatalf("%d claims are granted; want 5", len(granted))
			}
			k.settle(g, refs[0].ID, 1, delivered)
			k.settle(g, refs[1].ID, 1, refused)
			k.settle(g, refs[2].ID, 1, permanent)
			k.settle(g, refs[4].ID, 1, refused)
			if round == 1 {
				k.cancel(refs[4].ID)
			}
		}
		k.machine().pass(time.Second)
	}
	want := make(map[data.ID]data.Message)
	for _, m := range k.every(data.MessageQuery{Limit: 1000}) {
		want[m.ID] = m
	}
	if len(want) != 90 {
		k.t.Fatalf("there are %d messages; want 90", len(want))
	}
	return want
}

func TestMessagesInEveryMode(t *testing.T) {
	k := newKept(t)
	want := zoo(k)
	check := func(t *testing.T) {
		for _, g := range []string{"", "gateway_1", "gateway_10", "gateway_2"} {
			for _, s := range append(data.AllStates(), 0) {
				for _, limit := range []int{1, 3, 4, 100} {
					q := data.MessageQuery{Gateway: g, States: []data.State{s}, Limit: limit}
					checkQuery(t, k, q, want)
				}
			}
		}
	}
	check(t)
	k.verify()
	if page, err := k.Messages(data.MessageQuery{Gateway: "gateway_3", Limit: 5}); err != nil || len(page.Messages) != 0 || page.Next != "" {
		t.Errorf("messages of an unknown gateway = %+v, %v; want none", page, err)
	}
}

func inState(q data.MessageQuery, s data.State) bool {
	return len(q.States) == 0 || slices.Contains(q.States, s)
}

func checkQuery(t *testing.T, k *kept, q data.MessageQuery, want map[data.ID]data.Message) {
	t.Helper()
	seen := make(map[data.ID]bool)
	for _, m := range k.every(q) {
		w := want[m.ID]
		if seen[m.ID] || q.Gateway != "" && m.Gateway != q.Gateway || !inState(q, m.State) {
			t.Errorf("Messages(%+v) gives %+v", q, m)
		}
		if fmt.Sprint(m) != fmt.Sprint(w) {
			t.Errorf("Messages(%+v) gives %+v; want %+v", q, m, w)
		}
		seen[m.ID] = true
	}
	for id, m := range want {
		if !seen[id] && (q.Gateway == "" || m.Gateway == q.Gateway) && inState(q, m.State) {
			t.Errorf("Messages(%+v) misses %+v", q, m)
		}
	}
}

func TestMessagesInOrder(t *testing.T) {
	k := newKept(t)
	zoo(k)
	if ids := idsOf(k.every(data.MessageQuery{Limit: 7}), messageID); !slices.IsSorted(ids) {
		t.Errorf("all messages come as %v", ids)
	}
	if ids := idsOf(k.every(data.MessageQuery{Gateway: "gateway_1", States: []data.State{data.Queued}, Limit: 2}), messageID); !slices.IsSorted(ids) {
		t.Errorf("queued messages come as %v", ids)
	}
	waiting := k.every(data.MessageQuery{Gateway: "gateway_1", States: []data.State{data.Waiting}, Limit: 2})
	if !slices.IsSortedFunc(waiting, func(a, b data.Message) int { return int(a.Due - b.Due) }) {
		t.Error("waiting messages do not come in the order of their due times")
	}
}

// A page looks at so many messages, deleted ones too, and the next goes on there.
func TestPagesOverDeletedMessages(t *testing.T) {
	k := newKept(t)
	const sent, most = 200, 10
	first, want := k.thin(sent)
	for _, when := range []string{"pruned", "opened again"} {
		for _, limit := range []int{1, 2, 100} {
			got, empty := k.steps(data.MessageQuery{Limit: limit}, first, most)
			if !slices.Equal(got, want) {
				t.Errorf("%s, by pages of %d, messages come as %v; want %v", when, limit, got, want)
			}
			if empty < sent/most/2 {
				t.Errorf("%s, by pages of %d, %d pages are empty; want those of deleted messages", when, limit, empty)
			}
		}
		k.reopen()
	}
}

// steps walks through pages for which most messages may be examined, whose ids
// are in a row, and says how many of the pages were empty.
func (k *kept) steps(q data.MessageQuery, from data.ID, most int) (found []data.ID, empty int) {
	k.t.Helper()
	for {
		page, err := k.messages(q, most)
		if err != nil {
			k.t.Fatalf("messages(%+v, %d): %v", q, most, err)
		}
		found = append(found, idsOf(page.Messages, messageID)...)
		if page.Next == "" {
			return found, empty
		}
		if len(page.Messages) == 0 {
			empty++
		}
		at, err := parseCursor(page.Next)
		last, ok := parseIDKey(append([]byte{prefixMessage}, at.place...))
		if err != nil || !ok || last < from || last >= from+data.ID(most) {
			k.t.Fatalf("messages(%+v, %d) goes on behind %d; want at most %d from %d on", q, most, last, most, from)
		}
		q.After, from = page.Next, last+1
	}
}

// The next of a list of all says nothing about where a filtered one goes on.
func TestCursorOfAnotherList(t *testing.T) {
	k := newKept(t)
	zoo(k)
	next := func(q data.MessageQuery) string {
		q.Limit = 2
		page, err := k.Messages(q)
		if err != nil || page.Next == "" {
			t.Fatalf("Messages(%+v) = %v, next %q", q, err, page.Next)
		}
		return page.Next
	}
	all := data.MessageQuery{Limit: 5}
	filtered := []data.MessageQuery{
		{Gateway: "gateway_1", Limit: 5},
		{States: data.DeadStates(), Limit: 5},
		{Gateway: "gateway_3", Limit: 5},
		{Gateway: "gateway_1", States: []data.State{data.Delivered}, Limit: 5},
	}
	after := next(all)
	for _, q := range filtered {
		q.After = after
		_, err := k.Messages(q)
		wantErr(t, fmt.Sprintf("Messages(%+v)", q), err, data.ErrBadCursor)
	}
	all.After = next(filtered[0])
	_, err := k.Messages(all)
	wantErr(t, fmt.Sprintf("Messages(%+v)", all), err, data.ErrBadCursor)
}

func TestCursorsOfOthers(t *testing.T) {
	k := newKept(t)
	zoo(k)
	garbage := []string{
		"x", "0", "zz", "00", "00000000", "000000000g", strings.Repeat("00", 30), "0000000009", "00000000ff", "é", " ",
		hex.EncodeToString([]byte("anything at all")),
	}
	for _, after := range garbage {
		for _, q := range []data.MessageQuery{{}, {Gateway: "gateway_1"}, {States: []data.State{data.Failed}}} {
			q.After, q.Limit = after, 5
			if page, err := k.Messages(q); !errors.Is(err, data.ErrBadCursor) && (err != nil || len(page.Messages) > 5) {
				t.Errorf("Messages(%+v) = %v", q, err)
			}
		}
	}
	for _, after := range []string{"x", "00", "0000000009", "0000000100"} {
		_, err := k.Messages(data.MessageQuery{After: after, Limit: 5})
		wantErr(t, "Messages after "+after, err, data.ErrBadCursor)
	}
	// Whatever has the form of a cursor gives a page and comes to an end.
	for lane := range 5 {
		for state := range data.States {
			for _, place := range []string{"", "00", "0000000000000003", "ffffffffffffffff", strings.Repeat("f", 32), strings.Repeat("0", 32), strings.Repeat("7", 48)} {
				q := data.MessageQuery{Limit: 4, After: fmt.Sprintf("%08x%02x%s", lane, state, place)}
				for _, q.Gateway = range []string{"", "gateway_2"} {
					for _, q.States = range [][]data.State{nil, {data.Queued}, {data.Waiting}, {data.Failed}, data.DeadStates()} {
						if _, err := k.Messages(q); err == nil {
							k.every(q)
						} else {
							wantErr(t, fmt.Sprintf("Messages(%+v)", q), err, data.ErrBadCursor)
						}
					}
				}
			}
		}
	}
}

func TestMessageNotThere(t *testing.T) {
	k := newKept(t)
	event := k.record(data.NewEvent{})
	first := k.send("gateway_1", "a")
	for _, id := range []data.ID{0, event, first + 1, data.FirstID(1), math.MaxUint64} {
		_, err := k.Message(id)
		wantErr(t, fmt.Sprintf("Message(%d)", id), err, data.ErrNotFound)
	}
	_, err := k.Lane("gateway_2")
	wantErr(t, "Lane", err, data.ErrNotFound)
}

func TestTextsOfEveryLength(t *testing.T) {
	k := newKept(t)
	var want []string
	for _, n := range []int{0, 1, inlineText - 1, inlineText, inlineText + 1, 5000, 200_000} {
		want = append(want, strings.Repeat("ü", n/2)+strings.Repeat("x", n%2))
	}
	first := k.send("gateway_1", want...)
	check := func(when string) {
		t.Helper()
		for i, text := range want {
			if got := k.message(first + data.ID(i)); got.Text != text {
				t.Errorf("%s, a text of %d bytes has %d", when, len(text), len(got.Text))
			}
		}
	}
	check("accepted")
	granted := k.begin("gateway_1", k.ready("gateway_1", 0, 100)...)
	for i, g := range granted {
		if g.Message.Text != want[i] || g.Message.Gateway != "gateway_1" || g.Number != 1 || g.Message.State != data.Sending {
			t.Errorf("granted is %+v", g)
		}
	}
	check("being sent")
	for _, id := range idRange(first, len(want)) {
		k.settle("gateway_1", id, 1, refused)
	}
	check("waiting")
	k.machine().pass(time.Minute)
	granted = k.begin("gateway_1", k.waiting("gateway_1", data.Ref{}, 100)...)
	for i, g := range granted {
		if g.Message.Text != want[i] || len(g.Message.Attempts) != 1 {
			t.Errorf("granted again is %+v", g)
		}
	}
	for i, id := range idRange(first, len(want)) {
		if i%2 == 0 {
			k.settle("gateway_1", id, 2, delivered)
			continue
		}
		k.settle("gateway_1", id, 2, refused)
		if o := k.cancel(id); o.Message.Text != want[i] || o.Message.State != data.Cancelled {
			t.Errorf("cancelled is %+v", o.Message)
		}
	}
	check("ended")
	k.reopen()
	check("opened again")
	k.verify()
}

// TestMessagesOfATime asks the list of all and a queue.
func TestMessagesOfATime(t *testing.T) {
	k := newKept(t)
	var sent []data.ID
	for range 5 {
		sent = append(sent, k.send("gateway_1", "a"))
		k.machine().pass(time.Minute)
	}
	since, until := k.message(sent[1]).AcceptedAt, k.message(sent[3]).AcceptedAt
	for _, q := range []data.MessageQuery{{Limit: 1}, {Gateway: "gateway_1", Limit: 9}, {States: []data.State{data.Queued}, Limit: 9}} {
		q.Since, q.Until = since, until
		found := k.every(q)
		if len(found) != 2 || found[0].ID != sent[1] || found[1].ID != sent[2] {
			t.Errorf("messages of %+v are %v, want the second and third of %v", q, found, sent)
		}
	}
}
