package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// tally is what rounds came to.
type tally struct {
	carried int   // rounds that were carried out
	errors  int   // rounds that were not, which say nothing about the program
	failed  []int // those in which a promise was broken
	counts  map[string]int64
}

func (t *tally) add(r *round, found []string, err error) {
	switch {
	case len(found) > 0:
		t.carried++
		t.failed = append(t.failed, r.number)
	case err != nil:
		t.errors++
		return
	default:
		t.carried++
	}
	if t.counts == nil {
		t.counts = map[string]int64{}
	}
	for what, n := range r.counts {
		t.counts[what] += n
	}
	for what, n := range r.peaks {
		t.counts[what] = max(t.counts[what], n)
	}
}

// bound is how often a round may still fail when none did: with 95 % certainty
// less often than this.
func (t *tally) bound() float64 {
	if len(t.failed) > 0 || t.carried == 0 {
		return 1
	}
	return min(1, 3/float64(t.carried))
}

// print writes the table.
func (t *tally) print(w io.Writer, heading string) error {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintf(table, "%s\n\n", heading) // Flush reports
	line := func(what, n string) { _, _ = fmt.Fprintf(table, "%s\t%s\n", what, n) }
	line("rounds", rig.Count(t.carried))
	line("rounds with a broken promise", rig.Count(len(t.failed)))
	if t.errors > 0 {
		line("rounds not carried out", rig.Count(t.errors))
	}
	for _, what := range slices.Sorted(maps.Keys(t.counts)) {
		line(what, rig.Count(t.counts[what]))
	}
	if len(t.failed) == 0 && t.carried > 0 {
		line("a round fails", fmt.Sprintf("less often than %.2g (95 %%)", t.bound()))
	}
	return table.Flush()
}

// entry is a run as the journal has it.
type entry struct {
	Mode     string           `json:"mode"`
	Control  string           `json:"control,omitempty"` // the failures are what it is for
	Shown    string           `json:"shown,omitempty"`   // by what they were found
	Date     time.Time        `json:"date"`
	Version  string           `json:"version"`
	Seed     uint64           `json:"seed"`
	Options  []string         `json:"options,omitempty"`
	Rounds   int              `json:"rounds"`
	Failures []int            `json:"failures"` // numbers of the rounds
	Errors   int              `json:"errors"`
	Bound    float64          `json:"bound"`
	Seconds  float64          `json:"seconds"`
	Counts   map[string]int64 `json:"counts"`
}

// finish prints the table and appends to the journal, even if not all rounds ran.
func (s *session) finish() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &s.tally
	slices.Sort(t.failed)
	took := time.Since(s.began)
	heading, control := s.name, ""
	if s.breaks != nil {
		control = s.breaks.name
		heading = fmt.Sprintf("CONTROL %s, which does not %s: %s", control, s.breaks.without, s.name)
	}
	err := t.print(s.out, fmt.Sprintf("%s, %s, --seed %d, %s, took %s", heading, s.version, s.seed, s.began.UTC().Format(time.DateTime), rig.Span(took)))
	if s.journal != "" {
		err = errors.Join(err, appendTo(s.journal, entry{
			Mode: s.name, Control: control, Shown: s.red, Date: s.began.UTC(), Version: s.version, Seed: s.seed, Options: s.flags, Rounds: t.carried,
			Failures: append([]int{}, t.failed...), Errors: t.errors, Bound: t.bound(), Seconds: took.Seconds(), Counts: t.counts,
		}))
	}
	return errors.Join(err, s.verdict())
}

// verdict is nil when the program kept its promises, or a control broke the one
// that it was made to break.
func (s *session) verdict() (err error) {
	t := &s.tally
	if s.breaks != nil {
		switch {
		case s.red != "":
			_, err = fmt.Fprintf(s.out, "the control is red: %s\n", s.red)
			return err
		case len(t.failed) > 0:
			return fmt.Errorf("in rounds %v the control broke another promise than its own; --keep keeps them", t.failed)
		}
		err = fmt.Errorf("the control stayed green in %d rounds", t.carried)
	} else if n := len(t.failed); n > 0 {
		err = fmt.Errorf("a promise was broken in %d of %d rounds: %v", n, t.carried, t.failed)
	}
	if t.errors > 0 {
		err = errors.Join(err, fmt.Errorf("%d rounds could not be carried out", t.errors))
	}
	return err
}

func appendTo(journal string, e entry) error {
	f, err := os.OpenFile(journal, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("append to the journal: %w", err)
	}
	return errors.Join(json.NewEncoder(f).Encode(e), f.Close())
}
