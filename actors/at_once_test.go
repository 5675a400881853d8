package actors

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postrider/postrider/actors/gateway"
	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/data/badger"
)

// counting is the real store, which counts what it is asked for.
type counting struct {
	*badger.Store
	commits, begins atomic.Int64
}

func (s *counting) Apply(b *data.Batch) error {
	s.commits.Add(1)
	s.begins.Add(int64(len(b.Begins)))
	return s.Store.Apply(b)
}

// TestTwoCommitsForALife: once a gateway is prompt, the first attempt of a message begins
// in the commit that accepts it, so that it needs only one more.
func TestTwoCommitsForALife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, bubbleClock{time.Now()})
		s := &counting{Store: b.store}
		b.options.Store = s
		define := b.options.Define
		b.options.Define = func(name string) (gateway.Definition, bool) {
			d, ok := define(name)
			deliver := d.Deliver
			d.Deliver = func(ctx context.Context, m data.Message, number int) data.Result {
				r := deliver(ctx, m, number)
				r.Status = 200
				return r
			}
			return d, ok
		}
		b.runInBubble()
		first := b.save("a", "begun by its lane")
		time.Sleep(time.Second)
		synctest.Wait()
		if commits, begins := s.commits.Load(), s.begins.Load(); commits != 3 || begins != 1 {
			t.Errorf("the first message took %d commits and %d begins; want 3 and 1", commits, begins)
		}
		for i := range int64(10) {
			b.save("a", "begun with its save")
			time.Sleep(time.Second)
			synctest.Wait()
			if commits, begins := s.commits.Load(), s.begins.Load(); commits != 5+2*i || begins != 1 {
				t.Errorf("message %d: %d commits and %d begins in all; want two commits more and no begin", i, commits, begins)
			}
		}
		b.wantDelivered(first, 11)
		if !b.stopInBubble() {
			t.Error("not stopped in order")
		}
	})
}
