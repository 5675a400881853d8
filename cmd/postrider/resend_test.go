package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
)

// scripted is a server that gives these answers, "503" standing for a refusal,
// and returns what it was asked.
func scripted(t *testing.T, answers ...string) (url string, asked *[]string) {
	t.Helper()
	asked = new([]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		*asked = append(*asked, string(b))
		if len(*asked) > len(answers) || answers[len(*asked)-1] == "503" {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"title":"Stopping"}`)
			return
		}
		_, _ = io.WriteString(w, answers[len(*asked)-1])
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

// The command counts first and then sends again, page by page, what was counted:
// what fails anew meanwhile comes back at the end and is left alone.
func TestResendDrivesPages(t *testing.T) {
	t.Parallel()
	url, asked := scripted(t,
		`{"matching":1500,"next":"a"}`, `{"matching":1000,"next":null}`,
		`{"resent":999,"skipped":1,"next":"b"}`, `{"resent":0,"skipped":0,"next":"c"}`,
		`{"resent":1000,"skipped":0,"next":"d"}`, `{"resent":490,"skipped":10,"next":"e"}`)
	code, out, errs := command(t, "messages", "resend", "--server", url, "--gateway", "chat", "--state", "failed", "--cause", "refused")
	if code != exitClean || out != "2500 messages match\n2489 are sent again, 11 skipped: their gateway is not declared any more, or somebody else sent them again\n" || errs != "" {
		t.Errorf("messages resend = %d %q %q, want 0 and 2489 of 2500", code, out, errs)
	}
	const filter = `{"gateway":"chat","state":"failed","cause":"refused",`
	want := []string{
		filter + `"limit":1000,"dry_run":true}`, filter + `"after":"a","limit":1000,"dry_run":true}`,
		filter + `"limit":1000}`, filter + `"after":"b","limit":1000}`,
		filter + `"after":"c","limit":1000}`, filter + `"after":"d","limit":500}`,
	}
	if !slices.Equal(*asked, want) {
		t.Errorf("the server was asked\n%s\nwant\n%s", strings.Join(*asked, "\n"), strings.Join(want, "\n"))
	}
}

// A filter that is empty, by a variable that is not set, does not come to mean all.
func TestResendWithEmptyFilter(t *testing.T) {
	t.Parallel()
	url, asked := scripted(t)
	for _, flag := range []string{"--gateway", "-g", "--state", "--cause"} {
		for _, more := range [][]string{nil, {"0000000000002"}, {"--dry-run"}} {
			args := append([]string{"messages", "resend", "--server", url, flag, ""}, more...)
			if code, _, errs := command(t, args...); code != exitUsage || !strings.Contains(errs, "is given and empty") {
				t.Errorf("%q = %d %q, want 2 and that it is empty", args, code, errs)
			}
		}
	}
	if len(*asked) > 0 {
		t.Errorf("the server was asked %v, want nothing", *asked)
	}
}

func TestResendBrokenOff(t *testing.T) {
	t.Parallel()
	const count = `{"matching":2000,"next":null}`
	page := `{"resent":1000,"skipped":0,"next":"b"}`
	for name, c := range map[string]struct {
		answers []string
		says    []string
	}{
		"refused at once":     {[]string{"503"}, []string{"503", "Stopping"}},
		"refused later":       {[]string{count, page, "503"}, []string{"503", "1000 are sent again"}},
		"not ours":            {[]string{"<html>"}, []string{"not Postrider"}},
		"not ours, JSON":      {[]string{"{}"}, []string{"not Postrider"}},
		"counted, not ours":   {[]string{count, count}, []string{"not Postrider", "0 are sent again"}},
		"numbers are strings": {[]string{`{"matching":"2000"}`}, []string{"not Postrider"}},
	} {
		url, asked := scripted(t, c.answers...)
		code, _, errs := command(t, "messages", "resend", "--server", url)
		if code != exitFailure || len(*asked) != len(c.answers) {
			t.Errorf("%s: messages resend = %d after %d requests, want 1 after %d", name, code, len(*asked), len(c.answers))
		}
		for _, text := range c.says {
			if !strings.Contains(errs, text) {
				t.Errorf("%s: messages resend said %q, which does not have %q", name, errs, text)
			}
		}
	}
	// A server that goes away in the middle may have done it.
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(server.Close)
	for _, args := range [][]string{{"messages", "resend"}, {"messages", "resend", "0000000000002"}} {
		if code, _, errs := command(t, append(args, "--server", server.URL)...); code != exitFailure || !strings.Contains(errs, "repeat the command") {
			t.Errorf("%v without an answer = %d %q, want 1 and that it can be repeated", args, code, errs)
		}
	}
	url, _ := scripted(t, `{"name":"other","paused":true}`)
	if code, out, _ := command(t, "gateways", "pause", "chat", "--server", url); code != exitFailure || out != "" {
		t.Errorf("gateways pause by somebody else = %d %q, want 1", code, out)
	}
}

// More than a page of messages that fail again at once are each sent again once.
func TestResendOfWhatFailsAgain(t *testing.T) {
	t.Parallel()
	const messages = data.MaxResend + 100
	gateway := newGateway(t, saying(http.StatusGone))
	cfg := settings(t)
	cfg.Delivery.MaxAttempts = 1
	cfg.Gateways = map[string]config.Gateway{"chat": at(gateway.url)}
	cfg.Routes = every("chat", "{{event_payload}}")
	p := start(t, cfg, nil)
	p.backlog(t, data.MaxResend)
	p.backlog(t, 100)
	p.awaitAll(t, "chat", "failed", messages)
	code, out, errs := command(t, "messages", "resend", "--server", p.url, "--json")
	if code != exitClean || out != `{"matching":1100,"resent":1100,"skipped":0}`+"\n" {
		t.Errorf("messages resend = %d %q %q, want 0 and all 1100", code, out, errs)
	}
	p.awaitAll(t, "chat", "failed", 2*messages)
	if n := len(gateway.seen()); n != 2*messages {
		t.Errorf("%d requests came, want each message and each of those that it became, %d", n, 2*messages)
	}
}

func TestAgreed(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]bool{"y\n": true, "YES \n": true, "\n": false, "n\n": false, "": false, "y": false, "yesterday\n": false} {
		var asked strings.Builder
		if err := agreed(t.Context(), strings.NewReader(said), &asked, "go on?"); (err == nil) != want || asked.String() != "go on? [y/N] " {
			t.Errorf("agreed to %q = %v after %q, want %v", said, err, asked.String(), want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	silent, _ := io.Pipe()
	if err := agreed(ctx, silent, io.Discard, "go on?"); err == nil {
		t.Error("agreed, though nobody said anything")
	}
}
