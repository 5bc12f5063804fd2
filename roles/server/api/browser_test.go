package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"aspects-poc/roles/internal/browsertest"

	"github.com/chromedp/chromedp"
)

// TestBrowser does in a real browser what a reader of the documentation does: open it, and try out operations, one of each
// kind. The others are sent as the description has them, as the page would: each costs the page a second of drawing.
// ASPECTS_SCREENSHOT=FILE keeps a picture of the page afterwards.
func TestBrowser(t *testing.T) {
	started := newServer(t, io.Discard)
	ctx, watch := browsertest.Open(t, started.URL)
	do := func(what string, actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, actions...); err != nil {
			t.Fatalf("%s: %v; seen so far: %v", what, err, watch.Trouble())
		}
	}
	do("open", chromedp.Navigate(started.URL+"/"), chromedp.WaitVisible(chromedp.CSS(".opblock")))
	if title := browsertest.Ask(t, ctx, chromedp.Text(chromedp.CSS(".info .title"))); !strings.Contains(title, "aspects-poc fleet server") {
		t.Errorf("title %q", title)
	}
	operations := describedByID(t, started.URL)
	left := map[string]bool{}
	for id := range operations {
		left[id] = true
	}
	shown := browsertest.Ask(t, ctx, chromedp.Evaluate[int](`document.querySelectorAll(".opblock").length`))
	if shown != len(operations) {
		t.Errorf("%d operations are shown, %d described", shown, len(operations))
	}

	var device string
	this := func() string { return device }
	const onPage = true
	steps := []struct {
		page       bool // it is tried on the page
		operation  string
		path       func() string // for the parameter in the path; nil leaves the example
		body       func() string // likewise
		status     string
		wantAnswer string
	}{
		{onPage, "register-device", nil, nil, "200", `"ip-address": "192.0.2.7"`},
		{onPage, "get-state", this, nil, "200", `"config": {}`},
		{onPage, "poll", nil, func() string { return `{"uuid": "` + device + `", "config": {"a": 1}}` }, "204", ""},
		{onPage, "put-target", nil, nil, "200", `"sample-rate": 4`},
		{!onPage, "get-target", nil, nil, "200", `"sample-rate": 4`},
		{!onPage, "poll", nil, func() string { return `{"uuid": "` + device + `", "config": {}}` }, "200", `"sample-rate": 4`},

		{onPage, "put-everyone", nil, func() string { return `{"config": {"control-telemetry": {"sample-rate": 5}}}` }, "200", `"revision": 2`},
		{!onPage, "get-everyone", nil, nil, "200", `"sample-rate": 5`},
		{onPage, "patch-labels", this, func() string { return `{"site": "berlin"}` }, "200", `"site": "berlin"`},
		{!onPage, "put-label-layer", nil, func() string {
			return `{"selector": "site=berlin", "config": {"control-telemetry": {"sample-rate": 6}}}`
		}, "200", `"layer": "labels/berlin"`},
		{!onPage, "get-label-layer", nil, nil, "200", `"sample-rate": 6`},
		{!onPage, "put-device-layer", this, func() string { return `{"config": {"control-telemetry": {"monitor-peers": true}}}` }, "200", `"revision": 5`},
		{!onPage, "get-device-layer", this, nil, "200", `"monitor-peers": true`},
		{!onPage, "list-targets", nil, nil, "200", `"labels/berlin"`},
		{!onPage, "change-targets", nil, func() string {
			return `{"changes": [{"layer": "labels/berlin", "selector": "site=berlin", "config": {"control-telemetry": {"sample-rate": 6}}}]}`
		}, "200", `"revision": 4`},
		{!onPage, "get-schema", nil, nil, "200", `"type": "object"`},
		{!onPage, "get-device-target", this, nil, "200", `"sample-rate": 6`},
		{!onPage, "list-devices", nil, nil, "200", `"state": "behind"`},
		{!onPage, "get-device", this, nil, "200", `"state": "behind"`},
		{!onPage, "get-stats", this, nil, "200", `"points": []`},
		{!onPage, "get-summary", nil, nil, "200", `"waiting": 0`},
		{!onPage, "list-history", nil, nil, "200", `"action": "labels"`},
		{!onPage, "get-entry", nil, nil, "200", `"revision": 1`},
		{!onPage, "get-diff", func() string { return "2" }, nil, "200", `"before": 4`},
		{!onPage, "restore", nil, nil, "200", `"restores": 1`},
		{!onPage, "put-name", this, func() string { return `{"name": "lobby"}` }, "200", `"name": "lobby"`},
		{!onPage, "delete-name", this, nil, "200", `"uuid"`},
		{!onPage, "get-signature", nil, nil, "404", "Nothing is signed in this fleet"},
		{!onPage, "put-signature", nil, func() string { return `{"statement": "x", "signature": "x", "manifest": "x"}` }, "422", `"statement"`},
		{!onPage, "delete-signature", nil, nil, "404", "Nothing is signed in this fleet"},
		{!onPage, "list-releases", nil, nil, "200", `"releases": []`},
		{!onPage, "get-release", func() string { return "12" }, nil, "404", "There is no such release"},
		{!onPage, "go-release", func() string { return "12" }, nil, "404", "There is no such release"},
		{!onPage, "halt-release", func() string { return "12" }, nil, "404", "There is no such release"},
		{!onPage, "undo-release", func() string { return "12" }, nil, "404", "There is no such release"},
		{!onPage, "approve-device", this, nil, "200", `"status": "active"`},
		{!onPage, "delete-cloned", this, nil, "204", ""},
		{!onPage, "revoke-device", this, nil, "200", `"status": "revoked"`},
		{!onPage, "delete-device-layer", this, nil, "204", ""},
		{onPage, "delete-label-layer", nil, nil, "204", ""},
		{!onPage, "delete-device", this, nil, "204", ""},
		{!onPage, "list-revoked-keys", nil, nil, "200", "revoked-keys"},
		{!onPage, "allow-key", func() string { return "none" }, nil, "404", "No removed device"},
		{!onPage, "put-secret", nil, func() string { return `{"value": "x"}` }, "422", "confdb-schema has no secrets"},
		{!onPage, "list-secrets", nil, nil, "200", `"secrets": []`},
		{!onPage, "delete-secret", nil, nil, "404", "There is no such secret"},
		{!onPage, "whoami", nil, nil, "200", `"role": "admin"`},
		{!onPage, "create-token", nil, func() string { return `{"name": "bert", "role": "operator", "scope": {"site": "berlin"}}` }, "200", `"token": "aspects-operate-`},
		{!onPage, "list-tokens", nil, nil, "200", `"name": "bert"`},
		{!onPage, "revoke-token", func() string { return "bert" }, nil, "204", ""},
		{!onPage, "list-audit", nil, nil, "200", `"verb": "revoke"`},
		{!onPage, "healthz", nil, nil, "200", ""},
		{!onPage, "readyz", nil, nil, "200", ""},
		{!onPage, "delete-everyone", nil, nil, "204", ""},
	}
	// Not from a page: an answer without an end, and one that needs a signature of two keys.
	delete(left, "get-events")
	delete(left, "replace-key")
	for _, step := range steps {
		status, answer := "", ""
		if step.page {
			status, answer = tryOut(t, ctx, do, fmt.Sprintf("#operations-%s-%s", operations[step.operation].Tags[0], step.operation), step.path, step.body)
		} else {
			status, answer = send(t, started.URL, operations[step.operation], step.path, step.body)
		}
		// "Undocumented" would stand below a status that the description does not know.
		if status != step.status || !strings.Contains(answer, step.wantAnswer) {
			t.Errorf("%s: %q %s, want %s %s", step.operation, status, answer, step.status, step.wantAnswer)
		}
		if step.operation == "register-device" {
			device = between(answer, `"uuid": "`, `"`)
		}
		delete(left, step.operation)
	}
	for id := range left {
		t.Errorf("operation %s was not tried: add a step for it", id)
	}
	state, err := client(t, started.URL).Target(t.Context())
	if err != nil || len(state) != 0 {
		t.Errorf("the server has %v, %v", state, err)
	}
	if path := os.Getenv("ASPECTS_SCREENSHOT"); path != "" {
		if err := os.WriteFile(path, browsertest.Ask(t, ctx, chromedp.FullScreenshot(100)), 0o644); err != nil {
			t.Error(err)
		}
	}
	for _, trouble := range watch.Trouble() {
		t.Error(trouble)
	}
	if watch.Requests() < 6 {
		t.Errorf("only %d requests were seen: the watch is blind", watch.Requests())
	}
}

// tryOut presses what a reader presses to try out the operation in a block of the page, and returns what he is shown.
func tryOut(t *testing.T, ctx context.Context, do func(string, ...chromedp.Action[chromedp.Void]), block string, path, body func() string) (status, answer string) {
	t.Helper()
	in := func(selector string) chromedp.CSS { return chromedp.CSS(block + " " + selector) }
	do("expand "+block, chromedp.Click(in(".opblock-summary-control")), chromedp.Click(in(".try-out__btn")), chromedp.WaitVisible(in(".execute")))
	if path != nil {
		do("fill in the path of "+block, fill(block+" .parameters tr:not([data-param-in=body]) input[type=text]", path()))
	}
	if body != nil {
		do("fill in the body of "+block, fill(block+" textarea", body()))
	}
	const row = ".live-responses-table tbody "
	do("execute "+block, chromedp.Click(in(".execute")), chromedp.WaitVisible(in(row+".response-col_status")))
	status = browsertest.Ask(t, ctx, chromedp.Text(in(row+".response-col_status")))
	answer = browsertest.Ask(t, ctx, chromedp.Text(in(row+".response-col_description")))
	// What stays open is drawn again with each key.
	do("close "+block, chromedp.Click(in(".opblock-summary-control")), chromedp.WaitNotPresent(in(".opblock-body")))
	return strings.TrimSpace(status), answer
}

// send sends what the page would send for an operation. What it returns as answer is set as the page sets it.
func send(t *testing.T, base string, operation described, path, body func() string) (status, answer string) {
	t.Helper()
	url := operation.path
	for _, parameter := range operation.Parameters {
		if parameter.In != "path" {
			continue
		}
		value := fmt.Sprint(parameter.Example)
		if path != nil {
			value = path()
		}
		url = strings.ReplaceAll(url, "{"+parameter.Name+"}", value)
	}
	sent := ""
	var headers []string
	if body != nil {
		sent, headers = body(), []string{"Content-Type: application/json"}
	}
	got := call(t, base, strings.ToUpper(operation.method), url, sent, headers...)
	status = fmt.Sprint(got.status)
	if _, known := operation.Responses[status]; !known {
		status += " Undocumented"
	}
	var set bytes.Buffer
	if json.Indent(&set, []byte(got.body), "", "  ") != nil {
		return status, got.body
	}
	return status, set.String()
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
