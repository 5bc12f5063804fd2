// Package browsertest controls a real browser in tests. It uses an installed browser and downloads nothing. Its main
// function is Open.
package browsertest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"aspects-poc/internal/need"
	"aspects-poc/roles/serverapi"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// chromium returns the path of a browser: from CHROMIUM, else from PATH. Without one the test is skipped, or fails if
// ASPECTS_REQUIRE_BROWSER is 1.
func chromium(t *testing.T) string {
	t.Helper()
	names := []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return need.Program(t, "chromium")
}

// Ask runs an action in the browser and returns its result.
func Ask[T any](t *testing.T, ctx context.Context, question chromedp.Action[T]) T {
	t.Helper()
	answer, err := chromedp.Run(ctx, question)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// A Watch records errors on the console and requests to other hosts.
type Watch struct {
	host  string
	mu    sync.Mutex // guards the fields below
	seen  int
	notes []string
}

func (w *Watch) note(format string, arguments ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes = append(w.notes, fmt.Sprintf(format, arguments...))
}

// Trouble returns the recorded errors and requests.
func (w *Watch) Trouble() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.notes...)
}

// Requests returns the number of the browser's requests. Zero means that the Watch records nothing.
func (w *Watch) Requests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

func (w *Watch) event(event any) {
	switch event := event.(type) {
	case *runtime.EventExceptionThrown:
		w.note("exception: %s", event.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if event.Type == runtime.ConsoleAPICalledTypeError || event.Type == runtime.ConsoleAPICalledTypeWarning {
			for _, argument := range event.Args {
				w.note("console %s: %s", event.Type, argument.Value)
			}
		}
	case *log.EventEntryAdded:
		if event.Entry.Level == log.EntryLevelError || event.Entry.Level == log.EntryLevelWarning {
			w.note("browser %s: %s (%s)", event.Entry.Level, event.Entry.Text, event.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		w.mu.Lock()
		w.seen++
		w.mu.Unlock()
		to, err := url.Parse(event.Request.URL)
		if err != nil || to.Scheme != "data" && to.Scheme != "blob" && to.Host != w.host {
			w.note("request to another host: %s", event.Request.URL)
		}
	}
}

// Open starts a browser with its own profile, for the server at base. The context is for chromedp and ends after ten
// minutes.
func Open(t *testing.T, base string) (context.Context, *Watch) {
	t.Helper()
	return OpenFor(t, base, 10*time.Minute)
}

// OpenFor is Open with another duration.
func OpenFor(t *testing.T, base string, life time.Duration) (context.Context, *Watch) {
	t.Helper()
	path := chromium(t)
	server, err := serverapi.ParseURL(base)
	if err != nil {
		t.Fatal(err)
	}
	seen := &Watch{host: strings.TrimPrefix(server, "http://")}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.WSURLReadTimeout(time.Minute),
	}
	for _, flag := range []string{"disable-quic", "disable-background-networking", "disable-component-update",
		"disable-sync", "disable-dev-shm-usage", "hide-scrollbars"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	allocator, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Listen(ctx, seen.event); err != nil { // starts the browser
		t.Fatal(err)
	}
	enable := chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, networkErr := cdp.Call(ctx, target, network.Enable, network.EnableParams{})
		_, logErr := cdp.Call(ctx, target, log.Enable, cdp.Empty{})
		return errors.Join(networkErr, logErr)
	})
	if err := chromedp.Do(ctx, enable); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(ctx, life)
	t.Cleanup(cancel)
	return ctx, seen
}
