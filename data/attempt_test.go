package data_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

func TestPolicyAfter(t *testing.T) {
	const ended = data.StoreTime(1000)
	minute := data.Policy{MaxAttempts: 3, Interval: time.Minute, MaxHint: time.Hour}
	once := data.Policy{MaxAttempts: 1, Interval: time.Minute, MaxHint: time.Hour}
	waiting := func(d time.Duration) data.Next { return data.Next{State: data.Waiting, Due: ended.Add(d)} }
	hint := func(d time.Duration) data.Result { return data.Result{Outcome: data.OutcomeThrottled, Hint: d} }
	tests := map[string]struct {
		policy data.Policy
		number int
		result data.Result
		want   data.Next
	}{
		"delivered":                 {minute, 1, data.Result{Outcome: data.OutcomeDelivered}, data.Next{State: data.Delivered}},
		"delivered at last":         {minute, 3, data.Result{Outcome: data.OutcomeDelivered}, data.Next{State: data.Delivered}},
		"delivered beyond the last": {once, 2, data.Result{Outcome: data.OutcomeDelivered}, data.Next{State: data.Delivered}},
		"permanent":                 {minute, 1, data.Result{Outcome: data.OutcomePermanent}, data.Next{State: data.Failed}},
		"temporary":                 {minute, 1, data.Result{Outcome: data.OutcomeTemporary}, waiting(time.Minute)},
		"temporary, last but one":   {minute, 2, data.Result{Outcome: data.OutcomeTemporary}, waiting(time.Minute)},
		"temporary, last":           {minute, 3, data.Result{Outcome: data.OutcomeTemporary}, data.Next{State: data.Failed}},
		"temporary, only":           {once, 1, data.Result{Outcome: data.OutcomeTemporary}, data.Next{State: data.Failed}},
		"unknown":                   {minute, 1, data.Result{Outcome: data.OutcomeUnknown}, waiting(time.Minute)},
		"unknown, last":             {minute, 3, data.Result{Outcome: data.OutcomeUnknown}, data.Next{State: data.Unknown}},
		"unknown, only":             {once, 1, data.Result{Outcome: data.OutcomeUnknown}, data.Next{State: data.Unknown}},
		"no policy":                 {data.Policy{}, 1, data.Result{Outcome: data.OutcomeTemporary}, data.Next{State: data.Failed}},
		"throttled, last":           {minute, 3, hint(time.Minute), data.Next{State: data.Failed}},
		"withdrawn":                 {minute, 1, data.Result{Outcome: data.OutcomeWithdrawn}, data.Next{State: data.Waiting, Due: ended - 1}},
		"withdrawn, last":           {minute, 3, data.Result{Outcome: data.OutcomeWithdrawn}, data.Next{State: data.Waiting, Due: ended - 1}},
		"hint shorter":              {minute, 1, hint(time.Second), waiting(time.Minute)},
		"hint negative":             {minute, 1, hint(-time.Hour), waiting(time.Minute)},
		"hint longer":               {minute, 1, hint(5 * time.Minute), waiting(5 * time.Minute)},
		"hint beyond the limit":     {minute, 1, hint(48 * time.Hour), waiting(time.Hour)},
		"hint beyond all bounds":    {minute, 1, hint(math.MaxInt64), waiting(time.Hour)},
		"hint least":                {minute, 1, hint(math.MinInt64), waiting(time.Minute)},
		"limit below the interval":  {data.Policy{MaxAttempts: 2, Interval: time.Minute, MaxHint: time.Second}, 1, hint(time.Hour), waiting(time.Minute)},
		"interval beyond all bounds": {
			data.Policy{MaxAttempts: 2, Interval: math.MaxInt64}, 1, hint(0), data.Next{State: data.Waiting, Due: data.Never},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := data.Attempt{Number: test.number, Began: ended - 1, Ended: ended, Result: test.result}
			if got := test.policy.After(a); got != test.want {
				t.Errorf("%+v.After(%+v) = %+v; want %+v", test.policy, a, got, test.want)
			}
		})
	}
}

func TestPolicyHold(t *testing.T) {
	const ended = data.StoreTime(1000)
	p := data.Policy{MaxAttempts: 3, Interval: time.Minute, MaxHint: time.Hour}
	throttled := func(d time.Duration) data.Result { return data.Result{Outcome: data.OutcomeThrottled, Hint: d} }
	tests := map[string]struct {
		number int
		result data.Result
		want   time.Duration // 0 for no hold
	}{
		"a hint":                     {1, throttled(5 * time.Minute), 5 * time.Minute},
		"at the last attempt":        {3, throttled(5 * time.Minute), 5 * time.Minute},
		"shorter than the interval":  {1, throttled(0), time.Minute},
		"negative":                   {1, throttled(-time.Hour), time.Minute},
		"beyond the limit":           {1, throttled(math.MaxInt64), time.Hour},
		"temporary":                  {1, data.Result{Outcome: data.OutcomeTemporary, Hint: time.Minute}, 0},
		"permanent":                  {1, data.Result{Outcome: data.OutcomePermanent}, 0},
		"delivered in spite of that": {1, data.Result{Outcome: data.OutcomeDelivered, Hint: time.Minute}, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := data.Attempt{Number: test.number, Began: ended - 1, Ended: ended, Result: test.result}
			until, asked := p.Hold(a)
			if asked != (test.want > 0) || asked && until != ended.Add(test.want) {
				t.Errorf("%+v.Hold(%+v) = %d, %v; want %v after %d", p, a, until, asked, test.want, ended)
			}
		})
	}
}

func TestResultUnreached(t *testing.T) {
	tests := map[string]struct {
		result data.Result
		want   int // after three
	}{
		"delivered":      {data.Result{Outcome: data.OutcomeDelivered, Status: 200}, 0},
		"an answer":      {data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseStatus, Status: 500}, 0},
		"throttled":      {data.Result{Outcome: data.OutcomeThrottled, Cause: data.CauseThrottled, Status: 429}, 0},
		"no answer":      {data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseTimeout}, 0},
		"broken":         {data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseReset}, 0},
		"refused":        {data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseRefused}, 4},
		"no name":        {data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseDNS}, 4},
		"no token":       {data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseToken}, 4},
		"a body's no":    {data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseRejected, Status: 200}, 0},
		"no whole body":  {data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseBody, Status: 200}, 0},
		"cut off":        {data.Result{Outcome: data.OutcomeUnknown, Cause: data.CauseCutOff}, 3},
		"abandoned":      {data.Result{Outcome: data.OutcomeUnknown, Cause: data.CauseNoAnswerBy}, 3},
		"withdrawn":      {data.Result{Outcome: data.OutcomeWithdrawn}, 3},
		"not rendered":   {data.Result{Outcome: data.OutcomePermanent, Cause: data.CauseRendering}, 3},
		"not allowed to": {data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseForbidden}, 3},
	}
	for name, test := range tests {
		if got := test.result.Unreached(3); got != test.want {
			t.Errorf("%s: %+v.Unreached(3) = %d; want %d", name, test.result, got, test.want)
		}
	}
}

func TestCauses(t *testing.T) {
	unreached := []data.Cause{data.CauseRefused, data.CauseUnreached, data.CauseDNS, data.CauseTLS, data.CauseToken}
	for _, c := range data.Causes() {
		if got, ok := data.ParseCause(string(c)); got != c || !ok {
			t.Errorf("ParseCause(%q) = %q, %v; want the same, true", c, got, ok)
		}
		if got, want := c.Unreached(), slices.Contains(unreached, c); got != want {
			t.Errorf("Cause(%q).Unreached() = %v; want %v", c, got, want)
		}
	}
	for _, word := range []string{"", "Refused", "status "} {
		if _, ok := data.ParseCause(word); ok {
			t.Errorf("ParseCause(%q) is true; want false", word)
		}
	}
}

func TestAttemptDuration(t *testing.T) {
	a := data.Attempt{Began: 10, Ended: data.StoreTime(10).Add(time.Second)}
	if got := a.Duration(); got != time.Second {
		t.Errorf("Duration() = %v; want 1s", got)
	}
}

func TestStoreTimeAddStopsAtNever(t *testing.T) {
	tests := []struct {
		t    data.StoreTime
		d    time.Duration
		want data.StoreTime
	}{
		{0, 0, 0},
		{5, time.Second, 1_000_000_005},
		{5, -3, 2},
		{data.Never, 0, data.Never},
		{data.Never, 1, data.Never},
		{data.Never, math.MaxInt64, data.Never},
		{data.Never - 1, 1, data.Never},
		{data.Never - 1, 2, data.Never},
		{1, math.MaxInt64, data.Never},
		{0, math.MaxInt64, data.Never},
	}
	for _, test := range tests {
		if got := test.t.Add(test.d); got != test.want {
			t.Errorf("StoreTime(%d).Add(%d) = %d; want %d", test.t, test.d, got, test.want)
		}
	}
}
