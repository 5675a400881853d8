package httpapi

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// noon is when everything in these tests happens.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 5e6, time.UTC)

// store is all that a Server reaches, kept in memory.
type store struct {
	mu       sync.Mutex
	events   []data.Event
	messages []data.Message
	lanes    map[string]data.Lane
	keys     map[[32]byte]*data.Save
	saves    []*data.Save // all that it was given
	err      error        // what Save, Resend and Pause answer, when set
	resends  [][]data.ID  // all that Resend was given
	room     int          // how many bytes of text fit into one Resend; 0 means any number
	gateways []data.Gateway
	onSave   func(ctx context.Context) error // called before anything is stored, when set
	declared map[string]string               // the newest declarations that it was given
	faults   []Fault                         // what Declare answers, when set
	refusal  error                           // what Declare and Undeclare answer, when set
	reload   func(ctx context.Context) (Reloaded, []KeyFault, error)
	trials   []data.NewMessage // all that Render and Test were given
	render   func(m data.NewMessage) ([]Rendered, []Fault, error)
	summary  Summary
	history  map[string]History
	test     func(ctx context.Context, m data.NewMessage) ([]Tried, int, []Fault, error)
	backup   func(ctx context.Context, w io.Writer) error
	tight    error // what MayBackUp answers
}

func newStore() *store {
	policy := data.Policy{MaxAttempts: 3, Interval: time.Minute, MaxHint: time.Hour}
	return &store{
		keys:  make(map[[32]byte]*data.Save),
		lanes: make(map[string]data.Lane),

		declared: make(map[string]string),
		backup:   func(context.Context, io.Writer) error { return nil },
		reload:   func(context.Context) (Reloaded, []KeyFault, error) { return Reloaded{Added: 1}, nil, nil },
		gateways: []data.Gateway{
			{Name: "broken", Origin: data.OriginConfig, Policy: policy, Problem: "body template does not parse"},
			{Name: "gateway_1", Origin: data.OriginConfig, Policy: policy, Timeout: 10 * time.Second, Concurrency: 16, Method: "POST", URL: "http://127.0.0.1:5000/gateway_1", Body: "json"},
			{Name: "gateway_99", Origin: data.OriginConfig, Policy: policy, Timeout: 10 * time.Second, Concurrency: 16, Rate: 1.5, MaxQueue: 5, HoldAfter: 3, Permanent: []int{400, 410}, Method: "POST", URL: "https://api.example.com/bot***/send", Body: "form"},
		},
	}
}

// routing is Options.Routes with one set of routes for ever.
func routing(route func(data.NewEvent) ([]data.NewMessage, error)) func() Router {
	return func() Router { return router{route: route} }
}

type router struct {
	route  func(data.NewEvent) ([]data.NewMessage, error)
	stored func()
}

func (r router) Route(e data.NewEvent) ([]data.NewMessage, error) { return r.route(e) }

func (r router) Stored() {
	if r.stored != nil {
		r.stored()
	}
}

func (s *store) Save(ctx context.Context, in *data.Save) error {
	s.mu.Lock()
	onSave := s.onSave
	s.mu.Unlock()
	if onSave != nil {
		if err := onSave(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saves = append(s.saves, in)
	if s.err != nil {
		return fmt.Errorf("commit group 17 of /var/secret: %w", s.err)
	}
	if in.Key != nil {
		if first, ok := s.keys[in.Key.Key]; ok {
			if first.Key.Request != in.Key.Request {
				return data.ErrKeyReused
			}
			in.First, in.Count, in.Repeated = first.First, first.Count, true
			return nil
		}
		s.keys[in.Key.Key] = in
	}
	in.First = data.FirstID(1) + data.ID(len(s.events)+len(s.messages))
	in.Count = len(in.Messages)
	for i, e := range in.Events {
		s.events = append(s.events, data.Event{ID: in.First + data.ID(i), Type: e.Type, Payload: e.Payload, ReceivedAt: noon})
	}
	for i, m := range in.Messages {
		stored := data.Message{
			ID: in.First + data.ID(len(in.Events)+i), Gateway: m.Gateway, Text: m.Text, To: m.To, Title: m.Title, Params: m.Params,
			AcceptedAt: noon, State: data.Queued,
		}
		if m.ExpiresIn > 0 {
			stored.Expires, stored.ExpiresAt = 1, noon.Add(m.ExpiresIn)
		}
		if m.Event > 0 {
			stored.Event = in.First + data.ID(m.Event-1)
		}
		s.messages = append(s.messages, stored)
	}
	return nil
}

func (s *store) Cancel(_ context.Context, id data.ID) (data.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.messages {
		if m := &s.messages[i]; m.ID == id {
			if err := m.Cancel(); err != nil {
				return *m, err
			}
			return *m, nil
		}
	}
	return data.Message{}, data.ErrNotFound
}

func (s *store) Resend(ctx context.Context, ids []data.ID) ([]data.Resent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resends = append(s.resends, ids)
	if _, ok := ctx.Deadline(); !ok {
		return nil, errors.New("no deadline")
	}
	if s.err != nil {
		return nil, fmt.Errorf("commit group 17 of /var/secret: %w", s.err)
	}
	size := 0
	for _, m := range s.messages {
		if slices.Contains(ids, m.ID) {
			size += len(m.Text)
		}
	}
	if s.room > 0 && size > s.room {
		return nil, fmt.Errorf("commit: %w", data.ErrTooLarge)
	}
	resent := make([]data.Resent, len(ids))
	for i, id := range ids {
		resent[i] = data.Resent{Old: id, Err: data.ErrNotFound}
		at := slices.IndexFunc(s.messages, func(m data.Message) bool { return m.ID == id })
		if at < 0 {
			continue
		}
		became := s.messages[len(s.messages)-1].ID + 1
		old := &s.messages[at]
		if resent[i].Err = old.Resend(became); resent[i].Err == nil {
			s.messages = append(s.messages, data.Message{ID: became, Gateway: old.Gateway, Text: old.Text, ResendOf: id, State: data.Queued, AcceptedAt: noon})
		}
		resent[i].New = s.messages[at].ResentAs
	}
	return resent, nil
}

func (s *store) Pause(ctx context.Context, gateway string, paused bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := ctx.Deadline(); !ok {
		return errors.New("no deadline")
	}
	if s.err != nil {
		return fmt.Errorf("commit group 17 of /var/secret: %w", s.err)
	}
	lane := s.lanes[gateway]
	lane.Gateway, lane.Paused = gateway, paused
	s.lanes[gateway] = lane
	return nil
}

func (s *store) Answered(key data.IdempotencyKey) (first data.ID, count int, found bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch first, ok := s.keys[key.Key]; {
	case !ok:
		return 0, 0, false, nil
	case first.Key.Request != key.Request:
		return 0, 0, false, fmt.Errorf("get: %w", data.ErrKeyReused)
	default:
		return first.First, first.Count, true, nil
	}
}

func (s *store) Event(id data.ID) (data.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.ID == id {
			return e, nil
		}
	}
	return data.Event{}, fmt.Errorf("get: %w", data.ErrNotFound)
}

// Events looks at most at ten events for one page, as a store with a bounded
// scan does.
func (s *store) Events(q data.EventQuery) (data.EventPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	page := data.EventPage{Next: q.After}
	looked, enough := 0, false
	for _, e := range s.events {
		if e.ID <= q.After {
			continue
		}
		if enough || looked == 10 || len(page.Events) == q.Limit {
			page.More = true
			return page, nil
		}
		looked++
		page.Next = e.ID
		if q.Type == "" || q.Type == e.Type {
			page.Events = append(page.Events, e)
			enough = q.Enough != nil && q.Enough(e)
		}
	}
	return page, nil
}

func (s *store) Message(id data.ID) (data.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		if m.ID == id {
			return m, nil
		}
	}
	return data.Message{}, fmt.Errorf("get: %w", data.ErrNotFound)
}

func (s *store) Messages(q data.MessageQuery) (data.MessagePage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var after data.ID
	if q.After != "" {
		if _, err := fmt.Sscanf(q.After, "m%d", &after); err != nil {
			return data.MessagePage{}, data.ErrBadCursor
		}
	}
	var page data.MessagePage
	enough := false
	for _, m := range s.messages {
		if m.ID <= after || q.Gateway != "" && q.Gateway != m.Gateway || len(q.States) > 0 && !slices.Contains(q.States, m.State) ||
			q.Cause != "" && q.Cause != m.Cause() || q.Unsent && m.ResentAs != 0 || !q.Within(&m) {
			continue
		}
		if enough || len(page.Messages) == q.Limit {
			page.Next = fmt.Sprintf("m%d", page.Messages[len(page.Messages)-1].ID)
			return page, nil
		}
		page.Messages = append(page.Messages, m)
		enough = q.Enough != nil && q.Enough(m)
	}
	return page, nil
}

// EventsBelow looks at most at ten events for one page.
func (s *store) EventsBelow(id data.ID, kind string, limit int) (found []data.Event, next data.ID, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	looked := 0
	for _, e := range slices.Backward(s.events) {
		if id != 0 && e.ID >= id {
			continue
		}
		if looked == 10 || len(found) == limit {
			return found, next, nil
		}
		looked, next = looked+1, e.ID
		if kind == "" || kind == e.Type {
			found = append(found, e)
		}
	}
	return found, 0, nil
}

func (s *store) MessagesBelow(id data.ID, limit int) (found []data.Message, next data.ID, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range slices.Backward(s.messages) {
		if id != 0 && m.ID >= id {
			continue
		}
		if len(found) == limit {
			return found, next, nil
		}
		found, next = append(found, m), m.ID
	}
	return found, 0, nil
}

func (s *store) Made(event data.ID, limit int) (found []data.Message, more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		if m.Event != event || m.ResendOf != 0 {
			continue
		}
		if len(found) == limit {
			return found, true, nil
		}
		found = append(found, m)
	}
	return found, false, nil
}

func (s *store) Lane(gateway string) (data.Lane, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lane, ok := s.lanes[gateway]
	if !ok {
		return data.Lane{}, data.ErrNotFound
	}
	return lane, nil
}

func (s *store) Lanes() ([]data.Lane, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.lanes)), nil
}

func (s *store) Declare(ctx context.Context, name string, declaration []byte, anew bool) (created bool, faults []Fault, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := ctx.Deadline(); !ok {
		return false, nil, errors.New("no deadline")
	}
	at := slices.IndexFunc(s.gateways, func(g data.Gateway) bool { return g.Name == name })
	switch {
	case s.refusal != nil:
		return false, nil, fmt.Errorf("commit group 17 of /var/secret: %w", s.refusal)
	case at >= 0 && s.gateways[at].Origin == data.OriginConfig:
		return false, nil, data.ErrDeclaredInFile
	case at >= 0 && anew:
		return false, nil, data.ErrExists
	case len(s.faults) > 0:
		return false, s.faults, nil
	}
	s.declared[name] = string(declaration)
	if at >= 0 {
		return false, nil, nil
	}
	s.gateways = append(s.gateways, data.Gateway{Name: name, Origin: data.OriginAPI, Method: "POST", URL: "https://example.org/***", Body: "json"})
	return true, nil, nil
}

func (s *store) Undeclare(ctx context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := ctx.Deadline(); !ok {
		return errors.New("no deadline")
	}
	at := slices.IndexFunc(s.gateways, func(g data.Gateway) bool { return g.Name == name })
	switch {
	case s.refusal != nil:
		return fmt.Errorf("commit group 17 of /var/secret: %w", s.refusal)
	case at < 0:
		return data.ErrNotFound
	case s.gateways[at].Origin == data.OriginConfig:
		return data.ErrDeclaredInFile
	}
	s.gateways = slices.Delete(slices.Clone(s.gateways), at, at+1)
	return nil
}

func (s *store) Reload(ctx context.Context) (Reloaded, []KeyFault, error) { return s.reload(ctx) }
func (s *store) Oldest(gateway string) (at time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		if m.Gateway == gateway && !m.State.Final() && (at.IsZero() || m.AcceptedAt.Before(at)) {
			at = m.AcceptedAt
		}
	}
	return at, nil
}

func (s *store) Newest() data.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var newest data.ID
	for _, e := range s.events {
		newest = max(newest, e.ID)
	}
	for _, m := range s.messages {
		newest = max(newest, m.ID)
	}
	return newest
}

func (s *store) Summary() Summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.summary
}

func (s *store) History(gateway string) (History, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.history[gateway]
	return h, ok
}

func (s *store) Gateway(name string) (data.Gateway, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.gateways {
		if g.Name == name {
			return g, true
		}
	}
	return data.Gateway{}, false
}

func (s *store) Gateways() []data.Gateway {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gateways
}

func (s *store) Render(m data.NewMessage) ([]Rendered, []Fault, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trials = append(s.trials, m)
	return s.render(m)
}

func (s *store) Test(ctx context.Context, m data.NewMessage) ([]Tried, int, []Fault, error) {
	s.mu.Lock()
	s.trials = append(s.trials, m)
	s.mu.Unlock()
	return s.test(ctx, m)
}

func (s *store) Backup(ctx context.Context, w io.Writer, _ func(entries, bytes int64)) error {
	return s.backup(ctx, w)
}

func (s *store) MayBackUp() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tight
}

// saved returns how often Save was called.
func (s *store) saved() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.saves)
}

// newServer makes a server over a store; change may change its options.
func newServer(tb testing.TB, s *store, change ...func(*Options)) *Server {
	tb.Helper()
	o := Options{
		Saver: s, Canceller: s, Resender: s, Pauser: s, Reader: s, Gateways: s, Trier: s, Overview: s, Backuper: s, Declarer: s, Reloader: s,
		Hosts:  []string{"example.com", "post.example.com", "h", "evil"},
		Logger: slog.New(slog.DiscardHandler),
		Now:    func() time.Time { return noon },
	}
	for _, c := range change {
		c(&o)
	}
	server, err := New(o)
	if err != nil {
		tb.Fatalf("New: %v", err)
	}
	return server
}

// forgetting is a clock that goes on so far with each look that no failure counts
// for the next one.
func forgetting() func() time.Time {
	var looks atomic.Int64
	return func() time.Time { return noon.Add(time.Duration(looks.Add(1)) * time.Minute) }
}

// reply is an answer, read.
type reply struct {
	status int
	header http.Header
	body   string
}

// do sends a request without a socket. Headers are given as "Name: value".
func do(tb testing.TB, s *Server, method, target, body string, headers ...string) reply {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), method, target, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
	answer, err := s.app.Test(r, -1)
	if err != nil {
		tb.Fatalf("%s %s: %v", method, target, err)
	}
	b, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		tb.Fatalf("%s %s: read the answer: %v", method, target, err)
	}
	return reply{status: answer.StatusCode, header: answer.Header, body: string(b)}
}

// transcript collects requests and answers and compares them with a golden file.
type transcript struct {
	tb     testing.TB
	server *Server
	text   bytes.Buffer
	// undocumented: the answers are none that the route gives otherwise.
	undocumented bool
}

// do sends a request and writes it down, shortened where it is long.
func (t *transcript) do(title, method, target, body string, headers ...string) reply {
	t.tb.Helper()
	got := do(t.tb, t.server, method, target, body, headers...)
	if !t.undocumented {
		wantDocumented(t.tb, method, target, got)
	}
	fmt.Fprintf(&t.text, "# %s\n%s %s\n", title, method, target)
	for _, h := range headers {
		fmt.Fprintf(&t.text, "%s\n", h)
	}
	if body != "" {
		fmt.Fprintf(&t.text, "%s\n", short(body))
	}
	fmt.Fprintf(&t.text, "-> %d\n", got.status)
	for _, name := range []string{"Accept-Encoding", "Allow", "Cache-Control", "Content-Type", "Idempotent-Replayed", "Location", "Retry-After", "Www-Authenticate"} {
		for _, value := range got.header.Values(name) {
			fmt.Fprintf(&t.text, "%s: %s\n", name, value)
		}
	}
	if got.body != "" {
		fmt.Fprintf(&t.text, "%s\n", short(got.body))
	}
	t.text.WriteString("\n")
	return got
}

func short(text string) string {
	if len(text) > 600 {
		return fmt.Sprintf("%s ... %d bytes", text[:400], len(text))
	}
	return text
}

// compare ends the transcript.
func (t *transcript) compare(name string) {
	t.tb.Helper()
	path := filepath.Join("testdata", name+".golden")
	got := t.text.Bytes()
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.tb.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.tb.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.tb.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	gotLines, wantLines := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(gotLines), len(wantLines)) {
		if gotLines[i] != wantLines[i] {
			t.tb.Fatalf("%s:%d:\ngot  %s\nwant %s", path, i+1, gotLines[i], wantLines[i])
		}
	}
	t.tb.Fatalf("%s has %d lines, got %d", path, len(wantLines), len(gotLines))
}

// logLines is a logger's output, safe to read while others write.
type logLines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logLines) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if slices.Contains([]string{slog.TimeKey, "took"}, a.Key) {
			return slog.Attr{}
		}
		return a
	}}))
}
