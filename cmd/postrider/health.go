package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout bounds the whole question: who asks does so again soon.
const healthTimeout = 5 * time.Second

// healthCommand asks a server how it is, for container images that have no shell and
// no other program that could.
func healthCommand() *cobra.Command {
	v := view{server: remote{direct: true}}
	var ready bool
	c := &cobra.Command{
		Use:   "health",
		Short: "Ask a running server whether it answers; exit code 0 when it does, else 1",
		Long: "Ask a running server whether it answers, or with --ready whether it takes what is new.\n" +
			"It is looked for where the configuration has it listen, or at --server. With TLS it has\n" +
			"to show the certificate of the configuration, or one that --ca-file vouches for.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := v.server.locate(c); err != nil {
				return err
			}
			path := "/healthz"
			if ready {
				path = "/readyz"
			}
			return v.showHealth(c, path)
		},
	}
	configFlags(c)
	c.Flags().StringVar(&v.server.address, "server", "", "address of the server; without it the configuration says where it is")
	v.server.trust.flags(c)
	answerFlag(c, &v.json)
	c.Flags().BoolVar(&ready, "ready", false, "ask whether it takes what is new, not only whether it answers")
	return c
}

// locate finds out from the configuration where a server without an address is, and
// what it shows itself with.
func (r *remote) locate(c *cobra.Command) error {
	if r.address != "" {
		return nil
	}
	cfg, err := loadConfig(c, perhaps)
	if err != nil {
		return err
	}
	if cfg.HTTP.Port == 0 {
		return usageError{errors.New("with http.port 0 only --server says where the server is")}
	}
	r.address = ownAddress(cfg.HTTP, cfg.HTTP.Port)
	if cfg.HTTP.TLS.On() {
		r.trust.own = cfg.HTTP.TLS.Certificate
	}
	return nil
}

// showHealth prints what a server says of itself when it is well.
func (v *view) showHealth(c *cobra.Command, path string) error {
	var said struct {
		Status string `json:"status"`
	}
	err := v.show(c, errand{path: path, limit: healthTimeout}, &said, func(out io.Writer) error {
		if said.Status == "" {
			return errNotOurs
		}
		_, err := fmt.Fprintln(out, printable(said.Status))
		return err
	})
	if no, ok := errors.AsType[refused](err); ok {
		return fmt.Errorf("the server answers with %d: %s", no.status, no.says)
	}
	return err
}
