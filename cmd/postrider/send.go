package main

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"github.com/postrider/postrider/http/dialect"
)

func sendCommand() *cobra.Command {
	var gateway, idempotency string
	var to remote
	c := &cobra.Command{
		Use:   "send -g GATEWAY TEXT",
		Short: "Hand a message to a running server",
		Example: `  postrider send -g gateway_1 "hello"
  postrider send -g gateway_1 --server https://post.example.com --key-file key.txt "hello"`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("send takes one text; quote it if it has spaces")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if gateway == "" {
				return usageError{errors.New("send needs a gateway: -g NAME")}
			}
			p, err := to.poster("/send_message")
			if err != nil {
				return err
			}
			return send(c, p, gateway, args[0], idempotency)
		},
	}
	c.Flags().StringVarP(&gateway, "gateway", "g", "", "name of the gateway")
	to.flags(c)
	c.Flags().StringVar(&idempotency, "idempotency-key", "", "makes it safe to repeat the command")
	return c
}

func send(c *cobra.Command, p *poster, gateway, text, idempotency string) error {
	// Repeated with the same idempotency key it must be the same to the byte.
	body, err := json.Marshal(struct {
		Message string `json:"message"`
		Gateway string `json:"gateway"`
	}{text, gateway})
	if err != nil {
		return usageError{errors.New("the text is not UTF-8")}
	}
	var headers []dialect.HeaderField
	if idempotency != "" {
		headers = []dialect.HeaderField{{Name: "Idempotency-Key", Value: idempotency}}
	}
	answer, err := p.call(c.Context(), body, "with --idempotency-key the command can be repeated", headers...)
	if err != nil {
		return err
	}
	return printID(c, answer)
}

// printID prints the id that a message was given.
func printID(c *cobra.Command, answer []byte) error {
	line := summary(answer)
	if line == notOurs {
		return errNotOurs
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), line)
	return err
}
