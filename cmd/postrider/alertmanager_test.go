package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A real Alertmanager shows the alert that a message for it makes. The package of
// Debian is prometheus-alertmanager, the binary of the project alertmanager.
func TestAlertmanager(t *testing.T) {
	t.Parallel()
	url := startAlertmanager(t)
	cfg, err := read(t, fmt.Sprintf(`
gateways:
  alerts: {preset: alertmanager, settings: {server: %q, alertname: Disk}}
  late:
    preset: alertmanager
    settings: {server: %q}
    body: {json: [{labels: {alertname: late}, annotations: {text: "{{message}}"}, startsAt: "2026-01-02T00:00:00Z", endsAt: "2026-01-01T00:00:00Z"}]}
    keep_answer: true
`, url, url))
	if err != nil {
		t.Fatal(err)
	}
	tempered := settings(t)
	cfg.HTTP, cfg.Storage = tempered.HTTP, tempered.Storage
	p := start(t, cfg, nil)
	const text = "\"sda1\" is {{91%}} full & <hot>\nZweite Zeile: ü 👍"
	id := post(t, p.url+"/send_message", messageFor("alerts", text))
	if m := p.await(t, id, "delivered"); len(m.Attempts) != 1 || m.Attempts[0].Status != http.StatusOK {
		t.Errorf("attempts are %+v, want one with 200", m.Attempts)
	}
	refused := p.await(t, post(t, p.url+"/send_message", messageFor("late", text)), "failed")
	if a := refused.Attempts; len(a) != 1 || a[0].Outcome != "permanent" || a[0].Status != http.StatusBadRequest || !strings.Contains(a[0].Answer, "time") {
		t.Errorf("attempts are %+v, want one with 400 and what was answered", a)
	}
	var alerts []struct {
		Labels, Annotations map[string]string
		Status              struct{ State string }
	}
	get(t, url+"/api/v2/alerts", &alerts)
	if len(alerts) != 1 {
		t.Fatalf("Alertmanager has the alerts %+v, want one", alerts)
	}
	a := alerts[0]
	if a.Labels["alertname"] != "Disk" || a.Labels["gateway"] != "alerts" || a.Labels["message_id"] != id ||
		a.Labels["severity"] != "warning" || a.Annotations["description"] != text || len(a.Annotations) != 1 {
		t.Errorf("the alert is %+v, want one of message %s", a, id)
	}
}

// startAlertmanager runs one that ends with the test, and returns its address.
func startAlertmanager(t *testing.T) string {
	t.Helper()
	binary := ""
	for _, name := range []string{"prometheus-alertmanager", "alertmanager"} {
		if path, err := exec.LookPath(name); err == nil {
			binary = path
			break
		}
	}
	if binary == "" {
		t.Skip("prometheus-alertmanager is not installed")
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(config, []byte("route: {receiver: none}\nreceivers: [{name: none}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	log := new(logBuffer)
	c := exec.CommandContext(t.Context(), binary, "--config.file="+config, "--storage.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--cluster.listen-address=")
	c.Stdout, c.Stderr = log, log
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 10 * time.Second
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = c.Wait() // ended by the test, so this is an error in any case
		close(ended)
	}()
	t.Cleanup(func() {
		<-ended // the context of the test has been cancelled by now
		if t.Failed() {
			t.Logf("log of Alertmanager:\n%s", log.tail())
		}
	})
	url := "http://" + address
	eventually(t, "Alertmanager is ready", func() bool {
		a, err := request(t.Context(), http.MethodGet, url+"/-/ready", "")
		return err == nil && a.status == http.StatusOK
	})
	return url
}
