package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
)

func reloadCommand() *cobra.Command {
	var v view
	c := &cobra.Command{
		Use:   "reload",
		Short: "Have a running server read its configuration again",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			var r shownReload
			what := errand{method: http.MethodPost, path: "/api/v1/reload", goOn: "see status, or repeat the command"}
			return v.show(c, what, &r, func(out io.Writer) error { return r.print(out) })
		},
	}
	v.flags(c)
	return c
}

// shownReload is what came of a reload, as the API shows it.
type shownReload struct {
	Added        *int     `json:"added"`
	Changed      int      `json:"changed"`
	Removed      int      `json:"removed"`
	NeedsRestart []string `json:"needs_restart"`
}

func (r shownReload) print(out io.Writer) error {
	if r.Added == nil {
		return errNotOurs
	}
	text := fmt.Sprintf("the configuration is reloaded: %d gateways added, %d changed, %d removed", *r.Added, r.Changed, r.Removed)
	if len(r.NeedsRestart) > 0 {
		text += "; a restart is needed for " + strings.Join(r.NeedsRestart, ", ")
	}
	_, err := fmt.Fprintln(out, legible(text))
	return err
}
