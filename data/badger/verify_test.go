package badger

import (
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// TestVerifyFinds changes one record of a sound store at a time.
func TestVerifyFinds(t *testing.T) {
	type change func(k *kept, txn *badger.Txn) error
	remove := func(key func(k *kept) []byte) change {
		return func(k *kept, txn *badger.Txn) error { return txn.Delete(key(k)) }
	}
	for _, c := range []struct {
		about  string
		change change
		want   string
	}{
		{"a queued message is gone", remove(func(*kept) []byte { return messageKey(4) }), "a queue names message"},
		{"a cancelled message is gone that a queue names", func(_ *kept, txn *badger.Txn) error {
			return txn.Delete(messageKey(5))
		}, "a queue names message"},
		{"an ended message is gone", remove(func(*kept) []byte { return messageKey(2) }), "which is not there, as failed"},
		{"a dead letter is gone that was sent again", remove(func(*kept) []byte { return messageKey(3) }), "was sent again, which is not there"},
		{"a group is gone", remove(func(k *kept) []byte {
			return doneKey(1, data.Failed, k.laneNumbered(1).oldest[data.Failed])
		}), "is failed and not placed so"},
		{"the lane says that a group is later", func(k *kept, txn *badger.Txn) error {
			l := *k.laneNumbered(1)
			l.oldest[data.Failed] = k.newest.time
			return txn.Set(laneKey(1), l.encode(laneKey(1)))
		}, "before the first of their lane"},
		{"the lane miscounts", func(k *kept, txn *badger.Txn) error {
			l := *k.laneNumbered(1)
			l.counts[data.Failed]--
			return txn.Set(laneKey(1), l.encode(laneKey(1)))
		}, "lane 1 counts"},
		{"the marker says that the log begins later", func(k *kept, txn *badger.Txn) error {
			m := k.newest
			m.events = 2
			key := markerKey(uint32(m.commit))
			return txn.Set(key, m.encode(key))
		}, "are older than what is before them"},
		{"the marker says that an id is free", func(k *kept, txn *badger.Txn) error {
			m := k.newest
			m.next--
			key := markerKey(uint32(m.commit))
			return txn.Set(key, m.encode(key))
		}, "was given and"},
	} {
		t.Run(c.about, func(t *testing.T) {
			k := newKept(t)
			k.record(data.NewEvent{Type: "a"})
			k.fail("gateway_1", "dead", "dead and sent again") // 2 and 3
			k.send("gateway_1", "queued", "cancelled")         // 4 and 5
			k.cancel(5)
			k.resend(3)
			k.verify()
			if err := k.change(func(txn *badger.Txn) error { return c.change(k, txn) }); err != nil {
				t.Fatal(err)
			}
			err := k.Verify()
			wantErr(t, "Verify", err, data.ErrDamaged)
			if err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("Verify() = %v; want %q in it", err, c.want)
			}
		})
	}
}
