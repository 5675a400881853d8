package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// note is what a client writes down: when it sends a request, and when it knows
// what came of it.
type note struct {
	Client  int           `json:"client"`
	Request int           `json:"request"`
	What    string        `json:"what"` // sending, answered or unanswered
	Path    string        `json:"path"`
	Key     string        `json:"key,omitempty"`
	Hash    string        `json:"hash"` // SHA-256 of the body
	Status  int           `json:"status,omitempty"`
	Problem string        `json:"problem,omitempty"`
	IDs     []string      `json:"ids,omitempty"`
	Wall    time.Time     `json:"wall"`
	Since   time.Duration `json:"since"` // the round began, by the monotonic clock
}

// ledger is the clients' notes on disk. Any goroutine may write.
type ledger struct {
	path string
	// most is how large the file may grow. Then it becomes the older one of two, and
	// what was that is forgotten; 0 is no limit.
	most int64

	mu      sync.Mutex // guards the file, written and size
	file    *os.File
	written int
	size    int64

	syncing sync.Mutex // held during a flush; guards flushed
	flushed int
}

func openLedger(directory string) (*ledger, error) {
	l := &ledger{path: filepath.Join(directory, "ledger.jsonl")}
	return l, l.open()
}

func (l *ledger) open() (err error) {
	if l.file, err = os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return fmt.Errorf("open the ledger: %w", err)
	}
	l.size = 0
	return nil
}

// write appends a note.
func (l *ledger) write(n note) (place int, err error) {
	b, err := json.Marshal(n)
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.file.Write(append(b, '\n')); err != nil {
		return 0, fmt.Errorf("write the ledger: %w", err)
	}
	l.written++
	l.size += int64(len(b)) + 1
	return l.written, nil
}

// flush returns when a note is on disk. One flush serves all that wait for it.
func (l *ledger) flush(place int) error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	if l.flushed >= place {
		return nil
	}
	l.mu.Lock()
	written := l.written
	l.mu.Unlock()
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("flush the ledger: %w", err)
	}
	l.flushed = written
	return l.turn()
}

// turn begins a new file when this one is large enough. Nobody else flushes.
func (l *ledger) turn() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.most == 0 || l.size < l.most {
		return nil
	}
	if err := errors.Join(l.file.Sync(), l.file.Close(), os.Rename(l.path, l.path+".old")); err != nil {
		return fmt.Errorf("begin another ledger: %w", err)
	}
	l.flushed = l.written
	return l.open()
}

func (l *ledger) close() error { return l.file.Close() }
