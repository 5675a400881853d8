package rig

import (
	"bytes"
	"encoding/json"
	"sync"
)

// logTail keeps the end of what a process says and looks for the address that it
// listens on.
type logTail struct {
	listening chan string

	mu   sync.Mutex
	line []byte // the last one, not complete
	tail []byte
	told bool
}

// maxTail is how much is kept, and how long a line may be to be read.
const maxTail = 8 << 10

func newLogTail() *logTail { return &logTail{listening: make(chan string, 1)} }

func (l *logTail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = append(l.tail, p...)
	l.tail = l.tail[max(0, len(l.tail)-maxTail):]
	if l.told {
		return len(p), nil
	}
	l.line = append(l.line, p...)
	for {
		line, rest, complete := bytes.Cut(l.line, []byte("\n"))
		if !complete {
			return len(p), nil
		}
		var said struct{ Msg, URL string }
		if json.Unmarshal(line, &said) == nil && said.Msg == "listening" {
			l.told = true
			l.listening <- said.URL
			return len(p), nil
		}
		l.line = rest
	}
}

func (l *logTail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.tail)
}
