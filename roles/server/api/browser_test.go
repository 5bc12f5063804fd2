package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"aspects-poc/roles/serverapi"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// chromium finds a browser: CHROMIUM, else in PATH. Without one the test is skipped, or fails where
// ASPECTS_REQUIRE_BROWSER is 1.
func chromium(t *testing.T) string {
	t.Helper()
	names := []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "no browser: install chromium, or name one with CHROMIUM=PATH"
	if os.Getenv("ASPECTS_REQUIRE_BROWSER") == "1" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// TestBrowser does in a real browser what a reader of the documentation does: open it, and try out every operation.
// ASPECTS_SCREENSHOT=FILE keeps a picture of the page afterwards.
func TestBrowser(t *testing.T) {
	started := newServer(t, io.Discard)
	ctx, watch := browse(t, chromium(t), started.URL)
	do := func(what string, actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, actions...); err != nil {
			t.Fatalf("%s: %v; seen so far: %v", what, err, watch.trouble())
		}
	}
	do("open", chromedp.Navigate(started.URL+"/"), chromedp.WaitVisible(chromedp.CSS(".opblock")))
	if title := ask(t, ctx, chromedp.Text(chromedp.CSS(".info .title"))); !strings.Contains(title, "aspects-poc fleet server") {
		t.Errorf("title %q", title)
	}
	operations := described(t, started.URL)
	left := map[string]bool{}
	for id := range operations {
		left[id] = true
	}
	shown := ask(t, ctx, chromedp.Evaluate[int](`document.querySelectorAll(".opblock").length`))
	if shown != len(operations) {
		t.Errorf("%d operations are shown, %d described", shown, len(operations))
	}

	var device string
	steps := []struct {
		operation  string
		input      func() string // for the one field; nil leaves the example
		status     string
		wantAnswer string
	}{
		{"register", nil, "200", `"ip-address": "192.0.2.7"`},
		{"get-state", func() string { return device }, "200", `"config": {}`},
		{"poll", func() string { return `{"uuid": "` + device + `", "config": {"a": 1}}` }, "204", ""},
		{"put-target", nil, "200", `"sample-rate": 4`},
		{"get-target", nil, "200", `"sample-rate": 4`},
		{"poll", func() string { return `{"uuid": "` + device + `", "config": {}}` }, "200", `"sample-rate": 4`},
	}
	opened := map[string]bool{}
	for _, step := range steps {
		block := fmt.Sprintf("#operations-%s-%s", operations[step.operation], step.operation)
		in := func(selector string) chromedp.CSS { return chromedp.CSS(block + " " + selector) }
		if !opened[block] {
			opened[block] = true
			do("expand "+step.operation, chromedp.Click(in(".opblock-summary-control")),
				chromedp.Click(in(".try-out__btn")), chromedp.WaitVisible(in(".execute")))
		} else {
			do("clear "+step.operation, chromedp.Click(in(".btn-clear")),
				chromedp.WaitNotPresent(in(".live-responses-table")))
		}
		if step.input != nil {
			do("fill in "+step.operation, fill(block+" textarea, "+block+" .parameters input[type=text]", step.input()))
		}
		const row = ".live-responses-table tbody "
		do("execute "+step.operation, chromedp.Click(in(".execute")), chromedp.WaitVisible(in(row+".response-col_status")))
		status := ask(t, ctx, chromedp.Text(in(row+".response-col_status")))
		answer := ask(t, ctx, chromedp.Text(in(row+".response-col_description")))
		// "Undocumented" would stand below a status that the description does not know.
		if strings.TrimSpace(status) != step.status || !strings.Contains(answer, step.wantAnswer) {
			t.Errorf("%s: %q %s, want %s %s", step.operation, status, answer, step.status, step.wantAnswer)
		}
		if step.operation == "register" {
			device = between(answer, `"uuid": "`, `"`)
		}
		delete(left, step.operation)
	}
	for id := range left {
		t.Errorf("operation %s was not tried: add a step for it", id)
	}
	state, err := client(t, started.URL).Target(t.Context())
	if err != nil || len(state) != 1 {
		t.Errorf("the server has %v, %v", state, err)
	}
	if path := os.Getenv("ASPECTS_SCREENSHOT"); path != "" {
		if err := os.WriteFile(path, ask(t, ctx, chromedp.FullScreenshot(100)), 0o644); err != nil {
			t.Error(err)
		}
	}
	for _, trouble := range watch.trouble() {
		t.Error(trouble)
	}
	if watch.requests() < 6 {
		t.Errorf("only %d requests were seen: the watch is blind", watch.requests())
	}
}

func ask[T any](t *testing.T, ctx context.Context, question chromedp.Action[T]) T {
	t.Helper()
	answer, err := chromedp.Run(ctx, question)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// fill puts text into a field as if it was typed. React listens to events, and keeps the value to itself.
func fill(selector, text string) chromedp.Action[chromedp.Void] {
	script := fmt.Sprintf(`(() => {
		const field = document.querySelector(%q);
		field.focus();
		const kind = field.tagName === "TEXTAREA" ? HTMLTextAreaElement : HTMLInputElement;
		Object.getOwnPropertyDescriptor(kind.prototype, "value").set.call(field, %q);
		field.dispatchEvent(new Event("input", {bubbles: true}));
		field.dispatchEvent(new Event("change", {bubbles: true}));
		field.blur(); // the page takes a value from a line when the line is left, or after a pause
	})()`, selector, text)
	return chromedp.Steps(chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Evaluate[chromedp.Void](script))
}

func between(text, begin, end string) string {
	_, rest, _ := strings.Cut(text, begin)
	found, _, _ := strings.Cut(rest, end)
	return found
}

// A watch notes what must not happen: errors on the console, and requests to anybody else.
type watch struct {
	host  string
	mu    sync.Mutex // guards what follows
	seen  int
	notes []string
}

func (w *watch) note(format string, arguments ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes = append(w.notes, fmt.Sprintf(format, arguments...))
}

func (w *watch) trouble() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.notes...)
}

func (w *watch) requests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

func (w *watch) event(event any) {
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

// browse starts a browser with a profile of its own.
func browse(t *testing.T, path, base string) (context.Context, *watch) {
	t.Helper()
	server, err := serverapi.ParseURL(base)
	if err != nil {
		t.Fatal(err)
	}
	seen := &watch{host: strings.TrimPrefix(server, "http://")}
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
	ctx, cancel = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	return ctx, seen
}
