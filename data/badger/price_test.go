package badger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

// badgerEntry is what Badger adds to an entry's key and value when it sizes a
// transaction.
const badgerEntry = 12

// priced applies a batch that fits into one transaction and checks that its price was
// no less than what it wrote.
func (k *kept) priced(what string, b *data.Batch) {
	k.t.Helper()
	w := k.newWriter()
	if err := w.apply(b); err != nil {
		k.t.Fatalf("%s: %v", what, err)
	}
	spent := cost{w.t.entries, w.t.bytes + badgerEntry*w.t.entries}
	if !spent.within(w.t.cost) {
		k.t.Errorf("%s costs %+v; its price was %+v", what, spent, w.t.cost)
	}
}

// TestPricesAreUpperBounds applies each operation alone, and so large that what a
// price forgets cannot hide in what it rounds up.
func TestPricesAreUpperBounds(t *testing.T) {
	const n = 120
	k := newKept(t)
	var all []data.ID // of dead letters, in many lanes
	for i := range n {
		name := fmt.Sprint(strings.Repeat("g", 60), i%40)
		m := []data.NewMessage{{Gateway: name, Text: strings.Repeat("x", 10*i)}, {Gateway: name, Text: strings.Repeat("y", 12*i)}, {Gateway: name}}
		o := &data.Save{Messages: m, Key: &data.IdempotencyKey{Key: [32]byte{byte(i), byte(i >> 8)}}}
		k.priced("a save", &data.Batch{Saves: []*data.Save{o}})
		all = append(all, o.First)
		begin := &data.Begin{Gateway: name}
		for _, r := range k.ready(name, 0, 3) {
			begin.Claims = append(begin.Claims, data.Claim{Ref: r, Policy: minute})
		}
		k.priced("a begin", &data.Batch{Begins: []*data.Begin{begin}})
		for j, r := range []data.Result{permanent, withdrawn, delivered} {
			r.Answer = strings.Repeat("z", 9*i)
			settle := &data.Settle{Gateway: name, ID: o.First + data.ID(j), Number: 1, Ended: k.Now(), Result: r}
			k.priced("a settle", &data.Batch{Settles: []*data.Settle{settle}})
		}
		k.priced("a cancel", &data.Batch{Cancels: []*data.Cancel{{ID: o.First + 1}}})
		for _, paused := range []bool{true, false} {
			k.priced("a pause", &data.Batch{Pauses: []*data.Pause{{Gateway: name, Paused: paused}}})
		}
		k.machine().pass(time.Minute)
	}
	// All of it with every field, and messages that expire before they are claimed.
	for i := range n {
		name := fmt.Sprint(strings.Repeat("g", 60), i)
		m := data.NewMessage{Gateway: name, Text: strings.Repeat("x", 12*i), To: "+", Title: strings.Repeat("t", i), ExpiresIn: 5 * time.Minute}
		m.Params = make(map[string]string)
		for j := range i % data.MaxParams {
			m.Params[fmt.Sprint(strings.Repeat("p", 60), j)] = ""
		}
		o := &data.Save{Messages: []data.NewMessage{m, m, m}}
		k.priced("a save of all fields", &data.Batch{Saves: []*data.Save{o}})
		begin := &data.Begin{Gateway: name, Claims: []data.Claim{{Ref: k.ready(name, 0, 1)[0], Policy: minute}}}
		k.priced("a begin of a message with all fields", &data.Batch{Begins: []*data.Begin{begin}})
		settle := &data.Settle{Gateway: name, ID: o.First, Number: 1, Ended: k.Now(), Result: refused}
		k.priced("a settle of a message with all fields", &data.Batch{Settles: []*data.Settle{settle}})
		k.machine().pass(5*time.Minute + time.Second)
		begin = &data.Begin{Gateway: name}
		for _, r := range append(k.ready(name, 0, 3), k.waiting(name, data.Ref{}, 1)...) {
			begin.Claims = append(begin.Claims, data.Claim{Ref: r, Policy: minute})
		}
		k.priced("a begin that finds three overdue", &data.Batch{Begins: []*data.Begin{begin}})
		if len(begin.Overdue) != 3 {
			t.Fatalf("%+v is overdue; want three messages", begin.Overdue)
		}
		k.priced("a resend with all fields", &data.Batch{Resends: []*data.Resend{{IDs: idRange(o.First, 3)}}})
	}
	k.priced("a resend", &data.Batch{Resends: []*data.Resend{{IDs: all[:n/2]}}})
	k.priced("a resend of which half was sent again", &data.Batch{Resends: []*data.Resend{{IDs: all[n/4 : 3*n/4]}}})
	for i := range 5 {
		k.record(slices.Repeat([]data.NewEvent{{Type: "a"}}, 10*i+1)...)
	}
	k.machine().pass(day.Dead)
	prune := func() {
		for i := 0; ; i++ {
			o := &data.Prune{Keep: day, Limit: []int{2, 7, 100, 400}[i%4]}
			k.priced(fmt.Sprint("a prune of ", o.Limit), &data.Batch{Prune: o})
			if o.Next > k.Now() {
				return
			}
		}
	}
	prune()
	// A message that was tried as often as can be, each time with the longest answer.
	last := k.send("gateway_4", "often")
	often := minute
	often.MaxAttempts = maxAttempts + 1
	for n := 1; n <= maxAttempts; n++ {
		ref := data.Ref{ID: last, Number: n, Due: k.message(last).Due}
		if n == 1 {
			ref = k.ready("gateway_4", 0, 1)[0]
		}
		k.machine().pass(time.Hour)
		begin := &data.Begin{Gateway: "gateway_4", Claims: []data.Claim{{Ref: ref, Policy: often}}}
		k.priced("a begin", &data.Batch{Begins: []*data.Begin{begin}})
		r := refused
		r.Answer = strings.Repeat("z", data.MaxAnswer+n)
		k.priced("a settle with an answer", &data.Batch{Settles: []*data.Settle{{Gateway: "gateway_4", ID: last, Number: n, Ended: k.Now(), Result: r}}})
	}
	k.machine().pass(time.Hour)
	fewer := data.Claim{Ref: data.Ref{ID: last, Number: maxAttempts + 1, Due: k.message(last).Due}, Policy: minute}
	k.priced("giving up", &data.Batch{Begins: []*data.Begin{{Gateway: "gateway_4", Claims: []data.Claim{fewer}}}})
	k.state(last, data.Failed)
	if got := len(k.message(last).Attempts[maxAttempts-1].Answer); got != data.MaxAnswer {
		t.Errorf("%d bytes of the newest answer are kept; want %d", got, data.MaxAnswer)
	}
	k.machine().pass(day.Dead)
	prune()
	// One lane with much in one group, one with all that a message may have, and one
	// whose queue names what ended.
	k.send("gateway_1", texts(3000)...)
	b := &data.Batch{}
	for _, g := range k.begin("gateway_1", k.ready("gateway_1", 0, 3000)...) {
		b.Settles = append(b.Settles, &data.Settle{Gateway: "gateway_1", ID: g.Message.ID, Number: 1, Ended: k.Now(), Result: delivered})
	}
	k.apply(b)
	k.resend(k.fail("gateway_3", slices.Repeat([]string{strings.Repeat("x", inlineText+1)}, 200)...)...)
	for _, id := range idRange(k.send("gateway_2", texts(500)...), 500) {
		k.cancel(id)
	}
	k.machine().pass(day.Dead)
	prune()
	k.verify()
	if n := k.keysUnder(prefixDone); n != 0 {
		t.Errorf("%d groups are left", n)
	}
}
