package fleetcmd_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/internal/need"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/serverapi/signed"
)

// A liar stands between operators and the server, and changes answers.
type liar struct {
	lie  func(path string, answer map[string]any) // nil: none
	seen map[string]int                           // number of requests, by path
}

// lies logs in to the server through a liar.
func (w *world) lies(who string) *liar {
	w.t.Helper()
	l := &liar{seen: map[string]int{}}
	target, err := url.Parse(w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(response *http.Response) error {
		path := response.Request.Method + " " + response.Request.URL.Path
		l.seen[path]++
		if l.lie == nil || response.StatusCode != http.StatusOK {
			return nil
		}
		decoder := json.NewDecoder(response.Body)
		decoder.UseNumber()
		var answer map[string]any
		if decoder.Decode(&answer) != nil {
			return nil
		}
		l.lie(path, answer)
		text, err := json.Marshal(answer)
		response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
		response.Header.Set("Content-Length", fmt.Sprint(len(text)))
		return err
	}
	server := httptest.NewServer(proxy)
	w.t.Cleanup(server.Close)
	token := filepath.Join(w.t.TempDir(), "token")
	writeFile(w.t, token, w.tokens[who])
	w.env["ASPECTS_SERVER_URL"], w.env["ASPECTS_TOKEN_FILE"] = server.URL, token
	return l
}

// TestSignLiar signs with a server that lies about layers and devices: what it comes to is shown, or nothing is signed.
func TestSignLiar(t *testing.T) {
	keygen := need.Program(t, "ssh-keygen")
	w := loggedIn(t)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	if out, err := exec.CommandContext(t.Context(), keygen, "-q", "-t", "ed25519", "-N", "", "-f", file("anna")).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	public, err := os.ReadFile(file("anna.pub"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file("ops"), "anna@example.com "+string(public))
	keys, err := signed.ParseKeys([]byte("anna@example.com " + string(public)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		w.signs(i+1, keys, fleet.Labels{"site": "rome"})
	}
	berlin := w.signs(100, keys, fleet.Labels{"site": "berlin"})
	l := w.lies("anna")
	writeFile(t, file("fleet/everyone.yaml"), "config: {control-telemetry: {sample-rate: 1}}\n")
	writeFile(t, file("fleet/labels/berlin.yaml"), "selector: site=berlin\npriority: 5\nconfig: {control-telemetry: {sample-rate: 3}}\n")
	try := func(want string, code int, args ...string) string {
		t.Helper()
		got, out, errs := w.fleet(args...)
		if got != code || !strings.Contains(out+errs, want) {
			t.Fatalf("%v: exit status %d, want %d and %q\n%s%s", args, got, code, want, out, errs)
		}
		return out
	}
	try("applied", 0, "apply", file("fleet"))
	// Whose signatures count from now on is for an admin to say.
	admin := map[string]string{"HOME": t.TempDir()}
	for name, value := range w.env {
		if name != "HOME" {
			admin[name] = value
		}
	}
	mine := w.env
	w.env = admin
	w.env["ASPECTS_TOKEN_FILE"] = file("otto")
	writeFile(t, file("otto"), w.tokens["otto"])
	try("this needs the role admin", 1, "sign", "--init", "--operator-keys", file("ops"), "--key", file("anna"), "--yes")
	w.env = mine
	try("… and 10 more of this group; --full names them", 0, "sign", "--init", "--operator-keys", file("ops"), "--key", file("anna"), "--yes")
	try("nothing has changed since statement 1", 0, "sign", "--dry-run")

	layers := func(change func(list []any) []any) func(string, map[string]any) {
		return func(path string, answer map[string]any) {
			if list, is := answer["layers"].([]any); is && path == "GET /targets/" {
				answer["layers"] = change(list)
			}
		}
	}
	l.lie = layers(func(list []any) []any { return append(list[1:len(list):len(list)], list[0]) })
	try("nothing has changed since statement 1", 0, "sign", "--dry-run") // sorted, it is the same
	l.lie = layers(func(list []any) []any { list[1].(map[string]any)["selector"] = ""; return list })
	try("must name labels", 1, "sign", "--dry-run")
	l.lie = layers(func(list []any) []any { return append(list, list[1]) })
	try("is there twice", 1, "sign", "--dry-run")
	l.lie = layers(func(list []any) []any {
		return append(list, map[string]any{"layer": "dev\u0456ces/" + berlin.id.String()[:13], "revision": 9,
			"config": map[string]any{"control-telemetry": map[string]any{"sample-rate": 666}}})
	})
	try("a layer is", 1, "sign", "--dry-run")
	l.lie = layers(func(list []any) []any {
		return append(list, map[string]any{"layer": "x\nstatement 9 is signed", "revision": 9,
			"config": map[string]any{"v": []any{map[string]any{"$secret": "a"}}}})
	})
	try(`layer x\nstatement 9`, 1, "sign", "--dry-run")
	l.lie = layers(func(list []any) []any { list[1].(map[string]any)["priority"] = 6; return list })
	try("labels/berlin for site=berlin, priority 6 (before: for site=berlin, priority 5)", 0, "sign", "--dry-run")

	// Another layer than planned, after the plan.
	signing := false
	extra := layers(func(list []any) []any {
		if !signing {
			return list
		}
		return append(list, map[string]any{"layer": "labels/extra", "selector": "site=rome", "priority": 0, "revision": 3,
			"config": map[string]any{"control-telemetry": map[string]any{"sample-rate": 666}}})
	})
	l.lie = func(path string, answer map[string]any) {
		signing = signing || path == "GET /signature/"
		extra(path, answer)
	}
	try("the server has a layer labels/extra, which the plan does not have", 1, "apply", file("fleet"), "--sign", "--key", file("anna"), "--yes")
	if err := os.Remove(file("fleet/labels/berlin.yaml")); err != nil {
		t.Fatal(err)
	}
	l.lie = func(path string, answer map[string]any) {
		if signing = signing || path == "GET /signature/"; signing {
			layers(func(list []any) []any { list[1].(map[string]any)["priority"] = 6; return list })(path, answer)
		}
	}
	signing = false
	try("the layer labels/berlin is not as it was when the plan was made", 1, "apply", file("fleet"), "--sign", "--key", file("anna"), "--yes")

	// Many devices whose labels change, and one among them that comes to another layer; the number of an answer that is not signed.
	l.lie = func(path string, answer map[string]any) {
		if path == "GET /signature/" {
			answer["number"] = 1_000_000
		}
		list, _ := answer["devices"].([]any)
		for i, device := range list {
			device, _ := device.(map[string]any)
			if device["labels"] = map[string]any{"site": "oslo"}; i == 29 {
				device["labels"] = map[string]any{"site": "berlin"}
			}
		}
	}
	out := try("statement 2 has the targets of 31 devices", 0, "sign", "--dry-run")
	for _, want := range []string{"~ 29 devices: labels site=rome -> site=oslo, layers everyone\n    the same values",
		"~ 1 device: labels site=rome -> site=berlin, layers everyone -> everyone, labels/berlin\n    ~ control-telemetry.sample-rate: 1 -> 3"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not show %q:\n%s", want, out)
		}
	}
	l.lie = nil

	// Of 31 devices that get a secret none is left out; only an admin gets the salt of its digest, and only an admin changes keys.
	writeFile(t, file("vpn"), "hunter2")
	try("", 0, "<hunter2", "secret", "set", "vpn")
	try("", 0, "<config: {control-telemetry: {sample-rate: 1}, control-tunnel: {secret-key: {$secret: vpn}}}", "edit", "everyone", "--file", "-")
	out = try("! gets the secret vpn", 0, "sign", "--key", file("anna"), "--secret", "vpn="+file("vpn"), "--yes")
	if strings.Contains(out, "more of this group") || strings.Count(out, "    device ") != 31 {
		t.Error(out)
	}
	if got := w.asks(berlin); !strings.Contains(got, "hunter2") {
		t.Error(got)
	}
	for who, want := range map[string]bool{"anna": true, "screen": false} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/signature/?manifest=true", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+w.tokens[who])
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		if err != nil || response.Body.Close() != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "salt") != want || !strings.Contains(string(text), `\"vpn\"`) {
			t.Errorf("%s: %s", who, text)
		}
	}
	// Salts that the server has are not given again.
	try("", 0, "<config: {control-telemetry: {sample-rate: 2}, control-tunnel: {secret-key: {$secret: vpn}}}", "edit", "everyone", "--file", "-")
	try("statement 3 is signed", 0, "sign", "--key", file("anna"), "--yes")
	if got := w.asks(berlin); !strings.Contains(got, "hunter2") {
		t.Error(got)
	}
}
