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

	"github.com/chromedp/chromedp"
	"github.com/google/uuid"
)

// A fleetToLookAt is devices that have registered and reported what a test wants to see.
type fleetToLookAt struct {
	t   *testing.T
	api *serverapi.Client
	// target is the layer of everyone, at a revision.
	target   serverapi.Config
	revision int64
}

// register makes a device known.
func (f *fleetToLookAt) register(address, arch string, labels map[string]string) uuid.UUID {
	f.t.Helper()
	device, err := f.api.Register(f.t.Context(), serverapi.RegisterRequest{
		IPAddress: address, Arch: arch, PublicKeyRSA: "key of " + address, Labels: labels})
	if err != nil {
		f.t.Fatal(err)
	}
	return device.UUID
}

// set makes a configuration the target of all.
func (f *fleetToLookAt) set(text string) {
	f.t.Helper()
	f.target = serverapi.Config{}
	if err := json.Unmarshal([]byte(text), &f.target); err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.api.SetTarget(f.t.Context(), f.target); err != nil {
		f.t.Fatal(err)
	}
	f.revision++
}

// poll reports a configuration, by a device that has come to an outcome with the target: "" for a device that has not said.
func (f *fleetToLookAt) poll(device uuid.UUID, outcome, path, reason, config string) {
	f.t.Helper()
	hash, err := f.target.Hash()
	if err != nil {
		f.t.Fatal(err)
	}
	request := serverapi.PollRequest{UUID: device, Report: &serverapi.Report{Sequence: f.revision}}
	if err := json.Unmarshal([]byte(config), &request.Config); err != nil {
		f.t.Fatal(err)
	}
	if outcome != "" {
		request.Report.Attempted = &serverapi.Attempted{Revision: f.revision, Outcome: outcome, Path: path, Reason: reason}
	}
	if outcome == serverapi.Applied {
		request.Report.Running = &serverapi.Running{Revision: f.revision, Hash: hash}
	}
	three := int64(3)
	request.Report.Stats = &serverapi.Stats{Peers: &three, Packets: map[string]serverapi.Packets{"eth0": {Sent: 10, Received: 20}}}
	if _, err := f.api.Poll(f.t.Context(), request, 0); err != nil {
		f.t.Fatal(err)
	}
}

// cutOff lists what on a page is wider than the place that it has, or than the window. What is there for other readers
// than the eye is left out.
const cutOff = `[...document.querySelectorAll("body *")].filter(node => {
	if (node.closest(".skip, .more, .hide, thead, input, select, textarea, script, noscript, .u-wrap") || !node.checkVisibility()) return false;
	const box = node.getBoundingClientRect();
	return box.right > innerWidth + 1 || box.left < -1 || node.clientWidth > 0 && node.scrollWidth > node.clientWidth + 1;
}).map(node => node.nodeName + "." + node.className + " " + node.scrollWidth + " in " + node.clientWidth + ": " + node.textContent.slice(0, 60))`

// TestPageCutsNothing looks at devices whose texts are as long and as odd as the server takes them, on a phone and on a
// screen: all of it is there to be read, and a phone shows a device in the first half of its first screen.
func TestPageCutsNothing(t *testing.T) {
	started := run(t, append(unsigned, "--state", filepath.Join(t.TempDir(), "server.db"), "--listen", "127.0.0.1:0",
		"--target-schema", "none")...)
	f := &fleetToLookAt{t: t, api: client(t, started.url)}
	many := map[string]string{}
	for i := range 60 {
		many[fmt.Sprintf("label-%d.%s", i, strings.Repeat("x", 50))] = strings.Repeat("y", 63)
	}
	word := strings.Repeat("WithoutAnySpace", 100)
	refuser := f.register("2001:db8:1111:2222:3333:4444:5555:6666", strings.Repeat("riscv", 6), many)
	rightToLeft := f.register("192.0.2.2", "arm64", map[string]string{"site": "berlin", "stage": "test", "third": strings.Repeat("z", 63)})
	failed := f.register("192.0.2.3", "arm64", nil)
	drifted := f.register("192.0.2.4", "arm64", nil)
	f.register("192.0.2.5", "arm64", nil)
	name := strings.Repeat("a-very-long-name-", 30)
	f.set(fmt.Sprintf(`{"control-%s":{%q:%q,"deep":{"er":{"still":1}},"rtl":"עִבְרִית עִבְרִית"}}`, name, name, word))
	f.poll(refuser, serverapi.Refused, strings.Repeat("storage.path.", 60), word, fmt.Sprintf(`{"v-%s":{"x":%q}}`, name, word))
	f.poll(rightToLeft, serverapi.Refused, "a.b", strings.Repeat("سبب الرفض طويل جدا ", 40), `{}`)
	f.poll(failed, serverapi.Failed, "a.b", strings.Repeat("it would not start, and said so at length; ", 40), `{}`)
	f.poll(drifted, serverapi.Applied, "", "", fmt.Sprintf(`{"control-%s":{%q:"other"}}`, name, name))

	ctx, watch := browsertest.Open(t, started.url)
	for _, window := range []struct {
		name          string
		width, height int64
		options       []chromedp.EmulateViewportOption
	}{
		{"phone", 390, 844, []chromedp.EmulateViewportOption{chromedp.EmulateMobile}},
		{"small phone", 320, 568, []chromedp.EmulateViewportOption{chromedp.EmulateMobile}},
		{"tablet", 820, 1180, nil}, {"screen", 1280, 800, nil}, {"wide screen", 1920, 1080, nil},
	} {
		for _, path := range []string{"/", "/page/layers/", "/page/layers/everyone/", "/page/devices/", "/page/devices/?selector=device.site%3Dberlin&state=refused&q=" + word, "/page/devices/?selector=" + word + "%3D%3D%3D",
			"/page/devices/" + refuser.String() + "/", "/page/devices/" + rightToLeft.String() + "/",
			"/page/devices/" + drifted.String() + "/", "/page/history/", "/page/devices/" + word + "/"} {
			err := chromedp.Do(ctx, chromedp.EmulateViewport(window.width, window.height, window.options...),
				chromedp.Navigate(started.url+path), chromedp.WaitVisible(chromedp.CSS("#live.on")),
				chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("details").forEach(one => one.open = false)`))
			if err != nil {
				t.Fatalf("%s, %s: %v; seen so far: %v", window.name, path, err, watch.Trouble())
			}
			if path == "/page/devices/" && window.name == "phone" {
				bottom := browsertest.Ask(t, ctx, chromedp.Evaluate[int](
					`Math.ceil(document.querySelector("tr[id^=device-] .state").getBoundingClientRect().bottom)`))
				if bottom > int(window.height)/2 {
					t.Errorf("on a phone the first device and its state end at pixel %d of %d", bottom, window.height)
				}
			}
			look(t, ctx, window.name+strings.ReplaceAll(path[:min(40, len(path))], "/", "-"))
			for _, open := range []bool{false, true} {
				cut := browsertest.Ask(t, ctx, chromedp.Evaluate[[]string](
					fmt.Sprintf(`document.querySelectorAll("details").forEach(one => one.open = %t), %s`, open, cutOff)))
				for _, one := range cut {
					t.Errorf("%s, %s: cut off: %s", window.name, path[:min(60, len(path))], one)
				}
			}
		}
	}
}

// look keeps a picture of the whole page in the directory ASPECTS_SCREENSHOTS, if it is set.
func look(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	if dir := os.Getenv("ASPECTS_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), browsertest.Ask(t, ctx, chromedp.FullScreenshot(100)), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// TestPageOfAFleet looks at an ordinary fleet: the worst is first, and a selector's numbers are those of its list. With
// ASPECTS_FLEET_PICTURE=FILE it keeps the picture of the README, and with ASPECTS_SCREENSHOTS=DIR others.
func TestPageOfAFleet(t *testing.T) {
	started := run(t, append(unsigned, "--state", filepath.Join(t.TempDir(), "server.db"), "--listen", "127.0.0.1:0")...)
	f := &fleetToLookAt{t: t, api: client(t, started.url)}
	const first = `{"control-telemetry":{"sample-rate":4,"monitor-peers":true}}`
	const second = `{"control-telemetry":{"sample-rate":6,"monitor-peers":true}}`
	f.set(first)
	device := func(number int, site, stage, arch string) uuid.UUID {
		return f.register(fmt.Sprintf("192.0.2.%d", number), arch, map[string]string{"site": site, "stage": stage})
	}
	var well []uuid.UUID
	for i := range 6 {
		well = append(well, device(10+i, []string{"berlin", "oslo", "lisbon"}[i%3], "production", []string{"arm64", "amd64"}[i%2]))
	}
	behind, drifted := device(30, "oslo", "production", "armhf"), device(31, "berlin", "production", "arm64")
	refused, failed := device(32, "lisbon", "test", "riscv64"), device(33, "berlin", "test", "arm64")
	f.poll(behind, serverapi.Applied, "", "", first)
	f.set(second)
	for _, one := range well {
		f.poll(one, serverapi.Applied, "", "", second)
	}
	f.poll(drifted, serverapi.Applied, "", "", `{"control-telemetry":{"sample-rate":60,"monitor-peers":true}}`)
	f.poll(refused, serverapi.Refused, "metrics.sample-rate", "metrics.sample-rate: 6 is less than the 30 that this battery allows", first)
	f.poll(failed, serverapi.Failed, "", "no answer from the server for 30 seconds after the change, so it was taken back", first)
	device(34, "oslo", "test", "arm64")

	ctx, watch := browsertest.Open(t, started.url)
	see := func(name, path, scheme string, width, height int64, options ...chromedp.EmulateViewportOption) {
		t.Helper()
		err := chromedp.Do(ctx, media(scheme), chromedp.EmulateViewport(width, height, options...), chromedp.Navigate(started.url+path),
			chromedp.WaitVisible(chromedp.CSS("#live.on")))
		if err != nil {
			t.Fatalf("%s: %v; seen so far: %v", name, err, watch.Trouble())
		}
		look(t, ctx, name)
	}
	see("fleet", "/page/devices/", "light", 1280, 800)
	if path := os.Getenv("ASPECTS_FLEET_PICTURE"); path != "" {
		if err := os.WriteFile(path, browsertest.Ask(t, ctx, chromedp.Screenshot(chromedp.CSS("body"))), 0o644); err != nil {
			t.Error(err)
		}
	}
	states := browsertest.Ask(t, ctx, chromedp.Evaluate[string](
		`[...document.querySelectorAll("tbody tr")].map(row => row.className).join(" ")`))
	if want := "failed refused drifted behind new" + strings.Repeat(" in-sync", 6); states != want {
		t.Errorf("the list has %s, want %s", states, want)
	}
	see("fleet-of-berlin", "/page/devices/?selector=device.site%3Dberlin", "light", 1280, 800)
	counts := browsertest.Ask(t, ctx, chromedp.Evaluate[string](
		`[...document.querySelectorAll(".counts li:not(.none)")].map(one => one.innerText.replace(/\s+/g, " ").trim()).join(", ")`))
	if want := "4 all, 1 ✗ failed, 1 ≠ drifted, 2 ✓ in sync"; counts != want {
		t.Errorf("of Berlin it counts %s, want %s", counts, want)
	}
	see("fleet-dark", "/page/devices/", "dark", 1280, 800)
	see("fleet-phone", "/page/devices/", "light", 390, 844, chromedp.EmulateMobile)
	see("fleet-phone-dark", "/page/devices/", "dark", 390, 844, chromedp.EmulateMobile)
	see("device-phone", "/page/devices/"+drifted.String()+"/", "light", 390, 844, chromedp.EmulateMobile)
	for _, trouble := range watch.Trouble() {
		t.Error(trouble)
	}
}
