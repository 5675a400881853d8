package main

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// inStore are the arguments of a process that serves from a directory.
func inStore(path string, more ...string) []string {
	return append([]string{
		"serve", "--http.port", "0", "--storage.path", path, "--storage.memtable", "8MiB", "--storage.min_free", "128MiB",
	}, more...)
}

// The exit codes are a contract: scripts and units depend on them.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	none := filepath.Join(t.TempDir(), "none")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	wrong := writeFile(t, "wrong.yaml", "http: {port: 99999, prot: 1}\ndelivery: {interval: 5}\n")
	template := writeFile(t, "template.yaml",
		"gateways: {g: {}}\nroutes: [{match: {event_type: '*'}, gateway: g, message: '{{canary}}'}]\npropagator: {enabled: true, events_file: "+none+"}\n")
	for name, c := range map[string]struct {
		args []string
		want int
		says []string
	}{
		"version":             {[]string{"version"}, exitClean, nil},
		"help":                {[]string{"--help"}, exitClean, nil},
		"port in use":         {inStore(t.TempDir(), "--http.port", port), exitFailure, []string{"address already in use"}},
		"unknown flag":        {[]string{"serve", "--nonsense"}, exitUsage, []string{"--nonsense", "--help"}},
		"unknown command":     {[]string{"nonsense"}, exitUsage, []string{"unknown command"}},
		"unknown subcommand":  {[]string{"config", "nonsense"}, exitUsage, []string{"config"}},
		"argument to serve":   {[]string{"serve", "nonsense"}, exitUsage, []string{"no arguments"}},
		"flag without value":  {[]string{"serve", "--http.port"}, exitUsage, []string{"http.port"}},
		"no such file":        {[]string{"serve", "--config", none}, exitUsage, []string{none}},
		"all mistakes":        {[]string{"serve", "--config", wrong, "--log.level", "loud"}, exitUsage, []string{"http.port: ", "http.prot: ", "delivery.interval: ", "log.level: "}},
		"all, checked":        {[]string{"config", "check", "--config", wrong, "--log.level", "loud"}, exitUsage, []string{"http.port: ", "http.prot: ", "delivery.interval: ", "log.level: "}},
		"parts, served":       {inStore(none, "--config", template), exitUsage, []string{"routes[0].message: ", "propagator.events_file: "}},
		"parts, checked":      {[]string{"config", "check", "--config", template}, exitUsage, []string{"routes[0].message: ", "propagator.events_file: "}},
		"nothing to draw":     {[]string{"propagate", "--events-file", writeFile(t, "e.json", "[]")}, exitUsage, []string{"propagator.events_file: "}},
		"nowhere to post":     {[]string{"propagate", "--http.port", "0"}, exitUsage, []string{"propagator.url: "}},
		"disk too small":      {inStore(t.TempDir(), "--storage.min_free", "1000TiB"), exitNoSpace, []string{"storage.min_free"}},
		"text not quoted":     {[]string{"send", "-g", "gateway_1", "hello", "world"}, exitUsage, []string{"quote"}},
		"send to no gateway":  {[]string{"send", "hello"}, exitUsage, []string{"-g"}},
		"resend of no id":     {[]string{"messages", "resend", "canary"}, exitUsage, []string{"not the id"}},
		"resend of two":       {[]string{"messages", "resend", "0000000000002", "0000000000004"}, exitUsage, []string{"one id"}},
		"resend id, filter":   {[]string{"messages", "resend", "0000000000002", "--state", "failed"}, exitUsage, []string{"not both"}},
		"resend from nobody":  {[]string{"messages", "resend", "--server", "http://127.0.0.1:1"}, exitFailure, []string{"is it running?"}},
		"pause of nothing":    {[]string{"gateways", "pause"}, exitUsage, []string{"one gateway"}},
		"pause of no name":    {[]string{"gateways", "resume", "../canary"}, exitUsage, []string{"name of a gateway"}},
		"pause of long name":  {[]string{"gateways", "pause", strings.Repeat("a", 65)}, exitUsage, []string{"1 to 64"}},
		"render of nothing":   {[]string{"gateways", "render", "--message", "m"}, exitUsage, []string{"one gateway"}},
		"test of no name":     {[]string{"gateways", "test", "../canary", "--message", "m"}, exitUsage, []string{"name of a gateway"}},
		"test without a text": {[]string{"gateways", "test", "chat"}, exitUsage, []string{"--message"}},
		"test, bad parameter": {[]string{"gateways", "test", "chat", "--message", "m", "--param", "canary"}, exitUsage, []string{"name=value"}},
		"test at nobody":      {[]string{"gateways", "test", "chat", "--message", "m", "--server", "http://127.0.0.1:1"}, exitFailure, []string{"is it running?"}},
		"server, no scheme":   {[]string{"messages", "resend", "--server", "127.0.0.1:1"}, exitUsage, []string{"http:// or https://"}},
		"server, by name":     {[]string{"send", "-g", "g", "--server", "localhost:1", "x"}, exitUsage, []string{"http:// or https://"}},
		"unknown of messages": {[]string{"messages", "nonsense"}, exitUsage, []string{"messages"}},
		"no key file":         {[]string{"send", "-g", "g", "--key-file", none, "hello"}, exitUsage, []string{"API key"}},
		"anybody from afar":   {inStore(t.TempDir(), "--host", "0.0.0.0"), exitUsage, []string{"http.host: "}},
		"backup of nothing":   {[]string{"backup"}, exitUsage, []string{"one file"}},
		"backup from nobody":  {[]string{"backup", "--server", "http://127.0.0.1:1", none}, exitFailure, []string{"is it running?"}},
		"backup over a file":  {[]string{"backup", wrong}, exitUsage, []string{"--force"}},
		"backup to nowhere":   {[]string{"backup", "--force", t.TempDir()}, exitUsage, []string{"is no file"}},
		"restore of nothing":  {[]string{"restore"}, exitUsage, []string{"one file"}},
		"restore of no file":  {[]string{"restore", none}, exitUsage, []string{none}},
		"restore, a folder":   {[]string{"restore", t.TempDir()}, exitUsage, []string{"directory"}},
		"restore of no back":  {[]string{"restore", wrong, "--storage.path", filepath.Join(t.TempDir(), "s")}, exitDamaged, []string{"no backup of Postrider"}},
		"restore over a file": {[]string{"restore", wrong, "--storage.path", filepath.Dir(wrong)}, exitUsage, []string{"not empty", "storage.path"}},
		"restore at a file":   {[]string{"restore", wrong, "--storage.path", template}, exitUsage, []string{"not a directory", "storage.path"}},
		"restore below it":    {[]string{"restore", wrong, "--storage.path", filepath.Join(template, "s")}, exitUsage, []string{"not a directory", "storage.path"}},
		"store at a file":     {inStore(template), exitUsage, []string{template, "not a directory", "storage.path"}},
		"store below it":      {inStore(filepath.Join(template, "s")), exitUsage, []string{template, "not a directory", "storage.path"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := runChild(t, c.args)
			if code != c.want {
				t.Errorf("postrider %v exited with %d, want %d; it said\n%s", c.args, code, c.want, errs)
			}
			for _, text := range c.says {
				if !strings.Contains(errs, text) {
					t.Errorf("postrider %v said\n%swhich does not have %q", c.args, errs, text)
				}
			}
			if c.want != exitClean && (out != "" || strings.Contains(errs, "canary")) {
				t.Errorf("postrider %v said %q and %q", c.args, out, errs)
			}
		})
	}
}

// Variables that name no key are mistakes too, and mistakes of all places are
// told together.
func TestMistakesInTheEnvironment(t *testing.T) {
	t.Parallel()
	code, _, errs := runChild(t, []string{"config", "check", "--http.port", "x"}, "POSTRIDER_HTTP__PROT=1", "POSTRIDER_LOG__LEVEL=loud")
	if code != exitUsage {
		t.Errorf("exited with %d, want 2", code)
	}
	for _, text := range []string{"POSTRIDER_HTTP__PROT: ", "log.level: ", "http.port: "} {
		if !strings.Contains(errs, text) {
			t.Errorf("config check said\n%swhich does not have %q", errs, text)
		}
	}
}

func TestSecondProcessOnTheStore(t *testing.T) {
	t.Parallel()
	store := t.TempDir()
	first := startChild(t, binary(t), inStore(store))
	url := first.listening(t)
	code, _, errs := runChild(t, inStore(store))
	if code != exitInUse || !strings.Contains(errs, "in use by another process") {
		t.Errorf("the second process exited with %d, want 3; it said\n%s", code, errs)
	}
	post(t, url+"/event", `{"event_type": "a", "event_payload": "still taken"}`)
	if code := first.end(t); code != exitClean {
		t.Errorf("the first process exited with %d, want 0", code)
	}
}

func TestStoreThatCannotBeServed(t *testing.T) {
	t.Parallel()
	shorten := func(part int64) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			info, err := os.Stat(path)
			if err == nil {
				err = os.Truncate(path, info.Size()*part/100)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		file   string // a pattern
		damage func(t *testing.T, path string)
		says   string
		opens  bool // with --accept-data-loss
	}{
		"acknowledged, empty": {"acknowledged", shorten(0), "--accept-data-loss", true},
		"table, half":         {"badger/*.sst", shorten(50), "--accept-data-loss", false},
		"manifest, gone":      {"badger/MANIFEST", shorten(0), "--accept-data-loss", false},
		"stamp, half":         {"store.json", shorten(50), "--accept-data-loss", true},
		"of a later version":  {"store.json", ofLaterVersion, "start the version that wrote it", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := t.TempDir()
			p := startChild(t, binary(t), inStore(store))
			id := post(t, p.listening(t)+"/event", `{"event_type": "a", "event_payload": "b"}`)
			if code := p.end(t); code != exitClean {
				t.Fatalf("exited with %d, want 0", code)
			}
			found, err := filepath.Glob(filepath.Join(store, c.file))
			if err != nil || len(found) == 0 {
				t.Fatalf("no %s in the store: %v", c.file, err)
			}
			c.damage(t, found[0])
			code, _, errs := runChild(t, inStore(store))
			if code != exitDamaged || !strings.Contains(errs, c.says) {
				t.Errorf("exited with %d, want 4 and %q; it said\n%s", code, c.says, errs)
			}
			if !c.opens {
				return
			}
			p = startChild(t, binary(t), inStore(store, "--accept-data-loss"))
			var e event
			get(t, p.listening(t)+"/api/v1/events/"+id, &e)
			if e.Payload != "b" {
				t.Errorf("event %s = %+v after the loss was accepted, want it as it was", id, e)
			}
		})
	}
}

// ofLaterVersion makes a stamp that a later version may have written.
func ofLaterVersion(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Store json.RawMessage `json:"store"`
		Sum   uint32          `json:"crc32c"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	later := strings.Replace(string(file.Store), `"schema":2`, `"schema":1001`, 1)
	if later == string(file.Store) {
		t.Fatalf("there is no schema 2 in %s", file.Store)
	}
	sum := crc32.Checksum([]byte(later), crc32.MakeTable(crc32.Castagnoli))
	if err := os.WriteFile(path, fmt.Appendf(nil, `{"store":%s,"crc32c":%d}`, later, sum), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for _, asked := range []string{"version", "--version"} {
		if code, out, _ := runChild(t, []string{asked}); code != exitClean || !strings.HasPrefix(out, "postrider "+builtVersion+"\ncommit "+builtCommit+"\n") || !strings.Contains(out, runtime.Version()) {
			t.Errorf("postrider version = %d %q, want 0 and %s", code, out, builtVersion)
		}
	}
}

func TestConfigCommands(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "config.yaml", `
gateways:
  chat: {url: {env: CHAT_URL}, headers: {Authorization: {env: CHAT_AUTHORIZATION}}}
  pager: {url: "https://u:canary@pager.example.org/x?key=canary"}
http: {keys: [{name: ops, env: OPS_KEY}]}
propagator: {key: {env: OPS_KEY}}
routes: [{match: {event_type: "*"}, gateway: chat, message: "{{event_payload}}"}]
`)
	secrets := []string{"CHAT_URL=https://chat.example.org/canary", "CHAT_AUTHORIZATION=canary", "OPS_KEY=canary-canary-canary"}
	code, out, errs := runChild(t, []string{"config", "check", "--config", file}, secrets...)
	if code != exitClean || !strings.Contains(out, "2 gateways, 1 routes") {
		t.Errorf("config check = %d %q %q, want 0 with 2 gateways and 1 routes", code, out, errs)
	}
	// The file may also be named by the environment, and a flag wins.
	code, out, errs = runChild(t, []string{"config", "print", "--http.port", "1234"}, append(secrets, "POSTRIDER_CONFIG="+file, "POSTRIDER_HTTP__PORT=1")...)
	if code != exitClean || !strings.Contains(out, "port: 1234") || !strings.Contains(out, "pager.example.org") {
		t.Errorf("config print = %d %q %q, want 0 with port 1234", code, out, errs)
	}
	if strings.Contains(out+errs, "canary") {
		t.Errorf("config print shows a secret:\n%s%s", out, errs)
	}
}

func TestSend(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, saying(http.StatusOK))
	file := writeFile(t, "config.yaml", "gateways: {chat: {url: '"+gateway.url+"'}}\nhttp: {keys: [{name: ops, env: OPS_KEY}]}\n")
	const key = "a-key-of-the-tests-0123456789"
	p := startChild(t, binary(t), inStore(t.TempDir(), "--config", file), "OPS_KEY="+key)
	url := p.listening(t)
	authorized := "POSTRIDER_KEY=" + key
	args := []string{"send", "-g", "chat", "--server", url, "--idempotency-key", "k", "hello \"world\"\n"}

	code, out, errs := runChild(t, args, authorized)
	if code != exitClean || len(strings.TrimSpace(out)) != 13 {
		t.Fatalf("send = %d %q %q, want 0 and an id", code, out, errs)
	}
	if code, again, errs := runChild(t, args, "POSTRIDER_KEY="+key); code != exitClean || again != out {
		t.Errorf("send, repeated = %d %q %q, want 0 and %q", code, again, errs, out)
	}
	eventually(t, "the message is delivered", func() bool { return len(gateway.seen()) == 1 })
	if body := gateway.seen()[0].body; !sameJSON(body, `{"message": "hello \"world\"\n"}`) {
		t.Errorf("the gateway got %s", body)
	}

	fields := []string{
		"send", "-g", "chat", "--server", url, "--to", "+1", "--title", "t", "--param", "b=2", "--param", "a=1=1", "--expires-in", "1h", "x",
	}
	code, out, errs = runChild(t, fields, authorized)
	shown := ask(t, http.MethodGet, url+"/api/v1/messages/"+strings.TrimSpace(out), "", "Authorization", "Bearer "+key).body
	for _, want := range []string{`"to":"+1"`, `"title":"t"`, `"params":{"a":"1=1","b":"2"}`, `"expires_at":"`} {
		if code != exitClean || !strings.Contains(shown, want) {
			t.Errorf("send with fields = %d %q; the message is %s, want %s in it", code, errs, shown, want)
		}
	}
	code, _, errs = runChild(t, []string{"send", "-g", "chat", "--server", url, "--expires-in", "soon", "x"}, authorized)
	if code != exitFailure || !strings.Contains(errs, "/expires_in") {
		t.Errorf("send with a bad end = %d %q, want 1 and where", code, errs)
	}
	code, _, errs = runChild(t, []string{"send", "-g", "chat", "--param", "a", "x"})
	if code != exitUsage || !strings.Contains(errs, "name=value") {
		t.Errorf("send with a bad parameter = %d %q, want 2", code, errs)
	}

	keyFile := writeFile(t, "key", key+"\n")
	code, _, errs = runChild(t, []string{"send", "-g", "nobody", "--server", url, "--key-file", keyFile, "x"})
	if code != exitFailure || !strings.Contains(errs, "422") || !strings.Contains(errs, "/gateway") {
		t.Errorf("send to an unknown gateway = %d %q, want 1 with 422 and where", code, errs)
	}
	code, _, errs = runChild(t, []string{"send", "-g", "chat", "--server", url, "x"})
	if code != exitFailure || !strings.Contains(errs, "401") || !strings.Contains(errs, "--key-file or in POSTRIDER_KEY") {
		t.Errorf("send without a key = %d %q, want 1 with 401 and where a key is given", code, errs)
	}
	code, _, errs = runChild(t, []string{"send", "-g", "chat", "--server", "http://canary:canary@127.0.0.1:" + freePort(t), "x"}, authorized)
	if code != exitFailure || !strings.Contains(errs, "running") || strings.Contains(errs, "canary") {
		t.Errorf("send to nobody = %d %q, want 1 and a question", code, errs)
	}
}

// Who asks twice does not want to wait.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	gateway := newGateway(t, hanging(t))
	file := writeFile(t, "config.yaml", "gateways: {chat: {url: '"+gateway.url+"'}}\n")
	store := t.TempDir()
	p := startChild(t, binary(t), inStore(store, "--config", file, "--http.drain", "1m", "--delivery.timeout", "1m"))
	id := post(t, p.listening(t)+"/send_message", messageFor("chat", "x"))
	eventually(t, "the attempt is under way", func() bool { return len(gateway.seen()) == 1 })
	p.signal(t, syscall.SIGTERM)
	eventually(t, "it drains", func() bool {
		return strings.Contains(p.log.String(), "stopping")
	})
	began := time.Now()
	p.signal(t, syscall.SIGINT)
	if code := p.wait(t); code != exitFailure || time.Since(began) > 5*time.Second {
		t.Errorf("exited with %d after %v, want 1 at once", code, time.Since(began))
	}
	next := startChild(t, binary(t), inStore(store, "--config", file))
	var m message
	get(t, next.listening(t)+"/api/v1/messages/"+id, &m)
	if m.State != "waiting" || len(m.Attempts) != 1 || m.Attempts[0].Cause != "cut_off" {
		t.Errorf("message = %+v after the next start, want waiting after an attempt that was cut off", m)
	}
}

// What was answered before the end is there after it; what was not is refused
// or unanswered and never an error of ours.
func TestSignalUnderLoad(t *testing.T) {
	t.Parallel()
	store := t.TempDir()
	p := startChild(t, binary(t), inStore(store))
	url := p.listening(t)
	const clients = 4
	acknowledged := make(chan []string, clients)
	for c := range clients {
		go func() {
			var payloads []string
			defer func() { acknowledged <- payloads }()
			for i := range 100_000 {
				payload := strconv.Itoa(c) + "-" + strconv.Itoa(i)
				a, err := request(t.Context(), http.MethodPost, url+"/event", `{"event_type": "load", "event_payload": "`+payload+`"}`)
				if err != nil || a.status == http.StatusServiceUnavailable {
					return
				}
				if a.status != http.StatusCreated {
					t.Errorf("POST /event = %d %s, want 201, or 503 at the end", a.status, a.body)
					return
				}
				payloads = append(payloads, payload)
			}
		}()
	}
	eventually(t, "some events", func() bool {
		var some page
		get(t, url+"/api/v1/events?limit=200", &some)
		return len(some.Events) == 200
	})
	if code := p.end(t); code != exitClean {
		t.Errorf("exited with %d, want 0; it said\n%s", code, p.log.tail())
	}
	next := startChild(t, binary(t), inStore(store))
	there := map[string]int{}
	for _, e := range list(t, next.listening(t)+"/api/v1/events").Events {
		there[e.Payload]++
	}
	total := 0
	for range clients {
		for _, payload := range receive(t, "the end of a client", acknowledged) {
			total++
			if there[payload] != 1 {
				t.Errorf("event %s was acknowledged and is there %d times", payload, there[payload])
			}
		}
	}
	if extra := len(there) - total; extra < 0 || extra > clients {
		t.Errorf("%d events are there, %d were acknowledged: more than one per client without an answer", len(there), total)
	}
}

// A process that cannot listen lets go of the store.
func TestPortInUseLeavesTheStoreAlone(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	p := start(t, cfg, nil)
	other := *cfg
	other.Storage.Path = filepath.Join(t.TempDir(), "store")
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(p.url, "http://"))
	other.HTTP.Port, _ = strconv.Atoi(port)
	if err := run(t.Context(), &other, runOptions{errs: new(logBuffer)}); exitCode(err) != exitFailure || err == nil {
		t.Fatalf("run() = %v, want an error of the port", err)
	}
	other.HTTP.Port = 0
	start(t, &other, nil)
}
