package main

import (
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postrider/postrider/config"
)

// asksReload asks for a reload over the API and returns the answer.
func (p *instance) asksReload(t *testing.T, load loadFunc, status int) answer {
	t.Helper()
	p.loads <- load
	a := ask(t, http.MethodPost, p.url+"/api/v1/reload", "")
	if a.status != status {
		t.Fatalf("POST /api/v1/reload = %d %s, want %d", a.status, a.body, status)
	}
	return a
}

// readiness is what /readyz says of the configuration.
type readiness struct {
	Config struct {
		Applied time.Time  `json:"applied_at"`
		Refused *time.Time `json:"refused_at"`
	}
}

func TestReloadOverTheAPI(t *testing.T) {
	t.Parallel()
	first, second := newGateway(t, saying(200)), newGateway(t, saying(200))
	cfg := loopbackToo(settings(t))
	cfg.Gateways = map[string]config.Gateway{"kept": at(first.url), "gone": at(first.url)}
	p := start(t, cfg, nil)
	p.declares(t, "made", quotedURL(first.url), http.StatusCreated)
	p.declares(t, "both", quotedURL(first.url), http.StatusCreated)
	var before, after readiness
	if get(t, p.url+"/readyz", &before); before.Config.Applied.IsZero() || before.Config.Refused != nil {
		t.Errorf("/readyz says %+v", before)
	}
	loads := func(change func(*config.Config)) loadFunc {
		next := with(cfg, map[string]config.Gateway{"kept": at(first.url), "both": at(second.url)})
		next.Routes = []config.Route{{Match: config.Match{EventType: "*"}, Gateway: "made", Message: "{{event_payload}}"}}
		change(next)
		return func() (*config.Config, error) { return next, nil }
	}

	// Mistakes change nothing.
	a := p.asksReload(t, loads(func(c *config.Config) {
		c.Gateways["kept"] = at("http://127.0.0.1/{{canary}}")
		c.Gateways["more"] = at("http://127.0.0.1/{{canary}}")
	}), http.StatusUnprocessableEntity)
	if !strings.Contains(a.body, `"key":"gateways.kept.url","code":"configuration"`) || !strings.Contains(a.body, `"key":"gateways.more.url"`) || strings.Contains(a.body, "canary") {
		t.Errorf("the answer is %s", a.body)
	}
	a = p.asksReload(t, loads(func(c *config.Config) { c.Routes[0].Gateway = "canary" }), http.StatusUnprocessableEntity)
	if !strings.Contains(a.body, `"key":"routes[0].gateway"`) || strings.Contains(a.body, "canary") {
		t.Errorf("the answer is %s", a.body)
	}
	a = p.asksReload(t, fromFile(cfg.Storage.Path+"/none.yaml"), http.StatusUnprocessableEntity)
	if !strings.Contains(a.body, "none.yaml") {
		t.Errorf("the answer is %s", a.body)
	}
	if get(t, p.url+"/readyz", &after); after.Config.Applied != before.Config.Applied || after.Config.Refused == nil {
		t.Errorf("/readyz says %+v after a refusal, %+v before", after, before)
	}
	if got := p.shownGateways(t); len(got) != 4 || got["kept"] != first.url {
		t.Errorf("the gateways are %v, want those from before", got)
	}

	// Without any it is in force.
	a = p.asksReload(t, loads(func(c *config.Config) { c.HTTP.Port = 1 }), http.StatusOK)
	if want := `{"added":1,"changed":0,"removed":1,"gateways":2,"routes":1,"needs_restart":["http.port"]}`; a.body != want {
		t.Errorf("the answer is %s, want %s", a.body, want)
	}
	if get(t, p.url+"/readyz", &after); !after.Config.Applied.After(before.Config.Applied) || after.Config.Refused != nil {
		t.Errorf("/readyz says %+v, %+v before", after, before)
	}
	for series, want := range map[string]string{`postrider_config_reloads_total{result="refused"}`: "3", `postrider_config_reloads_total{result="applied"}`: "1"} {
		if got := p.metric(t, series); got != want {
			t.Errorf("%s = %s, want %s", series, got, want)
		}
	}
	// The route leads to what is declared over the API, which is in use now.
	post(t, p.url+"/event", `{"event_type": "a", "event_payload": "routed"}`)
	p.awaitAll(t, "made", "delivered", 1)
	if a := p.undeclares(t, "made", http.StatusConflict); !strings.Contains(a.body, "gateway-in-use") {
		t.Errorf("DELETE of one that a route names = %s", a.body)
	}
	// Of two declarations that of the configuration wins, and it is said once.
	var g shownGateway
	if get(t, p.url+"/api/v1/gateways/both", &g); g.Origin != "config" || g.URL != second.url {
		t.Errorf("both is %+v, want that of the configuration", g)
	}
	p.await(t, post(t, p.url+"/send_message", messageFor("both", "x")), "delivered")
	if n := len(second.seen()); n != 1 {
		t.Errorf("%d messages came to that of the configuration, want 1", n)
	}
	p.undeclares(t, "both", http.StatusConflict)
	p.asksReload(t, loads(func(*config.Config) {}), http.StatusOK)
	if n := len(p.log.lines("the configuration declares gateways that are declared over the API too: the configuration wins")); n != 1 {
		t.Errorf("it was said %d times, want once", n)
	}
	// When the configuration has it no more, the other one is in force.
	p.asksReload(t, loads(func(c *config.Config) { delete(c.Gateways, "both"); c.Routes = nil }), http.StatusOK)
	if get(t, p.url+"/api/v1/gateways/both", &g); g.Origin != "api" || g.URL != first.url+"/***" {
		t.Errorf("both is %+v, want that of the API", g)
	}
	p.undeclares(t, "made", http.StatusNoContent)
}

// What holds for every gateway holds for those of the API too, also what makes one of
// them wrong: it does not keep the configuration from changing.
func TestReloadOfWhatHoldsForEveryGateway(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, saying(200))
	cfg := loopbackToo(settings(t))
	p := start(t, cfg, nil)
	p.declares(t, "plain", quotedURL(gateway.url), http.StatusCreated)
	p.declares(t, "short", `{"url":"`+gateway.url+`","interval":"1s"}`, http.StatusCreated)
	plain := p.shownOne(t, "plain")
	next := *cfg
	next.Delivery.MaxAttempts, next.Delivery.Interval, next.Delivery.AllowShortInterval = 9, time.Minute, false
	p.asksReload(t, func() (*config.Config, error) { return &next, nil }, http.StatusOK)
	if got := p.shownOne(t, "plain"); got.MaxAttempts != 9 || plain.MaxAttempts != 3 || got.Problem != "" {
		t.Errorf("plain has %d attempts, %d before; want 9, 3", got.MaxAttempts, plain.MaxAttempts)
	}
	if got := p.shownOne(t, "short"); !strings.HasPrefix(got.Problem, "interval: expected 60s or longer") {
		t.Errorf("short has the problem %q", got.Problem)
	}
	p.asksReload(t, func() (*config.Config, error) { return cfg, nil }, http.StatusOK)
	if got := p.shownOne(t, "short"); got.Problem != "" || got.MaxAttempts != 3 {
		t.Errorf("short is %+v, want it as it was", got)
	}
	p.await(t, post(t, p.url+"/send_message", messageFor("short", "x")), "delivered")
}

func (p *instance) shownOne(t *testing.T, name string) (g shownGateway) {
	t.Helper()
	get(t, p.url+"/api/v1/gateways/"+name, &g)
	return g
}

// A reload that changes no defaults leaves what is compiled as it is.
func TestReloadCompilesNothingOfTheAPI(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	s := &shelf{}
	d := newDeclarer(t, s, cfg)
	if _, _, err := d.Declare(t.Context(), "a", []byte(somewhere), true); err != nil {
		t.Fatal(err)
	}
	before, _ := d.made.entry("a")
	next := *cfg
	next.Delivery.MaxInFlight, next.Delivery.BaseURL = 7, config.Plain("http://h/")
	if !alike(cfg.Delivery, loopbackToo(&next).Delivery) {
		t.Error("gateways of the API would be compiled anew for nothing")
	}
	next.Delivery.Timeout++
	if alike(cfg.Delivery, next.Delivery) {
		t.Error("gateways of the API would not follow the defaults")
	}
	r := newRenewal(next.Delivery)
	if err := d.made.catchUp(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if wrong := d.made.renew(r); len(wrong) > 0 {
		t.Errorf("renew() = %v", wrong)
	}
	if after, _ := d.made.entry("a"); after.dialect != before.dialect || after.shown.Timeout != before.shown.Timeout+1 {
		t.Errorf("compiled anew it is %+v, before %+v; want the same dialect and the new timeout", after, before)
	}
}

// Who asks while a reload goes on waits for its turn.
func TestReloadsOverTheAPIComeOneByOne(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	var under, most, loads atomic.Int32
	release := make(chan struct{})
	p := startWith(t, cfg, runOptions{load: func() (*config.Config, error) {
		loads.Add(1)
		most.Store(max(most.Load(), under.Add(1)))
		defer under.Add(-1)
		<-release
		return cfg, nil
	}})
	answers := make(chan answer, 5)
	for range cap(answers) {
		go func() {
			a, _ := request(t.Context(), http.MethodPost, p.url+"/api/v1/reload", "") // the status says it all
			answers <- a
		}()
	}
	eventually(t, "a reload is under way", func() bool { return loads.Load() == 1 })
	close(release)
	for range cap(answers) {
		if a := receive(t, "an answer", answers); a.status != http.StatusOK {
			t.Errorf("POST /api/v1/reload = %d %s, want 200", a.status, a.body)
		}
	}
	if loads.Load() != 5 || most.Load() != 1 {
		t.Errorf("the configuration was read %d times, %d at once; want 5 and 1", loads.Load(), most.Load())
	}
}

func TestReloadOverTheAPIThatTakesTooLong(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	p := startWith(t, cfg, runOptions{loadLimit: 50 * time.Millisecond, load: func() (*config.Config, error) { <-never; return cfg, nil }})
	if a := ask(t, http.MethodPost, p.url+"/api/v1/reload", ""); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "configuration-unreadable") {
		t.Errorf("POST /api/v1/reload = %d %s, want 503", a.status, a.body)
	}
}

// The program as it is shipped reads its file again, and without one its environment.
func TestReloadOfAFile(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "config.yaml", "gateways: {a: {url: 'http://127.0.0.1:1/'}}\n")
	p := startChild(t, binary(t), inStore(t.TempDir(), "--config", file))
	url := p.listening(t)
	reload := func(content string, status int, says string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if a := ask(t, http.MethodPost, url+"/api/v1/reload", ""); a.status != status || !strings.Contains(a.body, says) {
			t.Errorf("reload of %q = %d %s, want %d with %s", content, a.status, a.body, status, says)
		}
	}
	reload("gateways: {a: {url: 'http://127.0.0.1:1/'}, b: {}}\n", 200, `"added":1,"changed":0,"removed":0,"gateways":2`)
	reload("gateways: {a: {urll: canary}, b: {rate: canary}}\n", 422, `{"key":"gateways.a.urll","code":"configuration","detail":"Is not a known key."},{"key":"gateways.b.rate"`)
	reload("", 422, `config.yaml","code":"configuration","detail":"The file is empty; expected at least one key."`)
	if code := p.end(t); code != exitClean {
		t.Errorf("exited with %d, want 0", code)
	}
	bare := startChild(t, binary(t), inStore(t.TempDir()), `POSTRIDER_GATEWAYS={"a":{}}`)
	if a := ask(t, http.MethodPost, bare.listening(t)+"/api/v1/reload", ""); a.status != 200 || !strings.Contains(a.body, `"added":0,"changed":0,"removed":0,"gateways":1`) {
		t.Errorf("reload without a file = %d %s, want 200 and nothing changed", a.status, a.body)
	}
}

// What config check cannot know it is told.
func TestCheckOfRoutesToTheAPI(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "config.yaml", `routes: [{match: {event_type: "*"}, gateway: made, message: x}]`)
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"config", "check", "--config", file}, exitUsage},
		{[]string{"config", "check", "--config", file, "--api-gateways", "other,made"}, exitClean},
		{[]string{"config", "print", "--config", file}, exitClean},
	} {
		if code, out, errs := runChild(t, c.args); code != c.want {
			t.Errorf("%v = %d %s %s, want %d", c.args, code, out, errs, c.want)
		}
	}
}
