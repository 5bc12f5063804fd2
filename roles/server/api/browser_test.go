package api_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"aspects-poc/roles/internal/browsertest"

	"github.com/chromedp/chromedp"
)

// TestBrowser does in a real browser what a reader of the documentation does: open it, and try out every operation.
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
	operations := described(t, started.URL)
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
	steps := []struct {
		operation  string
		path       func() string // for the parameter in the path; nil leaves the example
		body       func() string // likewise
		status     string
		wantAnswer string
	}{
		{"register-device", nil, nil, "200", `"ip-address": "192.0.2.7"`},
		{"get-state", this, nil, "200", `"config": {}`},
		{"poll", nil, func() string { return `{"uuid": "` + device + `", "config": {"a": 1}}` }, "204", ""},
		{"put-target", nil, nil, "200", `"sample-rate": 4`},
		{"get-target", nil, nil, "200", `"sample-rate": 4`},
		{"poll", nil, func() string { return `{"uuid": "` + device + `", "config": {}}` }, "200", `"sample-rate": 4`},

		{"put-everyone", nil, func() string { return `{"config": {"control-telemetry": {"sample-rate": 5}}}` }, "200", `"revision": 2`},
		{"get-everyone", nil, nil, "200", `"sample-rate": 5`},
		{"patch-labels", this, func() string { return `{"site": "berlin"}` }, "200", `"site": "berlin"`},
		{"put-label-layer", nil, func() string {
			return `{"selector": "site=berlin", "config": {"control-telemetry": {"sample-rate": 6}}}`
		}, "200", `"layer": "labels/berlin"`},
		{"get-label-layer", nil, nil, "200", `"sample-rate": 6`},
		{"put-device-layer", this, func() string { return `{"config": {"control-telemetry": {"monitor-peers": true}}}` }, "200", `"revision": 5`},
		{"get-device-layer", this, nil, "200", `"monitor-peers": true`},
		{"list-targets", nil, nil, "200", `"labels/berlin"`},
		{"get-device-target", this, nil, "200", `"sample-rate": 6`},
		{"list-devices", nil, nil, "200", `"state": "behind"`},
		{"get-device", this, nil, "200", `"state": "behind"`},
		{"get-stats", this, nil, "200", `"points": []`},
		{"get-summary", nil, nil, "200", `"waiting": 0`},
		{"list-history", nil, nil, "200", `"action": "labels"`},
		{"get-entry", nil, nil, "200", `"revision": 1`},
		{"get-diff", func() string { return "2" }, nil, "200", `"before": 4`},
		{"restore", nil, nil, "200", `"restores": 1`},
		{"approve-device", this, nil, "200", `"status": "active"`},
		{"revoke-device", this, nil, "200", `"status": "revoked"`},
		{"delete-device-layer", this, nil, "204", ""},
		{"delete-label-layer", nil, nil, "204", ""},
		{"delete-device", this, nil, "204", ""},
		{"healthz", nil, nil, "200", ""},
		{"readyz", nil, nil, "200", ""},
		{"delete-everyone", nil, nil, "204", ""},
	}
	// Not from a page: an answer without an end, and one that needs a signature of two keys.
	delete(left, "get-events")
	delete(left, "replace-key")
	opened := map[string]bool{}
	for _, step := range steps {
		block := fmt.Sprintf("#operations-%s-%s", operations[step.operation], step.operation)
		in := func(selector string) chromedp.CSS { return chromedp.CSS(block + " " + selector) }
		if !opened[block] {
			opened[block] = true
			do("expand "+step.operation, chromedp.Click(in(".opblock-summary-control")),
				chromedp.Click(in(".try-out__btn")), chromedp.WaitVisible(in(".execute")))
		} else {
			do("clear "+step.operation, chromedp.Click(in(".opblock-summary-control")), chromedp.Click(in(".btn-clear")),
				chromedp.WaitNotPresent(in(".live-responses-table")))
		}
		if step.path != nil {
			do("fill in the path of "+step.operation, fill(block+" .parameters tr:not([data-param-in=body]) input[type=text]", step.path()))
		}
		if step.body != nil {
			do("fill in the body of "+step.operation, fill(block+" textarea", step.body()))
		}
		const row = ".live-responses-table tbody "
		do("execute "+step.operation, chromedp.Click(in(".execute")), chromedp.WaitVisible(in(row+".response-col_status")))
		status := browsertest.Ask(t, ctx, chromedp.Text(in(row+".response-col_status")))
		answer := browsertest.Ask(t, ctx, chromedp.Text(in(row+".response-col_description")))
		// "Undocumented" would stand below a status that the description does not know.
		if strings.TrimSpace(status) != step.status || !strings.Contains(answer, step.wantAnswer) {
			t.Errorf("%s: %q %s, want %s %s", step.operation, status, answer, step.status, step.wantAnswer)
		}
		if step.operation == "register-device" {
			device = between(answer, `"uuid": "`, `"`)
		}
		// What stays open is drawn again with each key: the page would become slower and slower.
		do("close "+step.operation, chromedp.Click(in(".opblock-summary-control")), chromedp.WaitNotPresent(in(".opblock-body")))
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
