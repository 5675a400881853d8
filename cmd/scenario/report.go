package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// figure is something that was measured.
type figure struct {
	what     string
	goal     string // "" when there is none
	measured string
	met      bool // the goal, if there is one
}

// verdict is what the table says about the goal.
func (f figure) verdict() string {
	switch {
	case f.goal == "":
		return ""
	case f.met:
		return "met"
	}
	return "NOT MET"
}

// report gathers figures. There is a line for what was measured and for nothing
// else.
type report struct{ figures []figure }

// goal adds a figure that is to be reached.
func (r *report) goal(what, goal, measured string, met bool) {
	r.figures = append(r.figures, figure{what, goal, measured, met})
}

// note adds a figure that explains others.
func (r *report) note(what, measured string) {
	r.figures = append(r.figures, figure{what: what, measured: measured})
}

// missed counts the goals that were not met.
func (r *report) missed() (n int) {
	for _, f := range r.figures {
		if f.goal != "" && !f.met {
			n++
		}
	}
	return n
}

// print writes the table for people.
func (r *report) print(w io.Writer, heading string) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintf(t, "%s\n\nwhat\tgoal\tmeasured\t\n", heading) // Flush reports
	for _, f := range r.figures {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", f.what, cmp.Or(f.goal, "-"), f.measured, f.verdict())
	}
	return t.Flush()
}

// markdown returns the same table as Markdown.
func (r *report) markdown(heading string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n| what | goal | measured | |\n|---|---|---|---|\n", heading)
	for _, f := range r.figures {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f.what, f.goal, f.measured, f.verdict())
	}
	return b.String()
}

// heading says what was measured where and when.
func heading(version string) string {
	memory := ""
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		if n, err := rig.Kilobytes(string(b), "MemTotal"); err == nil {
			memory = fmt.Sprintf(", %d GiB of memory", (n+1<<29)>>30)
		}
	}
	return fmt.Sprintf("%s on %s/%s, %d cores%s, %s", version, runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), memory, time.Now().UTC().Format(time.DateOnly))
}
