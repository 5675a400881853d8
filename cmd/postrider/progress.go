package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/postrider/postrider/data/badger"
)

// progress is a line that tells a person at a terminal how far a command is.
type progress struct {
	out   io.Writer
	done  string // what is done to the records, such as "restored"
	shown bool   // to a person
	last  time.Time
}

// progressPause is how often the line is written at most.
const progressPause = 200 * time.Millisecond

func newProgress(out io.Writer, done string) *progress {
	return &progress{out: out, done: done, shown: terminal(out)}
}

// show writes the line anew. total is how many bytes there will be, about; 0 when nobody
// knows.
func (p *progress) show(b badger.Backup, total int64) {
	now := time.Now()
	if !p.shown || now.Sub(p.last) < progressPause {
		return
	}
	p.last = now
	_, _ = fmt.Fprintf(p.out, "\r\033[K%s", progressLine(p.done, b, total)) // nobody else would hear of the error
}

// progressLine has a bar where the end is known.
func progressLine(done string, b badger.Backup, total int64) string {
	line := fmt.Sprintf("%s records %s, %s", count(b.Entries), done, size(b.Bytes))
	if total <= 0 {
		return line
	}
	const width = 30
	part := min(float64(b.Bytes)/float64(total), 0.99)
	full := int(part * width)
	return fmt.Sprintf("[%s%s] %2.0f %%  %s", strings.Repeat("=", full), strings.Repeat(" ", width-full), 100*part, line)
}

// end takes the line away.
func (p *progress) end() {
	if p.shown {
		_, _ = fmt.Fprint(p.out, "\r\033[K")
	}
}

// say tells what came of it.
func (p *progress) say(format string, args ...any) error {
	_, err := fmt.Fprintf(p.out, format, args...)
	return err
}

// count writes a number with its thousands apart.
func count[N int | int64 | uint64](n N) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// size writes a number of bytes.
func size(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d B", n)
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%s MiB", count(n>>20))
}
