package data_test

import (
	"fmt"
	"time"

	"github.com/postrider/postrider/data"
)

// The retry rule, for a gateway that is down: three attempts, each at least a
// minute after the end of the one before.
func ExamplePolicy_After() {
	policy := data.Policy{MaxAttempts: data.DefaultMaxAttempts, Interval: data.DefaultInterval, MaxHint: data.DefaultMaxHint}
	m := data.Message{Gateway: "gateway_99", Text: "hello world", State: data.Queued}
	for now := data.StoreTime(0); !m.State.Final(); now = m.Due {
		attempt := data.Attempt{Number: m.NextNumber(), Began: now, Ended: now.Add(time.Second)}
		attempt.Result = data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseStatus, Status: 404}
		if err := m.Begin(attempt.Number, now); err != nil {
			fmt.Println(err)
		}
		if err := m.Settle(attempt, policy.After(attempt)); err != nil {
			fmt.Println(err)
		}
		fmt.Printf("attempt %d at %v: %v\n", attempt.Number, now.Sub(0), m.State)
	}
	// Output:
	// attempt 1 at 0s: waiting
	// attempt 2 at 1m1s: waiting
	// attempt 3 at 2m2s: failed
}

// An id is opaque to users; texts sort like the ids.
func ExampleParseID() {
	first := data.FirstID(0)
	id, err := data.ParseID(first.String())
	fmt.Println(first, id == first, err)
	_, err = data.ParseID("../etc/passwd")
	fmt.Println(err)
	// Output:
	// 0000000000002 true <nil>
	// parse id: not found
}
