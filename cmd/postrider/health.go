package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/egress"
)

// healthTimeout bounds the whole question: who asks does so again soon.
const healthTimeout = 5 * time.Second

// healthCommand asks a server how it is, for container images that have no shell and
// no other program that could.
func healthCommand() *cobra.Command {
	var server string
	var ready bool
	c := &cobra.Command{
		Use:   "health",
		Short: "Ask a running server whether it answers; exit code 0 when it does, else 1",
		Long: "Ask a running server whether it answers, or with --ready whether it takes what is new.\n" +
			"It is looked for where the configuration has it listen, or at --server.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			address, err := healthAddress(c, server)
			if err != nil {
				return err
			}
			path := "/healthz"
			if ready {
				path = "/readyz"
			}
			says, err := askHealth(c.Context(), address+path)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), says)
			return err
		},
	}
	configFlags(c)
	c.Flags().StringVar(&server, "server", "", "address of the server; without it the configuration says where it is")
	c.Flags().BoolVar(&ready, "ready", false, "ask whether it takes what is new, not only whether it answers")
	return c
}

func healthAddress(c *cobra.Command, server string) (string, error) {
	if server != "" {
		return serverAddress(server)
	}
	cfg, err := loadConfig(c, perhaps)
	if err != nil {
		return "", err
	}
	if cfg.HTTP.Port == 0 {
		return "", usageError{errors.New("with http.port 0 only --server says where the server is")}
	}
	return ownAddress(cfg.HTTP, cfg.HTTP.Port), nil
}

// askHealth returns what a server says of itself when it is well.
func askHealth(ctx context.Context, address string) (string, error) {
	client := egress.New(egress.Options{Version: version})
	defer client.Close()
	a, cause := client.Do(ctx, dialect.Request{Method: http.MethodGet, URL: address}, healthTimeout)
	switch {
	case cause == data.CauseRendering:
		return "", usageError{errUnsendable}
	case cause != data.CauseNone:
		return "", fmt.Errorf("the server does not answer (%s)", cause)
	}
	var said struct {
		Status  string   `json:"status"`
		Reasons []string `json:"reasons"`
	}
	if err := json.Unmarshal(a.Body, &said); err != nil && a.Status == http.StatusOK {
		return "", errNotOurs
	}
	if a.Status != http.StatusOK {
		return "", fmt.Errorf("the server answers with %d: %s", a.Status, printable(strings.Join(said.Reasons, "; ")))
	}
	if said.Status == "" {
		return "", errNotOurs
	}
	return printable(said.Status), nil
}
