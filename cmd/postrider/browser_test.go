package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// screenshotsTo names a directory that pictures of the pages are left in.
const screenshotsTo = "DASHBOARD_SCREENSHOTS"

// browser is a headless Chromium that is looked over the shoulder.
type browser struct {
	t      *testing.T
	ctx    context.Context
	origin string
	shots  string

	mu         sync.Mutex
	complaints []string
	expected   []int // statuses of refusals that the test provokes
}

// chromium returns where the browser is, "" where there is none.
func chromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome-stable", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// newBrowser starts one for a test, which is skipped where there is none.
func newBrowser(t *testing.T, origin string) *browser {
	t.Helper()
	path := chromium()
	if path == "" {
		t.Skip("no Chromium here: the dashboard is not tried in a browser")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(patience))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	ctx, endAllocator := chromedp.NewExecAllocator(ctx, options...)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits for its end, before its directory is removed
		end()
		endAllocator()
		cancel()
	})
	b := &browser{t: t, ctx: ctx, origin: origin, shots: os.Getenv(screenshotsTo)}
	if b.shots == "" {
		b.shots = t.TempDir()
	}
	if err := chromedp.Listen(ctx, b.watch); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	b.do(protocol(network.Enable, network.EnableParams{}), protocol(log.Enable, cdp.Empty{}), protocol(runtime.Enable, cdp.Empty{}))
	return b
}

// watch notes what no page may do: log an error, fail to load something, break the
// policy, or ask anybody else.
func (b *browser) watch(event any) {
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			b.complain("console: %v", e.Args)
		}
	case *runtime.EventExceptionThrown:
		b.complain("exception: %v", e.ExceptionDetails)
	case *log.EventEntryAdded:
		if e.Entry.Source != log.EntrySourceNetwork { // which is told below
			b.complain("log: %s: %s", e.Entry.Source, e.Entry.Text)
		}
	case *network.EventRequestWillBeSent:
		// The browser's own pictures in fields are data.
		if !strings.HasPrefix(e.Request.URL, b.origin+"/") && !strings.HasPrefix(e.Request.URL, "data:") {
			b.complain("a request to %s", e.Request.URL)
		}
	case *network.EventResponseReceived:
		b.mu.Lock()
		status := int(e.Response.Status)
		expected := len(b.expected) > 0 && b.expected[0] == status
		if expected {
			b.expected = b.expected[1:]
		}
		b.mu.Unlock()
		if status >= http.StatusBadRequest && !expected {
			b.complain("%d for %s", status, e.Response.URL)
		}
	case *network.EventLoadingFailed:
		if !e.Canceled && e.ErrorText != "net::ERR_ABORTED" {
			b.complain("a request failed: %s %s", e.ErrorText, e.BlockedReason)
		}
	}
}

func (b *browser) complain(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = append(b.complaints, fmt.Sprintf(format, args...))
}

// expect says that the next refusal has this status.
func (b *browser) expect(status int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, status)
}

// check fails the test for what was noted.
func (b *browser) check() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		b.t.Errorf("the browser complains: %s", c)
	}
	b.complaints = nil
}

// protocol is a command of the protocol that is sent to the page.
func protocol[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, page *chromedp.Target) error {
		_, err := cdp.Call(ctx, page, c, params)
		return err
	})
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.check()
		b.t.Fatalf("browser at %s: %v", b.at(), err)
	}
}

// evaluate returns what an expression of the script comes to.
func evaluate[T any](b *browser, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("evaluate %s: %v", expression, err)
	}
	return value
}

// at returns the path that the browser is at.
func (b *browser) at() string {
	path, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`location.pathname + location.search + location.hash`))
	return path
}

// open goes to a page and waits until it is there.
func (b *browser) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.origin+path), chromedp.WaitReady(chromedp.CSS("main")))
}

// press clicks on something that leads to another page.
func (b *browser) press(selector string) {
	b.t.Helper()
	b.do(chromedp.WaitVisible(chromedp.CSS(selector)))
	if _, err := chromedp.RunResponse(b.ctx, chromedp.Click(chromedp.CSS(selector))); err != nil {
		b.t.Fatalf("press %s at %s: %v", selector, b.at(), err)
	}
	b.do(chromedp.WaitReady(chromedp.CSS("main")))
}

// text returns what is written in the first element, "" when there is none.
func (b *browser) text(selector string) string {
	b.t.Helper()
	return evaluate[string](b, fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector))
}

// eventually waits until an element has a text.
func (b *browser) eventually(selector, want string) {
	b.t.Helper()
	got := ""
	if !poll(patience, func() bool { got = b.text(selector); return strings.Contains(got, want) }) {
		b.t.Fatalf("%s at %s is %q, want %q in it", selector, b.at(), got, want)
	}
}

// look takes pictures of a page, wide and narrow, light and dark, and makes sure that
// nothing is wider than the window.
func (b *browser) look(name string) {
	b.t.Helper()
	for _, width := range []int64{1280, 390} {
		for _, scheme := range []string{"light", "dark"} {
			b.do(
				protocol(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 800, DeviceScaleFactor: 1, Mobile: width < 700}),
				protocol(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}),
			)
			over := evaluate[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`)
			picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
			if err != nil {
				b.t.Fatalf("take a picture of %s: %v", name, err)
			}
			if over > 0 {
				b.t.Errorf("%s at a width of %d is %d pixels too wide", name, width, over)
			}
			file := filepath.Join(b.shots, fmt.Sprintf("%s-%d-%s.png", name, width, scheme))
			if err := os.WriteFile(file, picture, 0o644); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	b.do(
		protocol(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 1280, Height: 800, DeviceScaleFactor: 1}),
		protocol(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{}),
	)
}
