package badger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

// meter adds up what commits cost.
type meter struct{ commits, entries, bytes int }

func (m *meter) committed(entries, bytes int, _ time.Duration) {
	m.commits++
	m.entries += entries
	m.bytes += bytes
}

// TestCostOfALife measures what the package comment states, so that it cannot
// drift: entries and bytes per event and per message life, in groups of a size.
func TestCostOfALife(t *testing.T) {
	const n = 256
	text := strings.Repeat("x", 200)
	event := data.NewEvent{Type: "user_joined", Payload: text}
	hundred := slices.Repeat([]data.NewEvent{event}, 100)
	for _, group := range []int{1, 64} {
		var m meter
		o := optionsIn(t.TempDir(), newMachine())
		o.Committed = m.committed
		k := newKeptWith(t, o)
		check := func(what string, count int, most float64) {
			t.Helper()
			entries := float64(m.entries) / float64(count)
			t.Logf("groups of %2d, %-29s: %5.2f entries, %5.0f bytes", group, what, entries, float64(m.bytes)/float64(count))
			if entries > most {
				t.Errorf("groups of %d, %s takes %.2f entries; want at most %.2f", group, what, entries, most)
			}
			m = meter{}
		}
		each := func(f func(b *data.Batch, i int)) {
			for i := 0; i < n; i += group {
				b := &data.Batch{}
				for j := i; j < min(i+group, n); j++ {
					f(b, j)
				}
				k.apply(b)
			}
		}
		share := 1 / float64(group)
		each(func(b *data.Batch, _ int) { b.Saves = append(b.Saves, &data.Save{Events: []data.NewEvent{event}}) })
		check("an event", n, 2*share+0.1)
		each(func(b *data.Batch, _ int) { b.Saves = append(b.Saves, &data.Save{Events: hundred}) })
		check("an event of an array of 100", 100*n, 0.1)
		each(func(b *data.Batch, _ int) {
			b.Saves = append(b.Saves, &data.Save{Messages: []data.NewMessage{{Gateway: "gateway_1", Text: text}}})
		})
		check("a message, accepted", n, 1+3*share+0.1)
		try := func(refs []data.Ref, r data.Result) {
			for chunk := range slices.Chunk(refs, group) {
				begin := &data.Batch{Begins: []*data.Begin{{Gateway: "gateway_1"}}}
				settle := &data.Batch{}
				for _, ref := range chunk {
					begin.Begins[0].Claims = append(begin.Begins[0].Claims, data.Claim{Ref: ref, Policy: minute})
					settle.Settles = append(settle.Settles, &data.Settle{
						Gateway: "gateway_1", ID: ref.ID, Number: ref.Number, Ended: k.Now(), Result: r,
					})
				}
				k.apply(begin)
				k.apply(settle)
			}
		}
		half := k.ready("gateway_1", 0, n/2)
		try(half, delivered)
		check("tried once, delivered", n/2, 1+6*share+0.1)
		try(k.ready("gateway_1", 0, n/2), refused)
		check("tried once, waits", n/2, 2+5*share+0.1)
		k.machine().pass(time.Hour)
		try(k.waiting("gateway_1", data.Ref{}, n), delivered)
		check("tried again, delivered", n/2, 2+5*share+0.1)
		for range n / group {
			b := &data.Batch{Allow: func(string) *data.Allowance { return &data.Allowance{Policy: minute} }}
			for range group {
				b.Saves = append(b.Saves, &data.Save{Messages: []data.NewMessage{{Gateway: "gateway_1", Text: text}}})
			}
			k.apply(b)
			settle := &data.Batch{}
			for _, g := range b.Arrived[0].Begun {
				settle.Settles = append(settle.Settles, &data.Settle{Gateway: "gateway_1", ID: g.Message.ID, Number: 1, Ended: k.Now(), Result: delivered})
			}
			k.apply(settle)
		}
		check("begun with its save, delivered", n, 2+5*share+0.1)
		k.verify()
	}
}

// BenchmarkOpenWithFullRing opens a store with as many markers as there can be.
func BenchmarkOpenWithFullRing(b *testing.B) {
	k := newKept(b)
	ring := uint64(k.stamp.Ring)
	for k.newest.commit < ring+10 {
		txn := k.db.NewWriteBatchAt(k.versions.current() + 1)
		last := min(k.newest.commit+10_000, ring+10)
		for n := k.newest.commit + 1; n <= last; n++ {
			m := marker{
				commit: n, time: data.StoreTime(n << 30), boot: make([]byte, 36), bootTime: time.Duration(n << 30), next: data.ID(n + 1), wall: at,
			}
			key := markerKey(uint32(n % ring))
			if err := txn.Set(key, m.encode(key)); err != nil {
				b.Fatal(err)
			}
			k.newest = m
		}
		if err := txn.Flush(); err != nil {
			b.Fatal(err)
		}
		k.versions.done(k.versions.current()+1, 0)
	}
	for b.Loop() {
		k.reopen()
	}
	b.ReportMetric(float64(ring), "markers")
}

func BenchmarkApply(b *testing.B) {
	text := strings.Repeat("x", 200)
	for _, group := range []int{1, 64, 256} {
		saves := func(o data.Save) []*data.Save {
			all := make([]*data.Save, group)
			for i := range all {
				copied := o
				all[i] = &copied
			}
			return all
		}
		b.Run(fmt.Sprintf("events/%d", group), func(b *testing.B) {
			k := newKept(b)
			all := saves(data.Save{Events: []data.NewEvent{{Type: "user_joined", Payload: text}}})
			b.ReportAllocs()
			for b.Loop() {
				k.apply(&data.Batch{Saves: all})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*group), "ns/event")
		})
		b.Run(fmt.Sprintf("messages/%d", group), func(b *testing.B) {
			k := newKept(b)
			all := saves(data.Save{Messages: []data.NewMessage{{Gateway: "gateway_1", Text: text}}})
			b.ReportAllocs()
			for b.Loop() {
				k.apply(&data.Batch{Saves: all})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*group), "ns/message")
		})
		b.Run(fmt.Sprintf("lives/%d", group), func(b *testing.B) {
			k := newKept(b)
			all := saves(data.Save{Messages: []data.NewMessage{{Gateway: "gateway_1", Text: text}}})
			b.ReportAllocs()
			for b.Loop() {
				k.apply(&data.Batch{Saves: all})
				batch := &data.Batch{}
				for _, g := range k.begin("gateway_1", k.ready("gateway_1", 0, group)...) {
					batch.Settles = append(batch.Settles, &data.Settle{
						Gateway: "gateway_1", ID: g.Message.ID, Number: 1, Ended: k.Now(), Result: delivered,
					})
				}
				k.apply(batch)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*group), "ns/life")
		})
	}
}

func BenchmarkKeys(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := parseWaitingKey(waitingKey(7, place{1 << 40, 1 << 30})); !ok {
			b.Fatal("the key is not read")
		}
	}
}

func BenchmarkRecords(b *testing.B) {
	for _, r := range records() {
		b.Run("decode "+r.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.decode(r.key, r.value); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	m := &message{Message: data.Message{ID: 7, Text: strings.Repeat("x", 200), AcceptedAt: at, State: data.Queued}, lane: 4}
	k := messageKey(7)
	b.Run("encode message", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = m.encode(k)
		}
	})
	g := eventGroup{first: 1, received: at}
	events := slices.Repeat([]data.NewEvent{{Type: "user_joined", Payload: m.Text}}, 64)
	size := len(events) * packedSize(events[0])
	k = eventsKey(64)
	b.Run("encode 64 events", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = g.encodeEvents(k, events, size)
		}
	})
}
