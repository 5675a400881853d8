package config_test

import (
	"strings"
	"testing"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/http/dialect"
)

// lookup merges as the program does.
func lookup(name string, gateway map[string]any) (map[string]any, []string, bool) {
	p, ok := dialect.LookupPreset(name)
	if !ok {
		return nil, nil, false
	}
	return dialect.MergePreset(p.Tree, gateway), []string{"settings.url", "settings.secret"}, true
}

func TestPresetsAreMerged(t *testing.T) {
	c := load(t, config.Options{Preset: lookup, File: write(t, `
gateways:
  chat: {preset: telegram, settings: {token: "1:2", chat_id: "3"}, length: ~, throttle: {fixed: 5m}}
  robot: {preset: dingtalk, auth: ~, settings: {access_token: a, plain: b}, query: {timestamp: ~, sign: ~, x: "1"}, rate: 0.3}
  hook: {preset: discord, settings: {url: "https://h.example/hooks/canary"}}
  none: {preset: no-such}
`)})
	chat := c.Gateways["chat"]
	if chat.Preset != "telegram" || chat.Method != "POST" || chat.URL.Value() != "{{settings.server}}/bot{{settings.token}}/sendMessage" ||
		chat.Settings["server"].Value() != "https://api.telegram.org" || len(chat.Success.Body) != 1 || chat.Length != nil ||
		len(chat.Throttle.Wait) != 0 || len(chat.Permanent.Status) != 4 {
		t.Errorf("chat = %+v; want the preset with what lies over it", chat)
	}
	robot := c.Gateways["robot"]
	if robot.Auth != nil || len(robot.Query) != 2 || robot.Query["x"].Value() != "1" || *robot.Rate != 0.3 {
		t.Errorf("robot = %+v; want neither auth nor what belongs to it", robot)
	}
	if got := c.Gateways["none"]; got.Preset != "no-such" || got.URL.Value() != "" {
		t.Errorf("none = %+v; want it as it stands", got)
	}
	if text := printed(t, c); strings.Contains(text, "canary") || !strings.Contains(text, "chat_id: \"3\"") || !strings.Contains(text, "token: '***'") {
		t.Errorf("Print shows\n%s", text)
	}
	// Another load finds the presets as they were.
	again := load(t, config.Options{Preset: lookup, File: write(t, "gateways: {chat: {preset: telegram, settings: {token: a, chat_id: b}}}")})
	if got := again.Gateways["chat"]; len(got.Length) != 1 || len(got.Throttle.Wait) != 2 {
		t.Errorf("chat = %+v; want all of the preset", got)
	}
}

func TestMistakesOverPresets(t *testing.T) {
	_, err := config.Load(config.Options{Preset: lookup, File: write(t, `
gateways:
  a: {preset: telegram, settings: {token: 5}, urll: x, success: {status: [x]}}
`)})
	for _, want := range []string{"gateways.a.settings.token: ", "gateways.a.urll: is not a known key", "gateways.a.success.status[0]: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load() = %v; want %q", err, want)
		}
	}
}
