package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
)

// maxCell is how much of a text a table shows, in characters.
const maxCell = 60

// table prints rows for people.
type table struct {
	w   *tabwriter.Writer
	err error
}

func newTable(out io.Writer, columns ...string) *table {
	t := &table{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	t.row(columns...)
	return t
}

// row adds a row. Whoever wrote what stands in it, a terminal finds nothing there to
// obey, and no line ends in it.
func (t *table) row(cells ...string) {
	for i, c := range cells {
		if c == "" {
			c = "-"
		}
		cells[i] = strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(legible(c))
	}
	if _, err := fmt.Fprintln(t.w, strings.Join(cells, "\t")); err != nil {
		t.err = err
	}
}

// end prints what there is.
func (t *table) end() error {
	if t.err != nil {
		return t.err
	}
	return t.w.Flush()
}

// clip shortens a text to what a cell shows of it.
func clip(text string) string {
	shown := []rune(text[:min(len(text), 4*maxCell+4)])
	if len(shown) <= maxCell {
		return text
	}
	return strings.TrimRight(string(shown[:maxCell-1]), "\uFFFD") + "…"
}

// moment shows a time of the API to the second.
func moment(stamp string) string {
	at, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return stamp
	}
	return at.UTC().Format("2006-01-02 15:04:05Z")
}

// paged are the flags of a command that lists what may have no end.
type paged struct {
	server remote
	json   bool
	limit  int
	after  string
}

func (p *paged) flags(c *cobra.Command) {
	c.Flags().IntVar(&p.limit, "limit", 50, "how many to list at most")
	c.Flags().StringVar(&p.after, "after", "", "go on behind this; a list that is cut short says what to give here")
	c.Flags().BoolVar(&p.json, "json", false, "print each as one line of JSON")
	p.server.flags(c)
}

// maxPage is how many entries one request may ask for.
const maxPage = 1000

// each asks for page after page of a list and hands on its entries, until there are
// as many as wanted. It returns where the list goes on, "" when it does not.
func (p *paged) each(c *cobra.Command, what errand, list string, show func(entry []byte) error) (next string, err error) {
	if p.limit < 1 {
		return "", usageError{fmt.Errorf("--limit must be at least 1")}
	}
	next = p.after
	for left := p.limit; left > 0; {
		what.query.Set("limit", strconv.Itoa(min(left, maxPage)))
		if next != "" {
			what.query.Set("after", next)
		}
		answer, err := p.server.call(c.Context(), what)
		if err != nil {
			return "", err
		}
		var page map[string]jsontext.Value
		var entries []jsontext.Value
		var following *string
		if json.Unmarshal(answer, &page) != nil || json.Unmarshal(page[list], &entries) != nil || json.Unmarshal(page["next"], &following) != nil {
			return "", errNotOurs
		}
		for _, entry := range entries {
			if entry.Kind() != '{' {
				return "", errNotOurs
			}
			if err := show(entry); err != nil {
				return "", err
			}
		}
		if following == nil {
			return "", nil
		}
		next, left = *following, left-len(entries)
	}
	return next, nil
}

// goesOn tells people how to see the rest of a list.
func goesOn(c *cobra.Command, next string) error {
	if next == "" {
		return nil
	}
	_, err := fmt.Fprintf(c.ErrOrStderr(), "there may be more: --after %s\n", legible(next))
	return err
}

// list prints a list of the API: as JSON, each entry in a line, or as a table whose
// row add makes of an entry.
func (p *paged) list(c *cobra.Command, what errand, name string, columns []string, add func(t *table, entry []byte) error) error {
	out := c.OutOrStdout()
	show := func(entry []byte) error { return printJSON(out, entry) }
	var t *table
	if !p.json {
		t = newTable(out, columns...)
		show = func(entry []byte) error { return add(t, entry) }
	}
	next, err := p.each(c, what, name, show)
	if err != nil {
		return err
	}
	if t != nil {
		if err := t.end(); err != nil {
			return err
		}
	}
	return goesOn(c, next)
}
