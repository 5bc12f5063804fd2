package server_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/roles/internal/browsertest"
	"aspects-poc/roles/serverapi"

	"github.com/chromedp/chromedp"
)

// TestAuthorize tries an operation on the page of documentation where operators need a token, in a real browser: it is
// refused, then answered once the reader has authorized with her token, and refused again when she has logged out.
func TestAuthorize(t *testing.T) {
	state := filepath.Join(t.TempDir(), "server.db")
	started := run(t, append(unsigned, "--state", state, "--listen", "127.0.0.1:0")...)
	device, err := client(t, started.url).Register(t.Context(),
		serverapi.RegisterRequest{IPAddress: "192.0.2.1", Arch: "arm64", PublicKeyRSA: "PEM"})
	if err != nil {
		t.Fatal(err)
	}
	token := createToken(t, state, "anna")
	ctx, watch := browsertest.Open(t, started.url)
	person := sitDown(t, ctx) // who knows no password
	do := func(what string, actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, actions...); err != nil {
			t.Fatalf("%s: %v; seen so far: %v", what, err, watch.Trouble())
		}
	}
	const operation = "#operations-devices-list-devices"
	in := func(selector string) chromedp.CSS { return chromedp.CSS(operation + " " + selector) }
	try := func(status int, content string) {
		t.Helper()
		const row = ".live-responses-table tbody "
		do("execute", chromedp.Click(in(".execute")), chromedp.WaitVisible(in(row+".response-col_status")))
		got := strings.TrimSpace(browsertest.Ask(t, ctx, chromedp.Text(in(row+".response-col_status"))))
		answer := browsertest.Ask(t, ctx, chromedp.Text(in(row+".response-col_description")))
		if got != fmt.Sprint(status) || !strings.Contains(answer, content) {
			t.Errorf("answered %s %s; want %d %s", got, answer, status, content)
		}
		do("clear", chromedp.Click(in(".btn-clear")), chromedp.WaitNotPresent(in(".live-responses-table")))
	}
	const bearer = ".dialog-ux .auth-container:nth-child(3) " // after password and signature
	// dialog opens what the button Authorize opens, does something, presses the button of the token, and closes it.
	dialog := func(first ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		do("open the dialog", chromedp.Click(chromedp.CSS(".scheme-container .authorize")), chromedp.WaitVisible(chromedp.CSS(bearer+"button")))
		if text := browsertest.Ask(t, ctx, chromedp.Text(chromedp.CSS(bearer))); !strings.Contains(text, "token create NAME") {
			t.Errorf("the dialog says of a token: %s", text)
		}
		do("fill it in", first...)
		do("press the button", chromedp.Click(chromedp.CSS(bearer+"button:first-child")))
		do("close the dialog", chromedp.Click(chromedp.CSS(".dialog-ux .close-modal")), chromedp.WaitNotPresent(chromedp.CSS(".dialog-ux")))
	}
	do("open", chromedp.Navigate(started.url+"/docs"), chromedp.WaitVisible(chromedp.CSS(".opblock")),
		chromedp.Click(in(".opblock-summary-control")), chromedp.Click(in(".try-out__btn")))
	try(401, "Operators need a token here")
	dialog(chromedp.Click(chromedp.CSS(bearer+"input")), chromedp.KeyEvent(token))
	look(t, ctx, "docs-authorized")
	try(200, device.UUID.String())
	dialog()
	try(401, "Operators need a token here")
	if asked := person.questions(); len(asked) > 0 {
		t.Errorf("the browser asked for a password: %+v", asked)
	}
}

// TestQueriesThatMakeNoDifference sends queries to what has none: who scrapes, or reads files, may have some all the same.
func TestQueriesThatMakeNoDifference(t *testing.T) {
	started := run(t, "--state", filepath.Join(t.TempDir(), "server.db"), "--listen", "127.0.0.1:0")
	for path, want := range map[string]int{"/metrics": 200, "/docs/index.html": 200, "/openapi.json": 200, "/docs": 200, "/page/devices/": 422, "/page/history/": 422,
		"/devices/": 422} {
		response, err := http.Get(started.url + path + "?collect[]=fleet&collect[]=store")
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil || response.StatusCode != want {
			t.Errorf("%s: %s, %v; want %d", path, response.Status, err, want)
		}
	}
}
