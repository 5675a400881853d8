package presettest_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/dialect/presettest"
)

// golden reads the request that is written down for a preset.
func golden(t *testing.T, preset string) presettest.Request {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "testdata", "presets", preset+".golden"))
	if err != nil {
		t.Fatal(err)
	}
	line, rest, _ := bytes.Cut(text, []byte("\n"))
	method, target, _ := strings.Cut(string(line), " ")
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	r := presettest.Request{Method: method, URL: u, Header: http.Header{}}
	reader := bufio.NewReader(bytes.NewReader(rest))
	for {
		header, err := reader.ReadString('\n')
		name, value, found := strings.Cut(strings.TrimSuffix(header, "\n"), ": ")
		if err != nil || !found {
			break
		}
		r.Header[name] = []string{value}
	}
	body, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	if len(body) > 0 {
		r.Body = body[:len(body)-1]
	}
	return r
}

func TestEachPresetHasAFake(t *testing.T) {
	var names []string
	for _, f := range presettest.All() {
		names = append(names, f.Preset)
	}
	if want := dialect.Presets(); !slices.Equal(names, want) {
		t.Fatalf("All() has %v, want %v", names, want)
	}
	for _, f := range presettest.All() {
		t.Run(f.Preset, func(t *testing.T) {
			p, _ := dialect.LookupPreset(f.Preset)
			declared := map[string]bool{}
			for _, s := range p.Settings {
				declared[s.Name] = true
				if _, given := f.Settings[s.Name]; !given && !s.Optional {
					t.Errorf("settings lack %s", s.Name)
				}
			}
			for name := range f.Settings {
				if !declared[name] {
					t.Errorf("settings have %s", name)
				}
			}
			if (p.Tree["url"] == nil) != (f.URL != "") {
				t.Errorf("URL is %q, the preset's is %v", f.URL, p.Tree["url"])
			}
			outcomes := map[data.Outcome]int{}
			for _, c := range f.Cases {
				outcomes[c.Outcome]++
				if (c.Hint > 0) != (c.Outcome == data.OutcomeThrottled) {
					t.Errorf("case %s has the hint %v and is %v", c.Name, c.Hint, c.Outcome)
				}
			}
			if outcomes[data.OutcomeDelivered] == 0 || outcomes[data.OutcomeTemporary] == 0 {
				t.Errorf("outcomes of the cases are %v", outcomes)
			}
		})
	}
}

func TestGoldenRequestsPass(t *testing.T) {
	for _, f := range presettest.All() {
		if err := f.Check(golden(t, f.Preset), f.Sample()); err != nil {
			t.Errorf("%s: Check(golden request) = %v", f.Preset, err)
		}
	}
}

// TestCheckIsStrict changes one thing after the other in a good request.
func TestCheckIsStrict(t *testing.T) {
	changes := map[string]func(*presettest.Request){
		"another method": func(r *presettest.Request) { r.Method = "DELETE" },
		"a longer path":  func(r *presettest.Request) { r.URL.Path += "/x"; r.URL.RawPath = "" },
		"a query value":  func(r *presettest.Request) { r.URL.RawQuery += "&x=1" },
		"no query or body": func(r *presettest.Request) {
			r.URL.RawQuery = ""
			r.Body = nil
		},
		"a content type of its own": func(r *presettest.Request) { r.Header.Set("Content-Type", "text/html") },
		"another charset": func(r *presettest.Request) {
			r.Header.Set("Content-Type", r.Header.Get("Content-Type")+"; charset=koi8-r")
		},
		"credentials of its own": func(r *presettest.Request) { r.Header.Set("Authorization", "Bearer x") },
		"a body cut off": func(r *presettest.Request) {
			if r.Body = r.Body[:max(len(r.Body)-9, 0)]; r.Body == nil {
				r.URL.RawQuery = r.URL.RawQuery[:len(r.URL.RawQuery)-9]
			}
		},
		"another message": func(r *presettest.Request) {
			r.Body = bytes.ReplaceAll(r.Body, []byte("Zweite"), []byte("Dritte"))
			r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "Zweite", "Dritte")
		},
	}
	for _, f := range presettest.All() {
		for name, change := range changes {
			r := golden(t, f.Preset)
			if change(&r); f.Check(r, f.Sample()) == nil {
				t.Errorf("%s: Check(request with %s) = nil", f.Preset, name)
			}
		}
	}
}

func TestSignaturesGrowOld(t *testing.T) {
	for _, f := range presettest.All() {
		if f.Verify == nil {
			continue
		}
		s := f.Sample()
		s.Time = s.Time.Add(2 * time.Hour)
		if f.Check(golden(t, f.Preset), s) == nil {
			t.Errorf("%s: Check(request of two hours ago) = nil", f.Preset)
		}
	}
}

func TestTitleMayBeMissing(t *testing.T) {
	for _, f := range presettest.All() {
		if f.Preset != "gotify" {
			continue
		}
		r, s := golden(t, f.Preset), f.Sample()
		s.Title = ""
		if f.Check(r, s) == nil {
			t.Error("Check(request with a title for a message without) = nil")
		}
		r.Body = []byte(`{"message": "x"}`)
		s.Message = "x"
		if err := f.Check(r, s); err != nil {
			t.Errorf("Check(request without title) = %v", err)
		}
	}
}

func TestHandler(t *testing.T) {
	for _, f := range presettest.All() {
		t.Run(f.Preset, func(t *testing.T) {
			var reports []error
			want := f.Cases[0].Answer
			handler := f.Handler(
				func(id string) presettest.Sent {
					s := f.Sample()
					if id != s.ID {
						t.Errorf("asked for %q, want %q", id, s.ID)
					}
					return s
				},
				func(presettest.Sent) presettest.Answer { return want },
				func(err error) { reports = append(reports, err) },
			)
			send := func(r presettest.Request) *httptest.ResponseRecorder {
				request := httptest.NewRequestWithContext(t.Context(), r.Method, r.URL.RequestURI(), bytes.NewReader(r.Body))
				request.Header = r.Header
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, request)
				return w
			}
			r := golden(t, f.Preset)
			if w := send(r); w.Code != want.Status || w.Body.String() != want.Body || len(reports) > 0 {
				t.Errorf("answer is %d %q, reports %v; want %d %q and none", w.Code, w.Body, reports, want.Status, want.Body)
			}
			r.Method = "DELETE"
			if w := send(r); w.Code != 400 || len(reports) != 1 {
				t.Errorf("answer to DELETE is %d, reports %v; want 400 and one", w.Code, reports)
			}
		})
	}
}
