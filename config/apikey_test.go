package config_test

import (
	"crypto/sha256"
	"reflect"
	"strings"
	"testing"

	"github.com/postrider/postrider/config"
)

func TestKeysAndWhatTheyAreGoodFor(t *testing.T) {
	c := load(t, config.Options{
		File: write(t, `
http:
  hosts: [Post.Example.org, 10.0.0.9, "2001:db8::9", postrider]
  keys:
    - {name: ops, env: LONG}
    - {name: shop, hash: "sha256:`+strings.ToUpper(strings.Repeat("ab", 32))+`", scopes: [message:write, read:content], gateways: [later, chat_1]}
    - {name: events, hash: "sha256:`+strings.Repeat("01", 32)+`", scopes: [event:write, message:write]}
`),
		Environ: []string{"LONG=0123456789abcdef"},
	})
	type key struct {
		name             string
		scopes, gateways []string
		sum              byte
	}
	sum := sha256.Sum256([]byte("0123456789abcdef"))
	want := []key{
		{"ops", []string{"admin"}, nil, sum[0]},
		{"shop", []string{"message:write", "read:content"}, []string{"later", "chat_1"}, 0xab},
		{"events", []string{"event:write", "message:write"}, nil, 1},
	}
	var got []key
	for _, k := range c.HTTP.Keys {
		got = append(got, key{k.Name, k.Scopes, k.Gateways, k.Sum()[0]})
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("keys are %+v; want %+v", got, want)
	}
	if hosts := []string{"Post.Example.org", "10.0.0.9", "2001:db8::9", "postrider"}; !reflect.DeepEqual(c.HTTP.Hosts, hosts) {
		t.Errorf("hosts are %q; want %q", c.HTTP.Hosts, hosts)
	}
	text := printed(t, c)
	for _, want := range []string{"scopes: [admin]", "scopes: ['message:write', 'read:content']", "gateways: [later, chat_1]", "hash: '***'", "key: '***'"} {
		if !strings.Contains(text, want) {
			t.Errorf("Print lacks %q:\n%s", want, text)
		}
	}
	for _, hidden := range []string{"0123456789abcdef", "abab", "ABAB", "0101"} {
		if strings.Contains(text, hidden) {
			t.Errorf("Print shows %q:\n%s", hidden, text)
		}
	}
}

func TestFilesOfTheServer(t *testing.T) {
	c := load(t, config.Options{
		File: write(t, `
http: {tls: {certificate: a.pem}}
propagator: {enabled: true, url: "https://h.example/event"}
delivery: {base_url: "https://h.example"}
gateways: {a: {}}
`),
		Flags: flags(t, "--http.tls.key", "b.pem"),
	})
	if got := c.HTTP.TLS; !got.On() || got.Certificate != "a.pem" || got.Key != "b.pem" {
		t.Errorf("http.tls is %+v; want both files", got)
	}
	if config.Default().HTTP.TLS.On() {
		t.Error("TLS is on by default")
	}
}
