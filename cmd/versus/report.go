package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// value is what one round measured of one contestant. Times are 0 where there are
// none.
type value struct {
	rate     float64 // per second
	p50, p99 time.Duration
}

// series is what all rounds measured of it.
type series struct {
	measure, contestant string
	rates, p50s, p99s   []float64 // by round, times in milliseconds
}

// setting is what there is to know about a contestant.
type setting struct{ contestant, about, version, durability string }

// goal is a figure to reach. It is there when it was measured.
type goal struct {
	what   string
	bound  float64
	most   bool      // bound is the most, not the least
	values []float64 // by round
	unit   string
}

// met reports whether the median reaches it.
func (g goal) met() bool {
	if m := spreadOf(g.values).median; g.most {
		return m <= g.bound
	}
	return spreadOf(g.values).median >= g.bound
}

func (g goal) verdict() string {
	if g.met() {
		return "met"
	}
	return "NOT MET"
}

func (g goal) limit() string {
	sign := "at least "
	if g.most {
		sign = "at most "
	}
	return sign + number(g.bound) + g.unit
}

func (g goal) found() string {
	s := spreadOf(g.values)
	return fmt.Sprintf("%s%s (%s)", number(s.median), g.unit, s.width())
}

// report is what a run measured: a table for people, and the same as Markdown.
type report struct {
	heading  string
	notes    []string
	series   []*series
	goals    []goal
	settings []setting
}

// of returns the series of a measure and a contestant; one without values if
// there is none.
func (r *report) of(measure, contestant string) *series {
	for _, s := range r.series {
		if s.measure == measure && s.contestant == contestant {
			return s
		}
	}
	return &series{measure: measure, contestant: contestant}
}

// add notes what a round measured. A round before it that has no value stays so.
func (r *report) add(round int, measure, contestant string, v value) {
	s := r.of(measure, contestant)
	if len(s.rates) == 0 {
		r.series = append(r.series, s)
	}
	for len(s.rates) <= round {
		s.rates, s.p50s, s.p99s = append(s.rates, none()), append(s.p50s, none()), append(s.p99s, none())
	}
	s.rates[round] = v.rate
	if v.p99 > 0 {
		s.p50s[round], s.p99s[round] = milliseconds(v.p50), milliseconds(v.p99)
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// describe notes what there is to know about a contestant, once.
func (r *report) describe(s setting) {
	if !slices.ContainsFunc(r.settings, func(o setting) bool { return o.contestant == s.contestant }) {
		r.settings = append(r.settings, s)
	}
}

// expect adds a goal if there are values for it.
func (r *report) expect(g goal) {
	if len(g.values) > 0 {
		r.goals = append(r.goals, g)
	}
}

// table is a heading and rows of cells.
type table struct {
	head []string
	rows [][]string
}

// tables are what is shown, in order. Those without rows are left out.
func (r *report) tables() []table {
	figures := table{head: []string{"measure", "contestant", "per second", "min .. max", "to the first", "p50", "p99"}}
	for _, measure := range r.measures() {
		var first *series
		for _, s := range r.series {
			if s.measure != measure {
				continue
			}
			if first == nil {
				first = s
			}
			figures.rows = append(figures.rows, s.row(first))
		}
	}
	goals := table{head: []string{"goal", "bound", "median (min .. max)", ""}}
	for _, g := range r.goals {
		goals.rows = append(goals.rows, []string{g.what, g.limit(), g.found(), g.verdict()})
	}
	settings := table{head: []string{"contestant", "what it is", "versions", "read back"}}
	for _, s := range r.settings {
		settings.rows = append(settings.rows, []string{s.contestant, s.about, s.version, s.durability})
	}
	return slices.DeleteFunc([]table{figures, goals, settings}, func(t table) bool { return len(t.rows) == 0 })
}

// measures lists them, each once, in the order in which they came.
func (r *report) measures() (all []string) {
	for _, s := range r.series {
		if !slices.Contains(all, s.measure) {
			all = append(all, s.measure)
		}
	}
	return all
}

// row shows a series, and its ratio to the first one of its measure.
func (s *series) row(first *series) []string {
	rates := spreadOf(had(s.rates))
	ratio := "1"
	if s != first {
		ratio = number(spreadOf(ratios(s.rates, first.rates)).median)
	}
	times := func(values []float64) string {
		if v := had(values); len(v) > 0 {
			return number(spreadOf(v).median) + " ms"
		}
		return ""
	}
	return []string{s.measure, s.contestant, number(rates.median), rates.width(), ratio, times(s.p50s), times(s.p99s)}
}

// print writes the report for people.
func (r *report) print(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "%s\n", strings.Join(append([]string{r.heading}, r.notes...), "\n")); err != nil {
		return err
	}
	for _, t := range r.tables() {
		tabs := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
		_, _ = fmt.Fprintf(tabs, "\n%s\n", strings.Join(t.head, "\t")) // Flush reports
		for _, cells := range t.rows {
			_, _ = fmt.Fprintln(tabs, strings.Join(cells, "\t"))
		}
		if err := tabs.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// markdown returns the report as Markdown.
func (r *report) markdown() string {
	var b strings.Builder
	for _, line := range append([]string{r.heading}, r.notes...) {
		fmt.Fprintf(&b, "%s  \n", line)
	}
	row := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	for _, t := range r.tables() {
		b.WriteString("\n")
		row(t.head)
		row(slices.Repeat([]string{"---"}, len(t.head)))
		for _, cells := range t.rows {
			row(cells)
		}
	}
	return b.String()
}

// mark is the comment before and after the place of a table in a document.
func mark(name string, end bool) string {
	if end {
		return "<!-- end of versus " + name + " -->"
	}
	return "<!-- versus " + name + ": made by cmd/versus, not by hand -->"
}

// placed puts a table between its marks in a document; an empty document becomes
// the table.
func placed(document, name, made string) (string, error) {
	begin, end := mark(name, false), mark(name, true)
	block := begin + "\n\n" + strings.TrimSpace(made) + "\n\n" + end
	if document == "" {
		return block + "\n", nil
	}
	before, rest, found := strings.Cut(document, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return "", fmt.Errorf("there is no place for this table: expected %q and %q", begin, end)
	}
	return before + block + after, nil
}

// size writes bytes for a goal.
func mebibytes(bytes int64) float64 { return float64(bytes) / rig.Mebibyte }
