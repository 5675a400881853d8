package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// dialAll opens connections, some at a time.
func (s *siege) dialAll(ctx context.Context, n int) ([]*wire, error) {
	all := make([]*wire, n)
	err := spread(n, 64, func(i int) (err error) {
		all[i], err = dialWire(ctx, s.child)
		return err
	})
	if err != nil {
		dropAll(all)
	}
	return all, err
}

func dropAll(all []*wire) {
	for _, w := range all {
		if w != nil {
			w.drop()
		}
	}
}

// spread calls do for 0 to n-1 from some goroutines. The error is one of theirs.
func spread(n, workers int, do func(i int) error) error {
	next := make(chan int)
	errs := make([]error, workers)
	var working sync.WaitGroup
	for k := range workers {
		working.Go(func() {
			for i := range next {
				if errs[k] == nil {
					errs[k] = do(i)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	working.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// patience is after how long the program must have ended a request that does not
// get on: it allows 15 s for it.
const patience = 18 * time.Second

// slowloris has many connections on which a head comes byte by byte, or a body, or
// nothing at all.
func (s *siege) slowloris(ctx context.Context) error {
	all, err := s.dialAll(ctx, s.options.connections)
	if err != nil {
		return err
	}
	defer dropAll(all)
	end := time.Now().Add(s.options.slow)
	ends := make([]string, len(all))
	var reading sync.WaitGroup
	for i, w := range all {
		if err := w.SetDeadline(end); err != nil {
			return err
		}
		reading.Go(func() { ends[i] = slowEnd(w) })
	}
	rest := make([][]byte, len(all)) // of what is to be sent
	for i, w := range all {
		text := fmt.Sprintf("%s slow %d", marker(s.round), i)
		body := string(quoted(map[string]string{"event_type": plainType, "event_payload": text}))
		switch head := w.head("POST", eventPath, len(body)); i % 3 {
		case 0:
			rest[i] = head
		case 1:
			_, _ = w.Write(head) // its end shows when it is read from
			rest[i] = []byte(body)
		}
	}
	for k := 0; time.Until(end) > 0 && ctx.Err() == nil; k++ {
		for i, w := range all {
			if k < len(rest[i])-1 { // the last byte never comes
				_, _ = w.Write(rest[i][k : k+1])
			}
		}
		if err := rig.Wait(ctx, min(time.Second, time.Until(end))); err != nil {
			return err
		}
	}
	reading.Wait()
	for i, how := range ends {
		kind := []string{"heads", "bodies", "nothing"}[i%3]
		s.round.count("slow clients ("+kind+") "+how, 1)
		if strings.HasPrefix(how, "answered") && how != "answered 408" || how == "still there" && s.options.slow > patience {
			s.round.violate("a client that sends %s byte by byte is %s after %v", kind, how, s.options.slow)
		}
	}
	return nil
}

// slowEnd says how a connection ended on which no request is complete.
func slowEnd(w *wire) string {
	a, err := w.answer()
	switch {
	case err == nil && a.Header.Get("Content-Type") != "application/problem+json":
		return fmt.Sprintf("answered %d without a problem", a.Status)
	case err == nil:
		return fmt.Sprintf("answered %d", a.Status)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "still there"
	}
	return "cut off"
}

// slowReaders ask for large answers and hardly read them.
func (s *siege) slowReaders(ctx context.Context) error {
	all, err := s.dialAll(ctx, max(s.options.connections/25, 4))
	if err != nil {
		return err
	}
	defer dropAll(all)
	end := time.Now().Add(s.options.slow)
	return spread(len(all), len(all), func(i int) error {
		w := all[i]
		_ = w.Conn.(*net.TCPConn).SetReadBuffer(4 << 10) // how slow we are is our affair
		if err := w.SetDeadline(end); err != nil {
			return err
		}
		path := []string{"/api/v1/events?limit=1000", "/api/v1/messages?limit=1000"}[i%2]
		if _, err := w.Write(w.head("GET", path, -1)); err != nil {
			s.round.violate("a list is asked for: %v", err)
			return nil
		}
		buffer, first := make([]byte, 512), ""
		for time.Until(end) > 0 {
			n, err := w.Read(buffer)
			if first == "" {
				first = string(buffer[:n])
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break // there is no more to read
			}
			if err != nil {
				s.round.count("slow readers cut off", 1)
				break
			}
			if err := rig.Wait(ctx, min(500*time.Millisecond, max(0, time.Until(end)))); err != nil {
				return err
			}
		}
		if !strings.HasPrefix(first, "HTTP/1.1 200 ") && !strings.HasPrefix(first, "HTTP/1.1 503 ") {
			s.round.violate("a slow reader of %s got %.60q", path, first)
		}
		s.round.count("slow readers", 1)
		return nil
	})
}
