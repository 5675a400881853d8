package main

import (
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// Gateways that misbehave in every way bring down neither the program nor their
// neighbours.
func TestGateway(t *testing.T) {
	t.Parallel()
	if err := (&gateway{}).require(); err != nil {
		t.Skip(err)
	}
	e := tortured(t, "gateway", "--messages", "3")
	if e.Rounds != 1 || len(e.Failures) != 0 || e.Errors != 0 {
		t.Errorf("the journal says %+v, want a clean round", e)
	}
	if want := int64(len(behaviours())); e.Counts["behaviours"] != want || e.Counts["attempts at gateways that misbehaved"] < 3*want {
		t.Errorf("the journal says %+v, want %d behaviours and attempts at all of them", e, want)
	}
}

// Every behaviour has one way to misbehave, and a name that is a gateway's.
func TestBehaviours(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, b := range behaviours() {
		ways := 0
		for _, has := range []bool{b.connect != nil, b.certificate != nil, b.closed, b.head != nil, b.answer != nil} {
			if has {
				ways++
			}
		}
		if ways != 1 || len(b.want) == 0 {
			t.Errorf("%s: %d ways to misbehave, %d results; want one, and some", b.name, ways, len(b.want))
		}
		name := slug(b.name)
		if names[name] || len(name+"-recovers") > 64 {
			t.Errorf("%s: the name %s is not free, or too long", b.name, name)
		}
		names[name] = true
		for _, one := range b.want {
			if one.Outcome == "delivered" != (one.Status/100 == 2) {
				t.Errorf("%s: want %v, which is not what a 2xx comes to", b.name, one)
			}
		}
	}
}

// What a message came to is compared with what its gateway does, attempt by attempt.
func TestJudge(t *testing.T) {
	t.Parallel()
	attempts := func(results ...result) (all []rig.Attempt) {
		for i, r := range results {
			all = append(all, rig.Attempt{Number: i + 1, Outcome: r.Outcome, Cause: r.Cause, Status: r.Status})
		}
		return all
	}
	no, ok := wasReset[0], delivered[0]
	later := []lived{{0, 1}, {hintCap, hintCap + 1}}
	late := &hostile{behaviour: behaviour{want: refused(500)}}
	late.seen.Store(resetLate, true)
	for _, c := range []struct {
		what     string
		gateway  *hostile
		id       string // odd ones fail twice where the gateway recovers
		state    string
		attempts []rig.Attempt
		lives    []lived
		met      int
		says     string // "" for nothing
	}{
		{"never", &hostile{behaviour: behaviour{want: wasReset}}, "0", "failed", attempts(no, no, no), nil, 3, ""},
		{"never, another cause", &hostile{behaviour: behaviour{want: wasReset}}, "0", "failed", attempts(no, timedOut[0], no), nil, 3, "attempt 2 came to {temporary timeout 0}"},
		{"never, and delivered", &hostile{behaviour: behaviour{want: wasReset}}, "0", "delivered", attempts(no, ok), nil, 2, "it is delivered"},
		{"recovers", &hostile{behaviour: behaviour{want: wasReset}, recovers: true}, "1", "delivered", attempts(no, no, ok), nil, 2, ""},
		{"recovers, failed", &hostile{behaviour: behaviour{want: wasReset}, recovers: true}, "0", "failed", attempts(no, no, no), nil, 1, "it is failed"},
		{"recovers, failed later", &hostile{behaviour: behaviour{want: wasReset}, recovers: true}, "0", "delivered", attempts(no, no, ok), nil, 1, "attempt 2 came to"},
		{"success", &hostile{behaviour: behaviour{want: delivered}}, "0", "delivered", attempts(ok), nil, 1, ""},
		{"success, failed", &hostile{behaviour: behaviour{want: delivered}}, "0", "failed", attempts(ok, no, ok), nil, 3, "it is failed"},
		{"connections", &hostile{behaviour: behaviour{want: wasReset, connect: (*visit).reset}, recovers: true}, "0", "delivered", attempts(no, no, no, no, ok), nil, 4, ""},
		{"reset in time", &hostile{behaviour: behaviour{want: refused(500)}}, "0", "failed", attempts(refused(500)[0], no, no), nil, 3, "attempt 2 came to"},
		{"reset late", late, "0", "failed", attempts(refused(500)[0], no, no), nil, 3, ""},
		{"hint", &hostile{behaviour: behaviour{want: throttled, hint: hintCap}}, "0", "failed", attempts(throttled[0], throttled[0]), later, 2, "less than 600ms"},
		{"hint heeded", &hostile{behaviour: behaviour{want: throttled, hint: hintCap - 1}}, "0", "failed", attempts(throttled[0], throttled[0]), later, 2, ""},
	} {
		found, said := findings{}, []string{}
		met := c.gateway.judge(found, rig.Message{ID: c.id, State: c.state, Attempts: c.attempts}, c.lives)
		found.tell("g", func(_ string, args ...any) { said = append(said, args[1].(string)) })
		all := strings.Join(said, "; ")
		if met != c.met || (all == "") != (c.says == "") || !strings.Contains(all, c.says) {
			t.Errorf("%s: judge() = %d and found %q, want %d and %q", c.what, met, all, c.met, c.says)
		}
	}
}

// A message that comes late to a gateway that is well, or twice, is found.
func TestIsolated(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		at       time.Duration
		attempts int
		others   float64
		says     string
	}{
		{1500 * time.Millisecond, 1, 0, ""},
		{1500*time.Millisecond + 1, 1, 0, "99 of 100 messages took up to 500.000001ms"},
		{1500*time.Millisecond + 1, 1, foreign + 0.01, ""},
		{4 * time.Second, 1, 1, ""},
		{4*time.Second + 1, 1, 1, "took 3.000000001s"},
		{time.Second, 2, 0, "is delivered after 2 attempts"},
	} {
		a := &account{
			Requests: [][]*request{{{Replies: []reply{{IDs: []string{"1"}, Sent: time.Second}}}}},
			Messages: []rig.Message{{ID: "1", Gateway: neighbour(0), State: "delivered", Attempts: make([]rig.Attempt, c.attempts)}},
			Arrivals: []arrival{{Gateway: neighbour(0), Message: "1", At: c.at}},
		}
		r := &round{log: func(string) {}, counts: map[string]int64{}}
		m := &gateway{lateness: 3 * time.Second, typical: 500 * time.Millisecond}
		m.isolated(&system{round: r}, &c.others)(a, r.violate)
		all := strings.Join(r.found(), "; ")
		if (all == "") != (c.says == "") || !strings.Contains(all, c.says) {
			t.Errorf("isolated() found %q at %v after %d attempts, want %q", all, c.at, c.attempts, c.says)
		}
	}
}
