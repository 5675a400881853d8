package egress

import (
	"bytes"
	"io"
)

// Quiet returns a writer for the standard logger, to which net/http quotes what
// a gateway sends beyond its answer. Those lines are dropped, since they may
// hold a secret; all others go to w.
func Quiet(w io.Writer) io.Writer { return quiet{w} }

type quiet struct{ w io.Writer }

func (q quiet) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("Unsolicited response received on idle HTTP channel")) {
		return len(line), nil
	}
	return q.w.Write(line)
}
