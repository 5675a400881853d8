package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// account is what is known from outside about a program when a round has ended:
// what clients were told, what gateways saw, what the program says itself.
type account struct {
	Requests [][]*request // by client, in the order of sending
	Arrivals []arrival
	Events   []rig.Event
	Messages []rig.Message
	Lives    map[string][]lived // the attempts of each message in store time
	Exits    []exit
	Shown    []string // secrets that were seen where they must not be

	promised promises
	began    time.Time // of the round
}

// promises are the figures among what was promised.
type promises struct {
	attempts int
	own      map[string]int // attempts of gateways that have a number of their own
	interval time.Duration
}

// most is how many attempts a message for a gateway may have.
func (p promises) most(gateway string) int {
	if own, ok := p.own[gateway]; ok {
		return own
	}
	return p.attempts
}

// tolerance is for gaps that a gateway saw: it may hear late of an attempt's end,
// when the program gives up. There is none for gaps in the program's own record,
// which is read from the store itself: the API shows the beginning by the wall
// clock, which is for people and may be read some milliseconds after the clock
// that counts.
const tolerance = 50 * time.Millisecond

// complainer notes a promise that was not kept.
type complainer func(format string, args ...any)

// violations lists every promise that was not kept, those included that a mode
// has checks for.
func (a *account) violations(checks ...check) (found []string) {
	complain := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	events, messages := a.listed(complain)
	a.checkStored(complain, eventPath, events)
	a.checkStored(complain, messagePath, messages)
	a.checkRepeats(complain)
	a.checkRouted(complain)
	a.checkLives(complain)
	a.checkExits(complain)
	for _, look := range checks {
		look(a, complain)
	}
	for _, where := range a.Shown {
		complain("%s", where)
	}
	return found
}

// record is an event or a message as clients know it.
type record struct{ kind, text string }

// listed returns what is stored and was sent by clients, by id, and looks at the
// order of the lists.
func (a *account) listed(complain complainer) (events, messages map[string]record) {
	events, messages = map[string]record{}, map[string]record{}
	last := ""
	for _, e := range a.Events {
		if e.ID <= last {
			complain("event %s is listed after %s", e.ID, last)
		}
		last = e.ID
		events[e.ID] = record{e.Type, e.Payload}
	}
	last = ""
	for _, m := range a.Messages {
		if m.ID <= last {
			complain("message %s is listed after %s", m.ID, last)
		}
		last = m.ID
		if m.Event == "" {
			messages[m.ID] = record{m.Gateway, m.Text}
		}
	}
	return events, messages
}

// checkStored compares what is stored with what clients sent to a path: all that
// was acknowledged is there, as it was sent and in order; of a request whose fate
// is unknown all or nothing is there; of one that was refused nothing; nothing is
// there twice, and nothing else.
func (a *account) checkStored(complain complainer, path string, stored map[string]record) {
	sent := map[record]bool{}
	place := map[record]string{}
	for id, r := range stored {
		if other, twice := place[r]; twice {
			complain("%s and %s are the same record %.60q", id, other, r.text)
		}
		place[r] = id
	}
	for c, requests := range a.Requests {
		newest := ""
		for _, r := range requests {
			if r.Path != path {
				continue
			}
			ids, there := r.ids(), 0
			for i, text := range r.Payloads {
				content := record{r.Kind, text}
				sent[content] = true
				id, ok := place[content]
				if ok {
					there++
				}
				if ids == nil {
					continue
				}
				if !ok || len(ids) != len(r.Payloads) || id != ids[i] {
					complain("client %d: %s %.60q was acknowledged as %v, stored as %q", c, r.Kind, text, ids, id)
				} else if id <= newest {
					complain("client %d: %s was acknowledged after %s", c, id, newest)
				}
				newest = id
			}
			if there != 0 && there != len(r.Payloads) {
				complain("client %d: %d of %d events of one request are stored", c, there, len(r.Payloads))
			}
			if there != 0 && ids == nil && r.refused() {
				complain("client %d: %s %.60q was refused and is stored", c, r.Kind, r.Payloads[0])
			}
		}
	}
	for r, id := range place {
		if !sent[r] {
			complain("%s holds %.60q, which nobody sent to %s", id, r.text, path)
		}
	}
}

// checkRepeats compares the answers to each request: there is one.
func (a *account) checkRepeats(complain complainer) {
	for c, requests := range a.Requests {
		for _, r := range requests {
			first := r.ids()
			for _, again := range r.Replies {
				if again.IDs != nil && !slices.Equal(again.IDs, first) {
					complain("client %d: repeated with its key %s, a request got %v, before %v", c, r.Key, again.IDs, first)
				}
			}
		}
	}
}

// checkRouted compares the routed events with the messages that were made of them.
func (a *account) checkRouted(complain complainer) {
	made := map[string][]record{}
	for _, m := range a.Messages {
		if m.Event != "" {
			made[m.Event] = append(made[m.Event], record{m.Gateway, m.Text})
		}
	}
	for _, e := range a.Events {
		var want []record
		if e.Type == routedType {
			want = []record{{well, e.Payload}}
		}
		if !slices.Equal(made[e.ID], want) {
			complain("event %s of type %s has %d messages, want %d as routed", e.ID, e.Type, len(made[e.ID]), len(want))
		}
		delete(made, e.ID)
	}
	for id := range made {
		complain("there are messages of event %s, which is not stored", id)
	}
}

// checkLives compares the life of each message with what its gateway saw.
func (a *account) checkLives(complain complainer) {
	arrivals := map[string][]arrival{}
	for _, one := range a.Arrivals {
		if !one.Known {
			complain("message %s came to %s without its secrets", one.Message, one.Gateway)
		}
		arrivals[one.Message] = append(arrivals[one.Message], one)
	}
	for _, m := range a.Messages {
		seen := arrivals[m.ID]
		delete(arrivals, m.ID)
		slices.SortStableFunc(seen, func(x, y arrival) int { return int(x.At - y.At) })
		a.checkRecord(complain, m)
		a.checkGaps(complain, m)
		a.checkSeen(complain, m, seen)
		a.checkEnd(complain, m, seen)
	}
	for id, seen := range arrivals {
		complain("message %s arrived %d times and is not stored", id, len(seen))
	}
}

// lived is an attempt from its beginning to its end, since the store was made.
type lived struct{ Began, Ended time.Duration }

// checkRecord looks at the attempts as the program has them.
func (a *account) checkRecord(complain complainer, m rig.Message) {
	if most := a.promised.most(m.Gateway); len(m.Attempts) > most {
		complain("message %s for %s had %d attempts, at most %d are allowed", m.ID, m.Gateway, len(m.Attempts), most)
	}
	for i, one := range m.Attempts {
		if one.Number != i+1 {
			complain("message %s: attempt %d at place %d", m.ID, one.Number, i)
		}
		if one.Duration == nil {
			complain("message %s: attempt %d has not ended", m.ID, one.Number)
		}
	}
}

// checkGaps looks at the times between the attempts as the program has them.
func (a *account) checkGaps(complain complainer, m rig.Message) {
	lives := a.Lives[m.ID]
	if len(lives) != len(m.Attempts) {
		complain("message %s has %d attempts in the store, and %d by the API", m.ID, len(lives), len(m.Attempts))
	}
	for i := 1; i < len(lives); i++ {
		if gap := lives[i].Began - lives[i-1].Ended; gap < a.promised.interval {
			complain("message %s: by the program's own record attempt %d began %v after the end of the one before, want %v", m.ID, i+1, gap, a.promised.interval)
		}
	}
}

// checkSeen looks at the attempts as the gateway saw them.
func (a *account) checkSeen(complain complainer, m rig.Message, seen []arrival) {
	if n := min(len(m.Attempts), a.promised.most(m.Gateway)); len(seen) > n {
		complain("message %s arrived %d times in %d attempts", m.ID, len(seen), n)
	}
	number := 0
	for i, one := range seen {
		if one.Number <= number || one.Number > len(m.Attempts) {
			complain("message %s arrived as attempt %d after %d, of %d", m.ID, one.Number, number, len(m.Attempts))
		}
		number = one.Number
		if one.Gateway != m.Gateway {
			complain("message %s for %s arrived at %s", m.ID, m.Gateway, one.Gateway)
		}
		if one.Text != digestOf(m.Text) && one.Text != cut {
			complain("message %s did not arrive at %s as it is stored", m.ID, one.Gateway)
		}
		if i == 0 {
			continue
		}
		if gap := one.At - a.ended(m, seen[i-1]); gap < a.promised.interval-tolerance {
			complain("message %s: attempt %d came to %s %v after the end of attempt %d, want %v", m.ID, one.Number, one.Gateway, gap, seen[i-1].Number, a.promised.interval)
		}
	}
}

// ended is when an attempt ended, as the gateway knows it. One that the program
// gave up is in the network for as long as the gateway is busy, and may arrive
// when it is over: then its end is what the program says, whose own record is held
// to the interval without any tolerance.
func (a *account) ended(m rig.Message, seen arrival) time.Duration {
	n := seen.Number
	if n < 1 || n > len(m.Attempts) {
		return seen.End
	}
	one := m.Attempts[n-1]
	if one.Outcome != "unknown" && one.Cause != "timeout" {
		return seen.End
	}
	said := one.BeganAt.Sub(a.began)
	if one.Duration != nil {
		said += time.Duration(*one.Duration) * time.Millisecond
	}
	return min(seen.End, said)
}

// checkEnd looks at what a message came to.
func (a *account) checkEnd(complain complainer, m rig.Message, seen []arrival) {
	last := len(m.Attempts)
	said2xx := slices.ContainsFunc(seen, func(one arrival) bool { return one.Status/100 == 2 && one.Number == last })
	outcome := ""
	if last > 0 {
		outcome = m.Attempts[last-1].Outcome
	}
	most := a.promised.most(m.Gateway)
	used := last == most
	fits := false
	switch m.State {
	case "delivered":
		fits = outcome == "delivered" && said2xx
	case "failed":
		fits = used && (outcome == "temporary" || outcome == "throttled")
	case "unknown":
		fits = used && outcome == "unknown"
	}
	if !fits {
		complain("message %s for %s is %s after %d of %d attempts, the last %s; its gateway said 2xx to that one: %v",
			m.ID, m.Gateway, m.State, last, most, outcome, said2xx)
	}
}

// mostCode is the highest exit code that is documented.
const mostCode = 5

// checkExits looks at how the program ended, each time.
func (a *account) checkExits(complain complainer) {
	for i, e := range a.Exits {
		switch {
		case e.Killed && e.Code != -1:
			complain("life %d ended by itself with %d before it was killed", i, e.Code)
		case !e.Killed && (e.Code < 0 || e.Code > mostCode):
			complain("life %d ended with %d, which is not documented", i, e.Code)
		case !e.Killed && e.Code != e.Want:
			complain("life %d ended with %d, want %d", i, e.Code, e.Want)
		}
	}
}

// tell adds what is known to the table.
func (a *account) tell(r *round) {
	acknowledged, unknown := 0, 0
	for _, requests := range a.Requests {
		for _, one := range requests {
			switch {
			case one.ids() != nil:
				acknowledged++
			case !one.refused():
				unknown++
			}
		}
	}
	r.count(requestsAcknowledged, acknowledged)
	r.count("requests without an answer", unknown)
	r.count("events stored", len(a.Events))
	r.count("messages stored", len(a.Messages))
	r.count("arrivals at gateways", len(a.Arrivals))
}
