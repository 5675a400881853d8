package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// soundAccount is one of a program that kept its promises: two events of one
// request, a routed one, a message with three attempts, and a request without an
// answer that was stored.
func soundAccount() *account {
	const interval = time.Second
	attempt := func(number int, outcome string) rig.Attempt {
		return rig.Attempt{Number: number, Duration: new(int64(10)), Outcome: outcome}
	}
	came := func(message string, number int, at time.Duration, status int) arrival {
		return arrival{Gateway: well, Message: message, Number: number, Text: digestOf("hi"), At: at, End: at + 5*time.Millisecond, Status: status, Known: true}
	}
	acknowledged := func(ids ...string) []reply { return []reply{{Status: 200, IDs: ids}} }
	return &account{
		Requests: [][]*request{{
			{Path: eventPath, Kind: plainType, Payloads: []string{"a", "b"}, Key: "k", Replies: []reply{{}, {Status: 201, IDs: []string{"01", "02"}}, {Status: 201, IDs: []string{"01", "02"}}}},
			{Path: eventPath, Kind: routedType, Payloads: []string{"hi"}, Replies: acknowledged("03")},
			{Path: messagePath, Kind: well, Payloads: []string{"hi"}, Replies: acknowledged("05")},
			{Path: eventPath, Kind: plainType, Payloads: []string{"c", "d"}, Replies: []reply{{}}},
			{Path: eventPath, Kind: plainType, Payloads: []string{"e"}, Replies: []reply{{Status: 503, Problem: "urn:postrider:problem:stopping"}}},
		}},
		Events: []rig.Event{{ID: "01", Type: plainType, Payload: "a"}, {ID: "02", Type: plainType, Payload: "b"}, {ID: "03", Type: routedType, Payload: "hi"}, {ID: "06", Type: plainType, Payload: "c"}, {ID: "07", Type: plainType, Payload: "d"}},
		Messages: []rig.Message{
			{ID: "04", Event: "03", Gateway: well, Text: "hi", State: "delivered", Attempts: []rig.Attempt{attempt(1, "delivered")}},
			{ID: "05", Gateway: well, Text: "hi", State: "unknown", Attempts: []rig.Attempt{
				attempt(1, "temporary"), attempt(2, "unknown"), attempt(3, "unknown"),
			}},
		},
		Lives: map[string][]lived{
			"04": {{0, 1}},
			"05": {{0, 10 * time.Millisecond}, {interval + 10*time.Millisecond, 2 * interval}, {3 * interval, 4 * interval}},
		},
		Arrivals: []arrival{came("04", 1, 0, 200), came("05", 1, 0, 500), came("05", 2, interval+5*time.Millisecond, 0)},
		Exits:    []exit{{Code: -1, Killed: true}, {Code: 0}},
		promised: promises{attempts: 3, interval: interval},
	}
}

// cutOff has the first attempt of the second message given up by the program when
// the gateway had not taken it in yet, which it did later.
func cutOff(a *account) {
	a.Messages[1].Attempts[0].Outcome, a.Messages[1].Attempts[0].BeganAt = "unknown", a.began
	a.Arrivals[1].At += 200 * time.Millisecond
	a.Arrivals[1].End += 200 * time.Millisecond
}

// The comparison is worth what it finds: for each check there is an account that
// only this check finds fault with.
func TestAccountViolations(t *testing.T) {
	t.Parallel()
	if found := soundAccount().violations(); len(found) > 0 {
		t.Fatalf("violations() = %q of an account without any", found)
	}
	for name, c := range map[string]struct {
		spoil func(a *account)
		says  string
	}{
		"event lost":      {func(a *account) { a.Events = a.Events[1:] }, `was acknowledged as [01 02], stored as ""`},
		"message lost":    {func(a *account) { a.Messages, a.Arrivals = a.Messages[:1], a.Arrivals[:1] }, `was acknowledged as [05], stored as ""`},
		"byte changed":    {func(a *account) { a.Events[1].Payload = "B" }, "which nobody sent"},
		"type changed":    {func(a *account) { a.Events[1].Type = "other" }, "which nobody sent"},
		"gateway changed": {func(a *account) { a.Messages[1].Gateway = slowly }, "which nobody sent"},
		"stored twice":    {func(a *account) { a.Events = append(a.Events, rig.Event{ID: "08", Type: plainType, Payload: "a"}) }, "are the same record"},
		"event again":     {func(a *account) { a.Events = append(a.Events, a.Events[4]) }, "event 07 is listed after 07"},
		"message again":   {func(a *account) { a.Messages = append(a.Messages, a.Messages[0]) }, "message 04 is listed after 05"},
		"not sent":        {func(a *account) { a.Events = append(a.Events, rig.Event{ID: "08", Type: plainType, Payload: "x"}) }, "which nobody sent"},
		"half a request":  {func(a *account) { a.Events = a.Events[:4] }, "1 of 2 events of one request are stored"},
		"refused, stored": {func(a *account) { a.Events = append(a.Events, rig.Event{ID: "08", Type: plainType, Payload: "e"}) }, "was refused and is stored"},
		"out of order":    {func(a *account) { r := a.Requests[0]; r[0], r[1] = r[1], r[0] }, "was acknowledged after"},
		"other id":        {func(a *account) { a.Requests[0][1].Replies[0].IDs[0] = "02" }, `was acknowledged as [02], stored as "03"`},
		"fewer ids": {func(a *account) {
			r := a.Requests[0][0]
			r.Replies[1].IDs, r.Replies[2].IDs = r.Replies[1].IDs[:1], r.Replies[2].IDs[:1]
		}, "was acknowledged as [01], stored"},
		"second answer":    {func(a *account) { a.Requests[0][0].Replies[2].IDs[1] = "06" }, "repeated with its key k"},
		"route forgotten":  {func(a *account) { a.Messages, a.Arrivals = a.Messages[1:], a.Arrivals[1:] }, "has 0 messages, want 1"},
		"routed elsewhere": {func(a *account) { a.Messages[0].Gateway, a.Arrivals[0].Gateway = slowly, slowly }, "has 1 messages, want 1 as routed"},
		"route of nothing": {func(a *account) { a.Messages[0].Event = "09" }, "messages of event 09, which is not stored"},
		"does not end":     {func(a *account) { a.Messages[1].State = "waiting" }, "is waiting after 3 of 3"},
		"given up early":   {func(a *account) { a.Messages[1].State, a.Messages[1].Attempts = "failed", a.Messages[1].Attempts[:2] }, "is failed after 2 of 3"},
		"never delivered":  {func(a *account) { a.Arrivals[0].Status = 500 }, "said 2xx to that one: false"},
		"never arrived":    {func(a *account) { a.Arrivals = a.Arrivals[1:] }, "said 2xx to that one: false"},
		"delivered before": {func(a *account) {
			m := &a.Messages[1]
			m.State, m.Attempts[2].Outcome = "delivered", "delivered"
			a.Arrivals[2].Status = 200 // of the second attempt
		}, "said 2xx to that one: false"},
		"too many of its own": {func(a *account) { a.promised.own = map[string]int{well: 2} }, "had 3 attempts, at most 2"},
		"too many attempts":   {func(a *account) { a.promised.attempts = 2 }, "had 3 attempts, at most 2"},
		"attempt missing":     {func(a *account) { a.Messages[1].Attempts[2].Number = 4 }, "attempt 4 at place 2"},
		"attempt runs on":     {func(a *account) { a.Messages[1].Attempts[2].Duration = nil }, "attempt 3 has not ended"},
		"recorded too early":  {func(a *account) { a.Lives["05"][1].Began-- }, "by the program's own record attempt 2 began 999.999999ms"},
		"not in the store":    {func(a *account) { a.Lives["05"] = a.Lives["05"][:2] }, "has 2 attempts in the store, and 3 by the API"},
		"arrived too often": {func(a *account) {
			again := a.Arrivals[0]
			again.At += time.Minute
			a.Arrivals = append(a.Arrivals, again)
		}, "arrived 2 times in 1 attempts"},
		"attempt repeated":   {func(a *account) { a.Arrivals[2].Number = 1 }, "arrived as attempt 1 after 1"},
		"no number":          {func(a *account) { a.Arrivals[0].Number = 0 }, "arrived as attempt 0 after 0"},
		"came too early":     {func(a *account) { a.Arrivals[2].At -= tolerance + 1 }, "after the end of attempt 1, want 1s"},
		"cut off, too early": {func(a *account) { cutOff(a); a.Arrivals[2].At = 950 * time.Millisecond }, "940ms after the end of attempt 1, want 1s"},
		"other text":         {func(a *account) { a.Arrivals[1].Text = digestOf("ho") }, "did not arrive at well as it is stored"},
		"other gateway":      {func(a *account) { a.Arrivals[1].Gateway = slowly }, "for well arrived at slow"},
		"no such message":    {func(a *account) { a.Arrivals[0].Message = "99" }, "message 99 arrived 1 times and is not stored"},
		"without secrets":    {func(a *account) { a.Arrivals[0].Known = false }, "came to well without its secrets"},
		"secret shown":       {func(a *account) { a.Shown = []string{"canary is shown in the log"} }, "is shown in the log"},
		"ended before":       {func(a *account) { a.Exits[0].Code = 1 }, "ended by itself with 1"},
		"ended badly":        {func(a *account) { a.Exits[1].Code = 1 }, "ended with 1, want 0"},
		"ended by a signal":  {func(a *account) { a.Exits[1].Code = -1 }, "ended with -1, which is not documented"},
		"ended by the Go VM": {func(a *account) { a.Exits[1] = exit{Code: 7, Want: 7} }, "ended with 7, which is not documented"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := soundAccount()
			c.spoil(a)
			found := a.violations()
			if !slices.ContainsFunc(found, func(v string) bool { return strings.Contains(v, c.says) }) {
				t.Errorf("violations() = %q, want one with %q", found, c.says)
			}
		})
	}
}

// What the gateway and the record cannot know exactly is allowed for.
func TestAccountTolerances(t *testing.T) {
	t.Parallel()
	for name, allow := range map[string]func(a *account){
		"heard late of an end":  func(a *account) { a.Arrivals[2].At -= tolerance },
		"cut off, arrived late": cutOff,
		"given up, arrived late": func(a *account) {
			cutOff(a)
			a.Messages[1].Attempts[0].Outcome, a.Messages[1].Attempts[0].Cause = "temporary", "timeout"
		},
		"body broke off":            func(a *account) { a.Arrivals[2].Text = cut },
		"no answer, nothing stored": func(a *account) { a.Events = a.Events[:3] },
	} {
		a := soundAccount()
		allow(a)
		if found := a.violations(); len(found) > 0 {
			t.Errorf("%s: violations() = %q, want none", name, found)
		}
	}
}

// A record that is read by its id is the one that was acknowledged, to the byte.
func TestRecordsById(t *testing.T) {
	t.Parallel()
	given := acknowledgedRecords(soundAccount().Requests)
	if len(given) != 4 || given["02"] != (record{plainType, "b"}) || given["05"] != (record{well, "hi"}) {
		t.Fatalf("acknowledgedRecords() = %v", given)
	}
	for _, c := range []struct {
		id, path, answer string
		status           int
		want             bool
	}{
		{"02", "/api/v1/events/02", `{"event_type":"plain","event_payload":"b"}`, 200, true},
		{"02", "/api/v1/events/02", `{"event_type":"plain","event_payload":"B"}`, 200, false},
		{"02", "/api/v1/events/02", `{"event_type":"plain","event_payload":"b"}`, 404, false},
		{"05", "/api/v1/messages/05", `{"gateway":"well","message":"hi"}`, 200, true},
		{"05", "/api/v1/messages/05", `{"gateway":"slow","message":"hi"}`, 200, false},
		{"05", "/api/v1/messages/05", ``, 200, false},
	} {
		r := given[c.id]
		if got := r.in(rig.Answer{Status: c.status, Body: []byte(c.answer)}); got != c.want || r.path(c.id) != c.path {
			t.Errorf("%s at %s: %d %s holds it: %v, want %v", c.id, r.path(c.id), c.status, c.answer, got, c.want)
		}
	}
}
