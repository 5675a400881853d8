package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	httpapi "github.com/postrider/postrider/http"
)

func gatewaysCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "gateways",
		Short: "Act on the gateways of a running server",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	group.AddCommand(
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
	if r, ok := errors.AsType[refused](err); ok && r.status == http.StatusNotFound {
		return fmt.Errorf("there is no gateway %s: %w", name, err)
	}
	return err
}

// pauseCommand is pause or resume: the name of the command is that of the route.
func pauseCommand(verb, short string) *cobra.Command {
	var to remote
	c := &cobra.Command{
		Use:   verb + " NAME",
		Short: short,
		Args:  oneGateway,
		RunE: func(c *cobra.Command, args []string) error {
			p, err := to.poster("/api/v1/gateways/" + args[0] + "/" + verb)
			if err != nil {
				return err
			}
			answer, err := p.call(c.Context(), nil, "repeat the command: it changes nothing a second time")
			if err != nil {
				return noGateway(args[0], err)
			}
			var now struct {
				Name   string `json:"name"`
				Paused bool   `json:"paused"`
			}
			if err := json.Unmarshal(answer, &now); err != nil || now.Name != args[0] {
				return errNotOurs
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), now.Name, map[bool]string{true: "is paused", false: "is not paused"}[now.Paused])
			return err
		},
	}
	to.flags(c)
	return c
}
