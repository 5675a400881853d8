package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/config"
)

func readGateway(t *testing.T, declaration string) config.Gateway {
	t.Helper()
	g, err := config.Default().Delivery.ReadGateway([]byte(declaration), lookup)
	if err != nil {
		t.Fatalf("ReadGateway(%s) = %v", declaration, err)
	}
	return g
}

// What is declared over the API means what the same means in a file.
func TestGatewaysOfTheAPIAreThoseOfAFile(t *testing.T) {
	for _, declaration := range []string{
		`{"url":"https://h/x"}`,
		`{"preset":"telegram","settings":{"token":"12:34","chat_id":"-100"},"length":null,"throttle":{"fixed":"5m"}}`,
		`{"url":"https://h/{{id}}","method":"PUT","query":{"a.b":"{{to}}"},"headers":{"X-Title":"{{title}}"},"auth":{"hmac":{"secret":"s","header":"X-S"}},
		  "body":{"json":{"n":1,"f":1.5,"list":[true,null,"{{message}}"]}},"max_attempts":5,"interval":"2m","timeout":"20s","concurrency":4,"rate":1.5,"max_queue":7,"max_hint":"30m","hold_after":3,
		  "success":{"status":[200,"202-204"],"body":[{"json":"/a","is":null}]},"permanent":{"status":[400],"body":[]},"throttle":{"wait":[{"body":"/w","unit":"ms"}],"fixed":"1m"},
		  "length":{"limit":10,"over":"split"},"needs":["to"],"keep_answer":true,"tls":{"ca":"x"}}`,
	} {
		made := readGateway(t, declaration)
		c := load(t, config.Options{Preset: lookup, File: write(t, `{"gateways":{"a":`+declaration+`}}`)})
		file := c.Gateways["a"]
		texts := func(g config.Gateway) string {
			return fmt.Sprint(g.URL.Value(), values(g.Query), values(g.Headers), values(g.Settings))
		}
		bare := func(g config.Gateway) config.Gateway {
			g.URL, g.Query, g.Headers, g.Settings = config.Text{}, nil, nil, nil
			return g
		}
		if texts(made) != texts(file) || !reflect.DeepEqual(bare(made), bare(file)) {
			t.Errorf("%s is over the API\n%s %+v, and in a file\n%s %+v", declaration, texts(made), bare(made), texts(file), bare(file))
		}
	}
}

func values(texts map[string]config.Text) map[string]string {
	all := make(map[string]string, len(texts))
	for name, text := range texts {
		all[name] = text.Value()
	}
	return all
}

// What is given is hidden, and what everybody knows is not.
func TestGatewaysOfTheAPIHideWhatTheyWereGiven(t *testing.T) {
	g := readGateway(t, `{"preset":"telegram","settings":{"token":"12","chat_id":"canary-chat","parse":"a"},"headers":{"X-A":"canary-header","X-B":"{{to}}","X-C":"b"},"query":{"canary":"canary-query"}}`)
	for name, c := range map[string]struct {
		text config.Text
		want bool
	}{
		"what the name tells":    {g.Settings["token"], true},
		"a setting":              {g.Settings["chat_id"], true},
		"a short setting":        {g.Settings["parse"], false},
		"a setting of a preset":  {g.Settings["server"], false},
		"a header":               {g.Headers["X-A"], true},
		"a header of a template": {g.Headers["X-B"], false},
		"a field of the query":   {g.Query["canary"], true},
		"the URL of a preset":    {g.URL, false},
		"a URL":                  {readGateway(t, `{"url":"https://h/canary"}`).URL, true},
	} {
		if c.text.Value() == "" || c.text.Secret() != c.want {
			t.Errorf("%s is a secret: %v; want %v", name, c.text.Secret(), c.want)
		}
	}
}

func TestMistakesOfTheAPI(t *testing.T) {
	deep := strings.Repeat(`[`, 70) + strings.Repeat(`]`, 70)
	for _, c := range []struct{ declaration, pointer, problem string }{
		{`[]`, "", "expected keys with their values"},
		{`{}`, "/url", "is missing"},
		{`{"url":""}`, "/url", "is missing"},
		{`{"url":null}`, "/url", "expected text, not an empty value"},
		{`{"url":"https://h/","canary":1}`, "/canary", config.UnknownKey},
		{`{"url":"https://h/","name":"x"}`, "/name", config.UnknownKey},
		{`{"url":"ftp://h/"}`, "/url", "expected an absolute URL"},
		{`{"url":"https://h/","headers":{"a.b":5}}`, "/headers/a.b", "expected text (a number in quotes); over the API"},
		{`{"url":"https://h/","headers":{"a/b~c":"x"}}`, "/headers/a~1b~0c", "expected the name of a header"},
		{`{"url":{"env":"HOME"}}`, "/url", "neither {env: NAME} nor {file: PATH} is taken"},
		{`{"url":{"file":"/etc/passwd"}}`, "/url", "neither {env: NAME} nor {file: PATH} is taken"},
		{`{"url":"https://h/","settings":{"a":{"env":"HOME"}}}`, "/settings/a", "neither {env: NAME}"},
		{`{"url":"https://h/","headers":{"a":{"file":"/etc/passwd"}}}`, "/headers/a", "neither {env: NAME}"},
		{`{"url":"https://h/","query":{"a":{"file":"/etc/passwd"}}}`, "/query/a", "neither {env: NAME}"},
		{`{"url":"https://h/","auth":{"bearer":{"env":"HOME"}}}`, "/auth/bearer", "neither {env: NAME}"},
		{`{"url":"https://h/","auth":{"oauth2":{"client_secret":{"env":"HOME"}}}}`, "/auth/oauth2/client_secret", "neither {env: NAME}"},
		{`{"url":"https://h/","tls":{"key":{"file":"/etc/ssl/key"}}}`, "/tls/key", "neither {env: NAME}"},
		{`{"preset":"telegram","settings":{"token":{"env":"HOME"},"chat_id":"x"}}`, "/settings/token", "neither {env: NAME}"},
		{`{"url":"https://h/","interval":"1s"}`, "/interval", "expected 60s or longer"},
		{`{"url":"https://h/","interval":60}`, "/interval", "not a bare number"},
		{`{"url":"https://h/","length":{"limit":"x"}}`, "/length/limit", "expected a whole number"},
		{`{"url":"https://h/","length":[{"limit":1},{"limit":"x"}]}`, "/length/1/limit", "expected a whole number"},
		{`{"url":"https://h/","success":{"status":[200,"x"]}}`, "/success/status/1", "expected an HTTP status"},
		{`{"url":"https://h/","body":{"json":` + deep + `}}`, "", "nested too deeply"},
		{`{"url":"https://h/","rate":1e999}`, "", "expected one JSON value"},
	} {
		_, err := config.Default().Delivery.ReadGateway([]byte(c.declaration), lookup)
		mistakes, _ := errors.AsType[config.Mistakes](err)
		if len(mistakes) != 1 || config.Pointers([]byte(c.declaration))(mistakes[0].Path) != c.pointer || !strings.Contains(mistakes[0].Problem, c.problem) {
			t.Errorf("ReadGateway(%.100s) = %v; want %q at %q", c.declaration, err, c.problem, c.pointer)
		}
	}
}

func TestPointers(t *testing.T) {
	at := config.Pointers([]byte(`{"a.b":{"c":[{"d[0]":1}]},"a":{"b":{"c":2}},"":{"x":1},"long":{"` + strings.Repeat("k", 80) + `":1}}`))
	for path, want := range map[string]string{
		"a.b.c[0].d[0]": "/a.b/c/0/d[0]", `"a.b".c[7].x`: "/a.b/c/7/x", "a": "/a", "none.x[3]": "/none/x/3", `none."a.b".c`: "/none/a.b/c", "": "",
		`"".x`: "//x", "long." + strings.Repeat("k", 80): "/long/" + strings.Repeat("k", 80),
		`long."` + strings.Repeat("k", 64) + `"`: "/long/" + strings.Repeat("k", 80), ".": "", "a..b": "/a/.b", "[": "", "[x": "", `"x`: `/"x`,
	} {
		if got := at(path); got != want {
			t.Errorf("pointer of %s = %s; want %s", path, got, want)
		}
	}
}

// Whatever it is given, reading ends in a gateway or in mistakes that can be pointed at.
func FuzzReadGateway(f *testing.F) {
	f.Add(`{"url":"https://h/{{id}}","headers":{"a":"b"},"body":{"json":[1,{"a":null}]}}`)
	f.Add(`{"preset":"telegram","settings":{"token":"x"},"length":{"limit":1}}`)
	f.Add(`[{}]`)
	d := config.Default().Delivery
	f.Fuzz(func(t *testing.T, declaration string) {
		_, err := d.ReadGateway([]byte(declaration), lookup)
		mistakes, ok := errors.AsType[config.Mistakes](err)
		if err != nil && !ok {
			t.Fatalf("ReadGateway(%q) = %v; want Mistakes", declaration, err)
		}
		at := config.Pointers([]byte(declaration))
		for _, m := range mistakes {
			if p := at(m.Path); p != "" && p[0] != '/' {
				t.Errorf("pointer of %q = %q", m.Path, p)
			}
		}
	})
}

func TestNetworksOfTheAPI(t *testing.T) {
	c := load(t, config.Options{File: write(t, "delivery: {api_networks: [10.20.0.0/16, 'fd00::/8', 127.0.0.1/32]}")})
	if got := fmt.Sprint(c.Delivery.APINetworks); got != "[10.20.0.0/16 fd00::/8 127.0.0.1/32]" {
		t.Errorf("api_networks = %s", got)
	}
	if text := printed(t, c); !strings.Contains(text, "api_networks: [10.20.0.0/16, 'fd00::/8', 127.0.0.1/32]") {
		t.Errorf("Print shows\n%s", text)
	}
	c = load(t, config.Options{File: write(t, "delivery: {api_networks: [10.20.0.0/16]}"), Environ: []string{`POSTRIDER_DELIVERY__API_NETWORKS=["192.168.0.0/16"]`}})
	if got := fmt.Sprint(c.Delivery.APINetworks); got != "[192.168.0.0/16]" {
		t.Errorf("api_networks = %s; want those of the environment", got)
	}
	for _, wrong := range []string{"10.0.0.1", "10.0.0.1/8", "10.0.0.0/33", "'::ffff:10.0.0.0/104'", "'fe80::%eth0/64'", "x", "5", "~"} {
		_, err := config.Load(config.Options{File: write(t, "delivery: {api_networks: ["+wrong+"]}")})
		if err == nil || !strings.HasPrefix(err.Error(), "delivery.api_networks[0]: expected a network") {
			t.Errorf("api_networks of %s: Load() = %v", wrong, err)
		}
	}
}

// Routes may name what is declared elsewhere, where that is known.
func TestTargetsThatAreDeclaredElsewhere(t *testing.T) {
	file := write(t, `{gateways: {here: {url: "http://h/"}}, routes: [{match: {event_type: "*"}, gateways: [here, there, nowhere], message: x}, {match: {event_type: "*"}, gateway: there, message: x}]}`)
	elsewhere := func(name string) bool { return name == "there" }
	_, err := config.Load(config.Options{File: file, Elsewhere: elsewhere})
	if mistakes, _ := errors.AsType[config.Mistakes](err); len(mistakes) != 1 || mistakes[0].Path != "routes[0].gateways[2]" {
		t.Errorf("Load() = %v; want routes[0].gateways[2]", err)
	}
	c := load(t, config.Options{File: file, Elsewhere: func(string) bool { return true }})
	if mistakes, _ := errors.AsType[config.Mistakes](c.CheckTargets(elsewhere)); len(mistakes) != 1 || mistakes[0].Path != "routes[0].gateways[2]" {
		t.Errorf("CheckTargets() = %v; want routes[0].gateways[2]", mistakes)
	}
	if mistakes, _ := errors.AsType[config.Mistakes](c.Validate()); len(mistakes) != 3 {
		t.Errorf("Validate() = %v; want three", mistakes)
	}
}

// A declaration of many mistakes is read soon.
func TestManyMistakesOfTheAPI(t *testing.T) {
	headers := make(map[string]int)
	for i := range 40_000 {
		headers[fmt.Sprint("x", i)] = i
	}
	text, err := json.Marshal(map[string]any{"headers": headers})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err = config.Default().Delivery.ReadGateway(text, lookup)
	mistakes, _ := errors.AsType[config.Mistakes](err)
	if took := time.Since(began); len(mistakes) != 40_001 || took > 5*time.Second {
		t.Errorf("%d mistakes in %v; want 40001 soon", len(mistakes), took)
	}
	if !slices.ContainsFunc(mistakes, func(m config.Mistake) bool { return m.Path == "headers.x7" }) {
		t.Error("headers.x7 is not among them")
	}
}
