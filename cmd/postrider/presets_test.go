package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/http/dialect"
)

// The table of the documentation has every preset with its settings and sources.
func TestPresetsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "dialects.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range dialect.Presets() {
		p, _ := dialect.LookupPreset(name)
		at := strings.Index(string(text), "| `"+name+"` | "+p.Description+" |")
		if at < 0 {
			t.Errorf("docs/dialects.md has no row for %s", name)
			continue
		}
		row, _, _ := strings.Cut(string(text[at:]), "\n")
		for _, s := range p.Settings {
			if !strings.Contains(row, "`"+s.Name+"`") {
				t.Errorf("docs/dialects.md does not name the setting %s of %s", s.Name, name)
			}
		}
		for _, source := range p.Source {
			if !strings.Contains(row, "("+source+")") {
				t.Errorf("docs/dialects.md does not name the source %s of %s", source, name)
			}
		}
	}
}

func TestPresetsCommand(t *testing.T) {
	call := func(args ...string) (code int, out, errs string) {
		var o, e bytes.Buffer
		code = execute(t.Context(), append([]string{"presets"}, args...), &o, &e)
		return code, o.String(), e.String()
	}
	code, out, errs := call("list")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); code != exitClean || errs != "" || len(lines) != len(dialect.Presets()) ||
		!strings.Contains(out, "telegram           Telegram bot, sendMessage\n") {
		t.Errorf("presets list = %d %q, %q; want a line for each preset", code, out, errs)
	}
	code, out, errs = call("list", "--json")
	var all []presetAnswer
	if err := json.Unmarshal([]byte(out), &all); code != exitClean || err != nil || errs != "" {
		t.Errorf("presets list --json = %d %q, %q: %v", code, out, errs, err)
	}
	at := slices.IndexFunc(all, func(p presetAnswer) bool { return p.Name == "twilio" })
	if at < 0 || len(all[at].Settings) != 3 || !all[at].Settings[1].Secret || len(all[at].Source) == 0 || !slices.Equal(all[at].Needs, []any{"to"}) {
		t.Errorf("presets list --json = %s; want all of twilio", out)
	}
	for _, p := range all {
		if p.Settings == nil && strings.Contains(out, `"settings":null`) {
			t.Errorf("presets list --json = %s; want lists", out)
			break
		}
	}
	p, _ := dialect.LookupPreset("telegram")
	if code, out, errs = call("show", "telegram"); code != exitClean || out != p.Text || errs != "" {
		t.Errorf("presets show telegram = %d %q, %q; want its file", code, out, errs)
	}
	for _, args := range [][]string{{"show"}, {"show", "s3cret"}, {"show", "a", "b"}, {"list", "x"}, {"list", "--no"}, {"no"}} {
		if code, out, errs = call(args...); code != exitUsage || out != "" || errs == "" || strings.Contains(errs, "s3cret") {
			t.Errorf("presets %v = %d %q, %q; want 2 and an error", args, code, out, errs)
		}
	}
}

// A URL that is laid over one with a secret in it is a secret too.
func TestURLOverASecretOne(t *testing.T) {
	cfg, err := read(t, `
gateways:
  hook: {preset: slack-webhook, url: "https://hooks.example/services/T0/canary"}
  bot: {preset: telegram, url: "https://api.example/bot1:canary/sendMessage", settings: {token: {env: TOKEN}, chat_id: "1"}}
  elsewhere: {preset: telegram, url: "https://proxy.example/bot{{settings.token}}/sendMessage", settings: {token: {env: TOKEN}, chat_id: "1"}}
  plain: {preset: twilio, url: "https://twilio.example/plain", settings: {account_sid: AC1, auth_token: {env: TOKEN}, from: "+1"}}
`, "TOKEN=canary-token")
	if err != nil {
		t.Fatal(err)
	}
	c, mistakes := newCatalog(cfg, "http://127.0.0.1:1", nil)
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	for name, want := range map[string]string{
		"hook": "https://hooks.example/***", "bot": "https://api.example/***",
		"elsewhere": "https://proxy.example/bot{{settings.token}}/sendMessage", "plain": "https://twilio.example/plain",
	} {
		if g := c.entries[name].shown; g.URL != want {
			t.Errorf("Gateway(%s) shows %s, want %s", name, g.URL, want)
		}
		r, err := c.declaration(name).Preview(dialect.Input{To: "+2", Text: "x", Attempt: 1})
		if err != nil || strings.Contains(fmt.Sprintf("%+v", r), "canary") {
			t.Errorf("%s is previewed as %+v, %v", name, r, err)
		}
	}
	var printed strings.Builder
	if err := config.Print(&printed, cfg); err != nil || strings.Contains(printed.String(), "canary") {
		t.Errorf("Print shows %v\n%s", err, printed.String())
	}
}
