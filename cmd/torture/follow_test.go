package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// stored is a program that lists what is in it.
type stored struct {
	Events   []rig.Event
	Messages []rig.Message
}

func (s *stored) Page(_ context.Context, list, after string) (p rig.Page, err error) {
	if list == rig.EventList {
		for _, e := range s.Events {
			if e.ID > after {
				p.Events = append(p.Events, e)
			}
		}
		return p, nil
	}
	// Two messages fit on a page.
	for _, m := range s.Messages {
		if m.ID <= after {
			continue
		}
		if len(p.Messages) == 2 {
			p.Next = new(p.Messages[1].ID)
			break
		}
		p.Messages = append(p.Messages, m)
	}
	return p, nil
}

// following is a follower with a program, gateways and one client.
type following struct {
	*follower
	stored
	t *testing.T
}

func (f *following) sweep() {
	f.t.Helper()
	if err := f.follower.sweep(f.t.Context(), &f.stored); err != nil {
		f.t.Fatal(err)
	}
}

// sends has a client send a request for each text; ids are what it is told, "" for
// no answer, "refused" for a refusal.
func (f *following) sends(path, kind, ids string, texts ...string) *request {
	r := &request{Path: path, Kind: kind, Payloads: texts}
	f.sending(0, r)
	f.told(r, ids)
	return r
}

func (f *following) told(r *request, ids string) {
	one := reply{}
	switch ids {
	case "":
	case "refused":
		one.Problem = "urn:postrider:problem:overloaded"
	default:
		one.IDs = strings.Fields(ids)
	}
	r.Replies = append(r.Replies, one)
	f.answered(0, r)
}

func (f *following) arrives(id, text string, number, status int) {
	f.gateways.arrivals = append(f.gateways.arrivals, &arrival{
		Gateway: well, Message: id, Number: number, Text: digestOf(text), At: time.Since(f.gateways.began), End: time.Since(f.gateways.began) + 1, Status: status, Known: true,
	})
}

// has stores a message, in place of an older one of the same id.
func (f *following) has(id, text, state string, outcomes ...string) {
	m := rig.Message{ID: id, Gateway: well, Text: text, State: state}
	for i, outcome := range outcomes {
		m.Attempts = append(m.Attempts, rig.Attempt{Number: i + 1, Outcome: outcome, Duration: new(int64(1))})
	}
	for i := range f.Messages {
		if f.Messages[i].ID == id {
			f.Messages[i] = m
			return
		}
	}
	f.Messages = append(f.Messages, m)
}

// delivers lets a message live as it should.
func (f *following) delivers(id, text string) {
	f.sends(messagePath, well, id, text)
	f.has(id, text, "queued")
	f.sweep()
	f.arrives(id, text, 1, 200)
	f.has(id, text, "delivered", "delivered")
	f.sweep()
	time.Sleep(settling)
	f.sweep()
}

// instant makes what was told before a sweep older than the sweep.
const instant = time.Nanosecond

// What the follower is told and reads is compared, each promise with what breaks it.
func TestFollower(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		history func(*following)
		want    string // "" for nothing
	}{
		"delivered": {func(f *following) { f.delivers("1", "a") }, ""},
		"many": {func(f *following) {
			for _, id := range []string{"1", "2", "3", "4", "5"} {
				f.delivers(id, id)
			}
		}, ""},
		"lost": {func(f *following) {
			f.sends(messagePath, well, "1", "a")
			time.Sleep(instant)
			f.sweep()
		}, "acknowledged as [1], stored as [\"\"]"},
		"acknowledged during the sweep": {func(f *following) { f.sweep(); f.sends(messagePath, well, "1", "a") }, ""},
		"another text":                  {func(f *following) { f.sends(messagePath, well, "1", "a"); f.has("1", "b", "queued"); f.sweep() }, "which nobody sent"},
		"another id":                    {func(f *following) { f.sends(messagePath, well, "1", "a"); f.has("2", "a", "queued"); f.sweep() }, "acknowledged as [1], stored as [2]"},
		"stored twice": {func(f *following) {
			f.delivers("1", "a")
			f.has("2", "a", "queued")
			f.sweep()
		}, "or which is stored twice"},
		"out of order": {func(f *following) { f.sends(messagePath, well, "2", "a"); f.sends(messagePath, well, "1", "b") }, "1 was acknowledged after 2"},
		"two answers":  {func(f *following) { f.told(f.sends(messagePath, well, "1", "a"), "2") }, "a request got [2], before [1]"},
		"refused":      {func(f *following) { f.sends(messagePath, well, "refused", "a"); time.Sleep(instant); f.sweep() }, ""},
		"refused, stored": {func(f *following) {
			f.sends(messagePath, well, "refused", "a")
			f.has("1", "a", "queued")
			time.Sleep(instant)
			f.sweep()
		}, "was refused and is stored"},
		"no answer, stored": {func(f *following) {
			f.sends(messagePath, well, "", "a")
			f.has("1", "a", "queued")
			time.Sleep(unsure + 1)
			f.sweep()
		}, ""},
		"no answer, half": {func(f *following) {
			f.sends(eventPath, plainType, "", "a", "b")
			f.Events = []rig.Event{{ID: "1", Type: plainType, Payload: "a"}}
			time.Sleep(unsure + 1)
			f.sweep()
		}, "1 of 2 events"},
		"forgotten": {func(f *following) {
			f.sends(messagePath, well, "1", "a")
			f.has("1", "a", "queued")
			f.sweep()
			f.Messages = nil
			f.sweep()
		}, "is not there any more"},
		"over its time": {func(f *following) {
			f.sends(messagePath, well, "1", "a")
			f.has("1", "a", "queued") // holds sweeps at the beginning
			f.delivers("2", "b")
			time.Sleep(2 * time.Minute)
			f.Messages = f.Messages[:1]
			f.sweep()
		}, ""},
		"appears late": {func(f *following) {
			f.sends(messagePath, well, "1", "a")
			f.sends(messagePath, well, "2", "b")
			f.has("2", "b", "queued")
			f.sweep()
			f.Messages = append([]rig.Message{{ID: "1", Gateway: well, Text: "a", State: "queued"}}, f.Messages...)
			f.sweep()
		}, "1 appears after 2 was listed"},
		"does not end": {func(f *following) {
			f.sends(messagePath, well, "1", "a")
			f.has("1", "a", "queued")
			f.sweep()
			time.Sleep(longestLife + 1)
			f.sweep()
		}, "1 for well is queued after"},
		"begins again": {func(f *following) { f.delivers("1", "a"); f.has("1", "a", "queued"); f.sweep() }, "was delivered in the end, and is queued"},
		"delivered to nobody": {func(f *following) {
			f.sends(messagePath, well, "1", "a")
			f.has("1", "a", "delivered", "delivered")
			f.sweep()
			time.Sleep(settling)
			f.sweep()
		}, "said 2xx"},
		"arrives again":    {func(f *following) { f.delivers("1", "a"); f.arrives("1", "a", 2, 200); f.sweep() }, "as attempt 2"},
		"arrives unstored": {func(f *following) { f.arrives("1", "a", 1, 200); f.sweep() }, "arrived 1 times and is not stored"},
		"too early": {func(f *following) {
			f.sends(messagePath, well, "1", "a")
			f.arrives("1", "a", 1, 500)
			time.Sleep(900 * time.Millisecond)
			f.arrives("1", "a", 2, 200)
			f.has("1", "a", "delivered", "temporary", "delivered")
			f.sweep()
			time.Sleep(settling)
			f.sweep()
		}, "after the end of attempt 1"},
		"routed": {func(f *following) {
			f.sends(eventPath, routedType, "1", "a")
			f.Events = []rig.Event{{ID: "1", Type: routedType, Payload: "a"}}
			f.Messages = []rig.Message{{ID: "2", Gateway: well, Text: "a", State: "queued", Event: "1"}}
			f.sweep()
			f.sweep()
			f.sweep()
		}, ""},
		"not routed": {func(f *following) {
			f.sends(eventPath, routedType, "1", "a")
			f.Events = []rig.Event{{ID: "1", Type: routedType, Payload: "a"}}
			f.sweep()
			f.sweep()
			f.sweep()
		}, "event 1 is stored: true, and a message of it: false"},
		"routed twice": {func(f *following) {
			f.sends(eventPath, routedType, "1", "a")
			f.Events = []rig.Event{{ID: "1", Type: routedType, Payload: "a"}}
			f.Messages = []rig.Message{{ID: "2", Gateway: well, Text: "a", State: "queued", Event: "1"}, {ID: "3", Gateway: well, Text: "a", State: "queued", Event: "1"}}
			f.sweep()
			f.sweep()
			f.sweep()
		}, "event 1 is stored: false, and a message of it: true"},
		"sent again, delivered": {func(f *following) {
			f.delivers("1", "a")
			f.Messages = append(f.Messages, rig.Message{ID: "2", Gateway: well, Text: "a", State: "queued", ResendOf: "1"})
			f.sweep()
		}, "which was no dead letter"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := &round{counts: map[string]int64{}, log: func(string) {}}
				s := &system{round: r, plan: plan{Attempts: 3, Interval: time.Second}, gateways: &gateways{began: time.Now().Add(-1)}}
				f := &following{follower: newFollower(s, time.Minute), t: t}
				c.history(f)
				found := strings.Join(r.found(), "\n")
				if c.want == "" && found != "" || !strings.Contains(found, c.want) {
					t.Errorf("it found %q, want %q", found, c.want)
				}
			})
		})
	}
}

// What is clear is forgotten: a follower is as small after many messages as after
// a few.
func TestFollowerForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &round{counts: map[string]int64{}, log: func(string) {}}
		s := &system{round: r, plan: plan{Attempts: 3, Interval: time.Second}, gateways: &gateways{began: time.Now().Add(-1)}}
		f := &following{follower: newFollower(s, time.Minute), t: t}
		for i := range 200 {
			id := string(rune('0'+i/50)) + string(rune('0'+i%50))
			f.delivers(id, id)
		}
		if n := len(f.lives) + len(f.requests) + len(f.sent) + len(f.strays) + len(f.routings) + len(f.gateways.arrivals) + len(f.places); n > 8 || len(r.found()) > 0 {
			t.Errorf("after 200 messages it holds %d records, and found %q", n, r.found())
		}
	})
}
