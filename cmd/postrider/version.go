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
type builtFrom struct{ version, commit, date, goVersion, platform string }

// build says what this program was built from. Where the linker was not told, what Go
// has put in counts.
func build() builtFrom {
	b := builtFrom{version, commit, date, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.commit = cmp.Or(b.commit, s.Value)
			case "vcs.time":
				b.date = cmp.Or(b.date, s.Value)
			}
		}
	}
	b.commit, b.date = cmp.Or(b.commit, "unknown"), cmp.Or(b.date, "unknown")
	return b
}

// text is what people are told.
func (b builtFrom) text() string {
	return fmt.Sprintf("postrider %s\ncommit %s\ndate %s\n%s %s\n", b.version, b.commit, b.date, b.goVersion, b.platform)
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, and what the program was built from",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(c.OutOrStdout(), build().text())
			return err
		},
	}
}
