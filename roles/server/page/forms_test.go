package page_test

import (
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/network"
	"aspects-poc/roles/server/fleet"
)

// send sends a form as a browser without scripts does.
func send(w *world, path string, fields ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Set(fields[i], strings.ReplaceAll(fields[i+1], "\n", "\r\n"))
	}
	request := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, path, strings.NewReader(values.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer := httptest.NewRecorder()
	routes(w).ServeHTTP(answer, request)
	return answer
}

// has complains unless an answer has a status and all texts.
func has(t *testing.T, answer *httptest.ResponseRecorder, status int, texts ...string) {
	t.Helper()
	body := html.UnescapeString(answer.Body.String())
	for _, text := range texts {
		if !strings.Contains(body, text) {
			t.Errorf("%q is missing", text)
		}
	}
	if answer.Code != status {
		t.Errorf("status %d, want %d", answer.Code, status)
	}
	if t.Failed() {
		t.Log(answer.Header().Get("Location"), body)
		t.FailNow()
	}
}

// leads complains unless an answer sends the browser to another page.
func leads(t *testing.T, answer *httptest.ResponseRecorder, to string) {
	t.Helper()
	has(t, answer, http.StatusSeeOther)
	if got := answer.Header().Get("Location"); got != to {
		t.Fatalf("it leads to %q, want %q", got, to)
	}
}

var input = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// kept returns the hidden fields of a form.
func kept(answer *httptest.ResponseRecorder) (fields []string) {
	for _, found := range input.FindAllStringSubmatch(answer.Body.String(), -1) {
		fields = append(fields, found[1], html.UnescapeString(found[2]))
	}
	return fields
}

// set presses the button of a confirmation.
func set(w *world, path string, confirmation *httptest.ResponseRecorder) *httptest.ResponseRecorder {
	w.t.Helper()
	return send(w, path, append(kept(confirmation), "act", "set")...)
}

func TestActs(t *testing.T) {
	w := example(t)
	of := "/page/devices/" + id.String() + "/"
	has(t, get(w, of), 200, `href="revoke/"`, `href="labels/"`)
	has(t, get(w, of+"revoke/"), 200, "The server refuses the device's polls from now on", `<button name="act" value="set" class="danger">Revoke`)
	leads(t, send(w, of+"revoke/"), "../?done=revoke")
	leads(t, send(w, of+"revoke/"), "../?done=revoke") // sent twice
	has(t, get(w, of+"?done=revoke"), 200, "✓ The device is revoked.", "⊘ revoked", `href="approve/"`)
	has(t, get(w, of+"approve/"), 200, "The device is revoked. When it is approved")
	leads(t, send(w, of+"approve/"), "../?done=approve")
	leads(t, send(w, of+"alone/"), "../?done=alone")
	if device, err := w.Device(t.Context(), id); err != nil || device.Status != fleet.Active {
		t.Error(device.Status, err)
	}
	has(t, get(w, of+"?done=<b>odd"), 200)
	for _, path := range []string{"/page/devices/00000000-0000-0000-0000-000000000000/revoke/", "/page/devices/x/revoke/"} {
		has(t, send(w, path), 404)
	}
}

func TestLabels(t *testing.T) {
	w := open(t)
	w.register(fleet.Labels{"site": "berlin", "stage": "test", "device.model": "x1"})
	w.set("ann", "labels/oslo", "site=oslo", `{"v":{"a":1}}`)
	of := "/page/devices/" + id.String() + "/labels/"
	form := get(w, of)
	has(t, form, 200, ">\nsite=berlin\nstage=test</textarea>", "The device says of itself: <bdi>device.model=x1</bdi>")
	was := append(kept(form), "act", "check", "labels")
	for typed, want := range map[string]string{
		"site=berlin\nstage=test":            "Nothing is changed yet.",
		"site=berlin\nstage=a b":             "a label's value must be letters and digits",
		"site=berlin\nsite=oslo":             `line 2: the label "site" stands here twice`,
		"site=berlin\ndevice.model=<b>x</b>": "only the device sets such labels",
	} {
		has(t, send(w, of, append(was, typed)...), 422, want, ">\n"+typed+"</textarea>", `role="alert"`)
	}
	confirmation := send(w, of, append(was, "site=oslo\nnew")...)
	has(t, confirmation, 200, "The label site becomes oslo; it was berlin.", "The label stage=test is removed.", "The label new= is added.",
		"The layer labels/oslo (site=oslo) becomes part of its target.")
	has(t, send(w, of, append(kept(confirmation), "act", "edit")...), 200, ">\nsite=oslo\nnew</textarea>")
	// Another sets another label meanwhile: it stays.
	if _, err := w.SetLabels(t.Context(), id, map[string]*string{"other": new("1")}, "eve", nil); err != nil {
		t.Fatal(err)
	}
	leads(t, set(w, of, confirmation), "../?done=labels")
	leads(t, set(w, of, confirmation), "../?done=labels")
	device, err := w.Device(t.Context(), id)
	if got := device.Labels.String(); err != nil || got != `{"device.model":"x1","new":"","other":"1","site":"oslo"}` {
		t.Error(got, err)
	}
}

func TestName(t *testing.T) {
	w := open(t)
	w.register(nil)
	other := w.register(nil)
	if _, err := w.SetName(t.Context(), other, "lobby", "eve"); err != nil {
		t.Fatal(err)
	}
	of := "/page/devices/" + id.String() + "/name/"
	has(t, get(w, of), 200, `name="name" value=""`)
	for typed, want := range map[string]string{"lobby": "has the name lobby already", "a b": "must be lower-case letters and digits", "Hall": "must have lower-case letters only",
		"cafe": "must not look like the beginning"} {
		status := 422
		if typed == "lobby" {
			status = 409
		}
		has(t, send(w, of, "name", typed), status, want, `value="`+typed+`"`)
	}
	for _, typed := range []string{" hall ", "hall", ""} {
		leads(t, send(w, of, "name", typed), "../../../../page/devices/"+id.String()+"/?done=name")
		device, err := w.Device(t.Context(), id)
		if err != nil || device.Name != strings.TrimSpace(typed) {
			t.Error(device.Name, err)
		}
	}
	has(t, get(w, "/page/devices/lobby/name/"), 200, `value="lobby"`)
	has(t, get(w, "/page/devices/"+id.String()+"/"), 200, `href="name/"`, "name: hall")
}

// TestLayerForm edits layers as YAML: what the form says before is what happens then, and nothing that was typed is lost.
func TestLayerForm(t *testing.T) {
	w := openWith(t, network.Document(""))
	w.register(fleet.Labels{"site": "berlin"})
	edit := "/page/layers/everyone/edit/"
	check := func(path string, fields ...string) *httptest.ResponseRecorder {
		return send(w, path, append(append(kept(get(w, path)), "act", "check"), fields...)...)
	}
	for typed, want := range map[string]string{
		"control-telemetry: {sample-rate: often}": `cannot accept element in "metrics.sample-rate": expected int type but value was string`,
		"a: [":            "The configuration cannot be read: ",
		"- a":             "The configuration must be views with their values",
		"a: {b: 1, b: 2}": `"b" stands here twice`,
		"control-telemetry: {x: </textarea><script>alert(1)</script>}": "control-telemetry",
	} {
		answer := check(edit, "config", typed)
		has(t, answer, 422, want, ">\n"+typed+"</textarea>", `aria-invalid="true"`)
		if strings.Contains(answer.Body.String(), "<script>alert") {
			t.Error("what was typed became a script")
		}
	}
	confirmation := check(edit, "config", "control-telemetry:\n  sample-rate: 4\n")
	has(t, confirmation, 200, "<b>1 device</b> gets another target", "+ control-telemetry.sample-rate = 4", "The layer everyone is made.")
	has(t, send(w, edit, append(kept(confirmation), "act", "edit")...), 200, ">\ncontrol-telemetry:\n  sample-rate: 4\n</textarea>")
	has(t, send(w, edit, append(kept(confirmation), "act", "plan")...), 200, "+ control-telemetry.sample-rate = 4", "</textarea>")
	leads(t, set(w, edit, confirmation), "../../../../page/layers/everyone/?done=set")
	leads(t, set(w, edit, confirmation), "../../../../page/layers/everyone/?done=set") // sent twice
	has(t, get(w, "/page/layers/everyone/?done=set"), 200, "✓ The layer is set.", "sample-rate: 4", "1 device")

	// Somebody else is faster.
	form := kept(get(w, edit))
	w.set("eve", fleet.Everyone, "", `{"control-telemetry":{"sample-rate":5}}`)
	for _, act := range []string{"check", "set"} {
		has(t, send(w, edit, append(form, "act", act, "config", "control-telemetry: {sample-rate: 6}")...), 412,
			"Somebody else was faster: the layer has revision 2 by now", "<b>eve</b>", "control-telemetry.sample-rate: 4 → 5",
			">\ncontrol-telemetry: {sample-rate: 6}</textarea>", `name="match" value="2"`)
	}

	// A layer for labels.
	has(t, check("/page/layers/new/", "name", "a/b", "selector", "site=berlin", "config", ""), 422, "a layer's name must not have a slash", `value="a/b"`)
	has(t, check("/page/layers/new/", "name", "b", "selector", "", "priority", "0"), 422, "selector must name labels")
	has(t, check("/page/layers/new/", "name", "b", "selector", "=", "priority", "0"), 422, "The selector cannot be read")
	has(t, check("/page/layers/new/", "name", "b", "selector", "site", "priority", "high"), 422, `The priority must be a whole number, not "high"`)
	confirmation = check("/page/layers/new/", "name", "berlin", "selector", "site=berlin", "priority", "3", "config", "control-telemetry: {sample-rate: 9}")
	has(t, confirmation, 200, "control-telemetry.sample-rate: 5 → 9", "It is for devices with site=berlin, at priority 3.")
	leads(t, set(w, "/page/layers/new/", confirmation), "../../../page/layers/labels/berlin/?done=set")
	has(t, get(w, "/page/layers/"), 200, `<a href="labels/berlin/">labels/berlin</a>`, "<code>site=berlin</code>", `href="../devices/?selector=site%3Dberlin">1<`)
	has(t, check("/page/layers/new/", "name", "berlin", "selector", "site=oslo", "priority", "3"), 412, "There is a layer labels/berlin already, of revision 3")

	// It goes.
	remove := "/page/layers/labels/berlin/remove/"
	confirmation = get(w, remove)
	has(t, confirmation, 200, "control-telemetry.sample-rate: 9 → 5", "The history keeps it")
	leads(t, set(w, remove, confirmation), "../../../../../page/layers/?done=remove")
	leads(t, set(w, remove, confirmation), "../../../../../page/layers/?done=remove")
	has(t, get(w, "/page/layers/labels/berlin/"), 404, "There is no layer labels/berlin.")

	// The history takes it back.
	has(t, get(w, "/page/history/"), 200, `href="3/restore/"`)
	confirmation = get(w, "/page/history/3/restore/")
	has(t, confirmation, 200, "control-telemetry.sample-rate: 5 → 9", "The layer labels/berlin gets what it had after revision 3")
	leads(t, set(w, "/page/history/3/restore/", confirmation), "../../?done=restore")
	if layer, err := w.Layer(t.Context(), "labels/berlin"); err != nil || layer.Config.String() != `{"control-telemetry":{"sample-rate":9}}` {
		t.Error(layer, err)
	}
	has(t, get(w, "/page/history/99/restore/"), 404)
}

// TestLayerFields edits a layer with a field for each value of the confdb-schema.
func TestLayerFields(t *testing.T) {
	w := openWith(t, network.Document(""))
	w.register(nil)
	w.set("ann", fleet.Everyone, "", `{"control-telemetry":{"monitor-peers":true,"monitor-packets-sent":null,"sample-rate":4},"control-tunnel":{"peers":["10.0.0.1"]}}`)
	edit := "/page/layers/everyone/edit/"
	form := get(w, edit+"?as=fields")
	has(t, form, 200, "<legend>control-telemetry</legend>", `<option value="true" selected>true</option>`, `<option value="null" selected>unset on the devices</option>`,
		`name="v/control-telemetry/sample-rate" value="4"`, "A whole number from 0 on", ">\n- 10.0.0.1</textarea>")
	fields := func(rate, peers, interfaceName string) []string {
		return append(kept(form), "act", "check", "v/control-telemetry/monitor-peers", "false", "v/control-telemetry/sample-rate", rate,
			"v/control-tunnel/peers", peers, "v/control-tunnel/interface", interfaceName)
	}
	has(t, send(w, edit, fields("often", "[1]", "eth0")...), 422, `control-telemetry sample-rate: Must be a number, not "often"`, `value="often"`, `value="eth0"`)
	has(t, send(w, edit, fields("-1", "[10.0.0.2]", "eth0")...), 422, "-1 is less than the allowed minimum 0", `value="-1"`, `aria-invalid="true"`)
	confirmation := send(w, edit+"?as=fields", fields("7", "[10.0.0.2]", "eth0")...) // where the form is
	has(t, confirmation, 200, "control-telemetry.sample-rate: 4 → 7", "− control-telemetry.monitor-packets-sent = null", "control-telemetry.monitor-peers: true → false",
		`+ control-tunnel.interface = "eth0"`)
	has(t, send(w, edit, append(kept(confirmation), "act", "edit")...), 200, "<legend>control-telemetry</legend>", `value="7"`)
	has(t, send(w, edit, append(kept(confirmation), "act", "yaml")...), 200, "sample-rate: 7")
	leads(t, set(w, edit, confirmation), "../../../../page/layers/everyone/?done=set")
	if layer, err := w.Layer(t.Context(), fleet.Everyone); err != nil ||
		layer.Config.String() != `{"control-telemetry":{"monitor-peers":false,"sample-rate":7},"control-tunnel":{"interface":"eth0","peers":["10.0.0.2"]}}` {
		t.Error(layer.Config, err)
	}
}

// TestSecrets: a value goes in, and no page has it.
func TestSecrets(t *testing.T) {
	w := openWith(t, network.Document(""))
	const value = "very-secret-value"
	leads(t, send(w, "/page/secrets/", "name", "vpn", "value", value), "?done=secret")
	w.set("ann", fleet.Everyone, "", `{"control-tunnel":{"secret-key":{"$secret":"vpn"}}}`)
	w.register(nil)
	refused := send(w, "/page/secrets/", "name", "a/b", "value", value)
	has(t, refused, 422, "a secret's name must not have a slash", `value="a/b"`)
	has(t, send(w, "/page/secrets/", "name", "vpn", "value", ""), 422, "The value is empty.")
	used := send(w, "/page/secrets/vpn/remove/", "act", "set")
	has(t, used, 409, "it is named in everyone")
	pages := []*httptest.ResponseRecorder{refused, used}
	for _, path := range []string{"/page/secrets/?done=secret", "/page/history/", "/page/layers/everyone/", "/page/layers/everyone/edit/",
		"/page/layers/everyone/edit/?as=fields", "/page/devices/" + id.String() + "/", "/page/history/1/restore/", "/"} {
		page := get(w, path)
		has(t, page, 200)
		pages = append(pages, page)
	}
	for _, page := range pages {
		if strings.Contains(page.Body.String(), value) {
			t.Errorf("a page has the secret: %s", page.Body)
		}
	}
	has(t, pages[2], 200, `<th scope="row">vpn</th>`, `<a href="../layers/everyone/">everyone</a>`)
	// A layer that is set again keeps what it refers to.
	edit := "/page/layers/everyone/edit/"
	form := get(w, edit)
	has(t, form, 200, "$secret: vpn")
	leads(t, send(w, "/page/secrets/", "name", "other", "value", value), "?done=secret")
	leads(t, send(w, "/page/secrets/other/remove/"), "../../?done=forget")
	leads(t, send(w, "/page/secrets/other/remove/"), "../../?done=forget")
}

func TestOverview(t *testing.T) {
	w := open(t)
	has(t, get(w, "/"), 200, "No device has registered yet.")
	w = example(t)
	has(t, get(w, "/"), 200, "Something needs you.", "<b>0</b> of 1 device",
		"expected <int> type", "No figures yet", "0 of 1 device that it concerns")
	cause := regexp.MustCompile(`href="(page/devices/\?cause=[^"]*)"`).FindStringSubmatch(get(w, "/").Body.String())
	if cause == nil {
		t.Fatal("no link to a cause")
	}
	has(t, get(w, "/"+html.UnescapeString(cause[1])), 200, "1–1 of 1 devices", "Only those with the reason")
	w.clock.Set(now.Add(-time.Minute))
	if err := w.Sample(t.Context()); err != nil {
		t.Fatal(err)
	}
	has(t, get(w, "/"), 200, `<path class="refused" d="M983 0L1000 0L1000 1000L983 1000Z">`, "<td>1</td><td>1</td>")
	has(t, get(w, "/?trend=week"), 200, "A week</b>")
	plan, err := w.ReadPlan([]byte(`{"stages": [{"devices": 1}], "approve": [1]}`))
	if err != nil {
		t.Fatal(err)
	}
	config, err := fleet.ParseConfig([]byte(`{"control-telemetry": {"sample-rate": 9}}`))
	if err != nil {
		t.Fatal(err)
	}
	change := fleet.Change{Layer: fleet.Layer{Name: fleet.Everyone, Config: config}}
	if _, _, err := w.StartRelease(t.Context(), fleet.Batch{Changes: []fleet.Change{change}}, plan, "anna"); err != nil {
		t.Fatal(err)
	}
	has(t, get(w, "/"), 200, "What is being released", "of everyone, by anna", `<th scope="row">1. 1 device<div class="small soft">begins when a person says go</div></th>`, "has not begun",
		`href="page/releases/7/go/"`, `href="page/releases/7/undo/"`)
	// The list was here once.
	moved := get(w, "/?state=refused")
	has(t, moved, http.StatusMovedPermanently)
	if to := moved.Header().Get("Location"); to != "page/devices/?state=refused" {
		t.Error(to)
	}
}

// TestBadForms: what is no form of the page changes nothing, and costs no more than its size.
func TestBadForms(t *testing.T) {
	w := example(t)
	for _, test := range []struct {
		name, kind, body string
		status           int
	}{
		{"too large", "application/x-www-form-urlencoded", "config=" + strings.Repeat("a", 4<<20), 413},
		{"no text", "application/x-www-form-urlencoded", "config=%ff&act=set", 400},
		{"a field twice", "application/x-www-form-urlencoded", "config=&config=&act=set", 400},
		{"escapes that are none", "application/x-www-form-urlencoded", "config=%zz", 400},
		{"no form", "application/json", `{"config":{}}`, 200}, // no field, so no act: the form is shown
	} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/page/layers/everyone/edit/", strings.NewReader(test.body))
		request.Header.Set("Content-Type", test.kind)
		answer := httptest.NewRecorder()
		routes(w).ServeHTTP(answer, request)
		if answer.Code != test.status {
			t.Errorf("%s: status %d, want %d: %.300s", test.name, answer.Code, test.status, answer.Body)
		}
	}
	if layer, err := w.Layer(t.Context(), fleet.Everyone); err != nil || layer.Revision != 1 {
		t.Error(layer, err)
	}
}

// TestSize: all files of the page together are small enough for a bad line.
func TestSize(t *testing.T) {
	const most = 300_000 // bytes
	all := int64(0)
	for _, dir := range []string{"static", "templates"} {
		err := fs.WalkDir(os.DirFS(dir), ".", func(_ string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			info, err := entry.Info()
			all += info.Size()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if all > most || all < 10_000 {
		t.Errorf("the page's files have %s bytes", fmt.Sprint(all))
	}
}
