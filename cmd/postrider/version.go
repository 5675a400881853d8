package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// What the linker sets: see LDFLAGS in the Makefile.
var (
	version = "dev"
	commit  string // the whole hash
	date    string // of the commit, RFC 3339, so that a build can be repeated
)

// builtFrom is what a program was built from.
type builtFrom struct {
	Version   string `json:"version"`
	Commit    string `json:"commit"`
	Date      string `json:"date"`
	GoVersion string `json:"go_version"`
	Platform  string `json:"platform"`
}

// build says what this program was built from. Where the linker was not told, what Go
// has put in counts.
func build() builtFrom {
	b := builtFrom{version, commit, date, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = cmp.Or(b.Commit, s.Value)
			case "vcs.time":
				b.Date = cmp.Or(b.Date, s.Value)
			}
		}
	}
	b.Commit, b.Date = cmp.Or(b.Commit, "unknown"), cmp.Or(b.Date, "unknown")
	return b
}

// text is what people are told.
func (b builtFrom) text() string {
	return fmt.Sprintf("postrider %s\ncommit %s\ndate %s\n%s %s\n", b.Version, b.Commit, b.Date, b.GoVersion, b.Platform)
}

func versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version, and what the program was built from",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if asJSON {
				return printAsJSON(c.OutOrStdout(), build())
			}
			_, err := fmt.Fprint(c.OutOrStdout(), build().text())
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return c
}
