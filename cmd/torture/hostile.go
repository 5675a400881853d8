package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// hostile is a gateway on a socket of its own that misbehaves, either for ever or
// at first.
type hostile struct {
	behaviour
	name     string
	recovers bool
	url      string
	canary   string // URL of a host that must not be called
	timeout  time.Duration
	notes    *gateways
	round    *round
	vouched  *certificates

	handIn sync.Once
	given  chan struct{} // closed when the program has a message for it; of one whose port opens

	bad  atomic.Int64 // connections that it still misbehaves on, for what it does to connections
	seen sync.Map     // what has happened, by name
}

// describe is what the program's configuration has of it.
func (h *hostile) describe() rig.Section {
	s := rig.Section{
		"url":         h.url + "/" + h.name + "?token=" + h.token(),
		"headers":     rig.Section{"Authorization": rig.Section{"env": headerVariable}, "X-Token": rig.Section{"file": h.notes.secrets.path}},
		"concurrency": 16, "max_hint": hintCap.String(),
	}
	if h.single {
		s["concurrency"], s["rate"] = 1, 1/pace.Seconds()
	}
	return s
}

// token is a secret that nobody but this gateway is sent.
func (h *hostile) token() string { return h.notes.secrets.url + "." + h.name }

// start opens its port. It is closed with ctx.
func (h *hostile) start(ctx context.Context) error {
	scheme := "http://"
	if h.secure || h.certificate != nil {
		scheme = "https://"
	}
	if h.closed {
		return h.refuse(ctx)
	}
	l, err := rig.Listen(ctx)
	if err != nil {
		return err
	}
	h.url = scheme + l.Addr().String()
	go h.accept(ctx, l)
	return nil
}

// refuse has the port refuse connections, for ever or until the program has had
// something to send to it for some time.
func (h *hostile) refuse(ctx context.Context) error {
	bound, err := rig.Bind(ctx)
	if err != nil {
		return err
	}
	h.url = "http://" + bound.Address
	if !h.recovers {
		return nil
	}
	h.given = make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
		case <-h.given:
		}
		if rig.Wait(ctx, closedFor) != nil {
			return
		}
		l, err := bound.Listen()
		if err != nil {
			h.round.say("%s: %v", h.name, err)
			return
		}
		context.AfterFunc(ctx, func() { _ = l.Close() })
		h.accept(ctx, l)
	}()
	return nil
}

// handed says that the program has a message for it.
func (h *hostile) handed() {
	h.handIn.Do(func() {
		if h.given != nil {
			close(h.given)
		}
	})
}

func (h *hostile) accept(ctx context.Context, l net.Listener) {
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			go h.serve(ctx, conn)
		case ctx.Err() != nil, errors.Is(err, net.ErrClosed), rig.Wait(ctx, 10*time.Millisecond) != nil:
			return
		}
	}
}

// serve serves one connection.
func (h *hostile) serve(ctx context.Context, raw net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	defer func() { _ = raw.Close() }()
	_ = raw.SetDeadline(time.Now().Add(longest))
	v := &visit{hostile: h, ctx: ctx, conn: raw, raw: raw}
	misbehaves := h.ofConnections() && (!h.recovers || h.bad.Add(-1) >= 0)
	if misbehaves && h.connect != nil {
		h.connect(v)
		if !v.goesOn {
			return
		}
	}
	if h.secure || h.certificate != nil {
		config := h.vouched.sound
		if misbehaves && h.certificate != nil {
			config = h.certificate(h.vouched)
		}
		secure := tls.Server(raw, config)
		if secure.HandshakeContext(ctx) != nil {
			return
		}
		v.conn = secure
	}
	v.in = bufio.NewReader(v.conn)
	for v.next() {
		_ = raw.SetDeadline(time.Now().Add(longest))
		bad := misbehaves
		if !h.ofConnections() {
			bad = !h.recovers || v.note.Number <= badAttempts(v.note.Message)
		}
		switch {
		case bad && h.head != nil:
			h.head(v)
		case !v.read():
			return
		case bad && h.answer != nil:
			h.answer(v)
		default:
			v.well()
		}
		if !v.goesOn {
			return
		}
		v.goesOn = false
	}
}

// ofConnections reports whether it misbehaves before it knows which message comes.
func (h *hostile) ofConnections() bool {
	return h.connect != nil || h.certificate != nil || h.closed || h.first
}

// badAttempts is how many attempts of a message a gateway fails that recovers.
func badAttempts(message string) int {
	if message == "" {
		return 1
	}
	return 1 + int(message[len(message)-1]&1)
}

// happened notes something that is to happen, so that it is seen when it never does.
func (h *hostile) happened(what string) { h.seen.Store(what, true) }

// visit is a connection to a hostile gateway, and the request on it.
type visit struct {
	*hostile
	ctx    context.Context //nolint:containedctx // of the round, for what behaviours wait for
	conn   net.Conn        // what requests come through
	raw    net.Conn        // the socket
	in     *bufio.Reader
	goesOn bool // the connection waits for another request

	request *http.Request
	note    *arrival
	over    bool // what the request came to was noted
}

// next waits for a request, whose head it reads and notes.
func (v *visit) next() bool {
	if _, err := v.in.Peek(1); err != nil {
		return false
	}
	r, err := http.ReadRequest(v.in)
	if err != nil {
		if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
			v.round.violate("%s: what came is no request: %v", v.name, err)
		}
		return false
	}
	v.request, v.over = r, false
	v.note = v.notes.announced(r)
	v.note.Gateway, v.note.Text = v.name, cut
	v.note.Known = v.note.Known && r.URL.Query().Get("token") == v.token() && r.URL.Path == "/"+v.name
	v.notes.add(v.note)
	return true
}

// read reads the body.
func (v *visit) read() bool {
	text := textOf(v.request)
	v.notes.mu.Lock()
	defer v.notes.mu.Unlock()
	v.note.Text = text
	return text != cut
}

// says notes that the attempt ends now, with a status whose head is complete with
// what is written next; 0 is for none.
func (v *visit) says(status int) {
	if v.over || v.note == nil {
		return
	}
	v.over = true
	v.notes.leave(v.note, status)
	if status == 0 {
		// The program's clock began earlier: it may have given up by now.
		v.notes.mu.Lock()
		v.note.End = min(v.note.End, v.note.At+v.timeout*3/4)
		v.notes.mu.Unlock()
	}
}

// write sends some bytes. Nobody needs to read them.
func (v *visit) write(text string) bool {
	_, err := io.WriteString(v.conn, text)
	return err == nil
}

// say sends the end of a head with a status, and what follows.
func (v *visit) say(status int, text string) bool {
	v.says(status)
	return v.write(text)
}

// well answers as a gateway does, and goes on.
func (v *visit) well() { v.goesOn = v.say(200, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") }

// some draws a part of a duration for the request.
func (v *visit) some(d time.Duration) time.Duration {
	id := fnv.New64a()
	_, _ = io.WriteString(id, v.note.Message) // a hash takes it
	luck := rand.New(rand.NewPCG(v.round.seed, id.Sum64()))
	return time.Duration(luck.Int64N(int64(d)))
}

// rest waits.
func (v *visit) rest(d time.Duration) { _ = rig.Wait(v.ctx, d) }

// await reads until the program hangs up, but not for ever.
func (v *visit) await() {
	_ = v.raw.SetReadDeadline(time.Now().Add(2 * v.timeout))
	_, _ = io.Copy(io.Discard, v.conn)
}

// hang never says anything.
func (v *visit) hang() {
	v.await()
	v.says(0)
}

// fin ends what it sends, and waits for the other side.
func (v *visit) fin() {
	v.says(0)
	if half, ok := v.conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	v.await()
}

// reset breaks the connection.
func (v *visit) reset() {
	v.says(0)
	if tcp, ok := v.raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = v.raw.Close()
}

// drip sends byte after byte over a time.
func (v *visit) drip(text string, over time.Duration) bool {
	began := time.Now()
	for i := range len(text) {
		v.rest(time.Until(began.Add(over * time.Duration(i+1) / time.Duration(len(text)))))
		if !v.write(text[i : i+1]) {
			return false
		}
	}
	return true
}

// flood sends the same over and over, until nobody takes it or it is enough.
func (v *visit) flood(part string, most int) {
	for sent := 0; sent < most && v.write(part); sent += len(part) {
	}
}

// hostiles makes the gateways: each behaviour for ever and at first.
func hostiles(ctx context.Context, r *round, notes *gateways, vouched *certificates, canary string, messages int, only string) (all []*hostile, err error) {
	for _, b := range behaviours() {
		if only != "" && !strings.Contains(b.name, only) {
			continue
		}
		for _, recovers := range []bool{false, true} {
			h := &hostile{
				behaviour: b, name: slug(b.name) + map[bool]string{false: "-never", true: "-recovers"}[recovers], recovers: recovers,
				canary: canary, timeout: timeLimit, notes: notes, round: r, vouched: vouched,
			}
			h.bad.Store(int64(messages))
			if slices.ContainsFunc(all, func(o *hostile) bool { return o.name == h.name }) {
				return nil, fmt.Errorf("two gateways are called %s", h.name)
			}
			if err := h.start(ctx); err != nil {
				return nil, err
			}
			all = append(all, h)
		}
	}
	return all, nil
}

// slug makes the name of a gateway of a sentence.
func slug(text string) string {
	return strings.Trim(strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' {
			return c
		}
		return '-'
	}, strings.ToLower(text)), "-")
}
