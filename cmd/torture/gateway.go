package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// gateway has gateways misbehave in every way, all at once, for ever and at first,
// beside some that are well. No message is lost, tried too often or too early, or
// called delivered by an answer that its gateway did not give; the gateways that
// are well notice nothing, and the program stays small.
type gateway struct {
	messages int
	only     string
	memory   int64
	lateness time.Duration
	typical  time.Duration
}

func (m *gateway) flags(f *pflag.FlagSet) {
	f.IntVar(&m.messages, "messages", 50, "messages for each gateway")
	f.StringVar(&m.only, "only", "", "run only the behaviours whose names have this in them")
	f.Int64Var(&m.memory, "memory", 200, "MiB of anonymous memory that the program may take")
	f.DurationVar(&m.lateness, "lateness", 3*time.Second, "how late a message may come to a gateway that is well")
	f.DurationVar(&m.typical, "typical", 500*time.Millisecond, "the same of 99 of 100 messages, unless others keep the machine busy")
}

const (
	neighbours = 4    // gateways that are well
	inFlight   = 1024 // attempts under way over all gateways
	// descriptors are what the program has beside its connections to gateways: those of
	// clients, of the store and its own.
	descriptors = 256
)

func (m *gateway) require() error {
	// The gateways keep as many as the program does.
	return rig.Descriptors(4 * inFlight)
}

func (m *gateway) round(ctx context.Context, r *round) error {
	_ = bomb()
	vouched, err := newCertificates(r.dir)
	if err != nil {
		return err
	}
	canary, err := m.canary(ctx, r)
	if err != nil {
		return err
	}
	p := plan{
		Memtable: 8, Interval: shortPause, Attempts: 3, Timeout: timeLimit, Concurrency: 16,
		Keys: r.rand.IntN(2) == 0, Debug: r.rand.IntN(2) == 0, Clients: 16, Pause: time.Millisecond,
	}
	s, err := newSystem(ctx, r, p, func(c rig.Section) { c["routes"], c["gateways"] = nil, rig.Section{} })
	if err != nil {
		return err
	}
	all, err := hostiles(ctx, r, s.gateways, vouched, canary, m.messages, m.only)
	if err != nil {
		return err
	}
	if err := s.program.Configure(m.configuration(s, all)); err != nil {
		return err
	}
	s.program.Environ = append(s.program.Environ, "SSL_CERT_FILE="+vouched.path)
	var others float64 // the part of the machine that they had
	s.checks = append(s.checks, m.judged(s, all), m.isolated(s, &others))
	c, err := s.start(ctx)
	if err != nil {
		return err
	}
	pid, err := c.Pid()
	if err != nil {
		return err
	}
	before, err := readProcessors(pid)
	if err != nil {
		return err
	}
	if err := m.send(ctx, s, c, all); err != nil {
		return err
	}
	if err := m.settle(ctx, s, c); err != nil {
		return err
	}
	if now, err := readProcessors(pid); err == nil { // else it has ended, which is found elsewhere
		others = now.others(before)
	}
	m.measure(r, c)
	return s.finish(ctx, c)
}

// configuration is what the program gets instead of the gateways of the plan.
func (m *gateway) configuration(s *system, all []*hostile) rig.Section {
	c := s.plan.configuration(s.gateways.url, s.secrets)
	plain := c["gateways"].(rig.Section)[well].(rig.Section)
	gateways := rig.Section{}
	for i := range neighbours {
		one := maps.Clone(plain)
		one["url"] = s.gateways.url + "/" + neighbour(i) + "?token=" + s.secrets.url
		gateways[neighbour(i)] = one
	}
	s.own = map[string]int{}
	for _, h := range all {
		one := h.describe()
		if h.recovers && h.ofConnections() {
			// All connections that it spoils may be for one message.
			s.own[h.name] = m.messages + 2
			if h.closed {
				s.own[h.name] = 100
			}
			one["max_attempts"] = s.own[h.name]
		}
		gateways[h.name] = one
	}
	c["gateways"] = gateways
	delete(c, "routes")
	c["delivery"].(rig.Section)["max_in_flight"] = inFlight
	return c
}

func neighbour(i int) string { return fmt.Sprintf("%s-%d", well, i) }

// canary is a host that nobody may call.
func (m *gateway) canary(ctx context.Context, r *round) (url string, err error) {
	l, err := rig.Listen(ctx)
	if err != nil {
		return "", err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.violate("the program called a host that a gateway told it to")
			_ = conn.Close()
		}
	}()
	return "http://" + l.Addr().String(), nil
}

// send has the clients hand in the messages for all gateways at once, and goes on
// with those that are well for as long as others misbehave.
func (m *gateway) send(ctx context.Context, s *system, c *rig.Child, all []*hostile) error {
	var names []string
	by := map[string]*hostile{}
	for _, h := range all {
		names = append(names, h.name)
		by[h.name] = h
	}
	for i := range neighbours {
		names = append(names, neighbour(i))
	}
	s.round.rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	turn := func(number int) (name string, i int, ok bool) {
		return names[number%len(names)], number / len(names), number/len(names) < m.messages
	}
	var mu sync.Mutex
	next := 0
	return s.load.each(func(one *client) error {
		for {
			mu.Lock()
			name, i, ok := turn(next)
			next++
			mu.Unlock()
			if !ok || ctx.Err() != nil {
				return context.Cause(ctx)
			}
			h := by[name] // nil for one that is well
			if err := m.hand(ctx, s, c, one, name, i, h != nil && h.long); err != nil {
				return err
			}
			if h != nil {
				h.handed()
			}
		}
	})
}

// longText is more than is written in one piece, and than sockets take at once.
const longText = 150 << 10

// hand hands in one message, again as often as it is refused for now.
func (m *gateway) hand(ctx context.Context, s *system, c *rig.Child, one *client, name string, i int, long bool) error {
	text := fmt.Sprintf("%s %s %d \"\\ \x00é漢👍", marker(s.round), name, i)
	if long {
		text += strings.Repeat("x", longText)
	}
	r := &request{Path: messagePath, Kind: name, Payloads: []string{text}, number: len(one.done)}
	r.body = quoted(map[string]string{"message": text, "gateway": name})
	one.done = append(one.done, r)
	for range mostRefusals {
		answered, err := one.send(ctx, c, r)
		switch {
		case err != nil || ctx.Err() != nil:
			return err
		case !answered:
			s.round.violate("client %d: no answer to a message for %s", one.number, name)
			return errBroken
		case r.ids() != nil:
			return nil
		}
	}
	s.round.violate("client %d: a message for %s was refused %d times", one.number, name, mostRefusals)
	return errBroken
}

// settle waits until all messages have ended, and hands in more for the gateways
// that are well meanwhile.
func (m *gateway) settle(ctx context.Context, s *system, c *rig.Child) error {
	began := time.Now()
	one := s.load.clients[0]
	for i := m.messages; ; i++ {
		open, err := c.Open(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			s.round.violate("the program does not answer: %v; it said\n%s", err, c.Said())
			return errBroken
		}
		if open == 0 {
			s.round.say("all has ended %v after the last message was handed in", rig.Span(time.Since(began)))
			return nil
		}
		if time.Since(began) > mostOfAll {
			return nil // the oracle says what has not ended
		}
		if err := m.hand(ctx, s, c, one, neighbour(i%neighbours), i, false); err != nil {
			return err
		}
		if err := rig.Wait(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// mostOfAll is how long all messages may take.
const mostOfAll = 5 * time.Minute

// measure looks at what the program took.
func (m *gateway) measure(r *round, c *rig.Child) {
	anonymous, open, err := c.Peak()
	if err != nil {
		return // it has ended, which is found elsewhere
	}
	r.say("peak: %s of anonymous memory, %d descriptors", rig.Size(anonymous), open)
	if anonymous > m.memory*rig.Mebibyte {
		r.violate("the program took %s of anonymous memory, %d MiB are the limit", rig.Size(anonymous), m.memory)
	}
	if open > inFlight+descriptors {
		r.violate("the program had %d descriptors open, %d are the limit", open, inFlight+descriptors)
	}
}

// judged returns a check of what each attempt came to and each message ended as,
// as the table of behaviours has it.
func (m *gateway) judged(s *system, all []*hostile) check {
	return func(a *account, complain complainer) {
		by := map[string][]rig.Message{}
		for _, one := range a.Messages {
			by[one.Gateway] = append(by[one.Gateway], one)
		}
		for _, h := range all {
			messages := by[h.name]
			if len(messages) != m.messages {
				complain("%s has %d messages, want %d", h.name, len(messages), m.messages)
			}
			found, met := findings{}, 0
			for _, one := range messages {
				met += h.judge(found, one, a.Lives[one.ID])
			}
			found.tell(h.name, complain)
			if _, ok := h.seen.Load(h.must); met == 0 || h.must != "" && !ok {
				complain("%s: no attempt met what it does, so nothing was tried", h.name)
			}
			s.round.count("attempts at gateways that misbehaved", met)
		}
		log, err := os.ReadFile(s.logFile())
		if err != nil {
			complain("the log cannot be read: %v", err)
		}
		for line := range bytes.Lines(log) {
			// That a message has failed is an error for whoever runs the program.
			bad := bytes.Contains(line, []byte(`"level":"ERROR"`)) && !bytes.Contains(line, []byte(`"msg":"message ended undelivered"`))
			if bad || bytes.Contains(line, []byte("panic")) {
				complain("the log has %.500s", line)
			}
		}
		s.round.count("behaviours", len(all)/2)
	}
}

// findings are messages with the same fault, by what it is.
type findings map[string][]string

func (f findings) add(message, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	f[what] = append(f[what], message)
}

// tell complains of each fault once.
func (f findings) tell(gateway string, complain complainer) {
	for what, messages := range f {
		complain("%s: %s (%d times, as message %s)", gateway, what, len(messages), messages[0])
	}
}

// judge looks at one message, and returns how many of its attempts met what the
// gateway does.
func (h *hostile) judge(found findings, m rig.Message, lives []lived) (met int) {
	sound := delivered[0]
	for i, one := range m.Attempts {
		got := result{one.Outcome, one.Cause, one.Status}
		expected := slices.Contains(h.want, got)
		if _, late := h.seen.Load(resetLate); late {
			expected = expected || got == wasReset[0]
		}
		switch {
		case h.recovers && h.ofConnections():
			if expected {
				met++
			}
			expected = expected || got == sound
		case !h.recovers || one.Number <= badAttempts(m.ID):
			met++
		default:
			expected = got == sound
		}
		if !expected {
			found.add(m.ID, "attempt %d came to %v, want one of %v", one.Number, got, h.want)
		}
		if i == 0 || i >= len(lives) || h.hint == 0 || m.Attempts[i-1].Outcome != throttled[0].Outcome {
			continue
		}
		if gap := lives[i].Began - lives[i-1].Ended; gap < h.hint {
			found.add(m.ID, "attempt %d began less than %v after the one before, which asked for that", one.Number, h.hint)
		}
	}
	success := slices.ContainsFunc(h.want, func(r result) bool { return r.Outcome == sound.Outcome })
	failure := slices.ContainsFunc(h.want, func(r result) bool { return r.Outcome != sound.Outcome })
	fits := m.State == "delivered" && (h.recovers || success) || m.State == "failed" && !h.recovers && failure
	if !fits {
		found.add(m.ID, "it is %s", m.State)
	}
	return met
}

// isolated returns a check that the gateways that are well got all of theirs at
// the first attempt and soon, if others did not have too much of the machine.
func (m *gateway) isolated(s *system, others *float64) check {
	return func(a *account, complain complainer) {
		sent := map[string]time.Duration{}
		for _, requests := range a.Requests {
			for _, r := range requests {
				if ids := r.ids(); ids != nil {
					sent[ids[0]] = r.Replies[len(r.Replies)-1].Sent
				}
			}
		}
		var late []time.Duration
		for _, one := range a.Arrivals {
			if strings.HasPrefix(one.Gateway, well+"-") {
				late = append(late, one.At-sent[one.Message])
			}
		}
		for _, one := range a.Messages {
			if strings.HasPrefix(one.Gateway, well+"-") && (one.State != "delivered" || len(one.Attempts) != 1) {
				complain("message %s for %s, which is well, is %s after %d attempts", one.ID, one.Gateway, one.State, len(one.Attempts))
			}
		}
		if len(late) == 0 {
			complain("nothing came to the gateways that are well")
			return
		}
		slices.Sort(late)
		worst, typical := late[len(late)-1], late[(len(late)-1)*99/100]
		s.round.say("from a client to a gateway that is well: p50 %v, p99 %v, at most %v; others had %.0f %% of the machine",
			rig.Span(late[len(late)/2]), rig.Span(typical), rig.Span(worst), 100**others)
		switch {
		case typical <= m.typical:
		case *others > foreign:
			s.round.count("rounds in which others were too busy to judge isolation", 1)
		default:
			complain("99 of 100 messages took up to %v to a gateway that is well, beside others; want %v", typical, m.typical)
		}
		if worst > m.lateness {
			complain("a message took %v to a gateway that is well, beside others; want %v at most", worst, m.lateness)
		}
		s.round.count("messages for gateways that are well", len(late))
	}
}
