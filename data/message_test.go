package data_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

func TestStateNames(t *testing.T) {
	for _, s := range data.AllStates() {
		got, ok := data.ParseState(s.String())
		if got != s || !ok {
			t.Errorf("ParseState(%q) = %v, %v; want %v, true", s.String(), got, ok, s)
		}
	}
	for _, name := range []string{"", "Queued", "queue", "unknown "} {
		if got, ok := data.ParseState(name); ok {
			t.Errorf("ParseState(%q) = %v, true; want none", name, got)
		}
	}
	if got := data.State(200).String(); got != "" {
		t.Errorf("State(200).String() = %q; want none", got)
	}
	if got := data.Outcome(200).String(); got != "" {
		t.Errorf("Outcome(200).String() = %q; want none", got)
	}
}

func TestStateKinds(t *testing.T) {
	final := []data.State{data.Delivered, data.Failed, data.Unknown, data.Expired, data.Cancelled}
	dead := []data.State{data.Failed, data.Unknown, data.Expired}
	for s := range data.State(data.States + 1) {
		if got, want := s.Final(), slices.Contains(final, s); got != want {
			t.Errorf("State(%d).Final() = %v; want %v", s, got, want)
		}
		if got, want := s.Dead(), slices.Contains(dead, s); got != want {
			t.Errorf("State(%d).Dead() = %v; want %v", s, got, want)
		}
	}
}

// tried returns a message in a state after a number of attempts.
func tried(s data.State, attempts int, due data.StoreTime) data.Message {
	m := data.Message{State: s, Due: due}
	for n := range attempts {
		m.Attempts = append(m.Attempts, data.Attempt{Number: n + 1})
	}
	return m
}

func TestMessageBegin(t *testing.T) {
	tests := map[string]struct {
		m      data.Message
		number int
		now    data.StoreTime
		want   error
	}{
		"queued, first":         {tried(data.Queued, 0, 0), 1, 0, nil},
		"queued, zeroth":        {tried(data.Queued, 0, 0), 0, 0, data.ErrConflict},
		"queued, second":        {tried(data.Queued, 0, 0), 2, 0, data.ErrConflict},
		"waiting, due":          {tried(data.Waiting, 1, 60), 2, 60, nil},
		"waiting, just not due": {tried(data.Waiting, 1, 60), 2, 59, data.ErrConflict},
		"waiting, stale number": {tried(data.Waiting, 2, 60), 2, 60, data.ErrConflict},
		"sending":               {tried(data.Sending, 1, 0), 2, 60, data.ErrConflict},
		"delivered":             {tried(data.Delivered, 1, 0), 2, 60, data.ErrConflict},
		"failed":                {tried(data.Failed, 3, 0), 4, 60, data.ErrConflict},
		"cancelled":             {tried(data.Cancelled, 0, 0), 1, 60, data.ErrConflict},
		"just not expired":      {data.Message{State: data.Queued, Expires: 60}, 1, 59, nil},
		"expired":               {data.Message{State: data.Queued, Expires: 60}, 1, 60, data.ErrConflict},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := test.m
			err := m.Begin(test.number, test.now)
			if !errors.Is(err, test.want) {
				t.Errorf("Begin(%d, %d) = %v; want %v", test.number, test.now, err, test.want)
			}
			want := test.m.State
			if test.want == nil {
				want = data.Sending
			}
			if m.State != want {
				t.Errorf("Begin(%d, %d) leaves %v; want %v", test.number, test.now, m.State, want)
			}
		})
	}
}

func TestMessageSettle(t *testing.T) {
	waiting := data.Next{State: data.Waiting, Due: 99}
	tests := map[string]struct {
		m      data.Message
		number int
		next   data.Next
		want   error
	}{
		"sending to waiting":   {tried(data.Sending, 0, 0), 1, waiting, nil},
		"sending to delivered": {tried(data.Sending, 2, 0), 3, data.Next{State: data.Delivered}, nil},
		"other number":         {tried(data.Sending, 0, 0), 2, waiting, data.ErrConflict},
		"settled before":       {tried(data.Waiting, 1, 5), 1, waiting, data.ErrConflict},
		"queued":               {tried(data.Queued, 0, 0), 1, waiting, data.ErrConflict},
		"ended":                {tried(data.Unknown, 3, 0), 3, data.Next{State: data.Delivered}, data.ErrConflict},
		"back to queued":       {tried(data.Sending, 0, 0), 1, data.Next{State: data.Queued}, data.ErrConflict},
		"on to sending":        {tried(data.Sending, 0, 0), 1, data.Next{State: data.Sending}, data.ErrConflict},
		"to nothing":           {tried(data.Sending, 0, 0), 1, data.Next{}, data.ErrConflict},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m, before := test.m, test.m
			err := m.Settle(data.Attempt{Number: test.number}, test.next)
			if !errors.Is(err, test.want) {
				t.Fatalf("Settle(%d, %v) = %v; want %v", test.number, test.next, err, test.want)
			}
			if err != nil {
				if m.State != before.State || m.Due != before.Due || len(m.Attempts) != len(before.Attempts) {
					t.Errorf("Settle(%d, %v) refused and changed %+v to %+v", test.number, test.next, before, m)
				}
				return
			}
			if m.State != test.next.State || m.Due != test.next.Due || m.NextNumber() != test.number+1 {
				t.Errorf("Settle(%d, %v) leaves %+v", test.number, test.next, m)
			}
		})
	}
}

func TestMessageCancel(t *testing.T) {
	for s, want := range map[data.State]error{
		data.Queued: nil, data.Waiting: nil, data.Sending: data.ErrSending,
		data.Delivered: data.ErrEnded, data.Failed: data.ErrEnded, data.Unknown: data.ErrEnded,
		data.Expired: data.ErrEnded, data.Cancelled: data.ErrEnded,
	} {
		m := tried(s, 1, 7)
		err := m.Cancel()
		if !errors.Is(err, want) {
			t.Errorf("Cancel of a message that is %v = %v; want %v", s, err, want)
		}
		if err == nil && (m.State != data.Cancelled || m.Due != 0) || err != nil && m.State != s {
			t.Errorf("Cancel of a message that is %v leaves %v, due %d", s, m.State, m.Due)
		}
	}
}

func TestCutOff(t *testing.T) {
	f := data.InFlight{ID: 7, Number: 2, Began: 5, Policy: data.Policy{MaxAttempts: 3, Interval: time.Minute}}
	got := f.CutOff("gateway_1", 9, data.CauseCutOff)
	want := data.Settle{
		Gateway: "gateway_1", ID: 7, Number: 2, Ended: 9,
		Result: data.Result{Outcome: data.OutcomeUnknown, Cause: data.CauseCutOff},
	}
	if *got != want {
		t.Errorf("CutOff(9) = %+v; want %+v", *got, want)
	}
}

func TestWithdrawnAttemptLeavesNoTrace(t *testing.T) {
	m := tried(data.Waiting, 1, 5)
	m.Attempts[0].Cause = data.CauseStatus
	if err := m.Begin(2, 7); err != nil {
		t.Fatal(err)
	}
	a := data.Attempt{Number: 2, Began: 7, Ended: 8, Result: data.Result{Outcome: data.OutcomeWithdrawn}}
	if err := m.Settle(a, data.Policy{MaxAttempts: 2}.After(a)); err != nil {
		t.Fatal(err)
	}
	if m.State != data.Waiting || m.Due != 7 || m.NextNumber() != 2 || len(m.Attempts) != 1 {
		t.Errorf("after a withdrawn attempt the message is %+v; want it to wait for attempt 2 at 7", m)
	}
}

// However often a message is tried, it keeps the answers of its newest attempts
// only, and whoever reads the attempts that there were sees them as they were.
func TestMessageKeepsTheNewestAnswers(t *testing.T) {
	m := data.Message{State: data.Queued}
	var seen [][]data.Attempt
	const attempts = 3 * data.MaxAnswers
	for n := 1; n <= attempts; n++ {
		seen = append(seen, slices.Clip(m.Attempts))
		m.State = data.Sending
		a := data.Attempt{Number: n, Result: data.Result{Outcome: data.OutcomeTemporary}}
		if n%3 != 0 {
			a.Answer = strconv.Itoa(n)
		}
		if err := m.Settle(a, data.Next{State: data.Waiting}); err != nil {
			t.Fatal(err)
		}
	}
	kept := 0
	for i, a := range m.Attempts {
		want := ""
		if n := i + 1; n%3 != 0 && n > attempts/2 {
			want = strconv.Itoa(n)
			kept++
		}
		if a.Answer != want || a.Number != i+1 {
			t.Errorf("attempt %d has the answer %q; want %q", a.Number, a.Answer, want)
		}
	}
	if kept != data.MaxAnswers {
		t.Errorf("%d answers are kept; want %d", kept, data.MaxAnswers)
	}
	for n := range data.MaxAnswers {
		for i, a := range seen[n] {
			if (a.Answer == "") != ((i+1)%3 == 0) {
				t.Errorf("the answer of attempt %d was dropped under the eyes of a reader", i+1)
			}
		}
	}
}

func TestMessageResend(t *testing.T) {
	for _, s := range data.AllStates() {
		m := tried(s, 3, 0)
		var want error
		if !s.Dead() {
			want = data.ErrNotDead
		}
		if err := m.Resend(9); !errors.Is(err, want) {
			t.Errorf("Resend(9) of a message that is %s = %v; want %v", s, err, want)
		}
		if want != nil && m.ResentAs != 0 {
			t.Errorf("a message that is %s was marked as sent again", s)
		}
		if want == nil {
			if err := m.Resend(10); !errors.Is(err, data.ErrResent) || m.ResentAs != 9 {
				t.Errorf("a second Resend = %v and it became %d; want ErrResent and 9", err, m.ResentAs)
			}
		}
	}
}

func TestMessageCause(t *testing.T) {
	m := data.Message{}
	if got := m.Cause(); got != data.CauseNone {
		t.Errorf("Cause() = %q before an attempt; want none", got)
	}
	m.Attempts = []data.Attempt{
		{Number: 1, Result: data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseReset}},
		{Number: 2, Result: data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseStatus}},
		{Number: 3},
	}
	if got := m.Cause(); got != data.CauseStatus {
		t.Errorf("Cause() = %q; want that of the newest attempt that ended, %q", got, data.CauseStatus)
	}
}

func TestRetentionOf(t *testing.T) {
	r := data.Retention{Events: 1, Delivered: 2, Dead: 3}
	want := map[data.State]time.Duration{data.Delivered: 2, data.Cancelled: 2, data.Failed: 3, data.Unknown: 3, data.Expired: 3}
	for s, d := range want {
		if got := r.Of(s); got != d {
			t.Errorf("Of(%s) = %v; want %v", s, got, d)
		}
	}
}
