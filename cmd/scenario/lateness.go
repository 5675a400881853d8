package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// lateness is how late attempts start at a gateway that is well and has no
// backlog: first attempts after their acceptance was answered, retries after the
// interval.
type lateness struct {
	rate     int
	seconds  int
	interval time.Duration
}

func (s *lateness) flags(f *pflag.FlagSet) {
	f.IntVar(&s.rate, "rate", 50, "messages per second, to each of two gateways")
	f.IntVar(&s.seconds, "seconds", 60, "how long to send")
	f.DurationVar(&s.interval, "interval", 2*time.Second, "least time between two attempts, which retries wait for")
}

const latenessGoal = 20 * time.Millisecond

func (s *lateness) run(ctx context.Context, l *lab) error {
	first, retries := newJournal(s.rate*s.seconds), newJournal(s.rate*s.seconds)
	mux := http.NewServeMux()
	mux.Handle("/well", first)
	mux.Handle("/again", second{retries, s.interval})
	url, err := rig.Serve(ctx, mux)
	if err != nil {
		return err
	}
	program, err := l.program("lateness", rig.Section{
		"delivery": rig.Section{"interval": s.interval.String(), "allow_short_interval": true},
		"gateways": rig.Section{"well": at(url + "/well"), "again": at(url + "/again")},
	})
	if err != nil {
		return err
	}
	c, err := program.Start(ctx, rig.Patience)
	if err != nil {
		return err
	}
	defer c.Kill()
	// When a retry is due is for the gateway to say, so what is sent to it is noted
	// apart.
	for _, m := range []struct {
		gateway string
		*journal
	}{{"well", first}, {"again", newJournal(len(retries.notes))}} {
		l.say("%d messages per second to gateway %s for %d s", s.rate, m.gateway, s.seconds)
		if err := m.stream(ctx, c, m.gateway, s.rate); err != nil {
			return err
		}
		if err := m.refusal(); err != nil {
			return err
		}
	}
	for _, m := range []struct {
		what string
		*journal
	}{
		{"from accepted to start", first},
		{"from end of attempt + interval to start of the retry", retries},
	} {
		if err := m.arrive(ctx, s.interval+rig.Patience); err != nil {
			return err
		}
		late := m.lateness()
		if len(late) < len(m.notes) {
			return fmt.Errorf("%s: %w of %d messages", m.what, errNothing, len(m.notes)-len(late))
		}
		p50, p99 := percentile(late, 0.50), percentile(late, 0.99)
		l.report.note(fmt.Sprintf("lateness, %s, p50 of %s", m.what, rig.Count(len(late))), rig.Span(max(0, p50)))
		l.report.goal(fmt.Sprintf("lateness, %s, p99", m.what), "< "+rig.Span(latenessGoal), rig.Span(max(0, p99)), p99 < latenessGoal)
		if m.journal == retries {
			l.report.goal("lateness, retries that came early", "0", fmt.Sprint(early(late)), early(late) == 0)
		}
	}
	return c.Stop()
}

// early counts what came before it was due.
func early(late []time.Duration) (n int) {
	for _, d := range late {
		if d < 0 {
			n++
		}
	}
	return n
}

// second is a gateway that takes a message at the second attempt, which is due
// an interval after the end of the first one.
type second struct {
	journal  *journal
	interval time.Duration
}

func (g second) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Postrider-Attempt") != "1" {
		g.journal.ServeHTTP(w, r)
		return
	}
	if n, err := numberOf(r); err == nil && n < len(g.journal.notes) {
		g.journal.mark(&g.journal.notes[n].due, time.Now().Add(g.interval))
	}
	w.WriteHeader(http.StatusInternalServerError)
}
