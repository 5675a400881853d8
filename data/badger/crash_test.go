package badger

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/postrider/postrider/data"
)

// writeUntilKilled is the child of the crash test. It writes batches, tells on
// standard output what was acknowledged, and never ends by itself.
func writeUntilKilled(dir string) {
	s, err := Open(Options{Path: dir, Memtable: MinMemtable, Clock: SystemClock(), Logger: optionsIn(dir, nil).Logger})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	random := rand.New(rand.NewPCG(uint64(os.Getpid()), 1))
	for n := 0; ; n++ {
		b := &data.Batch{}
		for i := range random.IntN(6) + 1 {
			text := fmt.Sprintf("%d/%d/%d %s", os.Getpid(), n, i, strings.Repeat("x", random.IntN(3000)))
			if i%2 == 0 {
				b.Saves = append(b.Saves, &data.Save{Messages: []data.NewMessage{{Gateway: "gateway_1", Text: text}}})
			} else {
				b.Saves = append(b.Saves, &data.Save{Events: []data.NewEvent{{Type: "crash", Payload: text}}})
			}
		}
		b.Begins = []*data.Begin{{Gateway: "gateway_1"}}
		if refs, _, err := s.Ready("gateway_1", 0, random.IntN(4)+1); err == nil {
			for _, r := range refs {
				b.Begins[0].Claims = append(b.Begins[0].Claims, data.Claim{Ref: r, Policy: minute})
			}
		}
		if err := s.Apply(b); err != nil {
			fmt.Println("error", err)
			return
		}
		var out strings.Builder
		for _, o := range b.Saves {
			if len(o.Events) > 0 {
				fmt.Fprintf(&out, "event %d %s\n", o.First, o.Events[0].Payload)
			} else {
				fmt.Fprintf(&out, "message %d %s\n", o.First, o.Messages[0].Text)
			}
		}
		for _, g := range b.Begins[0].Granted {
			fmt.Fprintf(&out, "attempt %d\n", g.Message.ID)
		}
		fmt.Print(out.String())
	}
}

// ledger is what a process said it had acknowledged before it was killed.
type ledger struct {
	events, messages []string
	attempts         []data.ID
}

// killAfter runs a process that writes and kills it after some lines. The last
// line may be cut off: it does not count.
func killAfter(t *testing.T, dir string, lines int, l *ledger) {
	t.Helper()
	cmd := child(t, "write", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := bufio.NewReader(out)
	for n := 0; ; n++ {
		if n == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		line, err := read.ReadString('\n')
		if err != nil {
			break
		}
		kind, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch kind {
		case "event":
			l.events = append(l.events, rest)
		case "message":
			l.messages = append(l.messages, rest)
		case "attempt":
			var id data.ID
			if _, err := fmt.Sscan(rest, (*uint64)(&id)); err != nil {
				t.Fatal(err)
			}
			l.attempts = append(l.attempts, id)
		default:
			t.Fatalf("the process says %q", line)
		}
	}
	_ = cmd.Wait() // it was killed
}

// TestKilled kills a writing process a few times: whatever was acknowledged is
// there, in order, and nothing twice.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(uint64(os.Getpid()), 2))
	var acked ledger
	for range 4 {
		killAfter(t, dir, random.IntN(400), &acked)
		o := optionsIn(dir, SystemClock())
		k := &kept{t: t, options: o}
		k.open()
		k.verify()
		var events, messages []string
		for _, e := range k.everyEvent(data.EventQuery{Limit: 500}) {
			events = append(events, fmt.Sprintf("%d %s", e.ID, e.Payload))
		}
		for _, m := range k.every(data.MessageQuery{Limit: 500}) {
			messages = append(messages, fmt.Sprintf("%d %s", m.ID, m.Text))
		}
		contains(t, "event", events, acked.events)
		contains(t, "message", messages, acked.messages)
		for _, id := range acked.attempts {
			if m := k.message(id); len(m.Attempts) != 1 || m.State != data.Waiting {
				t.Errorf("an attempt of message %s was granted, now it is %v with %d attempts", id, m.State, len(m.Attempts))
			}
		}
		k.close()
	}
	if len(acked.events) == 0 || len(acked.messages) == 0 || len(acked.attempts) == 0 {
		t.Errorf("the process wrote %d events, %d messages, %d attempts", len(acked.events), len(acked.messages), len(acked.attempts))
	}
}

// contains checks that all that was acknowledged is stored in its order, and
// nothing is stored twice.
func contains(t *testing.T, kind string, stored, acked []string) {
	t.Helper()
	texts := make(map[string]bool, len(stored))
	for _, s := range stored {
		_, text, _ := strings.Cut(s, " ")
		if texts[text] {
			t.Errorf("%s %.40q is stored twice", kind, s)
		}
		texts[text] = true
	}
	at := 0
	for _, a := range acked {
		i := slices.Index(stored[at:], a)
		if i < 0 {
			t.Fatalf("%s %.40q was acknowledged and is not there, or not in its order", kind, a)
		}
		at += i + 1
	}
}
