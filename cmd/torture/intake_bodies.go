package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// What is sent in one go, before answers are read.
const (
	mostInRow  = 32
	bytesInRow = 64 << 10
)

// badBodies sends bad requests, many behind each other on a connection. Each must
// be refused as it deserves, and never repeated in an answer; that none is stored
// shows in the end.
func (s *siege) badBodies(ctx context.Context) error {
	const senders = 6
	var left atomic.Int64
	left.Store(int64(s.options.bodies))
	var sending sync.WaitGroup
	errs := make([]error, senders)
	for i := range senders {
		f := &forge{luck: s.round.source(100 + i), canary: marker(s.round) + "-bad"}
		sending.Go(func() { errs[i] = s.sendBad(ctx, f, &left) })
	}
	sending.Wait()
	s.tooLarge(ctx)
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// mostFaults is after how many findings it is clear.
const mostFaults = 100

func (s *siege) sendBad(ctx context.Context, f *forge, left *atomic.Int64) error {
	w, err := dialWire(ctx, s.child)
	if err != nil {
		return err
	}
	defer func() { w.drop() }()
	var out bytes.Buffer
	var row []badBody
	for ctx.Err() == nil && len(s.round.found()) < mostFaults {
		share := min(left.Add(-mostInRow)+mostInRow, mostInRow)
		if share <= 0 {
			break
		}
		row = row[:0]
		for range share {
			row = append(row, f.next())
		}
		for rest := row; len(rest) > 0; {
			n := 0
			out.Reset()
			for n < len(rest) && out.Len() < bytesInRow {
				b := rest[n]
				out.Write(w.head("POST", b.path, len(b.body), b.lines...))
				out.WriteString(b.body)
				n++
			}
			if err := w.SetDeadline(time.Now().Add(rig.Patience)); err != nil {
				return err
			}
			if _, err := w.Write(out.Bytes()); err != nil {
				s.round.violate("bad bodies: the connection ends: %v", err)
				return nil
			}
			for _, b := range rest[:n] {
				a, err := w.answer()
				if err != nil {
					s.round.violate("bad body (%s): POST %s %.200q: no answer: %v", b.what, b.path, b.body, err)
					return nil
				}
				if fault := b.fault(a, f.canary); fault != "" {
					s.round.violate("bad body (%s): POST %s %q %.300q: %s", b.what, b.path, b.lines, b.body, fault)
				}
			}
			rest = rest[n:]
			s.round.count("bad bodies", n)
		}
	}
	return nil
}

// fault says what is wrong with an answer to a bad request; "" when it is right.
func (b badBody) fault(a rig.Answer, canary string) string {
	var problem struct {
		Type   string
		Status int
	}
	switch {
	case a.Status != b.want:
		return fmt.Sprintf("%d %.300s, want %d", a.Status, a.Body, b.want)
	case a.Header.Get("Content-Type") != "application/problem+json":
		return "type " + a.Header.Get("Content-Type")
	case bytes.Contains(a.Body, []byte(canary)):
		return fmt.Sprintf("the answer repeats what was sent: %.300s", a.Body)
	case json.Unmarshal(a.Body, &problem) != nil, problem.Status != b.want, !strings.HasPrefix(problem.Type, "urn:postrider:problem:"):
		return fmt.Sprintf("no problem of this status: %.300s", a.Body)
	}
	for name, values := range a.Header {
		if strings.Contains(strings.Join(values, " "), canary) {
			return "the header " + name + " repeats what was sent"
		}
	}
	return ""
}

// tooLarge sends bodies beyond the limit, each on a connection of its own, which
// ends with it.
func (s *siege) tooLarge(ctx context.Context) {
	const each = 20
	canary := marker(s.round) + "-bad"
	for i := range each {
		b := badBody{path: eventPath, want: 413, what: "too large"}
		b.body = string(quoted(map[string]string{"event_type": canary, "event_payload": strings.Repeat("x", 256<<10+i*997)}))
		w, err := dialWire(ctx, s.child)
		if err != nil {
			s.round.violate("bad body (too large): %v", err)
			return
		}
		lines, body := []string(nil), b.body
		length := len(body)
		if i%2 == 1 {
			lines, length, body = []string{"Transfer-Encoding: chunked"}, -1, fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
		}
		_, _ = w.Write(append(w.head("POST", b.path, length, lines...), body...)) // it may have heard enough
		a, err := w.answer()
		w.drop()
		if err != nil { // the answer is lost with the connection that the program ended
			s.round.count("refusals lost with their connection", 1)
			continue
		}
		if fault := b.fault(a, canary); fault != "" {
			s.round.violate("bad body (%s): %s", b.what, fault)
		}
	}
}
