package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/ui"
)

// try is one run of a command that tries a gateway with a message.
type try struct {
	server remote
	in     submission
	params []string
	json   bool
}

func renderCommand() *cobra.Command {
	var t try
	return t.command(&cobra.Command{
		Use:   "render NAME --message TEXT",
		Short: "Show what a gateway would be sent for a message, secrets masked",
		Long: `Show the requests that a first attempt at the message would be, with *** for
secrets: one, or one for each part that the gateway takes the message in. Nothing
is sent and nothing is stored. Host, User-Agent and Content-Length, which every
request has, are left out.`,
		Example: `  postrider gateways render sms --to +15550100 --message "your code is 123"`,
		RunE: func(c *cobra.Command, args []string) error {
			answer, err := t.ask(c, args[0], "render", 0, "repeat the command: it changes nothing")
			if err != nil {
				return err
			}
			return t.showRequests(c.OutOrStdout(), answer)
		},
	})
}

func testCommand() *cobra.Command {
	var t try
	return t.command(&cobra.Command{
		Use:   "test NAME --message TEXT",
		Short: "Send a message to a gateway once, without storing it",
		Long: `Send the message to the gateway now and once, also when the gateway is paused or
held, and say what came of it: one line for each part that it takes the message in.
Nothing is stored, and nothing is tried again. The exit code is 0 when all of it
was delivered.`,
		Example: `  postrider gateways test sms --to +15550100 --message "a test"`,
		RunE: func(c *cobra.Command, args []string) error {
			// A little more than the server may take for it.
			answer, err := t.ask(c, args[0], "test", testLimit+callTimeout/2, "the gateway may have the message")
			if err != nil {
				return err
			}
			return t.showResults(c.OutOrStdout(), args[0], answer)
		},
	})
}

// command adds what both commands have in common.
func (t *try) command(c *cobra.Command) *cobra.Command {
	c.Args = oneGateway
	c.Flags().StringVarP(&t.in.Message, "message", "m", "", "text of the message")
	t.in.flags(c, &t.params)
	answerFlag(c, &t.json)
	t.server.flags(c)
	return c
}

// ask has the server do it and returns its answer.
func (t *try) ask(c *cobra.Command, gateway, verb string, limit time.Duration, goOn string) ([]byte, error) {
	if !c.Flags().Changed("message") {
		return nil, usageError{fmt.Errorf("%s needs a text: --message TEXT", c.CommandPath())}
	}
	if err := t.in.take(t.params); err != nil {
		return nil, err
	}
	body, err := json.Marshal(t.in, json.Deterministic(true))
	if err != nil {
		return nil, usageError{errors.New("the text, or another field, is not UTF-8")}
	}
	answer, err := t.server.call(c.Context(), errand{
		method: http.MethodPost, path: "/api/v1/gateways/" + gateway + "/" + verb, body: body, limit: limit, goOn: goOn,
	})
	if err != nil {
		return nil, noGateway(gateway, err)
	}
	return answer, nil
}

// readAnswer reads an answer into v.
func readAnswer(answer []byte, v any) error {
	if err := json.Unmarshal(answer, v); err != nil {
		return errNotOurs
	}
	return nil
}

// printJSON prints an answer in one line.
func printJSON(out io.Writer, answer []byte) error {
	line := jsontext.Value(answer)
	if err := line.Compact(); err != nil {
		return errNotOurs
	}
	_, err := fmt.Fprintln(out, string(line))
	return err
}

// printAsJSON prints in one line what is no answer of a server. What is not UTF-8, as the
// name of a file need not be, is replaced.
func printAsJSON(out io.Writer, v any) error {
	line, err := json.Marshal(v, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, string(line))
	return err
}

func (t *try) showRequests(out io.Writer, answer []byte) error {
	var a struct {
		Requests []struct {
			Method  string `json:"method"`
			URL     string `json:"url"`
			Headers []struct {
				Name  string `json:"name"`
				Value string `json:"value"`
			} `json:"headers"`
			Body     string `json:"body"`
			Replaced bool   `json:"body_replaced"`
		} `json:"requests"`
	}
	if err := readAnswer(answer, &a); err != nil {
		return err
	}
	switch {
	case len(a.Requests) == 0:
		return errNotOurs
	case t.json:
		return printJSON(out, answer)
	}
	var text strings.Builder
	for i, r := range a.Requests {
		if len(a.Requests) > 1 {
			if i > 0 {
				text.WriteString("\n")
			}
			fmt.Fprintf(&text, "# request %d of %d\n", i+1, len(a.Requests))
		}
		fmt.Fprintf(&text, "%s %s HTTP/1.1\n", r.Method, r.URL)
		for _, h := range r.Headers {
			fmt.Fprintf(&text, "%s: %s\n", h.Name, h.Value)
		}
		if r.Body != "" {
			fmt.Fprintf(&text, "\n%s\n", r.Body)
		}
		if r.Replaced {
			text.WriteString("# the body is not UTF-8; \uFFFD stands for what is not\n")
		}
	}
	_, err := io.WriteString(out, legible(text.String()))
	return err
}

func (t *try) showResults(out io.Writer, gateway string, answer []byte) error {
	var a struct {
		Results []struct {
			Outcome string `json:"outcome"`
			Cause   string `json:"cause"`
			Status  int    `json:"status"`
			Hint    int64  `json:"hint_ms"`
			Took    int64  `json:"took_ms"`
			Answer  string `json:"answer"`
		} `json:"results"`
		Unsent int `json:"unsent"`
	}
	if err := readAnswer(answer, &a); err != nil {
		return err
	}
	if len(a.Results) == 0 {
		return errNotOurs
	}
	delivered := a.Unsent == 0
	var text strings.Builder
	for _, r := range a.Results {
		delivered = delivered && r.Outcome == data.OutcomeDelivered.String()
		text.WriteString(r.Outcome)
		if r.Cause != "" {
			text.WriteString(", cause " + r.Cause)
		}
		if r.Status != 0 {
			text.WriteString(", status " + strconv.Itoa(r.Status))
		}
		fmt.Fprintf(&text, ", took %v", time.Duration(r.Took)*time.Millisecond)
		if r.Hint > 0 {
			fmt.Fprintf(&text, ", asks to wait %v", time.Duration(r.Hint)*time.Millisecond)
		}
		if r.Answer != "" {
			text.WriteString(", answer " + strconv.Quote(r.Answer))
		}
		text.WriteString("\n")
	}
	if a.Unsent > 0 {
		fmt.Fprintf(&text, "%d more are not sent\n", a.Unsent)
	}
	var err error
	if t.json {
		err = printJSON(out, answer)
	} else {
		_, err = io.WriteString(out, legible(text.String()))
	}
	if err != nil {
		return err
	}
	if !delivered {
		return fmt.Errorf("gateway %s did not take the message", gateway)
	}
	return nil
}

// legible makes visible what a terminal would obey, or hide, by the rule of the dashboard.
func legible(text string) string {
	var shown strings.Builder
	for _, r := range text {
		if ui.Visible(r) {
			shown.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		shown.WriteString(quoted[1 : len(quoted)-1])
	}
	return shown.String()
}
