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

// markdown is the ledger: a line for each run, by mode and date, and a table of the
// controls, if there were any.
func markdown(all []entry) string {
	place := map[string]int{}
	for i, m := range modes() {
		place[m.name] = i
	}
	slices.SortStableFunc(all, func(x, y entry) int {
		return cmp.Or(place[x.Mode]-place[y.Mode], cmp.Compare(x.Control, y.Control), x.Date.Compare(y.Date))
	})
	var runs, controls strings.Builder
	for _, e := range all {
		failures, options := rig.Count(len(e.Failures)), strings.Join(e.Options, " ")
		if e.Errors > 0 {
			failures += fmt.Sprintf(" (and %d not carried out)", e.Errors)
		}
		if options != "" {
			options = "`" + options + "`"
		}
		took := rig.Span(time.Duration(e.Seconds * float64(time.Second)).Round(time.Second))
		if e.Control != "" {
			controls.WriteString(e.ofControl(failures, options, took))
			continue
		}
		bound := "–"
		if len(e.Failures) == 0 && e.Rounds > 0 {
			bound = fmt.Sprintf("%.2g", e.Bound)
		}
		fmt.Fprintf(&runs, "| %s | %s | %s | %s | %s | %s | %d | %s | %s | %s |\n", e.Mode, rig.Count(e.Rounds), failures, bound,
			rig.Count(e.Counts[requestsAcknowledged]), options, e.Seed, e.Date.Format(time.DateOnly), strings.TrimPrefix(e.Version, "postrider "), took)
	}
	text := "| mode | rounds | failures | a round fails less often than | acknowledged requests | options | seed | date | version | took |\n" +
		"|---|--:|--:|--:|--:|---|--:|---|---|--:|\n" + runs.String()
	if controls.Len() == 0 {
		return text
	}
	return text + "\n| control | mode | rounds | failures | found out by | seed | date | took |\n|---|---|--:|--:|---|--:|---|--:|\n" + controls.String()
}

// ofControl is the line of a run that had to fail.
func (e entry) ofControl(failures, options, took string) string {
	if e.Shown != "" || len(e.Failures) > 0 {
		failures += ", as it must"
	} else {
		failures += ": the control stayed green"
	}
	shown := strings.ReplaceAll(cmp.Or(e.Shown, "–"), "|", "\\|")
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s | %d | %s | %s |\n", e.Control, strings.TrimSpace(e.Mode+" "+options), rig.Count(e.Rounds), failures,
		shown, e.Seed, e.Date.Format(time.DateOnly), took)
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
