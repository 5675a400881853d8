package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/http/dialect"
)

// sendTimeout bounds the send command.
const sendTimeout = 30 * time.Second

func sendCommand() *cobra.Command {
	var gateway, server, keyFile, idempotency string
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
			key, err := readKey(keyFile)
			if err != nil {
				return err
			}
			p := newPoster(strings.TrimSuffix(server, "/")+"/send_message", key)
			return send(c, p, gateway, args[0], idempotency)
		},
	}
	standard := config.Default().HTTP
	c.Flags().StringVarP(&gateway, "gateway", "g", "", "name of the gateway")
	c.Flags().StringVar(&server, "server", ownAddress(standard.Host, standard.Port), "address of the server")
	c.Flags().StringVar(&keyFile, "key-file", "", "file that holds the API key; without it POSTRIDER_KEY is used")
	c.Flags().StringVar(&idempotency, "idempotency-key", "", "makes it safe to repeat the command")
	return c
}

func readKey(file string) (string, error) {
	if file == "" {
		return os.Getenv("POSTRIDER_KEY"), nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", usageError{fmt.Errorf("read the API key: %w", err)}
	}
	return string(bytes.TrimSpace(b)), nil
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
	ctx, cancel := context.WithTimeout(c.Context(), sendTimeout)
	defer cancel()
	status, answer, err := p.post(ctx, body, headers...)
	switch {
	case errors.Is(err, errUnsendable):
		return usageError{err}
	case errors.Is(err, errUnreached):
		return fmt.Errorf("%w; is it running?", err)
	case err != nil:
		return fmt.Errorf("%w; with --idempotency-key the command can be repeated", err)
	case status/100 != 2:
		return fmt.Errorf("the server refused the message with %d: %s", status, summary(answer))
	}
	line := summary(answer)
	if line == notOurs {
		return errors.New("what answered is not Postrider: the message is not accepted")
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), line)
	return err
}
