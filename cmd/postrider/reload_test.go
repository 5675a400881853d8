package main

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"weak"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
	httpapi "github.com/postrider/postrider/http"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/egress"
)

// What the log says of a reload.
const (
	reloaded     = "the configuration is reloaded"
	notReloaded  = "the configuration is not reloaded, nothing changes"
	needsRestart = "some changes of the configuration need a restart"
)

// reload has the program read what load returns and returns the line of the log
// that says what came of it.
func (p *instance) reload(t *testing.T, load loadFunc, says string) line {
	t.Helper()
	before := len(p.log.lines(says))
	p.loads <- load
	p.hangups <- syscall.SIGHUP
	var lines []line
	eventually(t, "the log says that "+says, func() bool {
		lines = p.log.lines(says)
		return len(lines) > before
	})
	return lines[len(lines)-1]
}

// apply puts a right configuration in force.
func (p *instance) apply(t *testing.T, cfg *config.Config) line {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	return p.reload(t, func() (*config.Config, error) { return cfg, nil }, reloaded)
}

// with returns a copy of a configuration with these gateways.
func with(cfg *config.Config, gateways map[string]config.Gateway) *config.Config {
	next := *cfg
	next.Gateways = gateways
	return &next
}

// shownGateways is what the API says of all gateways, without what happened there.
func (p *instance) shownGateways(t *testing.T) map[string]string {
	t.Helper()
	var all struct {
		Gateways []struct{ Name, URL string }
	}
	get(t, p.url+"/api/v1/gateways", &all)
	shown := map[string]string{}
	for _, g := range all.Gateways {
		shown[g.Name] = g.URL
	}
	return shown
}

// metric returns the value of a series of /metrics as it is written there.
func (p *instance) metric(t *testing.T, series string) string {
	t.Helper()
	for text := range strings.Lines(ask(t, http.MethodGet, p.url+"/metrics", "").body) {
		if name, value, _ := strings.Cut(strings.TrimSpace(text), " "); name == series {
			return value
		}
	}
	return ""
}

func TestReload(t *testing.T) {
	t.Parallel()
	kept, old, moved, added := newGateway(t, saying(200)), newGateway(t, saying(200)), newGateway(t, saying(200)), newGateway(t, saying(200))
	cfg := settings(t)
	cfg.Gateways = map[string]config.Gateway{"kept": at(kept.url), "moved": at(old.url), "gone": at(kept.url)}
	cfg.Routes = every("kept", "old")
	p := start(t, cfg, nil)
	for gateway := range cfg.Gateways {
		p.await(t, post(t, p.url+"/send_message", messageFor(gateway, "x")), "delivered")
	}

	applied := p.metric(t, "postrider_config_applied_timestamp_seconds")
	next := with(cfg, map[string]config.Gateway{"kept": at(kept.url), "moved": at(moved.url), "added": at(added.url)})
	next.Routes = append(every("added", "new"), config.Route{Match: config.Match{EventType: "none"}, Gateway: "kept", Message: "x"})
	next.HTTP.Port, next.Log.Level = 1, "error"
	said := p.apply(t, next)
	for key, want := range map[string]float64{"added": 1, "changed": 1, "removed": 1, "gateways": 3, "routes": 2} {
		if said[key] != want {
			t.Errorf("the log says %s=%v, want %v", key, said[key], want)
		}
	}
	eventually(t, "the keys that need a restart are named", func() bool { return len(p.log.lines(needsRestart)) == 1 })
	if keys := fmt.Sprint(p.log.lines(needsRestart)[0]["keys"]); keys != "[http.port log.level]" {
		t.Errorf("keys that need a restart = %s, want http.port and log.level", keys)
	}

	for gateway, want := range map[string]*fakeGateway{"kept": kept, "moved": moved, "added": added} {
		before := len(want.seen())
		p.await(t, post(t, p.url+"/send_message", messageFor(gateway, "y")), "delivered")
		if got := len(want.seen()); got != before+1 {
			t.Errorf("%d messages for %s came to where it is now, want 1", got-before, gateway)
		}
	}
	if n := len(old.seen()); n != 1 {
		t.Errorf("%d messages came to where moved was, want the first one", n)
	}
	if a := ask(t, http.MethodPost, p.url+"/send_message", messageFor("gone", "y")); a.status != http.StatusUnprocessableEntity {
		t.Errorf("POST /send_message for a gateway that is gone = %d, want 422", a.status)
	}
	id := post(t, p.url+"/event", `{"event_type": "a", "event_payload": ""}`)
	for _, m := range list(t, p.url+"/api/v1/messages").Messages {
		if m.Event == id && (m.Gateway != "added" || m.Text != "new") {
			t.Errorf("the event became %+v, want what the new route makes", m)
		}
	}
	if got := p.metric(t, `postrider_config_reloads_total{result="applied"}`); got != "1" {
		t.Errorf("reloads applied = %q, want 1", got)
	}
	if now := p.metric(t, "postrider_config_applied_timestamp_seconds"); now == applied || now == "" {
		t.Errorf("the configuration was applied at %q, before the reload at %q", now, applied)
	}
}

// Whatever is wrong changes nothing, is said once and counted.
func TestReloadRefusesMistakes(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, saying(200))
	cfg := settings(t)
	cfg.Gateways = map[string]config.Gateway{"chat": at(gateway.url)}
	p := start(t, cfg, nil)
	before, applied := p.shownGateways(t), p.metric(t, "postrider_config_applied_timestamp_seconds")

	right := func(change func(*config.Config)) loadFunc {
		next := with(cfg, map[string]config.Gateway{"chat": at("http://127.0.0.1:1"), "other": at(gateway.url)})
		change(next)
		return func() (*config.Config, error) { return next, next.Validate() }
	}
	long := "gateways: {"
	for i := range 3 * maxReported {
		long += fmt.Sprintf("A%d: {}, ", i)
	}
	cases := map[string]struct {
		load loadFunc
		want []string
	}{
		"no file":     {fromFile(cfg.Storage.Path + "/none.yaml"), []string{"none.yaml: "}},
		"not YAML":    {fromFile(writeFile(t, "c.yaml", "gateways: [")), []string{"c.yaml"}},
		"keys":        {fromFile(writeFile(t, "c.yaml", "http: {port: canary}\ndelivery: {interval: 5}\n")), []string{"delivery.interval: ", "http.port: "}},
		"no secret":   {fromFile(writeFile(t, "c.yaml", "gateways: {chat: {url: {file: /canary}}}\n")), []string{"gateways.chat.url: "}},
		"many":        {fromFile(writeFile(t, "c.yaml", long+"}\n")), []string{"and ", " more"}},
		"declaration": {right(func(c *config.Config) { c.Gateways["chat"] = at("http://127.0.0.1/{{canary}}") }), []string{"gateways.chat.url: "}},
		"route":       {right(func(c *config.Config) { c.Routes = every("chat", "{{canary}}") }), []string{"routes[0].message: "}},
		"undeclared":  {right(func(c *config.Config) { c.Routes = every("canary", "x") }), []string{"routes[0].gateway: "}},
		"no events":   {right(func(c *config.Config) { c.Propagator.Enabled, c.Propagator.EventsFile = true, "none" }), []string{"propagator.events_file: "}},
		"several ones": {right(func(c *config.Config) {
			c.Gateways["chat"], c.Gateways["other"] = at("http://a/{{b}}"), at("http://a/{{b}}")
		}), []string{"gateways.chat.url: ", "gateways.other.url: "}},
	}
	for name, c := range cases {
		said := fmt.Sprint(p.reload(t, c.load, notReloaded)["mistakes"])
		for _, want := range c.want {
			if !strings.Contains(said, want) {
				t.Errorf("%s: the log says %s, want %q in it", name, said, want)
			}
		}
		if got := p.shownGateways(t); !maps.Equal(got, before) {
			t.Errorf("%s: the gateways are %v now, were %v", name, got, before)
		}
		if n := strings.Count(said, ": "); n > maxReported+1 {
			t.Errorf("%s: the log lists %d mistakes, want %d at most", name, n, maxReported)
		}
	}
	refused := p.log.lines(notReloaded)
	if len(refused) != len(cases) || refused[0]["level"] != "ERROR" {
		t.Errorf("%d lines of level %v, want %d of ERROR", len(refused), refused[0]["level"], len(cases))
	}
	if text := p.log.String(); strings.Contains(text, "canary") || len(p.log.lines(reloaded)) > 0 {
		t.Errorf("the log shows a value, or says that something was reloaded:\n%s", text)
	}
	for series, want := range map[string]string{
		`postrider_config_reloads_total{result="refused"}`: fmt.Sprint(len(cases)),
		`postrider_config_reloads_total{result="applied"}`: "0",
		"postrider_config_applied_timestamp_seconds":       applied,
	} {
		if got := p.metric(t, series); got != want {
			t.Errorf("%s = %q, want %s", series, got, want)
		}
	}
	p.await(t, post(t, p.url+"/send_message", messageFor("chat", "x")), "delivered")
}

func fromFile(path string) loadFunc {
	return func() (*config.Config, error) { return config.Load(config.Options{File: path}) }
}

// While one is worked on any number of requests is one more reload afterwards.
func TestReloadsComeOneByOne(t *testing.T) {
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
	p.hangups <- syscall.SIGHUP
	eventually(t, "a reload is under way", func() bool { return loads.Load() == 1 })
	for range 5 {
		select { // as a signal is delivered
		case p.hangups <- syscall.SIGHUP:
		default:
		}
	}
	close(release)
	eventually(t, "two reloads", func() bool { return len(p.log.lines(reloaded)) == 2 })
	if err := p.stop(t); err != nil {
		t.Errorf("run() = %v, want nil", err)
	}
	if loads.Load() != 2 || most.Load() != 1 {
		t.Errorf("the configuration was read %d times, %d at once, want 2 and 1", loads.Load(), most.Load())
	}
}

// A reading that does not end holds up neither the next reload nor the end.
func TestReloadIsBounded(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	var hang atomic.Bool
	p := startWith(t, cfg, runOptions{loadLimit: 50 * time.Millisecond, load: func() (*config.Config, error) {
		if hang.Load() {
			<-never
		}
		return cfg, nil
	}})
	hangup := func(says string) line {
		t.Helper()
		before := len(p.log.lines(says))
		p.hangups <- syscall.SIGHUP
		eventually(t, says, func() bool { return len(p.log.lines(says)) > before })
		return p.log.lines(says)[before]
	}
	for i := range maxReadings + 1 {
		if i == 1 {
			hang.Store(false)
			hangup(reloaded)
		}
		hang.Store(true)
		want := errSlowReading
		if i == maxReadings {
			want = errTooManyReadings
		}
		if said := hangup(notReloaded); said["err"] != want.Error() {
			t.Errorf("reload %d: the log says %v, want %v", i, said["err"], want)
		}
	}
	post(t, p.url+"/event", `{"event_type": "a", "event_payload": ""}`)
}

func TestEndWhileReloading(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	never, reading := make(chan struct{}), make(chan struct{}, 1)
	t.Cleanup(func() { close(never) })
	p := startWith(t, cfg, runOptions{load: func() (*config.Config, error) {
		reading <- struct{}{}
		<-never
		return cfg, nil
	}})
	p.hangups <- syscall.SIGHUP
	receive(t, "the configuration is read", reading)
	began := time.Now()
	if err := p.stop(t); err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("run() = %v after %v, want nil soon", err, time.Since(began))
	}
	if lines := append(p.log.lines(reloaded), p.log.lines(notReloaded)...); len(lines) > 0 {
		t.Errorf("the log says %v of a reload that the end overtook", lines)
	}
}

// Who drains does not take on other gateways.
func TestReloadIsIgnoredAtTheEnd(t *testing.T) {
	t.Parallel()
	slow := newGateway(t, hanging(t))
	cfg := settings(t)
	cfg.HTTP.Drain = 500 * time.Millisecond
	cfg.Gateways = map[string]config.Gateway{"slow": at(slow.url)}
	var loads atomic.Int32
	p := startWith(t, cfg, runOptions{load: func() (*config.Config, error) { loads.Add(1); return cfg, nil }})
	post(t, p.url+"/send_message", messageFor("slow", "x"))
	eventually(t, "the attempt is under way", func() bool { return len(slow.seen()) == 1 })
	p.cancel()
	eventually(t, "it drains", func() bool {
		return ask(t, http.MethodGet, p.url+"/readyz", "").status == http.StatusServiceUnavailable
	})
	p.hangups <- syscall.SIGHUP
	if err := p.stop(t); err != nil || loads.Load() > 0 {
		t.Errorf("run() = %v after %d readings, want nil and none", err, loads.Load())
	}
}

// Between two configurations no request meets gateways of one and routes of the
// other.
func TestReloadIsOneStep(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, saying(200))
	cfg := settings(t)
	sides := map[string]*config.Config{}
	for _, name := range []string{"left", "right"} {
		side := with(cfg, map[string]config.Gateway{name: at(gateway.url)})
		side.Routes = every(name, name)
		sides[name] = side
	}
	p := start(t, sides["left"], nil)
	end := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			body := "[" + strings.Repeat(`{"event_type": "a", "event_payload": ""},`, 50) + `{"event_type": "a", "event_payload": ""}]`
			for {
				select {
				case <-end:
					return
				default:
				}
				if a, err := request(t.Context(), http.MethodPost, p.url+"/event", body); err != nil || a.status != http.StatusCreated {
					t.Errorf("POST /event = %d %s, %v; want 201", a.status, a.body, err)
					return
				}
			}
		})
	}
	for range 6 {
		p.apply(t, sides["right"])
		p.apply(t, sides["left"])
	}
	close(end)
	clients.Wait()
	// A request's messages follow each other.
	of, size := "", 0
	for _, m := range list(t, p.url+"/api/v1/messages").Messages {
		if size%51 != 0 && m.Gateway != of {
			t.Fatalf("message %d of a request is for %s, the one before it for %s", size%51, m.Gateway, of)
		}
		of = m.Gateway
		size++
	}
	if size == 0 {
		t.Error("nothing was accepted")
	}
}

// The same for what a reload overtakes in the middle of a request.
func TestRoutesOfARequestStayTheSame(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	declare := func(name string) *snapshot {
		next := with(cfg, map[string]config.Gateway{name: {}})
		next.Routes = every(name, name)
		s, err := checkAll(next, "http://b.example", nil, false)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	var f inForce
	f.Store(declare("left"))
	route := f.route()
	f.Store(declare("right"))
	for want, route := range map[string]httpapi.Router{"left": route, "right": f.route()} {
		if made, err := route.Route(data.NewEvent{}); err != nil || len(made) != 1 || made[0].Gateway != want {
			t.Errorf("route() = %+v, %v; want one message for %s", made, err, want)
		}
	}
}

// A dialect that goes on as it was declared is the same one afterwards.
func TestCatalogTakesDialectsOver(t *testing.T) {
	t.Parallel()
	body := func(text string) *config.Body { return &config.Body{JSON: map[string]any{"a": []any{text}}} }
	five := 5
	cfg := config.Default()
	cfg.Gateways = map[string]config.Gateway{
		"same":  {URL: config.Plain("http://a.example"), Headers: map[string]config.Text{"X-A": config.Plain("a")}, Body: body("x")},
		"limit": at("http://a.example"), "url": at("http://a.example"), "header": {Headers: map[string]config.Text{"X-A": config.Plain("a")}},
		"body": {Body: body("x")}, "final": {}, "gone": {}, "broken": at("http://a.example/{{x}}"),
	}
	before, mistakes := newCatalog(cfg, "http://b.example", nil)
	if len(mistakes) != 1 {
		t.Fatalf("mistakes = %v, want one", mistakes)
	}
	next := with(cfg, map[string]config.Gateway{
		"same":  {URL: config.Plain("http://a.example"), Headers: map[string]config.Text{"X-A": config.Plain("a")}, Body: body("x")},
		"limit": {URL: config.Plain("http://a.example"), MaxAttempts: &five}, "url": at("http://c.example"),
		"header": {Headers: map[string]config.Text{"X-A": config.Plain("b")}}, "body": {Body: body("y")},
		"final": {Permanent: config.Permanent{Status: config.Statuses(410)}}, "added": {}, "broken": at("http://a.example/{{id}}"),
	})
	after, mistakes := newCatalog(next, "http://b.example", before)
	if len(mistakes) > 0 {
		t.Fatalf("mistakes = %v, want none", mistakes)
	}
	for name, taken := range map[string]bool{"same": true, "limit": true, "url": false, "header": false, "body": false, "final": false, "broken": false} {
		if got := after.entries[name].dialect == before.entries[name].dialect; got != taken {
			t.Errorf("the dialect of %s is the one from before: %v, want %v", name, got, taken)
		}
	}
	added, changed, removed := after.since(before)
	if added != 1 || changed != 6 || removed != 1 {
		t.Errorf("since() = %d added, %d changed, %d removed; want 1, 6, 1", added, changed, removed)
	}
	if d, ok := after.entries["limit"].define(nil); !ok || d.Policy.MaxAttempts != 5 {
		t.Errorf("limit is defined as %+v, want five attempts", d)
	}
}

// Every limit of the configuration reaches the lane and is shown.
func TestCatalogDefinesWhatIsDeclared(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	rate, queue, hold := 2.5, 7, 3
	cfg.Gateways = map[string]config.Gateway{
		"all": {Rate: &rate, MaxQueue: &queue, HoldAfter: &hold, Permanent: config.Permanent{Status: config.Statuses(400, 410)}},
	}
	cfg.Routes = every("all", "x")
	s, err := checkAll(cfg, "http://b.example", nil, false)
	if err != nil {
		t.Fatal(err)
	}
	d, _ := s.gateways.entries["all"].define(nil)
	shown := s.gateways.entries["all"].shown
	if d.Rate != 2.5 || d.HoldAfter != 3 || shown.Rate != 2.5 || shown.HoldAfter != 3 || shown.MaxQueue != 7 || !slices.Equal(shown.Permanent, []int{400, 410}) {
		t.Errorf("defined as %+v, shown as %+v; want rate 2.5, hold_after 3, max_queue 7, permanent 400 and 410", d, shown)
	}
	if made, err := s.route(data.NewEvent{}, nil); err != nil || len(made) != 1 || made[0].MaxQueue != 7 {
		t.Errorf("route() = %+v, %v; want one message with max_queue 7", made, err)
	}
	answer := dialect.Answer{Status: 410}
	if got := s.gateways.entries["all"].dialect.Judge(answer, time.Time{}).Outcome; got != data.OutcomePermanent {
		t.Errorf("an answer of 410 is %s, want permanent", got)
	}
}

// What lanes got from an old snapshot does not keep it in memory.
func TestOldSnapshotIsCollected(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Gateways = map[string]config.Gateway{"a": {}, "b": {}}
	read := func(before *catalog) *snapshot {
		s, err := checkAll(cfg, "http://b.example", before, false)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	var f inForce
	f.Store(read(nil))
	define := f.define(egress.New(egress.Options{}))
	d, _ := define("a")
	old, catalog := weak.Make(f.Load()), weak.Make(f.Load().gateways)
	f.Store(read(f.Load().gateways))
	eventually(t, "the old snapshot is collected", func() bool {
		runtime.GC()
		return old.Value() == nil && catalog.Value() == nil
	})
	runtime.KeepAlive(d)
	runtime.KeepAlive(&f)
}

// The signal itself, with the program as it is shipped.
func TestReloadBySignal(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, saying(200))
	const first = "gateways: {chat: {url: {env: CHAT}}}\n"
	file := writeFile(t, "config.yaml", first)
	p := startChild(t, binary(t), inStore(t.TempDir(), "--config", file), "CHAT="+gateway.url, "POSTRIDER_DELIVERY__MAX_ATTEMPTS=2")
	url := p.listening(t)
	hangup := func(content, says string) {
		t.Helper()
		if content == "" {
			_ = os.Remove(file)
		} else if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		before := len(p.log.lines(says))
		p.signal(t, syscall.SIGHUP)
		eventually(t, says, func() bool { return len(p.log.lines(says)) > before })
	}
	hangup("gateways: {chat: {url: {env: NOTHING}}}\n", notReloaded)
	hangup("", notReloaded)
	hangup("# nothing yet\n", notReloaded)
	hangup(first+"delivery: {rate: 5}\nrouts: []\n", notReloaded)
	post(t, url+"/send_message", messageFor("chat", "x"))
	hangup("gateways: {news: {url: {env: CHAT}}}\n", reloaded)
	id := post(t, url+"/send_message", messageFor("news", "x"))
	var m message
	eventually(t, "the message is delivered", func() bool {
		get(t, url+"/api/v1/messages/"+id, &m)
		return m.State == "delivered"
	})
	// The environment counts as it did at the start.
	var g struct {
		MaxAttempts int `json:"max_attempts"`
	}
	if get(t, url+"/api/v1/gateways/news", &g); g.MaxAttempts != 2 {
		t.Errorf("news has %d attempts, want 2 as the environment says", g.MaxAttempts)
	}
	if code := p.end(t); code != exitClean {
		t.Errorf("exited with %d, want 0; it said\n%s", code, p.log.tail())
	}
}

// pipe makes a pipe in the place of a configuration file.
func pipe(t *testing.T) string {
	t.Helper()
	path := t.TempDir() + "/config.yaml"
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// writer opens a pipe for writing, which ends when somebody reads from it.
func writer(t *testing.T, path string) *os.File {
	t.Helper()
	opened := make(chan *os.File, 1)
	go func() {
		f, _ := os.OpenFile(path, os.O_WRONLY, 0)
		opened <- f
	}()
	return receive(t, "somebody reads the configuration", opened)
}

// A signal to reload that comes before the process is up does not end it, and is
// obeyed afterwards.
func TestReloadBeforeTheProcessIsUp(t *testing.T) {
	t.Parallel()
	path := pipe(t)
	p := startChild(t, binary(t), inStore(t.TempDir(), "--config", path))
	write := func(w *os.File, content string) {
		t.Helper()
		_, err := w.WriteString(content)
		if err := errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	w := writer(t, path)
	p.signal(t, syscall.SIGHUP)
	write(w, "gateways: {a: {}}\n")
	url := p.listening(t)
	write(writer(t, path), "gateways: {a: {}, b: {}}\n")
	eventually(t, "both gateways are there", func() bool {
		return ask(t, http.MethodGet, url+"/api/v1/gateways/b", "").status == http.StatusOK
	})
}

// Who waits for a configuration that nobody writes can be asked to end.
func TestEndWhileTheConfigurationIsRead(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"serve", "propagate"} {
		path := pipe(t)
		p := startChild(t, binary(t), []string{command, "--config", path})
		w := writer(t, path)
		p.signal(t, syscall.SIGTERM)
		if code := p.wait(t); code != exitClean {
			t.Errorf("%s exited with %d, want 0; it said\n%s", command, code, p.log.tail())
		}
		_ = w.Close() // nobody reads it any more
	}
}

func TestDescriptorLimitIsChecked(t *testing.T) {
	t.Parallel()
	const says = "the process may open fewer files"
	var own syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &own); err != nil || own.Max < 17000 {
		t.Skipf("this process may open %d files: %v", own.Max, err)
	}
	for limit, warns := range map[string]bool{"2000": true, "17000": false} {
		args := append([]string{"-c", `ulimit -n ` + limit + ` && exec "$0" "$@"`, binary(t)}, inStore(t.TempDir(), "--delivery.max_in_flight", "100")...)
		p := startChild(t, "/bin/sh", args)
		p.listening(t)
		if code := p.end(t); code != exitClean {
			t.Errorf("exited with %d, want 0", code)
		}
		if got := strings.Contains(p.log.String(), says); got != warns {
			t.Errorf("with %s descriptors it warns: %v, want %v; it said\n%s", limit, got, warns, p.log)
		}
	}
}
