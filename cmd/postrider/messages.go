package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postrider/postrider/data"
)

func messagesCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "messages",
		Short: "See and act on the messages of a running server",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	group.AddCommand(listMessagesCommand(), showMessageCommand(), cancelCommand(), resendCommand())
	return group
}

const messagesPath = "/api/v1/messages"

// shownMessage is a message as the API shows it.
type shownMessage struct {
	ID         string            `json:"id"`
	Gateway    string            `json:"gateway"`
	Text       *string           `json:"message"` // nil when the key may not see it
	To         string            `json:"to"`
	Title      string            `json:"title"`
	Params     map[string]string `json:"params"`
	State      string            `json:"state"`
	AcceptedAt string            `json:"accepted_at"`
	ExpiresAt  string            `json:"expires_at"`
	DueAt      string            `json:"due_at"`
	Event      string            `json:"event"`
	ResendOf   string            `json:"resend_of"`
	ResentAs   string            `json:"resent_as"`
	Attempts   []shownAttempt    `json:"attempts"`
}

type shownAttempt struct {
	Number   int    `json:"number"`
	BeganAt  string `json:"began_at"`
	Duration int64  `json:"duration_ms"`
	Outcome  string `json:"outcome"`
	Status   int    `json:"status"`
	Cause    string `json:"cause"`
	Hint     int64  `json:"hint_ms"`
	Answer   string `json:"answer"`
}

// why says in a word or two what an attempt came to.
func (a shownAttempt) why() string {
	parts := []string{a.Outcome}
	if a.Status != 0 {
		parts = append(parts, strconv.Itoa(a.Status))
	}
	if a.Cause != "" && a.Cause != string(data.CauseStatus) {
		parts = append(parts, a.Cause)
	}
	return strings.Join(parts, " ")
}

func listMessagesCommand() *cobra.Command {
	var p paged
	var gateway, state, cause, since, until string
	c := &cobra.Command{
		Use:   "list",
		Short: "List messages",
		Long: `List messages, in the order of their acceptance, or with a gateway or a state in the
order of each state's queue.`,
		Example: `  postrider messages list --state dead --since 24h
  postrider messages list --gateway sms --state waiting`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			query := make(url.Values)
			for name, value := range map[string]string{"gateway": gateway, "state": state, "cause": cause} {
				if value != "" {
					query.Set(name, value)
				}
			}
			for name, given := range map[string]string{"since": since, "until": until} {
				if err := setTime(query, name, given); err != nil {
					return err
				}
			}
			return p.list(c, errand{path: messagesPath, query: query}, "messages",
				[]string{"ID", "GATEWAY", "STATE", "ACCEPTED", "ATTEMPTS", "LAST", "MESSAGE"}, addMessage)
		},
	}
	c.Flags().StringVarP(&gateway, "gateway", "g", "", "only those for this gateway")
	c.Flags().StringVar(&state, "state", "", "only those in this state, such as waiting or failed; dead for all that can be sent again")
	c.Flags().StringVar(&cause, "cause", "", "only those whose last attempt had this cause, such as refused or timeout")
	c.Flags().StringVar(&since, "since", "", "only those accepted since then: a time such as 2026-01-31T12:00:00Z, or how long ago, such as 2h")
	c.Flags().StringVar(&until, "until", "", "only those accepted before then")
	p.flags(c)
	return c
}

// setTime puts a time that a person gave into a query.
func setTime(query url.Values, name, given string) error {
	if given == "" {
		return nil
	}
	if ago, err := time.ParseDuration(given); err == nil && ago >= 0 {
		query.Set(name, time.Now().Add(-ago).UTC().Format(time.RFC3339))
		return nil
	}
	if _, err := time.Parse(time.RFC3339, given); err != nil {
		return usageError{fmt.Errorf("--%s needs a time such as 2026-01-31T12:00:00Z, or how long ago, such as 2h", name)}
	}
	query.Set(name, given)
	return nil
}

func addMessage(t *table, entry []byte) error {
	var m shownMessage
	if err := readAnswer(entry, &m); err != nil {
		return err
	}
	last := ""
	if n := len(m.Attempts); n > 0 {
		last = m.Attempts[n-1].why()
	}
	t.row(m.ID, m.Gateway, m.State, moment(m.AcceptedAt), strconv.Itoa(len(m.Attempts)), last, clip(shownText(m.Text)))
	return nil
}

// shownText is a text, or says that the key may not see it.
func shownText(text *string) string {
	if text == nil {
		return "(hidden)"
	}
	return *text
}

func showMessageCommand() *cobra.Command {
	var v view
	c := &cobra.Command{
		Use:   "show ID",
		Short: "Show a message with all of its attempts",
		Args:  oneID("messages show", "message"),
		RunE: func(c *cobra.Command, args []string) error {
			var m shownMessage
			return v.show(c, errand{path: messagesPath + "/" + args[0]}, &m, func(out io.Writer) error { return m.print(out) })
		},
	}
	v.flags(c)
	return c
}

// oneID takes the id of one event or message, as it is in a path.
func oneID(command, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError{fmt.Errorf("%s takes the id of one %s", command, what)}
		}
		id, err := data.ParseID(args[0])
		if err != nil {
			return usageError{fmt.Errorf("what is given is not the id of a %s", what)}
		}
		args[0] = id.String()
		return nil
	}
}

func (m shownMessage) print(out io.Writer) error {
	if m.ID == "" {
		return errNotOurs
	}
	about := newTable(out, "id", m.ID)
	about.row("gateway", m.Gateway)
	about.row("state", m.State)
	about.row("accepted", moment(m.AcceptedAt))
	for _, line := range []struct{ name, value string }{
		{"due", moment(m.DueAt)},
		{"expires", moment(m.ExpiresAt)},
		{"of event", m.Event},
		{"resend of", m.ResendOf},
		{"sent again as", m.ResentAs},
		{"to", m.To},
		{"title", m.Title},
	} {
		if line.value != "" {
			about.row(line.name, line.value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Params)) {
		about.row("param "+name, m.Params[name])
	}
	about.row("message", shownText(m.Text))
	if err := about.end(); err != nil || len(m.Attempts) == 0 {
		return err
	}
	if _, err := fmt.Fprintln(out); err != nil {
		return err
	}
	attempts := newTable(out, "ATTEMPT", "BEGAN", "TOOK", "CAME TO", "ASKED TO WAIT", "ANSWER")
	for _, a := range m.Attempts {
		took, hint := "", ""
		if a.Outcome != "running" {
			took = (time.Duration(a.Duration) * time.Millisecond).String()
		}
		if a.Hint > 0 {
			hint = (time.Duration(a.Hint) * time.Millisecond).String()
		}
		attempts.row(strconv.Itoa(a.Number), moment(a.BeganAt), took, a.why(), hint, a.Answer)
	}
	return attempts.end()
}

func cancelCommand() *cobra.Command {
	var v view
	c := &cobra.Command{
		Use:   "cancel ID",
		Short: "Take a message back that is not being sent and has not ended",
		Args:  oneID("messages cancel", "message"),
		RunE: func(c *cobra.Command, args []string) error {
			var m shownMessage
			what := errand{method: http.MethodPost, path: messagesPath + "/" + args[0] + "/cancel", goOn: "see messages show, or repeat the command"}
			return v.show(c, what, &m, func(out io.Writer) error {
				if m.State != data.Cancelled.String() {
					return errNotOurs
				}
				_, err := fmt.Fprintln(out, args[0], "is cancelled")
				return err
			})
		},
	}
	v.flags(c)
	return c
}
