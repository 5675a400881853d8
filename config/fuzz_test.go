package config_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/postrider/postrider/config"
)

// FuzzLoad: the loader ends without panic on any file and environment, its
// error is one for people, and what it accepts is valid and can be printed.
func FuzzLoad(f *testing.F) {
	example, err := os.ReadFile(exampleFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example), `{"a": {"body": {"json": [1, null, {"b": 2.5}]}}}`, "5")
	f.Add("http: &a {port: 1}\nlog: *a\n", `{"a": {"url": {"env": "X"}}}`, "1m")
	f.Add("gateways: {a: , b: {headers: {X: {file: /none}}, body: {form: {c: d}}}}", "[", ".nan")
	f.Add("routes: [{match: {event_type: '*'}, gateway: a, message: b}]", "", "-1")
	f.Add("a: &a [*a, *a]\n---\n<<: {}", "null", "1e309")
	path := filepath.Join(f.TempDir(), "fuzz.yaml")
	f.Fuzz(func(t *testing.T, file, gateways, interval string) {
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(config.Options{File: path, Environ: []string{
			"POSTRIDER_GATEWAYS=" + gateways, "POSTRIDER_PROPAGATOR__INTERVAL=" + interval, "X=http://x.example/",
		}})
		if err != nil {
			mistakes, ok := errors.AsType[config.Mistakes](err)
			if !ok || len(mistakes) == 0 || c != nil {
				t.Fatalf("Load(%q, %q) = %v, %T %v; want nil and Mistakes", file, gateways, c, err, err)
			}
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("Validate() = %v after Load(%q, %q)", err, file, gateways)
		}
		if err := config.Print(io.Discard, c); err != nil {
			t.Fatalf("Print() = %v after Load(%q, %q)", err, file, gateways)
		}
		for name := range c.Gateways {
			if _, ok := c.Gateway(name); !ok {
				t.Fatalf("Gateway(%q) is not declared", name)
			}
		}
	})
}
