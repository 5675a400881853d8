package main

import (
	"net/url"

	"github.com/spf13/cobra"
)

func eventsCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "events",
		Short: "See the events of a running server",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	group.AddCommand(listEventsCommand(), tailCommand())
	return group
}

// shownEvent is an event as the API shows it.
type shownEvent struct {
	ID         string  `json:"id"`
	Type       string  `json:"event_type"`
	Payload    *string `json:"event_payload"` // nil when the key may not see it
	ReceivedAt string  `json:"received_at"`
}

func listEventsCommand() *cobra.Command {
	var p paged
	var kind string
	c := &cobra.Command{
		Use:     "list",
		Short:   "List events, the oldest first",
		Example: `  postrider events list --type user_joined --limit 10`,
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			query := make(url.Values)
			if kind != "" {
				query.Set("event_type", kind)
			}
			return p.list(c, errand{path: "/api/v1/events", query: query}, "events",
				[]string{"ID", "RECEIVED", "TYPE", "PAYLOAD"}, addEvent)
		},
	}
	c.Flags().StringVar(&kind, "type", "", "only those of this type")
	p.flags(c)
	return c
}

func addEvent(t *table, entry []byte) error {
	var e shownEvent
	if err := readAnswer(entry, &e); err != nil {
		return err
	}
	t.row(e.ID, moment(e.ReceivedAt), clip(e.Type), clip(shownText(e.Payload)))
	return nil
}
