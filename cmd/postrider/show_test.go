package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// asked is a server that answers by path and query, and notes what it was asked.
type asked struct {
	url      string
	mu       sync.Mutex
	requests []string // method, path with query, body
}

func newAsked(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) *asked {
	t.Helper()
	a := &asked{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		a.requests = append(a.requests, strings.TrimSpace(r.Method+" "+r.URL.String()+" "+string(b)))
		a.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

func (a *asked) seen() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.requests)
}

const hiddenMessage = `{"id":"0000000000004","gateway":"chat","state":"failed","accepted_at":"2026-01-31T12:00:00.5Z","attempts":[{"number":1,"began_at":"2026-01-31T12:00:01Z","duration_ms":1500,"outcome":"temporary","status":503,"cause":"status","hint_ms":2000}]}`

// A list is followed page by page until there is as much as was asked for, and says
// where it goes on.
func TestListsFollowPages(t *testing.T) {
	t.Parallel()
	a := newAsked(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("after") == "" {
			_, _ = fmt.Fprintf(w, `{"messages":[%s,{"id":"0000000000006","gateway":"chat","message":"a\u001b[31m\nb","state":"queued","accepted_at":"2026-01-31T12:00:00Z","attempts":[]}],"next":"x y"}`, hiddenMessage)
			return
		}
		_, _ = io.WriteString(w, `{"messages":[],"next":"z"}`)
		if len(r.URL.Query()) != 4 {
			t.Errorf("the second page is asked for by %s", r.URL)
		}
	})
	code, out, errs := command(t, "messages", "list", "--server", a.url, "--gateway", "chat", "--state", "dead", "--limit", "2")
	want := `ID             GATEWAY  STATE   ACCEPTED              ATTEMPTS  LAST           MESSAGE
0000000000004  chat     failed  2026-01-31 12:00:00Z  1         temporary 503  (hidden)
0000000000006  chat     queued  2026-01-31 12:00:00Z  0         -              a\x1b[31m\nb
`
	if code != exitClean || out != want || errs != "there may be more: --after x y\n" {
		t.Errorf("messages list = %d\n%s%s, want\n%s", code, out, errs, want)
	}
	code, out, _ = command(t, "messages", "list", "--server", a.url, "--json", "--limit", "2")
	if code != exitClean || strings.Count(out, "\n") != 2 || !strings.HasPrefix(out, hiddenMessage+"\n") {
		t.Errorf("messages list --json = %d\n%s, want a line for each", code, out)
	}
	wanted := []string{"GET /api/v1/messages?gateway=chat&limit=2&state=dead", "GET /api/v1/messages?limit=2"}
	if got := a.seen(); !slices.Equal(got, wanted) {
		t.Errorf("asked %q, want %q", got, wanted)
	}
}

func TestListsGoOnUntilTheLimit(t *testing.T) {
	t.Parallel()
	n := 0
	a := newAsked(t, func(w http.ResponseWriter, _ *http.Request) {
		if n++; n == 4 {
			_, _ = io.WriteString(w, `{"events":[],"next":null}`)
			return
		}
		_, _ = fmt.Fprintf(w, `{"events":[{"id":"%d","event_type":"t","event_payload":"","received_at":"2026-01-31T12:00:00Z"}],"next":"c%d"}`, n, n)
	})
	code, out, errs := command(t, "events", "list", "--server", a.url, "--type", "t", "--limit", "1005")
	if code != exitClean || strings.Count(out, "\n") != 4 || errs != "" {
		t.Errorf("events list = %d %s %s, want three and the head", code, out, errs)
	}
	want := []string{
		"GET /api/v1/events?event_type=t&limit=1000", "GET /api/v1/events?after=c1&event_type=t&limit=1000",
		"GET /api/v1/events?after=c2&event_type=t&limit=1000", "GET /api/v1/events?after=c3&event_type=t&limit=1000",
	}
	if got := a.seen(); !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
}

// What answers and is no Postrider is told as that, whatever it says.
func TestAnswersThatAreNotOurs(t *testing.T) {
	t.Parallel()
	for _, said := range []string{"<html>", "{}", "[]", `{"messages":1}`, `{"gateways":[7],"messages":[7],"events":[7],"next":null}`} {
		a := newAsked(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, said) })
		for _, args := range [][]string{
			{"messages", "list"},
			{"messages", "show", "0000000000004"},
			{"messages", "cancel", "0000000000004"},
			{"events", "list"},
			{"gateways", "list"},
			{"gateways", "show", "chat"},
			{"gateways", "pause", "chat"},
			{"gateways", "remove", "chat"},
			{"status"},
			{"reload"},
			{"whoami"},
		} {
			for _, more := range []string{"--json=false", "--json"} {
				if code, out, errs := command(t, append(args, more, "--server", a.url)...); code != exitFailure || out != "" || !strings.Contains(errs, "not Postrider") {
					t.Errorf("%q %s that gets %s = %d %s%s, want 1", args, more, said, code, out, errs)
				}
			}
		}
	}
}

// A proxy, or another server, that says 200 to everything has neither events nor a
// backup: the one is not asked for again and again, the other not written down.
func TestStreamsThatAreNotOurs(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"text/html; charset=utf-8", "application/json", ""} {
		a := newAsked(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{kind}
			_, _ = io.WriteString(w, "<html>")
		})
		for _, args := range [][]string{{"events", "tail"}, {"backup", "-"}, {"backup", filepath.Join(t.TempDir(), "b")}} {
			ctx, cancel := context.WithTimeout(t.Context(), patience/4) // else a tail that goes on asking has no end
			var out, errs logBuffer
			code := execute(ctx, append(args, "--server", a.url), &out, &errs)
			cancel()
			if code != exitFailure || out.String() != "" || errs.String() != "postrider: what answered is not Postrider\n" {
				t.Errorf("%q that gets %q = %d %s%s, want 1", args, kind, code, out.String(), errs.String())
			}
		}
		if got := a.seen(); len(got) != 3 {
			t.Errorf("asked %q, want each once", got)
		}
	}
}

// That there is no gateway of a name is said only when Postrider says so.
func TestNoGateway(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]bool{`{"title":"Not found"}`: true, "<html>nothing here": false} {
		a := newAsked(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, said)
		})
		for _, verb := range []string{"show", "remove", "pause"} {
			code, _, errs := command(t, "gateways", verb, "chat", "--server", a.url)
			if code != exitFailure || strings.Contains(errs, "there is no gateway chat") != want {
				t.Errorf("gateways %s that gets 404 %s = %d %s", verb, said, code, errs)
			}
		}
	}
}

// The key goes to the server that was named and nowhere else.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Setenv("POSTRIDER_KEY", "canary-key")
	other := newAsked(t, func(http.ResponseWriter, *http.Request) {})
	a := newAsked(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer canary-key" {
			t.Error("the key is not sent")
		}
		http.Redirect(w, r, other.url, http.StatusTemporaryRedirect)
	})
	code, out, errs := command(t, "messages", "list", "--server", a.url)
	if code != exitFailure || !strings.Contains(errs, "refused it with 307") || strings.Contains(out+errs, "canary") {
		t.Errorf("redirected = %d %s %s, want 1", code, out, errs)
	}
	if got := other.seen(); len(got) > 0 {
		t.Errorf("the other one was asked %q", got)
	}
}

// Secrets are read where the command runs, in all places but the body, which may have
// such objects of its own.
func TestAddReadsSecrets(t *testing.T) {
	t.Setenv("CHAT_TOKEN", "canary-1")
	a := newAsked(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"name":"chat"}`) })
	secret := writeFile(t, "secret", "canary-2\n")
	file := writeFile(t, "chat.yaml", `
url: "https://example.org/x"
headers: {Authorization: {env: CHAT_TOKEN}}
auth: {basic: {user: me, password: {file: `+secret+`}}}
body: {json: {env: CHAT_TOKEN}}
`)
	if code, out, errs := command(t, "gateways", "add", "chat", "--file", file, "--server", a.url); code != exitClean || out != "chat is declared\n" {
		t.Errorf("gateways add = %d %s %s", code, out, errs)
	}
	if code, out, errs := command(t, "gateways", "add", "chat", "--file", file, "--replace", "--server", a.url); code != exitClean || out != "chat is declared\n" {
		t.Errorf("gateways add --replace = %d %s %s", code, out, errs)
	}
	const body = `"auth":{"basic":{"password":"canary-2","user":"me"}},"body":{"json":{"env":"CHAT_TOKEN"}},"headers":{"Authorization":"canary-1"}`
	want := []string{
		`POST /api/v1/gateways {` + body + `,"name":"chat","url":"https://example.org/x"}`,
		`PUT /api/v1/gateways/chat {` + body + `,"url":"https://example.org/x"}`,
	}
	if got := a.seen(); !slices.Equal(got, want) {
		t.Errorf("asked\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, wrong := range []string{"headers: {A: {env: NOT_SET_ANYWHERE}}", "auth: {bearer: {file: /nowhere}}", "[1]", "", "a: b: c"} {
		code, _, errs := command(t, "gateways", "add", "chat", "--file", writeFile(t, "wrong.yaml", wrong), "--server", a.url)
		if code != exitUsage || strings.Contains(errs, "canary") {
			t.Errorf("gateways add of %q = %d %s, want 2", wrong, code, errs)
		}
	}
	if len(a.seen()) != 2 {
		t.Error("something wrong was sent")
	}
}

// A tail that breaks off goes on behind what it has shown, and ends by itself only when
// it makes no sense to ask again.
func TestTailGoesOn(t *testing.T) {
	t.Parallel()
	const event = `{"id":"%s","event_type":"t","event_payload":"one\ntwo\u001b","received_at":"2026-01-31T12:00:00Z"}`
	n := 0
	a := newAsked(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		switch n++; n {
		case 1:
			_, _ = fmt.Fprintf(w, ": from here on\n\nid: 0000000000002\nevent: event\ndata: "+event+"\n\nid: 0000000000004\ndata: {", "0000000000002")
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"title":"Stopping"}`)
		case 3:
			_, _ = fmt.Fprintf(w, "id: 0000000000004\nevent: event\ndata: "+event+"\n\n", "0000000000004")
		case 4: // an older server, which says no place
			_, _ = io.WriteString(w, ": from here on\n\n")
		case 5: // a place to go on from without an event, and one that was cut off
			_, _ = io.WriteString(w, ": still here\nid: 0000000000006\n\n: still here\nid: 0000000000008\n")
		default:
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"title":"Unauthorized"}`)
		}
	})
	run := func(ctx context.Context, more ...string) (string, string, error) {
		var out, errs logBuffer
		c := tailCommand()
		tail := tailer{rest: time.Millisecond, silence: patience, kind: "t", view: view{server: remote{address: a.url}}}
		tail.json = slices.Contains(more, "json")
		c.SetOut(&out)
		c.SetErr(&errs)
		c.SetContext(ctx)
		err := tail.run(c)
		return out.String(), errs.String(), err
	}
	out, _, err := run(t.Context())
	refusal, ok := errors.AsType[refused](err)
	if !ok || refusal.status != http.StatusUnauthorized {
		t.Errorf("tail = %v, want it to end with 401", err)
	}
	want := "2026-01-31 12:00:00Z  0000000000002  t  one\\ntwo\\x1b\n2026-01-31 12:00:00Z  0000000000004  t  one\\ntwo\\x1b\n"
	if out != want {
		t.Errorf("tail shows\n%s, want\n%s", out, want)
	}
	wanted := []string{
		"GET /api/v1/events/tail?event_type=t", "GET /api/v1/events/tail?after=0000000000002&event_type=t",
		"GET /api/v1/events/tail?after=0000000000002&event_type=t", "GET /api/v1/events/tail?after=0000000000004&event_type=t",
		"GET /api/v1/events/tail?after=0000000000004&event_type=t", "GET /api/v1/events/tail?after=0000000000006&event_type=t",
	}
	if got := a.seen(); !slices.Equal(got, wanted) {
		t.Errorf("asked %q, want %q", got, wanted)
	}
}
