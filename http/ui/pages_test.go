package ui

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// noon is when every page of these tests is looked at.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 5e6, time.UTC)

func before(d time.Duration) time.Time { return noon.Add(-d) }

// evil is what somebody may write who wishes readers ill.
const evil = `<script>alert(1)</script>"><img src=x onerror=alert(2)> ` + "\u202Egnp.exe\u0000\u200B\U000E0061"

// typed is what a person typed into a form, which gets it back as it was.
const typed = `<script>alert(3)</script>" onfocus="alert(4)`

func frame(title string, section Section) Frame {
	return Frame{Title: title, Section: section, Version: "v1.2.3", Now: noon, Known: true, Who: "ops", Session: true, Content: true, Operate: true}
}

func newPages(t *testing.T) *Pages {
	t.Helper()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A page is the same as the golden file, but for the names of the assets.
func TestPages(t *testing.T) {
	p := newPages(t)
	for name, make := range map[string]func() ([]byte, error){
		"overview-calm":   func() ([]byte, error) { return p.Overview(calmOverview()) },
		"overview-stuck":  func() ([]byte, error) { return p.Overview(stuckOverview()) },
		"gateways":        func() ([]byte, error) { return p.Gateways(gatewayList()) },
		"gateway-held":    func() ([]byte, error) { return p.Gateway(heldGateway()) },
		"gateway-tried":   func() ([]byte, error) { return p.Gateway(triedGateway()) },
		"messages":        func() ([]byte, error) { return p.Messages(messageList()) },
		"message-waiting": func() ([]byte, error) { return p.Message(waitingMessage()) },
		"resend-asked":    func() ([]byte, error) { return p.Resend(askedResend()) },
		"resend-running":  func() ([]byte, error) { return p.Resend(runningResend()) },
		"events":          func() ([]byte, error) { return p.Events(eventList()) },
		"event":           func() ([]byte, error) { return p.Event(oneEvent()) },
		"config":          func() ([]byte, error) { return p.Config(someConfig()) },
		"login": func() ([]byte, error) {
			return p.Login(Login{Frame: Frame{Title: "Log in", Now: noon}, Next: "/gateways", Refuse: "Wrong."})
		},
		"problem": func() ([]byte, error) {
			return p.Problem(Problem{Frame: frame("Not found", ""), Status: 404, Heading: "Not found", Text: "There is nothing here.", Details: []string{"x: " + evil}, Request: "r-1"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := make()
			if err != nil {
				t.Fatal(err)
			}
			harmless(t, got)
			got = regexp.MustCompile(`-[0-9a-f]{12}\.`).ReplaceAll(got, []byte("-HASH."))
			path := filepath.Join("testdata", name+".html")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Equal(got, want) {
				return
			}
			gotLines, wantLines := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
			for i := range min(len(gotLines), len(wantLines)) {
				if gotLines[i] != wantLines[i] {
					t.Fatalf("%s:%d:\ngot  %s\nwant %s", path, i+1, gotLines[i], wantLines[i])
				}
			}
			t.Fatalf("%s has %d lines, got %d", path, len(wantLines), len(gotLines))
		})
	}
}

var (
	attributeValue = regexp.MustCompile(`"[^"<>]*"`)
	inlineThing    = regexp.MustCompile(`(?i)<style|<script(?: [^>]*)?>[^<]|\sstyle=|<[^>]*\son[a-z]+=|javascript:|<img src=x`)
	outside        = regexp.MustCompile(`(?i)(src|href|action)="(https?:)?//`)
)

// harmless complains about what the policy would keep a browser from running or
// loading, and about characters that hide or turn text around.
func harmless(t *testing.T, page []byte) {
	t.Helper()
	if found := inlineThing.Find(attributeValue.ReplaceAll(page, []byte(`""`))); found != nil {
		t.Errorf("the page holds %q", found)
	}
	if found := outside.Find(page); found != nil {
		t.Errorf("the page loads or links %q", found)
	}
	if bytes.ContainsAny(page, "\u202E\u0000\u200B\U000E0061") {
		t.Error("the page holds characters that cannot be seen")
	}
}

// Without the scope nothing that was written is on a page, wherever it stood.
func TestPagesWithoutContent(t *testing.T) {
	p := newPages(t)
	const secret = "hush-hush"
	f := frame("x", SectionMessages)
	f.Content = false
	m := data.Message{
		ID: data.FirstID(1), Gateway: "g", State: data.Failed, Text: secret, To: secret, Title: secret, Params: map[string]string{secret: secret},
		Attempts: []data.Attempt{{Number: 1, Result: data.Result{Outcome: data.OutcomePermanent, Answer: secret}}},
	}
	g := Gateway{Gateway: data.Gateway{Name: "g"}, Declared: true, Last: m.Attempts[0]}
	for name, make := range map[string]func() ([]byte, error){
		"messages": func() ([]byte, error) { return p.Messages(Messages{Frame: f, List: []data.Message{m}}) },
		"message":  func() ([]byte, error) { return p.Message(MessagePage{Frame: f, Message: m}) },
		"gateway": func() ([]byte, error) {
			return p.Gateway(GatewayPage{Frame: f, Gateway: g, Trial: Trial{Results: []Result{{Result: m.Attempts[0].Result}}}})
		},
		"gateways": func() ([]byte, error) { return p.Gateways(Gateways{Frame: f, List: []Gateway{g}}) },
		"events": func() ([]byte, error) {
			return p.Events(Events{Frame: f, List: []data.Event{{ID: 1, Type: "t", Payload: secret}}})
		},
		"event": func() ([]byte, error) {
			return p.Event(EventPage{Frame: f, Event: data.Event{ID: 1, Type: "t", Payload: secret}})
		},
	} {
		page, err := make()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(page, []byte(secret)) {
			t.Errorf("page %s holds content for somebody who may not see it", name)
		}
	}
}

// Whoever may not act has no button that does.
func TestPagesWithoutOperate(t *testing.T) {
	p := newPages(t)
	stuck, held, list, message := stuckOverview(), heldGateway(), gatewayList(), waitingMessage()
	stuck.Operate, held.Operate, list.Operate, message.Operate = false, false, false, false
	stuck.Session, held.Session, list.Session, message.Session = false, false, false, false
	config := someConfig()
	config.Operate, config.Session = false, false
	for name, make := range map[string]func() ([]byte, error){
		"overview": func() ([]byte, error) { return p.Overview(stuck) },
		"gateways": func() ([]byte, error) { return p.Gateways(list) },
		"gateway":  func() ([]byte, error) { return p.Gateway(held) },
		"message":  func() ([]byte, error) { return p.Message(message) },
		"config":   func() ([]byte, error) { return p.Config(config) },
	} {
		page, err := make()
		if err != nil {
			t.Fatal(err)
		}
		for _, act := range []string{"/pause", "/resume", "/test", "/cancel", "/resend", "/reload"} {
			if bytes.Contains(page, []byte(act)) {
				t.Errorf("page %s leads to %s for somebody who may not do that", name, act)
			}
		}
	}
}

func TestAssets(t *testing.T) {
	p := newPages(t)
	page, err := p.Login(Login{Frame: Frame{Title: "Log in", Now: noon}})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`"`+AssetPath+`([^"]+)"`).FindAllSubmatch(page, -1)
	if len(named) < 3 {
		t.Fatalf("the page loads %d assets, want style, script and icon", len(named))
	}
	for _, name := range named {
		if a, ok := p.Asset(string(name[1])); !ok || len(a.Body) == 0 || a.Type == "" {
			t.Errorf("Asset(%q) = %d bytes of %q, %v", name[1], len(a.Body), a.Type, ok)
		}
	}
	for _, name := range []string{"", "style.css", "../doc.go", "templates/frame.html"} {
		if _, ok := p.Asset(name); ok {
			t.Errorf("Asset(%q) is there", name)
		}
	}
}

// Dead letters of a gateway that is not declared any more cannot be sent again, so no
// button says that they can.
func TestDeadLettersOfNoGateway(t *testing.T) {
	p := newPages(t)
	for _, declared := range []bool{true, false} {
		g := Gateway{Gateway: data.Gateway{Name: "gone"}, Declared: declared, Counts: [data.States]uint64{data.Failed: 3}}
		overview, page := calmOverview(), heldGateway()
		overview.Attention = []Attention{{Gateway: g, Reason: ReasonDead}}
		page.Gateway = g
		first, err := p.Overview(overview)
		if err != nil {
			t.Fatal(err)
		}
		second, err := p.Gateway(page)
		if err != nil {
			t.Fatal(err)
		}
		for name, html := range map[string][]byte{"overview": first, "gateway": second} {
			if got := bytes.Contains(html, []byte(`href="/messages/resend`)); got != declared {
				t.Errorf("%s of a gateway that is declared: %v, says how to send again: %v", name, declared, got)
			}
		}
		if got := bytes.Contains(first, []byte("They can be sent again")); got != declared {
			t.Errorf("overview of a gateway that is declared: %v, says that they can be sent again: %v", declared, got)
		}
	}
}
