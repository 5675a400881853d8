package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/http/dialect"
)

// What prints something takes --json, but for what is no data: a process that runs, a file
// of configuration, a key beside the entry for one.
func TestEveryCommandTakesJSON(t *testing.T) {
	t.Parallel()
	without := []string{"postrider serve", "postrider propagate", "postrider config check", "postrider config print", "postrider key"}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, inner := range c.Commands() {
			visit(inner)
		}
		if path := c.CommandPath(); !c.HasSubCommands() && (c.Flags().Lookup("json") == nil) != slices.Contains(without, path) {
			t.Errorf("%s has --json: %v", path, c.Flags().Lookup("json") != nil)
		}
	}
	visit(rootCommand())
}

// document runs a command that has to print one document in one line, and nothing else.
func document(t *testing.T, args ...string) map[string]any {
	t.Helper()
	code, out, errs := command(t, args...)
	var got map[string]any
	if err := json.Unmarshal([]byte(out), &got); code != exitClean || err != nil || errs != "" || strings.Count(out, "\n") != 1 {
		t.Errorf("%q = %d %q %q, %v; want 0 and one line", args, code, out, errs, err)
	}
	return got
}

func TestSendAsJSON(t *testing.T) {
	t.Parallel()
	answer := `{"id": "0000000000002"}`
	a := newAsked(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) })
	send := []string{"send", "-g", "chat", "--server", a.url, "hello", "--json"}
	for said, want := range map[string]string{
		answer: `{"id":"0000000000002"}`,
		`{"ids": ["0000000000002", "0000000000003"]}`: `{"ids":["0000000000002","0000000000003"]}`,
	} {
		answer = said
		if code, out, errs := command(t, send...); code != exitClean || out != want+"\n" || errs != "" {
			t.Errorf("send --json = %d %q %q, want the answer", code, out, errs)
		}
	}
	for _, answer = range []string{"{}", "<html>", "[]"} {
		if code, out, errs := command(t, send...); code != exitFailure || out != "" || !strings.Contains(errs, "not Postrider") {
			t.Errorf("send --json that gets %s = %d %q %q, want 1", answer, code, out, errs)
		}
	}
}

func TestHealthAsJSON(t *testing.T) {
	t.Parallel()
	status, answer := http.StatusOK, `{"status": "ready", "config": {"refused_at": null}}`
	a := newAsked(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	})
	health := []string{"health", "--ready", "--json", "--server", a.url}
	if got := document(t, health...); got["status"] != "ready" || got["config"] == nil {
		t.Errorf("health --json = %v, want the answer", got)
	}
	answer = "{}"
	if code, out, _ := command(t, health...); code != exitFailure || out != "" {
		t.Errorf("health --json of somebody else = %d %q, want 1", code, out)
	}
	status, answer = http.StatusServiceUnavailable, `{"reasons": ["storage is full"]}`
	if code, out, errs := command(t, health...); code != exitFailure || out != "" || !strings.Contains(errs, "503: storage is full") {
		t.Errorf("health --json of what is not ready = %d %q %q, want 1", code, out, errs)
	}
}

func TestBackupAndRestoreAsJSON(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, saying(200))
	cfg := settings(t)
	cfg.Gateways = map[string]config.Gateway{"chat": at(gateway.url)}
	p := start(t, cfg, nil)
	post(t, p.url+"/event", `{"event_type": "a", "event_payload": "b"}`)
	p.await(t, post(t, p.url+"/send_message", messageFor("chat", "x")), "delivered")
	file := filepath.Join(t.TempDir(), "one.backup")
	made := document(t, "backup", "--json", "--server", p.url, file)
	if records, _ := made["records"].(float64); made["file"] != file || records < 2 || made["bytes"].(float64) < records {
		t.Errorf("backup --json = %v, want the file and what is in it", made)
	}
	path := filepath.Join(t.TempDir(), "restored")
	code, out, errs := command(t, "restore", "--json", file, "--storage.path", path, "--storage.memtable", "8MiB", "--storage.min_free", "128MiB")
	want := fmt.Sprintf(`{"path":%q,"as_of":%q,"events":1,"counts":{"cancelled":0,"delivered":1,"expired":0,"failed":0,"queued":0,"sending":0,"unknown":0,"waiting":0}}`+"\n", path, made["as_of"])
	if code != exitClean || out != want {
		t.Errorf("restore --json = %d %q %q, want %s", code, out, errs, want)
	}
	if code, out, _ := command(t, "restore", "--json", file, "--storage.path", path); code != exitUsage || out != "" {
		t.Errorf("restore --json over a store = %d %q, want 2", code, out)
	}
	asked := newAsked(t, func(http.ResponseWriter, *http.Request) {})
	if code, out, errs := command(t, "backup", "--json", "--server", asked.url, "-"); code != exitUsage || out != "" || !strings.Contains(errs, "needs a file") || len(asked.seen()) > 0 {
		t.Errorf("backup --json - = %d %q %q, want 2 and nobody asked", code, out, errs)
	}
}

func TestVersionAsJSON(t *testing.T) {
	t.Parallel()
	b, got := build(), document(t, "version", "--json")
	want := map[string]any{"version": b.Version, "commit": b.Commit, "date": b.Date, "go_version": b.GoVersion, "platform": b.Platform}
	if !reflect.DeepEqual(got, want) || b.Version == "" {
		t.Errorf("version --json = %v, want %v", got, want)
	}
}

// Each preset is shown as the list has it, with its declaration.
func TestPresetAsJSON(t *testing.T) {
	t.Parallel()
	_, list, _ := command(t, "presets", "list", "--json")
	var all []map[string]any
	if err := json.Unmarshal([]byte(list), &all); err != nil || len(all) != len(dialect.Presets()) {
		t.Fatalf("presets list --json = %s, %v", list, err)
	}
	for _, want := range all {
		got := document(t, "presets", "show", "--json", want["name"].(string))
		if declaration, _ := got["declaration"].(map[string]any); len(declaration) == 0 {
			t.Errorf("presets show --json = %v, want a declaration", got)
		}
		if delete(got, "declaration"); !reflect.DeepEqual(got, want) {
			t.Errorf("presets show --json = %v, want %v", got, want)
		}
	}
}

// One message is one message.
func TestResendOfOne(t *testing.T) {
	t.Parallel()
	url, _ := scripted(t, `{"matching":1,"next":null}`)
	if code, out, errs := command(t, "messages", "resend", "--server", url, "--dry-run"); code != exitClean || out != "1 message matches\n" {
		t.Errorf("messages resend = %d %q %q", code, out, errs)
	}
}

// What cobra adds takes only what there is, too.
func TestHelpAndCompletionOfNothing(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"help", "nonsense"},
		{"help", "config", "nonsense"},
		{"help", "version", "nonsense"},
		{"completion", "tcsh"},
		{"completion", "bash", "tcsh"},
	} {
		if code, out, errs := command(t, args...); code != exitUsage || out != "" || !strings.Contains(errs, args[len(args)-1]) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q = %d %q %q, want 2 and an error", args, code, out, errs)
		}
	}
	for _, args := range [][]string{{"help"}, {"help", "config", "check"}, {"help", "completion", "fish"}, {"completion"}, {"completion", "--help"}} {
		if code, out, errs := command(t, args...); code != exitClean || !strings.Contains(out, "Usage:") || errs != "" {
			t.Errorf("%q = %d %q %q, want 0 and help", args, code, out, errs)
		}
	}
}
