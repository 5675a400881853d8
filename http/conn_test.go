package httpapi

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// timers is a connection that notes which deadlines were set.
type timers struct {
	net.Conn
	read, write []time.Time
}

func (c *timers) SetReadDeadline(at time.Time) error {
	c.read = append(c.read, at)
	return nil
}

func (c *timers) SetWriteDeadline(at time.Time) error {
	c.write = append(c.write, at)
	return nil
}

func (*timers) Read([]byte) (int, error)    { return 1, nil }
func (*timers) Write(p []byte) (int, error) { return len(p), nil }

// A deadline counts when something is read or written: it is never later than asked,
// earlier by less than the slack, and gone when it is taken away.
func TestConnectionSetsTimersSeldom(t *testing.T) {
	const slack = time.Second
	base := time.Unix(1000, 0)
	steps := []struct {
		wanted time.Time
		set    bool
	}{
		{base, true},
		{base.Add(slack - 1), false},
		{base.Add(slack), true},
		{base.Add(slack - 1), true}, // sooner than what is set
		{time.Time{}, true},
		{time.Time{}, false},
		{base.Add(slack), true},
	}
	for name, side := range map[string]struct {
		note func(*calmConn, time.Time) error
		use  func(*calmConn) (int, error)
		set  func(*timers) []time.Time
	}{
		"read":  {(*calmConn).SetReadDeadline, func(c *calmConn) (int, error) { return c.Read(make([]byte, 1)) }, func(c *timers) []time.Time { return c.read }},
		"write": {(*calmConn).SetWriteDeadline, func(c *calmConn) (int, error) { return c.Write([]byte("x")) }, func(c *timers) []time.Time { return c.write }},
		"both":  {(*calmConn).SetDeadline, func(c *calmConn) (int, error) { return c.Write([]byte("x")) }, func(c *timers) []time.Time { return c.write }},
	} {
		below := &timers{}
		c := &calmConn{Conn: below, slack: slack}
		want := 0
		for i, step := range steps {
			if err := side.note(c, step.wanted); err != nil {
				t.Fatal(err)
			}
			if n := len(side.set(below)); n != want {
				t.Errorf("%s, step %d: noting a deadline sets a timer", name, i)
			}
			if _, err := side.use(c); err != nil {
				t.Fatal(err)
			}
			if step.set {
				want++
			}
			set := side.set(below)
			if len(set) != want || step.set && set[want-1] != step.wanted {
				t.Errorf("%s, step %d: timers %v; want %d, the last at %v", name, i, set, want, step.wanted)
			}
		}
	}
}

// Who takes a piece just before each deadline would take for ever. It is what he takes in
// all that counts, and only for as long as he keeps the writer waiting.
func TestPace(t *testing.T) {
	const piece = pacePiece
	for _, c := range []struct {
		name  string
		every time.Duration // in which a piece is taken
		rest  time.Duration // of the writer, before each
		kept  bool
	}{
		{"a piece just in time", 29 * time.Second, 0, false},
		{"a little too slow", 650 * time.Millisecond, 0, false},
		{"fast enough", 600 * time.Millisecond, 0, true},
		{"fast enough for a slow writer", 600 * time.Millisecond, time.Minute, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				gone := make(chan struct{})
				go func() {
					defer close(gone)
					taken := make([]byte, piece)
					for err := error(nil); err == nil; _, err = io.ReadFull(theirs, taken) {
						time.Sleep(c.every)
					}
				}()
				conn := &calmConn{Conn: ours, slack: time.Nanosecond}
				conn.keepPace(backupPace, 30*time.Second)
				var err error
				for range 3 * backupPace / piece {
					time.Sleep(c.rest)
					if _, err = conn.Write(make([]byte, piece)); err != nil {
						break
					}
				}
				if kept := err == nil; kept != c.kept || !kept && !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("Write = %v; want it to end well: %v", err, c.kept)
				}
				_ = theirs.Close()
				_ = ours.Close()
				<-gone
			})
		})
	}
}
