package httpapi

import (
	"net"
	"testing"
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
