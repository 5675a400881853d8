package config_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/postrider/postrider/config"
)

const exampleFile = "postrider.yaml"

func TestExampleIsTheDemonstration(t *testing.T) {
	got := load(t, config.Options{File: exampleFile})
	want := config.Default()
	want.Propagator.Enabled = true
	want.Log.Access = true
	want.Demo.Gateways = true
	want.Gateways = map[string]config.Gateway{"gateway_1": {}, "gateway_2": {}, "gateway_99": {}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the demonstration is\n%s\nwant\n%s", printed(t, got), printed(t, want))
	}
}

// Every key that Print knows stands in the example, with a comment, and nothing
// else does.
func TestExampleHasEveryKeyAndAComment(t *testing.T) {
	example, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	var inExample, inConfig yaml.Node
	if err := yaml.Unmarshal(example, &inExample); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(printed(t, config.Default())), &inConfig); err != nil {
		t.Fatal(err)
	}
	var same func(path string, a, b *yaml.Node)
	same = func(path string, a, b *yaml.Node) {
		if path == ".gateways" || a.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i < max(len(a.Content), len(b.Content)); i += 2 {
			if i >= len(a.Content) || i >= len(b.Content) || a.Content[i].Value != b.Content[i].Value {
				t.Errorf("keys of %q differ at number %d", path, i/2)
				return
			}
			at, v := path+"."+a.Content[i].Value, a.Content[i+1]
			if v.Kind != yaml.MappingNode && v.LineComment == "" {
				t.Errorf("%s has no comment", at)
			}
			same(at, v, b.Content[i+1])
		}
	}
	same("", inExample.Content[0], inConfig.Content[0])
}

func TestExampleGatewayAndRoute(t *testing.T) {
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`(?m)^(  )?#((?:chat|sms|routes):|  +[^ #])`).ReplaceAll(text, []byte("$1$2"))
	dir := t.TempDir()
	for _, name := range []string{"client.pem", "client.key", "ca.pem"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text = bytes.ReplaceAll(text, []byte("/etc/postrider"), []byte(dir))
	text = bytes.Replace(text, []byte("routes: []"), nil, 1)
	c := load(t, config.Options{
		File: write(t, string(text)), Environ: []string{"SMS_AUTHORIZATION=Bearer abc", "SMS_SECRET=s3cret", "TELEGRAM_TOKEN=123:abc"},
	})
	g, ok := c.Gateway("sms")
	if !ok || g.Headers["Authorization"].Value() != "Bearer abc" || g.Body.Form["to"] != "{{to}}" ||
		g.Interval != 2*time.Minute || g.Rate != 1.5 || g.HoldAfter != 10 || len(g.Declared.Permanent.Status) != 2 {
		t.Errorf("Gateway(sms) = %+v, %v; want what the comment says", g, ok)
	}
	if chat := c.Gateways["chat"]; chat.Preset != "telegram" || !chat.Settings["token"].Secret() {
		t.Errorf("Gateways[chat] = %+v; want the preset telegram with a secret token", chat)
	}
	for field, v := range reflect.ValueOf(c.Gateways["sms"]).Fields() {
		if v.IsZero() && field.Name != "Preset" {
			t.Errorf("the example gateway does not show %s", field.Name)
		}
	}
	want := []config.Route{{
		Match: config.Match{EventType: "user_*"}, Gateway: "gateway_1", Message: "{{event_payload}} is here",
	}, {
		Match: config.Match{
			EventType: "order_*", PayloadContains: "urgent", Payload: map[string]any{"/customer/country": "D?", "/total": 100},
		},
		Gateways: []string{"gateway_1", "gateway_2"},
		Message:  "order {{payload.id}} of {{payload.customer.name}}",
		To:       "{{payload.customer.phone}}",
		Title:    "{{event_type}}",
		Params:   map[string]string{"order": "{{payload.id}}"},
	}}
	if !reflect.DeepEqual(c.Routes, want) {
		t.Errorf("routes = %+v; want %+v", c.Routes, want)
	}
}

func TestFlagsTellWhatTheyDo(t *testing.T) {
	fs := flags(t)
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Usage == "" {
			t.Errorf("--%s has no help text", f.Name)
		}
		if strings.HasPrefix(f.Name, "gateways") || f.Name == "routes" || f.Name == "http.keys" {
			t.Errorf("--%s is a flag; want none", f.Name)
		}
	})
	if got := fs.Lookup("storage.retention.dead").DefValue; got != "720h" {
		t.Errorf("default of --storage.retention.dead = %q; want 720h", got)
	}
}
