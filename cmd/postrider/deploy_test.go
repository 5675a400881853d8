package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// deployed reads a file that is shipped beside the program.
func deployed(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{"..", ".."}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func checkConfiguration(t *testing.T, file string) {
	t.Helper()
	var out, errs strings.Builder
	if code := execute(t.Context(), []string{"config", "check", "--config", file}, &out, &errs); code != exitClean {
		t.Errorf("config check %s = %d %s", file, code, errs.String())
	}
}

func TestInstalledConfigurationIsRight(t *testing.T) {
	t.Parallel()
	checkConfiguration(t, filepath.Join("..", "..", "deploy", "postrider.yaml"))
}

// What the next start would find as well is not tried for ever.
func TestUnitKeepsToTheExitCodes(t *testing.T) {
	t.Parallel()
	unit := deployed(t, "deploy", "postrider.service")
	for _, want := range []string{
		fmt.Sprintf("RestartPreventExitStatus=%d %d %d %d\n", exitUsage, exitInUse, exitDamaged, exitNoSpace),
		"Environment=GOTRACEBACK=crash\n", // else a panic would end with exitUsage
		"ExecReload=/bin/kill -HUP $MAINPID\n",
		"Type=notify\n",
	} {
		if !strings.Contains(unit, "\n"+want) {
			t.Errorf("the unit has no %s", want)
		}
	}
}

func TestManifestsAreRight(t *testing.T) {
	t.Parallel()
	type anything = map[string]any
	read := func(file string) (all []anything) {
		for d := yaml.NewDecoder(strings.NewReader(deployed(t, "deploy", file))); ; {
			var one anything
			err := d.Decode(&one)
			if errors.Is(err, io.EOF) {
				return all
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			all = append(all, one)
		}
	}
	at := func(from anything, path ...string) any {
		var v any = from
		for _, name := range path {
			m, _ := v.(anything)
			v = m[name]
		}
		return v
	}
	if root := at(read("compose.yaml")[0], "services", "postrider", "read_only"); root != true {
		t.Errorf("compose.yaml: read_only is %v", root)
	}
	for _, m := range read("kubernetes.yaml") {
		switch m["kind"] {
		case "ConfigMap":
			text, _ := at(m, "data", "postrider.yaml").(string)
			key, file := filepath.Join(t.TempDir(), "ops"), filepath.Join(t.TempDir(), "postrider.yaml")
			text = strings.Replace(text, "/etc/postrider/keys/ops", key, 1)
			if err := errors.Join(os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600), os.WriteFile(file, []byte(text), 0o600)); err != nil {
				t.Fatal(err)
			}
			checkConfiguration(t, file)
		case "StatefulSet":
			if n := at(m, "spec", "replicas"); n != 1 {
				t.Errorf("kubernetes.yaml: %v replicas, want 1", n)
			}
		}
	}
}

// An alarm on a metric that is not there never rings.
func TestAlarmsAreOnMetricsThatAreThere(t *testing.T) {
	t.Parallel()
	p := exerciseMetrics(t)
	shown := ask(t, http.MethodGet, p.url+"/metrics", "").body
	exists := func(name string) bool {
		return strings.Contains(shown, "\n"+name+"{") || strings.Contains(shown, "\n"+name+" ") || strings.Contains(shown, "# TYPE "+name+" ")
	}
	// Two are there only when there is something to count.
	rare := map[string]bool{"postrider_route_misfits_total": true, "postrider_actor_restarts_total": true}
	for _, file := range [][]string{{"deploy", "prometheus-rules.yaml"}, {"docs", "operations.md"}} {
		names := regexp.MustCompile(`postrider_[a-z_]*[a-z]`).FindAllString(deployed(t, file...), -1)
		if len(names) == 0 {
			t.Errorf("%v names no metrics", file)
		}
		for _, name := range names {
			if !exists(name) && !rare[name] {
				t.Errorf("%v names %s, which is not there", file, name)
			}
		}
	}
}

// Where Prometheus is installed, its own tool says whether the alarms ring.
func TestAlarmsRing(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed")
	}
	if out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", filepath.Join("testdata", "alarms.yaml")).CombinedOutput(); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
}

// Each alarm that is shipped is explained, and each that is explained is shipped.
func TestAlarmsAreExplained(t *testing.T) {
	t.Parallel()
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				Expr        string
				Annotations struct{ Summary string }
			}
		}
	}
	if err := yaml.Unmarshal([]byte(deployed(t, "deploy", "prometheus-rules.yaml")), &rules); err != nil {
		t.Fatal(err)
	}
	shipped := map[string]bool{}
	docs := deployed(t, "docs", "operations.md")
	for _, r := range rules.Groups[0].Rules {
		shipped[r.Alert] = true
		if r.Expr == "" || r.Annotations.Summary == "" {
			t.Errorf("%s has no expression or no summary", r.Alert)
		}
		if !strings.Contains(docs, "`"+r.Alert+"`") {
			t.Errorf("docs/operations.md does not explain %s", r.Alert)
		}
	}
	for _, name := range regexp.MustCompile("`(Postrider[A-Za-z]+)`").FindAllStringSubmatch(docs, -1) {
		if !shipped[name[1]] {
			t.Errorf("docs/operations.md explains %s, which is not shipped", name[1])
		}
	}
}

// The service manager hears when the process serves, and when it is about to end.
func TestServiceManagerIsTold(t *testing.T) {
	t.Parallel()
	// A directory of the test would be too long for the address of a socket.
	dir, err := os.MkdirTemp("", "n") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	told := func() string {
		b := make([]byte, 100)
		_ = socket.SetReadDeadline(time.Now().Add(patience)) // a socket takes deadlines
		n, err := socket.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	c := startChild(t, binary(t), inStore(filepath.Join(t.TempDir(), "store")), "NOTIFY_SOCKET="+filepath.Join(dir, "s"))
	if said := told(); said != notifyReady {
		t.Errorf("it said %q, want %s", said, notifyReady)
	}
	c.listening(t)
	c.signal(t, os.Interrupt)
	if said := told(); said != notifyStopping {
		t.Errorf("it said %q, want %s", said, notifyStopping)
	}
	if code := c.wait(t); code != exitClean {
		t.Errorf("it ended with %d", code)
	}
}

// From the start of the demonstration to the first message that was delivered it is two
// seconds at most on a machine that has nothing else to do; the bound is for others.
func TestFirstDeliveryIsSoon(t *testing.T) {
	t.Parallel()
	program := binary(t)
	file, err := filepath.Abs(filepath.Join("..", "..", "config", "postrider.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	c := startChild(t, program, []string{"serve", "--config", file, "--port", "0", "--storage.path", filepath.Join(t.TempDir(), "store")})
	p := &instance{url: c.listening(t)}
	p.await(t, post(t, p.url+"/send_message", messageFor("gateway_1", "hello")), "delivered")
	took := time.Since(began)
	t.Logf("delivered %v after the start", took)
	if took > 10*time.Second {
		t.Errorf("the first message was delivered %v after the start, want 2 s, and never 10", took)
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish"} {
		var out bytes.Buffer
		if code := execute(t.Context(), []string{"completion", shell}, &out, io.Discard); code != exitClean || !bytes.Contains(out.Bytes(), []byte("postrider")) {
			t.Errorf("completion %s = %d %.40s", shell, code, out.String())
		}
	}
}

// What a newcomer copies has to work.
func TestQuickStartIsRight(t *testing.T) {
	t.Parallel()
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(deployed(t, "docs", "quickstart.md"), -1)
	if len(blocks) != 4 {
		t.Fatalf("there are %d pieces of configuration, want three gateways and a route", len(blocks))
	}
	route := blocks[3][1]
	for _, b := range blocks[:3] {
		code, out, errs := runChild(t, []string{"config", "check", "--config", writeFile(t, "first.yaml", b[1]+route)},
			"TELEGRAM_TOKEN=123:abc", "SLACK_URL=https://hooks.slack.com/services/a/b/c")
		if code != exitClean || !strings.Contains(out, "1 gateways, 1 routes") {
			t.Errorf("config check = %d %s%s of\n%s", code, out, errs, b[1])
		}
	}
}

// Whoever unpacks an archive or installs the package can follow what the documents link to.
func TestShippedLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "documents")
	if out, err := exec.CommandContext(t.Context(), filepath.Join("..", "..", "deploy", "documents"), dir).CombinedOutput(); err != nil {
		t.Fatalf("deploy/documents: %v %s", err, out)
	}
	link := regexp.MustCompile(`\]\(([^)\s#]+)[^)]*\)`)
	followed := 0
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".md" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range link.FindAllStringSubmatch(string(text), -1) {
			to := found[1]
			if strings.Contains(to, "://") || to == "LICENSE" { // which each kind puts there by itself
				continue
			}
			followed++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), to)); err != nil {
				t.Errorf("%s links to %s: %v", filepath.Base(path), to, err)
			}
		}
		return err
	})
	if err != nil || followed < 10 {
		t.Errorf("%d links were followed: %v", followed, err)
	}
	for _, want := range []string{"DOCUMENTS}", "/usr/share/doc/postrider/LICENSE", "procps"} { // the unit runs kill
		if !strings.Contains(deployed(t, "deploy", "nfpm.yaml"), want) {
			t.Errorf("the package has no %s", want)
		}
	}
}
