package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// Whatever a hostile client does, others are served, and nothing of it is stored.
func TestIntake(t *testing.T) {
	t.Parallel()
	m := &intake{connections: 300}
	if err := m.require(); err != nil {
		t.Skip(err)
	}
	// How soon health is answered says little beside other tests.
	e := tortured(t, "intake", "--connections=300", "--slow=2s", "--bodies=5000", "--health=5s")
	if e.Mode != "intake" || e.Rounds != 1 || len(e.Failures) != 0 || e.Errors != 0 {
		t.Errorf("the journal says %+v, want a clean round", e)
	}
	for _, what := range []string{"bad bodies", "raw shapes", "hang-ups", "requests in a flood", "slow readers", "slow clients (heads) still there", "health answers", "requests acknowledged"} {
		if e.Counts[what] == 0 {
			t.Errorf("%s: none, so nothing was tried", what)
		}
	}
}

// What the forge calls malformed is what no strict decoder takes, and what it
// calls misshapen is JSON. It is the same each time.
func TestForge(t *testing.T) {
	t.Parallel()
	made := func() *forge { return &forge{luck: rand.New(rand.NewPCG(1, 2)), canary: "canary-1"} }
	f, again := made(), made()
	kinds := map[string]int{}
	for range 20_000 {
		b := f.next()
		if got := again.next(); fmt.Sprint(got) != fmt.Sprint(b) {
			t.Fatalf("the same chance makes %+v, and %+v", b, got)
		}
		kinds[b.what]++
		plain := len(b.lines) == 0 && b.what != "bad cursor"
		if wellFormed := jsontext.Value(b.body).IsValid(); plain && wellFormed != (b.want == http.StatusUnprocessableEntity) {
			t.Fatalf("%s: %.300q is to be answered %d; it is JSON: %v", b.what, b.body, b.want, wellFormed)
		}
		if b.want == http.StatusUnprocessableEntity && b.path != resendPath && taken(b.path, b.body) {
			t.Fatalf("%s: %.300q is good", b.what, b.body)
		}
	}
	if len(kinds) < 30 {
		t.Errorf("there are %d kinds of bad bodies: %v", len(kinds), kinds)
	}
}

// taken reports whether a body of an event or a message is what the contract says.
func taken(path, body string) bool {
	var event struct {
		Type    *string `json:"event_type"`
		Payload *string `json:"event_payload"`
	}
	var message struct {
		Text    *string `json:"message"`
		Gateway *string `json:"gateway"`
	}
	if path == messagePath {
		err := json.Unmarshal([]byte(body), &message, json.RejectUnknownMembers(true))
		return err == nil && message.Text != nil && message.Gateway != nil && *message.Gateway == well
	}
	err := json.Unmarshal([]byte(body), &event, json.RejectUnknownMembers(true))
	return err == nil && event.Type != nil && event.Payload != nil
}

func TestBadBodyFault(t *testing.T) {
	t.Parallel()
	problem := func(status int, more string) string {
		return fmt.Sprintf(`{"type":"urn:postrider:problem:x","status":%d%s}`, status, more)
	}
	header := func(kind string, more ...string) http.Header {
		return http.Header{"Content-Type": {kind}, "X-Request-Id": more}
	}
	const kind = "application/problem+json"
	for name, c := range map[string]struct {
		answer rig.Answer
		right  bool
	}{
		"right":             {rig.Answer{Status: 422, Header: header(kind), Body: []byte(problem(422, ""))}, true},
		"other status":      {rig.Answer{Status: 400, Header: header(kind), Body: []byte(problem(400, ""))}, false},
		"taken":             {rig.Answer{Status: 201, Header: header("application/json"), Body: []byte(`{"id":"1"}`)}, false},
		"other type":        {rig.Answer{Status: 422, Header: header("text/plain"), Body: []byte(problem(422, ""))}, false},
		"repeats":           {rig.Answer{Status: 422, Header: header(kind), Body: []byte(problem(422, `,"detail":"canary"`))}, false},
		"repeats in a head": {rig.Answer{Status: 422, Header: header(kind, "canary"), Body: []byte(problem(422, ""))}, false},
		"no problem":        {rig.Answer{Status: 422, Header: header(kind), Body: []byte(`{}`)}, false},
		"no JSON":           {rig.Answer{Status: 422, Header: header(kind), Body: []byte(`nothing`)}, false},
	} {
		if fault := (badBody{want: 422}).fault(c.answer, "canary"); (fault == "") != c.right {
			t.Errorf("%s: fault() = %q", name, fault)
		}
	}
}

// A shape is meant to be one that others could read as two requests.
func TestShapes(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, one := range shapes(`{"event":"x"}`, "HIDDEN", "") {
		if seen[one.name] || len(one.statuses) == 0 {
			t.Errorf("shape %q is there twice, or has no answer", one.name)
		}
		seen[one.name] = true
		if last := one.statuses[len(one.statuses)-1]; one.stored && last >= 300 {
			t.Errorf("shape %q is stored and answered %d", one.name, last)
		}
	}
}
