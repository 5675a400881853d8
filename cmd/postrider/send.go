package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
)

func sendCommand() *cobra.Command {
	var in submission
	var idempotency string
	var params []string
	var v view
	c := &cobra.Command{
		Use:   "send -g GATEWAY TEXT",
		Short: "Hand a message to a running server",
		Example: `  postrider send -g gateway_1 "hello"
  postrider send -g sms --to +15550100 --param order=17 --expires-in 10m "your code is 123"
  postrider send -g gateway_1 --server https://post.example.com --key-file key.txt "hello"`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("send takes one text; quote it if it has spaces")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if in.Gateway == "" {
				return usageError{errors.New("send needs a gateway: -g NAME")}
			}
			in.Message = args[0]
			if err := in.take(params); err != nil {
				return err
			}
			return send(c, &v, in, idempotency)
		},
	}
	c.Flags().StringVarP(&in.Gateway, "gateway", "g", "", "name of the gateway")
	in.flags(c, &params)
	c.Flags().StringVar(&in.ExpiresIn, "expires-in", "", "how long the message is wanted, such as 10m; then it is not sent any more")
	v.flags(c)
	c.Flags().StringVar(&idempotency, "idempotency-key", "", "makes it safe to repeat the command")
	return c
}

// submission is what the command sends.
type submission struct {
	Message   string            `json:"message"`
	Gateway   string            `json:"gateway,omitzero"` // "" where the path has it
	To        string            `json:"to,omitzero"`
	Title     string            `json:"title,omitzero"`
	Params    map[string]string `json:"params,omitempty"`
	ExpiresIn string            `json:"expires_in,omitzero"`
}

// flags are those of the fields that a gateway may need beside the text.
func (s *submission) flags(c *cobra.Command, params *[]string) {
	c.Flags().StringVar(&s.To, "to", "", "whom the gateway is to reach, where it needs that")
	c.Flags().StringVar(&s.Title, "title", "", "title of the message")
	c.Flags().StringArrayVar(params, "param", nil, "a parameter for the gateway, name=value; may be given several times")
}

// take reads parameters, each as name=value.
func (s *submission) take(params []string) error {
	for _, text := range params {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return usageError{errors.New("--param needs name=value")}
		}
		if _, twice := s.Params[name]; twice {
			return usageError{errors.New("--param is given twice with the same name")}
		}
		if s.Params == nil {
			s.Params = make(map[string]string)
		}
		s.Params[name] = value
	}
	return nil
}

func send(c *cobra.Command, v *view, in submission, idempotency string) error {
	// Repeated with the same idempotency key it must be the same to the byte.
	body, err := json.Marshal(in, json.Deterministic(true))
	if err != nil {
		return usageError{errors.New("the text, or another field, is not UTF-8")}
	}
	header := make(http.Header)
	if idempotency != "" {
		header.Set("Idempotency-Key", idempotency)
	}
	what := errand{
		method: http.MethodPost, path: "/send_message", body: body, header: header,
		goOn: "with --idempotency-key the command can be repeated",
	}
	var given jsontext.Value
	return v.show(c, what, &given, func(out io.Writer) error { return printID(out, given) })
}

// printID prints the id that a message was given.
func printID(out io.Writer, answer []byte) error {
	line := summary(answer)
	if line == notOurs {
		return errNotOurs
	}
	_, err := fmt.Fprintln(out, line)
	return err
}
