package main

import (
	"maps"
	"slices"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// told is what the outside knows of a store before it is damaged.
type told struct {
	requests [][]*request
	given    map[string]record // what was acknowledged, by id
	// acknowledged is how many requests were.
	acknowledged int
	sent         map[record]bool
	sentTo       map[parcel]bool
	greatest     string         // id that was given
	attempts     map[string]int // greatest number that arrived, by message
	said2xx      map[string]bool
}

func newTold(s *system) *told {
	k := &told{given: map[string]record{}, sent: map[record]bool{}, sentTo: map[parcel]bool{}, attempts: map[string]int{}, said2xx: map[string]bool{}}
	for _, requests := range s.load.requests() {
		k.took(requests...)
	}
	for _, one := range s.gateways.all() {
		k.attempts[one.Message] = max(k.attempts[one.Message], one.Number)
		k.said2xx[one.Message] = k.said2xx[one.Message] || one.Status/100 == 2
		k.greatest = max(k.greatest, one.Message)
	}
	return k
}

// took adds what one client sent.
func (k *told) took(requests ...*request) {
	k.requests = append(k.requests, requests)
	for _, r := range requests {
		ids := r.ids()
		if ids != nil {
			k.acknowledged++
		}
		for i, text := range r.Payloads {
			k.sent[record{r.Kind, text}] = true
			switch r.Kind {
			case routedType:
				k.sentTo[parcel{well, digestOf(text)}] = true
			case plainType:
			default:
				k.sentTo[parcel{r.Kind, digestOf(text)}] = true
			}
			if i < len(ids) {
				k.given[ids[i]] = record{r.Kind, text}
				k.greatest = max(k.greatest, ids[i])
			}
		}
	}
}

// clone returns a copy that can take more.
func (k *told) clone() *told {
	more := *k
	more.requests, more.given = slices.Clone(k.requests), maps.Clone(k.given)
	more.sent, more.sentTo = maps.Clone(k.sent), maps.Clone(k.sentTo)
	return &more
}

// parcel is a text that is for a gateway.
type parcel struct {
	gateway string
	text    digest
}

// with is what is known when more has arrived.
func (k *told) with(arrivals []arrival) *told {
	more := *k
	more.attempts, more.said2xx = maps.Clone(k.attempts), maps.Clone(k.said2xx)
	for _, one := range arrivals {
		more.attempts[one.Message] = max(more.attempts[one.Message], one.Number)
		more.said2xx[one.Message] = more.said2xx[one.Message] || one.Status/100 == 2
	}
	return &more
}

// arrived looks at what came to gateways from a store that was damaged: the right
// text, where it belongs, and if nothing was lost, no attempt again and none too many.
func (k *told) arrived(complain complainer, arrivals []arrival, most int, lost bool) {
	newest := maps.Clone(k.attempts)
	for _, one := range arrivals {
		if !one.Known {
			complain("message %s came to %s without its secrets", one.Message, one.Gateway)
		}
		if one.Text != cut {
			was, given := k.given[one.Message]
			if given && (parcel{was.kind, digestOf(was.text)}) != (parcel{one.Gateway, one.Text}) {
				complain("message %s came to %s, and not as %s %.60q, as which it was acknowledged", one.Message, one.Gateway, was.kind, was.text)
			}
			if !given && !k.sentTo[parcel{one.Gateway, one.Text}] {
				complain("message %s came to %s with a text that nobody sent there", one.Message, one.Gateway)
			}
		}
		if n := newest[one.Message]; !lost && (one.Number <= n || one.Number > most) {
			complain("message %s came to %s as attempt %d after %d, at most %d are allowed", one.Message, one.Gateway, one.Number, n, most)
		}
		newest[one.Message] = one.Number
	}
}

// whole compares what is served with all that must be there.
func (k *told) whole(complain complainer, events []rig.Event, messages []rig.Message) {
	a := &account{Requests: k.requests, Events: events, Messages: messages}
	listedEvents, listedMessages := a.listed(complain)
	a.checkStored(complain, eventPath, listedEvents)
	a.checkStored(complain, messagePath, listedMessages)
	a.checkRouted(complain)
	there := map[string]bool{}
	for _, m := range messages {
		there[m.ID] = true
		if n := k.attempts[m.ID]; n > len(m.Attempts) {
			complain("message %s arrived as attempt %d and is stored with %d", m.ID, n, len(m.Attempts))
		}
		if m.State == "delivered" && !k.said2xx[m.ID] {
			complain("message %s is delivered, and no gateway said so", m.ID)
		}
	}
	for id := range k.attempts {
		if !there[id] {
			complain("message %s arrived and is not stored: it was acknowledged, or made by a route", id)
		}
	}
}

// part compares what is served with what may be there after a loss.
func (k *told) part(complain complainer, events []rig.Event, messages []rig.Message) {
	a := &account{Events: events, Messages: messages}
	listedEvents, listedMessages := a.listed(complain)
	for _, list := range []map[string]record{listedEvents, listedMessages} {
		for id, r := range list {
			if was, ok := k.given[id]; ok && was != r {
				complain("%s is %s %.60q, it was acknowledged as %s %.60q", id, r.kind, r.text, was.kind, was.text)
			}
			if !k.sent[r] {
				complain("%s holds %s %.60q, which nobody sent", id, r.kind, r.text)
			}
		}
	}
	for _, m := range messages {
		if m.Event != "" && !k.sent[record{routedType, m.Text}] {
			complain("message %s holds %.60q, which nobody sent", m.ID, m.Text)
		}
	}
}
