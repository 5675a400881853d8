package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/data/badger"
)

// What was backed up under a running server is there after a restore, and goes on: what
// was delivered is not sent again, what failed is, an idempotency key is known.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	well, ill := newGateway(t, saying(200)), newGateway(t, saying(500))
	cfg := settings(t)
	cfg.Gateways = map[string]config.Gateway{"well": at(well.url), "ill": at(ill.url)}
	p := start(t, cfg, nil)
	delivered := post(t, p.url+"/send_message", messageFor("well", "once"), "Idempotency-Key", "one")
	p.await(t, delivered, "delivered")
	p.pause(t, "ill", true)
	queued := post(t, p.url+"/send_message", messageFor("ill", "later"))
	event := post(t, p.url+"/event", `{"event_type": "a", "event_payload": "b"}`)
	file := filepath.Join(t.TempDir(), "one.backup")
	if code, _, errs := command(t, "backup", "--server", p.url, file); code != exitClean || !strings.Contains(errs, "backed up to "+file) {
		t.Fatalf("backup exited with %d, want 0; it said\n%s", code, errs)
	}
	code, stream, errs := command(t, "backup", "--server", p.url, "-")
	if info, err := badger.CheckBackup(strings.NewReader(stream), nil); code != exitClean || err != nil || info.Entries == 0 {
		t.Errorf("backup - exited with %d and wrote %+v, %v; it said\n%s", code, info, err, errs)
	}
	later := post(t, p.url+"/send_message", messageFor("well", "behind the backup"))
	p.await(t, later, "delivered")
	if code, _, errs := command(t, "restore", file, "--storage.path", cfg.Storage.Path); code != exitInUse {
		t.Errorf("restore into a store in use exited with %d, want 3; it said\n%s", code, errs)
	}
	if err := p.stop(t); err != nil {
		t.Fatal(err)
	}
	cfg.Storage.Path = filepath.Join(t.TempDir(), "restored")
	code, out, errs := command(t, "restore", file, "--storage.path", cfg.Storage.Path, "--storage.memtable", "8MiB", "--storage.min_free", "128MiB")
	if code != exitClean || !strings.Contains(out, "events: 1, messages: 2 (1 queued, 1 delivered)") {
		t.Fatalf("restore exited with %d and said %q, %q", code, out, errs)
	}
	p = start(t, cfg, nil)
	if got := p.message(t, delivered); got.State != "delivered" || len(well.seen()) != 2 {
		t.Errorf("what was delivered is %+v, and arrived %d times with another", got, len(well.seen()))
	}
	if a := ask(t, http.MethodGet, p.url+"/api/v1/messages/"+later, ""); a.status != http.StatusNotFound {
		t.Errorf("what was accepted after the backup = %d, want 404", a.status)
	}
	get(t, p.url+"/api/v1/events/"+event, new(any))
	if again := post(t, p.url+"/send_message", messageFor("well", "once"), "Idempotency-Key", "one"); again != delivered {
		t.Errorf("repeated with its key a message is %s, want %s", again, delivered)
	}
	again := post(t, p.url+"/send_message", messageFor("well", "new"))
	if again <= later {
		t.Errorf("a new message is %s, which is not behind %s", again, later)
	}
	p.wantOnPage(t, "/messages", again, queued, delivered)
	p.wantOnPage(t, "/events", post(t, p.url+"/event", `{"event_type": "a", "event_payload": "new"}`), event)
	p.pause(t, "ill", false)
	p.await(t, queued, "failed")
}

// wantOnPage wants a page of the dashboard to list just these, in this order.
func (p *instance) wantOnPage(t *testing.T, path string, ids ...string) {
	t.Helper()
	a := ask(t, http.MethodGet, p.url+path, "", "Accept", "text/html")
	var listed []string
	for _, part := range strings.Split(a.body, `<th scope="row"><a class="id" href="`+path+"/")[1:] {
		listed = append(listed, part[:len(ids[0])])
	}
	if a.status != http.StatusOK || !slices.Equal(listed, ids) {
		t.Errorf("GET %s = %d and lists %v, want %v", path, a.status, listed, ids)
	}
}

// What does not come whole leaves no file behind, and the one that was there as it was.
func TestBackupCutOff(t *testing.T) {
	t.Parallel()
	store, err := badger.Open(badger.Options{Path: t.TempDir(), Memtable: badger.MinMemtable, Clock: badger.SystemClock(), Logger: newLogger(settings(t).Log, new(bytes.Buffer))})
	if err != nil {
		t.Fatal(err)
	}
	save := &data.Save{Messages: make([]data.NewMessage, 1000)}
	for i := range save.Messages {
		save.Messages[i] = data.NewMessage{Gateway: "g", Text: fmt.Sprint(i)}
	}
	var whole bytes.Buffer
	if err := store.Apply(&data.Batch{Saves: []*data.Save{save}}); err != nil {
		t.Fatal(err)
	}
	if err := store.Backup(t.Context(), &whole, nil); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	b := whole.Bytes()
	changed := bytes.Clone(b)
	changed[len(b)/2]++
	for name, c := range map[string]struct {
		sends  []byte
		breaks bool
		says   string
	}{
		"broken off": {b[:len(b)/2], true, "did not send a whole backup"},
		"too short":  {b[:len(b)-1], false, "did not send a whole backup"},
		"nothing":    {nil, false, "did not send a whole backup"},
		"changed":    {changed, false, "did not send a whole backup"},
		"a page":     {[]byte("<html>a proxy that says it is fine</html>"), false, "did not send a whole backup"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/octet-stream")
				_, _ = w.Write(c.sends)
				if c.breaks {
					panic(http.ErrAbortHandler)
				}
			}))
			t.Cleanup(server.Close)
			file := writeFile(t, "one.backup", "the one of yesterday")
			code, _, errs := command(t, "backup", "--force", "--server", server.URL, file)
			if code != exitFailure || !strings.Contains(errs, c.says) || strings.Contains(errs, server.URL) {
				t.Errorf("backup exited with %d, want 1; it said\n%s", code, errs)
			}
			files, err := os.ReadDir(filepath.Dir(file))
			old, readErr := os.ReadFile(file)
			if err != nil || readErr != nil || len(files) != 1 || string(old) != "the one of yesterday" {
				t.Errorf("after that there are %v, with %q, %v, %v", files, old, err, readErr)
			}
		})
	}
}

func TestBackupFollowsNobody(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the key was sent elsewhere") }))
	t.Cleanup(elsewhere.Close)
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(server.Close)
	if code, _, errs := command(t, "backup", "--server", server.URL, filepath.Join(t.TempDir(), "b")); code != exitFailure || !strings.Contains(errs, "307") {
		t.Errorf("backup exited with %d, want 1; it said\n%s", code, errs)
	}
}

func TestProgressLine(t *testing.T) {
	b := badger.Backup{Entries: 1_234_567, Bytes: 300 << 20}
	for total, want := range map[int64]string{
		0:         "1,234,567 records restored, 300 MiB",
		600 << 20: "[===============               ] 50 %  1,234,567 records restored, 300 MiB",
		100 << 20: "[============================= ] 99 %  1,234,567 records restored, 300 MiB",
	} {
		if got := progressLine("restored", b, total); got != want {
			t.Errorf("progressLine(%d) = %q; want %q", total, got, want)
		}
	}
}
