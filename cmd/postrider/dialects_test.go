package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/dialect/presettest"
	"github.com/postrider/postrider/http/egress"
)

// read is a configuration as the program reads it.
func read(t *testing.T, text string, environ ...string) (*config.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "postrider.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(config.Options{File: file, Environ: environ, Preset: presets()})
}

// declared compiles gateways that are given as trees.
func declared(t *testing.T, gateways map[string]any) *catalog {
	t.Helper()
	text, err := yaml.Marshal(map[string]any{"gateways": gateways})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := read(t, string(text))
	if err != nil {
		t.Fatal(err)
	}
	c, mistakes := newCatalog(cfg, "http://127.0.0.1:1", nil)
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	return c
}

func preset(t *testing.T, f presettest.Fake, server string) *dialect.Dialect {
	t.Helper()
	tree := f.Gateway(server)
	if f.Host != "" && server == goldenServer {
		delete(tree, "url") // the preset has it
	}
	return declared(t, map[string]any{"gateway_1": tree}).entries["gateway_1"].dialect
}

// goldenServer is the address in the golden requests, where a gateway has to give one.
const goldenServer = "https://api.example.org"

func inputOf(s presettest.Sent) dialect.Input {
	id, err := data.ParseID(s.ID)
	if err != nil {
		panic(err) // the fakes have ids of ours
	}
	return dialect.Input{
		ID: id, Gateway: s.Gateway, Text: s.Message, Title: s.Title, To: s.To, Attempt: s.Attempt, Now: s.Time,
		AcceptedAt: presettest.Now().Add(-time.Minute),
	}
}

func TestPresetsMakeTheirGoldenRequests(t *testing.T) {
	for _, f := range presettest.All() {
		t.Run(f.Preset, func(t *testing.T) {
			r, err := preset(t, f, goldenServer).Render(inputOf(f.Sample()))
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join("..", "..", "http", "dialect", "testdata", "presets", f.Preset+".golden"))
			if err != nil {
				t.Fatal(err)
			}
			if got := written(r); got != string(want) {
				t.Errorf("Render() =\n%s\nwant\n%s", got, want)
			}
			u, err := url.Parse(r.URL)
			if err != nil {
				t.Fatal(err)
			}
			header := http.Header{}
			for _, h := range r.Header {
				header.Add(h.Name, h.Value)
			}
			if err := f.Check(presettest.Request{Method: r.Method, URL: u, Header: header, Body: r.Body}, f.Sample()); err != nil {
				t.Errorf("Check() = %v", err)
			}
		})
	}
}

// written is a request as the golden files have it: headers by name.
func written(r dialect.Request) string {
	var lines []string
	for _, h := range r.Header {
		lines = append(lines, h.Name+": "+h.Value+"\n")
	}
	slices.Sort(lines)
	text := r.Method + " " + r.URL + "\n" + strings.Join(lines, "")
	if len(r.Body) > 0 {
		text += "\n" + string(r.Body) + "\n"
	}
	return text
}

func TestPresetsJudgeTheirAnswers(t *testing.T) {
	for _, f := range presettest.All() {
		d := preset(t, f, goldenServer)
		for _, c := range f.Cases {
			a := dialect.Answer{Status: c.Status, Header: http.Header{}, Body: []byte(c.Body)}
			for name, value := range c.Header {
				http.Header(a.Header).Set(name, value)
			}
			if got := d.Judge(a, presettest.Now()); got.Outcome != c.Outcome || !c.Heeds(got.Hint) || got.Status != c.Status {
				t.Errorf("%s, %s: Judge() = %+v; want %v after %v", f.Preset, c.Name, got, c.Outcome, c.Hint)
			}
		}
	}
}

// Over a socket each preset sends what its API takes, and reads what that answers.
func TestPresetsOverTheWire(t *testing.T) {
	client := egress.New(egress.Options{Version: "test"})
	defer client.Close()
	for _, f := range presettest.All() {
		t.Run(f.Preset, func(t *testing.T) {
			sent, now := f.Sample(), make(chan presettest.Case, 1)
			sent.Time = time.Time{}
			api := httptest.NewServer(f.Handler(
				func(id string) presettest.Sent {
					if id != sent.ID {
						t.Errorf("asked for %q, want %q", id, sent.ID)
					}
					return sent
				},
				func(presettest.Sent) presettest.Answer { return (<-now).Answer },
				func(err error) { t.Error(err) },
			))
			defer api.Close()
			d := preset(t, f, api.URL)
			for _, c := range f.Cases {
				now <- c
				in := inputOf(sent)
				in.Now = time.Now()
				got := client.Try(t.Context(), d, in, patience)
				// Points in time are those of the sample, which have passed.
				passed := slices.ContainsFunc(slices.Collect(maps.Keys(c.Header)), func(name string) bool { return strings.HasSuffix(name, "-Reset") })
				if got.Outcome != c.Outcome || !passed && !c.Heeds(got.Hint) || got.Status != c.Status {
					t.Errorf("%s: Try() = %+v; want %v after %v", c.Name, got, c.Outcome, c.Hint)
				}
			}
		})
	}
}

// What signs with the time of the attempt signs each attempt anew.
func TestSignaturesDifferBetweenAttempts(t *testing.T) {
	for _, f := range presettest.All() {
		if f.Preset != "dingtalk" && f.Preset != "feishu" {
			continue
		}
		d := preset(t, f, goldenServer)
		seen := map[string]bool{}
		for attempt := 1; attempt <= 2; attempt++ {
			s := f.Sample()
			s.Attempt, s.Time = attempt, s.Time.Add(time.Duration(attempt)*time.Minute)
			r, err := d.Render(inputOf(s))
			if err != nil {
				t.Fatal(err)
			}
			sign := signOf(t, r)
			if seen[sign] || sign == "" {
				t.Errorf("%s: attempt %d is signed %q, as the one before", f.Preset, attempt, sign)
			}
			seen[sign] = true
		}
	}
}

func signOf(t *testing.T, r dialect.Request) string {
	t.Helper()
	u, err := url.Parse(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	if sign := u.Query().Get("sign"); sign != "" {
		return sign
	}
	var body struct{ Sign string }
	answer{body: string(r.Body)}.decode(t, &body)
	return body.Sign
}

// How long a gateway that asked to wait is left alone: never less than the interval,
// never more than max_hint, and of two hints that differ the longer one.
func TestHintsAreObeyed(t *testing.T) {
	fakes := map[string]presettest.Fake{}
	for _, f := range presettest.All() {
		fakes[f.Preset] = f
	}
	policy := data.Policy{MaxAttempts: 3, Interval: time.Minute, MaxHint: 10 * time.Minute}
	tests := []struct {
		preset, after, body string
		want                time.Duration
	}{
		{"slack-webhook", "120", "rate_limited", 2 * time.Minute},
		{"slack-webhook", "30", "rate_limited", time.Minute},
		{"slack-webhook", "86400", "rate_limited", 10 * time.Minute},
		{"slack-api", "120", `{"ok": false, "error": "ratelimited"}`, 2 * time.Minute},
		{"telegram", "", `{"ok": false, "parameters": {"retry_after": 300}}`, 5 * time.Minute},
		{"telegram", "90", `{"ok": false, "parameters": {"retry_after": 300}}`, 5 * time.Minute},
		{"telegram", "400", `{"ok": false, "parameters": {"retry_after": 300}}`, 400 * time.Second},
		{"telegram", "5", `{"ok": false, "parameters": {"retry_after": 35}}`, time.Minute},
		{"telegram", "90", `{"ok": false, "parameters": {"retry_after": 99999}}`, 10 * time.Minute},
		{"discord", "", `{"message": "x", "retry_after": 64.5, "global": false}`, 65 * time.Second},
		{"discord", "90", `{"message": "x", "retry_after": 64.5, "global": false}`, 90 * time.Second},
		{"discord", "1", `{"message": "x", "retry_after": 0.5, "global": false}`, time.Minute},
	}
	for _, tt := range tests {
		a := dialect.Answer{Status: 429, Header: http.Header{}, Body: []byte(tt.body)}
		if tt.after != "" {
			http.Header(a.Header).Set("Retry-After", tt.after)
		}
		attempt := data.Attempt{Number: 1, Ended: data.StoreTime(time.Hour), Result: preset(t, fakes[tt.preset], goldenServer).Judge(a, presettest.Now())}
		until, asked := policy.Hold(attempt)
		if got := until.Sub(attempt.Ended); !asked || got != tt.want {
			t.Errorf("%s with Retry-After %q and %s is held for %v, %v; want %v", tt.preset, tt.after, tt.body, got, asked, tt.want)
		}
		if next := policy.After(attempt); next.State != data.Waiting || next.Due != until {
			t.Errorf("%s with Retry-After %q and %s is due at %v; want %v", tt.preset, tt.after, tt.body, next.Due, until)
		}
	}
}

// A mistake about a preset stops that gateway alone.
func TestMistakesAboutPresets(t *testing.T) {
	cfg, err := read(t, `
gateways:
  good: {preset: telegram, settings: {token: {env: TOKEN}, chat_id: "1"}}
  unknown: {preset: s3cret-preset}
  missing: {preset: telegram, settings: {token: {env: TOKEN}}}
  slip: {preset: telegram, settings: {token: {env: TOKEN}, chat_id: "1", sever: "http://s3cret.example"}}
  bare: {preset: slack-webhook}
  robot: {preset: dingtalk, settings: {access_token: {env: TOKEN}}, auth: ~, query: {timestamp: ~, sign: ~}}
  own: {settings: {a: "1", b: "2"}, body: {text: "{{settings.a}}"}}
  two: {url: "https://h.example/", auth: {bearer: s3cret, basic: {user: me}}, needs: [too], success: {body: [{json: a, is: 1}]}}
`, "TOKEN=s3cret")
	if err != nil {
		t.Fatal(err)
	}
	c, mistakes := newCatalog(cfg, "http://127.0.0.1:1", nil)
	want := []string{
		"gateways.bare.settings.url", "gateways.missing.settings.chat_id", "gateways.own.settings.b", "gateways.slip.settings.sever",
		"gateways.two.auth", "gateways.two.needs[0]", "gateways.two.success.body[0].json", "gateways.unknown.preset",
	}
	var got []string
	for _, m := range mistakes {
		got = append(got, m.Path)
	}
	if slices.Sort(got); !slices.Equal(got, want) || strings.Contains(mistakes.Error(), "s3cret") {
		t.Errorf("mistakes are %v, with texts\n%s\nwant %v, and no secret", got, mistakes, want)
	}
	for _, name := range []string{"good", "robot"} {
		if g := c.entries[name].shown; g.Problem != "" || g.Preset == "" {
			t.Errorf("Gateway(%s) = %+v; want a preset and no problem", name, g)
		}
	}
	if g := c.entries["missing"].shown; g.Problem != "settings.chat_id: is missing, preset telegram needs it: chat to send to: its number or @channelname" {
		t.Errorf("Gateway(missing) has the problem %q", g.Problem)
	}
	if shown := fmt.Sprintf("%+v", c.Gateways()); strings.Contains(shown, "s3cret.example") || strings.Contains(shown, "bots3cret") {
		t.Errorf("Gateways() shows %s", shown)
	}
}
