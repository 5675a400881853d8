package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// operate does what operators do, and what happens to machines, until ctx ends or
// the program does.
func (t *soaking) operate(ctx context.Context, c *rig.Child, luck *rand.Rand) error {
	acts := []struct {
		name string
		do   func(context.Context, *rig.Child, *rand.Rand) error
	}{
		{"reloads", t.reload},
		{"reloads refused", t.reloadBroken},
		{"pauses of a lane", t.pause},
		{"resends of many", t.resendMany},
		{"resends of one", t.resendOne},
		{"halts", t.halt},
	}
	for rig.Wait(ctx, time.Duration(luck.ExpFloat64()*float64(operatorPause))) == nil && !c.Gone() {
		act := acts[luck.IntN(len(acts))]
		if err := act.do(ctx, c, luck); err != nil {
			return fmt.Errorf("%s: %w", act.name, err)
		}
		t.round.count(act.name, 1)
	}
	return nil
}

// operatorPause is the mean time between two acts of operators.
const operatorPause = 5 * time.Second

// gone waits whether the program has ended, which excuses that it gave no answer.
func (t *soaking) gone(ctx context.Context, c *rig.Child) bool {
	select {
	case <-c.Ended():
		return true
	case <-ctx.Done():
		return true
	case <-time.After(rig.Patience):
		return false
	}
}

// post sends something that has one of some answers, unless the program ends.
func (t *soaking) post(ctx context.Context, c *rig.Child, path string, body []byte, statuses ...int) error {
	_, err := t.ask(ctx, c, http.MethodPost, path, body, statuses...)
	return err
}

// get reads something, or nil if the program ends.
func (t *soaking) get(ctx context.Context, c *rig.Child, path string) ([]byte, error) {
	return t.ask(ctx, c, http.MethodGet, path, nil, http.StatusOK)
}

func (t *soaking) ask(ctx context.Context, c *rig.Child, method, path string, body []byte, statuses ...int) ([]byte, error) {
	a, err := c.Do(ctx, method, path, body)
	switch {
	case err != nil && t.gone(ctx, c):
		return nil, nil
	case err != nil:
		t.round.violate("%s %s: no answer, and the program runs on: %v", method, path, err)
		return nil, errBroken
	case !slices.Contains(statuses, a.Status):
		t.round.violate("%s %s = %d %.200s, want %v", method, path, a.Status, a.Body, statuses)
		return nil, nil
	}
	return a.Body, nil
}

// resumeAll has no lane stay paused, which a kill may have left so. One that never
// had a message is not known.
func (t *soaking) resumeAll(ctx context.Context, c *rig.Child) error {
	for _, gateway := range append(kinds(), away) {
		if err := t.post(ctx, c, "/api/v1/gateways/"+gateway+"/resume", nil, http.StatusOK, http.StatusNotFound); err != nil {
			return err
		}
	}
	return nil
}

// reload changes limits of gateways, within what the oracle knows.
func (t *soaking) reload(ctx context.Context, c *rig.Child, luck *rand.Rand) error {
	changed, gateways := maps.Clone(t.configuration), rig.Section{}
	for name, g := range t.configuration["gateways"].(rig.Section) {
		own := maps.Clone(g.(rig.Section))
		own["concurrency"] = 24 + luck.IntN(24)
		own["hold_after"] = luck.IntN(3) * 3
		own["rate"] = luck.IntN(2) * (200 + luck.IntN(200))
		gateways[name] = own
	}
	changed["gateways"] = gateways
	return t.reconfigure(ctx, c, changed, "applied")
}

// reloadBroken asks for what cannot be applied, and puts back what can.
func (t *soaking) reloadBroken(ctx context.Context, c *rig.Child, luck *rand.Rand) error {
	broken := maps.Clone(t.configuration)
	switch luck.IntN(3) {
	case 0:
		broken["delivery"] = rig.Section{"max_attempts": -1}
	case 1:
		broken["routes"] = []rig.Section{{"match": rig.Section{"event_type": routedType}, "gateway": "nobody", "message": "{{event_payload}}"}}
	default:
		broken["gateways"] = rig.Section{well: rig.Section{"url": "no url", "method": "BREW"}}
	}
	// A program that is started meanwhile finds the one that is right.
	return errors.Join(t.reconfigure(ctx, c, broken, "refused"), t.program.Configure(t.configuration))
}

// reconfigure writes a configuration and has the program read it.
func (t *soaking) reconfigure(ctx context.Context, c *rig.Child, configuration rig.Section, result string) error {
	name := `postrider_config_reloads_total{result="` + result + `"}`
	before, err := t.get(ctx, c, "/metrics")
	if before == nil || err != nil {
		return err
	}
	if err := t.program.Configure(configuration); err != nil {
		return err
	}
	if err := c.Signal(syscall.SIGHUP); err != nil {
		return nil // it has ended
	}
	err = rig.Until(ctx, "a reload is "+result, rig.Patience, 50*time.Millisecond, func() (bool, error) {
		now, err := t.get(ctx, c, "/metrics")
		return now == nil || metrics(now)[name] > metrics(before)[name], err
	})
	if err != nil && ctx.Err() == nil {
		t.round.violate("SIGHUP: %v", err)
	}
	return nil
}

// pause pauses a lane for some seconds.
func (t *soaking) pause(ctx context.Context, c *rig.Child, luck *rand.Rand) error {
	all := t.plan.Gateways
	path := "/api/v1/gateways/" + all[luck.IntN(len(all))]
	if err := t.post(ctx, c, path+"/pause", nil, http.StatusOK); err != nil {
		return err
	}
	_ = rig.Wait(ctx, time.Second+time.Duration(luck.Int64N(int64(3*time.Second))))
	if ctx.Err() != nil {
		return nil // the next life resumes it
	}
	return t.post(ctx, c, path+"/resume", nil, http.StatusOK)
}

func (t *soaking) resendMany(ctx context.Context, c *rig.Child, luck *rand.Rand) error {
	which := map[string]any{"limit": 1 + luck.IntN(100)}
	if luck.IntN(2) == 0 {
		which["gateway"] = failing
	}
	return t.post(ctx, c, "/api/v1/messages/resend", quoted(which), http.StatusOK)
}

func (t *soaking) resendOne(ctx context.Context, c *rig.Child, luck *rand.Rand) error {
	b, err := t.get(ctx, c, "/api/v1/messages?state=dead&limit=100")
	if b == nil || err != nil {
		return err
	}
	var p rig.Page
	if err := json.Unmarshal(b, &p); err != nil || len(p.Messages) == 0 {
		return err
	}
	m := p.Messages[luck.IntN(len(p.Messages))]
	// It was perhaps sent again before, or its time is over meanwhile.
	return t.post(ctx, c, "/api/v1/messages/"+m.ID+"/resend", nil, http.StatusCreated, http.StatusNotFound, http.StatusConflict)
}

// halt has the program stand still for a second.
func (t *soaking) halt(ctx context.Context, c *rig.Child, _ *rand.Rand) error {
	if c.Halt(ctx) != nil {
		return nil // it has ended
	}
	_ = rig.Wait(ctx, time.Second)
	_ = c.Proceed() // unless it has ended
	return nil
}

// vex has clients that send what is refused, slowly or not to the end.
func (t *soaking) vex(ctx context.Context, c *rig.Child, luck *rand.Rand) error {
	var slow sync.WaitGroup
	defer slow.Wait()
	room := make(chan struct{}, 8)
	for rig.Wait(ctx, time.Duration(luck.ExpFloat64()*float64(vexPause))) == nil && !c.Gone() {
		if luck.IntN(4) > 0 {
			if err := t.vexOnce(ctx, c, luck); err != nil {
				return err
			}
			continue
		}
		select {
		case room <- struct{}{}:
			hangsUp, pace := luck.IntN(2) == 0, time.Duration(1+luck.IntN(50))*time.Millisecond
			slow.Go(func() {
				defer func() { <-room }()
				t.crawl(ctx, c, hangsUp, pace)
			})
		default: // enough of them are under way
		}
	}
	return nil
}

// vexPause is the mean time between two requests that are not as they should be.
const vexPause = 100 * time.Millisecond

// bad is a request that is refused.
type bad struct {
	method, path, body string
	headers            []string
	status             int
}

func badOnes() []bad {
	return []bad{
		{"POST", "/event", `{"event_type": 123, "event_payload": {}}`, nil, 422},
		{"POST", "/event", `{"event_type": "plain", "event_payload": "x"`, nil, 400},
		{"POST", "/event", `[]`, nil, 422},
		{"POST", "/event", `{"event_type": "plain", "event_payload": "vex", "event_payload": "vex"}`, nil, 400},
		{"POST", "/event", "{\"event_type\": \"plain\", \"event_payload\": \"\xff\"}", nil, 400},
		{"POST", "/event", strings.Repeat(" ", 300<<10), nil, 413},
		{"POST", "/event", "\x1f\x8b", []string{"Content-Encoding", "gzip"}, 415},
		{"POST", "/send_message", `{"message": "vex", "gateway": "nobody"}`, nil, 422},
		{"POST", "/send_message", `{"message": null, "gateway": "well"}`, nil, 422},
		{"POST", "/send_message", `{"message": "vex", "gateway": "well"}`, []string{"Origin", "http://elsewhere.example"}, 403},
		{"POST", "/send_message", `{"message": "vex", "gateway": "well"}`, []string{"Authorization", "Bearer nobody"}, 401},
		{"POST", "/send_message", `{"message": "vex", "gateway": "well"}`, []string{"Idempotency-Key", "a\tb"}, 400},
		{"DELETE", "/event", `{}`, nil, 405},
		{"GET", "/api/v1/messages?after=nowhere", "", nil, 400},
		{"GET", "/api/v1/messages/nobody", "", nil, 404},
	}
}

func (t *soaking) vexOnce(ctx context.Context, c *rig.Child, luck *rand.Rand) error {
	all := badOnes()
	b := all[luck.IntN(len(all))]
	a, err := c.Do(ctx, b.method, b.path, []byte(b.body), b.headers...)
	switch {
	case err != nil && b.status == http.StatusRequestEntityTooLarge: // nobody read it to the end
	case err != nil && !t.gone(ctx, c):
		t.round.violate("%s %s %.60q: no answer, and the program runs on: %v", b.method, b.path, b.body, err)
	case err == nil && a.Status != b.status:
		t.round.violate("%s %s %.60q = %d, want %d", b.method, b.path, b.body, a.Status, b.status)
	}
	t.round.count("bad requests", 1)
	return nil
}

// crawl sends a request byte for byte, and perhaps not to its end. It is refused:
// there is no key.
func (t *soaking) crawl(ctx context.Context, c *rig.Child, hangsUp bool, pace time.Duration) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(c.URL, "http://"))
	if err != nil {
		return // it has ended
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	const body = `{"message": "a slow one", "gateway": "well"}`
	text := fmt.Sprintf("POST /send_message HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	if hangsUp {
		text = text[:len(text)-len(body)/2]
	}
	for i := range text {
		if rig.Wait(ctx, pace) != nil {
			return
		}
		if _, err := conn.Write([]byte{text[i]}); err != nil {
			return
		}
	}
	t.round.count("slow clients", 1)
	if hangsUp {
		return
	}
	_ = conn.SetReadDeadline(time.Now().Add(rig.Patience))
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		if !t.gone(ctx, c) {
			t.round.violate("a slow client got no answer: %v", err)
		}
		return
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusUnauthorized {
		t.round.violate("a slow client without a key got %d, want 401", answer.StatusCode)
	}
}

// door is a port that is open or closed.
type door struct {
	url     string
	address string
}

// newDoor binds a port, so that nobody gets it while the door is closed.
func newDoor(ctx context.Context) (*door, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return nil, fmt.Errorf("share a port: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, fmt.Errorf("bind a port: %w", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return nil, fmt.Errorf("read the port: %w", err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	return &door{"http://" + address, address}, nil
}

// swing opens and closes it until ctx ends.
func (d *door) swing(ctx context.Context, handler http.Handler, luck *rand.Rand) error {
	for ctx.Err() == nil {
		shut, err := d.open(handler)
		if err != nil {
			return fmt.Errorf("open the gateway that was away: %w", err)
		}
		_ = rig.Wait(ctx, 5*time.Second+time.Duration(luck.Int64N(int64(20*time.Second))))
		shut()
		_ = rig.Wait(ctx, time.Second+time.Duration(luck.Int64N(int64(7*time.Second))))
	}
	return nil
}

// open serves at the door until it is shut.
func (d *door) open(handler http.Handler) (shut func(), err error) {
	share := func(_, _ string, conn syscall.RawConn) (err error) {
		_ = conn.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return err
	}
	l, err := (&net.ListenConfig{Control: share}).Listen(context.Background(), "tcp", d.address)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: rig.Patience, ErrorLog: rig.Quiet()}
	go func() { _ = server.Serve(l) }() // ends when it is closed
	return func() { _ = server.Close() }, nil
}
