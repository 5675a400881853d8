package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postrider/postrider/data"
	httpapi "github.com/postrider/postrider/http"
)

func gatewaysCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "gateways",
		Short: "See and act on the gateways of a running server",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	group.AddCommand(
		listGatewaysCommand(),
		showGatewayCommand(),
		addGatewayCommand(),
		removeGatewayCommand(),
		pauseCommand("pause", "Begin no more attempts at a gateway, also after a restart"),
		pauseCommand("resume", "Begin attempts at a gateway again"),
		renderCommand(),
		testCommand(),
	)
	return group
}

// oneGateway takes the name of one gateway.
func oneGateway(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{fmt.Errorf("%s takes the name of one gateway", c.CommandPath())}
	}
	if !httpapi.MayName(args[0]) {
		return usageError{errors.New("the name of a gateway is 1 to 64 of a-z, 0-9, _ and -")}
	}
	return nil
}

// noGateway says of an error which gateway there is not, if that is what it means.
func noGateway(name string, err error) error {
	if r, ok := errors.AsType[refused](err); ok && r.status == http.StatusNotFound && r.says != notOurs {
		return fmt.Errorf("there is no gateway %s: %w", name, err)
	}
	return err
}

// pauseCommand is pause or resume: the name of the command is that of the route.
func pauseCommand(verb, short string) *cobra.Command {
	var v view
	c := &cobra.Command{
		Use:   verb + " NAME",
		Short: short,
		Args:  oneGateway,
		RunE: func(c *cobra.Command, args []string) error {
			var now shownGateway
			what := errand{
				method: http.MethodPost, path: gatewaysPath + "/" + args[0] + "/" + verb,
				goOn: "repeat the command: it changes nothing a second time",
			}
			return noGateway(args[0], v.show(c, what, &now, func(out io.Writer) error {
				if now.Name != args[0] {
					return errNotOurs
				}
				_, err := fmt.Fprintln(out, now.Name, map[bool]string{true: "is paused", false: "is not paused"}[now.Paused])
				return err
			}))
		},
	}
	v.flags(c)
	return c
}

const gatewaysPath = "/api/v1/gateways"

// shownGateway is a gateway as the API shows it.
type shownGateway struct {
	Name        string         `json:"name"`
	Declared    bool           `json:"declared"`
	Origin      string         `json:"origin"`
	Preset      string         `json:"preset"`
	Method      string         `json:"method"`
	URL         string         `json:"url"`
	Body        string         `json:"body"`
	Auth        string         `json:"auth"`
	Needs       []string       `json:"needs"`
	MaxAttempts int            `json:"max_attempts"`
	Interval    int64          `json:"interval_ms"`
	Timeout     int64          `json:"timeout_ms"`
	Concurrency int            `json:"concurrency"`
	Rate        float64        `json:"rate"`
	MaxQueue    int            `json:"max_queue"`
	Problem     string         `json:"problem"`
	Paused      bool           `json:"paused"`
	Hold        *shownHold     `json:"hold"`
	Counts      map[string]int `json:"counts"`
	Last        *shownAttempt  `json:"last"`
	OldestAt    *string        `json:"oldest_at"`
}

type shownHold struct {
	Reason string  `json:"reason"`
	Until  *string `json:"until"`
}

// does says in a few words what a gateway does now, or why it does nothing.
func (g shownGateway) does() string {
	switch {
	case g.Problem != "":
		return "parked"
	case g.Paused:
		return "paused"
	case g.Hold != nil && g.Hold.Until != nil:
		return "asked to wait until " + moment(*g.Hold.Until)
	case g.Hold != nil:
		return "no connection"
	case g.Counts["sending"] > 0 || g.Counts["queued"] > 0:
		return "sending"
	case g.Counts["waiting"] > 0:
		return "waiting to retry"
	}
	return "idle"
}

// dead counts what can be sent again.
func (g shownGateway) dead() (n int) {
	for _, s := range data.DeadStates() {
		n += g.Counts[s.String()]
	}
	return n
}

func listGatewaysCommand() *cobra.Command {
	var p paged
	c := &cobra.Command{
		Use:   "list",
		Short: "List the gateways with what they do and have to do",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.list(c, errand{path: gatewaysPath, query: make(url.Values)}, "gateways",
				[]string{"NAME", "DOES", "QUEUED", "SENDING", "WAITING", "DELIVERED", "DEAD", "LAST ATTEMPT"}, addGateway)
		},
	}
	p.flags(c)
	return c
}

func addGateway(t *table, entry []byte) error {
	var g shownGateway
	if err := readAnswer(entry, &g); err != nil {
		return err
	}
	last := ""
	if g.Last != nil {
		last = g.Last.why()
	}
	t.row(g.Name, g.does(), count(g.Counts["queued"]), count(g.Counts["sending"]), count(g.Counts["waiting"]),
		count(g.Counts["delivered"]), count(g.dead()), last)
	return nil
}

func showGatewayCommand() *cobra.Command {
	var v view
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Show a gateway: its declaration without secrets, and what it does",
		Args:  oneGateway,
		RunE: func(c *cobra.Command, args []string) error {
			var g shownGateway
			return noGateway(args[0], v.show(c, errand{path: gatewaysPath + "/" + args[0]}, &g, func(out io.Writer) error {
				if g.Name != args[0] {
					return errNotOurs
				}
				return g.print(out)
			}))
		},
	}
	v.flags(c)
	return c
}

func (g shownGateway) print(out io.Writer) error {
	t := newTable(out, "name", g.Name)
	t.row("does", g.does())
	rows := []struct{ name, value string }{
		{"problem", g.Problem},
		{"declared in", g.Origin},
		{"preset", g.Preset},
		{"request", strings.TrimSpace(g.Method + " " + g.URL)},
		{"body", g.Body},
		{"auth", g.Auth},
		{"needs", strings.Join(g.Needs, ", ")},
	}
	if g.Declared {
		rows = append(rows, []struct{ name, value string }{
			{"attempts", fmt.Sprintf("%d at most, %v apart, %v each", g.MaxAttempts, time.Duration(g.Interval)*time.Millisecond, time.Duration(g.Timeout)*time.Millisecond)},
			{"at once", strconv.Itoa(g.Concurrency)},
			{"rate", optional(g.Rate > 0, fmt.Sprintf("%g per second", g.Rate))},
			{"backlog", optional(g.MaxQueue > 0, count(g.MaxQueue)+" at most")},
		}...)
	}
	rows = append(rows, struct{ name, value string }{"first in line", moment(deref(g.OldestAt))})
	for _, state := range data.AllStates() {
		rows = append(rows, struct{ name, value string }{state.String(), count(g.Counts[state.String()])})
	}
	if g.Last != nil {
		rows = append(rows, struct{ name, value string }{"last attempt", g.Last.why() + ", began " + moment(g.Last.BeganAt)})
	}
	for _, r := range rows {
		if r.value != "" {
			t.row(r.name, r.value)
		}
	}
	return t.end()
}

// optional is text where it means something.
func optional(means bool, text string) string {
	if means {
		return text
	}
	return ""
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
