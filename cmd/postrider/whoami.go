package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"
)

func whoamiCommand() *cobra.Command {
	var v view
	c := &cobra.Command{
		Use:   "whoami",
		Short: "Show what the API key may do",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			var who shownCaller
			return v.show(c, errand{path: "/api/v1/whoami"}, &who, func(out io.Writer) error { return who.print(out) })
		},
	}
	v.flags(c)
	return c
}

// shownCaller is what a key may do, as the API shows it.
type shownCaller struct {
	Name     string   `json:"name"`
	Scopes   []string `json:"scopes"`
	Gateways []string `json:"gateways"`
}

func (w shownCaller) print(out io.Writer) error {
	if w.Scopes == nil {
		return errNotOurs
	}
	t := newTable(out, "key", w.Name)
	t.row("may", strings.Join(w.Scopes, ", "))
	if w.Gateways != nil {
		t.row("only for", strings.Join(w.Gateways, ", "))
	}
	return t.end()
}
