package main

import (
	"bytes"
	"io"
	stdlog "log"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"github.com/postrider/postrider/config"
)

// newLogger returns the process's log: lines for people on a terminal, JSON
// everywhere else.
func newLogger(cfg config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Level)) // checked when the configuration was loaded
	if terminal(w) {
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: time.StampMilli}))
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: readable}))
}

// hearEngine has the last words of the storage engine in the log. When it finds in
// the middle of its work what cannot be, it writes two words past every logger that
// it was given, and ends the process with code 1.
func hearEngine(log *slog.Logger) {
	stdlog.SetFlags(0)
	stdlog.SetOutput(lastWords{log})
}

type lastWords struct{ log *slog.Logger }

func (w lastWords) Write(p []byte) (int, error) {
	w.log.Error("storage failed: the engine ends the process, what it reads may be damaged, the next start looks", "err", string(bytes.TrimSpace(p)))
	return len(p), nil
}

// terminal reports whether a person sits at the other end of a stream.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// readable writes durations as people read them instead of as nanoseconds.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
