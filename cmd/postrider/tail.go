package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	// tailSilence is how long a server may say nothing: it says that it is there every
	// fifteen seconds.
	tailSilence = 45 * time.Second
	// tailRest is how long the command waits before it asks again.
	tailRest = time.Second
	// maxTailLine bounds a line, which has an event as JSON; escapes make up to six bytes
	// of each of the body that it came in.
	maxTailLine = 8 << 20
)

func tailCommand() *cobra.Command {
	t := tailer{rest: tailRest, silence: tailSilence}
	c := &cobra.Command{
		Use:   "tail",
		Short: "Show events as they come",
		Long: `Show events as they come, until the command is stopped. When the connection ends it
asks again and goes on where it was, also when none was shown yet, so nothing is left
out.`,
		Example: `  postrider events tail --type user_joined
  postrider events tail --json | jq .event_payload`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return t.run(c) },
	}
	c.Flags().StringVar(&t.kind, "type", "", "only those of this type")
	c.Flags().StringVar(&t.after, "after", "", "begin behind this event; without it, with what comes from now on")
	t.flags(c)
	return c
}

// tailer is one run of the command.
type tailer struct {
	view

	kind, after   string
	rest, silence time.Duration
}

// errBroken: the connection ended, and it makes sense to ask again.
var errBroken = errors.New("the connection ended")

func (t *tailer) run(c *cobra.Command) error {
	for asked := false; ; asked = true {
		err := t.follow(c.Context(), c.OutOrStdout())
		switch {
		case c.Context().Err() != nil:
			return nil
		case !errors.Is(err, errBroken) && (!asked || !passing(err)):
			return err
		}
		if _, err := fmt.Fprintf(c.ErrOrStderr(), "%v; asking again\n", err); err != nil {
			return err
		}
		select {
		case <-c.Context().Done():
			return nil
		case <-time.After(t.rest):
		}
	}
}

// passing reports whether an error of a server that did answer before may go away.
func passing(err error) bool {
	if r, ok := errors.AsType[refused](err); ok {
		return r.status >= http.StatusInternalServerError || r.status == http.StatusTooManyRequests
	}
	_, usage := errors.AsType[usageError](err)
	return !usage && !errors.Is(err, errNotOurs)
}

// follow shows what comes on one connection.
func (t *tailer) follow(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(t.silence, func() { cancel(errIdle) })
	defer silence.Stop()
	what := errand{path: "/api/v1/events/tail", kind: "text/event-stream", query: make(url.Values)}
	if t.kind != "" {
		what.query.Set("event_type", t.kind)
	}
	if t.after != "" {
		what.query.Set("after", t.after)
	}
	body, err := t.server.stream(ctx, what)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxTailLine)
	for id, event := "", ""; lines.Scan(); {
		silence.Reset(t.silence)
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case name == "id":
			id = value
		case name == "data":
			event = value
		case name == "" && value == "":
			// What was cut off has no empty line behind it. An id may come without an event:
			// it is where to go on all the same.
			if event != "" {
				if err := t.print(out, []byte(event)); err != nil {
					return err
				}
			}
			t.after, event = cmp.Or(id, t.after), ""
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return errNotOurs
	}
	return errBroken
}

func (t *tailer) print(out io.Writer, event []byte) error {
	if t.json {
		return printJSON(out, event)
	}
	var e shownEvent
	if err := readAnswer(event, &e); err != nil {
		return err
	}
	line := strings.ReplaceAll(fmt.Sprintf("%s  %s  %s  %s", moment(e.ReceivedAt), e.ID, e.Type, shownText(e.Payload)), "\n", `\n`)
	_, err := fmt.Fprintln(out, legible(line))
	return err
}
