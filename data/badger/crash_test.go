package badger

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

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
	var others lives
	for n := 0; ; n++ {
		b := &data.Batch{Prune: &data.Prune{Keep: data.Retention{Delivered: time.Nanosecond}, Limit: random.IntN(8)}}
		others.goOn(s, b, random)
		for i := range random.IntN(6) + 1 {
			text := fmt.Sprintf("%d/%d/%d %s", os.Getpid(), n, i, strings.Repeat("x", random.IntN(3000)))
			if i%2 == 0 {
				b.Saves = append(b.Saves, &data.Save{Messages: []data.NewMessage{{Gateway: "gateway_1", Text: text}}})
			} else {
				b.Saves = append(b.Saves, &data.Save{Events: []data.NewEvent{{Type: "crash", Payload: text}}})
			}
		}
		b.Begins = append(b.Begins, claimReady(s, "gateway_1", random.IntN(4)+1))
		if err := s.Apply(b); err != nil {
			fmt.Println("error", err)
			return
		}
		var out strings.Builder
		for _, o := range b.Saves {
			switch {
			case len(o.Events) > 0:
				fmt.Fprintf(&out, "event %d %s\n", o.First, o.Events[0].Payload)
			case o.Messages[0].Gateway == "gateway_1":
				fmt.Fprintf(&out, "message %d %s\n", o.First, o.Messages[0].Text)
			}
		}
		for _, g := range b.Begins[len(b.Begins)-1].Granted {
			fmt.Fprintf(&out, "attempt %d\n", g.Message.ID)
		}
		others.tell(s, b, &out)
		fmt.Print(out.String())
	}
}

// lives are messages of two more gateways: one delivers all of its messages, which are
// then deleted; the other refuses all, and they are sent again for ever.
type lives struct {
	flying    []data.Granted
	delivered []data.ID
	dead      []data.ID
}

func claimReady(s *Store, gateway string, limit int) *data.Begin {
	o := &data.Begin{Gateway: gateway}
	refs, _, _ := s.Ready(gateway, 0, limit)
	for _, r := range refs {
		o.Claims = append(o.Claims, data.Claim{Ref: r, Policy: minute})
	}
	return o
}

// goOn adds the next step of every life to a batch.
func (l *lives) goOn(s *Store, b *data.Batch, random *rand.Rand) {
	for _, gateway := range []string{"delivers", "refuses"} {
		text := strings.Repeat("x", random.IntN(2000))
		b.Saves = append(b.Saves, &data.Save{Messages: []data.NewMessage{{Gateway: gateway, Text: text}}})
		b.Begins = append(b.Begins, claimReady(s, gateway, 10))
	}
	for _, g := range l.flying {
		o := &data.Settle{Gateway: g.Message.Gateway, ID: g.Message.ID, Number: g.Number, Ended: s.Now(), Result: delivered}
		if g.Message.Gateway == "refuses" {
			o.Result = permanent
		}
		b.Settles = append(b.Settles, o)
	}
	b.Resends = append(b.Resends, &data.Resend{IDs: l.dead})
}

// tell writes what a batch made of them.
func (l *lives) tell(s *Store, b *data.Batch, out io.Writer) {
	l.flying = append(b.Begins[0].Granted, b.Begins[1].Granted...)
	for _, r := range b.Resends[0].Resent {
		fmt.Fprintf(out, "resent %d %d\n", r.Old, r.New)
	}
	l.dead = nil
	for _, o := range b.Settles {
		if o.Result.Outcome == data.OutcomeDelivered {
			l.delivered = append(l.delivered, o.ID)
		} else {
			l.dead = append(l.dead, o.ID)
		}
	}
	l.delivered = slices.DeleteFunc(l.delivered, func(id data.ID) bool {
		_, err := s.Message(id)
		if errors.Is(err, data.ErrNotFound) {
			fmt.Fprintf(out, "gone %d\n", id)
			return true
		}
		return false
	})
}

// ledger is what a process said it had acknowledged before it was killed.
type ledger struct {
	events, messages []string
	attempts, gone   []data.ID
	resent           [][2]data.ID // old and new
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
		case "gone":
			var id data.ID
			if _, err := fmt.Sscan(rest, (*uint64)(&id)); err != nil {
				t.Fatal(err)
			}
			l.gone = append(l.gone, id)
		case "resent":
			var pair [2]data.ID
			if _, err := fmt.Sscan(rest, (*uint64)(&pair[0]), (*uint64)(&pair[1])); err != nil {
				t.Fatal(err)
			}
			l.resent = append(l.resent, pair)
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
			if m.Gateway == "gateway_1" {
				messages = append(messages, fmt.Sprintf("%d %s", m.ID, m.Text))
			}
		}
		contains(t, "event", events, acked.events)
		contains(t, "message", messages, acked.messages)
		for _, id := range acked.attempts {
			if m := k.message(id); len(m.Attempts) != 1 || m.State != data.Waiting {
				t.Errorf("an attempt of message %s was granted, now it is %v with %d attempts", id, m.State, len(m.Attempts))
			}
		}
		for _, id := range acked.gone {
			k.gone("a message that was deleted", id)
		}
		for _, pair := range acked.resent {
			if old, now := k.message(pair[0]), k.message(pair[1]); old.ResentAs != now.ID || now.ResendOf != old.ID || now.Text != old.Text {
				t.Errorf("message %s was sent again as %s: %+v, %+v", pair[0], pair[1], old, now)
			}
		}
		k.close()
	}
	if len(acked.events) == 0 || len(acked.messages) == 0 || len(acked.attempts) == 0 || len(acked.gone) == 0 || len(acked.resent) == 0 {
		t.Errorf("the process wrote %d events, %d messages, %d attempts, deleted %d and sent %d again",
			len(acked.events), len(acked.messages), len(acked.attempts), len(acked.gone), len(acked.resent))
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
