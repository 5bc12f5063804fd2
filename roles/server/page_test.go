package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/roles/internal/browsertest"
	"aspects-poc/roles/serverapi"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// TestPageInBrowser does in a real browser what an operator does: look at the fleet, filter it with the keyboard, see a
// device change without a reload, look closer, on a screen and on a phone, by day and by night. ASPECTS_SCREENSHOTS=DIR
// keeps pictures.
func TestPageInBrowser(t *testing.T) {
	started := run(t, append(unsigned, "--state", filepath.Join(t.TempDir(), "server.db"), "--listen", "127.0.0.1:0")...)
	api := client(t, started.url)
	ctx, watch := browsertest.Open(t, started.url)
	do := func(what string, actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, actions...); err != nil {
			t.Fatalf("%s: %v; seen so far: %v", what, err, watch.Trouble())
		}
	}
	until := func(what, expression string) {
		t.Helper()
		if _, err := chromedp.Run(ctx, chromedp.Poll[bool](expression)); err != nil {
			t.Fatalf("%s: %v; seen so far: %v", what, err, watch.Trouble())
		}
	}
	picture := func(name string) {
		t.Helper()
		if dir := os.Getenv("ASPECTS_SCREENSHOTS"); dir != "" {
			if err := os.WriteFile(filepath.Join(dir, name+".png"), browsertest.Ask(t, ctx, chromedp.FullScreenshot(100)), 0o644); err != nil {
				t.Error(err)
			}
		}
	}

	do("open", chromedp.Navigate(started.url+"/page/devices/"), chromedp.WaitVisible(chromedp.CSS("#live.on")))
	if text := browsertest.Ask(t, ctx, chromedp.Text(chromedp.CSS("main"))); !strings.Contains(text, "No device has registered yet") {
		t.Errorf("an empty fleet is shown as %q", text)
	}
	picture("empty")

	// Devices that come appear by themselves.
	var devices []serverapi.RegisterResponse
	for i, site := range []string{"berlin", "berlin", "oslo"} {
		device, err := api.Register(t.Context(), serverapi.RegisterRequest{IPAddress: fmt.Sprintf("192.0.2.%d", i+1), Arch: "arm64", PublicKeyRSA: fmt.Sprint("key ", i),
			Labels: map[string]string{"site": site}})
		if err != nil {
			t.Fatal(err)
		}
		devices = append(devices, device)
	}
	until("three devices", `document.querySelectorAll("tr[id^=device-]").length === 3`)
	target := serverapi.Config{"control-telemetry": map[string]any{"sample-rate": 4, "monitor-peers": true}, "control-tunnel": map[string]any{"interface": nil}}
	if _, err := api.SetTarget(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	hash, err := target.Hash()
	if err != nil {
		t.Fatal(err)
	}
	poll := func(i int, config string, report serverapi.Report) {
		t.Helper()
		var parsed serverapi.Config
		if err := json.Unmarshal([]byte(config), &parsed); err != nil {
			t.Fatal(err)
		}
		_, err := api.Poll(t.Context(), serverapi.PollRequest{UUID: devices[i].UUID, Config: parsed, Report: &report}, 0)
		if err != nil {
			t.Fatal(err)
		}
	}
	three := int64(3)
	runs := &serverapi.Running{Revision: 1, Hash: hash}
	poll(0, `{"control-telemetry":{"sample-rate":4,"monitor-peers":true}}`, serverapi.Report{Sequence: 1, Running: runs,
		Attempted: &serverapi.Attempted{Revision: 1, Outcome: serverapi.Applied},
		Stats:     &serverapi.Stats{Peers: &three, Packets: map[string]serverapi.Packets{"eth0": {Sent: 10, Received: 20}}}})
	poll(1, `{"control-telemetry":{"sample-rate":2,"monitor-peers":true},"control-tunnel":{"interface":"eth0"}}`,
		serverapi.Report{Sequence: 1, Attempted: &serverapi.Attempted{Revision: 1, Outcome: serverapi.Refused,
			Path: "metrics.sample-rate", Reason: "<img src=x onerror=alert(1)> 4 is too often"}})
	row := func(i int, state string) string {
		return fmt.Sprintf(`document.querySelector("#device-%s .state.%s") !== null`, devices[i].UUID, state)
	}
	until("the first in sync", row(0, serverapi.StateInSync))
	until("the second refused", row(1, serverapi.StateRefused))
	until("the third new", row(2, serverapi.StateNew))
	until("its address", fmt.Sprintf(`document.querySelector("#device-%s").textContent.includes("192.0.2.3")`, devices[2].UUID))
	picture("devices")

	// With the keyboard: a filter, and into the list.
	do("filter", chromedp.Evaluate[chromedp.Void](`document.querySelector("input[name=selector]").focus()`),
		chromedp.KeyEvent("device.site=oslo\r"), chromedp.WaitNotPresent(chromedp.CSS("#device-"+devices[0].UUID.String())),
		chromedp.WaitVisible(chromedp.CSS("#device-"+devices[2].UUID.String())))
	if search := browsertest.Ask(t, ctx, chromedp.Evaluate[string](`location.search`)); !strings.Contains(search, "site%3Doslo") {
		t.Errorf("the filter is not in the URL: %s", search)
	}
	do("a filter that is none", chromedp.Navigate(started.url+"/page/devices/?selector=%3D"), chromedp.WaitVisible(chromedp.CSS("[role=alert]")))
	do("refused ones", chromedp.Navigate(started.url+"/page/devices/"), chromedp.Click(chromedp.CSS("#count-refused a")),
		chromedp.WaitVisible(chromedp.CSS("#device-"+devices[1].UUID.String())))
	do("open by key", chromedp.Evaluate[chromedp.Void](`document.querySelector("tbody th a").focus()`), chromedp.KeyEvent("\r"),
		chromedp.WaitVisible(chromedp.CSS("#why")))

	// A device: what it shall run beside what it runs, and what changes while one looks.
	text := browsertest.Ask(t, ctx, chromedp.Text(chromedp.CSS("main")))
	for _, want := range []string{"refused revision 1 at metrics.sample-rate", "<img src=x onerror=alert(1)> 4 is too often", "differs", "unset"} {
		if !strings.Contains(text, want) {
			t.Errorf("the device's page lacks %q: %s", want, text)
		}
	}
	differing := browsertest.Ask(t, ctx, chromedp.Evaluate[[]string](`[...document.querySelectorAll("tr.differs")].map(row => row.id)`))
	if got := strings.Join(differing, " "); got != "leaf-control-telemetry.sample-rate leaf-control-tunnel.interface" { // and they come first
		t.Errorf("marked as different: %s", got)
	}
	picture("device-refused")
	do("a mark of the open page", chromedp.Evaluate[chromedp.Void](`window.sameDocument = true`))
	poll(1, `{"control-telemetry":{"sample-rate":4,"monitor-peers":true}}`, serverapi.Report{Sequence: 2, Running: runs,
		Attempted: &serverapi.Attempted{Revision: 1, Outcome: serverapi.Applied}})
	until("in sync without a reload", `window.sameDocument && document.querySelector("#why .state.in-sync") !== null`)

	do("a device with figures", chromedp.Navigate(started.url+"/page/devices/"+devices[0].UUID.String()+"/"),
		chromedp.WaitVisible(chromedp.CSS("#chart-peers canvas")))
	do("the history", chromedp.Navigate(started.url+"/page/history/"), chromedp.WaitVisible(chromedp.CSS("#revision-1")))
	picture("history")

	// By night, and on a phone: nothing has to be scrolled sideways.
	do("night", media("dark"), chromedp.Navigate(started.url+"/page/devices/"+devices[0].UUID.String()+"/"),
		chromedp.WaitVisible(chromedp.CSS("#chart-peers canvas")))
	dark := browsertest.Ask(t, ctx, chromedp.Evaluate[string](`getComputedStyle(document.body).backgroundColor`))
	if dark != "rgb(18, 22, 27)" {
		t.Errorf("by night the page is %s", dark)
	}
	picture("device-dark")
	do("phone", chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	for _, path := range []string{"/", "/page/devices/", "/page/layers/", "/page/secrets/", "/page/devices/" + devices[1].UUID.String() + "/", "/page/history/"} {
		do("phone "+path, chromedp.Navigate(started.url+path), chromedp.WaitVisible(chromedp.CSS("#main h1, #main .card")))
		if wide := browsertest.Ask(t, ctx, chromedp.Evaluate[int](`document.scrollingElement.scrollWidth - innerWidth`)); wide > 0 {
			t.Errorf("%s is %d pixels too wide for a phone", path, wide)
		}
		picture("phone" + strings.ReplaceAll(strings.TrimSuffix(path, "/"), "/", "-"))
	}
	for _, trouble := range watch.Trouble() {
		if !strings.Contains(trouble, "422") { // the filter that is none was asked for
			t.Error(trouble)
		}
	}
	if watch.Requests() < 20 {
		t.Errorf("only %d requests were seen: the watch is blind", watch.Requests())
	}
}

// unsigned lets devices of these tests register without keys.
var unsigned = []string{"--allow-unsigned"}

// media sets the reader's preference of colours.
func media(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	})
}
