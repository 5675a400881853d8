package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postrider/postrider/data"
)

// shownSummary is how a server does, as the API shows it.
type shownSummary struct {
	Version   string `json:"version"`
	StartedAt string `json:"started_at"`
	Now       string `json:"now"`
	Rates     struct {
		Events    float64 `json:"events_per_second"`
		Messages  float64 `json:"messages_per_second"`
		Delivered float64 `json:"delivered_per_second"`
		Failed    float64 `json:"failed_per_second"`
	} `json:"rates"`
	Counts   map[string]int `json:"counts"`
	Dead     int            `json:"dead"`
	Oldest   *string        `json:"oldest_queued_at"`
	Gateways struct {
		Total   int `json:"total"`
		Paused  int `json:"paused"`
		Held    int `json:"held"`
		Parked  int `json:"parked"`
		Backlog int `json:"with_backlog"`
	} `json:"gateways"`
	Store struct {
		Accepting bool     `json:"accepting"`
		Reasons   []string `json:"reasons"`
		Free      int64    `json:"free_bytes"`
		Size      int64    `json:"size_bytes"`
	} `json:"store"`
	Config struct {
		AppliedAt    string   `json:"applied_at"`
		RefusedAt    *string  `json:"refused_at"`
		Mistakes     int      `json:"mistakes"`
		NeedsRestart []string `json:"needs_restart"`
	} `json:"config"`
	Attention []struct {
		Gateway string  `json:"gateway"`
		Reason  string  `json:"reason"`
		Until   *string `json:"until"`
		Open    int     `json:"open"`
		Dead    int     `json:"dead"`
		Oldest  *string `json:"oldest_at"`
	} `json:"attention"`
}

func statusCommand() *cobra.Command {
	var v view
	c := &cobra.Command{
		Use:   "status",
		Short: "Show on one screen how a running server does",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			var s shownSummary
			return v.show(c, errand{path: "/api/v1/summary"}, &s, func(out io.Writer) error { return s.print(out) })
		},
	}
	v.flags(c)
	return c
}

// maxAttention is how many gateways the screen has room for.
const maxAttention = 15

func (s shownSummary) print(out io.Writer) error {
	if s.Now == "" {
		return errNotOurs
	}
	t := newTable(out, "postrider", strings.TrimSpace(s.Version+", up "+s.since(s.StartedAt)))
	t.row("accepts", s.accepts())
	t.row("per second", fmt.Sprintf("%s events, %s messages in; %s delivered, %s failed",
		rate(s.Rates.Events), rate(s.Rates.Messages), rate(s.Rates.Delivered), rate(s.Rates.Failed)))
	var states []string
	for _, state := range data.AllStates() {
		if n := s.Counts[state.String()]; n > 0 || state == data.Queued || state == data.Delivered {
			states = append(states, count(n)+" "+state.String())
		}
	}
	t.row("messages", strings.Join(states, ", "))
	if s.Oldest != nil {
		t.row("oldest to send", s.since(*s.Oldest)+" ago")
	}
	t.row("gateways", fmt.Sprintf("%s; %s with a backlog, %s held, %s paused, %s parked", count(s.Gateways.Total),
		count(s.Gateways.Backlog), count(s.Gateways.Held), count(s.Gateways.Paused), count(s.Gateways.Parked)))
	t.row("disk", size(s.Store.Size)+" used, "+size(s.Store.Free)+" free")
	t.row("configuration", s.config())
	if err := t.end(); err != nil {
		return err
	}
	return s.printAttention(out)
}

func (s shownSummary) accepts() string {
	if s.Store.Accepting {
		return "yes"
	}
	return "no: " + strings.Join(s.Store.Reasons, ", ")
}

func (s shownSummary) config() string {
	text := "read " + s.since(s.Config.AppliedAt) + " ago"
	if s.Config.RefusedAt != nil {
		text += fmt.Sprintf("; what was read %s ago is refused for %d mistakes, see the log or postrider reload", s.since(*s.Config.RefusedAt), s.Config.Mistakes)
	}
	if len(s.Config.NeedsRestart) > 0 {
		text += "; a restart is needed for " + strings.Join(s.Config.NeedsRestart, ", ")
	}
	return text
}

func (s shownSummary) printAttention(out io.Writer) error {
	if len(s.Attention) == 0 {
		_, err := fmt.Fprintln(out, "\nno gateway needs attention")
		return err
	}
	if _, err := fmt.Fprintln(out, "\nneeds attention"); err != nil {
		return err
	}
	t := newTable(out, "GATEWAY", "WHY", "UNTIL", "TO SEND", "DEAD", "OLDEST")
	for _, a := range s.Attention[:min(len(s.Attention), maxAttention)] {
		oldest := ""
		if a.Oldest != nil {
			oldest = s.since(*a.Oldest)
		}
		t.row(a.Gateway, a.Reason, moment(deref(a.Until)), count(a.Open), count(a.Dead), oldest)
	}
	if err := t.end(); err != nil {
		return err
	}
	if more := len(s.Attention) - maxAttention; more > 0 {
		_, err := fmt.Fprintf(out, "and %d more: postrider gateways list\n", more)
		return err
	}
	return nil
}

// since is how long before the server's now something was.
func (s shownSummary) since(stamp string) string {
	now, err := time.Parse(time.RFC3339, s.Now)
	then, err2 := time.Parse(time.RFC3339, stamp)
	if err != nil || err2 != nil {
		return "?"
	}
	switch d := max(0, now.Sub(then)); {
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m"
	case d < 48*time.Hour:
		return d.Truncate(time.Minute).String()[:len(d.Truncate(time.Minute).String())-2]
	default:
		return strconv.Itoa(int(d.Hours())/24) + "d"
	}
}

func rate(perSecond float64) string {
	if perSecond >= 10 {
		return count(int(perSecond + 0.5))
	}
	return strconv.FormatFloat(perSecond, 'f', 1, 64)
}
