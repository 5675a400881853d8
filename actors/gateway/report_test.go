package gateway

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postrider/postrider/data"
)

// How late an attempt is counts from the acceptance of its message, or from when it
// was due again, to the moment before its request leaves.
func TestLatenessIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Definition.Concurrency = 1
		b.commitTime = func() time.Duration { return time.Second }
		b.answer = taking(5*time.Second, failing)
		var first, again []time.Duration
		b.options.Began = func(late time.Duration, due bool) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if due {
				again = append(again, late)
				return
			}
			first = append(first, late)
		}
		b.store.accept(2)
		b.run()
		defer b.stop()
		time.Sleep(interval + 20*time.Second)
		synctest.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		// The second waits for the first, which takes a second to be recorded, five to
		// fail and one more to be settled along with the second's Begin.
		if want := []time.Duration{time.Second, 7 * time.Second}; !slices.Equal(first, want) {
			t.Errorf("first attempts were late by %v, want %v", first, want)
		}
		// Due at 66 s and at 72 s, which is when the first ends again.
		if want := []time.Duration{time.Second, time.Second}; !slices.Equal(again, want) {
			t.Errorf("attempts that were due again were late by %v, want %v", again, want)
		}
	})
}

// The clock on the wall may have been set back since a message was accepted.
func TestLatenessIsNeverNegative(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		late := []time.Duration{}
		b.options.Began = func(d time.Duration, _ bool) {
			b.mu.Lock()
			defer b.mu.Unlock()
			late = append(late, d)
		}
		b.answer = delivering
		b.store.accept(1)
		b.store.messages[1].AcceptedAt = time.Now().Add(time.Hour)
		b.run()
		defer b.stop()
		time.Sleep(time.Second)
		synctest.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		if !slices.Equal(late, []time.Duration{0}) {
			t.Errorf("it was late by %v, want 0", late)
		}
	})
}

func TestMessageThatIsGivenUpIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ended := map[data.State]int{}
		b.options.Ended = func(_ string, state data.State) {
			b.mu.Lock()
			defer b.mu.Unlock()
			ended[state]++
		}
		b.store.accept(1)
		b.run()
		defer b.stop()
		time.Sleep(time.Second)
		b.redefine(func(d *Definition) { d.Policy.MaxAttempts = 1 })
		time.Sleep(2 * interval)
		synctest.Wait()
		b.wantState(1, data.Failed)
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(ended) != 1 || ended[data.Failed] != 1 {
			t.Errorf("what ended is told as %v, want one that failed", ended)
		}
	})
}
