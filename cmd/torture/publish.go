package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// The lines of a document between which a ledger stands.
const (
	ledgerBegins = "<!-- torture ledger -->"
	ledgerEnds   = "<!-- end of the torture ledger -->"
)

func ledgerCommand() *cobra.Command {
	into := ""
	c := &cobra.Command{Use: "ledger JOURNAL...", Short: "Print what journals say as a table of Markdown", Args: cobra.MinimumNArgs(1), RunE: func(c *cobra.Command, files []string) error {
		var all []entry
		for _, file := range files {
			entries, err := readJournal(file)
			if err != nil {
				return err
			}
			all = append(all, entries...)
		}
		if into != "" {
			return publish(into, markdown(all))
		}
		_, err := fmt.Fprint(c.OutOrStdout(), markdown(all))
		return err
	}}
	c.Flags().StringVar(&into, "into", "", "document to write it into, in place of the one that is there")
	return c
}

func readJournal(file string) (all []entry, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("read line %d of %s: %w", len(all)+1, file, err)
		}
		all = append(all, e)
	}
	return all, lines.Err()
}

// markdown is the ledger: a line for each run, by mode and date; at the end those of
// controls.
func markdown(all []entry) string {
	place := map[string]int{}
	for i, m := range modes() {
		place[m.name] = i
	}
	slices.SortStableFunc(all, func(x, y entry) int {
		return cmp.Or(cmp.Compare(x.Control, y.Control), place[x.Mode]-place[y.Mode], x.Date.Compare(y.Date))
	})
	var b strings.Builder
	b.WriteString("| mode | rounds | failures | a round fails less often than | acknowledged requests | options | seed | date | version | took |\n")
	b.WriteString("|---|--:|--:|--:|--:|---|--:|---|---|--:|\n")
	for _, e := range all {
		bound := "–"
		if len(e.Failures) == 0 && e.Rounds > 0 {
			bound = fmt.Sprintf("%.2g", e.Bound)
		}
		options := strings.Join(e.Options, " ")
		if options != "" {
			options = "`" + options + "`"
		}
		mode, failures := e.Mode, rig.Count(len(e.Failures))
		if e.Control != "" {
			mode, failures = e.Mode+", control `"+e.Control+"`", failures+", as it must"
			if len(e.Failures) == 0 {
				failures = "0: the control stayed green"
			}
		}
		if e.Errors > 0 {
			failures += fmt.Sprintf(" (and %d not carried out)", e.Errors)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %d | %s | %s | %s |\n", mode, rig.Count(e.Rounds), failures, bound,
			rig.Count(e.Counts[requestsAcknowledged]), options, e.Seed, e.Date.Format(time.DateOnly),
			strings.TrimPrefix(e.Version, "postrider "), rig.Span(time.Duration(e.Seconds*float64(time.Second)).Round(time.Second)))
	}
	return b.String()
}

// publish puts a ledger into a document.
func publish(document, ledger string) error {
	b, err := os.ReadFile(document)
	if err != nil {
		return fmt.Errorf("read the document: %w", err)
	}
	before, rest, begins := strings.Cut(string(b), ledgerBegins+"\n")
	_, after, ends := strings.Cut(rest, ledgerEnds)
	if !begins || !ends {
		return errors.New(document + " has no place for a ledger: a line " + ledgerBegins + " and a line " + ledgerEnds)
	}
	return os.WriteFile(document, []byte(before+ledgerBegins+"\n"+ledger+ledgerEnds+after), 0o644)
}
