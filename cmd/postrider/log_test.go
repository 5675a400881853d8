package main

import (
	stdlog "log"
	"os"
	"strings"
	"testing"

	"github.com/postrider/postrider/config"
)

// What the storage engine says past every logger of ours is in the log too, with
// what to do about it.
func TestLastWordsAreLogged(t *testing.T) {
	var out strings.Builder
	hearEngine(newLogger(config.Log{Level: "error"}, &out))
	defer stdlog.SetOutput(os.Stderr)
	stdlog.Print("Assert failed\n")
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"level":"ERROR"`) ||
		!strings.Contains(got, "storage failed") || !strings.Contains(got, `"err":"Assert failed"`) {
		t.Errorf("the log is %q", got)
	}
}
