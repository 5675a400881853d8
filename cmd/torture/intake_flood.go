package main

import (
	"context"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// flood sends at once what the program cannot take at once: many small requests,
// and fewer that are more bytes together than may wait for the disk. They are half
// as many as there are slow clients: all of them are written, read and answered in
// the same moment, by the same processors that we ask for health with.
func (s *siege) flood(ctx context.Context) error {
	if err := s.surge(ctx, s.options.connections/2, 3, 0); err != nil {
		return err
	}
	const large = 220 << 10
	return s.surge(ctx, max(s.options.connections*2/25, 4), 1, large)
}

// surge has each of many connections send some requests one after the other, all
// of them the first one at the same time. Each must be answered: taken, or refused
// for now.
func (s *siege) surge(ctx context.Context, connections, each, size int) error {
	all, err := s.dialAll(ctx, connections)
	if err != nil {
		return err
	}
	defer dropAll(all)
	fill := strings.Repeat("x", size)
	begin := make(chan struct{})
	var sending sync.WaitGroup
	for _, w := range all {
		guest := s.load.extra()
		r := guest.event(fill) // all is ready when it begins
		raw := append(w.head("POST", eventPath, len(r.body)), r.body...)
		sending.Go(func() {
			<-begin
			for range each - 1 {
				if !s.once(w, r, raw) {
					return
				}
				r = guest.event(fill)
				raw = append(w.head("POST", eventPath, len(r.body)), r.body...)
			}
			s.once(w, r, raw)
		})
	}
	close(begin)
	sending.Wait()
	return context.Cause(ctx)
}

// once sends a request on a connection and notes what came of it.
func (s *siege) once(w *wire, r *request, raw []byte) bool {
	sent := time.Since(s.began)
	r.Replies = []reply{{Sent: sent}}
	err := w.SetDeadline(time.Now().Add(2 * rig.Patience))
	if err == nil {
		_, err = w.Write(raw)
	}
	var a rig.Answer
	if err == nil {
		a, err = w.answer()
	}
	if err != nil {
		s.round.violate("a request in a flood got no answer: %v", err)
		return false
	}
	got := r.by.read(r, a)
	got.Sent, got.Ended = sent, time.Since(s.began)
	r.Replies[0] = got
	s.round.peak("longest answer in a flood, ms", (got.Ended - sent).Milliseconds())
	s.round.count("requests in a flood", 1)
	return true
}

// The moments at which a client hangs up.
const (
	onConnect = iota
	inHead
	afterHead
	inBody
	beforeAnswer
	inAnswer
	inList
	phases
)

// hangUps end connections at each phase of a request, some with a farewell.
func (s *siege) hangUps(ctx context.Context) error {
	each := max(s.options.connections/25, 4)
	const workers = 32
	guests := make(chan *client, workers)
	for range workers {
		guests <- s.load.extra()
	}
	luck := s.round.source(2)
	cuts := make([]float64, phases*each)
	for i := range cuts {
		cuts[i] = luck.Float64()
	}
	return spread(len(cuts), workers, func(i int) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		w, err := dialWire(ctx, s.child)
		if err != nil {
			return err
		}
		if cuts[i] < 0.5 {
			_ = w.Conn.(*net.TCPConn).SetLinger(-1) // it ends as it should
		}
		guest := <-guests
		defer func() { guests <- guest }()
		s.hangUp(w, guest, i%phases, cuts[i])
		s.round.count("hang-ups", 1)
		return nil
	})
}

// hangUp ends a connection in a phase, at a point of it between 0 and 1.
func (s *siege) hangUp(w *wire, guest *client, phase int, at float64) {
	defer w.drop()
	text := "hang-up " + strings.Repeat("x", 2000)
	body := quoted(map[string]string{"event_type": plainType, "event_payload": marker(s.round) + " cut short"})
	head := w.head("POST", eventPath, len(body))
	part := func(b []byte) []byte { return b[:int(at*float64(len(b)))] }
	write := func(b ...byte) { _, _ = w.Write(b) } // the program may be faster
	switch phase {
	case onConnect:
	case inHead:
		write(part(head)...)
	case afterHead:
		write(head...)
	case inBody:
		write(head...)
		write(part(body)...)
	case beforeAnswer, inAnswer:
		r := guest.event(text)
		r.Replies = []reply{{}} // nobody knows
		write(append(w.head("POST", eventPath, len(r.body)), r.body...)...)
		if phase == inAnswer {
			_, _ = w.Read(make([]byte, 1+int(at*100)))
		}
	case inList:
		write(w.head("GET", "/api/v1/events?limit=1000", -1)...)
		_, _ = w.Read(make([]byte, 1+int(at*4000)))
	}
}
