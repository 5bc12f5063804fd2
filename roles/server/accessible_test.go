package server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"aspects-poc/roles/internal/browsertest"
	"aspects-poc/roles/serverapi"

	"github.com/chromedp/chromedp"
)

// TestPageAccessible has axe-core look at each kind of page, on a screen and on a phone, by day and by night. It needs
// ASPECTS_AXE, the path of axe.min.js from the npm package axe-core, and is skipped without.
func TestPageAccessible(t *testing.T) {
	file := os.Getenv("ASPECTS_AXE")
	if file == "" {
		t.Skip("ASPECTS_AXE names no axe.min.js")
	}
	axe, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	started := run(t, append(unsigned, "--state", filepath.Join(t.TempDir(), "server.db"), "--listen", "127.0.0.1:0")...)
	f := &fleetToLookAt{t: t, api: client(t, started.url)}
	f.set(`{"control-telemetry":{"sample-rate":4}}`)
	refused := f.register("192.0.2.1", "arm64", map[string]string{"site": "berlin"})
	f.poll(refused, serverapi.Refused, "metrics.sample-rate", "4 is too often", `{}`)
	if status := ask(t, http.DefaultClient, "PUT", started.url+"/secrets/vpn/", "", `{"value":"x"}`); status != 200 {
		t.Fatal(status)
	}
	if status := ask(t, http.DefaultClient, "PUT", started.url+"/targets/everyone/", "",
		`{"config":{"control-telemetry":{"sample-rate":5}},"release":{"stages":[{"devices":1}],"approve":[2]}}`); status != 200 {
		t.Fatal(status)
	}
	f.revision = 3
	f.poll(refused, serverapi.Refused, "metrics.sample-rate", "5 is too often", `{}`)
	of := "/page/devices/" + refused.String() + "/"
	ctx, _ := browsertest.Open(t, started.url)
	for _, look := range []struct {
		scheme string
		width  int64
	}{{"light", 1280}, {"dark", 390}} {
		for _, path := range []string{"/", "/page/devices/", of, of + "revoke/", of + "labels/", of + "name/", "/page/layers/", "/page/layers/new/",
			"/page/layers/everyone/", "/page/layers/everyone/edit/", "/page/layers/everyone/edit/?as=fields", "/page/layers/everyone/remove/",
			"/page/releases/", "/page/releases/4/", "/page/releases/4/go/", "/page/releases/4/halt/", "/page/releases/4/undo/",
			"/page/secrets/", "/page/history/", "/page/history/1/restore/", "/page/none/"} {
			err := chromedp.Do(ctx, media(look.scheme), chromedp.EmulateViewport(look.width, 844), chromedp.Navigate(started.url+path),
				chromedp.WaitVisible(chromedp.CSS("main")), chromedp.Evaluate[chromedp.Void](string(axe)+"; undefined"))
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			found := browsertest.Ask(t, ctx, chromedp.Evaluate[[]string](`axe.run().then(result => result.violations
				.filter(one => one.impact === "serious" || one.impact === "critical")
				.map(one => one.id + ": " + one.help + ": " + one.nodes.map(node => node.target).join(", ")))`, chromedp.EvalAwaitPromise))
			for _, one := range found {
				t.Errorf("%s, %s, %d pixels: %s", path, look.scheme, look.width, one)
			}
		}
	}
}
