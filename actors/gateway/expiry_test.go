package gateway

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postrider/postrider/data"
)

// after returns when messages expire that are wanted for a time from now on.
func (b *bench) after(life time.Duration) func(data.ID) data.StoreTime {
	at := b.now().Add(life)
	return func(data.ID) data.StoreTime { return at }
}

func TestExpiredMessagesAreNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		expired := 0
		b.options.Attempted = func(gateway string, _ data.Result, next data.State, _ time.Duration) {
			if gateway == "gateway_1" && next == data.Expired {
				expired++
			}
		}
		b.options.Ended = func(gateway string, state data.State) {
			if gateway == "gateway_1" && state == data.Expired {
				expired++
			}
		}
		b.options.Definition.Concurrency = 1
		b.answer = taking(5*time.Second, func(_ context.Context, m data.Message, _ int) data.Result {
			if m.ID == 1 {
				return data.Result{Outcome: data.OutcomeTemporary}
			}
			return data.Result{Outcome: data.OutcomeDelivered}
		})
		b.store.expires = b.after(10 * time.Second)
		b.store.accept(3) // for 1 a retry is too late, for 3 the first attempt
		b.run()
		defer b.stop()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		b.wantState(1, data.Expired)
		b.wantState(2, data.Delivered)
		b.wantState(3, data.Expired)
		b.wantRequests(2)
		if expired != 2 {
			t.Errorf("%d are counted; want 2", expired)
		}
		if n := b.options.Slots.inUse(); n != 0 {
			t.Errorf("%d slots are taken by nobody", n)
		}
	})
}

// A commit may take so long that the message is not wanted any more behind it.
func TestMessageExpiresWhileItsAttemptIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		expired := 0
		b.options.Ended = func(string, data.State) { expired++ }
		b.options.Record = func(begin *data.Begin, settles []*data.Settle, done func(error)) {
			b.asked <- func() {
				b.store.commit(begin, settles, b.now())
				time.Sleep(20 * time.Millisecond)
				done(nil)
			}
		}
		b.store.expires = b.after(10 * time.Millisecond)
		b.store.accept(1)
		b.run()
		defer b.stop()
		time.Sleep(time.Minute)
		b.wantRequests(0)
		b.wantState(1, data.Expired)
		if m := b.store.message(1); len(m.Attempts) != 0 || expired != 1 {
			t.Errorf("it has %d attempts and is counted %d times; want none, once", len(m.Attempts), expired)
		}
	})
}

// The message expires while its attempt waits for a token, say. That is not the fault of
// the gateway, and no attempt.
func TestMessageExpiresBeforeItsRequestLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		expired := 0
		b.options.Ended = func(string, data.State) { expired++ }
		b.options.Attempted = func(string, data.Result, data.State, time.Duration) { t.Error("an attempt is counted") }
		b.answer = taking(5*time.Second, func(context.Context, data.Message, int) data.Result {
			return data.Result{Outcome: data.OutcomeWithdrawn}
		})
		b.store.expires = b.after(3 * time.Second)
		b.store.accept(1)
		b.run()
		defer b.stop()
		time.Sleep(time.Minute)
		b.wantRequests(1)
		b.wantState(1, data.Expired)
		if m := b.store.message(1); len(m.Attempts) != 0 || expired != 1 {
			t.Errorf("it has %d attempts and is counted %d times; want none, once", len(m.Attempts), expired)
		}
		if n := b.options.Slots.inUse(); n != 0 {
			t.Errorf("%d slots are taken by nobody", n)
		}
	})
}
