package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/postrider/postrider/http/dialect"
)

func presetsCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "presets",
		Short: "Show the dialects that gateways can start from",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	group.AddCommand(listPresetsCommand(), showPresetCommand())
	return group
}

func listPresetsCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the presets",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if asJSON {
				return listPresetsAsJSON(c.OutOrStdout())
			}
			return listPresets(c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print them as JSON, with their settings and sources")
	return c
}

func showPresetCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Print a preset as it would stand in the configuration",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("%s takes the name of one preset", c.CommandPath())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			p, ok := dialect.LookupPreset(args[0])
			if !ok {
				return usageError{errors.New("there is no such preset; postrider presets list shows them")}
			}
			if asJSON {
				return printAsJSON(c.OutOrStdout(), shownPreset{newPresetAnswer(p), p.Tree})
			}
			_, err := io.WriteString(c.OutOrStdout(), p.Text)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print it as JSON, with its settings, sources and declaration")
	return c
}

func listPresets(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, name := range dialect.Presets() {
		p, _ := dialect.LookupPreset(name)
		_, _ = fmt.Fprintf(table, "%s\t%s\n", p.Name, p.Description) // an error comes back from Flush
	}
	return table.Flush()
}

// presetAnswer is a preset as --json shows it.
type presetAnswer struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Settings    []settingAnswer `json:"settings"`
	Needs       []any           `json:"needs"` // fields of messages
	Source      []string        `json:"source"`
}

// shownPreset is one preset as --json shows it.
type shownPreset struct {
	presetAnswer `json:",inline"`
	Declaration  map[string]any `json:"declaration"` // as a gateway would write it
}

type settingAnswer struct {
	Name     string `json:"name"`
	About    string `json:"about"`
	Secret   bool   `json:"secret"`
	Optional bool   `json:"optional"`
	Default  string `json:"default"`
}

func listPresetsAsJSON(w io.Writer) error {
	all := []presetAnswer{}
	for _, name := range dialect.Presets() {
		p, _ := dialect.LookupPreset(name)
		all = append(all, newPresetAnswer(p))
	}
	return printAsJSON(w, all)
}

func newPresetAnswer(p dialect.Preset) presetAnswer {
	a := presetAnswer{Name: p.Name, Description: p.Description, Source: p.Source}
	a.Needs, _ = p.Tree["needs"].([]any)
	for _, s := range p.Settings {
		a.Settings = append(a.Settings, settingAnswer(s))
	}
	return a
}
