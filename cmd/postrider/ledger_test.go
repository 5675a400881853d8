package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"
)

// ledger is what is known from outside about a program that was killed: what
// clients were told, what gateways saw, and what the program says at the end.
type ledger struct {
	requests [][]*crashRequest // by client, in the order of sending
	arrivals map[string][]arrival
	events   []event
	messages []message
}

func (l *ledger) String() string {
	acknowledged, unanswered, events, messages, arrivals := 0, 0, 0, 0, 0
	for _, requests := range l.requests {
		for _, r := range requests {
			switch {
			case r.ids == nil:
				unanswered++
				continue
			case r.path == "/event":
				events += len(r.ids)
			default:
				messages++
			}
			acknowledged++
		}
	}
	for _, seen := range l.arrivals {
		arrivals += len(seen)
	}
	states := map[string]int{}
	for _, m := range l.messages {
		states[m.State]++
	}
	return fmt.Sprintf("%d requests acknowledged with %d events and %d messages, %d unanswered; %d events and %d messages stored, %v; %d arrivals at gateways",
		acknowledged, events, messages, unanswered, len(l.events), len(l.messages), states, arrivals)
}

// record is an event or a message as the ledger compares it.
type record struct{ kind, text string }

// violations lists every promise that was not kept.
func (l *ledger) violations() []string {
	var found []string
	complain := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	events, messages := map[string]record{}, map[string]record{}
	last := ""
	for _, e := range l.events {
		if e.ID <= last {
			complain("event %s is listed after %s", e.ID, last)
		}
		last = e.ID
		events[e.ID] = record{e.Type, e.Payload}
	}
	last = ""
	for _, m := range l.messages {
		if m.ID <= last {
			complain("message %s is listed after %s", m.ID, last)
		}
		last = m.ID
		if m.Event == "" {
			messages[m.ID] = record{m.Gateway, m.Text}
		}
	}
	l.checkStored(complain, "/event", events)
	l.checkStored(complain, "/send_message", messages)
	l.checkRouted(complain)
	for _, m := range l.messages {
		l.checkLife(complain, m)
		delete(l.arrivals, m.ID)
	}
	for id, seen := range l.arrivals {
		complain("message %s arrived %d times and is not stored", id, len(seen))
	}
	return found
}

// checkStored compares what is stored with what clients sent to a path: all that
// was acknowledged is there, as it was sent and in order; of a request without
// an answer all or nothing is there; nothing is there twice, and nothing else.
func (l *ledger) checkStored(complain func(string, ...any), path string, stored map[string]record) {
	sent := map[record]bool{}
	place := map[record]string{}
	for id, r := range stored {
		if other, twice := place[r]; twice {
			complain("%s and %s are the same record %.40q", id, other, r.text)
		}
		place[r] = id
	}
	for c, requests := range l.requests {
		newest := ""
		for _, r := range requests {
			if r.path != path {
				continue
			}
			there := 0
			for i, text := range r.payloads {
				content := record{r.kind, text}
				sent[content] = true
				id, ok := place[content]
				if ok {
					there++
				}
				if r.ids == nil {
					continue
				}
				if !ok || len(r.ids) != len(r.payloads) || id != r.ids[i] {
					complain("client %d: %s %.40q was acknowledged as %v, stored as %q", c, r.kind, text, r.ids, id)
				} else if id <= newest {
					complain("client %d: %s was acknowledged after %s", c, id, newest)
				}
				newest = id
			}
			if there != 0 && there != len(r.payloads) {
				complain("client %d: %d of %d events of one request are stored", c, there, len(r.payloads))
			}
		}
	}
	for r, id := range place {
		if !sent[r] {
			complain("%s holds %.40q, which nobody sent to %s", id, r.text, path)
		}
	}
}

// checkRouted compares the routed events with the messages that were made of them.
func (l *ledger) checkRouted(complain func(string, ...any)) {
	made := map[string][]string{}
	for _, m := range l.messages {
		if m.Event != "" {
			made[m.Event] = append(made[m.Event], m.Text)
		}
	}
	for _, e := range l.events {
		var want []string
		if e.Type == "routed" {
			want = []string{e.Payload}
		}
		if !slices.Equal(made[e.ID], want) {
			complain("event %s of type %s has %d messages, want %d", e.ID, e.Type, len(made[e.ID]), len(want))
		}
		delete(made, e.ID)
	}
	for id := range made {
		complain("there are messages of event %s, which is not stored", id)
	}
}

// checkLife compares the life of a message with what its gateway saw.
func (l *ledger) checkLife(complain func(string, ...any), m message) {
	if !m.ended() || len(m.Attempts) > crashMaxAttempts {
		complain("message %s for %s is %s after %d attempts", m.ID, m.Gateway, m.State, len(m.Attempts))
	}
	for i, a := range m.Attempts {
		if a.Number != i+1 {
			complain("message %s: attempt %d at place %d", m.ID, a.Number, i)
		}
	}
	seen := l.arrivals[m.ID]
	slices.SortFunc(seen, func(a, b arrival) int { return a.at.Compare(b.at) })
	if len(seen) > len(m.Attempts) {
		complain("message %s arrived %d times in %d attempts", m.ID, len(seen), len(m.Attempts))
	}
	said2xx, number := false, 0
	for i, a := range seen {
		n, err := strconv.Atoi(a.attempt)
		if err != nil || n <= number || n > len(m.Attempts) {
			complain("message %s arrived as attempt %q after %d, of %d", m.ID, a.attempt, number, len(m.Attempts))
		}
		number = n
		if !sameMessage(a.body, m.Text) {
			complain("message %s arrived as %.80q, want %.80q", m.ID, a.body, m.Text)
		}
		said2xx = said2xx || a.status/100 == 2
		if i == 0 {
			continue
		}
		// Where there was no answer the attempt ended some time after its arrival.
		end := seen[i-1].at
		if !seen[i-1].answered.IsZero() {
			end = seen[i-1].answered
		}
		if pause := a.at.Sub(end); pause < crashInterval {
			complain("message %s: attempt %s came %v after the one before it", m.ID, a.attempt, pause)
		}
	}
	last := attempt{}
	if n := len(m.Attempts); n > 0 {
		last = m.Attempts[n-1]
	}
	fits := false
	switch m.State {
	case "delivered":
		fits = said2xx && last.Outcome == "delivered"
	case "failed":
		fits = len(m.Attempts) == crashMaxAttempts && last.Outcome == "temporary"
	case "unknown":
		fits = len(m.Attempts) == crashMaxAttempts && last.Outcome == "unknown"
	}
	if !fits {
		complain("message %s is %s after %+v, its gateway said 2xx: %v", m.ID, m.State, m.Attempts, said2xx)
	}
}

// sameMessage reports whether a body is the JSON object that holds a text and
// nothing else.
func sameMessage(body, text string) bool {
	var all map[string]string
	err := json.Unmarshal([]byte(body), &all)
	return err == nil && len(all) == 1 && all["message"] == text
}

// quoted writes JSON.
func quoted(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(b)
}

// soundLedger is one of a program that kept its promises.
func soundLedger() *ledger {
	now := time.Now()
	answered := func(after time.Duration, attempt string, status int) arrival {
		return arrival{at: now.Add(after), answered: now.Add(after + time.Millisecond), attempt: attempt, status: status, body: `{"message":"hi"}`}
	}
	cut := arrival{at: now.Add(2 * crashInterval), attempt: "2", body: `{"message":"hi"}`}
	failed := attempt{Number: 1, Outcome: "temporary"}
	return &ledger{
		requests: [][]*crashRequest{{
			{path: "/event", kind: "packed", payloads: []string{"a", "b"}, ids: []string{"01", "02"}},
			{path: "/event", kind: "routed", payloads: []string{"hi"}, ids: []string{"03"}},
			{path: "/send_message", kind: "well", payloads: []string{"hi"}, ids: []string{"05"}},
			{path: "/event", kind: "packed", payloads: []string{"c", "d"}},
		}},
		events: []event{{"01", "packed", "a"}, {"02", "packed", "b"}, {"03", "routed", "hi"}, {"06", "packed", "c"}, {"07", "packed", "d"}},
		messages: []message{
			{ID: "04", Event: "03", Gateway: "well", Text: "hi", State: "delivered", Attempts: []attempt{{Number: 1, Outcome: "delivered"}}},
			{ID: "05", Gateway: "well", Text: "hi", State: "unknown", Attempts: []attempt{failed, {Number: 2, Outcome: "unknown"}, {Number: 3, Outcome: "unknown"}}},
		},
		arrivals: map[string][]arrival{
			"04": {answered(0, "1", 200)},
			"05": {answered(0, "1", 500), cut},
		},
	}
}

// The comparison is worth what it finds.
func TestLedgerFindsViolations(t *testing.T) {
	t.Parallel()
	if found := soundLedger().violations(); len(found) > 0 {
		t.Fatalf("violations() = %q of a ledger without any", found)
	}
	for name, spoil := range map[string]func(l *ledger){
		"event lost":       func(l *ledger) { l.events = l.events[1:] },
		"message lost":     func(l *ledger) { l.messages = l.messages[:1]; delete(l.arrivals, "05") },
		"byte changed":     func(l *ledger) { l.events[1].Payload = "B" },
		"type changed":     func(l *ledger) { l.events[1].Type = "other" },
		"gateway changed":  func(l *ledger) { l.messages[1].Gateway = "slow" },
		"stored twice":     func(l *ledger) { l.events = append(l.events, event{"08", "packed", "a"}) },
		"listed twice":     func(l *ledger) { l.events = append(l.events, l.events[4]) },
		"not sent":         func(l *ledger) { l.events = append(l.events, event{"08", "packed", "x"}) },
		"half a request":   func(l *ledger) { l.events = l.events[:4] },
		"out of order":     func(l *ledger) { l.requests[0][0], l.requests[0][1] = l.requests[0][1], l.requests[0][0] },
		"other id":         func(l *ledger) { l.requests[0][1].ids[0] = "02" },
		"route forgotten":  func(l *ledger) { l.messages = l.messages[1:]; delete(l.arrivals, "04") },
		"route of nothing": func(l *ledger) { l.messages[0].Event = "09" },
		"does not end":     func(l *ledger) { l.messages[1].State = "waiting" },
		"given up early":   func(l *ledger) { l.messages[1].State, l.messages[1].Attempts = "failed", l.messages[1].Attempts[:2] },
		"never delivered":  func(l *ledger) { l.arrivals["04"][0].status = 500 },
		"never arrived":    func(l *ledger) { delete(l.arrivals, "04") },
		"too many attempts": func(l *ledger) {
			l.messages[1].Attempts = append(l.messages[1].Attempts, attempt{Number: 4, Outcome: "unknown"})
		},
		"attempt missing":        func(l *ledger) { l.messages[1].Attempts[2].Number = 4 },
		"attempt not recorded":   func(l *ledger) { l.arrivals["04"] = append(l.arrivals["04"], l.arrivals["04"][0]) },
		"attempt repeated":       func(l *ledger) { l.arrivals["05"][1].attempt = "1" },
		"attempt too early":      func(l *ledger) { l.arrivals["05"][1].at = l.arrivals["05"][0].answered.Add(crashInterval - 1) },
		"other text arrived":     func(l *ledger) { l.arrivals["05"][0].body = `{"message":"ho"}` },
		"unknown message came":   func(l *ledger) { l.arrivals["99"] = l.arrivals["04"] },
		"acknowledged with less": func(l *ledger) { l.requests[0][0].ids = l.requests[0][0].ids[:1] },
	} {
		l := soundLedger()
		spoil(l)
		if found := l.violations(); len(found) == 0 {
			t.Errorf("%s: violations() finds nothing", name)
		}
	}
}
