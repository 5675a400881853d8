package gateway

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// TestTranscripts plays the histories in testdata: what happens to a lane, one
// line each, and below it what the lane makes of it. Times are in seconds.
//
//	lane limit=L attempts=N interval=S doubt=S   starts a lane,
//	                    with hold_after=K, rate=R or ramp after that, if wanted
//	accept N [S]        messages arrive, which expire after so many seconds
//	end ID OUTCOME [S]  a request comes to its outcome, with a hint; "refused"
//	                    is a temporary one without a connection
//	probe reached|refused   a probe has ended
//	cancel ID           a message is taken back
//	time S              so many seconds pass
//	drain               nothing is to begin any more
//	pause, go on        by a person
func TestTranscripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(text))
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			} else if got != string(text) {
				t.Errorf("play(%s) =\n%s\nwant\n%s", path, got, text)
			}
		})
	}
}

func play(t *testing.T, text string) string {
	var out strings.Builder
	p := &player{t: t, store: newMemory(t)}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "  ") {
			continue // an outcome
		}
		out.WriteString(line)
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			for _, o := range p.step(line) {
				fmt.Fprintf(&out, "  %s\n", o)
			}
		}
	}
	return out.String()
}

const second = data.StoreTime(time.Second)

// player is a lane without its actor: every wish is granted at once.
type player struct {
	t      *testing.T
	s      *schedule
	store  *memory
	policy data.Policy
	now    data.StoreTime
	flying map[data.ID]int
}

func (p *player) step(line string) []string {
	word, rest, _ := strings.Cut(line, " ")
	var id, n int
	var outcome string
	scan := func(format string, into ...any) {
		if got, err := fmt.Sscanf(rest, format, into...); got < 1 || err != nil && got < len(into)-1 {
			p.t.Fatalf("%s: %v", line, err)
		}
	}
	var said []string
	switch word {
	case "lane":
		var limit, attempts, interval, doubt int
		scan("limit=%d attempts=%d interval=%d doubt=%d", &limit, &attempts, &interval, &doubt)
		p.policy = data.Policy{MaxAttempts: attempts, Interval: seconds(interval), MaxHint: data.DefaultMaxHint}
		d := Definition{Concurrency: limit, Policy: p.policy}
		for _, more := range strings.Fields(rest)[4:] {
			name, value, _ := strings.Cut(more, "=")
			switch name {
			case "hold_after":
				d.HoldAfter, _ = strconv.Atoi(value)
			case "rate":
				d.Rate, _ = strconv.ParseFloat(value, 64)
			case "ramp":
			default:
				p.t.Fatalf("%s: no such word: %s", line, name)
			}
		}
		p.store.doubt = data.StoreTime(seconds(doubt))
		p.s = newSchedule(d, p.store.doubt)
		stored, _ := p.store.Lane("")
		p.s.resume(p.now, stored, d, strings.HasSuffix(rest, "ramp"))
		p.flying = make(map[data.ID]int)
	case "accept":
		life := 0
		scan("%d %d", &n, &life)
		p.store.expires = func(data.ID) data.StoreTime {
			if life == 0 {
				return 0
			}
			return p.now.Add(seconds(life))
		}
		p.store.accept(n)
		p.s.accepted(nil)
	case "end":
		scan("%d %s %d", &id, &outcome, &n)
		said = append(said, p.end(data.ID(id), outcome, n))
	case "cancel":
		scan("%d", &id)
		p.store.cancel(data.ID(id))
	case "time":
		scan("%d", &n)
		p.now += data.StoreTime(seconds(n))
	case "drain":
		p.s.draining = true
	case "pause":
		p.s.paused = true
	case "probe":
		if p.s.outage.probed(p.now, rest == "reached") {
			said = append(said, "open")
		}
	case "go":
		p.s.paused = false
	default:
		p.t.Fatalf("no such word: %s", line)
	}
	return append(said, p.advance()...)
}

func (p *player) end(id data.ID, name string, hint int) string {
	var outcome data.Outcome
	var cause data.Cause
	if name == "refused" {
		name, cause = "temporary", data.CauseRefused
	}
	for o := data.OutcomeDelivered; o <= data.OutcomeUnknown; o++ {
		if o.String() == name {
			outcome = o
		}
	}
	if p.flying[id] == 0 {
		p.t.Fatalf("message %d is not being sent", id)
	}
	o := &data.Settle{ID: id, Number: p.flying[id], Ended: p.now, Result: data.Result{Outcome: outcome, Cause: cause, Hint: seconds(hint)}}
	delete(p.flying, id)
	closed := ""
	if p.s.ended(p.now, o.Result) {
		closed = "; closed"
	}
	if until, asked := p.policy.Hold(data.Attempt{Ended: p.now, Result: o.Result}); asked {
		if p.s.hold(p.now, until) {
			closed = "; closed"
		}
	}
	p.s.landed(id, o.Number)
	p.store.commit(nil, []*data.Settle{o}, p.now)
	if o.Next.State != data.Waiting {
		return fmt.Sprintf("%d is %s%s", id, o.Next.State, closed)
	}
	p.s.returns(data.Ref{ID: id, Number: o.Number + 1, Due: o.Next.Due})
	return fmt.Sprintf("%d is waiting until %s%s", id, at(o.Next.Due), closed)
}

// advance loads, claims and begins until there is nothing more to do.
func (p *player) advance() (said []string) {
	for {
		if _, probe := p.s.open(p.now); probe {
			p.s.outage.probing = true
			said = append(said, "probes")
		}
		claims, wake := next(p.s, p.now)
		begin := &data.Begin{}
		for _, r := range claims {
			begin.Claims = append(begin.Claims, data.Claim{Ref: r, Policy: p.policy})
		}
		p.store.commit(begin, nil, p.now)
		for _, r := range claims {
			p.s.refused(r)
			if slices.Contains(begin.Standing, r) {
				said = append(said, fmt.Sprintf("%d stands", r.ID))
				continue
			}
			if i := slices.IndexFunc(begin.Overdue, func(e data.Ended) bool { return e.ID == r.ID }); i >= 0 {
				said = append(said, fmt.Sprintf("%d is %s", r.ID, begin.Overdue[i].State))
				continue
			}
			if !slices.ContainsFunc(begin.Granted, func(g data.Granted) bool { return g.Message.ID == r.ID }) {
				said = append(said, fmt.Sprintf("%d is not to be had", r.ID))
				continue
			}
			p.s.began(r.ID, r.Number)
			p.flying[r.ID] = r.Number
			said = append(said, fmt.Sprintf("%d is sent, attempt %d", r.ID, r.Number))
		}
		if len(begin.Standing) > 0 {
			p.s.standing(begin.Standing, begin.Closed != data.Closed{})
		}
		l, ok := p.s.wants(p.now)
		switch {
		case ok && l.waiting:
			refs, more, _ := p.store.Waiting("", l.after, l.limit)
			p.s.loaded(l, refs, more)
		case ok:
			refs, more, _ := p.store.Ready("", l.after.ID, l.limit)
			p.s.loaded(l, refs, more)
		case len(claims) > 0: // a refused one leaves its slot
		case wake != data.Never:
			return append(said, "asks again at "+at(wake))
		case p.s.idle():
			return append(said, "idle")
		default:
			return said
		}
	}
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func at(t data.StoreTime) string { return fmt.Sprintf("%g", float64(t)/float64(second)) }
